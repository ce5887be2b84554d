/** From lists of words to one compiled lexicon. */

import * as bits from "bit";
import * as ffi from "ffi";
import { ROW_BITS, make_ascii_table } from "./ascii_table";
import { build } from "./automaton";
import { WordBits } from "./words";
import { make_table } from "./character_table";
import { PAGE_COUNT } from "./entry";
import { FOLD_VERSION, is_word } from "./fold";
import { is_hangul } from "./jamo";
import { needs_of } from "./needs";
import { counts } from "./traits";
import { write_image } from "./lexicon";
import type { Words } from "./words";
import type { Lexicon, Piece } from "./lexicon";

const band = bits.band;
const bnot = bits.bnot;
const bor = bits.bor;
const lshift = bits.lshift;
const rshift = bits.rshift;

/** A list to be compiled with others. */
interface Source {
  /** What reports call it. */
  name: string;
  /** For its words that name no action of their own: an `Action`. */
  action: number;
  words: Words;
  /** How many characters the words have together. */
  characters_size: number;
}

/** Words without characters. */
function no_words(count: number, characters: number, extras: number): Words {
  return {
    count: 0,
    characters: ffi.new<Int32Buffer>("int32_t[?]", characters + 1),
    starts: ffi.new<Int32Buffer>("int32_t[?]", count + 2),
    bits: ffi.new<Int32Buffer>("int32_t[?]", count + 1),
    gaps: ffi.new<Int32Buffer>("int32_t[?]", count + 1),
    letters: ffi.new<Int32Buffer>("int32_t[?]", count + 1),
    // Place 0 stands for none.
    extras: ffi.new<Int32Buffer>("int32_t[?]", extras + 1),
    extras_size: 1,
  };
}

/** All lists' words in one, each with its list's number and its action. */
function join(sources: Source[]): Words {
  let count = 0;
  let characters = 0;
  let extras = 0;
  for (const source of sources) {
    count += source.words.count;
    characters += source.characters_size;
    extras += source.words.extras_size;
  }
  const all = no_words(count, characters, extras);
  let list = 0;
  let start = 0;
  for (const source of sources) {
    const { words } = source;
    const shift = all.extras_size;
    for (const at of $range(0, words.extras_size - 1)) {
      all.extras[shift + at] = words.extras[at]!;
    }
    all.extras_size += words.extras_size;
    for (const word of $range(1, words.count)) {
      let properties = bor(band(words.bits[word]!, bnot(WordBits.List)), list);
      if (band(properties, WordBits.ActionMask) === 0) {
        properties = bor(properties, lshift(source.action, WordBits.ActionShift));
      }
      const length = rshift(properties, WordBits.LengthShift);
      const gaps = words.gaps[word]!;
      const letters = band(properties, WordBits.Compared) !== 0 ? words.letters[word]! : 0;
      all.count += 1;
      all.bits[all.count] = properties;
      all.starts[all.count] = start;
      all.gaps[all.count] = gaps === 0 ? 0 : gaps + shift;
      all.letters[all.count] = letters === 0 ? 0 : letters + shift;
      ffi.copy(
        (all.characters as unknown as number) + start as unknown,
        (words.characters as unknown as number) + words.starts[word]! as unknown,
        length * 4,
      );
      start += length;
    }
    list += 1;
  }
  all.starts[all.count + 1] = start;
  return all;
}

/** The words of a compiled lexicon, to be compiled with others. It must be of one list. */
function words_of(lexicon: Lexicon): Words {
  return {
    count: lexicon.words,
    characters: lexicon.word_characters,
    starts: lexicon.word_starts,
    bits: lexicon.word_bits,
    gaps: lexicon.gaps,
    letters: lexicon.letters,
    extras: lexicon.extras,
    extras_size: lexicon.extras_size,
  };
}

function integers(values: number[]): Int32Buffer {
  const made = ffi.new<Int32Buffer>("int32_t[?]", values.length + 1);
  let at = 0;
  for (const value of values) {
    made[at] = value;
    at += 1;
  }
  return made;
}

/**
 * Compiles the lists into one lexicon. Returns its bytes, as they go into a file or are opened where they are, and how
 * many. `pause` is called every few milliseconds. `with_words`: the words themselves go with it, so that it can be compiled
 * with others again (`words_of`).
 */
function compile_lexicon(sources: Source[], with_words: boolean, pause: (this: void) => void): LuaMultiReturn<[image: Bytes, bytes: number]> {
  const words = join(sources);
  const automaton = build(words, { is_word, counts, is_hangul }, pause);
  const needs = needs_of(words, automaton);
  const table = make_table(automaton.symbol_count, automaton.characters, automaton.begins, needs, pause);
  const ascii = make_ascii_table(automaton, words.bits, table.entries, pause);
  const { size } = automaton;
  const names: string[] = [];
  for (const source of sources) {
    names.push(`${string.gsub(source.name, "%z", "")[0]}\0`);
  }
  const name_text = names.join("");
  const pieces: Piece[] = [
    { data: automaton.link, count: size, width: 4 },
    { data: automaton.check, count: size, width: 4 },
    { data: automaton.fail, count: size, width: 4 },
    { data: automaton.resume, count: size, width: 4 },
    { data: automaton.info, count: size, width: 4 },
    { data: automaton.out, count: size, width: 4 },
    { data: automaton.next, count: words.count + 1, width: 4 },
    { data: words.bits, count: words.count + 1, width: 4 },
    { data: words.gaps, count: words.count + 1, width: 4 },
    { data: words.letters, count: needs.marks ? words.count + 1 : 0, width: 4 },
    { data: words.extras, count: words.extras_size, width: 4 },
    { data: table.pages, count: PAGE_COUNT, width: 4 },
    { data: table.entries, count: table.size, width: 4 },
    { data: table.classes, count: table.size, width: 1 },
    { data: integers(table.expansions), count: table.expansions.length, width: 4 },
    { data: integers(table.expansion_entries), count: table.expansion_entries.length, width: 4 },
    { data: integers(table.expansion_classes), count: table.expansion_classes.length, width: 4 },
    { data: words.starts, count: with_words ? words.count + 2 : 0, width: 4 },
    { data: words.characters, count: with_words ? words.starts[words.count + 1]! : 0, width: 4 },
    { data: name_text, count: name_text.length, width: 1 },
    { data: ascii.cells, count: lshift(ascii.rows, ROW_BITS), width: 2 },
    { data: ascii.states, count: ascii.rows, width: 4 },
    { data: ascii.row_pairs, count: ascii.pairs * 2, width: 4 },
    { data: ascii.columns, count: 256, width: 1 },
  ];
  const [image, bytes] = write_image(pieces, automaton.states, FOLD_VERSION);
  return $multi(image, bytes);
}

export { compile_lexicon, words_of };
export type { Source };
