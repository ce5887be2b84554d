/**
 * Reads an answer on its way back: a stream of events, or one JSON body.
 *
 * A stream is cut into events as its bytes come. Whole events go on at once and untouched; what follows the last
 * whole event waits for the rest of it. Each event's JSON is walked once: text is counted for the case that the
 * upstream reports no usage, usage is taken, the terminal marker and error events are noticed, and the usage
 * chunk that the client did not ask for is left out. An event is walked within one call, so all streams of a
 * worker share one walker and a stream itself keeps only the figures and the unfinished event.
 *
 * A JSON body is walked as its bytes come and goes on untouched.
 */

import { ESTIMATOR, clear, new_estimate, tokens } from "./estimate";
import type { Estimate } from "./estimate";
import { Fault, Kind, bytes_of, feed, finish, restart, walker } from "./json";
import type { Walk } from "./json";
import { MOST_EVENT_BYTES, is_done_marker, new_frame, next_event } from "./sse";
import { NO_SLOT, answer_shape, answer_slots, take_usage } from "./usage";
import type { AnswerSlots, Usage } from "./usage";
import type { ApiName } from "./api";

const sub = string.sub;
const find = string.find;

interface AnswerReader {
  api: ApiName;
  usage: Usage;
  /** Counts the answer's text. */
  estimate: Estimate;
  /** Leave out the chunk that only reports usage. */
  drop_usage: boolean;
  /** The stream's terminal marker, or the body's end, has come. */
  complete: boolean;
  /** The upstream itself sent an error event. */
  failed: boolean;
  /** An event longer than 4 MiB came: the stream can't go on. */
  oversized: boolean;
  /** An event's data, or the body, was no JSON. */
  malformed: boolean;
  /** Whole events that have come. */
  events: number;
  /** The unfinished event, in pieces. */
  held: string[];
  held_bytes: number;
  /** The last event ended in CR at the end of a chunk: an LF that follows belongs to it. */
  after_return: boolean;
  /** That event was left out, and its LF with it. */
  after_dropped: boolean;
  /** Responses API: the last sequence number, and the response's id. */
  sequence: number;
  response_id: string | undefined;
  /** The walk of a JSON body; streams share theirs. */
  body: Walk<Estimate> | undefined;
  body_rest: string;
}

/** The walkers for streams, by API. */
const shared = new LuaTable<ApiName, Walk<Estimate>>();
/** Walkers for JSON bodies that are not in use, by API. */
const idle = new LuaTable<ApiName, Walk<Estimate>[]>();
const MOST_IDLE = 32;
const MOST_READERS = 256;
const frame = new_frame();
const LINE_END = "\n";

function new_walk(api: ApiName, estimate: Estimate): Walk<Estimate> {
  return walker(answer_shape(api), ESTIMATOR, estimate);
}

function shared_walk(api: ApiName): Walk<Estimate> {
  let found = shared.get(api);
  if (found === undefined) {
    found = new_walk(api, new_estimate());
    shared.set(api, found);
  }
  return found;
}

/** Takes a walker for a body. Give it back with `return_walk`. */
function take_walk(api: ApiName, estimate: Estimate): Walk<Estimate> {
  const walks = idle.get(api);
  const walk = walks !== undefined ? walks.pop() : undefined;
  if (walk === undefined) {
    return new_walk(api, estimate);
  }
  restart(walk);
  walk.target = estimate;
  return walk;
}

function return_walk(api: ApiName, walk: Walk<Estimate>): void {
  let walks = idle.get(api);
  if (walks === undefined) {
    walks = [];
    idle.set(api, walks);
  }
  if (walks.length < MOST_IDLE) {
    walks.push(walk);
  }
}

/** Drops the unfinished event of a stream that broke off. */
function drop_held(reader: AnswerReader): void {
  if (reader.held_bytes > 0) {
    reader.held = [];
  }
  reader.held_bytes = 0;
}

/** Makes a reader as good as new. */
function reset(reader: AnswerReader): void {
  const usage = reader.usage;
  usage.input = -1;
  usage.cached_input = -1;
  usage.output = -1;
  clear(reader.estimate);
  reader.complete = false;
  reader.failed = false;
  reader.oversized = false;
  reader.malformed = false;
  reader.events = 0;
  drop_held(reader);
  reader.after_return = false;
  reader.after_dropped = false;
  reader.sequence = -1;
  reader.response_id = undefined;
  reader.body_rest = "";
}

/** Readers that are not in use. */
const readers: AnswerReader[] = [];

/** A reader for an answer of that API. Give it back with `return_answer`. */
function take_answer(api: ApiName, drop_usage: boolean): AnswerReader {
  const reader = readers.pop();
  if (reader === undefined) {
    return new_answer(api, drop_usage);
  }
  reader.api = api;
  reader.drop_usage = drop_usage;
  return reader;
}

/** Gives a reader back. Nothing of the answer stays in it. */
function return_answer(reader: AnswerReader): void {
  if (reader.body !== undefined) {
    return_walk(reader.api, reader.body);
    reader.body = undefined;
  }
  if (readers.length < MOST_READERS) {
    reset(reader);
    readers.push(reader);
  }
}

/** A new reader for an answer of that API. */
function new_answer(api: ApiName, drop_usage: boolean): AnswerReader {
  return {
    api,
    usage: { input: -1, cached_input: -1, output: -1 },
    estimate: new_estimate(),
    drop_usage,
    complete: false,
    failed: false,
    oversized: false,
    malformed: false,
    events: 0,
    held: [],
    held_bytes: 0,
    after_return: false,
    after_dropped: false,
    sequence: -1,
    response_id: undefined,
    body: undefined,
    body_rest: "",
  };
}

/** Walks the event's data lines as one document, joined by line feeds. Returns whether it is JSON. */
function walk_data(walk: Walk<Estimate>, bytes: Bytes): boolean {
  restart(walk);
  const state = walk.state;
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

/** Notes a terminal or error event of the APIs whose events say their type. */
function note_type(reader: AnswerReader, text: string, walk: Walk<Estimate>, slots: AnswerSlots): void {
  const state = walk.state;
  if (state.kinds[slots.type] !== Kind.String) {
    return;
  }
  const type = sub(text, state.starts[slots.type]! + 2, state.ends[slots.type]! - 1);
  if (reader.api === "messages") {
    if (type === "message_stop") {
      reader.complete = true;
    } else if (type === "error") {
      reader.failed = true;
    }
    return;
  }
  if (state.kinds[slots.sequence] === Kind.Number) {
    reader.sequence = state.numbers[slots.sequence]!;
  }
  if (reader.response_id === undefined && state.kinds[slots.response_id] === Kind.String) {
    reader.response_id = sub(text, state.starts[slots.response_id]! + 2, state.ends[slots.response_id]! - 1);
  }
  if (type === "response.completed" || type === "response.incomplete" || type === "response.failed") {
    reader.complete = true;
  } else if (type === "error") {
    reader.failed = true;
  }
}

/** Whether the chunk just walked has no choices and is there only to report usage. */
function is_usage_chunk(text: string, walk: Walk<Estimate>, slots: AnswerSlots): boolean {
  const state = walk.state;
  if (state.kinds[slots.usage] !== Kind.Object || state.kinds[slots.choices] !== Kind.Array) {
    return false;
  }
  const inside = sub(text, state.starts[slots.choices]! + 2, state.ends[slots.choices]! - 1);
  return inside === "" || find(inside, "%S")[0] === undefined;
}

/** Reads the event in `frame`. Returns whether it goes on to the client. */
function read_event(reader: AnswerReader, text: string, bytes: Bytes): boolean {
  if (frame.data_count === 0) {
    return true;
  }
  const walk = shared_walk(reader.api);
  const slots = answer_slots(reader.api);
  reader.events += 1;
  if (is_done_marker(frame, bytes)) {
    if (slots.choices !== NO_SLOT) {
      reader.complete = true;
    }
    return true;
  }
  walk.target = reader.estimate;
  if (!walk_data(walk, bytes)) {
    reader.malformed = true;
    return true;
  }
  const state = walk.state;
  if (state.kinds[slots.error] === Kind.Object) {
    reader.failed = true;
  }
  if (slots.type !== NO_SLOT) {
    note_type(reader, text, walk, slots);
  }
  if (state.kinds[slots.usage] === Kind.Object) {
    take_usage(reader.usage, state, slots);
    if (reader.drop_usage && is_usage_chunk(text, walk, slots)) {
      return false;
    }
  }
  return true;
}

/** Reads all whole events of the text; keeps the rest. Returns what goes on, or undefined if all of it does. */
function read_events(reader: AnswerReader, text: string, last: boolean): string | undefined {
  const bytes = bytes_of(text);
  const length = text.length;
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
  if (from === length) {
    reader.after_return = length > 0 && bytes[length - 1] === 13;
    reader.after_dropped = kept_from === length;
    if (parts === undefined) {
      return undefined;
    }
  } else {
    reader.held.push(sub(text, from + 1));
    reader.held_bytes = length - from;
    reader.oversized = reader.held_bytes > MOST_EVENT_BYTES;
  }
  const ready = sub(text, kept_from + 1, from);
  if (parts === undefined) {
    return ready;
  }
  parts.push(ready);
  return table.concat(parts);
}

/**
 * Takes the next bytes of a stream. Returns the bytes that go on to the client now; undefined: exactly those
 * that came.
 */
function read_stream(reader: AnswerReader, chunk: string): string | undefined {
  if (reader.held_bytes === 0) {
    return read_events(reader, chunk, false);
  }
  if (find(chunk, "[\r\n]")[0] === undefined) {
    reader.held.push(chunk);
    reader.held_bytes += chunk.length;
    reader.oversized = reader.held_bytes > MOST_EVENT_BYTES;
    return "";
  }
  reader.held.push(chunk);
  const text = table.concat(reader.held);
  reader.held = [];
  reader.held_bytes = 0;
  return read_events(reader, text, false) ?? text;
}

/** Says that the stream has ended by itself. Returns the bytes that still go on: an event without its blank line. */
function end_stream(reader: AnswerReader): string {
  if (reader.held_bytes === 0) {
    return "";
  }
  const text = table.concat(reader.held);
  reader.held = [];
  reader.held_bytes = 0;
  return read_events(reader, text, true) ?? text;
}

/** Takes the next bytes of a JSON body. They go on as they are. */
function read_body(reader: AnswerReader, chunk: string): void {
  let walk = reader.body;
  if (walk === undefined) {
    walk = take_walk(reader.api, reader.estimate);
    reader.body = walk;
  }
  const state = walk.state;
  if (state.fault !== Fault.None) {
    return;
  }
  const text = reader.body_rest === "" ? chunk : reader.body_rest + chunk;
  const consumed = feed(walk, bytes_of(text), 0, text.length);
  state.base += consumed;
  reader.body_rest = consumed === text.length ? "" : sub(text, consumed + 1);
  reader.malformed = state.fault !== Fault.None;
}

/** Says that the JSON body has ended. Afterwards `complete` tells whether it was whole. */
function end_body(reader: AnswerReader): void {
  const walk = reader.body;
  if (walk === undefined) {
    return;
  }
  reader.complete = finish(walk, 0, reader.body_rest.length);
  reader.malformed = !reader.complete;
  take_usage(reader.usage, walk.state, answer_slots(reader.api));
  reader.body = undefined;
  return_walk(reader.api, walk);
}

/** Tokens counted in the answer's text. */
function counted_output(reader: AnswerReader): number {
  return tokens(reader.estimate);
}

/** Whether any text has come: the first token. */
function has_text(reader: AnswerReader): boolean {
  return reader.estimate.characters > 0;
}

export {
  counted_output,
  drop_held,
  end_body,
  end_stream,
  has_text,
  new_answer,
  read_body,
  read_stream,
  return_answer,
  take_answer,
};
export type { AnswerReader };
