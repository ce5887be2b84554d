/**
 * The letters of which Hangul's syllables are made, and how they are put together again where a text has them one by one: as
 * Unicode takes a syllable apart (NFD: a leading consonant, a vowel, perhaps a trailing consonant), and as a keyboard has them (the
 * compatibility letters of U+3131 and the half-width ones), where a consonant may be either.
 *
 * A letter, and a syllable that is not complete, is one integer: its leading consonant, vowel and trailing consonant, each counted from 1; 0: it has none. A
 * trailing consonant of a keyboard goes over to the next syllable if a vowel follows (시발 is typed ㅅㅣㅂㅏㄹ), so it is
 * kept as a leading one too.
 */

import * as bits from "bit";

const band = bits.band;
const bor = bits.bor;
const lshift = bits.lshift;
const rshift = bits.rshift;

const MASK = 31;
const VOWEL_SHIFT = 5;
const TRAILING_SHIFT = 10;
/** What the trailing consonant is as a leading one. */
const MOVED_SHIFT = 15;

const VOWEL = 0x3e0;
const TRAILING = 0x7c00;

/** The three rows of Unicode's letters (chapter 3.12): their first code points. */
const FIRST_LEADING = 0x1100;
const FIRST_VOWEL = 0x1161;
/** Trailing consonants count from the one behind this. */
const NO_TRAILING = 0x11a7;
const LEADING_COUNT = 19;
const VOWEL_COUNT = 21;
const TRAILING_COUNT = 27;
const FIRST_SYLLABLE = 0xac00;

/** By leading consonant, from 1: the same as a trailing one; 0: it can't be one. */
const AS_TRAILING: readonly number[] = [1, 2, 4, 7, 0, 8, 16, 17, 0, 19, 20, 21, 22, 0, 23, 24, 25, 26, 27];

/**
 * The letter that a code point is, given what it folds to; 0: it is none of those that make modern syllables. What folds to
 * another code point is a letter of a keyboard.
 */
function jamo_of(code_point: number, folded: number): number {
  if (folded < FIRST_LEADING || folded > NO_TRAILING + TRAILING_COUNT) {
    return 0;
  }
  const leading = folded - FIRST_LEADING;
  if (leading < LEADING_COUNT) {
    const trailing = code_point === folded ? 0 : AS_TRAILING[leading]!;
    return bor(leading + 1, lshift(trailing, TRAILING_SHIFT));
  }
  const vowel = folded - FIRST_VOWEL;
  if (vowel >= 0 && vowel < VOWEL_COUNT) {
    return lshift(vowel + 1, VOWEL_SHIFT);
  }
  return folded > NO_TRAILING ? lshift(folded - NO_TRAILING, TRAILING_SHIFT) : 0;
}

/** What a syllable begins with if it begins with the letter; 0: none does. */
function begin_syllable(jamo: number): number {
  return band(jamo, MASK);
}

/** The syllable with one more letter; 0: it can't take it. */
function join_jamo(held: number, jamo: number): number {
  if (band(held, MASK) === 0 || band(held, TRAILING) !== 0) {
    return 0;
  }
  if (band(held, VOWEL) === 0) {
    return band(jamo, VOWEL) !== 0 ? bor(held, band(jamo, VOWEL)) : 0;
  }
  return band(jamo, TRAILING) !== 0 ? bor(held, band(jamo, TRAILING), lshift(band(jamo, MASK), MOVED_SHIFT)) : 0;
}

/** Whether no letter that may follow changes the syllable any more. */
function is_complete(held: number): boolean {
  return band(held, TRAILING) !== 0 && rshift(held, MOVED_SHIFT) === 0;
}

/** If the letter is a vowel that the syllable's trailing consonant goes over to: what the next syllable has then; else 0. */
function split_syllable(held: number, jamo: number): number {
  const moved = rshift(held, MOVED_SHIFT);
  return moved !== 0 && band(jamo, VOWEL) !== 0 ? bor(moved, band(jamo, VOWEL)) : 0;
}

/** The syllable without its trailing consonant. */
function without_trailing(held: number): number {
  return band(held, MASK + VOWEL);
}

/** The code point of a syllable, or of a leading consonant that no vowel followed. */
function syllable_of(held: number): number {
  const leading = band(held, MASK) - 1;
  const vowel = band(rshift(held, VOWEL_SHIFT), MASK) - 1;
  if (vowel < 0) {
    return FIRST_LEADING + leading;
  }
  const trailing = band(rshift(held, TRAILING_SHIFT), MASK);
  return FIRST_SYLLABLE + (leading * VOWEL_COUNT + vowel) * (TRAILING_COUNT + 1) + trailing;
}

/** Whether a code point is a letter or a syllable of Hangul that letters of a text may make. */
function is_hangul(code_point: number): boolean {
  return (code_point >= FIRST_SYLLABLE && code_point <= 0xd7a3) || (code_point >= FIRST_LEADING && code_point <= 0x11ff);
}

export { begin_syllable, is_complete, is_hangul, jamo_of, join_jamo, split_syllable, syllable_of, without_trailing };
