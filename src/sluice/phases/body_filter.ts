/**
 * The body filter: hands the answer's bytes to the reader and sends on what it says.
 *
 * nginx calls it with each chunk. Two calls have no bytes: the first one, if the header came before any body, and
 * one that tells that the upstream broke off; asking whether the exchange with the upstream is over tells them apart.
 * Setting the second argument ends the response for the client, whose connection stays usable, and closes the upstream's.
 */

import { monotonic } from "../edge/clock";
import { upstream_ended } from "../edge/upstream";
import { break_guarded, end_guarded, read_guarded } from "../guard/stream";
import { counted_output, end_stream, has_text, read_stream } from "../wire/answer";
import { end_answer, note_bytes, note_passed } from "./answer_end";
import { tell_kind } from "./answer_kind";
import { filter_guarded_json, filter_json } from "./body_json";
import { is_over_time, note_arrival, note_over_time, note_silence } from "./deadline";
import { learn_answer } from "./learning";
import { extend_reservation, take_passed } from "./limits";
import { await_upstream } from "./open_upstreams";
import { filter_words } from "./refused_words";
import { current_state, Mode } from "./state";
import { accept_end, all_sent, block, break_off, close, guarded_sent } from "./stream_endings";
import type { GuardedStream } from "../guard/stream";
import type { AnswerReader } from "../wire/answer";
import type { RequestState } from "./state";

const sub = string.sub;

/** Where a budget may end a stream, its chunks, of up to 32 KB, are read in pieces of this size: so much may go out beyond the budget. */
const PIECE_BYTES = 4096;

/**
 * Whether the stream has used up what the tenant's budget is enough for. What passes its share of the windows is taken of them.
 */
function is_spent(state: RequestState, answer: AnswerReader): boolean {
  if (state.window_allowance !== math.huge) {
    take_passed(state, counted_output(answer));
  }
  if (state.output_allowance === math.huge || answer.complete) {
    return false;
  }
  const output = counted_output(answer);
  while (output > state.output_allowance) {
    if (!extend_reservation(state)) {
      return true;
    }
  }
  return false;
}

/** What a client is told of a stream that ended for want of time. */
const OVER_TIME = "The answer took longer than it may.";

/** The stream goes on, but its time is over. `before` goes out still. */
function run_out_of_time(state: RequestState, answer: AnswerReader, before: string): void {
  note_over_time(state);
  const guarded = state.guarded_stream;
  const rest = guarded !== undefined ? break_guarded(guarded, monotonic()) : "";
  if (guarded !== undefined && guarded.blocked) {
    block(state, answer, guarded, before + rest);
    return;
  }
  break_off(state, answer, before + rest, "total_timeout", OVER_TIME);
}

/** The upstream's connection broke: reset, closed early, or silent for too long. */
function lose_upstream(state: RequestState, answer: AnswerReader): void {
  const silence = note_silence(state);
  end_answer(state, true);
  if (answer.complete) {
    ngx.arg[2] = true;
    state.broken = undefined;
    return;
  }
  const guarded = state.guarded_stream;
  const before = guarded !== undefined ? break_guarded(guarded, monotonic()) : "";
  if (guarded !== undefined && guarded.blocked) {
    block(state, answer, guarded, before);
    return;
  }
  const message = silence === "total_timeout" ? OVER_TIME
    : silence !== undefined ? "The model server fell silent before the answer was complete." : "The model server broke off before the answer was complete.";
  break_off(state, answer, before, silence ?? "connection_lost", message);
}

/** Whether a chunk is to be read in pieces, since the budget may end within it. */
function may_end_within(state: RequestState, chunk: string): boolean {
  return chunk.length > PIECE_BYTES && state.output_allowance !== math.huge;
}

/** Reads a chunk piece by piece, up to the one with which the budget is used up. Returns what goes out of it. */
function read_in_pieces(state: RequestState, answer: AnswerReader, stream: GuardedStream | undefined, chunk: string, now: number): string {
  const parts: string[] = [];
  for (const from of $range(1, chunk.length, PIECE_BYTES)) {
    const piece = sub(chunk, from, from + PIECE_BYTES - 1);
    parts.push(stream !== undefined ? read_guarded(stream, piece, now) : (read_stream(answer, piece) ?? piece));
    if (answer.oversized || (stream !== undefined && (stream.blocked || stream.unreadable)) || is_spent(state, answer)) {
      break;
    }
  }
  return parts.join("");
}

function filter_stream(state: RequestState, answer: AnswerReader, chunk: string, last: boolean): void {
  if (chunk === "" && !last) {
    if (upstream_ended()) {
      lose_upstream(state, answer);
    }
    return;
  }
  let out = chunk === "" ? "" : may_end_within(state, chunk) ? read_in_pieces(state, answer, undefined, chunk, 0) : read_stream(answer, chunk);
  if (answer.oversized) {
    break_off(state, answer, out ?? chunk, "oversized_event", "The model server sent an event that is too long.");
    return;
  }
  if (chunk !== "") {
    note_arrival(state, monotonic());
    if (is_spent(state, answer)) {
      state.broken = "budget_cut";
      close(state, answer, all_sent(state, answer), "length", out ?? chunk);
      return;
    }
    if (!last && !answer.complete && is_over_time(state, state.last_bytes, 0)) {
      run_out_of_time(state, answer, out ?? chunk);
      return;
    }
  }
  if (last) {
    const rest = end_stream(answer);
    accept_end(state, answer);
    if (!answer.complete) {
      break_off(state, answer, (out ?? chunk) + rest, "no_terminal_marker", "The model server ended the answer without saying that it is complete.");
      return;
    }
    if (rest !== "") {
      out = (out ?? chunk) + rest;
    }
  }
  if (state.first_text === undefined && has_text(answer)) {
    state.first_text = state.last_bytes;
  }
  if (answer.complete && !last) {
    await_upstream(state);
  }
  if (out !== undefined) {
    ngx.arg[1] = out;
  }
}

/** A stream under a guard. */
function filter_guarded_stream(state: RequestState, answer: AnswerReader, stream: GuardedStream, chunk: string, last: boolean): void {
  if (chunk === "" && !last) {
    if (upstream_ended()) {
      lose_upstream(state, answer);
    }
    return;
  }
  const now = monotonic();
  let out = chunk === "" ? "" : may_end_within(state, chunk) ? read_in_pieces(state, answer, stream, chunk, now) : read_guarded(stream, chunk, now);
  if (chunk !== "") {
    note_arrival(state, now);
  }
  if (last && !stream.blocked && !stream.unreadable && !answer.oversized) {
    out += end_guarded(stream, now);
    accept_end(state, answer);
  }
  if (stream.blocked) {
    block(state, answer, stream, out);
    return;
  }
  if (answer.oversized) {
    break_off(state, answer, out, "oversized_event", "The model server sent an event that is too long.");
    return;
  }
  if (stream.unreadable) {
    break_off(state, answer, out, "unreadable_event", "The model server sent an event that can't be read.");
    return;
  }
  if (is_spent(state, answer)) {
    state.broken = "budget_cut";
    close(state, answer, guarded_sent(stream), "length", out);
    return;
  }
  if (!last && !answer.complete && is_over_time(state, now, 0)) {
    run_out_of_time(state, answer, out);
    return;
  }
  if (last && !answer.complete) {
    break_off(state, answer, out, "no_terminal_marker", "The model server ended the answer without saying that it is complete.");
    return;
  }
  if (state.first_text === undefined && has_text(answer)) {
    state.first_text = now;
  }
  if (answer.complete && !last) {
    await_upstream(state);
  }
  ngx.arg[1] = out;
}

/** Sends what replaces the body with the first call, and nothing after it. */
function send_replacement(holder: { replacement: string | undefined }): void {
  ngx.arg[1] = holder.replacement;
  ngx.arg[2] = true;
  holder.replacement = undefined;
}

/** body_filter_by_lua */
function filter_body(this: void): void {
  const state = current_state();
  if (state === undefined) {
    const holder = ngx.ctx as { replacement: string | undefined; replaced?: boolean };
    if (holder.replacement !== undefined) {
      holder.replaced = true;
      send_replacement(holder);
    } else if (holder.replaced === true) {
      ngx.arg[1] = undefined;
    }
    return;
  }
  const mode = state.mode;
  if (mode === Mode.Pass) {
    if (state.holding) {
      note_passed(state, ngx.arg[1] ?? "", ngx.arg[2]);
    }
    return;
  }
  if (mode === Mode.Replace) {
    if (!state.ended) {
      state.ended = true;
      end_answer(state, false);
      send_replacement(state);
    } else {
      ngx.arg[1] = undefined;
    }
    return;
  }
  if (state.ended) {
    ngx.arg[1] = undefined;
    return;
  }
  if (mode === Mode.Words) {
    filter_words(state);
    return;
  }
  let kept = 0;
  if (mode === Mode.Unknown) {
    kept = state.kept.length;
    if (!tell_kind(state)) {
      return;
    }
    state.kept = "";
  }
  const answer = state.answer!;
  const chunk = ngx.arg[1] ?? "";
  const last = ngx.arg[2];
  if (state.guarded_stream !== undefined) {
    filter_guarded_stream(state, answer, state.guarded_stream, chunk, last);
  } else if (state.guarded_body !== undefined) {
    filter_guarded_json(state, state.guarded_body, chunk, last);
  } else if (state.mode === Mode.Stream) {
    filter_stream(state, answer, chunk, last);
  } else {
    filter_json(state, answer, chunk, last);
  }
  if (state.learns) {
    learn_answer(state, answer, chunk);
  }
  if (state.holding) {
    note_bytes(state, chunk.length - kept, last);
  }
}

export { filter_body };
