/** The balancer phase: applies the choice that access made. */

import { connect_to } from "../edge/upstream";
import { current_state } from "./state";

/** balancer_by_lua */
function balance(this: void): void {
  const state = current_state();
  if (state === undefined || state.endpoint === undefined || state.model === undefined) {
    return;
  }
  const pool = state.model.pool;
  const reason = connect_to(
    state.address, state.endpoint.port, pool.connect_timeout, pool.send_timeout, pool.read_timeout);
  if (reason !== undefined) {
    ngx.log(ngx.ERR, "endpoint ", state.endpoint.name, ": ", reason);
  }
}

export { balance };
