/**
 * Finds the words and patterns of a guard in a text that comes character by character. It stops anywhere and goes on later:
 * all it knows of a text is in its `Field`.
 *
 * The automaton moves on with each character; where the characters on its path stood is kept in a ring, so that a
 * match, however it was spread, is known from its first byte to its last. Most moves are simple ones, which `scan_run` makes
 * itself; what is here takes every character.
 *
 * Between the characters of a word there may be ignored characters (any number) and separators (up to eight in a row).
 * Whether the word allows separators there, and whether it stands alone if it must, is checked when it has matched.
 *
 * What is known of the character at hand lies in the field too (`entry`, `position`, …), not in arguments: the fewer values a
 * call carries, the better LuaJIT can compile it into the loops that lead here. For the same reason there is no loop in
 * what runs for each character: going down the suffixes is written out in steps.
 */

import * as bits from "bit";
import { Info, LINK_BITS, Link } from "./automaton";
import { Entry, PAGE_BITS, PAGE_SIZE, WORD_SHIFT } from "./entry";
import { Inner, RING } from "./field";
import { BEHIND_SEPARATOR, BEHIND_WORD, MOST_SEPARATORS, POSITION_SHIFT, Stage, Waiting, collect } from "./match";
import { pattern_end, pattern_live, pattern_reset } from "./pattern";
import { clear_queue, new_queue } from "./pattern_queue";
import { note_rare, read_queue, take_patterns, tell_patterns } from "./pattern_scan";
import type { Field } from "./field";
import type { Lexicon } from "./lexicon";
import type { Finds } from "./match";
import type { PatternQueue } from "./pattern_queue";

const band = bits.band;
const bor = bits.bor;
const lshift = bits.lshift;
const rshift = bits.rshift;

/** What looks for what: the words and patterns of a guard, and what was found. */
interface Scanner extends Finds {
  lexicon: Lexicon;
  /** The patterns that are looked for, and those of them for which text is held back. */
  patterns: number;
  held_patterns: number;
  /** By pattern: its `Action`. */
  pattern_actions: LuaTable<number, number>;
  /** Characters of the text at hand that the patterns have yet to be told of. */
  queue: PatternQueue;
  /** Whether texts may be cut off before their ends, as a stream is that is blocked. */
  cuttable: boolean;
  /** Then: words that did not stand alone. In pairs, their last byte, and the character that follows. They do if that is cut off. */
  refuted: number[];
}

/** A scanner for the lexicon's words, and no patterns. */
function new_scanner(lexicon: Lexicon): Scanner {
  return {
    lexicon, patterns: 0, held_patterns: 0, pattern_actions: new LuaTable(), queue: new_queue(), hits: [], count_flags: false, flagged: 0,
    overflown: false, cuttable: false, refuted: [],
  };
}

/** One step down the suffixes: the next state, 0 if there is none, or the suffix from where to go on, negative. */
function fall(lexicon: Lexicon, state: number, symbol: number): number {
  const shorter = lexicon.fail[state]!;
  const slot = rshift(lexicon.link[shorter]!, LINK_BITS) + symbol;
  if (lexicon.check[slot] === shorter) {
    return slot;
  }
  return -shorter;
}

function fall_4(lexicon: Lexicon, state: number, symbol: number): number {
  let found = fall(lexicon, state, symbol);
  if (found < 0) {
    found = fall(lexicon, -found, symbol);
    if (found < 0) {
      found = fall(lexicon, -found, symbol);
      if (found < 0) {
        found = fall(lexicon, -found, symbol);
      }
    }
  }
  return found;
}

function fall_16(lexicon: Lexicon, state: number, symbol: number): number {
  let found = fall_4(lexicon, state, symbol);
  if (found < 0) {
    found = fall_4(lexicon, -found, symbol);
    if (found < 0) {
      found = fall_4(lexicon, -found, symbol);
      if (found < 0) {
        found = fall_4(lexicon, -found, symbol);
      }
    }
  }
  return found;
}

function fall_64(lexicon: Lexicon, state: number, symbol: number): number {
  let found = fall_16(lexicon, state, symbol);
  if (found < 0) {
    found = fall_16(lexicon, -found, symbol);
    if (found < 0) {
      found = fall_16(lexicon, -found, symbol);
      if (found < 0) {
        found = fall_16(lexicon, -found, symbol);
      }
    }
  }
  return found;
}

/** The longest suffix of the state that goes on with the symbol; 0: none does. A state has at most 127 suffixes. */
function fall_all(lexicon: Lexicon, state: number, symbol: number): number {
  let found = fall_64(lexicon, state, symbol);
  if (found < 0) {
    found = fall_64(lexicon, -found, symbol);
  }
  return found;
}

/** Words were waiting for what comes behind them: they match, if it lets them. */
function confirm(scanner: Scanner, field: Field, stage: Stage): void {
  collect(scanner.lexicon, scanner, field, field.pending, field.pending_end, stage);
}

/** Words end with the ring's last character: notes them, or lets them wait for the next one. */
function finish_words(scanner: Scanner, field: Field): void {
  field.pending_start = -1;
  field.pending_for = 0;
  field.marks_end = field.next;
  if (collect(scanner.lexicon, scanner, field, field.state, field.next, Stage.Ended)) {
    field.pending = field.state;
    field.pending_end = field.next;
  }
}

/** Says again whether something waits for the next character. */
function note_waits(field: Field): void {
  field.waits = bor(field.pending, field.phase, field.held, field.half);
}

/** A run of simple moves has ended before the offset `next`: where words end that must stand alone, they wait. */
function end_run(scanner: Scanner, field: Field, next: number): void {
  if (field.gap === 0 && band(scanner.lexicon.link[field.state]!, Link.Word) !== 0) {
    field.next = next;
    finish_words(scanner, field);
    note_waits(field);
  }
}

/** The state that follows on the character at hand, which is no separator. */
function successor(lexicon: Lexicon, field: Field): number {
  const symbol = band(field.entry, Entry.Symbol);
  const state = field.state;
  if (symbol === 0) {
    return 0;
  }
  let slot = rshift(lexicon.link[state]!, LINK_BITS) + symbol;
  if (lexicon.check[slot] !== state) {
    slot = state === 0 ? 0 : fall_all(lexicon, state, symbol);
  }
  // A successor of the root is the slot of its symbol. Inside of a word only words can begin that need not stand alone.
  if (slot === symbol && lexicon.check[slot] === 0 && band(field.entry, field.starts) === 0) {
    slot = 0;
  }
  return slot;
}

/** The automaton takes a character that is no separator. */
function move(scanner: Scanner, field: Field): void {
  const lexicon = scanner.lexicon;
  const slot = successor(lexicon, field);
  field.state = slot;
  if (slot !== 0) {
    field.ring[band(field.count, RING - 1)] =
      lshift(field.position, POSITION_SHIFT) +
      (field.starts === Entry.StartsInside ? BEHIND_WORD : 0) +
      (field.gap > 0 ? BEHIND_SEPARATOR : 0);
    field.count += 1;
    if (band(lexicon.link[slot]!, Link.Word) !== 0) {
      finish_words(scanner, field);
    }
  }
  field.gap = slot === 0 && band(field.entry, Entry.Word) === 0 ? 1 : 0;
}

/** The automaton takes a separator: only words may go on that allow it there. */
function separate(scanner: Scanner, field: Field): void {
  if (field.state !== 0) {
    field.state = field.gap < MOST_SEPARATORS ? scanner.lexicon.resume[field.state]! : 0;
  }
  // At the root it is enough to know that there was one.
  field.gap = field.state === 0 ? 1 : field.gap + 1;
}

/** A character of a word follows words that were waiting. */
function refute(scanner: Scanner, field: Field): void {
  if (band(field.pending_for, Waiting.Part) !== 0) {
    confirm(scanner, field, Stage.Beside);
  }
  if (scanner.cuttable && field.pending_start >= 0) {
    scanner.refuted.push(field.pending_end - 1);
    scanner.refuted.push(field.position);
  }
}

/** Words are waiting for the character at hand. */
function end_waiting(scanner: Scanner, field: Field): void {
  if (band(field.entry, Entry.Word) === 0) {
    confirm(scanner, field, Stage.Alone);
  } else {
    refute(scanner, field);
  }
  field.pending = 0;
}

/** The character at hand, after folding. */
function step(scanner: Scanner, field: Field): void {
  if (field.pending !== 0) {
    end_waiting(scanner, field);
  }
  if (band(field.entry, field.pattern.wake) !== 0) {
    tell_patterns(scanner, field);
  }
  if (band(field.entry, Entry.Separator) === 0) {
    move(scanner, field);
  } else {
    separate(scanner, field);
  }
  field.starts = lshift(Entry.Starts, band(rshift(field.entry, WORD_SHIFT), 1));
}

/** A part of a character that stands for several. */
function take_expanded(scanner: Scanner, field: Field, at: number): void {
  const { lexicon } = scanner;
  field.entry = lexicon.expansion_entries[at]!;
  field.character_class = lexicon.expansion_classes[at]!;
  step(scanner, field);
}

/**
 * A character that stands for several, or for none. Most stand for two or three, which are written out: a loop that runs so
 * seldom round is given up by LuaJIT in a worker that has seen many texts, and then all that leads here is interpreted.
 */
function expand(scanner: Scanner, field: Field): void {
  const { lexicon } = scanner;
  const expansion = band(field.entry, Entry.Symbol);
  const from = lexicon.expansions[expansion]!;
  const to = lexicon.expansions[expansion + 1]!;
  // Characters that are nothing but ignored marks stand for none.
  if (from < to) {
    take_expanded(scanner, field, from);
  }
  if (from + 1 < to) {
    take_expanded(scanner, field, from + 1);
  }
  if (from + 2 < to) {
    take_expanded(scanner, field, from + 2);
  }
  if (from + 3 < to) {
    for (const at of $range(from + 3, to - 1)) {
      take_expanded(scanner, field, at);
    }
  }
}

/** Where the character's entry and class lie in the lexicon's tables. */
function place_of(lexicon: Lexicon, code_point: number): number {
  return lexicon.pages[rshift(code_point, PAGE_BITS)]! + band(code_point, PAGE_SIZE - 1);
}

/** Takes a character, escapes of inner JSON decoded, whose `position`, `next` and `passed` are in the field. */
function scan_plain(scanner: Scanner, field: Field, place: number): void {
  const { lexicon } = scanner;
  field.entry = lexicon.entries[place]!;
  if (band(field.entry, Entry.Ignored) !== 0) {
    return;
  }
  if (band(field.entry, Entry.Expands) === 0) {
    field.character_class = lexicon.classes[place]!;
    step(scanner, field);
  } else {
    expand(scanner, field);
  }
  field.last = place;
}

/** Words that have begun go no further. */
function forget_word(field: Field): void {
  field.state = 0;
  field.gap = 1;
}

/** The field is at the beginning of a text. `nested`: it is JSON inside a JSON string. */
function begin_text(scanner: Scanner, field: Field, nested: boolean): void {
  pattern_reset(field.pattern, scanner.patterns);
  clear_queue(scanner.queue);
  field.state = 0;
  field.gap = 1;
  field.pending = 0;
  field.held = 0;
  field.half = 0;
  field.phase = Inner.Plain;
  field.quoted = 0;
  field.characters = 0;
  field.last = -1;
  // Until it has a character.
  field.settled = 1;
  field.fixed = bor(Entry.Ignored, Entry.Expands, Entry.Letter, nested ? Entry.Inner : 0);
  note_rare(field);
  field.starts = Entry.Starts;
  field.waits = 0;
}

/** Words that were waiting for their next character match, as if none came; so do patterns. */
function settle_words(scanner: Scanner, field: Field): void {
  if (field.pending !== 0) {
    confirm(scanner, field, Stage.Alone);
    field.pending = 0;
  }
  if (scanner.patterns !== 0) {
    if (scanner.queue.length !== 0) {
      read_queue(scanner, field);
    }
    if (pattern_end(field.pattern, scanner.patterns) !== 0) {
      take_patterns(scanner, field, field.quoted);
    }
    pattern_reset(field.pattern, scanner.patterns);
    note_rare(field);
  }
  field.settled = 1;
  note_waits(field);
}

/** The smaller of two offsets, either of which may be missing (−1). */
function earlier(a: number, b: number): number {
  return a < 0 || (b >= 0 && b < a) ? b : a;
}

/** Where the longest word begins that is under way and has to be held back; −1: none is. */
function held_start(lexicon: Lexicon, field: Field): number {
  let state = field.state;
  while (state !== 0) {
    const info = lexicon.info[state]!;
    if (band(info, Info.Holds) !== 0) {
      const first = field.ring[band(field.count - band(info, Info.Depth), RING - 1)]!;
      if (band(info, Info.HoldsInside) !== 0 || band(first, BEHIND_WORD) === 0) {
        return rshift(first, POSITION_SHIFT);
      }
    }
    state = lexicon.fail[state]!;
  }
  return -1;
}

/**
 * The offset from which the text has to be held back, because a word or pattern may have begun there that has to be masked
 * or blocked; −1: nowhere. `count` is how many characters the text has had.
 */
function live_start(scanner: Scanner, field: Field, count: number): number {
  let start = -1;
  if (field.phase !== Inner.Plain) {
    start = field.phase_start;
  }
  if (field.half !== 0) {
    start = earlier(start, field.half_start);
  }
  if (field.state !== 0) {
    start = earlier(start, held_start(scanner.lexicon, field));
  }
  if (field.pending !== 0) {
    start = earlier(start, field.pending_start);
  }
  if (field.held !== 0 && band(scanner.lexicon.info[0]!, Info.Holds) !== 0) {
    start = earlier(start, field.held_start);
  }
  return scanner.held_patterns !== 0 ? earlier(start, pattern_live(field.pattern, scanner.held_patterns, count)) : start;
}

export { begin_text, end_run, end_waiting, forget_word, live_start, new_scanner, note_waits, place_of, scan_plain, settle_words, step };
export type { Scanner };
