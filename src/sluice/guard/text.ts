/**
 * What a gateway with guards keeps of the texts of one request or answer.
 *
 * A text of a request, or of an answer that is one JSON body, stands in one string: it is scanned from its beginning to
 * its end. The texts of a stream go on from event to event, several at a time: each has a `Field` of its own,
 * found by the choice, the tool call and the place in the document.
 */

import * as ffi from "ffi";
import { answer_slots } from "../wire/answer_shape";
import { new_estimate } from "../wire/estimate";
import { MOST_REGIONS } from "../wire/json";
import { new_reasoning } from "../wire/told_twice";
import { TextKind } from "../wire/text_kind";
import { new_field } from "./field";
import { new_late } from "./late_place";
import { new_scanner } from "./scanner";
import type { AnswerSlots } from "../wire/answer_shape";
import type { Estimate } from "../wire/estimate";
import type { Text } from "../wire/text";
import type { Field } from "./field";
import type { Guard } from "./guards";
import type { Lexicon } from "./lexicon";
import type { Scanner } from "./scanner";
import type { LatePlace } from "./late_place";

const FIRST_SEGMENTS = 64;

interface GuardedText extends Text {
  scanner: Scanner;
  /** Whether there is anything to scan for. */
  guarded: boolean;
  /** Whether texts go on from event to event. */
  streaming: boolean;
  slots: AnswerSlots;
  /** What counts the string at hand: the estimate, or, if it is no output, a scrap. */
  counting: Estimate;
  scrap: Estimate;
  /** The text at hand; the one for texts of one string; those of the stream. */
  field: Field;
  single: Field;
  fields: Field[];
  /** There are more than can be kept. */
  overfull: boolean;
  /** Whether the string at hand says that a choice has ended, if it has any characters, and how many were counted before it. */
  ending: boolean;
  counted: number;
  /** Added to positions: where the bytes being walked lie in the stream. */
  base: number;
  /** Where the string at hand has its first character. */
  string_start: number;
  /** The strings of a stream since the last `forget_segments`, three numbers each: text, first byte, closing quote. */
  segments: Int32Buffer;
  segments_size: number;
  segment_count: number;
  /** Choices that the event at hand ends. */
  ended: number[];
  /** Where the first string lies whose choice was not known when it came; −1: none. Such strings are read once more. */
  late_start: number;
  /** An event is walked once more, and what it says of such strings. */
  again: boolean;
  late: LatePlace;
}

/** A lexicon of nothing, for texts that are not guarded. */
const NOTHING = {} as unknown as Lexicon;

/** The text of strings that are only counted. */
const SKIPPED = new_field();
SKIPPED.id = -1;

const idle_fields: Field[] = [];
const MOST_IDLE = 256;

/** A text that is not guarded yet. */
function make_text(this: void): GuardedText {
  const estimate = new_estimate();
  return {
    estimate,
    walk: undefined,
    api: "chat",
    reasoning: new_reasoning(),
    scanner: new_scanner(NOTHING),
    guarded: false,
    streaming: false,
    slots: answer_slots("chat", true),
    counting: estimate,
    scrap: new_estimate(),
    field: SKIPPED,
    single: SKIPPED,
    fields: [],
    overfull: false,
    ending: false,
    counted: 0,
    base: 0,
    string_start: 0,
    segments: ffi.new<Int32Buffer>("int32_t[?]", FIRST_SEGMENTS * 3),
    segments_size: FIRST_SEGMENTS,
    segment_count: 0,
    ended: [],
    late_start: -1,
    again: false,
    late: new_late(),
  };
}

function take_field(): Field {
  return idle_fields.pop() ?? new_field();
}

function give_field(field: Field): void {
  if (idle_fields.length < MOST_IDLE) {
    idle_fields.push(field);
  }
}

/** Has the text's strings scanned for what the guard looks for. `streaming`: they are parts of texts that go on. */
function guard_text(text: GuardedText, guard: Guard, streaming: boolean): void {
  const { scanner } = text;
  scanner.lexicon = guard.lexicon;
  scanner.patterns = guard.patterns;
  scanner.held_patterns = guard.held_patterns;
  scanner.pattern_actions = guard.pattern_actions;
  scanner.hits = [];
  scanner.count_flags = !streaming;
  scanner.flagged = 0;
  scanner.overflown = false;
  scanner.cuttable = streaming;
  scanner.refuted = [];
  text.guarded = true;
  text.streaming = streaming;
  text.slots = answer_slots(text.api, true);
  text.single = take_field();
  text.single.id = 0;
  text.single.kind = TextKind.Content;
  text.fields = [];
  text.overfull = false;
  text.base = 0;
  text.segment_count = 0;
  text.ended = [];
  text.late_start = -1;
  text.again = false;
}

/** Scans no longer. What was found is forgotten. */
function unguard_text(text: GuardedText): void {
  if (!text.guarded) {
    return;
  }
  for (const field of text.fields) {
    give_field(field);
  }
  give_field(text.single);
  text.guarded = false;
  text.fields = [];
  text.single = SKIPPED;
  text.field = SKIPPED;
  text.scanner.lexicon = NOTHING;
  text.scanner.hits = [];
}

/** Where the log probabilities of the event just read lie. */
function regions_of(text: GuardedText): number[] | undefined {
  const { state } = text.walk!;
  if (state.region_count === 0) {
    return undefined;
  }
  const regions: number[] = [];
  for (const index of $range(0, math.min(state.region_count, MOST_REGIONS) - 1)) {
    regions.push(text.base + state.region_starts[index]!);
    regions.push(text.base + state.region_ends[index]!);
  }
  return regions;
}

export { SKIPPED, guard_text, make_text, regions_of, take_field, unguard_text };
export type { GuardedText };
