/** The options of an entry of a word list, and what it is without any. */

import * as bits from "bit";
import { Action, WordBits } from "./words";
import { decode_utf8 } from "../wire/json_text";
import type { Draft } from "./word_pool";

const band = bits.band;
const bnot = bits.bnot;
const bor = bits.bor;
const gmatch = string.gmatch;
const gsub = string.gsub;
const lower = string.lower;
const lshift = bits.lshift;

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

/** Whether all of the word's characters are letters or digits of ASCII after folding, and not because they are Greek or Cyrillic look-alikes. */
function is_ascii(draft: Draft): boolean {
  if (draft.ascii_script === 0) {
    return false;
  }
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

export { apply_options, is_ascii, is_utf8 };
