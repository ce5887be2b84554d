/**
 * Reads an answer that is a stream of events. It is cut into events as its bytes come. Whole events go on at once and
 * untouched; what follows the last whole event waits for the rest of it. Each event's JSON is walked once: text is counted
 * for the case that the upstream reports no usage, usage is taken, the terminal marker and error events are noticed, and
 * the usage chunk that the client did not ask for is left out. An event is walked within one call, so all streams of a
 * worker share one walker and a stream itself keeps only the figures and the unfinished event.
 */

import { note_abort } from "./aborted";
import { drop_held, new_walk } from "./answer_reader";
import type { AnswerReader } from "./answer_reader";
import { NO_SLOT, answer_slots } from "./answer_shape";
import type { AnswerSlots } from "./answer_shape";
import { status_of_error } from "./error_status";
import { Fault, Kind, bytes_of, feed, finish, restart } from "./json";
import type { Walk, WalkState } from "./json";
import { MOST_EVENT_BYTES, is_done_marker, is_empty, is_single_line, new_frame, next_event } from "./sse";
import { attach, new_text } from "./text";
import type { Text } from "./text";
import { take_usage } from "./usage";
import type { ApiName } from "./api";

const byte = string.byte;
const sub = string.sub;
const find = string.find;

/** The walkers, by API: of plain answers, and of guarded ones. */
const shared = new LuaTable<ApiName, Walk<Text>>();
const shared_guarded = new LuaTable<ApiName, Walk<Text>>();
const frame = new_frame();
const LINE_END = "\n";

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

/** What stands in a slot, as text: a number, or a string without its quotes; "" for all else. */
function word_in(text: string, state: WalkState, slot: number): string {
  const kind = state.kinds[slot];
  if (kind === Kind.Number) {
    return sub(text, state.starts[slot]! + 1, state.ends[slot]);
  }
  return kind === Kind.String ? sub(text, state.starts[slot]! + 2, state.ends[slot]! - 1) : "";
}

/** Notes an error event. The first one says what has happened. */
function note_error(reader: AnswerReader, text: string, state: WalkState, slots: AnswerSlots): void {
  reader.failed = true;
  if (reader.error_status === 0) {
    const code = word_in(text, state, slots.error_code);
    reader.error_status = status_of_error(
      code !== "" ? code : word_in(text, state, slots.code), word_in(text, state, slots.error_status), word_in(text, state, slots.error_type));
  }
}

/** Notes an id by which the client may name something of the answer later. */
function note_id(reader: AnswerReader, id: string): void {
  if (id !== "") {
    reader.new_ids = reader.new_ids ?? [];
    reader.new_ids.push(id);
  }
}

/** Notes a terminal or error event of the APIs whose events say their type. */
function note_type(reader: AnswerReader, text: string, walk: Walk<Text>, slots: AnswerSlots): void {
  const state = walk.state;
  if (state.kinds[slots.type] !== Kind.String) {
    return;
  }
  const type = sub(text, state.starts[slots.type]! + 2, state.ends[slots.type]! - 1);
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
  if (reader.response_id === undefined && state.kinds[slots.response_id] === Kind.String) {
    reader.response_id = word_in(text, state, slots.response_id);
    note_id(reader, reader.response_id);
    reader.conversation_id = word_in(text, state, slots.conversation_id);
  }
  if (type === "response.output_item.added") {
    note_id(reader, word_in(text, state, slots.item_id));
  } else if (type === "response.completed" || type === "response.incomplete" || type === "response.failed") {
    reader.complete = true;
  } else if (type === "error") {
    note_error(reader, text, state, slots);
  }
}

/** Whether the chunk just walked has no choices and is there only to report usage. */
function is_usage_chunk(walk: Walk<Text>, slots: AnswerSlots): boolean {
  const state = walk.state;
  if (state.kinds[slots.usage] !== Kind.Object || state.kinds[slots.choices] !== Kind.Array) {
    return false;
  }
  return state.numbers[slots.choices] === 0;
}

/** Reads the event in `frame`. Returns whether it goes on to the client. */
function read_event(reader: AnswerReader, text: string, bytes: Bytes): boolean {
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
    reader.first_event = sub(text, frame.data_starts[0]! + 1, frame.data_ends[0]);
  }
  attach(walk, reader.text);
  if (!walk_data(walk, bytes)) {
    reader.malformed = true;
    return true;
  }
  const state = walk.state;
  const error_kind = state.kinds[slots.error];
  if (error_kind === Kind.Object || error_kind === Kind.String || error_kind === Kind.EscapedString) {
    note_error(reader, text, state, slots);
  }
  if (slots.type !== NO_SLOT) {
    note_type(reader, text, walk, slots);
  } else {
    note_abort(reader, text, 0, state, slots);
  }
  if (state.kinds[slots.usage] === Kind.Object) {
    take_usage(reader.usage, state, slots);
    if (reader.drop_usage && is_usage_chunk(walk, slots)) {
      return false;
    }
  }
  return true;
}

/** Gives an event up that has grown too long. */
function limit_held(reader: AnswerReader): void {
  if (reader.held_bytes > MOST_EVENT_BYTES) {
    reader.oversized = true;
    drop_held(reader);
  }
}

/** Keeps the unfinished event that begins at offset `from` of the text. */
function keep_rest(reader: AnswerReader, text: string, from: number): void {
  reader.held.push(sub(text, from + 1));
  reader.held_bytes = text.length - from;
  limit_held(reader);
}

/** Reads all whole events of the text; keeps the rest. Returns what goes on, or undefined if all of it does. */
function read_events(reader: AnswerReader, text: string, last: boolean): string | undefined {
  const bytes = bytes_of(text);
  const length = text.length;
  frame.at_start = !reader.started;
  let from = 0;
  let kept_from = 0;
  let parts: string[] | undefined;
  if (reader.after_return && length > 0 && bytes[0] === 10) {
    from = 1;
    if (reader.after_dropped) {
      kept_from = 1;
      parts = [];
    }
  }
  reader.after_return = false;
  while (from < length) {
    const end = next_event(frame, text, bytes, from, last);
    if (end < 0) {
      break;
    }
    if (!read_event(reader, text, bytes)) {
      parts = parts ?? [];
      if (from > kept_from) {
        parts.push(sub(text, kept_from + 1, from));
      }
      kept_from = end;
    }
    from = end;
  }
  reader.started = reader.started || from > 0;
  if (from === length) {
    reader.after_return = length > 0 && bytes[length - 1] === 13;
    reader.after_dropped = kept_from === length;
    if (parts === undefined) {
      return undefined;
    }
  } else {
    keep_rest(reader, text, from);
  }
  const ready = sub(text, kept_from + 1, from);
  if (parts === undefined) {
    return ready;
  }
  parts.push(ready);
  return table.concat(parts);
}

/** Reads a chunk when nothing is held: in most cases exactly one event. */
function read_chunk(reader: AnswerReader, chunk: string): string | undefined {
  const bytes = bytes_of(chunk);
  frame.at_start = !reader.started;
  if (reader.after_return || !is_single_line(frame, chunk, bytes)) {
    return read_events(reader, chunk, false);
  }
  reader.started = true;
  if (read_event(reader, chunk, bytes)) {
    return undefined;
  }
  return "";
}

/** Whether the chunk, with what is held before it, may hold the blank line that ends the event. */
function ends_event(reader: AnswerReader, chunk: string): boolean {
  const last = byte(reader.held[reader.held.length - 1]!, -1);
  const first = byte(chunk, 1);
  return (
    (last === 10 && (first === 10 || first === 13)) ||
    (last === 13 && first === 13) ||
    find(chunk, "\n\n", 1, true)[0] !== undefined ||
    find(chunk, "\n\r", 1, true)[0] !== undefined ||
    find(chunk, "\r\r", 1, true)[0] !== undefined
  );
}

/** Adds a chunk to what is held. Returns all of it if an event may end in it, else undefined. */
function gather(reader: AnswerReader, chunk: string): string | undefined {
  const may_end = ends_event(reader, chunk);
  reader.held.push(chunk);
  if (!may_end) {
    reader.held_bytes += chunk.length;
    limit_held(reader);
    return undefined;
  }
  return take_held(reader);
}

/** What is held, which is held no longer. */
function take_held(reader: AnswerReader): string {
  const text = table.concat(reader.held);
  reader.held = [];
  reader.held_bytes = 0;
  return text;
}

/**
 * Takes the next bytes of a stream. Returns the bytes that go on to the client now; undefined: exactly those
 * that came.
 */
function read_stream(reader: AnswerReader, chunk: string): string | undefined {
  if (reader.oversized || chunk === "") {
    return "";
  }
  if (reader.held_bytes === 0) {
    return read_chunk(reader, chunk);
  }
  const text = gather(reader, chunk);
  return text === undefined ? "" : (read_events(reader, text, false) ?? text);
}

/** Says that the stream has ended by itself. Returns the bytes that still go on: an event without its blank line. */
function end_stream(reader: AnswerReader): string {
  if (reader.held_bytes === 0) {
    return "";
  }
  const text = take_held(reader);
  return read_events(reader, text, true) ?? text;
}

export { end_stream, frame, gather, keep_rest, read_event, read_stream, take_held, walk_data };
