/** What nginx's proxy is told of an attempt, and what it says afterwards. */

import * as balancer from "ngx.balancer";

/** How large the header of an answer may be: `proxy_buffer_size` in server.conf. */
const HEADER_BYTES = 32768;

/**
 * Sets the variables that server.conf builds the upstream request from: `http://<upstream block>/<path>`, and the headers'
 * values. Only in the access phase. `again`: it is not the request's first attempt.
 */
function direct(upstream: string, host: string, authorization: string, x_api_key: string, traceparent: string, again: boolean): void {
  const variables = ngx.var;
  variables.set("sluice_upstream", upstream);
  variables.set("sluice_host", host);
  // Another attempt may have set them before.
  if (authorization !== "" || again) {
    variables.set("sluice_authorization", authorization);
  }
  if (x_api_key !== "" || again) {
    variables.set("sluice_x_api_key", x_api_key);
  }
  variables.set("sluice_traceparent", traceparent);
}

/**
 * Sets what some pools' endpoints want besides: the `Api-Key` header, and the value of `User-Agent` with which more headers are sent; ""
 * for none, which is right without this call too. Only in the access phase, and after another attempt always.
 */
function direct_more(api_key: string, user_agent: string): void {
  const variables = ngx.var;
  variables.set("sluice_api_key", api_key);
  variables.set("sluice_user_agent", user_agent);
}

/** Sets the address and the timeouts, in seconds. Only in the balancer phase. Returns why it could not. */
function connect_to(address: string, port: number, connect: number, send: number, read: number): string | undefined {
  balancer.set_timeouts(connect, send, read);
  const [ok, reason] = balancer.set_current_peer(address, port);
  return ok === true ? undefined : (reason ?? "no peer");
}

/** Of what nginx says of each attempt, with commas and colons between, what it says of the last one. */
function last_of(list: string | undefined): string | undefined {
  // Mostly there was one only, which needs no search.
  if (list === undefined || string.find(list, " ", 1, true)[0] === undefined) {
    return list;
  }
  return string.match(list, "([^,: ]+)[,: ]*$")[0];
}

/** The last attempt's status, 0 if there was none. */
function upstream_status(): number {
  const list = ngx.var.get("upstream_status");
  return tonumber(list) ?? tonumber(last_of(list)) ?? 0;
}

/** Whether the upstream sent a response header to the last attempt. Without, an error status is nginx's own. */
function upstream_answered(): boolean {
  const time = last_of(ngx.var.get("upstream_header_time"));
  return time !== undefined && time !== "-";
}

/** Whether the last attempt had a connection. */
function upstream_connected(): boolean {
  const time = last_of(ngx.var.get("upstream_connect_time"));
  return time !== undefined && time !== "-";
}

/** How many bytes came from the upstream in the last attempt. */
function upstream_bytes(): number {
  return tonumber(last_of(ngx.var.get("upstream_bytes_received"))) ?? 0;
}

/** What the last attempt's answer says of when to come back: `Retry-After` and `retry-after-ms`. */
function upstream_retry_after(): LuaMultiReturn<[after: string | undefined, milliseconds: string | undefined]> {
  return $multi(ngx.var.get("upstream_http_retry_after"), ngx.var.get("upstream_http_retry_after_ms"));
}

/**
 * Whether the last attempt's answer has a body that is JSON, as its headers say (RFC 9110 8.3, RFC 6838 4.2.8): also of an answer that nginx
 * has taken back, whose body is read by nobody.
 */
function upstream_is_json(): boolean {
  const type = string.lower(ngx.var.get("upstream_http_content_type") ?? "");
  return string.match(type, "^application/[%w.+-]*json%f[^%w.+-]")[0] !== undefined && ngx.var.get("upstream_http_content_length") !== "0";
}

/** In a location that error_page leads to: the status that did. */
function error_status(): number {
  return ngx.status;
}

/** In such a location: forgets that status, which would be that of whatever answer comes next. */
function forget_status(): void {
  ngx.status = 200;
}

/** Removes the challenge that nginx keeps of every 401 of an upstream that it took back. */
function forget_challenge(): void {
  ngx.header.set("www-authenticate", undefined);
}

/** The id of the request, wherever it comes from; "" before it has one. */
function passing_request_id(): string {
  return ngx.var.get("sluice_id") ?? "";
}

/** Goes on in another location, in the access phase. Does not return. */
function go_on_in(location: string): void {
  ngx.exec(location);
}

/** Whether the exchange with the upstream is over. */
function upstream_ended(): boolean {
  const time = last_of(ngx.var.get("upstream_response_time"));
  return time !== undefined && time !== "-";
}

export {
  HEADER_BYTES, connect_to, direct, direct_more, error_status, forget_challenge, forget_status, go_on_in, passing_request_id, upstream_answered,
  upstream_bytes, upstream_connected, upstream_ended, upstream_is_json, upstream_retry_after, upstream_status,
};
