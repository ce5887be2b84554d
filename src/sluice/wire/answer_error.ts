/**
 * Errors in answers of status 200: events of a stream, or a whole body. What they stand for decides whose failure they are.
 *
 * An error is a member `error`, an object whose `object` is `error` (older vLLM, FastChat, Mistral), or, in the APIs whose
 * events have types, an event that says so. Some servers send an empty `error` with every answer: that is none.
 */

import { NO_SLOT } from "./answer_shape";
import { status_of_error } from "./error_status";
import { Kind } from "./json";
import type { AnswerReader } from "./answer_reader";
import type { AnswerSlots } from "./answer_shape";
import type { WalkState } from "./json";

const sub = string.sub;

/** `""`, `{}` and `[]`. */
const EMPTY_BYTES = 2;

/**
 * What stands in a slot, as text: a number, or a string without its quotes; "" for all else, and for what lies beyond the text.
 */
function word_in(text: string, state: WalkState, slot: number): string {
  const kind = state.kinds[slot];
  if (state.ends[slot]! > text.length) {
    return "";
  }
  if (kind === Kind.Number) {
    return sub(text, state.starts[slot]! + 1, state.ends[slot]);
  }
  return kind === Kind.String ? sub(text, state.starts[slot]! + 2, state.ends[slot]! - 1) : "";
}

/** Whether the document just walked, which has that text, is an error or has one in it. */
function has_error(text: string, state: WalkState, slots: AnswerSlots): boolean {
  const kind = state.kinds[slots.error];
  if (kind === Kind.Object || kind === Kind.String || kind === Kind.EscapedString) {
    return state.ends[slots.error]! - state.starts[slots.error]! > EMPTY_BYTES;
  }
  return slots.object !== NO_SLOT && state.kinds[slots.choices] === Kind.Absent && word_in(text, state, slots.object) === "error";
}

function fail(reader: AnswerReader): void {
  if (!reader.failed) {
    reader.failed = true;
    reader.failed_at = reader.events;
  }
}

/** Notes an error. The first one says what has happened. */
function note_error(reader: AnswerReader, text: string, state: WalkState, slots: AnswerSlots): void {
  fail(reader);
  if (reader.error_status !== 0) {
    return;
  }
  if (state.kinds[slots.error] === Kind.Absent && slots.object !== NO_SLOT) {
    reader.error_status = status_of_error(word_in(text, state, slots.own_code), "", word_in(text, state, slots.own_type));
  } else {
    const code = word_in(text, state, slots.error_code);
    reader.error_status = status_of_error(
      code !== "" ? code : word_in(text, state, slots.code), word_in(text, state, slots.error_status), word_in(text, state, slots.error_type));
  }
}

/** Notes that a response has failed, which says why in an error of its own (Responses API). */
function note_failed_response(reader: AnswerReader, text: string, state: WalkState, slots: AnswerSlots): void {
  fail(reader);
  if (reader.error_status === 0) {
    reader.error_status = status_of_error(word_in(text, state, slots.response_error), "", "");
  }
}

export { has_error, note_error, note_failed_response, word_in };
