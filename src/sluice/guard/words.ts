/** The words of lists as they are handed on: from the reader of a list to the automaton. */

import * as bits from "bit";

const rshift = bits.rshift;

/** The longest word, in characters after folding. */
const LONGEST_WORD = 128;

/** What is done about a match. The stronger one has the greater number. */
const enum Action {
  Flag = 1,
  Mask = 2,
  Block = 3,
}

/** A word's properties in one integer. */
const enum WordBits {
  /** Which list it is from, counted from 0. */
  List = 0xff,
  /** What `Action` is shifted left by. */
  ActionShift = 8,
  ActionMask = 0x300,
  /** Matches whole words only. */
  Whole = 0x400,
  /** Separators within are passed over; else they must be as written. */
  Loose = 0x800,
  /** The number of characters, shifted left. */
  LengthShift = 12,
}

/** The words to build from; word `w` counts from 1. */
interface Words {
  count: number;
  /** The representatives of all words' characters, one word after the other. */
  characters: Int32Buffer;
  /** By word: where its characters begin, and its `WordBits`. */
  starts: Int32Buffer;
  bits: Int32Buffer;
  /** By word: where its gaps lie in `gap_pool`, ended by 0; 0: it has none. A gap is the number of characters before it. */
  gaps: Int32Buffer;
  gap_pool: Int32Buffer;
  gap_pool_size: number;
}

/** How many characters a word has. */
function length_of(words: Words, word: number): number {
  return rshift(words.bits[word]!, WordBits.LengthShift);
}

export { Action, LONGEST_WORD, WordBits, length_of };
export type { Words };
