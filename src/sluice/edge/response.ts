/** The response as nginx has it. */

import type { Refusal } from "../wire/refusal";

/** Writes the status and headers of a refusal whose body has that many bytes. `allow`: the methods allowed here. */
function write_refusal_headers(refusal: Refusal, bytes: number, allow: string): void {
  const headers = ngx.header;
  ngx.status = refusal.status;
  headers.set("content_type", "application/json");
  headers.set("content_length", bytes);
  headers.set("cache_control", "no-store");
  if (refusal.retry !== true) {
    headers.set("x-should-retry", "false");
  }
  if (refusal.retry_after_ms !== undefined) {
    headers.set("retry-after", math.ceil(refusal.retry_after_ms / 1000));
    headers.set("retry-after-ms", refusal.retry_after_ms);
  }
  if (refusal.authenticate !== undefined) {
    headers.set("www-authenticate", refusal.authenticate);
  }
  if (refusal.status === 405) {
    headers.set("allow", refusal.allow ?? allow);
  } else if (refusal.status === 426) {
    headers.set("upgrade", "HTTP/1.1");
  }
}

/** The same in place of the headers that an upstream has sent for its answer. `bytes` undefined: nobody knows yet. */
function replace_answer_headers(refusal: Refusal, bytes: number | undefined): void {
  const headers = ngx.header;
  headers.set("content_encoding", undefined);
  headers.set("etag", undefined);
  headers.set("last_modified", undefined);
  headers.set("location", undefined);
  headers.set("retry-after", undefined);
  write_refusal_headers(refusal, bytes ?? 0, "POST");
  if (bytes === undefined) {
    headers.set("content_length", undefined);
  }
}

/** Sends a whole response and ends the request's phase. */
function send(status: number, content_type: string, pieces: string[]): void {
  ngx.status = status;
  ngx.header.set("content_type", content_type);
  ngx.header.set("cache_control", "no-store");
  ngx.print(pieces);
  ngx.exit(ngx.status);
}

/** Sends the body of a refusal whose headers are written, and ends the request's phase. */
function send_body(body: string): void {
  ngx.print(body);
  ngx.exit(ngx.status);
}

export { replace_answer_headers, send, send_body, write_refusal_headers };
