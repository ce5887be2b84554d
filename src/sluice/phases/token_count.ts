/**
 * Counting the tokens of a request (`Api.counts`): upstreams that can do it are asked, as for an answer. In place of what the
 * others say the client gets the gateway's own estimate, the one that limits are reserved by, and is told that it is one.
 *
 * An upstream is not known to be one of those before it has been asked, and may learn it with its next version. So it is asked
 * each time: a 404 costs it little.
 */

import type { RequestState } from "./state";

/** What servers say of a path that they don't have: not there, not with this method, not implemented. */
function cannot_count(status: number): boolean {
  return status === 404 || status === 405 || status === 501;
}

/** Puts the estimate in the place of the upstream's answer, in the header filter. Returns what its body will be. */
function replace_by_estimate(state: RequestState): string {
  const tokens = string.format("%d", state.reading!.prompt_tokens);
  const body = state.api!.name === "messages" ? `{"input_tokens":${tokens}}` : `{"object":"response.input_tokens","input_tokens":${tokens}}`;
  const headers = ngx.header;
  ngx.status = 200;
  headers.set("content_type", "application/json");
  headers.set("content_length", body.length);
  headers.set("content_encoding", undefined);
  headers.set("cache_control", "no-store");
  headers.set("allow", undefined);
  headers.set("x-sluice-estimate", "true");
  return body;
}

export { cannot_count, replace_by_estimate };
