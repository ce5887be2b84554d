/** The time that a request may take in all, from its arrival on: `timeouts.total` of the pool that serves it. */

import { loop_time, monotonic } from "../edge/clock";
import { upstream_connected } from "../edge/upstream";
import { refuse } from "../wire/refusal";
import type { Timeout } from "../ledger/journal";
import type { Pool } from "../pool/pools";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

/** Timers may come a little early. */
const MOMENT_SECONDS = 0.005;
/**
 * nginx leaves a timer as it is when the new time is less than 0.3 seconds later (NGX_TIMER_LAZY_DELAY); and a little, since its clock for
 * timers and that of `loop_time` may round otherwise.
 */
const LAZY_SECONDS = 0.302;
/** nginx takes no time of nothing. */
const LEAST_SECONDS = 0.001;

/** The request is the pool's from now on, with the time that it gives. */
function set_deadline(state: RequestState, pool: Pool): void {
  state.deadline = state.began + pool.total_timeout;
}

/** Whether the request's time is over, or will be in so many seconds. `now` is that clock's which only goes forward. */
function is_over_time(state: RequestState, now: number, seconds: number): boolean {
  return now + seconds >= state.deadline - MOMENT_SECONDS;
}

/** Seconds that are left, at least a millisecond. */
function time_left(state: RequestState, now: number): number {
  return math.max(LEAST_SECONDS, state.deadline - now);
}

/** Which time has run out, when nginx says that one has. */
function which_timeout(state: RequestState, now: number): Timeout {
  if (is_over_time(state, now, 0)) {
    return "total";
  }
  return upstream_connected() ? "read" : "connect";
}

/** The request has run out of its time. */
function note_over_time(state: RequestState): void {
  state.timeout = "total";
  state.broken = "timed_out";
}

/** The request goes to an upstream: nginx's timer for its silence begins now at the earliest. */
function begin_silence(state: RequestState): void {
  state.silent_since = loop_time();
}

/** Bytes have come from the upstream. */
function note_arrival(state: RequestState, now: number): void {
  state.last_bytes = now;
  const looped = loop_time();
  if (looped - state.silent_since >= LAZY_SECONDS) {
    state.silent_since = looped;
  }
}

/** The upstream is silent, or nginx says that it is: which time has run out, and what the metric calls that; undefined: it broke off. */
function note_silence(state: RequestState): string | undefined {
  const now = monotonic();
  if (is_over_time(state, now, 0)) {
    note_over_time(state);
    return "total_timeout";
  }
  const silent = loop_time() - state.silent_since >= state.model!.pool.read_timeout - MOMENT_SECONDS;
  state.timeout = silent ? "read" : undefined;
  state.broken = silent ? "timed_out" : "upstream_lost";
  return silent ? "timeout" : undefined;
}

/** The refusal for a request whose time is over before anybody has answered. */
function refuse_over_time(state: RequestState): Refusal {
  note_over_time(state);
  return refuse(504, "upstream_error", "upstream_timeout", "The request took longer than it may.");
}

export { begin_silence, is_over_time, note_arrival, note_over_time, note_silence, refuse_over_time, set_deadline, time_left, which_timeout };
