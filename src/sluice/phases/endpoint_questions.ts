/** What an endpoint is asked besides requests: whether it is well, its figures, and to warm up. */

import { request_uri } from "../edge/http";
import { gateway } from "./gateway";
import { find_address } from "./known_names";
import type { HttpOptions, HttpResponse } from "../edge/http";
import type { Watched } from "../pool/watch_list";
import type { Headers } from "../pool/watching";

/** The largest answers that are read: a page of health or metrics, and an answer of a model. */
const MOST_PAGE_BYTES = 2097152;
const MOST_ANSWER_BYTES = 8388608;

function headers_for({ endpoint, watching }: Watched, has_body: boolean): Headers {
  const headers: Headers = new LuaTable();
  for (const [name, value] of endpoint.question_headers ?? watching.headers) {
    headers.set(name, value);
  }
  headers.set("Host", endpoint.host_header);
  if (has_body) {
    headers.set("Content-Type", "application/json");
  }
  return headers;
}

/** Asks an endpoint for a page. Returns its answer, or why there is none with a status from 200 to 299. Waits. */
function ask(watched: Watched, path: string, options: HttpOptions): LuaMultiReturn<[response: HttpResponse | undefined, reason: string | undefined]> {
  const { endpoint, pool } = watched;
  const [address, unknown] = find_address(gateway().pool_names!, endpoint.host);
  if (address === undefined) {
    return $multi(undefined, unknown);
  }
  options.headers = headers_for(watched, options.body !== undefined);
  options.connect_timeout_ms = pool.connect_timeout * 1000;
  options.ssl_server_name = endpoint.host;
  const [response, reason] = request_uri(`${endpoint.scheme}://${address}:${endpoint.port}${endpoint.base_path}${path}`, options);
  if (response === undefined) {
    // For want of IPv6 on this machine it fails like for want of a local port, but always: it must not count as that.
    const lacks_ipv6 = reason === "cannot assign requested address" && string.find(address, ":", 1, true)[0] !== undefined;
    return $multi(undefined, lacks_ipv6 ? `${reason} to reach an IPv6 address from` : reason);
  }
  if (response.status < 200 || response.status > 299) {
    return $multi(undefined, `it answers with status ${response.status}`);
  }
  return $multi(response, undefined);
}

/** Why an endpoint isn't well; undefined: it is. Each question has a connection of its own, which says that it takes new ones. */
function ask_health(watched: Watched, is_wanted: (this: void) => boolean): string | undefined {
  const { path, timeout } = watched.watching.health!;
  const [, reason] = ask(watched, path, { timeout_ms: timeout * 1000, max_body_bytes: MOST_PAGE_BYTES, keepalive: false, is_wanted });
  return reason;
}

/** Why an endpoint could not be warmed up; undefined: it is warm. */
function ask_to_warm_up(watched: Watched, is_wanted: (this: void) => boolean): string | undefined {
  const { body, path, timeout } = watched.watching.warmup!;
  const [, reason] = ask(watched, path, {
    method: "POST", body: watched.endpoint.warmup_body ?? body, timeout_ms: timeout * 1000, max_body_bytes: MOST_ANSWER_BYTES, keepalive: false, is_wanted,
  });
  return reason;
}

/** An endpoint's metrics, or why they can't be read. */
function ask_figures(watched: Watched, is_wanted: (this: void) => boolean): LuaMultiReturn<[page: string | undefined, reason: string | undefined]> {
  const { path, timeout } = watched.watching.scrape!;
  const [response, reason] = ask(watched, path, { timeout_ms: timeout * 1000, max_body_bytes: MOST_PAGE_BYTES, is_wanted });
  return $multi(response !== undefined ? response.body : undefined, reason);
}

export { ask_figures, ask_health, ask_to_warm_up };
