/** Refusals that several phases make and send. */

import { path } from "../edge/request";
import { send_body, write_refusal_headers } from "../edge/response";
import { passing_request_id } from "../edge/upstream";
import { refusal_body } from "../wire/ending";
import { is_of_messages } from "../wire/public_path";
import { refuse } from "../wire/refusal";
import { return_places } from "./limits";
import type { ApiName } from "../wire/api";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

/** So many bytes, in the largest unit that they are whole ones of. */
function size_text(bytes: number): string {
  if (bytes % 1048576 === 0) {
    return `${bytes / 1048576} MiB`;
  }
  return bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} bytes`;
}

/** The refusal of a body with more bytes than the configuration allows. */
function refuse_large_body(most_bytes: number): Refusal {
  return refuse(413, "invalid_request_error", "body_too_large", `The request body is larger than ${size_text(most_bytes)}.`);
}

/** The refusal for an error page of nginx's own. */
function refuse_nginx_error(status: number): Refusal {
  if (status === 413) {
    return refuse(413, "invalid_request_error", "body_too_large", "The request body is too large.");
  }
  if (status === 502) {
    return refuse(502, "upstream_error", "upstream_failed", "The model server could not be reached, or broke off.");
  }
  if (status === 504) {
    return refuse(504, "upstream_error", "upstream_timeout", "The model server did not answer in time.");
  }
  if (status === 408) {
    return refuse(408, "invalid_request_error", "request_timeout", "The request did not arrive in time.");
  }
  if (status === 414 || status === 494 || status === 431) {
    return refuse(status === 414 ? 414 : 431, "invalid_request_error", "headers_too_large", "The request line or a header is too long.");
  }
  if (status === 405) {
    return refuse(405, "invalid_request_error", "method_not_allowed", "This method is not allowed.");
  }
  if (status === 501 || status === 505) {
    return refuse(status, "invalid_request_error", "bad_request", "The request's transfer coding or protocol version is not supported.");
  }
  if (status === 401 || status === 403) {
    return refuse(status, "permission_error", "forbidden", "The server does not let this request in.");
  }
  if (status === 429 || status === 503) {
    return refuse(status, status === 429 ? "rate_limit_error" : "overloaded_error", "server_busy", "The server does not take more requests now.");
  }
  if (status < 500) {
    return refuse(status === 404 ? 404 : 400, "invalid_request_error", "bad_request", "The request is malformed.");
  }
  return refuse(500, "api_error", "internal_error", "The gateway failed to handle the request.");
}

/** In whose words a request is refused: those of its API; where it asks for none, by its path. */
function refusing_api(state: RequestState | undefined): ApiName | undefined {
  if (state !== undefined && state.api !== undefined) {
    return state.api.name;
  }
  return is_of_messages(path()) ? "messages" : undefined;
}

/** Ends a request in the access phase with a refusal, in the shape of its API. `state`: undefined, if there is none. */
function send_refusal(state: RequestState | undefined, refusal: Refusal): void {
  if (state !== undefined) {
    state.refusal = refusal;
    return_places(state);
  }
  const body = refusal_body(refusal, refusing_api(state), passing_request_id());
  write_refusal_headers(refusal, body.length, "POST");
  send_body(body);
}

export { refuse_large_body, refuse_nginx_error, refusing_api, send_refusal };
