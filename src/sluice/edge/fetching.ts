/** What lets the identity room fetch an issuer's keys: HTTP, timers and a way to wait. */

import { realtime } from "./clock";
import { new_gate } from "./gate";
import { get_text } from "./http";
import type { KeyFetching } from "../auth/jwks";

const MOST_KEY_BYTES = 262144;
const TIMEOUT_MS = 5000;

/** Fetching for a worker. */
function key_fetching(): KeyFetching {
  return {
    fetch: (url) => get_text(url, MOST_KEY_BYTES, TIMEOUT_MS),
    now: realtime,
    later: (action) => ngx.timer.at(0, () => action())[0] !== undefined,
    new_gate,
    report: (message) => ngx.log(ngx.WARN, "sluice: ", message),
  };
}

export { key_fetching };
