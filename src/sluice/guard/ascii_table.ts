/**
 * A table that takes the automaton through ASCII text with one load a character: a row of 64 cells for each of its states that
 * such text leads to, and for some of them a second one that stands for the state behind a separator. The root's second one stands for
 * any place that is not behind a character of a word: more words can begin there.
 *
 * Characters that are the same to all words share a column: a letter and its capital, all separators. The letters come first, so that
 * what ordinary text needs of a row lies in one line of the processor's cache. Column 0 is for characters that have none.
 *
 * A cell is the next row; −1: the character takes more than that, since a word ends with it, it stands for several, or the
 * state that follows has no row. There are at most 4,095 rows, for the states nearest to the root.
 *
 * A word that must stand alone does not end with its last character, but with the one behind it: in ordinary English that is
 * nearly always one more letter, and nothing was found. So its state has a row too, in which only letters and digits lead on.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { Info, LINK_BITS, Link } from "./automaton";
import { Entry } from "./entry";
import { WordBits } from "./words";
import type { Automaton } from "./automaton";

const band = bits.band;
const bor = bits.bor;
const lshift = bits.lshift;
const rshift = bits.rshift;

const MOST_ROWS = 4095;
const ROW_BITS = 6;
const MOST_COLUMNS = 64;

/** The order in which characters get their columns. */
const FREQUENT = "etaoinshrdlcumwfgypbvkjxqz 0123456789";

interface AsciiTable {
  rows: number;
  /** By byte: its column. */
  columns: Bytes;
  /** int16: by row and column, the next row or −1. */
  cells: Int32Buffer;
  /** By row: its state, and 1 if it is the one behind a separator, else 0. */
  states: Int32Buffer;
  separated: Int32Buffer;
  /**
   * Pairs, by what `info` has of a state: its row, and the one behind a separator; −1: there is none. The first pair is for states
   * that have no row, the second one the root's.
   */
  row_pairs: Int32Buffer;
  pairs: number;
}

/** Adds a row; −1: there is no room. */
function add_row(table: AsciiTable, state: number, separated: number): number {
  if (table.rows === MOST_ROWS) {
    return -1;
  }
  const row = table.rows;
  table.states[row] = state;
  table.separated[row] = separated;
  table.rows += 1;
  return row;
}

/** The row of a state, which is added if there is room; −1: there is none. `separated`: 1 for the one behind a separator. */
function row_of(table: AsciiTable, automaton: Automaton, state: number, separated: number): number {
  let pair = rshift(automaton.info[state]!, Info.RowShift);
  if (pair === 0) {
    if (table.rows === MOST_ROWS) {
      return -1;
    }
    pair = table.pairs;
    table.pairs += 1;
    table.row_pairs[pair * 2] = -1;
    table.row_pairs[pair * 2 + 1] = -1;
    automaton.info[state] = bor(automaton.info[state]!, lshift(pair, Info.RowShift));
  }
  const at = pair * 2 + separated;
  if (table.row_pairs[at]! < 0) {
    table.row_pairs[at] = add_row(table, state, separated);
  }
  return table.row_pairs[at]!;
}

/** The state that follows on a symbol, by the suffixes too. `starts`: the bit of the entry that lets a word begin. */
function next_state(automaton: Automaton, from: number, entry: number, starts: number): number {
  const symbol = band(entry, Entry.Symbol);
  let state = from;
  while (symbol !== 0 && state !== 0) {
    const slot = rshift(automaton.link[state]!, LINK_BITS) + symbol;
    if (automaton.check[slot] === state) {
      return slot;
    }
    state = automaton.fail[state]!;
  }
  return band(entry, starts) !== 0 ? symbol : 0;
}

/** Whether all words that end at the state must stand alone. */
function is_whole(automaton: Automaton, word_bits: Int32Buffer, state: number): boolean {
  let word = automaton.out[state]!;
  while (word !== 0 && band(word_bits[word]!, WordBits.Whole) !== 0) {
    word = automaton.next[word]!;
  }
  return word === 0;
}

/** The cell of a row for a character. */
function cell(table: AsciiTable, automaton: Automaton, word_bits: Int32Buffer, row: number, entry: number): number {
  const state = table.states[row]!;
  const separated = table.separated[row]!;
  const ends = separated === 0 && band(automaton.link[state]!, Link.Word) !== 0;
  if (band(entry, Entry.Ignored + Entry.Expands) !== 0 || (ends && band(entry, Entry.Word) === 0)) {
    return -1;
  }
  if (band(entry, Entry.Separator) !== 0) {
    return row_of(table, automaton, automaton.resume[state]!, 1);
  }
  const inside = separated === 0 && (state === 0 || band(automaton.info[state]!, Info.Behind) !== 0);
  const next = next_state(automaton, state, entry, inside ? Entry.StartsInside : Entry.Starts);
  if (next === 0) {
    return row_of(table, automaton, 0, band(entry, Entry.Word) !== 0 ? 0 : 1);
  }
  return is_whole(automaton, word_bits, next) ? row_of(table, automaton, next, 0) : -1;
}

/** What of an entry decides where a character leads. */
const LEADS = Entry.Symbol + Entry.Word + Entry.Starts + Entry.StartsInside + Entry.Separator + Entry.Ignored + Entry.Expands;

/** Gives each ASCII character its column. Returns an entry of each column, from 1. */
function make_columns(columns: Bytes, entries: Int32Buffer): number[] {
  const column_of = new LuaTable<number, number>();
  const found: number[] = [];
  const add = (character: number): void => {
    const leads = band(entries[character]!, LEADS);
    if (!column_of.has(leads) && found.length < MOST_COLUMNS - 1) {
      found.push(leads);
      column_of.set(leads, found.length);
    }
    columns[character] = (column_of.get(leads) as number | undefined) ?? 0;
  };
  for (const character of string.byte(FREQUENT, 1, -1)) {
    add(character);
  }
  for (const character of $range(0, 127)) {
    add(character);
  }
  return found;
}

/**
 * Makes the table, and notes the rows in the automaton's `info`. `word_bits` are those of its words, `entries` those of the ASCII
 * characters.
 */
function make_ascii_table(automaton: Automaton, word_bits: Int32Buffer, entries: Int32Buffer, pause: (this: void) => void): AsciiTable {
  const table: AsciiTable = {
    rows: 0,
    columns: ffi.new<Bytes>("uint8_t[256]"),
    cells: ffi.new<Int32Buffer>("int16_t[?]", lshift(MOST_ROWS, ROW_BITS)),
    states: ffi.new<Int32Buffer>("int32_t[?]", MOST_ROWS),
    separated: ffi.new<Int32Buffer>("int32_t[?]", MOST_ROWS),
    row_pairs: ffi.new<Int32Buffer>("int32_t[?]", MOST_ROWS * 2 + 4),
    pairs: 1,
  };
  table.row_pairs[0] = -1;
  table.row_pairs[1] = -1;
  const found = make_columns(table.columns, entries);
  row_of(table, automaton, 0, 0);
  row_of(table, automaton, 0, 1);
  let row = 0;
  while (row < table.rows) {
    let at = lshift(row, ROW_BITS);
    table.cells[at] = -1;
    for (const entry of found) {
      at += 1;
      table.cells[at] = cell(table, automaton, word_bits, row, entry);
    }
    row += 1;
    if (row % 128 === 0) {
      pause();
    }
  }
  return table;
}

export { ROW_BITS, make_ascii_table };
export type { AsciiTable };
