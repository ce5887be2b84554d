/** Sends a refusal in the access phase. */

import { send_body, write_refusal_headers } from "../edge/response";
import { refusal_body } from "../wire/ending";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

/** Ends a request with a refusal, in the shape of its API. `state`: undefined, if there is none. */
function send_refusal(state: RequestState | undefined, refusal: Refusal): void {
  if (state !== undefined) {
    state.refusal = refusal;
  }
  const body = refusal_body(refusal, state?.api !== undefined ? state.api.name : undefined);
  write_refusal_headers(refusal, body.length, "POST");
  send_body(body);
}

export { send_refusal };
