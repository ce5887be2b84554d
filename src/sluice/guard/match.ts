/** What happens when the automaton has reached the end of a word: whether it stands as it must, and noting it. */

import * as bits from "bit";
import { TextKind } from "../wire/text_kind";
import { Action, WordBits } from "./words";
import { RING } from "./field";
import type { Field } from "./field";
import type { Lexicon } from "./lexicon";

const band = bits.band;
const rshift = bits.rshift;

/** The bits in a field's ring, below the position. */
const BEHIND_SEPARATOR = 1;
const BEHIND_WORD = 2;
const POSITION_SHIFT = 2;

/** So many separators in a row end every word. A power of two: `runs` looks at its bit alone. */
const MOST_SEPARATORS = 8;

/**
 * Something that was found. `start` and `end` are offsets in the original: of its first byte, and behind its last one.
 * `source` is the list's number or, for a pattern, its `Pattern` as a negative number.
 */
interface Hit {
  /** The number of the text it is in, and its `TextKind`. */
  field: number;
  kind: number;
  start: number;
  end: number;
  action: number;
  source: number;
  /** In JSON inside JSON, outside of its strings: a bare number. */
  bare: boolean;
  /** In log probabilities, which are taken out as a whole. */
  tokens: boolean;
  /** In a text that was there before, and is repeated as a whole. */
  repeated: boolean;
}

/** What was found, until somebody takes it. */
interface Finds {
  hits: Hit[];
  /** Finds that are only flagged are counted here, and not kept. */
  count_flags: boolean;
  flagged: number;
  /** There were more than are kept. */
  overflown: boolean;
}

/** More are not kept: each takes some hundred bytes. */
const MOST_FINDS = 32768;

/** Whether texts of that kind are JSON inside a JSON string. */
function is_nested_kind(kind: number): boolean {
  return kind === TextKind.Arguments || kind === TextKind.RepeatedArguments;
}

/** A find in that text. */
function new_hit(field: Field, start: number, finish: number, action: number, source: number, quoted: number): Hit {
  const { kind } = field;
  return {
    field: field.id,
    kind,
    // Its beginning may have gone on before offsets began anew.
    start: start < finish ? start : 0,
    end: finish,
    action,
    source,
    bare: is_nested_kind(kind) && quoted === 0,
    tokens: kind === TextKind.LogProbability,
    repeated: kind === TextKind.Repeated || kind === TextKind.RepeatedArguments,
  };
}

/** Notes a find in that text. `quoted`: not 0 inside of a string of JSON in a string. */
function add_find(finds: Finds, field: Field, start: number, finish: number, action: number, source: number, quoted: number): void {
  if (action === Action.Flag && finds.count_flags) {
    finds.flagged += 1;
  } else if (finds.hits.length < MOST_FINDS) {
    finds.hits.push(new_hit(field, start, finish, action, source, quoted));
  } else {
    finds.overflown = true;
  }
}

/** Before how many of the ring's last `count` characters there are separators. */
function count_gaps(ring: Int32Buffer, end: number, count: number): number {
  let gaps = 0;
  for (const at of $range(end - count, end - 1)) {
    gaps += band(ring[band(at, RING - 1)]!, BEHIND_SEPARATOR);
  }
  return gaps;
}

/**
 * Whether a word of `length` characters, the last of which is the ring's last, has its separators where it wants them: there, and no
 * others. Two plain loops: one that does both has more values than LuaJIT finds registers for where it is called from.
 */
function gaps_fit(lexicon: Lexicon, field: Field, word: number, length: number): boolean {
  const { gap_pool } = lexicon;
  const { count, ring } = field;
  let at = lexicon.gaps[word]!;
  let wanted = 0;
  while (at !== 0 && gap_pool[at] !== 0) {
    if (band(ring[band(count - length + gap_pool[at]!, RING - 1)]!, BEHIND_SEPARATOR) === 0) {
      return false;
    }
    wanted += 1;
    at += 1;
  }
  return count_gaps(ring, count, length - 1) === wanted;
}

/** Whether the word begins as it must, and has its separators where it wants them. */
function stands(lexicon: Lexicon, field: Field, word: number): boolean {
  const properties = lexicon.word_bits[word]!;
  const length = rshift(properties, WordBits.LengthShift);
  const first = field.ring[band(field.count - length, RING - 1)]!;
  if (band(properties, WordBits.Whole) !== 0 && band(first, BEHIND_WORD) !== 0) {
    return false;
  }
  return band(properties, WordBits.Loose) !== 0 || gaps_fit(lexicon, field, word, length);
}

/**
 * Notes the words that end with the ring's last character, in `state`; `finish` is the offset behind it. `whole`: those
 * that must stand alone, else the others. Returns whether there are such as must stand alone, and may; those are in
 * `field.pending_start` too.
 */
function collect(lexicon: Lexicon, finds: Finds, field: Field, state: number, finish: number, whole: boolean): boolean {
  let word = lexicon.out[state]!;
  let waiting = false;
  while (word !== 0) {
    const properties = lexicon.word_bits[word]!;
    const alone = band(properties, WordBits.Whole) !== 0;
    if (stands(lexicon, field, word)) {
      const length = rshift(properties, WordBits.LengthShift);
      const start = rshift(field.ring[band(field.count - length, RING - 1)]!, POSITION_SHIFT);
      const action = rshift(band(properties, WordBits.ActionMask), WordBits.ActionShift);
      if (alone) {
        waiting = true;
        if (action !== Action.Flag && (field.pending_start < 0 || start < field.pending_start)) {
          field.pending_start = start;
        }
      }
      if (alone === whole) {
        add_find(finds, field, start, finish, action, band(properties, WordBits.List), field.quoted);
      }
    }
    word = lexicon.next[word]!;
  }
  return waiting;
}

export { BEHIND_SEPARATOR, BEHIND_WORD, MOST_SEPARATORS, POSITION_SHIFT, add_find, collect, is_nested_kind };
export type { Finds, Hit };
