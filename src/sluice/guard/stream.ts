/**
 * A guarded stream: its events are read as they come, each is scanned in the walk that reads it, and those go on, untouched, in
 * which no word can have begun that is not complete yet. The others are held back, whole and in order, until it is clear.
 *
 * What can't be read can't be guarded: an event that is no JSON ends the stream.
 */

import { MOST_REGIONS, bytes_of } from "../wire/json";
import { frame, read_document, read_event, walk_data } from "../wire/answer_stream";
import { comments_end, gather, keep_rest, take_held } from "../wire/event_cutting";
import { is_single_line, next_event } from "../wire/sse";
import { hold, new_held, note_masks, release, whole_limit } from "./held";
import { read_lines } from "./lines";
import { is_busy, oldest_live, settle_choice, settle_ended } from "./open_texts";
import { note_sent } from "./sent";
import { new_tally, sort_hits } from "./tally";
import { guard_text, regions_of } from "./text";
import { begin_again, end_again } from "./text_sink";
import type { AnswerReader } from "../wire/answer_reader";
import type { Guard } from "./guards";
import type { Held } from "./held";
import type { Tally } from "./tally";
import type { GuardedText } from "./text";

const sub = string.sub;

/** More is not held back: then the beginnings go on, and only the rest of a word that is completed is kept from the client. */
const MOST_HELD_BYTES = 262144;
/** Offsets of a stream start anew when they have grown so large, at the latest. */
const MOST_OFFSET = 268435456;

interface GuardedStream {
  reader: AnswerReader;
  guard: Guard;
  text: GuardedText;
  held: Held;
  tally: Tally;
  /** Where the bytes that come next lie in the stream. */
  offset: number;
  /** Something was found that ends the stream, and where it begins. */
  blocked: boolean;
  blocked_at: number;
  /** Whether the event at hand has data, and how many strings there were before it. */
  has_data: boolean;
  first_segment: number;
  /** How many there are with those of its data. */
  data_segments: number;
  /** Whether its strings were read in the order in which they stand. */
  ordered: boolean;
  /** Where bytes of it lie that must not go on, in pairs; undefined: all may. */
  left_out: number[] | undefined;
  /** An event came that can't be read. */
  unreadable: boolean;
  /** The choices that the event at hand ends; undefined: none. */
  ended: number[] | undefined;
}

/** Guards the answer that the reader reads. */
function guard_stream(reader: AnswerReader, guard: Guard): GuardedStream {
  const text = reader.text as GuardedText;
  reader.guarded = true;
  guard_text(text, guard, true);
  return {
    reader, guard, text,
    held: new_held(),
    tally: new_tally(),
    offset: 0,
    blocked: false,
    blocked_at: 0,
    has_data: false,
    first_segment: 0,
    data_segments: 0,
    ordered: true,
    left_out: undefined,
    unreadable: false,
    ended: undefined,
  };
}

/** Reads the event in `frame` and sees to what it ends. Returns whether it goes on to the client. */
function read_guarded_event(stream: GuardedStream, raw: string, bytes: Bytes): boolean {
  const { reader, text } = stream;
  reader.event_type = "";
  stream.first_segment = text.segment_count;
  stream.ordered = true;
  const { events } = reader;
  const forward = read_event(reader, raw, bytes);
  stream.has_data = reader.events > events;
  if (text.late_start >= 0) {
    stream.ordered = false;
    stream.unreadable = !begin_again(text, raw, frame);
    walk_data(text.walk!, bytes);
    end_again(text);
  }
  stream.data_segments = text.segment_count;
  stream.left_out = undefined;
  if (forward && frame.line_count > 0) {
    stream.left_out = read_lines(text, reader, frame, raw, bytes);
    // The lines were read behind the data, wherever they stand.
    stream.ordered = stream.ordered && text.segment_count === stream.data_segments;
  }
  // Nor can one be read whose log probabilities could not all be taken out.
  const too_many = stream.data_segments > stream.first_segment && text.walk!.state.region_count > MOST_REGIONS;
  stream.unreadable = stream.unreadable || reader.malformed || too_many || text.overfull || text.scanner.overflown || frame.crowded;
  stream.ended = settle_ended(reader, text);
  return forward;
}

/** Sees to what was found. Returns whether the stream ends here. */
function judge(stream: GuardedStream): boolean {
  const { scanner } = stream.text;
  if (scanner.hits.length === 0) {
    return false;
  }
  const hits = scanner.hits;
  scanner.hits = [];
  const { held } = stream;
  const before = held.masks.length;
  const blocking = sort_hits(stream.tally, stream.guard, hits, held.masks, stream.text.estimate.characters === 0);
  note_masks(held, before);
  if (blocking === undefined) {
    return false;
  }
  stream.blocked = true;
  stream.blocked_at = blocking.start;
  return true;
}

/** What was held back before the event in which the find that blocks begins: it goes on still. */
function let_go_before_block(stream: GuardedStream, now: number): string {
  const { text, held, guard, tally } = stream;
  settle_choice(text, undefined);
  // What the other texts had open ends here too: it may block even before.
  const by = tally.blocked_by;
  const before = held.masks.length;
  const other = sort_hits(tally, guard, text.scanner.hits, held.masks, false);
  note_masks(held, before);
  if (other !== undefined && other.start < stream.blocked_at) {
    stream.blocked_at = other.start;
  } else {
    tally.blocked_by = by;
  }
  text.scanner.hits = [];
  tally.blocked = 1;
  const limit = whole_limit(held, text.scanner.refuted, stream.blocked_at);
  return release(held, text, guard.lexicon, tally, limit, now);
}

/** Offsets begin anew if nothing refers to the old ones. */
function rewind(stream: GuardedStream): void {
  const { text, held } = stream;
  if (held.count > 0) {
    return;
  }
  text.segment_count = 0;
  if (text.scanner.refuted.length > 0) {
    text.scanner.refuted = [];
  }
  if (stream.offset > MOST_OFFSET || !is_busy(text)) {
    stream.offset = 0;
    if (held.masks.length > 0 || next(held.until)[0] !== undefined) {
      held.masks = [];
      held.earliest = math.huge;
      held.chosen = [];
      held.until = new LuaTable();
    }
  }
}

/** Lets go of what may go. */
function let_go(stream: GuardedStream, now: number): string {
  const { text, held, guard, tally } = stream;
  let live = oldest_live(text);
  if (live >= 0 && held.bytes > MOST_HELD_BYTES) {
    settle_choice(text, undefined);
    if (judge(stream)) {
      return let_go_before_block(stream, now);
    }
    live = -1;
  }
  const limit = live < 0 ? math.huge : whole_limit(held, text.scanner.refuted, live);
  const out = release(held, text, guard.lexicon, tally, limit, now);
  rewind(stream);
  return out;
}

/** Notes the event from `begin` to `end` of the text, after it was read. */
function hold_event(stream: GuardedStream, raw: string, begin: number, end: number, forward: boolean, now: number): void {
  const { held, reader, text } = stream;
  const event = begin === 0 && end === raw.length ? raw : sub(raw, begin + 1, end);
  const record = hold(held, event);
  record.has_data = stream.has_data;
  record.start = text.base + begin;
  record.forward = forward;
  record.came = now;
  record.first_segment = stream.first_segment;
  record.end_segment = text.segment_count;
  record.ordered = stream.ordered;
  record.regions = forward && stream.data_segments > stream.first_segment ? regions_of(text) : undefined;
  record.left_out = stream.left_out;
  record.ended = stream.ended;
  record.open_block = reader.open_block;
  record.sequence = reader.sequence;
}

/** The LF of a CRLF whose CR ended the bytes before goes the way of the event that it ends. */
function hold_line_end(stream: GuardedStream, raw: string, now: number): void {
  stream.has_data = false;
  stream.ended = undefined;
  stream.first_segment = stream.text.segment_count;
  stream.data_segments = stream.first_segment;
  stream.left_out = undefined;
  hold_event(stream, raw, 0, 1, !stream.reader.after_dropped, now);
}

/** The stream breaks off: what was held back goes on, all texts end. */
function end_open(stream: GuardedStream, now: number): string {
  settle_choice(stream.text, undefined);
  return judge(stream) ? let_go_before_block(stream, now) : let_go(stream, now);
}

/** The upstream has broken off: what was held back goes on, as no word can be completed any more. Returns it. */
function break_guarded(stream: GuardedStream, now: number): string {
  return stream.blocked ? "" : end_open(stream, now);
}

/**
 * Reads the comment lines with which the unfinished event at the offset begins. Returns the offset behind them; the same, if
 * they end the stream.
 */
function cut_comments(stream: GuardedStream, raw: string, begin: number, now: number): number {
  const end = comments_end(raw, begin);
  const lines = sub(raw, 1, end);
  if (end === begin || next_event(frame, lines, bytes_of(lines), begin, true) < 0) {
    return begin;
  }
  const forward = read_guarded_event(stream, lines, bytes_of(lines));
  if (stream.unreadable || judge(stream)) {
    return begin;
  }
  hold_event(stream, lines, begin, end, forward, now);
  return end;
}

/** Cuts the bytes into events and reads them. `last`: nothing follows. Returns what goes on now. */
function cut(stream: GuardedStream, raw: string, last: boolean, now: number): string {
  const { reader, text } = stream;
  const bytes = bytes_of(raw);
  const length = raw.length;
  frame.at_start = !reader.started;
  text.base = stream.offset;
  let from = 0;
  let dropped = reader.after_dropped;
  if (reader.after_return && bytes[0] === 10) {
    hold_line_end(stream, raw, now);
    from = 1;
  }
  let begin = from;
  while (from < length) {
    const end = next_event(frame, raw, bytes, from, last);
    if (end < 0) {
      break;
    }
    const forward = read_guarded_event(stream, raw, bytes);
    if (stream.unreadable || reader.oversized || judge(stream)) {
      break;
    }
    hold_event(stream, raw, begin, end, forward, now);
    dropped = !forward;
    from = end;
    begin = end;
  }
  if (begin < length && !stream.blocked && !stream.unreadable && !reader.oversized) {
    from = cut_comments(stream, raw, begin, now);
    dropped = dropped && from === begin;
    begin = from;
  }
  reader.started = reader.started || begin > 0;
  reader.after_return = from === length && bytes[length - 1] === 13;
  reader.after_dropped = dropped;
  stream.offset += begin;
  if (stream.blocked) {
    return let_go_before_block(stream, now);
  }
  if (stream.unreadable || reader.oversized) {
    return end_open(stream, now);
  }
  if (begin < length) {
    keep_rest(reader, raw, begin);
  }
  return let_go(stream, now);
}

/** Reads a chunk that is one event of one line, which is how most streams come. Returns what goes on now. */
function read_single(stream: GuardedStream, chunk: string, bytes: Bytes, now: number): string {
  const { reader, text, held } = stream;
  reader.started = true;
  text.base = stream.offset;
  const forward = read_guarded_event(stream, chunk, bytes);
  if (stream.unreadable || judge(stream)) {
    return stream.blocked ? let_go_before_block(stream, now) : end_open(stream, now);
  }
  if (held.count === 0 && held.masks.length === 0 && held.chosen.length === 0 && stream.left_out === undefined && oldest_live(text) < 0) {
    stream.offset += chunk.length;
    rewind(stream);
    if (!forward) {
      return "";
    }
    note_sent(held.sent, chunk, stream.has_data, stream.ended, reader.open_block, reader.sequence);
    return chunk;
  }
  hold_event(stream, chunk, 0, chunk.length, forward, now);
  stream.offset += chunk.length;
  return let_go(stream, now);
}

/**
 * Takes the next bytes. Returns those that go on to the client now. Afterwards `blocked` or `unreadable` may say that the stream ends
 * here. `now` is in seconds on a clock that only goes forward.
 */
function read_guarded(stream: GuardedStream, chunk: string, now: number): string {
  const { reader } = stream;
  if (chunk === "" || reader.oversized || stream.blocked) {
    return "";
  }
  if (reader.held_bytes === 0 && !reader.after_return) {
    const bytes = bytes_of(chunk);
    frame.at_start = !reader.started;
    if (is_single_line(frame, chunk, bytes)) {
      return read_single(stream, chunk, bytes, now);
    }
  }
  const raw = reader.held_bytes === 0 ? chunk : gather(reader, chunk);
  return raw === undefined ? "" : cut(stream, raw, false, now);
}

/** Says that no more bytes come. Returns those that still go on: nothing is held back any longer. */
function end_guarded(stream: GuardedStream, now: number): string {
  const { reader } = stream;
  let out = "";
  if (reader.held_bytes > 0) {
    const text = take_held(reader);
    read_document(reader, text);
    out = cut(stream, text, true, now);
  }
  return stream.blocked ? out : out + end_open(stream, now);
}

export { break_guarded, end_guarded, guard_stream, read_guarded };
export type { GuardedStream };
