/**
 * Rewrites what was found so that it can't be read. Of plain text each character becomes a full block, but separators stay, so
 * that what stands around a word keeps its form. The block is no separator: it can't join what is left and right of it to
 * another word.
 *
 * In JSON inside a JSON string the inner JSON stays valid too: an escape becomes one block, and a bare number `null`.
 */

import * as bits from "bit";
import { bytes_of } from "../wire/json";
import { replace } from "../wire/splice";
import { STRING_CLASS, decode_any, is_half } from "../wire/json_text";
import { TextKind } from "../wire/text_kind";
import { Entry } from "./entry";
import { is_nested_kind } from "./match";
import { digit_value } from "./nested";
import { place_of } from "./scanner";
import type { Edits } from "../wire/splice";
import type { Lexicon } from "./lexicon";
import type { Hit } from "./match";

const band = bits.band;
const find = string.find;
const gsub = string.gsub;
const sub = string.sub;

const BLOCK = "\u2588";
const BACKSLASH = 92;
const LETTER_U = 117;
/** Any half of a surrogate pair. */
const HALF = 0xd800;

/** How far the rewriting of one find has come: it may lie in several events. */
interface Masking {
  /** JSON inside a JSON string. */
  nested: boolean;
  /** No JSON at all: nothing is escaped. */
  line: boolean;
  /** Outside of the strings of that. */
  bare: boolean;
  begun: boolean;
  /** Digits of an inner escape that are still to come; −1: its letter is next. */
  escape: number;
  /** The value of those that came. */
  value: number;
}

/** The rewriting of a find begins. */
function new_masking(hit: Hit): Masking {
  return { nested: is_nested_kind(hit.kind), line: hit.kind === TextKind.Line, bare: hit.bare, begun: false, escape: 0, value: 0 };
}

/** What becomes of a character of an inner escape, behind its backslash: nothing, but a block for the last one. */
function mask_escape(masking: Masking, code_point: number): string {
  if (masking.escape < 0) {
    masking.escape = code_point === LETTER_U ? 4 : 0;
    masking.value = 0;
    return masking.escape === 0 ? BLOCK : "";
  }
  masking.escape -= 1;
  masking.value = masking.value * 16 + math.max(digit_value(code_point), 0);
  // The first half of a surrogate pair is one character with the second.
  return masking.escape > 0 || band(masking.value, 0xfc00) === 0xd800 ? "" : BLOCK;
}

/** What becomes of one character, given as the bytes it stands there as. */
function mask_one(lexicon: Lexicon, masking: Masking, code_point: number, raw: string): string {
  if (masking.bare) {
    const text = masking.begun ? "" : "null";
    masking.begun = true;
    return text;
  }
  if (masking.escape !== 0) {
    return mask_escape(masking, code_point);
  }
  if (masking.nested && code_point === BACKSLASH) {
    masking.escape = -1;
    return "";
  }
  const entry = lexicon.entries[place_of(lexicon, code_point)]!;
  if (band(entry, Entry.Separator) !== 0) {
    return raw;
  }
  return band(entry, Entry.Ignored) !== 0 ? "" : BLOCK;
}

/** The rewritten form of a piece of a JSON string or a line, as it stands there: whole characters, escapes included. */
function mask(lexicon: Lexicon, masking: Masking, raw: string): string {
  if (!masking.nested && find(raw, "[^ -%[%]-~]")[0] === undefined) {
    // ASCII characters that stand for themselves, as most numbers and addresses are: letters and digits are no separators, all others are.
    const [masked] = gsub(raw, "%w", BLOCK);
    return masked;
  }
  const bytes = bytes_of(raw);
  const parts: string[] = [];
  let at = 0;
  while (at < raw.length) {
    const kind = STRING_CLASS[bytes[at]!]!;
    let code_point = bytes[at]!;
    let next = at + 1;
    if (kind !== 0 && (kind === 4 || !masking.line)) {
      [code_point, next] = decode_any(bytes, at, raw.length, kind);
      if (next === 0 && kind === 2) {
        // The walker has accepted the string, so this is half of a character whose other half is in another event.
        code_point = HALF;
        next = raw.length;
      }
      next = next > at ? next : at + 1;
    }
    parts.push(is_half(code_point) ? BLOCK : mask_one(lexicon, masking, code_point, sub(raw, at + 1, next)));
    at = next;
  }
  return parts.join("");
}

/** Whether a byte may be one of a JSON number. */
function is_of_number(value: number): boolean {
  return (value >= 48 && value <= 57) || value === 43 || value === 45 || value === 46 || value === 69 || value === 101;
}

/** The bytes of `\uXXXX`. */
const LONGEST_ESCAPE = 6;

/** Where the number begins that goes on at `from`: digits of an escape of the outer JSON are none of it. */
function number_start(bytes: Bytes, from: number): number {
  let start = from;
  while (start > 0 && is_of_number(bytes[start - 1]!)) {
    start -= 1;
  }
  for (const at of $range(math.max(0, start - LONGEST_ESCAPE), from - 1)) {
    if (bytes[at] === BACKSLASH) {
      start = math.max(start, at + (bytes[at + 1] === LETTER_U ? LONGEST_ESCAPE : 2));
    }
  }
  return math.min(start, from);
}

/**
 * Adds to the edits what masks the bytes from `from` to `to` of a document, of which `piece` is the part from `offset` on. Of a bare
 * number all that stands in the piece goes.
 */
function mask_in(edits: Edits, lexicon: Lexicon, masking: Masking, piece: string, offset: number, from: number, to: number): void {
  let start = from;
  let end = to;
  if (masking.bare) {
    const bytes = bytes_of(piece);
    start = offset + number_start(bytes, from - offset);
    while (end < offset + piece.length && is_of_number(bytes[end - offset]!)) {
      end += 1;
    }
    let before = edits.count - 1;
    while (before >= 0 && edits.starts[before]! > start) {
      before -= 1;
    }
    if (before >= 0 && start < edits.ends[before]!) {
      // Another part of the same number was found too.
      return;
    }
  }
  replace(edits, start, end, mask(lexicon, masking, sub(piece, from - offset + 1, to - offset)));
}

export { mask, mask_in, new_masking };
export type { Masking };
