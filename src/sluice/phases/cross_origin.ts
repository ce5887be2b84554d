/**
 * What browsers ask of a server of another origin (Fetch standard, "CORS protocol"). With a `cors` section every answer says whether
 * the page that asked may read it: refusals too, those of nginx's own included, or a page would see a network error
 * and nothing else.
 *
 * A preflight carries no credential. It is answered at any path and for any of our methods, for a page could not read why it was refused:
 * what there is at the path, the request itself is told.
 */

import { allowed_headers, allowed_origin } from "../auth/cors";
import { announce_request_id, header, method, new_request_id } from "../edge/request";
import { OWN_PAGE } from "./state";
import type { Cors } from "../auth/cors";

/**
 * All headers of an answer; and by name, for browsers that take `*` for one, those that the clients of OpenAI and Anthropic go by when
 * they try again or report an error.
 */
const EXPOSED_HEADERS = "*, x-request-id, request-id, retry-after, retry-after-ms, x-should-retry";

/** The methods of all that is served. */
const ALLOWED_METHODS = "GET, HEAD, POST, DELETE";

/** What a preflight's answer depends on besides the origin. */
const PREFLIGHT_VARY = "Access-Control-Request-Method, Access-Control-Request-Headers";

/** The value of `Vary` with the origin in it. */
function vary_by_origin(vary: string | number | string[] | undefined): string {
  if (vary === undefined) {
    return "Origin";
  }
  return type(vary) === "table" ? `${(vary as string[]).join(", ")}, Origin` : `${vary as string}, Origin`;
}

/** Says in the answer whether a page of the request's origin may read it. In the header filter, when the upstream's own words on that are gone. */
function share_answer(cors: Cors): void {
  const headers = ngx.header;
  headers.set("vary", vary_by_origin(headers.get("vary")));
  const origin = allowed_origin(cors, header("origin"));
  if (origin !== undefined) {
    headers.set("access-control-allow-origin", origin);
    headers.set("access-control-expose-headers", EXPOSED_HEADERS);
  }
}

/** Answers a preflight of an origin that is let in. Returns whether the request was one. */
function answer_preflight(cors: Cors): boolean {
  if (method() !== "OPTIONS" || header("access_control_request_method") === undefined || allowed_origin(cors, header("origin")) === undefined) {
    return false;
  }
  ngx.ctx = OWN_PAGE;
  announce_request_id(new_request_id());
  const headers = ngx.header;
  headers.set("vary", PREFLIGHT_VARY);
  headers.set("access-control-allow-methods", ALLOWED_METHODS);
  headers.set("access-control-allow-headers", allowed_headers(header("access_control_request_headers")));
  headers.set("access-control-max-age", cors.max_age);
  ngx.exit(204);
  return true;
}

export { answer_preflight, share_answer };
