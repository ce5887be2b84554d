/**
 * Finds the events of a server-sent event stream (WHATWG HTML, section 9.2) in a buffer of bytes.
 *
 * It cuts, it does not copy: an event is a range of the buffer, and each of its `data` lines a range within.
 * Lines end in LF, CR or CRLF; a byte order mark at the beginning of the stream is allowed. Comments, other fields and lines
 * that are no field are data to nobody, but they go to the client too: where they lie is noted for a guard. What
 * follows the last whole event is left for the caller to keep.
 */

import * as bits from "bit";
import * as ffi from "ffi";

const find = string.find;
const bor = bits.bor;

/** Lines of data that an event may have, and others of it that are noted. */
const MOST_LINES = 256;

/** What a line is that has no data. */
const enum Line {
  Comment = 0,
  Event = 1,
  Id = 2,
  Retry = 3,
  /** None of the fields that a stream may have: clients pass it over. */
  Foreign = 4,
}

interface EventFrame {
  /** How many `data` lines the event has; */
  data_count: number;
  /** it has more than can be noted; */
  overflown: boolean;
  /** how many other lines it has; */
  line_count: number;
  /** there are more than can be noted. */
  crowded: boolean;
  /** By other line: its `Line`, its first byte's offset, its value's, and the offset of its end. */
  line_kinds: Int32Buffer;
  line_starts: Int32Buffer;
  line_values: Int32Buffer;
  line_ends: Int32Buffer;
  /** Offsets in the buffer (0 the first) where each line's data begins and ends. */
  data_starts: Int32Buffer;
  data_ends: Int32Buffer;
  /** A blank line has ended the event, not the end of the stream. */
  ended: boolean;
  /** Whether the buffer is the beginning of the stream, where a byte order mark may stand. */
  at_start: boolean;
  /** The buffer looked at last, and from where; */
  text: string;
  from: number;
  /** the next LF and CR in it, counted from 1; 0: to be looked for, infinite: none. */
  line_feed: number;
  carriage_return: number;
}

function new_frame(): EventFrame {
  return {
    data_count: 0,
    overflown: false,
    line_count: 0,
    crowded: false,
    line_kinds: ffi.new<Int32Buffer>("int32_t[?]", MOST_LINES),
    line_starts: ffi.new<Int32Buffer>("int32_t[?]", MOST_LINES),
    line_values: ffi.new<Int32Buffer>("int32_t[?]", MOST_LINES),
    line_ends: ffi.new<Int32Buffer>("int32_t[?]", MOST_LINES),
    data_starts: ffi.new<Int32Buffer>("int32_t[?]", MOST_LINES),
    data_ends: ffi.new<Int32Buffer>("int32_t[?]", MOST_LINES),
    ended: true,
    at_start: true,
    text: "",
    from: 0,
    line_feed: 0,
    carriage_return: 0,
  };
}

/** Whether a line is the field of that name, given as its bytes. */
function is_field(bytes: Bytes, from: number, to: number, name: readonly number[]): boolean {
  const length = name.length;
  if (to - from < length || (to - from > length && bytes[from + length] !== 58)) {
    return false;
  }
  for (const index of $range(0, length - 1)) {
    if (bytes[from + index] !== name[index]) {
      return false;
    }
  }
  return true;
}

/** event, id, retry */
const EVENT = [101, 118, 101, 110, 116];
const ID = [105, 100];
const RETRY = [114, 101, 116, 114, 121];

/** What kind of line that is, if it is no data. */
function kind_of(bytes: Bytes, from: number, to: number): Line {
  if (bytes[from] === 58) {
    return Line.Comment;
  }
  if (is_field(bytes, from, to, EVENT)) {
    return Line.Event;
  }
  if (is_field(bytes, from, to, ID)) {
    return Line.Id;
  }
  return is_field(bytes, from, to, RETRY) ? Line.Retry : Line.Foreign;
}

/** How many bytes stand before a line's value, its blank not counted: all of a foreign one is its value. */
function value_offset(kind: Line): number {
  if (kind === Line.Event || kind === Line.Retry) {
    return 6;
  }
  if (kind === Line.Comment) {
    return 1;
  }
  return kind === Line.Id ? 3 : 0;
}

/** Notes a line without data. A value has the blank that may stand before it. */
function note_other_line(frame: EventFrame, bytes: Bytes, from: number, to: number): void {
  const count = frame.line_count;
  if (count === MOST_LINES) {
    frame.crowded = true;
    return;
  }
  const kind = kind_of(bytes, from, to);
  frame.line_kinds[count] = kind;
  frame.line_starts[count] = from;
  frame.line_values[count] = math.min(from + value_offset(kind), to);
  frame.line_ends[count] = to;
  frame.line_count = count + 1;
}

/** Notes a line: what is data in it, or that it has none. */
function note_line(frame: EventFrame, bytes: Bytes, from: number, to: number): void {
  let start = from;
  if (from === 0 && frame.at_start && to >= 7 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) {
    start += 3;
  }
  if (
    to - start >= 4 &&
    bytes[start] === 100 &&
    bytes[start + 1] === 97 &&
    bytes[start + 2] === 116 &&
    bytes[start + 3] === 97 &&
    (to - start === 4 || bytes[start + 4] === 58)
  ) {
    if (frame.data_count === MOST_LINES) {
      frame.overflown = true;
      return;
    }
    start += 4;
    if (start < to) {
      start += 1;
    }
    if (start < to && bytes[start] === 32) {
      start += 1;
    }
    frame.data_starts[frame.data_count] = start;
    frame.data_ends[frame.data_count] = to;
    frame.data_count += 1;
  } else {
    note_other_line(frame, bytes, start, to);
  }
}

/**
 * Finds the event that begins at offset `from` of the buffer. Returns the offset after the blank line that ends
 * it, or -1 if the buffer ends before. `last`: nothing follows the buffer, so its end ends the event too.
 */
function next_event(frame: EventFrame, text: string, bytes: Bytes, from: number, last: boolean): number {
  const length = text.length;
  let at = from;
  frame.data_count = 0;
  frame.overflown = false;
  frame.line_count = 0;
  frame.crowded = false;
  if (frame.text !== text || from <= frame.from) {
    frame.text = text;
    frame.line_feed = 0;
    frame.carriage_return = 0;
  }
  frame.from = from;
  while (at < length) {
    if (frame.line_feed <= at) {
      frame.line_feed = find(text, "\n", at + 1, true)[0] ?? math.huge;
    }
    if (frame.carriage_return <= at) {
      frame.carriage_return = find(text, "\r", at + 1, true)[0] ?? math.huge;
    }
    let end = frame.line_feed - 1;
    let after = end + 1;
    if (frame.carriage_return - 1 < end) {
      end = frame.carriage_return - 1;
      after = end + 1;
      if (after < length && bytes[after] === 10) {
        after += 1;
      }
    }
    if (end >= length) {
      break;
    }
    if (end === at) {
      frame.ended = true;
      return after;
    }
    note_line(frame, bytes, at, end);
    at = after;
  }
  if (!last || from >= length) {
    return -1;
  }
  frame.ended = false;
  if (at < length) {
    note_line(frame, bytes, at, length);
  }
  return length;
}

/**
 * Whether the buffer is exactly one event of one line, ended by LF, which is how most streams come; if so, the event is in
 * `frame`. There is no loop in it, so that the path of most chunks compiles in one piece.
 */
function is_single_line(frame: EventFrame, text: string, bytes: Bytes): boolean {
  const length = text.length;
  const [line_feed] = find(text, "\n", 1, true);
  if (line_feed !== length - 1 || bytes[length - 1] !== 10 || find(text, "\r", 1, true)[0] !== undefined) {
    return false;
  }
  frame.data_count = 0;
  frame.overflown = false;
  frame.line_count = 0;
  frame.crowded = false;
  frame.ended = true;
  note_line(frame, bytes, 0, length - 2);
  return true;
}

/** Whether the event has no data, or none but blanks: some servers send such to keep the connection. */
function is_empty(frame: EventFrame, bytes: Bytes): boolean {
  if (frame.data_count !== 1) {
    return frame.data_count === 0;
  }
  const end = frame.data_ends[0]!;
  let at = frame.data_starts[0]!;
  while (at < end && bytes[at] === 32) {
    at += 1;
  }
  return at === end;
}

/** Whether the event's data is exactly `[DONE]`, which ends a stream of OpenAI's API. */
function is_done_marker(frame: EventFrame, bytes: Bytes): boolean {
  if (frame.data_count !== 1) {
    return false;
  }
  let start = frame.data_starts[0]!;
  let end = frame.data_ends[0]!;
  while (start < end && bytes[start] === 32) {
    start += 1;
  }
  while (end > start && bytes[end - 1] === 32) {
    end -= 1;
  }
  return (
    end - start === 6 &&
    bor(bytes[start]! - 91, bytes[start + 1]! - 68, bytes[start + 2]! - 79) === 0 &&
    bor(bytes[start + 3]! - 78, bytes[start + 4]! - 69, bytes[start + 5]! - 93) === 0
  );
}

export { Line, is_done_marker, is_empty, is_single_line, new_frame, next_event };
export type { EventFrame };
