/**
 * Finds the events of a server-sent event stream (WHATWG HTML, section 9.2) in a buffer of bytes.
 *
 * It cuts, it does not copy: an event is a range of the buffer, and each of its `data` lines a range within.
 * Lines end in LF, CR or CRLF; comments and unknown fields are passed over; a byte order mark at the beginning
 * of the stream is allowed. What follows the last whole event is left for the caller to keep.
 */

import * as bits from "bit";
import * as ffi from "ffi";

const find = string.find;
const bor = bits.bor;

const MOST_DATA_LINES = 256;
/** A longer event is refused, and with it the stream: none of the APIs has one near it. */
const MOST_EVENT_BYTES = 4194304;

interface EventFrame {
  /** How many `data` lines the event has; at most 256 are noted. */
  data_count: number;
  /** Offsets in the buffer (0 the first) where each line's data begins and ends. */
  data_starts: Int32Buffer;
  data_ends: Int32Buffer;
}

function new_frame(): EventFrame {
  return {
    data_count: 0,
    data_starts: ffi.new<Int32Buffer>(`int32_t[${MOST_DATA_LINES}]`),
    data_ends: ffi.new<Int32Buffer>(`int32_t[${MOST_DATA_LINES}]`),
  };
}

/** Notes a line if it is a `data` field. */
function note_line(frame: EventFrame, bytes: Bytes, from: number, to: number): void {
  let start = from;
  if (to - start >= 7 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) {
    start += 3;
  }
  if (
    to - start >= 4 &&
    bytes[start] === 100 &&
    bytes[start + 1] === 97 &&
    bytes[start + 2] === 116 &&
    bytes[start + 3] === 97 &&
    (to - start === 4 || bytes[start + 4] === 58) &&
    frame.data_count < MOST_DATA_LINES
  ) {
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
  let [feed] = find(text, "\n", at + 1, true);
  let [carriage_return] = find(text, "\r", at + 1, true);
  while (at < length) {
    let end = (feed ?? length + 1) - 1;
    let after = end + 1;
    if (carriage_return !== undefined && carriage_return - 1 < end) {
      end = carriage_return - 1;
      after = end + 1;
      if (after < length && bytes[after] === 10) {
        after += 1;
      }
    }
    if (end >= length) {
      break;
    }
    if (end === at) {
      return after;
    }
    note_line(frame, bytes, at, end);
    at = after;
    if (feed !== undefined && feed <= at) {
      [feed] = find(text, "\n", at + 1, true);
    }
    if (carriage_return !== undefined && carriage_return <= at) {
      [carriage_return] = find(text, "\r", at + 1, true);
    }
  }
  if (!last || from >= length) {
    return -1;
  }
  if (at < length) {
    note_line(frame, bytes, at, length);
  }
  return length;
}

/** Whether the event's data is exactly `[DONE]`, which ends a stream of OpenAI's API. */
function is_done_marker(frame: EventFrame, bytes: Bytes): boolean {
  if (frame.data_count !== 1) {
    return false;
  }
  const start = frame.data_starts[0]!;
  let end = frame.data_ends[0]!;
  while (end > start && bytes[end - 1] === 32) {
    end -= 1;
  }
  return (
    end - start === 6 &&
    bor(bytes[start]! - 91, bytes[start + 1]! - 68, bytes[start + 2]! - 79) === 0 &&
    bor(bytes[start + 3]! - 78, bytes[start + 4]! - 69, bytes[start + 5]! - 93) === 0
  );
}

export { MOST_EVENT_BYTES, is_done_marker, new_frame, next_event };
export type { EventFrame };
