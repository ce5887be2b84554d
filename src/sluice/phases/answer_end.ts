/**
 * What a request has for the time of its answer, and gives back when the last byte of that is handed to nginx: its places among the
 * concurrent requests of its tenant and its key, and the place at an endpoint that takes so many at a time only. The log phase would be
 * too late: the client has had everything by then, and its next request may be in another worker already.
 *
 * The last byte is known to be one by nginx's word, by the length that the upstream has announced, by a stream's terminal marker, or
 * because the gateway ends the answer itself. nginx's word comes behind the bytes: a client that knows the length, or reads no further than
 * the marker, does not wait for it.
 *
 * The endpoint is free when it has sent its whole answer. One that was cut off is at work until nginx has closed its connection, and its
 * place is given back in the log phase. So is whatever is left, if the client has gone or nginx gives up.
 */

import { upstream_ended } from "../edge/upstream";
import { leave_early, live_pool } from "./choosing";
import { return_places } from "./limits";
import type { RequestState } from "./state";

const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

/** Whether the request counts at an endpoint that takes so many at a time only. */
function holds_endpoint(state: RequestState): boolean {
  return state.counted && state.taken && state.model!.pool.is_limited;
}

/** The answer ends with the bytes that go on now. `whole`: the upstream has sent all of it. May be called again. */
function end_answer(state: RequestState, whole: boolean): void {
  return_places(state);
  state.holding = holds_endpoint(state);
  if (whole && state.holding) {
    state.holding = false;
    leave_early(state, live_pool(state.model!.pool)!);
  }
}

/** In the header filter: an answer of the upstream's begins, whose header is as it came. */
function expect_answer(state: RequestState, status: number): void {
  const { reservation } = state;
  state.holding = (reservation !== undefined && reservation.holds_place) || holds_endpoint(state);
  if (!state.holding) {
    return;
  }
  const has_body = status !== NO_CONTENT && status !== NOT_MODIFIED;
  state.to_come = has_body ? (tonumber(ngx.header.get("content_length")) ?? math.huge) : 0;
  if (state.to_come <= 0) {
    end_answer(state, true);
  }
}

/** In the body filter, for a request that holds something: so many bytes have come. `last`: nginx says that they are the last. */
function note_bytes(state: RequestState, bytes: number, last: boolean): void {
  state.to_come -= bytes;
  const whole = last || state.to_come <= 0;
  if (whole || state.ended || (state.answer !== undefined && state.answer.complete)) {
    end_answer(state, whole);
  }
}

/** The same for an answer that goes on unread. */
function note_passed(state: RequestState, chunk: string, last: boolean): void {
  note_bytes(state, chunk.length, last);
  if (chunk === "" && !last && upstream_ended()) {
    end_answer(state, true);
  }
}

export { end_answer, expect_answer, note_bytes, note_passed };
