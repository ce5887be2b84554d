import { matches, split_authority } from "./authority";

/** Origins of web pages (RFC 6454), as the configuration names them. */

const lower = string.lower;
const match = string.match;

/**
 * An origin as browsers write it (HTML standard, "serialization of an origin"), or `*`. Gives `undefined` for any other text,
 * and why, where that isn't plain.
 */
function read_origin(text: string): LuaMultiReturn<[string | undefined, string?]> {
  if (text === "*") {
    return $multi(text);
  }
  if (lower(text) === "null") {
    return $multi(undefined, "expected an origin other than null, which is that of anybody's files and sandboxed frames");
  }
  const [scheme, rest] = match(text, "^(%a[%w+.-]*)://(.+)$");
  if (scheme === undefined || rest === undefined || text.length > 300) {
    return $multi(undefined);
  }
  if (matches(rest, "[/?#@]")) {
    const message = "expected an origin alone, such as https://app.example.com: without a path, a slash at its end or a user";
    return $multi(undefined, message);
  }
  if (matches(rest, "%*")) {
    return $multi(undefined, "expected a whole origin, without patterns; or * alone, for any");
  }
  const [host, port] = split_authority(rest);
  if (host === undefined) {
    return $multi(undefined);
  }
  const low = lower(scheme);
  const own_port = low === "https" ? 443 : low === "http" ? 80 : undefined;
  const name = matches(host, ":") ? `[${host}]` : host;
  return $multi(port === undefined || port === own_port ? `${low}://${name}` : `${low}://${name}:${port}`);
}

export { read_origin };
