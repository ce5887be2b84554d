/** What nginx's proxy is told of an attempt, and what it says afterwards. */

import * as balancer from "ngx.balancer";

/**
 * Sets the variables that server.conf builds the upstream request from: `http://<upstream block>/<path>`, and the headers'
 * values. Only in the access phase.
 */
function direct(upstream: string, host: string, authorization: string, x_api_key: string, traceparent: string): void {
  const variables = ngx.var;
  variables.set("sluice_upstream", upstream);
  variables.set("sluice_host", host);
  if (authorization !== "") {
    variables.set("sluice_authorization", authorization);
  }
  if (x_api_key !== "") {
    variables.set("sluice_x_api_key", x_api_key);
  }
  variables.set("sluice_traceparent", traceparent);
}

/** Sets the address and the timeouts, in seconds. Only in the balancer phase. Returns why it could not. */
function connect_to(address: string, port: number, connect: number, send: number, read: number): string | undefined {
  balancer.set_timeouts(connect, send, read);
  const [ok, reason] = balancer.set_current_peer(address, port);
  return ok === true ? undefined : (reason ?? "no peer");
}

/** The upstream's status, 0 if there was none. */
function upstream_status(): number {
  return tonumber(ngx.var.get("upstream_status")) ?? 0;
}

/** Whether the upstream sent a response header. Without, an error status is nginx's own. */
function upstream_answered(): boolean {
  const time = ngx.var.get("upstream_header_time");
  return time !== undefined && time !== "-" && time !== "";
}

/** Whether the exchange with the upstream is over. */
function upstream_ended(): boolean {
  const time = ngx.var.get("upstream_response_time");
  return time !== undefined && time !== "-" && time !== "";
}

export { connect_to, direct, upstream_answered, upstream_ended, upstream_status };
