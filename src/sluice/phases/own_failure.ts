/**
 * Whether an attempt has failed for a reason of the gateway's own. Such a failure says nothing of the endpoint: no breaker counts it, no
 * address is left out for it, and the journal does not call the endpoint lost.
 *
 * | what failed | what becomes of the request |
 * |---|---|
 * | no connection, descriptor or memory was left | 503 at once: neither another endpoint nor another model could be reached |
 * | no local port was left towards the endpoint's address | as if it could not be reached, for other addresses have ports of their own; then 503 |
 * | the answer's header is larger than our buffer | 502; not asked again, since the model has done its work, but another model may be |
 * | the request's own time (`timeouts.total`) | as `deadline` says |
 *
 * Limits, confessed. nginx says of a header that is too large only how many bytes came, so an answer whose first 32 KB are no valid
 * header counts as one. Without a local port nginx says 502, as for a refused connection; what tells the two apart is the
 * system's error number, and for IPv6 addresses that number also means that there is no IPv6 on this machine, which lasts: so
 * only IPv4 addresses are believed.
 */

import { monotonic } from "../edge/clock";
import { lacks_port } from "../edge/own_trouble";
import { HEADER_BYTES, upstream_answered, upstream_bytes, upstream_connected } from "../edge/upstream";
import { refuse } from "../wire/refusal";
import { is_over_time } from "./deadline";
import { Own } from "./state";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

const find = string.find;

/** When a client may come back to a gateway that has no connection left, in milliseconds. */
const COME_BACK_MS = 1000;

/** Which cause of ours, if any, made the attempt fail that ended with this status. `error`: the system's, read before all else. */
function own_failure(state: RequestState, status: number, error: number): Own {
  if (upstream_answered()) {
    return Own.No;
  }
  if (!upstream_connected()) {
    if (status === 500) {
      return Own.Connections;
    }
    if (status === 502 && lacks_port(error) && find(state.address, ":", 1, true)[0] === undefined) {
      return Own.Ports;
    }
  } else if (status === 502 && upstream_bytes() >= HEADER_BYTES) {
    return Own.Header;
  }
  return is_over_time(state, monotonic(), 0) ? Own.Time : Own.No;
}

/** Whether another attempt with the same model could do better. */
function may_retry(own: Own): boolean {
  return own !== Own.Connections && own !== Own.Header;
}

/** Whether another model could do better. */
function may_fall_back(own: Own): boolean {
  return own !== Own.Connections;
}

/** The refusal for a request whose last attempt has failed of something of ours; undefined: nothing of it is special. */
function refuse_own(own: Own): Refusal | undefined {
  if (own === Own.Connections || own === Own.Ports) {
    const refusal = refuse(503, "overloaded_error", "server_busy", "The gateway has no connection left for this request.");
    refusal.retry_after_ms = COME_BACK_MS;
    return refusal;
  }
  if (own === Own.Header) {
    const refusal = refuse(502, "upstream_error", "upstream_failed", `The header of the model server's answer is larger than ${HEADER_BYTES / 1024} KB.`);
    refusal.retry = false;
    return refusal;
  }
  return undefined;
}

export { may_fall_back, may_retry, own_failure, refuse_own };
