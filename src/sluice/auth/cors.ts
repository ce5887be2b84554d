/**
 * Which web pages may use the gateway from a browser: those whose origin (RFC 6454: scheme, host and port) the configuration names.
 *
 * Callers are told apart by their credentials alone, which a page has to send itself. A browser is never asked to send
 * any by itself, so an origin that is let in gains nothing but that its page can read the answers.
 */

import type { CorsConfiguration } from "./cors_config";

interface Cors {
  /** Whether every origin is let in. */
  any: boolean;
  origins: LuaTable<string, boolean>;
  /** Seconds for which a browser may remember a preflight's answer. */
  max_age: number;
}

/** The origin of pages that have none, such as files and sandboxed frames. Anybody can make one, so it is never let in. */
const OPAQUE = "null";

/** What the section says; undefined: there is none, and no origin is let in. */
function make_cors(configuration: CorsConfiguration | undefined): Cors | undefined {
  if (configuration === undefined) {
    return undefined;
  }
  const cors: Cors = { any: false, origins: new LuaTable(), max_age: math.floor(configuration.max_age / 1000) };
  for (const origin of configuration.origins) {
    cors.any = cors.any || origin === "*";
    cors.origins.set(origin, true);
  }
  return cors;
}

/**
 * The value of `Access-Control-Allow-Origin` for a request's `Origin`; undefined: it has none, or one that is not let in. Browsers write an
 * origin in one way only (HTML standard, "serialization of an origin"), so it is compared byte by byte.
 */
function allowed_origin(cors: Cors, origin: string | undefined): string | undefined {
  if (origin === undefined || origin === OPAQUE) {
    return undefined;
  }
  if (cors.any) {
    return "*";
  }
  return cors.origins.has(origin) ? origin : undefined;
}

/** Longer lists of requested headers are not allowed: nginx would not take such a request anyway. */
const MOST_REQUESTED_BYTES = 4096;

/**
 * The value of `Access-Control-Allow-Headers` for what a preflight asks for: all of it, if it is a list of names. What the gateway
 * doesn't know of a request's headers stops at it, so there is nothing to keep out; and clients send many (`x-stainless-*`, `openai-*`,
 * `anthropic-*`). Not `*`: that does not stand for `Authorization` (Fetch standard, "CORS-preflight fetch").
 */
function allowed_headers(requested: string | undefined): string | undefined {
  if (requested === undefined || requested.length > MOST_REQUESTED_BYTES) {
    return undefined;
  }
  const [list] = string.match(requested, "^[%w%-_.!#$%%&'*+^`|~, \t]+$");
  return list;
}

export { allowed_headers, allowed_origin, make_cors };
export type { Cors };
