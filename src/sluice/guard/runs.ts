/**
 * The scanner's fast way: runs of plain ASCII characters, and of three-byte ones, in loops that do nothing else. A character that takes more
 * than a simple move ends the run and goes to the scanner itself: one that is ignored, stands for several or wakes a pattern, the
 * last one of a word, one that leads to a suffix, several separators within a word.
 *
 * The loops hold what changes in local variables and leave the estimate of tokens to a loop of its own: with fewer
 * values LuaJIT keeps them all in registers, and can link what follows to them.
 */

import * as bits from "bit";
import { STRING_CLASS, wide_character } from "../wire/json_text";
import { ROW_BITS } from "./ascii_table";
import { Info, LINK_BITS, Link } from "./automaton";
import { MOST_SEPARATORS } from "./match";
import { Entry, PAGE_BITS, PAGE_SIZE, WORD_SHIFT } from "./entry";
import { RING } from "./field";
import { BEHIND_SEPARATOR, BEHIND_WORD, POSITION_SHIFT } from "./match";
import { Trait, sum_of, trait_of } from "./traits";
import type { Field } from "./field";
import type { Tables } from "./tables";

const arshift = bits.arshift;
const band = bits.band;
const bor = bits.bor;
const lshift = bits.lshift;
const rshift = bits.rshift;
const tobit = bits.tobit;

/** How far the bits of an entry lie above those of the ring, and `Entry.StartsInside` above `BEHIND_WORD`. */
const STARTS_TO_RING = 21;
const WORD_TO_RING = 19;
const SEPARATOR_TO_RING = 24;
const SEPARATOR_TO_SIGN = 7;

/** What stands before the next character, as the ring has it: a character of a word, a separator. */
function behind_field(field: Field): number {
  return bor(band(rshift(field.starts, STARTS_TO_RING), BEHIND_WORD), rshift(0 - field.gap, 31));
}

/** The gap behind a character: 1 if it is a separator, or leads to the root and belongs to no word. */
function behind_gap(state: number, entry: number): number {
  const separator = band(rshift(entry, SEPARATOR_TO_RING), 1);
  // All ones for the root.
  const root = arshift(state - 1, 31);
  return bor(separator, band(root, 1 - band(rshift(entry, WORD_SHIFT), 1)));
}

/** A run ends: `entry` is its last character's. */
function leave_run(field: Field, state: number, count: number, entry: number, place: number): void {
  field.state = state;
  field.count = count;
  field.starts = lshift(Entry.Starts, band(rshift(entry, WORD_SHIFT), 1));
  field.gap = behind_gap(state, entry);
  field.last = place;
}

/** The field's row in the table of ASCII characters; −1: its state has none. */
function row_of(tables: Tables, field: Field): number {
  const pair = rshift(tables.info[field.state]!, Info.RowShift);
  return tables.row_pairs[pair * 2 + rshift(0 - field.gap, 31)]!;
}

/** Moves through ASCII characters by the table of their rows. Returns where a character takes more than that. */
function run_rows(field: Field, tables: Tables, base: number, bytes: Bytes, from: number, to: number): number {
  const { ring, stops } = field;
  let { count, gap } = field;
  let row = row_of(tables, field);
  let word = band(rshift(field.starts, STARTS_TO_RING), BEHIND_WORD);
  let reached = to;
  if (row < 0) {
    return from;
  }
  for (const at of $range(from, to - 1)) {
    const value = bytes[at]!;
    const entry = tables.entries[value]!;
    const next = tables.cells[bor(lshift(row, ROW_BITS), tables.columns[value]!)]!;
    if (bor(STRING_CLASS[value]!, band(entry, stops), rshift(next, 15), band(gap, MOST_SEPARATORS)) !== 0) {
      reached = at;
      break;
    }
    row = next;
    ring[band(count, RING - 1)] = bor(base + lshift(at, POSITION_SHIFT), word, rshift(0 - gap, 31));
    word = band(rshift(entry, WORD_TO_RING), BEHIND_WORD);
    // All ones for a separator, which is no step of a word: the next character takes its place.
    const separates = arshift(lshift(entry, SEPARATOR_TO_SIGN), 31);
    count = tobit(count + 1 + separates);
    gap = band(gap + 1, separates);
  }
  if (reached > from) {
    const last = bytes[reached - 1]!;
    leave_run(field, tables.row_states[row]!, count, tables.entries[last]!, last);
    field.gap = math.max(field.gap, gap);
  }
  return reached;
}

/**
 * Where a state whose link is `here` leads by its suffixes, if it does not go on with the symbol itself; 0: to the root's successor,
 * if there is one; −1: there are more than two suffixes to try.
 */
function fall_twice(tables: Tables, here: number, state: number, symbol: number): number {
  if (band(here, Link.Suffix) === 0) {
    return 0;
  }
  const shorter = tables.fail[state]!;
  const there = tables.link[shorter]!;
  const next = tobit(rshift(there, LINK_BITS) + symbol);
  if (tables.check[next] === shorter) {
    return next;
  }
  if (band(there, Link.Suffix) === 0) {
    return 0;
  }
  const shortest = tables.fail[shorter]!;
  const last = tables.link[shortest]!;
  const slot = tobit(rshift(last, LINK_BITS) + symbol);
  if (tables.check[slot] === shortest) {
    return slot;
  }
  return band(last, Link.Suffix) === 0 ? 0 : -1;
}

/**
 * Whether a character is no more than a letter with marks of its own, of a script without words: a voiced kana. They are noted for its
 * place in the ring, as `letters` does.
 */
function note_marks(field: Field, foreign: number, count: number, code_point: number): boolean {
  const trait = trait_of(code_point);
  if (foreign !== Entry.Letter || band(trait, Trait.Has) === 0) {
    return false;
  }
  const slot = band(count, RING - 1);
  field.mark_number[slot] = count;
  field.mark_sum[slot] = sum_of(trait);
  field.mark_bits[slot] = band(trait, Trait.Has);
  return true;
}

/** Moves through three-byte characters. Returns where a character takes more than a simple move. */
function run_wide(field: Field, tables: Tables, base: number, bytes: Bytes, from: number, to: number): number {
  const { ring } = field;
  const foreign = bor(field.stops, Entry.Word);
  let { count, starts, state } = field;
  let behind = behind_field(field);
  // Whole characters of three bytes.
  let reached = from + math.floor((to - from) / 3) * 3;
  for (const at of $range(from, to - 3, 3)) {
    const code_point = wide_character(bytes, at);
    if (code_point < 0) {
      reached = at;
      break;
    }
    const entry = tables.entries[bor(tables.pages[rshift(code_point, PAGE_BITS)]!, band(code_point, PAGE_SIZE - 1))]!;
    if (band(entry, foreign) !== 0 && !note_marks(field, band(entry, foreign), count, code_point)) {
      reached = at;
      break;
    }
    if (band(entry, Entry.Separator) !== 0) {
      // Several separators in a row are counted elsewhere.
      if (band(behind, BEHIND_SEPARATOR) !== 0) {
        reached = at;
        break;
      }
      state = tables.resume[state]!;
      behind = BEHIND_SEPARATOR;
    } else {
      const symbol = band(entry, Entry.Symbol);
      const here = tables.link[state]!;
      let next = tobit(rshift(here, LINK_BITS) + symbol);
      if (tables.check[next] !== state) {
        next = fall_twice(tables, here, state, symbol);
        if (next < 0) {
          reached = at;
          break;
        }
        if (next === 0) {
          // The root's successor is the slot of the symbol, if a word may begin with it here.
          next = band(arshift(0 - band(entry, starts), 31), symbol);
        }
      }
      if (band(tables.link[next]!, Link.Word) !== 0) {
        reached = at;
        break;
      }
      state = next;
      ring[band(count, RING - 1)] = bor(base + lshift(at, POSITION_SHIFT), behind);
      count = tobit(count + 1);
      behind = 0;
    }
    starts = Entry.Starts;
  }
  if (reached > from) {
    const last = wide_character(bytes, reached - 3);
    const place = tables.pages[rshift(last, PAGE_BITS)]! + band(last, PAGE_SIZE - 1);
    leave_run(field, state, count, tables.entries[place]!, place);
  }
  return reached;
}

export { behind_gap, run_rows, run_wide };
