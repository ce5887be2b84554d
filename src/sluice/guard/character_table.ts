/** The table by which a guard finds what it knows of each code point: made when a lexicon is compiled, from the fold and the words' symbols. */

import * as bits from "bit";
import * as ffi from "ffi";
import { Entry, PAGE_BITS, PAGE_COUNT, PAGE_SIZE, TAKEN } from "./entry";
import { Folded, expansion, fold, is_word } from "./fold";
import { jamo_of } from "./jamo";
import { class_of, wake_of } from "./pattern_class";
import { Script, Trait, script_of, sum_of, trait_of } from "./traits";
import { WordBits } from "./words";
import type { Needs } from "./needs";

const bor = bits.bor;
const band = bits.band;
const lshift = bits.lshift;

/** In `begins`: the bits of `Entry` that say how words begin lie this much higher. */
const BEGINS_SHIFT = 21;

interface CharacterTable {
  /** By page of 128 code points: where it begins in the two tables below. Pages that are the same lie there once. */
  pages: Int32Buffer;
  entries: Int32Buffer;
  classes: Bytes;
  size: number;
  /** By expansion, from 1: where its characters begin below; one more for the end of the last. */
  expansions: number[];
  expansion_entries: number[];
  expansion_classes: number[];
}

/** What the table is made from: the symbol of each representative that has one, how words begin with it, and what else they ask for. */
interface Symbols {
  of: LuaTable<number, number>;
  begins: Int32Buffer;
  needs: Needs;
}

/** The entry of a character that folds to a single representative. */
function representative_entry(symbols: Symbols, representative: number, character_class: number): number {
  const symbol = (symbols.of.get(representative) as number | undefined) ?? 0;
  return bor(
    symbol,
    lshift(symbols.begins[symbol]!, BEGINS_SHIFT),
    is_word(representative) ? Entry.Word : 0,
    wake_of(character_class),
  );
}

/** The entry and class of one element of an expansion, or of a code point whose fold is known. */
function describe(symbols: Symbols, folded: number, original: number): LuaMultiReturn<[entry: number, character_class: number]> {
  const separator = folded === Folded.Separator;
  const character_class = class_of(separator ? original : folded, separator, !separator && is_word(folded), original);
  if (separator) {
    return $multi(bor(Entry.Separator, wake_of(character_class)), character_class);
  }
  return $multi(representative_entry(symbols, folded, character_class), character_class);
}

/** Whether the scanner looks at a letter more closely: the bit for its entry, or 0. */
function letter_bit(needs: Needs, code_point: number, folded: number, trait: number): number {
  const script = script_of(trait);
  const wanted = needs.scripts.get(folded) ?? 0;
  const is_wanted =
    (script === Script.Greek && band(wanted, WordBits.Greek) !== 0) || (script === Script.Cyrillic && band(wanted, WordBits.Cyrillic) !== 0);
  const is_compared = needs.compared.has(folded) && (band(trait, Trait.Has) !== 0 || sum_of(trait) !== 0);
  const is_jamo = needs.hangul && jamo_of(code_point, folded) !== 0;
  return is_wanted || is_compared || is_jamo ? Entry.Letter : 0;
}

/** The entry and class of a mark. */
function describe_mark(symbols: Symbols, code_point: number, trait: number): LuaMultiReturn<[entry: number, character_class: number]> {
  const { needs } = symbols;
  if (needs.counting && band(trait, Trait.Counts) !== 0) {
    const [entry, character_class] = describe(symbols, code_point, code_point);
    return $multi(bor(entry, Entry.Ignored, Entry.Letter), character_class);
  }
  return $multi(needs.marks ? bor(Entry.Ignored, Entry.Letter) : Entry.Ignored, 0);
}

/** The entry and class of a code point that stands for no more than one. */
function describe_one(symbols: Symbols, code_point: number, folded: number): LuaMultiReturn<[entry: number, character_class: number]> {
  const trait = trait_of(code_point);
  if (band(trait, Trait.Mark) !== 0) {
    return describe_mark(symbols, code_point, trait);
  }
  if (folded === Folded.Ignored) {
    return $multi(Entry.Ignored, 0);
  }
  const [entry, character_class] = describe(symbols, folded, code_point);
  return $multi(symbols.needs.any ? bor(entry, letter_bit(symbols.needs, code_point, folded, trait)) : entry, character_class);
}

/** Enters an expansion. Returns its number, with `Entry.Letter` if the scanner looks at one of its parts more closely. */
function add_expansion(made: CharacterTable, symbols: Symbols, folded: number): number {
  let letter = 0;
  for (const element of expansion(folded)) {
    const [entry, character_class] =
      element === Folded.Separator ? describe(symbols, element, 0) : describe_one(symbols, element, fold(element));
    letter = bor(letter, band(entry, Entry.Letter));
    if (band(entry, Entry.Ignored) === 0) {
      made.expansion_entries.push(band(entry, TAKEN));
      made.expansion_classes.push(character_class);
    }
  }
  made.expansions.push(made.expansion_entries.length);
  return bor(made.expansions.length - 2, letter);
}

/** What has a meaning in JSON that stands inside a JSON string. */
const INNER = new LuaSet<number>();
for (const code_point of string.byte('"\\,:[]{}', 1, -1)) {
  INNER.add(code_point);
}

/** Fills a page's entries and classes. */
function fill_page(made: CharacterTable, symbols: Symbols, numbers: LuaTable<number, number>, first: number, entries: Int32Buffer, classes: Bytes): void {
  for (const index of $range(0, PAGE_SIZE - 1)) {
    const code_point = first + index;
    const folded = fold(code_point);
    let entry = 0;
    let character_class = 0;
    if (folded <= Folded.FirstExpansion) {
      let number = numbers.get(folded) as number | undefined;
      if (number === undefined) {
        number = add_expansion(made, symbols, folded);
        numbers.set(folded, number);
      }
      entry = bor(Entry.Expands, number);
      character_class = made.expansion_classes[made.expansions[band(number, Entry.Symbol) + 1]! - 1] ?? 0;
    } else {
      [entry, character_class] = describe_one(symbols, code_point, folded);
    }
    if (INNER.has(code_point)) {
      entry = bor(entry, Entry.Inner);
    }
    entries[index] = entry;
    classes[index] = character_class;
  }
}

/** Makes the table; `symbol_characters` are the representatives by symbol, from 1. `pause` is called now and then. */
function make_table(
  symbol_count: number,
  symbol_characters: Int32Buffer,
  begins: Int32Buffer,
  needs: Needs,
  pause: (this: void) => void,
): CharacterTable {
  const of = new LuaTable<number, number>();
  for (const symbol of $range(1, symbol_count)) {
    of.set(symbol_characters[symbol]!, symbol);
  }
  const symbols: Symbols = { of, begins, needs };
  const made: CharacterTable = {
    pages: ffi.new<Int32Buffer>("int32_t[?]", PAGE_COUNT),
    entries: ffi.new<Int32Buffer>("int32_t[1]"),
    classes: ffi.new<Bytes>("uint8_t[1]"),
    size: 0,
    // Expansion 0 is none.
    expansions: [0, 0],
    expansion_entries: [],
    expansion_classes: [],
  };
  const entries = ffi.new<Int32Buffer>("int32_t[?]", PAGE_SIZE);
  const classes = ffi.new<Bytes>("uint8_t[?]", PAGE_SIZE);
  const numbers = new LuaTable<number, number>();
  const known = new LuaTable<string, number>();
  const entry_parts: string[] = [];
  const class_parts: string[] = [];
  for (const page of $range(0, PAGE_COUNT - 1)) {
    fill_page(made, symbols, numbers, lshift(page, PAGE_BITS), entries, classes);
    const entry_text = ffi.string(entries, PAGE_SIZE * 4);
    const class_text = ffi.string(classes, PAGE_SIZE);
    const key = entry_text + class_text;
    let offset = known.get(key) as number | undefined;
    if (offset === undefined) {
      offset = entry_parts.length * PAGE_SIZE;
      known.set(key, offset);
      entry_parts.push(entry_text);
      class_parts.push(class_text);
    }
    made.pages[page] = offset;
    if (band(page, 255) === 255) {
      pause();
    }
  }
  made.size = entry_parts.length * PAGE_SIZE;
  made.entries = ffi.new<Int32Buffer>("int32_t[?]", made.size);
  made.classes = ffi.new<Bytes>("uint8_t[?]", made.size);
  ffi.copy(made.entries, table.concat(entry_parts), made.size * 4);
  ffi.copy(made.classes, table.concat(class_parts), made.size);
  return made;
}

export { make_table };
export type { CharacterTable };
