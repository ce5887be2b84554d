/**
 * Reads an event as it comes that is too long to be held: one with a generated picture, or a response that is repeated as a
 * whole. Its bytes are with the client already, so that all that is left is to know what it says: text, usage, an error, an
 * end.
 *
 * Lines are told as in `sse`, but across pieces. The walk is the event's own until it ends.
 */

import { return_walk, take_walk } from "./answer_reader";
import { note_document } from "./answer_stream";
import { Fault, bytes_of, feed, finish } from "./json";
import type { AnswerReader } from "./answer_reader";
import type { Walk } from "./json";
import type { Text } from "./text";

const byte = string.byte;
const find = string.find;
const match = string.match;
const sub = string.sub;

/** What is kept of the document's beginning: where its type stands, or an error. */
const HEAD_BYTES = 65536;
/** What is kept of a line's beginning: its name, and that of an event. */
const LINE_BYTES = 64;
/** The field's name, the colon, and the blank that may follow. */
const NAMED_BYTES = 6;
const CARRIAGE_RETURN = 13;
const LINE_FEED = 10;

interface LongEvent {
  walk: Walk<Text>;
  /** Characters of text before it. */
  characters: number;
  bytes: number;
  /** How the line at hand begins. Of a line of data only what stands before the data. */
  line: string;
  is_data: boolean;
  has_data: boolean;
  /** The last byte was a CR: an LF that follows belongs to it. */
  after_return: boolean;
  /** Bytes that the walk has yet to take. */
  rest: string;
  head: string;
  /** What the event is called by a line of its own; "" for none. */
  name: string;
}

/** An event begins that is read as it comes. */
function begin_long(reader: AnswerReader): LongEvent {
  const walk = take_walk(reader);
  return {
    walk, characters: reader.text.estimate.characters, bytes: 0, line: "", is_data: false, has_data: false, after_return: false, rest: "", head: "", name: "",
  };
}

/** Takes a piece of the data. */
function take_data(long: LongEvent, piece: string): void {
  const { state } = long.walk;
  if (long.head.length < HEAD_BYTES) {
    long.head += sub(piece, 1, HEAD_BYTES - long.head.length);
  }
  if (state.fault !== Fault.None) {
    return;
  }
  const text = long.rest === "" ? piece : long.rest + piece;
  const consumed = feed(long.walk, bytes_of(text), 0, text.length);
  state.base += consumed;
  long.rest = sub(text, consumed + 1);
}

/** The line at hand turns out to be one of data, of which that much stands in `line`. */
function begin_data(long: LongEvent): void {
  const [data] = match(long.line, "^data:? ?(.*)$");
  long.is_data = true;
  if (long.has_data) {
    take_data(long, "\n");
  }
  long.has_data = true;
  take_data(long, data ?? "");
  long.line = "data";
}

/** Takes a piece of a line, without its end. */
function take_line(long: LongEvent, piece: string): void {
  if (long.is_data) {
    take_data(long, piece);
    return;
  }
  if (long.line.length >= NAMED_BYTES && find(long.line, "^data:")[0] === undefined) {
    long.line += sub(piece, 1, math.max(0, LINE_BYTES - long.line.length));
    return;
  }
  long.line += piece;
  if (long.line.length >= NAMED_BYTES && find(long.line, "^data:")[0] !== undefined) {
    begin_data(long);
  } else {
    long.line = sub(long.line, 1, LINE_BYTES);
  }
}

/** A line ends. Returns whether it is the blank one that ends the event. */
function end_line(long: LongEvent): boolean {
  if (long.line === "") {
    return true;
  }
  if (!long.is_data && find(long.line, "^data:?$")[0] !== undefined) {
    begin_data(long);
  }
  const [name] = match(long.line, "^event: ?(.*)$");
  long.name = name ?? long.name;
  long.line = "";
  long.is_data = false;
  return false;
}

/** The event has ended: what it says is noted. */
function end_long(reader: AnswerReader, long: LongEvent): void {
  const { walk } = long;
  reader.events += 1;
  if (finish(walk, 0, long.rest.length)) {
    note_document(reader, long.head, walk, 0, long.bytes, long.characters, long.name);
  } else {
    reader.malformed = true;
  }
  if (reader.api === "messages" && long.name === "message_stop") {
    reader.complete = true;
  }
  return_walk(reader, walk);
}

/** Takes the next bytes. Returns how many of them are the event's, if it ends with them; else −1. */
function take_bytes(reader: AnswerReader, long: LongEvent, chunk: string): number {
  const length = chunk.length;
  let at = 0;
  long.bytes += length;
  if (long.after_return && byte(chunk, 1) === LINE_FEED) {
    at = 1;
  }
  long.after_return = false;
  while (at < length) {
    const [end] = find(chunk, "[\r\n]", at + 1);
    const line_end = end ?? length + 1;
    if (line_end > at + 1) {
      take_line(long, at === 0 && end === undefined ? chunk : sub(chunk, at + 1, line_end - 1));
    }
    if (end === undefined) {
      return -1;
    }
    at = end;
    if (byte(chunk, end) === CARRIAGE_RETURN) {
      long.after_return = end === length;
      at = byte(chunk, end + 1) === LINE_FEED ? end + 1 : end;
    }
    if (end_line(long)) {
      end_long(reader, long);
      return at;
    }
  }
  return -1;
}

export { begin_long, end_long, take_bytes };
export type { LongEvent };
