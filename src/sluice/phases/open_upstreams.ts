/**
 * Streams that are complete though the upstream has not ended its response. Mostly it does so at once, and its connection
 * serves the next request. Some never do (vllm-mlx#101): the client would wait until the time for reading runs out, as nginx
 * ends its response when the upstream ends, and is told of nothing in between. So a stream is given a moment; then the
 * connection to the upstream is ended for it.
 */

import { monotonic } from "../edge/clock";
import { request_address, stop_upstream } from "../edge/upstream_socket";
import type { RequestState } from "./state";

/** How long an upstream may take to end its response behind the last event, and how often is looked. */
const GRACE_SECONDS = 0.4;
const LOOK_SECONDS = 0.25;

/** The streams that are complete and wait for their upstream, and since when. */
const waiting = new LuaTable<RequestState, number>();
const looking = { soon: false, told: false };

/** Ends the connection to the upstream for each stream that has waited long enough. */
function look(premature: boolean): void {
  looking.soon = false;
  if (premature) {
    return;
  }
  const now = monotonic();
  for (const [state, since] of pairs(waiting)) {
    if (now - since >= GRACE_SECONDS) {
      waiting.delete(state);
      if (!stop_upstream(state.request_address) && !looking.told) {
        looking.told = true;
        ngx.log(ngx.WARN, "an upstream that does not end its response can't be made to with this nginx");
      }
    }
  }
  look_soon();
}

/** Has `look` called after a while, if a stream waits. */
function look_soon(): void {
  if (!looking.soon && next(waiting)[0] !== undefined) {
    looking.soon = ngx.timer.at(LOOK_SECONDS, look)[0] !== undefined;
  }
}

/** In the body filter: the stream is complete, and the upstream has not ended its response. May be called again. */
function await_upstream(state: RequestState): void {
  if (!state.awaited) {
    state.awaited = true;
    state.request_address = request_address();
    waiting.set(state, monotonic());
    look_soon();
  }
}

/** In the log phase: the request is over. */
function forget_upstream(state: RequestState): void {
  if (state.awaited) {
    state.awaited = false;
    waiting.delete(state);
  }
}

export { await_upstream, forget_upstream };
