/**
 * The lines of a guarded stream that are no data: comments, event names, ids. Clients show them to nobody, but each of their bytes
 * reaches the client, so they are scanned like text, each by itself. A line that is no field at all is left out: what a client
 * makes of it nobody knows.
 */

import { EVENT_NAMES } from "../wire/known_values";
import { STRING_CLASS, decode_utf8 } from "../wire/json_text";
import { Line } from "../wire/sse";
import { scan_line } from "./text_sink";
import type { AnswerReader } from "../wire/answer_reader";
import type { EventFrame } from "../wire/sse";
import type { GuardedText } from "./text";

const sub = string.sub;
const find = string.find;

/** Whether all bytes between the offsets are UTF-8 (RFC 3629). */
function is_utf8(bytes: Bytes, from: number, to: number): boolean {
  let at = from;
  while (at < to) {
    if (STRING_CLASS[bytes[at]!] !== 4) {
      at += 1;
    } else {
      const [, next] = decode_utf8(bytes, at, to);
      if (next <= 0) {
        return false;
      }
      at = next;
    }
  }
  return true;
}

/** Whether the line names an event of the APIs. Mostly that is the type of the event just read, whose name is at hand. */
function names_event(frame: EventFrame, reader: AnswerReader, raw: string, bytes: Bytes, line: number): boolean {
  const { event_type } = reader;
  const end = frame.line_ends[line]!;
  let from = frame.line_values[line]!;
  if (from < end && bytes[from] === 32) {
    from += 1;
  }
  if (end - from === event_type.length && find(raw, event_type, from + 1, true)[0] === from + 1) {
    return EVENT_NAMES.has(event_type);
  }
  return EVENT_NAMES.has(sub(raw, from + 1, end));
}

/** The offset behind the line's end, which is LF, CR or CRLF; the last line of a stream may have none. */
function behind(raw: string, end: number): number {
  const [, last] = find(raw, "^\r?\n?", end + 1);
  return last!;
}

/** Adds the line's bytes to the ranges. Lines that follow each other become one range. */
function leave_out(ranges: number[] | undefined, base: number, start: number, end: number): number[] {
  if (ranges === undefined) {
    return [base + start, base + end];
  }
  if (ranges[ranges.length - 1] === base + start) {
    ranges[ranges.length - 1] = base + end;
  } else {
    ranges.push(base + start);
    ranges.push(base + end);
  }
  return ranges;
}

/** Reads one line. Returns the ranges with what of it must not go on. */
function read_line(
  text: GuardedText,
  reader: AnswerReader,
  frame: EventFrame,
  raw: string,
  bytes: Bytes,
  line: number,
  ranges: number[] | undefined,
): number[] | undefined {
  const kind = frame.line_kinds[line]!;
  if (kind === Line.Event && names_event(frame, reader, raw, bytes, line)) {
    return ranges;
  }
  const value = frame.line_values[line]!;
  const end = frame.line_ends[line]!;
  if (kind === Line.Foreign || !is_utf8(bytes, value, end)) {
    return leave_out(ranges, text.base, frame.line_starts[line]!, behind(raw, end));
  }
  scan_line(text, bytes, value, end);
  return ranges;
}

/**
 * Reads the lines without data of the event in `frame`, whose bytes are in `raw`. What is found in them is with the other finds.
 * Returns where those lie in the stream that must not go on, in ascending pairs; undefined: there are none.
 */
function read_lines(text: GuardedText, reader: AnswerReader, frame: EventFrame, raw: string, bytes: Bytes): number[] | undefined {
  // Mostly it is one, and without a loop the path of most events compiles in one piece.
  let ranges = read_line(text, reader, frame, raw, bytes, 0, undefined);
  if (frame.line_count > 1) {
    for (const line of $range(1, frame.line_count - 1)) {
      ranges = read_line(text, reader, frame, raw, bytes, line, ranges);
    }
  }
  return ranges;
}

export { read_lines };
