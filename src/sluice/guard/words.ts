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
  /** Its last letter is compared with its marks, of which there may be more: it waits for the next character. */
  Open = 0x1000,
  /** One of its letters at least must be Greek, or Cyrillic: all of them look like Latin ones. */
  Greek = 0x2000,
  Cyrillic = 0x4000,
  /** Some of its letters are compared beyond what they fold to. */
  Compared = 0x8000,
  /** The number of characters, shifted left. */
  LengthShift = 16,
}

/** A letter that is compared beyond what it folds to: the first of two integers. The second is what it must be. */
const enum LetterBits {
  /** Which of the word's letters it is, counted from 1. */
  Index = 0xff,
  /** Above, as many bits: which letter bits are compared (`takes` in traits); 0: the sum of the marks is. */
  MaskShift = 8,
  /** An i or j: a dot above is no mark. */
  Dotted = 0x10000,
}

/** The words to build from; word `w` counts from 1. */
interface Words {
  count: number;
  /** The representatives of all words' characters, one word after the other. */
  characters: Int32Buffer;
  /** By word: where its characters begin, and its `WordBits`. */
  starts: Int32Buffer;
  bits: Int32Buffer;
  /** By word: where its gaps lie in `extras`, ended by 0; 0: it has none. A gap is the number of characters before it. */
  gaps: Int32Buffer;
  /** The same of the letters that are compared, two integers each (`LetterBits`), of words that have `Compared`. */
  letters: Int32Buffer;
  extras: Int32Buffer;
  extras_size: number;
}

/** How many characters a word has. */
function length_of(words: Words, word: number): number {
  return rshift(words.bits[word]!, WordBits.LengthShift);
}

export { Action, LONGEST_WORD, LetterBits, WordBits, length_of };
export type { Words };
