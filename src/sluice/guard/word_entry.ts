/** One entry of a word list: its word, folded, and its options. */

import * as bits from "bit";
import { Action, LONGEST_WORD, WordBits } from "./words";
import { Folded, expansion, fold } from "./fold";
import { decode_utf8 } from "../wire/json_text";
import type { Draft } from "./word_pool";

const band = bits.band;
const bnot = bits.bnot;
const bor = bits.bor;
const gmatch = string.gmatch;
const gsub = string.gsub;
const lower = string.lower;
const lshift = bits.lshift;

/** Why an entry is not taken. */
const enum Fault {
  None = 0,
  NotUtf8 = 1,
  Empty = 2,
  TooLong = 3,
}

/** An option's effect: which properties it decides, and how. */
interface Option {
  decides: number;
  properties: number;
}

function action_option(action: Action): Option {
  return { decides: WordBits.ActionMask, properties: lshift(action, WordBits.ActionShift) };
}

const OPTIONS = new LuaTable<string, Option | undefined>();
OPTIONS.set("block", action_option(Action.Block));
OPTIONS.set("mask", action_option(Action.Mask));
OPTIONS.set("flag", action_option(Action.Flag));
OPTIONS.set("whole", { decides: WordBits.Whole, properties: WordBits.Whole });
OPTIONS.set("part", { decides: WordBits.Whole, properties: 0 });
OPTIONS.set("loose", { decides: WordBits.Loose, properties: WordBits.Loose });
OPTIONS.set("exact", { decides: WordBits.Loose, properties: 0 });

/** Longer unknown options are not quoted. */
const MOST_QUOTED_BYTES = 40;

/** Appends a representative, or notes that a gap comes. Returns whether a gap is pending. */
function append(draft: Draft, value: number, gap: boolean): boolean {
  const { length } = draft;
  if (value === Folded.Separator) {
    return true;
  }
  if (length < LONGEST_WORD) {
    // Separators before the first character are no gap.
    if (gap && length > 0) {
      draft.gaps[draft.gap_count] = length;
      draft.gap_count += 1;
    }
    draft.characters[length] = value;
  }
  draft.length = length + 1;
  return false;
}

/** Folds the word in `bytes` from `from` to `to` into the draft. */
function read_word(draft: Draft, bytes: Bytes, from: number, to: number): Fault {
  draft.length = 0;
  draft.gap_count = 0;
  let gap = false;
  let at = from;
  while (at < to) {
    let code_point = bytes[at]!;
    let next = at + 1;
    if (code_point > 127) {
      [code_point, next] = decode_utf8(bytes, at, to);
      if (next <= 0) {
        return Fault.NotUtf8;
      }
    }
    const value = fold(code_point);
    if (value >= 0 || value === Folded.Separator) {
      gap = append(draft, value, gap);
    } else if (value !== Folded.Ignored) {
      for (const part of expansion(value)) {
        gap = append(draft, part, gap);
      }
    }
    at = next;
  }
  if (draft.length > LONGEST_WORD) {
    return Fault.TooLong;
  }
  return draft.length === 0 ? Fault.Empty : Fault.None;
}

/** Whether the bytes from `from` to `to` are UTF-8. */
function is_utf8(bytes: Bytes, from: number, to: number): boolean {
  let at = from;
  while (at < to) {
    if (bytes[at]! < 128) {
      at += 1;
    } else {
      const [, next] = decode_utf8(bytes, at, to);
      if (next <= 0) {
        return false;
      }
      at = next;
    }
  }
  return true;
}

/** Whether all of the word's characters are letters or digits of ASCII. */
function is_ascii(draft: Draft): boolean {
  for (const index of $range(0, draft.length - 1)) {
    const character = draft.characters[index]!;
    if (character > 122 || character < 48 || (character > 57 && character < 97)) {
      return false;
    }
  }
  return true;
}

/**
 * Applies the options of `text` to a word's `WordBits`. Of two that contradict each other the latter counts. Returns the
 * new bits, and what is wrong with the first option that is not known.
 */
function apply_options(word_bits: number, text: string): LuaMultiReturn<[word_bits: number, problem: string | undefined]> {
  let applied = word_bits;
  let problem: string | undefined;
  for (const [found] of gmatch(text, "[^%s,]+")) {
    const name = found as string;
    const option = OPTIONS.get(lower(name));
    if (option !== undefined) {
      applied = bor(band(applied, bnot(option.decides)), option.properties);
    } else if (problem === undefined) {
      const quotable = name.length <= MOST_QUOTED_BYTES;
      problem = quotable ? `option ${gsub(name, "%c", "?")[0]} is not known` : `an option of ${name.length} bytes is not known`;
    }
  }
  return $multi(applied, problem);
}

export { Fault, apply_options, is_ascii, is_utf8, read_word };
