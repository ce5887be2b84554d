/**
 * Reads an answer on its way back: a stream of events (answer_stream), or one JSON body, which is walked as its bytes
 * come and goes on untouched.
 */

import { has_error, note_error } from "./answer_error";
import { counted_output, return_walk, take_walk } from "./answer_reader";
import type { AnswerReader } from "./answer_reader";
import { Fault, bytes_of, feed, finish } from "./json";
import { answer_slots } from "./answer_shape";
import { At } from "./json_state";
import { note_abort } from "./aborted";
import { take_usage } from "./usage";

const sub = string.sub;

/** No error that is a whole body is longer. */
const MOST_ERROR_BYTES = 16384;

/** Keeps the bytes that begin at that offset of the body, if all before them were kept and an error may be as long. */
function add_head(reader: AnswerReader, offset: number, chunk: string): void {
  if (offset === reader.body_head.length && offset + chunk.length <= MOST_ERROR_BYTES) {
    reader.body_head += chunk;
  }
}

/** Takes the next bytes of a JSON body. They go on as they are. */
function read_body(reader: AnswerReader, chunk: string): void {
  let walk = reader.body;
  if (walk === undefined) {
    walk = take_walk(reader);
    reader.body = walk;
    reader.body_head = chunk;
  } else {
    add_head(reader, walk.state.base + reader.body_rest.length, chunk);
  }
  const state = walk.state;
  if (state.fault !== Fault.None) {
    return;
  }
  const text = reader.body_rest === "" ? chunk : reader.body_rest + chunk;
  const consumed = feed(walk, bytes_of(text), 0, text.length);
  note_abort(reader, text, state.base, state, answer_slots(reader.api, reader.guarded));
  state.base += consumed;
  reader.body_rest = consumed === text.length ? "" : sub(text, consumed + 1);
  reader.malformed = state.fault !== Fault.None;
}

/** Says that the JSON body has ended. Afterwards `complete` tells whether it was whole, and `failed` whether it is an error. */
function end_body(reader: AnswerReader): void {
  const walk = reader.body;
  if (walk === undefined) {
    return;
  }
  reader.complete = finish(walk, 0, reader.body_rest.length);
  reader.malformed = !reader.complete;
  const slots = answer_slots(reader.api, reader.guarded);
  take_usage(reader.usage, walk.state, slots, counted_output(reader));
  if (has_error(reader.body_head, walk.state, slots)) {
    note_error(reader, reader.body_head, walk.state, slots);
  }
  reader.body = undefined;
  return_walk(reader, walk);
}

/** Whether all of a JSON body has come, though nginx may not have said so yet. */
function is_whole(reader: AnswerReader): boolean {
  return reader.complete || (reader.body !== undefined && reader.body.state.at === At.Done);
}

export { end_body, is_whole, read_body };
export { counted_output, drop_held, has_text, new_answer, return_answer, take_answer } from "./answer_reader";
export { end_stream, read_stream } from "./event_cutting";
export type { AnswerReader };
