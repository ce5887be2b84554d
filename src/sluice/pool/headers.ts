/**
 * The headers that a pool's requests carry besides the gateway's own.
 *
 * nginx sends headers of fixed names. But it writes their values as they are: so the value of the last one goes on with whole lines.
 * Nothing of a request gets into it. It is made once for each configuration, of names and values that were tested.
 */

const find = string.find;
const lower = string.lower;

/** What every request has as its `User-Agent`. */
const USER_AGENT = "sluice";

/** Headers that the gateway or nginx sets, and those that decide how the message is read. In lower case. */
const TAKEN = new LuaSet<string>();
for (const name of [
  "host", "connection", "content-type", "content-length", "content-encoding", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive",
  "expect", "accept-encoding", "authorization", "x-api-key", "api-key", "anthropic-version", "anthropic-beta", "user-agent", "x-request-id",
  "traceparent", "proxy-authorization", "proxy-authenticate", "proxy-connection", "http2-settings", "range", "if-range",
]) {
  TAKEN.add(name);
}

/** Why a header of that name can't be sent; undefined: it can. Names are tokens (RFC 9110, section 5.6.2). */
function name_fault(name: string): string | undefined {
  if (name.length > 128 || find(name, "^[%w!#$%%&'*+.^_`|~-]+$")[0] === undefined) {
    return "expected a header's name: letters, digits and hyphens";
  }
  return TAKEN.has(lower(name)) ? "expected another header than those that Sluice sets itself" : undefined;
}

/** The value of `User-Agent` with which the other headers are sent too; empty if there are none. All must have been tested. */
function header_lines(headers: Record<string, string>): string {
  const names: string[] = [];
  for (const [name] of pairs(headers as unknown as LuaTable<string, string>)) {
    names.push(name);
  }
  if (names.length === 0) {
    return "";
  }
  table.sort(names);
  const lines: string[] = [USER_AGENT];
  for (const name of names) {
    lines.push(`${name}: ${headers[name]!}`);
  }
  return lines.join("\r\n");
}

export { USER_AGENT, header_lines, name_fault };
