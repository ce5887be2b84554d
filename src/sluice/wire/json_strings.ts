/** The strings of a JSON document: text goes to the sink, other strings are only checked. */

import * as bits from "bit";
import { find_member } from "./json_keys";
import { Fault, fail } from "./json_state";
import { STRING_CLASS, decode_any, decode_character, decode_escape, decode_utf8, wide_character } from "./json_text";
import { HASH_TABLE } from "./shape";
import type { Walk, WalkState } from "./json_state";
import type { Shape } from "./shape";

const rol = bits.rol;
const tobit = bits.tobit;

/** Known values are shorter, in bytes. */
const LONGEST_KNOWN = 64;
/** `\uXXXX` */
const HALF_BYTES = 6;

/**
 * Hands a run of ASCII characters that stand for themselves to the sink. Returns the offset where the run ends. As
 * below, a loop of its own is a tight trace of its own, whatever text came first in this worker.
 */
function plain_run<Target>(walk: Walk<Target>, bytes: Bytes, from: number, to: number): number {
  const character = walk.sink.character;
  const target = walk.target;
  const base = walk.state.base;
  let at = from;
  while (at < to) {
    const value = bytes[at]!;
    if (STRING_CLASS[value] !== 0) {
      return at;
    }
    character(target, value, base + at, base + at + 1);
    at += 1;
  }
  return at;
}

/**
 * Hands a run of three-byte characters (most of Chinese, Japanese and Korean text) to the sink. Returns the
 * offset where the run ends: at anything else, anything wrong, or the end of the slice. A loop of its own, so
 * that such text runs in its own tight trace.
 */
function wide_run<Target>(walk: Walk<Target>, bytes: Bytes, from: number, to: number): number {
  const character = walk.sink.character;
  const target = walk.target;
  const base = walk.state.base;
  const last = to - 3;
  let at = from;
  while (at <= last) {
    const code_point = wide_character(bytes, at);
    if (code_point < 0) {
      return at;
    }
    character(target, code_point, base + at, base + at + 3);
    at += 3;
  }
  return at;
}

/** Hands half of a surrogate pair to the sink. */
function take_half<Target>(walk: Walk<Target>, bytes: Bytes, base: number, at: number, to: number): void {
  const [unit] = decode_any(bytes, at, to, 2);
  const take = walk.sink.half ?? walk.sink.character;
  take(walk.target, unit, base + at, base + at + HALF_BYTES);
}

/**
 * Reads a string's characters from `at` on into the sink. Returns the offset after the closing quote, or 0 if
 * the slice ended or a fault was found; `state.reached` then is the offset. Kept apart from `feed` so
 * that its loop compiles as one tight trace.
 */
function text_string<Target>(walk: Walk<Target>, state: WalkState, bytes: Bytes, from: number, to: number): number {
  const character = walk.sink.character;
  const target = walk.target;
  const base = state.base;
  let at = from;
  while (at < to) {
    const kind = STRING_CLASS[bytes[at]!]!;
    if (kind === 0) {
      const after = walk.plain_run(walk, bytes, at, to);
      if (after > at) {
        at = after;
      } else {
        character(target, bytes[at]!, base + at, base + at + 1);
        at += 1;
      }
    } else if (kind === 4) {
      const after = walk.wide_run(walk, bytes, at, to);
      if (after > at) {
        at = after;
      } else {
        const [code_point, next] = decode_utf8(bytes, at, to);
        if (next <= 0) {
          state.reached = next < 0 ? fail(state, -next, at) : at;
          return 0;
        }
        character(target, code_point, base + at, base + next);
        at = next;
      }
    } else if (kind === 1) {
      walk.sink.finish(target, base + at);
      return at + 1;
    } else if (kind === 2) {
      const [code_point, next] = decode_escape(bytes, at, to);
      if (next === -Fault.Surrogate && state.halves !== 0) {
        state.escaped = 1;
        take_half(walk, bytes, base, at, to);
        at += HALF_BYTES;
        continue;
      }
      if (next <= 0) {
        state.reached = next < 0 ? fail(state, -next, at) : at;
        return 0;
      }
      state.escaped = 1;
      character(target, code_point, base + at, base + next);
      at = next;
    } else {
      state.reached = fail(state, Fault.ControlCharacter, at);
      return 0;
    }
  }
  state.reached = at;
  return 0;
}

/** Checks a string that is no text. Returns as `text_string` does. */
function other_string(state: WalkState, bytes: Bytes, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const kind = STRING_CLASS[bytes[at]!]!;
    if (kind === 0) {
      at += 1;
    } else if (kind === 1) {
      return at + 1;
    } else if (kind === 3) {
      state.reached = fail(state, Fault.ControlCharacter, at);
      return 0;
    } else {
      const [, next] = state.halves !== 0 ? decode_any(bytes, at, to, kind) : decode_character(bytes, at, to, kind);
      if (next <= 0) {
        state.reached = next < 0 ? fail(state, -next, at) : at;
        return 0;
      }
      if (kind === 2) {
        state.escaped = 1;
      }
      at = next;
    }
  }
  state.reached = at;
  return 0;
}

/**
 * Whether the string whose first character is at `from` is one of the known values of its place. Returns the offset after its
 * closing quote; 0: it is none of them; −1: the slice ends before that is clear.
 */
function known_string(shape: Shape, node: number, bytes: Bytes, from: number, to: number): number {
  const last = math.min(to, from + LONGEST_KNOWN);
  let first = 0;
  let second = 0;
  let at = from;
  while (at < last && STRING_CLASS[bytes[at]!] === 0) {
    first = tobit(rol(first, 5) + HASH_TABLE[bytes[at]!]!);
    second = tobit(rol(second, 11) + first);
    at += 1;
  }
  if (at === last) {
    return at - from < LONGEST_KNOWN ? -1 : 0;
  }
  if (STRING_CLASS[bytes[at]!] !== 1) {
    return 0;
  }
  const place = find_member(shape, shape.values[node]!, first, at - from);
  return place >= 0 && shape.members[place + 2] === second ? at + 1 : 0;
}

export { known_string, other_string, plain_run, text_string, wide_run };
