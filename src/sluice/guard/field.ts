/**
 * What a guard remembers of one text while it is read: a choice's content, its reasoning, the arguments of a tool call.
 * One C structure of fixed size, so that reading on costs the garbage collector nothing and a text can be taken up
 * again at any character, whatever came in between.
 */

import * as ffi from "ffi";
import "./pattern";
import type { PatternState } from "./pattern";

/** Characters whose positions are remembered: the longest word's (a power of two). */
const RING = 128;

/**
 * Where reading JSON inside a JSON string stands (the arguments of a tool call). The first digit of `\uXXXX` is
 * awaited in `Digits`, the last three in those that follow; the same for the second half of a surrogate pair.
 */
const enum Inner {
  Plain = 0,
  Backslash = 1,
  Digits = 2,
  /** After a high surrogate: the backslash, the u, and the digits of the low one. */
  PairBackslash = 6,
  PairLetter = 7,
  PairDigits = 8,
}

ffi.cdef(`
typedef struct {
  int32_t outer, inner, place, kind, id;
  int32_t starts, rare, fixed, stops, waits, last;
  int32_t state, count, gap;
  int32_t entry, character_class, position, next, passed;
  int32_t pending, pending_end, pending_start, pending_for, marks_end;
  int32_t held, held_start, held_middle, held_last, held_next;
  int32_t greek, cyrillic;
  int32_t characters, settled;
  int32_t phase, phase_start, value, high, quoted;
  int32_t half, half_start, half_passed;
  sluice_pattern pattern;
  int32_t ring[${RING}];
  int32_t mark_number[${RING}], mark_sum[${RING}];
  uint8_t mark_bits[${RING}];
} sluice_field;
`);

interface Field {
  /** Which text of a stream it is (`TextPlace`). */
  outer: number;
  inner: number;
  place: number;
  kind: number;
  /** Its number among the answer's texts. */
  id: number;
  /** The bit of an entry that says whether a word may begin with the next character: `Entry.Starts`, or `StartsInside`. */
  starts: number;
  /** Characters with one of these bits take more than a move of the automaton; `fixed`: without what the patterns wake for. */
  rare: number;
  fixed: number;
  /** With one of these it ends a run: as `rare`, but what the patterns are told of is read off the run afterwards if they are awake. */
  stops: number;
  /** Not 0: every character takes more, since something waits for it. */
  waits: number;
  /** Where the character before lies in the lexicon's tables; −1: there is none. */
  last: number;
  /**
   * The automaton's state, how many characters went into the ring, and how many separators came after the last one. At the
   * root: not 0 if what comes is not behind a character of a word.
   */
  state: number;
  count: number;
  gap: number;
  /** The character at hand: its `Entry` and class, where it begins and ends, and how many the text had before it. */
  entry: number;
  character_class: number;
  position: number;
  next: number;
  passed: number;
  /**
   * A state with words that wait for the next character; 0: none. Whole ones match if it is no word character, those whose last letter is
   * compared if it is no mark. Where they end, and where the first of them begins that has to be held back; −1: none has.
   */
  pending: number;
  pending_end: number;
  pending_start: number;
  /** What they wait for besides (`Waiting`), and where they end with the marks that followed. */
  pending_for: number;
  marks_end: number;
  /**
   * Letters of Hangul that may not be a whole syllable yet (`jamo`); 0: none. Where they begin, where the last of them begins and where the
   * one before it ends, and where they end.
   */
  held: number;
  held_start: number;
  held_middle: number;
  held_last: number;
  held_next: number;
  /** The number among the text's characters (`count`) of the last Greek and Cyrillic letter that went into the ring. */
  greek: number;
  cyrillic: number;
  /** How many characters the text had before the string at hand, less the counter's value at its beginning. */
  characters: number;
  /** 1: the text's unfinished words are no longer held back, since another text of the same choice has begun. */
  settled: number;
  /** JSON inside JSON: an `Inner`, where the escape began, its value, the high surrogate before it. */
  phase: number;
  phase_start: number;
  value: number;
  high: number;
  /** 1: inside a string of the inner JSON. */
  quoted: number;
  /**
   * Half of a surrogate pair that the text ended with, where it begins, and how many characters were before it: the other half
   * may come with the next event. 0: none.
   */
  half: number;
  half_start: number;
  half_passed: number;
  pattern: PatternState;
  /** By character that led on: its position times 4, plus 2 if it came right behind a word character, plus 1 if behind a separator. */
  ring: Int32Buffer;
  /** By the same place, if `mark_number` has the character's number: the sum of its marks, and its letter bits (`traits`). */
  mark_number: Int32Buffer;
  mark_sum: Int32Buffer;
  mark_bits: Bytes;
}

function new_field(): Field {
  const field = ffi.new<Field>("sluice_field");
  field.greek = -1;
  field.cyrillic = -1;
  return field;
}

export { Inner, RING, new_field };
export type { Field };
