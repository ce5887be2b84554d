/**
 * The sink of a gateway with guards: counts the text that is walked, as the plain one does, and scans it if it is guarded.
 * For each string it finds the field that its text goes on in; for each character it asks, with two loads and a
 * comparison, whether it can matter at all.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { count_character } from "../wire/estimate";
import { STRING_CLASS, decode_utf8, wide_character } from "../wire/json_text";
import { count_plain, count_wide } from "../wire/text";
import { begin_reasoning, end_reasoning } from "../wire/told_twice";
import { TextKind } from "../wire/text_kind";
import { Entry, PAGE_BITS, PAGE_SIZE, WORD_SHIFT } from "./entry";
import { POSITION_SHIFT } from "./match";
import { tell_plain, tell_wide } from "./pattern_runs";
import { read_queue } from "./pattern_scan";
import { behind_gap, run_rows, run_wide } from "./runs";
import { settle } from "./letters";
import { begin_text, end_run } from "./scanner";
import { half, scan } from "./surrogate_halves";
import { SKIPPED, make_text, take_field } from "./text";
import { locate_late, note_late } from "./late_place";
import { locate } from "./text_place";
import type { Walk } from "../wire/json";
import type { EventFrame } from "../wire/sse";
import type { Text, TextSink } from "../wire/text";
import type { Field } from "./field";
import type { GuardedText } from "./text";
import type { TextPlace } from "./text_place";

const band = bits.band;
const bor = bits.bor;
const lshift = bits.lshift;
const rshift = bits.rshift;

/** A stream with more texts can't be guarded. */
const MOST_FIELDS = 256;

/** A field for a text that begins. */
function add_field(text: GuardedText): Field {
  const { fields } = text;
  if (fields.length < MOST_FIELDS) {
    const field = take_field();
    fields.push(field);
    field.id = fields.length;
    return field;
  }
  text.overfull = true;
  return fields[0]!;
}

/** Another text of the same choice begins: what the others have open need not be held back any longer. */
function settle_others(text: GuardedText, current: Field): void {
  if (current.kind === TextKind.LogProbability) {
    return;
  }
  for (const field of text.fields) {
    if (field !== current && field.outer === current.outer && field.settled === 0 && field.kind !== TextKind.LogProbability) {
      settle(text.scanner, field);
    }
  }
}

/** A text goes on that was not the choice's last one. */
function begin_turn(text: GuardedText, field: Field): void {
  if (field !== text.single) {
    field.settled = 0;
    settle_others(text, field);
  }
}

/** The field of a text that goes on. */
function find_field(text: GuardedText, wanted: TextPlace): Field {
  const { outer, inner, place, kind } = wanted;
  let found: Field | undefined;
  for (const field of text.fields) {
    if (field.place === place && field.outer === outer && field.inner === inner) {
      found = field;
    }
  }
  if (found === undefined) {
    found = add_field(text);
    found.outer = outer;
    found.inner = inner;
    found.place = place;
    found.kind = kind;
    begin_text(text.scanner, found, kind === TextKind.Arguments);
  }
  return found;
}

/** The string at hand's place, filled in by `begin`: nothing keeps it. */
const found: TextPlace = { outer: 0, inner: 0, place: 0, kind: 0 };

/** Finds out which text a string of a stream is of, into `found`. Returns false if it is not known yet, or has been read. */
function place_known(text: GuardedText, kind: number, node: number, position: number): boolean {
  const { state } = text.walk!;
  found.kind = kind;
  found.place = node;
  if (!text.again) {
    if (text.late_start < 0 && locate(found, text.api, state, text.slots)) {
      return true;
    }
    text.late_start = text.late_start < 0 ? position : text.late_start;
    return false;
  }
  if (position < text.late_start) {
    return false;
  }
  locate_late(found, text.late, text.api, state, text.slots);
  return true;
}

/** The tokens of an answer that is one body: they stand one by one, and belong together as long as their list goes on. */
function token_field(text: GuardedText, node: number): Field {
  found.kind = TextKind.LogProbability;
  found.place = node;
  found.outer = text.walk!.state.region_count;
  found.inner = 0;
  return find_field(text, found);
}

function single_field(text: GuardedText, kind: number): Field {
  const { single } = text;
  single.kind = kind;
  begin_text(text.scanner, single, kind === TextKind.Arguments || kind === TextKind.RepeatedArguments);
  return single;
}

/** Chooses the field for a string of a guarded text. */
function guarded_field(text: GuardedText, kind: number, node: number, position: number): Field {
  if (kind === TextKind.FinishReason) {
    text.ending = text.streaming && place_known(text, kind, node, position);
    return SKIPPED;
  }
  if (text.streaming) {
    if (kind >= TextKind.Name) {
      return text.again ? SKIPPED : single_field(text, kind);
    }
    return place_known(text, kind, node, position) ? find_field(text, found) : SKIPPED;
  }
  return kind === TextKind.LogProbability ? token_field(text, node) : single_field(text, kind);
}

function begin(this: void, text: Text, node: number, position: number): void {
  const guarded = text as GuardedText;
  const kind = guarded.walk!.shape.kinds[node]!;
  const once = kind <= TextKind.Name && kind !== TextKind.LogProbability && !guarded.again;
  const counting = once ? guarded.estimate : guarded.scrap;
  counting.previous = 0;
  counting.strings += 1;
  guarded.counting = counting;
  if (once && kind === TextKind.Reasoning) {
    begin_reasoning(guarded.reasoning, counting, node);
  }
  if (guarded.guarded) {
    guarded.ending = false;
    guarded.counted = counting.characters;
    const field = guarded_field(guarded, kind, node, position);
    field.characters -= counting.characters;
    guarded.field = field;
    guarded.string_start = position + 1;
  }
}

function character(this: void, text: Text, code_point: number, position: number, next: number): void {
  const guarded = text as GuardedText;
  const { counting, field } = guarded;
  count_character(counting, code_point);
  if (field.id < 0) {
    return;
  }
  const { lexicon } = guarded.scanner;
  const place = lexicon.pages[rshift(code_point, PAGE_BITS)]! + band(code_point, PAGE_SIZE - 1);
  const entry = lexicon.entries[place]!;
  if (bor(field.state, field.waits, band(entry, bor(field.starts, field.rare))) === 0) {
    field.starts = lshift(Entry.Starts, band(rshift(entry, WORD_SHIFT), 1));
    field.gap = behind_gap(0, entry);
    field.last = place;
    return;
  }
  field.position = guarded.base + position;
  field.next = guarded.base + next;
  field.passed = field.characters + counting.characters - 1;
  scan(guarded, field, place, code_point);
}

/**
 * Scans and counts a run of ASCII characters that stand for themselves: those that take no more than simple moves, and the one
 * behind them.
 */
function plain_run(this: void, walk: Walk<Text>, bytes: Bytes, from: number, to: number): number {
  const text = walk.target as GuardedText;
  const { counting, field } = text;
  if (field.id < 0) {
    return count_plain(counting, bytes, from, to);
  }
  const { base } = walk.state;
  let at = from;
  // A character by itself, between others, is not worth a run.
  if (field.waits === 0) {
    const { last } = field;
    at = run_rows(field, text.scanner.lexicon.tables, lshift(text.base + base, POSITION_SHIFT), bytes, from, to);
    if (at > from) {
      if (field.stops !== field.rare) {
        tell_plain(text.scanner, field, last, bytes, from, at, text.base + base, field.characters + counting.characters);
      }
      count_plain(counting, bytes, from, at);
      end_run(text.scanner, field, text.base + base + at);
    }
  }
  if (at < to && STRING_CLASS[bytes[at]!] === 0) {
    character(text, bytes[at]!, base + at, base + at + 1);
    at += 1;
  }
  return at;
}

/** Scans and counts a run of three-byte characters: those that take no more than simple moves, and the one behind them. */
function wide_run(this: void, walk: Walk<Text>, bytes: Bytes, from: number, to: number): number {
  const text = walk.target as GuardedText;
  const { counting, field } = text;
  if (field.id < 0) {
    return count_wide(counting, bytes, from, to);
  }
  const { base } = walk.state;
  let at = from;
  if (field.waits === 0 && from + 5 < to && bytes[from + 3]! >= 0xe0) {
    const { last } = field;
    at = run_wide(field, text.scanner.lexicon.tables, lshift(text.base + base, POSITION_SHIFT), bytes, from, to);
    if (field.stops !== field.rare) {
      tell_wide(text.scanner, field, last, bytes, from, at, text.base + base, field.characters + counting.characters);
    }
    count_wide(counting, bytes, from, at);
  }
  if (at <= to - 3) {
    const code_point = wide_character(bytes, at);
    if (code_point >= 0) {
      character(text, code_point, base + at, base + at + 3);
      at += 3;
    }
  }
  return at;
}

/** Notes where a string of a stream lies. */
function note_segment(text: GuardedText, field: Field, to: number): void {
  const at = text.segment_count * 3;
  if (text.segment_count === text.segments_size) {
    const larger = ffi.new<Int32Buffer>("int32_t[?]", at * 2);
    ffi.copy(larger, text.segments, at * 4);
    text.segments = larger;
    text.segments_size *= 2;
  }
  text.segments[at] = field.id;
  text.segments[at + 1] = text.base + text.string_start;
  text.segments[at + 2] = text.base + to;
  text.segment_count += 1;
}

function finish_guarded(guarded: GuardedText, position: number): void {
  const { counting, field } = guarded;
  // A string without characters says nothing: neither that a choice has ended, nor that another text of it has.
  const any = counting.characters > guarded.counted;
  if (field.id < 0) {
    field.characters = 0;
    if (any && guarded.ending) {
      guarded.ended.push(found.outer);
    }
    return;
  }
  field.characters += counting.characters;
  if (guarded.scanner.queue.length !== 0) {
    read_queue(guarded.scanner, field);
  }
  if (guarded.streaming) {
    note_segment(guarded, field, position);
    if (any && field.settled !== 0) {
      begin_turn(guarded, field);
    }
  }
  if (field === guarded.single) {
    settle(guarded.scanner, field);
  }
}

function finish(this: void, text: Text, position: number): void {
  const guarded = text as GuardedText;
  if (guarded.guarded) {
    finish_guarded(guarded, position);
  }
  if (guarded.reasoning.open) {
    end_reasoning(guarded.reasoning, guarded.estimate, guarded.walk!.state);
  }
}

/** Scans a line of a stream that is no data, which lies between two offsets of the bytes being walked and is UTF-8. It isn't counted. */
function scan_line(text: GuardedText, bytes: Bytes, from: number, to: number): void {
  const { scrap } = text;
  scrap.previous = 0;
  scrap.strings += 1;
  text.counting = scrap;
  text.ending = false;
  text.counted = scrap.characters;
  const field = single_field(text, TextKind.Line);
  field.characters -= scrap.characters;
  text.field = field;
  text.string_start = from;
  let at = from;
  while (at < to) {
    let code_point = bytes[at]!;
    let next = at + 1;
    if (code_point > 127) {
      [code_point, next] = decode_utf8(bytes, at, to);
    }
    character(text, code_point, at, next);
    at = next;
  }
  finish(text, to);
}

/**
 * Makes ready for reading the event once more that has just been walked, for the strings whose texts were not known. Its data is
 * the lines of `raw` that `frame` says. Returns false if not all texts can be known.
 */
function begin_again(text: GuardedText, raw: string, frame: EventFrame): boolean {
  text.again = true;
  return note_late(text.late, text.api, text.walk!.state, text.slots, raw, frame.data_starts, frame.data_ends, frame.data_count);
}

function end_again(text: GuardedText): void {
  text.again = false;
  text.late_start = -1;
}

/** The sink that counts and scans, and what it keeps of a text. */
const GUARDED_TEXT: TextSink = { sink: { begin, character, half, finish, plain_run, wide_run }, make: make_text };

export { GUARDED_TEXT, begin_again, end_again, scan_line };
