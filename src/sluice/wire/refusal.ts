/**
 * A refusal is how every room says no: a value, never a throw. Only a phase turns one into a response.
 *
 * Messages are written for the person who has to mend the request. They never hold a credential, prompt
 * text, or what an upstream said.
 */

type RefusalType =
  | "invalid_request_error"
  | "authentication_error"
  | "permission_error"
  | "rate_limit_error"
  | "insufficient_quota"
  | "upstream_error"
  | "overloaded_error"
  | "api_error";

interface Refusal {
  status: number;
  type: RefusalType;
  /** What a program decides by, such as `invalid_api_key`. */
  code: string;
  message: string;
  /** The member of the body at fault, such as `model`. */
  param?: string;
  /** `false`: the same request can't succeed later, so `x-should-retry: false` is sent. */
  retry?: boolean;
  /** Milliseconds until a retry can succeed: sent as `Retry-After` and `retry-after-ms`. */
  retry_after_ms?: number;
  /** The `WWW-Authenticate` challenge of a 401 (RFC 9110, section 11.6.1). */
  authenticate?: string;
  /** The methods that a page has which is not the usual one, for `Allow`. */
  allow?: string;
}

/** Makes a refusal. `param` names the member of the body at fault, if there is one. */
function refuse(status: number, type: RefusalType, code: string, message: string, param?: string): Refusal {
  return { status, type, code, message, param, retry: type !== "invalid_request_error" && (status >= 500 || status === 429) };
}

export { refuse };
export type { Refusal, RefusalType };
