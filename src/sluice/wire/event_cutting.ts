/**
 * Cuts a stream into events as its bytes come. Whole events go on at once and untouched; what follows the last whole event
 * waits for the rest of it, but comment lines, and an event that grows long: that goes on as it comes, and is read as it goes.
 *
 * Under a guard nothing goes on that has not been scanned, so a long event waits too. What of it may be text has a limit of its
 * own; the rest can only be a picture, sound or video in base64.
 */

import { drop_held } from "./answer_reader";
import type { AnswerReader } from "./answer_reader";
import { LONG_FIRST_EVENT, frame, read_document, read_event } from "./answer_stream";
import { bytes_of } from "./json";
import { begin_long, end_long, take_bytes } from "./long_event";
import type { LongEvent } from "./long_event";
import { is_single_line, next_event } from "./sse";

const byte = string.byte;
const find = string.find;
const gsub = string.gsub;
const sub = string.sub;

/** A longer event is refused, and with it the stream. Generated pictures come in one event, of up to some 20 MB. */
const MOST_EVENT_BYTES = 33554432;
/** So is one with more than that which may be text, where it has to be held: no model's answer has so much. */
const MOST_TEXT_BYTES = 4194304;
/** Pieces of an event that come behind so many bytes may lie within base64. */
const FIRST_BYTES = 65536;
/** An event of which so much has come goes on as it comes. */
const LONG_BYTES = 262144;
const COLON = 58;
const BYTE_ORDER_MARK = "\ufeff";
/** Ends a line, and the event. */
const LINE_ENDS = "\n\n";

/** Gives an event up that has grown too long, or, under a guard, has too much in it that may be text. */
function limit_held(reader: AnswerReader): void {
  if (reader.held_bytes > MOST_EVENT_BYTES || (reader.guarded && reader.held_bytes - reader.held_media > MOST_TEXT_BYTES)) {
    reader.oversized = true;
    drop_held(reader);
  }
}

/** Notes a piece of an event that is held. One that can lie within base64 is not counted as text. */
function note_held(reader: AnswerReader, piece: string): void {
  reader.held.push(piece);
  reader.held_bytes += piece.length;
  if (reader.held_bytes > FIRST_BYTES && find(piece, "[^%w+/=_\\-]")[0] === undefined) {
    reader.held_media += piece.length;
  }
  limit_held(reader);
}

/** Keeps the unfinished event that begins at offset `from` of the text. */
function keep_rest(reader: AnswerReader, text: string, from: number): void {
  reader.held_bytes = 0;
  reader.held_media = 0;
  note_held(reader, sub(text, from + 1));
}

/**
 * The offset behind the whole comment lines that the unfinished event at `from` begins with: servers send such to show that
 * they are at work, with one line end only (WHATWG HTML 9.2.7), and who waits for bytes waits for these. A CR at the end may
 * still get its LF.
 */
function comments_end(text: string, from: number): number {
  const length = text.length;
  let at = from;
  while (byte(text, at + 1) === COLON) {
    const [end] = find(text, "[\r\n]", at + 1);
    if (end === undefined || (end === length && byte(text, end) === 13)) {
      break;
    }
    at = byte(text, end) === 13 && byte(text, end + 1) === 10 ? end + 1 : end;
  }
  return at;
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
  if (from < length && byte(text, from + 1) === COLON) {
    from = comments_end(text, from);
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

/** Whether the chunk, with what is held before it, may hold the blank line that ends the event, or a comment line's end. */
function ends_event(reader: AnswerReader, chunk: string): boolean {
  const last = byte(reader.held[reader.held.length - 1]!, -1);
  const first = byte(chunk, 1);
  return (
    (last === 10 && (first === 10 || first === 13)) ||
    (last === 13 && first === 13) ||
    find(chunk, "\n\n", 1, true)[0] !== undefined ||
    find(chunk, "\n\r", 1, true)[0] !== undefined ||
    find(chunk, "\r\r", 1, true)[0] !== undefined ||
    // A comment line goes on before its event has ended.
    (byte(reader.held[0]!, 1) === COLON && find(chunk, "[\r\n]")[0] !== undefined)
  );
}

/** Adds a chunk to what is held. Returns all of it if an event may end in it, else undefined. */
function gather(reader: AnswerReader, chunk: string): string | undefined {
  if (!ends_event(reader, chunk)) {
    note_held(reader, chunk);
    return undefined;
  }
  reader.held.push(chunk);
  return take_held(reader);
}

/** What is held, which is held no longer. */
function take_held(reader: AnswerReader): string {
  const text = table.concat(reader.held);
  reader.held = [];
  reader.held_bytes = 0;
  reader.held_media = 0;
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
  if (reader.long !== undefined) {
    return read_long(reader, reader.long, chunk);
  }
  if (reader.held_bytes === 0) {
    return read_chunk(reader, chunk);
  }
  const text = gather(reader, chunk);
  if (text !== undefined) {
    return read_events(reader, text, false) ?? text;
  }
  if (reader.held_bytes < LONG_BYTES || is_document(reader)) {
    return "";
  }
  const begun = take_held(reader);
  const long = begin_long(reader);
  reader.long = long;
  reader.first_event = reader.first_event ?? LONG_FIRST_EVENT;
  take_bytes(reader, long, reader.started ? begun : gsub(begun, `^${BYTE_ORDER_MARK}`, "")[0]);
  reader.started = true;
  return begun;
}

/** Takes bytes that come in a long event. They go on as they are, and so does what follows its end. */
function read_long(reader: AnswerReader, long: LongEvent, chunk: string): string | undefined {
  const end = take_bytes(reader, long, chunk);
  if (end < 0) {
    if (long.bytes > MOST_EVENT_BYTES) {
      reader.oversized = true;
    }
    return undefined;
  }
  reader.long = undefined;
  reader.after_return = byte(chunk, end) === 13 && end === chunk.length;
  reader.after_dropped = false;
  if (end === chunk.length) {
    return undefined;
  }
  const rest = sub(chunk, end + 1);
  return sub(chunk, 1, end) + (read_chunk(reader, rest) ?? rest);
}

/** Whether what is held may be one JSON document in place of events, which is read when all of it is there (`read_document`). */
function is_document(reader: AnswerReader): boolean {
  return reader.events === 0 && find(reader.held[0]!, "^[ \t\r\n]*{")[0] !== undefined;
}

/** Says that the stream has ended by itself. Returns the bytes that still go on: an event without its blank line. */
function end_stream(reader: AnswerReader): string {
  if (reader.long !== undefined) {
    end_long(reader, reader.long);
    reader.long = undefined;
    return reader.complete ? "" : LINE_ENDS;
  }
  if (reader.held_bytes === 0) {
    return "";
  }
  const text = take_held(reader);
  read_document(reader, text);
  return read_events(reader, text, true) ?? text;
}

export { comments_end, end_stream, gather, keep_rest, read_stream, take_held };
