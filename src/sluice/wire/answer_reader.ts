/**
 * What is kept of an answer while it is read, and the stores that readers and walkers come from and go back to, so that
 * an answer costs the garbage collector next to nothing.
 */

import { answer_shape, guarded_shape } from "./answer_shape";
import { clear, tokens } from "./estimate";
import { accept_halves, restart, walker } from "./json";
import type { Walk } from "./json";
import { attach, new_text, text_sink } from "./text";
import type { Text } from "./text";
import type { LongEvent } from "./long_event";
import { clear_usage, new_usage } from "./usage";
import { ABSENT, lasting } from "./lasting_record";
import type { Usage } from "./usage";
import type { ApiName } from "./api";

interface AnswerReader {
  api: ApiName;
  usage: Usage;
  /** Reads the answer's text: counts it and, if the answer is guarded, scans it. */
  text: Text;
  /** Every string is text to be scanned, and the walks differ. */
  guarded: boolean;
  /** Leave out the chunk that only reports usage. */
  drop_usage: boolean;
  /** The stream's terminal marker, or the body's end, has come. */
  complete: boolean;
  /** The engine has given the answer up: a choice has ended with `finish_reason: "abort"`. */
  aborted: boolean;
  /** The upstream itself sent an error: an event, or the body. */
  failed: boolean;
  /** How many events had come with its first one; 0 in a body. */
  failed_at: number;
  /** The HTTP status that it stands for; 0: none that is known. */
  error_status: number;
  /** An event came that is too long: the stream can't go on. */
  oversized: boolean;
  /** An event's data, or the body, was no JSON. */
  malformed: boolean;
  /** Whether any bytes have come. */
  started: boolean;
  /** Whole events with data that have come; `[DONE]` is none. */
  events: number;
  /** The unfinished event, in pieces. */
  held: string[];
  held_bytes: number;
  /** How many of its bytes can only be base64's. */
  held_media: number;
  /** The unfinished event is a long one, which goes on as it comes. */
  long: LongEvent | undefined;
  /** Chat and completions: the choices that have ended, and how many those are. */
  ended_choices: LuaSet<number>;
  ended: number;
  /** The last event ended in CR at the end of a chunk: an LF that follows belongs to it. */
  after_return: boolean;
  /** That event was left out, and its LF with it. */
  after_dropped: boolean;
  /** Responses API: the last sequence number, and the response's id. */
  sequence: number;
  response_id: string | undefined;
  /**
   * The ids that have come since somebody took them: of the response, and the items of its output; and that of its
   * conversation.
   */
  new_ids: string[] | undefined;
  conversation_id: string | undefined;
  /** The first event that had data, `{}` if it was long: an ending of our own takes its names from it. */
  first_event: string | undefined;
  /** The type of the event that was read last, in the APIs whose events have one. */
  event_type: string;
  /** Messages: the content block that has begun and not ended; −1: none. */
  open_block: number;
  /** The walk of a JSON body; streams share theirs. */
  body: Walk<Text> | undefined;
  body_rest: string;
  /** The beginning of a JSON body, as far as it may be an error's. */
  body_head: string;
}

/** Walkers for JSON bodies that are not in use, by API: of plain answers, and of guarded ones. */
const idle = new LuaTable<ApiName, Walk<Text>[]>();
const idle_guarded = new LuaTable<ApiName, Walk<Text>[]>();
const MOST_IDLE = 32;
const MOST_READERS = 256;

function new_walk(api: ApiName, guarded: boolean, text: Text): Walk<Text> {
  return accept_halves(walker(guarded ? guarded_shape(api) : answer_shape(api), text_sink(), text));
}

/** Takes a walker for the reader's body. Give it back with `return_walk`. */
function take_walk(reader: AnswerReader): Walk<Text> {
  const walks = (reader.guarded ? idle_guarded : idle).get(reader.api);
  const kept = walks !== undefined ? walks.pop() : undefined;
  const walk = kept ?? new_walk(reader.api, reader.guarded, reader.text);
  attach(walk, reader.text);
  return walk;
}

function return_walk(reader: AnswerReader, walk: Walk<Text>): void {
  const store = reader.guarded ? idle_guarded : idle;
  let walks = store.get(reader.api);
  if (walks === undefined) {
    walks = [];
    store.set(reader.api, walks);
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
  reader.held_media = 0;
  if (reader.long !== undefined) {
    return_walk(reader, reader.long.walk);
    reader.long = undefined;
  }
}

/** Makes a reader as good as new. */
function reset(reader: AnswerReader): void {
  clear_usage(reader.usage);
  clear(reader.text.estimate);
  reader.complete = false;
  reader.aborted = false;
  reader.failed = false;
  reader.failed_at = 0;
  reader.error_status = 0;
  reader.oversized = false;
  reader.malformed = false;
  reader.started = false;
  reader.events = 0;
  drop_held(reader);
  reader.after_return = false;
  reader.after_dropped = false;
  if (reader.ended > 0) {
    reader.ended = 0;
    reader.ended_choices = new LuaSet();
  }
  reader.sequence = -1;
  reader.response_id = undefined;
  reader.new_ids = undefined;
  reader.conversation_id = undefined;
  reader.first_event = undefined;
  reader.event_type = "";
  reader.open_block = -1;
  reader.guarded = false;
  reader.body_rest = "";
  reader.body_head = "";
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
  reader.text.api = api;
  reader.drop_usage = drop_usage;
  return reader;
}

/** Gives a reader back. Nothing of the answer stays in it. */
function return_answer(reader: AnswerReader): void {
  if (reader.body !== undefined) {
    return_walk(reader, reader.body);
    reader.body = undefined;
  }
  if (readers.length < MOST_READERS) {
    reset(reader);
    readers.push(reader);
  }
}

/** A new reader for an answer of that API. */
function new_answer(api: ApiName, drop_usage: boolean): AnswerReader {
  const text = new_text();
  text.api = api;
  return lasting({
    api,
    usage: new_usage(),
    text,
    guarded: false,
    drop_usage,
    complete: false,
    aborted: false,
    failed: false,
    failed_at: 0,
    error_status: 0,
    oversized: false,
    malformed: false,
    started: false,
    events: 0,
    held: [],
    held_bytes: 0,
    held_media: 0,
    long: ABSENT,
    ended_choices: new LuaSet(),
    ended: 0,
    after_return: false,
    after_dropped: false,
    sequence: -1,
    response_id: ABSENT,
    new_ids: ABSENT,
    conversation_id: ABSENT,
    first_event: ABSENT,
    event_type: "",
    open_block: -1,
    body: ABSENT,
    body_rest: "",
    body_head: "",
  });
}

/** Tokens counted in the answer's text. */
function counted_output(reader: AnswerReader): number {
  return tokens(reader.text.estimate);
}

/** Whether any text has come: the first token. */
function has_text(reader: AnswerReader): boolean {
  return reader.text.estimate.characters > 0;
}

export { counted_output, drop_held, has_text, new_answer, new_walk, return_answer, return_walk, take_answer, take_walk };
export type { AnswerReader };
