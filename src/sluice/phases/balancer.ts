/** The balancer phase: applies the choice that access made. */

import { monotonic } from "../edge/clock";
import { connect_to } from "../edge/upstream";
import { begin_silence, time_left } from "./deadline";
import { current_state } from "./state";

/** balancer_by_lua */
function balance(this: void): void {
  const state = current_state();
  if (state === undefined || state.endpoint === undefined || state.model === undefined) {
    return;
  }
  const pool = state.model.pool;
  begin_silence(state);
  const left = time_left(state, monotonic());
  const reason = connect_to(
    state.address, state.endpoint.port, math.min(pool.connect_timeout, left), math.min(pool.send_timeout, left),
    math.min(pool.read_timeout, left));
  if (reason !== undefined) {
    ngx.log(ngx.ERR, "endpoint ", state.endpoint.name, ": ", reason);
  }
}

export { balance };
