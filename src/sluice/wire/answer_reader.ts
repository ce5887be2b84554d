/**
 * What is kept of an answer while it is read, and the stores that readers and walkers come from and go back to, so that
 * an answer costs the garbage collector next to nothing.
 */

import { ESTIMATOR, clear, new_estimate, tokens } from "./estimate";
import type { Estimate } from "./estimate";
import { restart, walker } from "./json";
import type { Walk } from "./json";
import { answer_shape } from "./usage";
import type { Usage } from "./usage";
import type { ApiName } from "./api";

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
  /** Whether any bytes have come. */
  started: boolean;
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

/** Walkers for JSON bodies that are not in use, by API. */
const idle = new LuaTable<ApiName, Walk<Estimate>[]>();
const MOST_IDLE = 32;
const MOST_READERS = 256;

function new_walk(api: ApiName, estimate: Estimate): Walk<Estimate> {
  return walker(answer_shape(api), ESTIMATOR, estimate);
}

/** Takes a walker for a body. Give it back with `return_walk`. */
function take_walk(api: ApiName, estimate: Estimate): Walk<Estimate> {
  const walks = idle.get(api);
  const walk = walks !== undefined ? walks.pop() : undefined;
  if (walk === undefined) {
    return new_walk(api, estimate);
  }
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
    restart(walk);
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
  reader.started = false;
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
    started: false,
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

/** Tokens counted in the answer's text. */
function counted_output(reader: AnswerReader): number {
  return tokens(reader.estimate);
}

/** Whether any text has come: the first token. */
function has_text(reader: AnswerReader): boolean {
  return reader.estimate.characters > 0;
}

export { counted_output, drop_held, has_text, new_answer, new_walk, return_answer, return_walk, take_answer, take_walk };
export type { AnswerReader };
