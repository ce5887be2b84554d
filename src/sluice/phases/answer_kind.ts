/**
 * How the body of an answer is read: as JSON, as a stream of events, or not at all. Mostly its type says so, in the header
 * filter. Where that says nothing the body's first bytes do, in the body filter: blanks go on at once, and what is not enough
 * to tell by is kept, seven bytes at most.
 */

import { monotonic } from "../edge/clock";
import { upstream_ended } from "../edge/upstream";
import { guard_body } from "../guard/body";
import { guard_stream } from "../guard/stream";
import { take_answer } from "../wire/answer";
import { AnswerKind, kind_of_body } from "../wire/content_type";
import { refusal_body } from "../wire/ending";
import { refuse } from "../wire/refusal";
import { end_answer, note_bytes } from "./answer_end";
import { is_over_time, note_arrival, note_over_time, note_silence } from "./deadline";
import { Mode } from "./state";
import type { Guard } from "../guard/guards";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

const find = string.find;

/** The guard of what the model says to this caller, if there is one. An embedding says nothing. */
function completion_guard(state: RequestState): Guard | undefined {
  const guard = state.principal !== undefined ? state.principal.tenant.guard : undefined;
  return guard !== undefined && guard.on_completion && state.api!.name !== "embeddings" ? guard : undefined;
}

/** The answer is read from now on: as events, or as JSON of so many bytes if that is known, else −1. */
function read_as(state: RequestState, streams: boolean, guard: Guard | undefined, announced: number): void {
  const answer = take_answer(state.api!.name, streams && !state.reading!.client_wants_usage);
  state.answer = answer;
  state.mode = streams ? Mode.Stream : Mode.Body;
  if (guard !== undefined && streams) {
    state.guarded_stream = guard_stream(answer, guard);
    state.tally = state.guarded_stream.tally;
  } else if (guard !== undefined) {
    state.guarded_body = guard_body(answer, guard, announced);
    state.tally = state.guarded_body.tally;
  }
}

/** The refusal in place of an answer that has to be guarded and is neither JSON nor events. */
function refuse_kind(): Refusal {
  return refuse(502, "upstream_error", "upstream_failed", "The model server gave an answer of a type that can't be read.");
}

/**
 * The body is neither JSON nor events: it goes on as it is, unless it has to be guarded. `text`: what has come of it and not
 * gone on.
 */
function pass_or_refuse(state: RequestState, guard: Guard | undefined, text: string): void {
  state.mode = Mode.Pass;
  if (guard === undefined) {
    ngx.arg[1] = text;
    return;
  }
  state.mode = Mode.Replace;
  state.broken = state.broken ?? "upstream_lost";
  state.ended = true;
  end_answer(state, false);
  ngx.arg[1] = refusal_body(refuse_kind(), state.api!.name);
  ngx.arg[2] = true;
}

/** The body has ended, and was empty, blank, or too short to be anything. `text`: what has not gone on. */
function end_unknown(state: RequestState, text: string): void {
  const guard = completion_guard(state);
  if (find(text, "[^ \t\r\n]")[0] !== undefined) {
    pass_or_refuse(state, guard, text);
    return;
  }
  if (ngx.status < 300) {
    state.broken = state.broken ?? "upstream_lost";
  }
  state.mode = Mode.Pass;
  ngx.arg[1] = text;
}

/** Keeps what is needed to tell, and lets blanks go. `came`: how many bytes are the chunk's. */
function keep_unknown(state: RequestState, text: string, came: number): void {
  const is_blank = find(text, "[^ \t\r\n]")[0] === undefined;
  state.kept = is_blank ? "" : text;
  ngx.arg[1] = is_blank ? text : "";
  if (came > 0) {
    note_arrival(state, monotonic());
  }
  if (state.holding) {
    note_bytes(state, came, false);
  }
  if (came > 0 && is_over_time(state, state.last_bytes, 0)) {
    // Blanks may keep on coming, and nothing can be said behind them that fits to all that was asked for.
    note_over_time(state);
    ngx.exit(ngx.ERROR);
  }
}

/**
 * In the body filter, for an answer whose type says nothing. Returns whether the chunk, with what was kept before it, is to be
 * read now as the mode says that it has found; else it has seen to it.
 */
function tell_kind(state: RequestState): boolean {
  const chunk = ngx.arg[1] ?? "";
  const last = ngx.arg[2];
  const text = state.kept === "" ? chunk : state.kept + chunk;
  const kind = kind_of_body(text);
  const is_lost = chunk === "" && !last && upstream_ended();
  const is_told = kind !== AnswerKind.Unknown || last || is_lost;
  if (kind === AnswerKind.Json || kind === AnswerKind.Events || (state.says_json && is_told)) {
    ngx.arg[1] = text;
    read_as(state, kind === AnswerKind.Events, completion_guard(state), -1);
    return true;
  }
  if (is_lost) {
    note_silence(state);
    end_answer(state, true);
  }
  if (kind === AnswerKind.Other) {
    pass_or_refuse(state, completion_guard(state), text);
  } else if (last || is_lost) {
    end_unknown(state, text);
  } else {
    keep_unknown(state, text, chunk.length);
    return false;
  }
  state.kept = "";
  if (state.holding) {
    note_bytes(state, chunk.length, last);
  }
  return false;
}

export { completion_guard, read_as, refuse_kind, tell_kind };
