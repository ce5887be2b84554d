/**
 * Reads the events of an answer that is a stream (`event_cutting` cuts them). Each event's JSON is walked once: text is counted
 * for the case that the upstream reports no usage, usage is taken, the terminal marker and error events are noticed, and
 * the usage chunk that the client did not ask for is left out. An event is walked within one call, so all streams of a
 * worker share one walker and a stream itself keeps only the figures and the unfinished event; a long event has a walker of its own.
 */

import { note_abort } from "./aborted";
import { has_error, note_error, note_failed_response, word_in } from "./answer_error";
import { counted_output, new_walk } from "./answer_reader";
import type { AnswerReader } from "./answer_reader";
import { NO_SLOT, answer_slots } from "./answer_shape";
import type { AnswerSlots } from "./answer_shape";
import { Fault, Kind, bytes_of, feed, finish, restart } from "./json";
import type { Walk } from "./json";
import { Line, is_done_marker, is_empty, new_frame } from "./sse";
import { attach, new_text } from "./text";
import type { Text } from "./text";
import { note_ends } from "./finish_reasons";
import { note_chunk, take_usage } from "./usage";
import { is_usage_chunk } from "./usage_chunk";
import type { ApiName } from "./api";

const find = string.find;
const sub = string.sub;

/** The walkers, by API: of plain answers, and of guarded ones. */
const shared = new LuaTable<ApiName, Walk<Text>>();
const shared_guarded = new LuaTable<ApiName, Walk<Text>>();
const frame = new_frame();
const LINE_END = "\n";
const MESSAGE_STOP = "message_stop";
/** A longer first event is not kept for an ending of our own. */
const MOST_FIRST_BYTES = 262144;

function shared_walk(api: ApiName, guarded: boolean): Walk<Text> {
  const walks = guarded ? shared_guarded : shared;
  let found = walks.get(api);
  if (found === undefined) {
    found = new_walk(api, guarded, new_text());
    walks.set(api, found);
  }
  return found;
}

/** Walks several data lines as one document, joined by line feeds. Returns whether it is JSON. */
function walk_lines(walk: Walk<Text>, bytes: Bytes): boolean {
  const { state } = walk;
  for (const line of $range(0, frame.data_count - 1)) {
    const end = frame.data_ends[line]!;
    if (line > 0) {
      feed(walk, bytes_of(LINE_END), 0, 1);
    }
    if (state.fault !== Fault.None || feed(walk, bytes, frame.data_starts[line]!, end) !== end) {
      return false;
    }
  }
  return finish(walk, 0, 0);
}

/** Walks the event's data. Returns whether it is JSON. */
function walk_data(walk: Walk<Text>, bytes: Bytes): boolean {
  restart(walk);
  if (frame.data_count === 1) {
    const end = frame.data_ends[0]!;
    return feed(walk, bytes, frame.data_starts[0]!, end) === end && finish(walk, 0, 0);
  }
  return walk_lines(walk, bytes);
}

/** Notes an id by which the client may name something of the answer later. */
function note_id(reader: AnswerReader, id: string): void {
  if (id !== "") {
    reader.new_ids = reader.new_ids ?? [];
    reader.new_ids.push(id);
  }
}

/** Notes a terminal or error event of the APIs whose events say their type. `name` stands for one that `text` does not reach to. */
function note_type(reader: AnswerReader, text: string, walk: Walk<Text>, slots: AnswerSlots, name: string): void {
  const state = walk.state;
  const is_told = state.kinds[slots.type] === Kind.String && state.ends[slots.type]! <= text.length;
  if (!is_told && name === "") {
    return;
  }
  const type = is_told ? sub(text, state.starts[slots.type]! + 2, state.ends[slots.type]! - 1) : name;
  reader.event_type = type;
  if (reader.api === "messages") {
    if (type === "content_block_start") {
      reader.open_block = state.numbers[slots.index]!;
    } else if (type === "content_block_stop") {
      reader.open_block = -1;
    } else if (type === "message_stop") {
      reader.complete = true;
    } else if (type === "error") {
      note_error(reader, text, state, slots);
    }
    return;
  }
  if (state.kinds[slots.sequence] === Kind.Number) {
    reader.sequence = state.numbers[slots.sequence]!;
  }
  if (reader.response_id === undefined && state.kinds[slots.response_id] === Kind.String && state.ends[slots.response_id]! <= text.length) {
    reader.response_id = word_in(text, state, slots.response_id);
    note_id(reader, reader.response_id);
    reader.conversation_id = word_in(text, state, slots.conversation_id);
  }
  if (type === "response.output_item.added") {
    note_id(reader, word_in(text, state, slots.item_id));
  } else if (type === "response.completed" || type === "response.incomplete" || type === "response.failed") {
    reader.complete = true;
    if (type === "response.failed") {
      note_failed_response(reader, text, state, slots);
    }
  } else if (type === "error") {
    note_error(reader, text, state, slots);
  }
}

/** Whether that line of the event in `frame` names it `message_stop`. */
function names_stop(text: string, bytes: Bytes, line: number): boolean {
  const end = frame.line_ends[line]!;
  let from = frame.line_values[line]!;
  if (bytes[from] === 32) {
    from += 1;
  }
  return end - from === MESSAGE_STOP.length && frame.line_kinds[line] === Line.Event && sub(text, from + 1, end) === MESSAGE_STOP;
}

/** Whether a line of the event names it so, which ends a message whatever its data are: Anthropic's clients go by the name. */
function is_named_stop(text: string, bytes: Bytes): boolean {
  // Mostly it has one line besides its data, and without a loop the path of most events compiles in one piece.
  if (names_stop(text, bytes, 0)) {
    return true;
  }
  if (frame.line_count > 1) {
    for (const line of $range(1, frame.line_count - 1)) {
      if (names_stop(text, bytes, line)) {
        return true;
      }
    }
  }
  return false;
}

/**
 * Notes what the document just walked says, whose bytes lie in `text` between the offsets, or begin there if it is longer than `text`:
 * then `name` is what a line calls the event. `characters`: of text before it. Returns whether it goes on to the client.
 */
function note_document(
  reader: AnswerReader, text: string, walk: Walk<Text>, from: number, to: number, characters: number, name: string,
): boolean {
  const slots = answer_slots(reader.api, reader.guarded);
  const state = walk.state;
  const is_error = has_error(text, state, slots);
  if (is_error) {
    note_error(reader, text, state, slots);
  }
  if (slots.type !== NO_SLOT) {
    note_type(reader, text, walk, slots, name);
  } else {
    note_abort(reader, text, 0, state, slots);
  }
  if (state.kinds[slots.usage] === Kind.Object || state.kinds[slots.usage_elsewhere] === Kind.Object) {
    take_usage(reader.usage, state, slots, counted_output(reader));
    if (reader.drop_usage && !is_error && is_usage_chunk(text, state, slots, reader.text.estimate.characters > characters)) {
      return false;
    }
  } else if (reader.usage.alone) {
    note_chunk(reader.usage, state, slots);
  }
  if (slots.finish_reason !== NO_SLOT) {
    note_ends(reader, text, from, to, state, slots);
  }
  return true;
}

/** Reads the event in `frame`. Returns whether it goes on to the client. */
function read_event(reader: AnswerReader, text: string, bytes: Bytes): boolean {
  if (reader.api === "messages" && frame.line_count > 0 && frame.ended && is_named_stop(text, bytes)) {
    reader.complete = true;
  }
  if (is_empty(frame, bytes)) {
    return true;
  }
  if (frame.overflown) {
    reader.oversized = true;
    return false;
  }
  const walk = shared_walk(reader.api, reader.guarded);
  const slots = answer_slots(reader.api, reader.guarded);
  reader.events += 1;
  if (is_done_marker(frame, bytes)) {
    if (slots.choices !== NO_SLOT) {
      reader.complete = true;
    }
    return true;
  }
  if (reader.first_event === undefined) {
    reader.first_event = text.length <= MOST_FIRST_BYTES ? sub(text, frame.data_starts[0]! + 1, frame.data_ends[0]) : "";
  }
  attach(walk, reader.text);
  const { characters } = reader.text.estimate;
  if (!walk_data(walk, bytes)) {
    reader.malformed = true;
    return true;
  }
  return note_document(reader, text, walk, frame.data_starts[0]!, frame.data_ends[frame.data_count - 1]!, characters, "");
}

/**
 * An answer whose type promised events may be one JSON document all the same, most often an error: then it is read as that. It has no blank
 * line, so all of it is there at the end. Under a guard only what an error stands for is told: its text is no event, and does not go on.
 */
function read_document(reader: AnswerReader, text: string): void {
  if (reader.events > 0 || find(text, "^[ \t\r\n]*{")[0] === undefined) {
    return;
  }
  const walk = shared_walk(reader.api, false);
  attach(walk, reader.guarded ? new_text() : reader.text);
  restart(walk);
  const { state } = walk;
  if (feed(walk, bytes_of(text), 0, text.length) !== text.length || !finish(walk, 0, 0)) {
    return;
  }
  const slots = answer_slots(reader.api, false);
  if (has_error(text, state, slots)) {
    note_error(reader, text, state, slots);
    reader.failed = !reader.guarded;
  } else if (!reader.guarded) {
    take_usage(reader.usage, state, slots, counted_output(reader));
    reader.first_event = text;
    reader.complete = true;
  }
}

export { frame, note_document, read_document, read_event, walk_data };
