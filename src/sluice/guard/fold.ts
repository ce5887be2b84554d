/**
 * Folds characters: those that a reader takes for the same become one code point, their representative. Words and text are
 * both folded before they are compared, so a word is found in whatever disguise of its characters.
 *
 * United are: upper and lower case; full and half width, letters in circles, mathematical and superscript ones (all that
 * Unicode calls compatible, NFKC); letters with and without accents; digits of every script; simplified and traditional
 * Chinese characters with the variants of Taiwan, Hong Kong and Japan; Cyrillic and Greek letters with the Latin ones that
 * they look like. Some characters stand for several, such as a ligature. What can't be seen is ignored: it must not
 * keep a word from being found. White space, punctuation and symbols are all one separator. FULL BLOCK, with which the
 * guard masks, is an ordinary character that stands for itself.
 *
 * A character is folded without a look at those around it, and its marks are taken off. Where they make another letter of it is
 * said by `traits`, for words that ask. Syllables of Hangul whose parts a text has one by one are put together before
 * (`jamo`). The vowel signs and tone marks of Thai, Devanagari and their like stay, since they are no accents there.
 *
 * How the data lies. tools/make_fold.mjs works it out at build time. A table of 8,704 integers names the page of each 128 code
 * points, a page has an entry for each of them: a word bit, then a bit that says whether the rest is the difference to
 * the representative (so that all pages of characters that stand for themselves are one page) or the
 * negative result. 0.4 MB in all, in memory that the garbage collector does not walk.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import * as data from "sluice.guard.fold_data";
import { decode_utf8 } from "../wire/json_text";
import { LAST_CODE_POINT, PAGE_BITS, PAGE_SIZE, read_index, read_pages } from "./paged";
import { counts, is_letter_mark } from "./traits";

const arshift = bits.arshift;
const band = bits.band;
const rshift = bits.rshift;
const gmatch = string.gmatch;

/** What is no representative. */
const enum Folded {
  Ignored = -1,
  Separator = -2,
  /** This and less: a character that stands for several. */
  FirstExpansion = -3,
}

/** In an entry. */
const enum Bit {
  Word = 1,
  /** The rest is the result, not a difference. */
  Result = 2,
}

const INDEX = read_index(data.index);
const PAGES = read_pages(data.pages, data.page_count);
/** Where each expansion begins in `EXPANDED`; it ends where the next one begins. */
const EXPANSIONS = ffi.new<Int32Buffer>("int32_t[?]", data.expansion_count + 1);
/** No expansion has more than 18 parts. */
const EXPANDED = ffi.new<Int32Buffer>("int32_t[?]", data.expansion_count * 18);

/** Fills the tables of expansions. */
function read_expansions(text: string): void {
  let at = 0;
  let expansion = 0;
  for (const [value] of gmatch(text, "%S+")) {
    const part = tonumber(value);
    if (part === undefined) {
      expansion += 1;
      EXPANSIONS[expansion] = at;
    } else {
      EXPANDED[at] = part;
      at += 1;
    }
  }
}

read_expansions(data.expansions);

/** Changes whenever any character folds to something else: what was compiled with another fold has to be compiled again. */
const FOLD_VERSION: string = data.version;

function entry_of(code_point: number): number {
  return PAGES[INDEX[rshift(code_point, PAGE_BITS)]! + band(code_point, PAGE_SIZE - 1)]!;
}

/**
 * What a code point folds to: its representative (0 or more), or one of `Folded`. For `FirstExpansion` and less
 * `expansion` has the sequence. Numbers that are no code points are separators.
 */
function fold(code_point: number): number {
  if (code_point < 0 || code_point > LAST_CODE_POINT) {
    return Folded.Separator;
  }
  const entry = entry_of(code_point);
  if (band(entry, Bit.Result) !== 0) {
    return arshift(entry, 2);
  }
  return code_point + arshift(entry, 2);
}

/** Where the parts of an expansion (`FirstExpansion` or less) begin and end, for `expansion_part`. */
function expansion_bounds(folded: number): LuaMultiReturn<[from: number, to: number]> {
  const number = Folded.FirstExpansion - folded;
  return $multi(EXPANSIONS[number]!, EXPANSIONS[number + 1]!);
}

/** One of its parts. */
function expansion_part(at: number): number {
  return EXPANDED[at]!;
}

/**
 * The sequence that an expansion (`FirstExpansion` or less) stands for: two or more representatives and separators, and behind a
 * representative the marks that are taken off it.
 */
function expansion(folded: number): readonly number[] {
  const number = Folded.FirstExpansion - folded;
  const parts: number[] = [];
  if (number < 0 || number >= data.expansion_count) {
    return parts;
  }
  for (const at of $range(EXPANSIONS[number]!, EXPANSIONS[number + 1]! - 1)) {
    parts.push(EXPANDED[at]!);
  }
  return parts;
}

/**
 * Whether a representative is part of words that spaces set apart, so that a whole word ends where such a character does
 * not follow: a letter or digit, but not of Chinese, Japanese, Korean, Thai and their like.
 */
function is_word(representative: number): boolean {
  if (representative < 0 || representative > LAST_CODE_POINT) {
    return false;
  }
  const entry = entry_of(representative);
  return band(entry, Bit.Result) === 0 && band(entry, Bit.Word) !== 0;
}

/**
 * Whether a mark is a character of words behind that character: both are of scripts where marks are, and either both or none of such as
 * set words apart.
 */
function joins(representative: number, mark: number): boolean {
  return counts(representative) && is_letter_mark(mark) && is_word(representative) === is_word(mark);
}

/** Appends what a character folds to, without what is ignored behind the one before. */
function append_folded(folded: number[], value: number): void {
  if (value <= Folded.FirstExpansion) {
    for (const part of expansion(value)) {
      append_folded(folded, part === Folded.Separator ? part : fold(part));
    }
  } else if (value >= 0 && is_letter_mark(value)) {
    if (folded.length > 0 && joins(folded[folded.length - 1]!, value)) {
      folded.push(value);
    }
  } else if (value !== Folded.Ignored) {
    folded.push(value);
  }
}

/**
 * The folded sequence of a UTF-8 text: expansions in place of the character, separators as -2, ignored characters and marks left
 * out, but for vowel signs and their like. Bytes that are no UTF-8 are separators. For tests and tools; it makes tables.
 */
function fold_text(text: string): number[] {
  const bytes = ffi.cast<Bytes>("const uint8_t *", text);
  const size = text.length;
  const folded: number[] = [];
  let at = 0;
  while (at < size) {
    let code_point = bytes[at]!;
    let next = at + 1;
    if (code_point > 127) {
      const [decoded, after] = decode_utf8(bytes, at, size);
      code_point = after > 0 ? decoded : -1;
      next = after > 0 ? after : next;
    }
    append_folded(folded, fold(code_point));
    at = next;
  }
  return folded;
}

export { FOLD_VERSION, Folded, expansion, expansion_bounds, expansion_part, fold, fold_text, is_word, joins };
