/**
 * What there is to know of a character beyond what it folds to: which marks it has, or is, and which script it is of.
 *
 * The fold takes a letter's marks off, so that `café` is found by `cafe`. What is a matter of taste there makes another letter
 * elsewhere: Vietnamese `ặ`, Russian `ё`, Japanese が. Words that have such letters are found by their folded letters
 * first, and then it is compared whether each letter of the text has the word's marks. Two numbers say it for a letter:
 *
 * - the *sum* of all its marks, mixed such that other marks have another sum, in whatever order they come. Words in Latin letters compare it.
 * - its *letter bits*, of the few marks that make letters in Cyrillic and of kana. Of those a word compares only
 *   the ones that its own letter could have (`takes`): an accent that shows the stress is none of them.
 *
 * In the scripts of South and South-East Asia marks are vowels, tones and ends of syllables, and are ordinary characters of
 * words (`counts`) behind other characters of such scripts; behind any other they are ignored.
 *
 * How the data lies. As that of the fold, with pages of 128 code points: a trait is one integer.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import * as data from "sluice.guard.fold_data";
import { LAST_CODE_POINT, PAGE_BITS, PAGE_SIZE, read_index, read_pages } from "./paged";

const band = bits.band;
const bxor = bits.bxor;
const rshift = bits.rshift;
const tobit = bits.tobit;
const gmatch = string.gmatch;

/** The bits of a trait. */
const enum Trait {
  /** The letter bits that the character has, or of a mark: is. */
  Has = 0xff,
  /** Above: the letter bits that make other letters of what it folds to. */
  TakesShift = 8,
  ScriptShift = 16,
  ScriptMask = 7,
  /** It is a mark. */
  Mark = 0x80000,
  /** Marks behind it are characters of words. Of a mark: it is such a one. */
  Counts = 0x100000,
  /** The rest is the number of its set of marks. */
  SetShift = 21,
}

/** Scripts whose letters are compared with their marks, or look like those of another script. */
const enum Script {
  Other = 0,
  Latin = 1,
  Greek = 2,
  Cyrillic = 3,
  Kana = 4,
}

const INDEX = read_index(data.trait_index);
const PAGES = read_pages(data.trait_pages, data.trait_page_count);
/** By set of marks: the sum. */
const SUMS = ffi.new<Int32Buffer>("int32_t[?]", data.mark_set_count);

/** A mark's part of a sum: 32 bits that have little to do with those of its neighbours. */
function mixed(mark: number): number {
  const first = tobit(mark * 0x9e3779b1);
  const halved = bxor(first, rshift(first, 15));
  const second = tobit(band(halved, 0xfffff) * 0x85eb + halved);
  return bxor(second, rshift(second, 13));
}

function read_sums(text: string): void {
  let set = 0;
  for (const [value] of gmatch(text, "%S+")) {
    const mark = tonumber(value);
    if (mark === undefined) {
      set += 1;
    } else {
      SUMS[set] = tobit(SUMS[set]! + mixed(mark));
    }
  }
}

read_sums(data.mark_sets);

/** A code point's trait. Numbers that are no code points have none. */
function trait_of(code_point: number): number {
  if (code_point < 0 || code_point > LAST_CODE_POINT) {
    return 0;
  }
  return PAGES[INDEX[rshift(code_point, PAGE_BITS)]! + band(code_point, PAGE_SIZE - 1)]!;
}

/** The sum of the marks that a trait tells of; 0: it has none. */
function sum_of(trait: number): number {
  return SUMS[rshift(trait, Trait.SetShift)]!;
}

/** Its `Script`. */
function script_of(trait: number): number {
  return band(rshift(trait, Trait.ScriptShift), Trait.ScriptMask);
}

/** The letter bits that make other letters of what it folds to. */
function takes_of(trait: number): number {
  return band(rshift(trait, Trait.TakesShift), Trait.Has);
}

/** Whether marks behind a character count; of a mark: whether it counts behind such a one. */
function counts(code_point: number): boolean {
  return band(trait_of(code_point), Trait.Counts) !== 0;
}

/** Whether a character is a mark that counts behind letters of scripts whose marks do. */
function is_letter_mark(code_point: number): boolean {
  return band(trait_of(code_point), Trait.Counts + Trait.Mark) === Trait.Counts + Trait.Mark;
}

export { Script, Trait, counts, is_letter_mark, script_of, sum_of, takes_of, trait_of };
