/**
 * Builds the automaton that finds all words of a guard in one pass (Aho and Corasick, 1975), as a double array (Aoe, 1989).
 *
 * How the data lies. A state is a slot of six parallel int32 arrays, the root is slot 0, and the state that follows `state`
 * on a symbol is slot `base + symbol`, if its `check` names `state`. Symbols are the characters of the words, numbered
 * from 1 by how often they occur, so that the slots that are looked at most lie close together.
 *
 * `link` holds the base and, in its lowest bits, what has to be looked at further (`Link`): what is needed for each
 * character comes with one load. `fail` is the longest proper suffix that is a state too. `resume` is where to go on behind a separator: the longest suffix,
 * the state itself included, of which some word goes on that may have a separator there. `info` has the depth, and
 * whether text that reached this state has to be held back. `out` is the word that ends here, else the longest one that ends
 * here as a suffix; 0: none. From a word, `next` leads to the other words that end at the same place, longest first.
 *
 * Words of the same characters that differ in what they ask for (whole words, separators, action) share a state.
 */

import * as bits from "bit";
import { grow, lay_out, make_slots } from "./double_array";
import { integers, make_trie, number_symbols, sort_words } from "./trie";
import { Action, WordBits, length_of } from "./words";
import type { Slots } from "./double_array";
import type { Numbering, Trie } from "./trie";
import type { Words } from "./words";

const band = bits.band;
const bor = bits.bor;
const lshift = bits.lshift;

/** In `info`: the depth is in the lowest eight bits, */
const enum Info {
  Depth = 0xff,
  /** Some word that has to be masked or blocked goes on from here; of the root: begins with a character that a text may have in parts. */
  Holds = 0x100,
  /** One of them need not stand alone: it may have begun inside of another word. */
  HoldsInside = 0x200,
  /** The character that leads here is one of a word. */
  Behind = 0x400,
  /** It is of a script whose marks are characters of words. */
  Counts = 0x800,
  /** Above: its pair of rows in the table of ASCII characters (`ascii_table`); 0: it has none. */
  RowShift = 12,
}

/** The lowest bits of `link`. */
const enum Link {
  /** A word ends here. */
  Word = 1,
  /** If the state has no successor on a symbol, one of its suffixes may have one. */
  Suffix = 2,
  /** Behind a separator it goes on elsewhere than at the root. */
  Resume = 4,
}

/** What the base is shifted left by in `link`. */
const LINK_BITS = 3;

interface Automaton {
  /** Slots in use, counted up to where every possible successor lies. */
  size: number;
  states: number;
  link: Int32Buffer;
  check: Int32Buffer;
  fail: Int32Buffer;
  resume: Int32Buffer;
  info: Int32Buffer;
  out: Int32Buffer;
  /** By word: the next one that ends at the same place. */
  next: Int32Buffer;
  /** By symbol, from 1: the character, and how words begin with it (`Entry.Starts`, `Entry.StartsInside`, shifted down to 1 and 2). */
  symbol_count: number;
  characters: Int32Buffer;
  begins: Int32Buffer;
}

/** Whether a word has a gap behind its first `depth` characters. */
function has_gap(words: Words, word: number, depth: number): boolean {
  let at = words.gaps[word]!;
  if (at === 0) {
    return false;
  }
  let gap = words.extras[at]!;
  while (gap !== 0) {
    if (gap === depth) {
      return true;
    }
    at += 1;
    gap = words.extras[at]!;
  }
  return false;
}

/** In `info` while it is built: some word goes on from here that may have a separator here; */
const SURVIVES = 0x1000;
/** some word goes on or ends here that need not stand alone. */
const PARTS = 0x2000;

/** What the automaton wants to know of characters. */
interface Kinds {
  /** Whether one belongs to a script that sets words apart by spaces. */
  is_word: (this: void, character: number) => boolean;
  /** Whether marks behind it are characters of words. */
  counts: (this: void, character: number) => boolean;
  /** Whether a text may have it in parts, which are held until they are complete. */
  is_hangul: (this: void, character: number) => boolean;
}

/** What `info` has of each symbol. */
function symbol_kinds(numbering: Numbering, kinds: Kinds): Int32Buffer {
  const made = integers(numbering.count + 1);
  for (const symbol of $range(1, numbering.count)) {
    const character = numbering.characters[symbol]!;
    made[symbol] = bor(kinds.is_word(character) ? Info.Behind : 0, kinds.counts(character) ? Info.Counts : 0);
  }
  return made;
}

/** Notes in each state what the words that pass it ask for. */
function mark_paths(words: Words, slots: Slots, numbering: Numbering, kinds: Kinds, pause: (this: void) => void): Int32Buffer {
  const info = integers(slots.capacity);
  const of_symbol = symbol_kinds(numbering, kinds);
  for (const word of $range(1, words.count)) {
    const properties = words.bits[word]!;
    const holds = band(properties, WordBits.ActionMask) !== lshift(Action.Flag, WordBits.ActionShift) ? Info.Holds : 0;
    const loose = band(properties, WordBits.Loose) !== 0;
    const alone = band(properties, WordBits.Whole) !== 0;
    const start = words.starts[word]!;
    const length = length_of(words, word);
    let state = 0;
    for (const depth of $range(1, length)) {
      const symbol = numbering.symbols[start + depth - 1]!;
      state = slots.base[state]! + symbol;
      const survives = depth < length && (loose || has_gap(words, word, depth));
      const held = depth < length ? holds * (alone ? 1 : 3) : 0;
      info[state] = bor(info[state]!, held, alone ? 0 : PARTS, survives ? SURVIVES : 0, of_symbol[symbol]!);
    }
    if (word % 4096 === 0) {
      pause();
    }
  }
  return info;
}

/**
 * Whether a word can really begin at the suffix of a state: not if all its words must stand alone and what comes before is a
 * character of a word, with no separator possible in between.
 */
function is_useful(slots: Slots, info: Int32Buffer, state: number, suffix: number, depth: number): boolean {
  if (band(info[suffix]!, PARTS) !== 0) {
    return true;
  }
  let before = state;
  for (const _ of $range(1, depth)) {
    before = slots.check[before]!;
  }
  return band(info[before]!, SURVIVES) !== 0 || band(info[before]!, Info.Behind) === 0;
}

/** The longest useful suffix of the successor `slot` of `parent` on a symbol; the root, if there is none. */
function find_suffix(slots: Slots, info: Int32Buffer, depths: Int32Buffer, parent: number, symbol: number, slot: number): number {
  let from = parent;
  while (from !== 0) {
    from = slots.fail[from]!;
    const suffix = slots.base[from]! + symbol;
    if (suffix < slots.capacity && slots.check[suffix] === from && is_useful(slots, info, slot, suffix, depths[suffix]!)) {
      return suffix;
    }
  }
  return 0;
}

/** What the root's `info` has: whether a word that has to be held back may begin with parts of a character. */
function root_info(words: Words, kinds: Kinds): number {
  for (const word of $range(1, words.count)) {
    const flagged = band(words.bits[word]!, WordBits.ActionMask) === lshift(Action.Flag, WordBits.ActionShift);
    if (!flagged && kinds.is_hangul(words.characters[words.starts[word]!]!)) {
      return Info.Holds;
    }
  }
  return 0;
}

/** How words begin: 1, some word begins with the symbol; 2, also inside of other words. */
function mark_beginnings(words: Words, numbering: Numbering): Int32Buffer {
  const begins = integers(numbering.count + 1);
  for (const word of $range(1, words.count)) {
    const first = numbering.symbols[words.starts[word]!]!;
    begins[first] = bor(begins[first]!, band(words.bits[word]!, WordBits.Whole) !== 0 ? 1 : 3);
  }
  return begins;
}

/** What each state's arrays hold besides the trie, from the root on. */
function finish_states(words: Words, order: Int32Buffer, trie: Trie, slots: Slots, slot_of: Int32Buffer, info: Int32Buffer, made: Automaton, pause: (this: void) => void): void {
  const { resume, out, next } = made;
  const depths = integers(slots.capacity);
  for (const node of $range(1, trie.count - 1)) {
    const state = slot_of[node]!;
    const depth = trie.depth[node]!;
    depths[state] = depth;
    const fail = find_suffix(slots, info, depths, slot_of[trie.parent[node]!]!, trie.symbol[node]!, state);
    slots.fail[state] = fail;
    let place = trie.low[node]!;
    let first = out[fail]!;
    while (place < trie.high[node]! && length_of(words, order[place]!) === depth) {
      next[order[place]!] = first;
      first = order[place]!;
      place += 1;
    }
    out[state] = first;
    resume[state] = band(info[state]!, SURVIVES) !== 0 ? state : resume[fail]!;
    made.info[state] = bor(band(info[state]!, bor(Info.Holds, Info.HoldsInside, Info.Behind, Info.Counts)), depth);
    if (node % 4096 === 0) {
      pause();
    }
  }
}

/**
 * Builds the automaton of the words. `pause` is called every few milliseconds, so that a worker can serve others meanwhile.
 */
function build(words: Words, kinds: Kinds, pause: (this: void) => void): Automaton {
  let total = 0;
  for (const word of $range(1, words.count)) {
    total += length_of(words, word);
  }
  const numbering = number_symbols(words, total);
  pause();
  const order = sort_words(words, numbering.symbols);
  pause();
  const trie = make_trie(words, numbering, order, total, pause);
  const slots = make_slots(math.floor(trie.count * 1.05) + numbering.count * 2 + 1024);
  const slot_of = lay_out(trie, slots, numbering.count, pause);
  const size = slots.top + numbering.count + 1;
  if (size > slots.capacity) {
    grow(slots, size);
  }
  const info = mark_paths(words, slots, numbering, kinds, pause);
  const made: Automaton = {
    size,
    states: trie.count,
    link: integers(size),
    check: slots.check,
    fail: slots.fail,
    resume: integers(size),
    info: integers(size),
    out: integers(size),
    next: integers(words.count + 1),
    symbol_count: numbering.count,
    characters: numbering.characters,
    begins: mark_beginnings(words, numbering),
  };
  finish_states(words, order, trie, slots, slot_of, info, made, pause);
  made.info[0] = root_info(words, kinds);
  for (const slot of $range(0, size - 1)) {
    made.link[slot] = bor(
      lshift(slots.base[slot]!, LINK_BITS),
      made.out[slot] !== 0 ? Link.Word : 0,
      slots.fail[slot] !== 0 ? Link.Suffix : 0,
      made.resume[slot] !== 0 ? Link.Resume : 0,
    );
  }
  return made;
}

export { Info, LINK_BITS, Link, build };
export type { Automaton };
