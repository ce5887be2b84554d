/**
 * Reads lists of words as they are found: one entry a line.
 *
 *     # A comment; so is a line that begins with two slashes.
 *     word
 *     several words
 *     word<TAB>block whole
 *
 * Lines end in LF, CRLF or CR; the list may begin with a byte order mark. White space around an entry does not count, be it
 * ASCII, a no-break space or an ideographic one. Behind a TAB come options, between blanks or commas: `block`, `mask`, `flag`
 * (what is done about this word), `whole`, `part` (found as a whole word only, or inside others too), `exact`, `loose`
 * (separators inside must be as written, or are passed over). Others are passed over and reported, as many lists have
 * a second column of categories or frequencies. A word that begins with `#` or `//` can't be written.
 *
 * Words are folded (see fold.ts). What is left of one are its characters, what some of them must be beyond that (see
 * word_reader.ts), and its gaps: where the word as written has separators between them, of whatever kind and number. The gaps of loose
 * words say nothing and are not kept.
 *
 * The words of a large list would be a burden on the garbage collector as strings, so they lie in arrays of integers, as the
 * automaton is built from them.
 *
 * An entry that can't be used does not spoil the list: it is dropped and reported with its line. But a list that as a whole
 * is in another encoding is refused, as hardly a word of it would ever match.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { WordBits } from "./words";
import { common_separator } from "./list_form";
import { ends_inside_character, likely_encoding, wide_encoding } from "./text_encoding";
import { apply_options, is_ascii, is_utf8 } from "./word_entry";
import { add_word, new_draft, new_pool } from "./word_pool";
import { Fault, read_word } from "./word_reader";
import type { SeparatorUse } from "./list_form";
import type { Words } from "./words";
import type { Draft, WordPool } from "./word_pool";

const sub = string.sub;

/** What holds for the words that don't say it themselves. */
interface ListOptions {
  /** Found as whole words only: words of ASCII letters and digits, all words, or none. */
  whole: "ascii" | "always" | "never";
  /** Separators inside words: passed over but in words of ASCII letters and digits, passed over, or as written. */
  separators: "auto" | "ignore" | "exact";
}

/** Something to tell about a line. The reason reads on behind `line 12 `. */
interface Note {
  line: number;
  reason: string;
}

interface WordList {
  /** Of list 0; without an action but for the words that name one. Starts has one more entry, the end of the last word. */
  words: Words;
  /** How many characters the words have together. */
  characters_size: number;
  /** By word, from 1: its line. */
  lines: Int32Buffer;
  /** Entries that were not taken; only the first 100. */
  dropped: Note[];
  dropped_count: number;
  /** How many of them because of what. */
  not_utf8: number;
  empty: number;
  too_long: number;
  repeated: number;
  one_left: number;
  /** Words of one character that are found inside others, and the first one's line. */
  single: number;
  single_line: number;
  /** Words with symbols that may stand for letters, which are passed over, and the first one's line. */
  masked: number;
  masked_line: number;
  /** What most entries have in them that looks like a separator. */
  separator: SeparatorUse | undefined;
  /** Entries with options that are not known, which were passed over; only the first 100. */
  ignored: Note[];
  ignored_count: number;
}

/** What is kept while reading. */
interface Reading {
  options: ListOptions;
  text: string;
  bytes: Bytes;
  pool: WordPool;
  draft: Draft;
  list: WordList;
  /** Lines with bytes beyond ASCII, and how many of them are not UTF-8. */
  wide_lines: number;
  wrong_lines: number;
}

const MOST_NOTES = 100;
/** How much is read without a pause: lines, or bytes of long lines. */
const LINES_AT_ONCE = 2000;
const BYTES_AT_ONCE = 262144;

function note(notes: Note[], line: number, reason: string): void {
  if (notes.length < MOST_NOTES) {
    notes.push({ line, reason });
  }
}

/** Where the line that begins at `from` ends, and whether it has bytes beyond ASCII. */
function line_end(bytes: Bytes, from: number, size: number): LuaMultiReturn<[end: number, wide: boolean]> {
  let all = 0;
  let at = from;
  while (at < size) {
    const value = bytes[at]!;
    if (value === 10 || value === 13) {
      break;
    }
    all = bits.bor(all, value);
    at += 1;
  }
  return $multi(at, all > 127);
}

/** Where something else than white space or a byte order mark begins; `to` if nothing does. */
function skip_white(bytes: Bytes, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const value = bytes[at]!;
    if (value === 32 || (value >= 9 && value <= 13)) {
      at += 1;
    } else if (value === 0xc2 && at + 1 < to && bytes[at + 1] === 0xa0) {
      at += 2;
    } else if (value === 0xe3 && at + 2 < to && bytes[at + 1] === 0x80 && bytes[at + 2] === 0x80) {
      at += 3;
    } else if (value === 0xe2 && at + 2 < to && bytes[at + 1] === 0x80 && bytes[at + 2]! <= 0x8b) {
      // U+2000 to U+200B.
      at += 3;
    } else if (value === 0xef && at + 2 < to && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf) {
      at += 3;
    } else {
      return at;
    }
  }
  return to;
}

/** Where the word of an entry ends: at a TAB, or at the end. */
function word_end(bytes: Bytes, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[at] !== 9) {
    at += 1;
  }
  return at;
}

/** The properties of a word that has no options. */
function default_bits(draft: Draft, options: ListOptions): number {
  const { whole, separators } = options;
  const ascii = (whole === "ascii" || separators === "auto") && is_ascii(draft);
  let word_bits = 0;
  if (whole === "always" || (whole === "ascii" && ascii)) {
    word_bits = WordBits.Whole;
  }
  if (separators === "ignore" || (separators === "auto" && !ascii)) {
    word_bits += WordBits.Loose;
  }
  return word_bits;
}

/** Counts and notes an entry that is not taken. */
function drop(list: WordList, line: number, fault: Fault): void {
  list.dropped_count += 1;
  if (fault === Fault.NotUtf8) {
    list.not_utf8 += 1;
    note(list.dropped, line, "is not UTF-8");
  } else if (fault === Fault.Empty) {
    list.empty += 1;
    note(list.dropped, line, "has nothing left after folding");
  } else if (fault === Fault.Masked) {
    list.one_left += 1;
    note(list.dropped, line, "has one character beside symbols that may stand for others");
  } else {
    list.too_long += 1;
    note(list.dropped, line, "is longer than 128 characters");
  }
}

/** Counts what is to be told of a word that is taken. */
function count_odd(list: WordList, draft: Draft, word_bits: number, line: number): void {
  if (draft.length === 1 && bits.band(word_bits, WordBits.Whole) === 0) {
    list.single += 1;
    list.single_line = list.single === 1 ? line : list.single_line;
  }
  if (draft.masks > 0) {
    list.masked += 1;
    list.masked_line = list.masked === 1 ? line : list.masked_line;
  }
}

/** Takes the entry between two offsets. */
function read_entry(reading: Reading, from: number, to: number, line: number): void {
  const { bytes, draft, list } = reading;
  const end = word_end(bytes, from, to);
  const fault = end === to || is_utf8(bytes, end, to) ? read_word(draft, bytes, from, end) : Fault.NotUtf8;
  if (fault !== Fault.None) {
    if (fault === Fault.NotUtf8) {
      reading.wrong_lines += 1;
    }
    drop(list, line, fault);
    return;
  }
  let word_bits = default_bits(draft, reading.options);
  if (end < to) {
    const [applied, problem] = apply_options(word_bits, sub(reading.text, end + 1, to));
    word_bits = applied;
    if (problem !== undefined) {
      list.ignored_count += 1;
      note(list.ignored, line, problem);
    }
  }
  if (bits.band(word_bits, WordBits.Loose) !== 0) {
    draft.gap_count = 0;
  }
  const same = add_word(reading.pool, draft, bits.bor(word_bits, draft.properties), line);
  if (same === 0) {
    count_odd(list, draft, word_bits, line);
  } else {
    list.repeated += 1;
    list.dropped_count += 1;
    if (list.dropped.length < MOST_NOTES) {
      note(list.dropped, line, `is the same as line ${same}`);
    }
  }
}

/** Takes a line: an entry, a comment, or nothing. */
function read_line(reading: Reading, from: number, to: number, line: number, wide: boolean): void {
  const { bytes } = reading;
  if (wide) {
    reading.wide_lines += 1;
  }
  const begin = skip_white(bytes, from, to);
  if (begin === to) {
    return;
  }
  if (bytes[begin] === 35 || (bytes[begin] === 47 && begin + 1 < to && bytes[begin + 1] === 47)) {
    if (wide && !is_utf8(bytes, begin, to)) {
      reading.wrong_lines += 1;
    }
    return;
  }
  read_entry(reading, begin, to, line);
}

function new_reading(text: string, options: ListOptions): Reading {
  const pool = new_pool();
  return {
    options,
    text,
    bytes: ffi.cast<Bytes>("const uint8_t *", text),
    pool,
    draft: new_draft(),
    list: {
      words: pool.words,
      characters_size: 0,
      lines: pool.lines,
      dropped: [],
      dropped_count: 0,
      not_utf8: 0,
      empty: 0,
      too_long: 0,
      repeated: 0,
      one_left: 0,
      single: 0,
      single_line: 0,
      masked: 0,
      masked_line: 0,
      separator: undefined,
      ignored: [],
      ignored_count: 0,
    },
    wide_lines: 0,
    wrong_lines: 0,
  };
}

/**
 * Reads a list of words. `pause` is called every 2,000 lines or 256 KiB, so that the caller may let others have their turn.
 * Returns undefined and why, in words that read on behind the file's name, if the list is refused as a whole: it is
 * UTF-16, more than half of its lines beyond ASCII are not UTF-8, or it ends in the midst of a character.
 */
function read_word_list(
  text: string,
  options: ListOptions,
  pause: (this: void) => void,
): LuaMultiReturn<[list: WordList | undefined, reason: string | undefined]> {
  const refusal = wide_encoding(text);
  if (refusal !== undefined) {
    return $multi(undefined, refusal);
  }
  const reading = new_reading(text, options);
  const { bytes } = reading;
  const size = text.length;
  let line = 0;
  let at = 0;
  let paused_line = 0;
  let paused_at = 0;
  while (at < size) {
    const [end, wide] = line_end(bytes, at, size);
    line += 1;
    read_line(reading, at, end, line, wide);
    at = end + 1;
    if (end + 1 < size && bytes[end] === 13 && bytes[end + 1] === 10) {
      at = end + 2;
    }
    if (line - paused_line >= LINES_AT_ONCE || at - paused_at >= BYTES_AT_ONCE) {
      paused_line = line;
      paused_at = at;
      pause();
    }
  }
  if (reading.wrong_lines * 2 > reading.wide_lines) {
    return $multi(undefined, `is not UTF-8, but probably ${likely_encoding(text)}; expected UTF-8`);
  }
  if (ends_inside_character(text)) {
    return $multi(undefined, "ends in the midst of a character: it has been cut off, or is still being written");
  }
  const { list, pool } = reading;
  list.characters_size = pool.characters_size;
  list.lines = pool.lines;
  list.separator = common_separator(text);
  return $multi(list, undefined);
}

export { read_word_list };
export type { ListOptions, Note, WordList };
