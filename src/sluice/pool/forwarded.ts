/**
 * Which of the client's own headers go on to a pool's endpoints: those that its `forward_headers` name, such as the session
 * that a provider wants for each conversation.
 *
 * The gateway stands between two parties that don't know each other. So a header can't be named that carries a credential, says
 * whose account it is, says where the client is, or decides how the message is read; and a value can't begin another line.
 */

import { name_fault } from "./headers";

const find = string.find;
const lower = string.lower;
const sub = string.sub;

/** A value of more bytes is not sent, nor one with which all values have more. */
const MOST_VALUE_BYTES = 1024;
const MOST_BYTES = 4096;

/**
 * Headers that are never the client's to set, besides those that Sluice sets itself (`name_fault`): connection-specific fields
 * (RFC 9110, section 7.6.1), cookies, addresses (RFC 7239 and its forerunners), and those by which frameworks change a
 * request's method or path.
 */
const REFUSED = new LuaSet<string>();
for (const name of [
  "cookie", "cookie2", "set-cookie", "forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-auth-token", "apikey",
  "x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url",
]) {
  REFUSED.add(name);
}

const REFUSED_BEGINNINGS = ["proxy-", "content-", "x-forwarded-", "x-sluice-"];
const REFUSED_ENDS = ["-api-key", "-apikey", "-authorization", "-organization", "-project"];

/**
 * Why a client's header of that name can't go on; undefined: it can. An underscore counts as a hyphen, as many servers have it.
 */
function forward_fault(name: string): string | undefined {
  const [plain] = string.gsub(lower(name), "_", "-");
  const fault = name_fault(plain);
  if (fault !== undefined) {
    return fault;
  }
  let is_refused = REFUSED.has(plain);
  for (const beginning of REFUSED_BEGINNINGS) {
    is_refused = is_refused || sub(plain, 1, beginning.length) === beginning;
  }
  for (const end of REFUSED_ENDS) {
    is_refused = is_refused || sub(plain, -end.length) === end;
  }
  return is_refused ? "expected a header that clients may set: no credential, cookie, account or address, and none that says how to read the message" : undefined;
}

/** Whether a value can go on: visible ASCII, with spaces in it at most. */
function is_sendable(value: string): boolean {
  return value !== "" && value.length <= MOST_VALUE_BYTES && find(value, "[^ -~]")[0] === undefined;
}

/**
 * Adds the lines `name: value` of the client's headers that go on, in the order of their names. `value_of` gives a header's
 * value, several lines of it joined; undefined: the client sent none.
 */
function add_forwarded(lines: string[], names: readonly string[], value_of: (this: void, name: string) => string | undefined): void {
  let left = MOST_BYTES;
  for (const name of names) {
    const value = value_of(name);
    if (value !== undefined && value.length <= left && is_sendable(value)) {
      lines.push(`${name}: ${value}`);
      left -= value.length;
    }
  }
}

export { add_forwarded, forward_fault };
