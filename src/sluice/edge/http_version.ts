/**
 * The version of HTTP that nginx answers the client in.
 *
 * An upstream that answers with something that is no HTTP is taken for one of HTTP/0.9 by nginx, which then notes that version down for
 * the client's request too: it would be answered without a status line. nginx has no call to set it right, so the number is
 * looked for in the request's own memory, where it stands between the method and the request line (ngx_http_request_t). It is
 * only changed where all three are what they must be.
 */

import * as ffi from "ffi";
import { get_request } from "resty.core.base";

/** NGX_HTTP_POST, the versions as nginx writes them, and how many words of a request are searched: it has more. */
const POST = 8;
const VERSION_0_9 = 9;
const VERSION_1_1 = 1001;
const WORDS = 160;

/** Whether the text lies at an address. */
function is_text_at(address: unknown, text: string): boolean {
  return ffi.string(ffi.cast("const char *", address), text.length) === text;
}

/** Has the request at hand, a POST whose version nginx took for HTTP/0.9, answered in HTTP/1.1. Returns whether that could be done: if not, the client gets the answer's body without a status line. */
function restore_http_version(): boolean {
  const line = ngx.var.get("request") ?? "";
  const words = ffi.cast<Int32Buffer>("uint64_t *", get_request());
  if (line === "") {
    return false;
  }
  for (const at of $range(8, WORDS)) {
    if (words[at] === POST && words[at + 1] === VERSION_0_9 && words[at + 2] === line.length && is_text_at(words[at + 3], line)) {
      words[at + 1] = VERSION_1_1;
      return true;
    }
  }
  return false;
}

export { restore_http_version };
