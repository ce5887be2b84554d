import { is_address } from "../auth/address_list";

/** Hosts and ports, as URLs and origins have them (RFC 3986, section 3.2). */

const find = string.find;
const lower = string.lower;
const match = string.match;

/** Whether a Lua pattern is found in a text. */
function matches(text: string, pattern: string): boolean {
  const [at] = find(text, pattern);
  return at !== undefined;
}

/** Whether `text` is a name that DNS can hold (RFC 1123, section 2.1; underscores are let through, they are in use). */
function is_host_name(text: string): boolean {
  return (
    text.length <= 253 &&
    matches(text, "^[%w_][%w_.-]*$") &&
    !matches(text, "%.%.") &&
    !matches(text, "%.-%-%.") &&
    !matches(text, "^[%d.]+$")
  );
}

/** Splits `host`, `host:port`, `[v6]` or `[v6]:port`. */
function split_authority(text: string): LuaMultiReturn<[host: string | undefined, port: number | undefined]> {
  let [host, port] = match(text, "^%[([%x:.]+)%]:?(%d*)$");
  const bracketed = host !== undefined;
  if (!bracketed) {
    [host, port] = match(text, "^([^%[%]:]+):?(%d*)$");
  }
  if (host === undefined || port === undefined || matches(text, ":$") || matches(text, "%]%d")) {
    return $multi(undefined, undefined);
  }
  const known = bracketed ? is_address(host) && matches(host, ":") : is_address(host) || is_host_name(host);
  const number = port === "" ? undefined : tonumber(port);
  if (!known || (number !== undefined && (number < 1 || number > 65535 || port.length > 5))) {
    return $multi(undefined, undefined);
  }
  return $multi(lower(host), number);
}

export { matches, split_authority };
