import { address_list, is_address } from "../auth/address_list";
import type { FormatName } from "./schema";

/**
 * The forms that a value of the configuration can have beyond its type. Each is tested, put into the
 * shape the rooms work with, and known to editors by a pattern, which may be a little wider than the test.
 */

const byte = string.byte;
const find = string.find;
const lower = string.lower;
const match = string.match;

interface Format {
  /** What was expected, as in "expected …". */
  readonly expected: string;
  /** An ECMA-262 pattern for editors. */
  readonly pattern: string;
  /**
   * The value in its final shape; `undefined` if the text isn't of this form, and a message where `expected`
   * doesn't say enough.
   */
  readonly read: (
    this: void,
    text: string,
    folder: string,
  ) => LuaMultiReturn<[value: string | number | undefined, message?: string]>;
}

/** A base URL in parts. */
interface UrlParts {
  scheme: "http" | "https";
  /** Lower-case; an IPv6 address without its brackets. */
  host: string;
  port: number;
  /** Empty, or begins with a slash and doesn't end with one. */
  path: string;
}

/** A Redis URL in parts. */
interface RedisUrlParts {
  tls: boolean;
  host: string;
  port: number;
  /** Empty if there is none. */
  user: string;
  password: string;
  database: number;
}

function matches(text: string, pattern: string): boolean {
  const [at] = find(text, pattern);
  return at !== undefined;
}

function read_duration(text: string): LuaMultiReturn<[number | undefined]> {
  const [digits, unit] = match(text, "^(%d+%.?%d*)(%l+)$");
  const number = digits === undefined ? undefined : tonumber(digits);
  if (number === undefined) {
    return $multi(undefined);
  }
  const scale = unit === "ms" ? 1 : unit === "s" ? 1000 : unit === "m" ? 60000 : unit === "h" ? 3600000 : undefined;
  return $multi(scale === undefined ? undefined : math.floor(number * scale + 0.5));
}

function read_bytes(text: string): LuaMultiReturn<[number | undefined]> {
  const [digits, unit] = match(text, "^(%d+)([kKmMgG]?)$");
  const number = digits === undefined || digits.length > 15 ? undefined : tonumber(digits);
  if (number === undefined) {
    return $multi(undefined);
  }
  const low = lower(unit ?? "");
  return $multi(number * (low === "k" ? 1024 : low === "m" ? 1048576 : low === "g" ? 1073741824 : 1));
}

function read_cidr(text: string): LuaMultiReturn<[string | undefined, string?]> {
  const [, problems] = address_list([text]);
  const first = problems[0];
  return $multi(first === undefined ? text : undefined, first === undefined ? undefined : first.message);
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

/** Splits the URL of an endpoint; `undefined` if it is none, with a message where that isn't plain. */
function split_url(text: string): LuaMultiReturn<[parts: UrlParts | undefined, message?: string]> {
  const [scheme, authority, path] = match(text, "^(%a+)://([^/?#]*)(.*)$");
  if (scheme === undefined || authority === undefined || path === undefined) {
    return $multi(undefined);
  }
  const low = lower(scheme);
  if (low !== "http" && low !== "https") {
    return $multi(undefined);
  }
  if (matches(authority, "@")) {
    return $multi(undefined, "expected a URL without a user name or password");
  }
  if (matches(path, "[?#]")) {
    return $multi(undefined, "expected a URL without a query (?) or fragment (#)");
  }
  const [host, port] = split_authority(authority);
  const [strange] = find(path, "[^%w%-._~!$&'()*+,;=:@%%/]");
  const [segment] = find(`${path}/`, "/%.%.?/");
  const [percent] = find(string.gsub(path, "%%%x%x", "")[0], "%", 1, true);
  if (host === undefined || strange !== undefined || segment !== undefined || percent !== undefined) {
    return $multi(undefined);
  }
  const [base] = match(path, "^(.-)/*$");
  return $multi({ scheme: low, host, port: port ?? (low === "https" ? 443 : 80), path: base ?? "" });
}

function read_url(text: string): LuaMultiReturn<[string | undefined, string?]> {
  const [parts, message] = split_url(text);
  return $multi(parts === undefined || text.length > 2048 ? undefined : text, message);
}

/** Reads %XX as the byte it stands for; `undefined` if a % stands alone. */
function decode_percent(text: string): string | undefined {
  const [plain] = string.gsub(text, "%%%x%x", "");
  if (matches(plain, "%%")) {
    return undefined;
  }
  const [decoded] = string.gsub(text, "%%(%x%x)", (digits: string) => string.char(tonumber(digits, 16)!));
  return decoded;
}

/** Splits `redis://[user][:password@]host:port/database`, or `rediss://…` for TLS; `undefined` if it is none. */
function split_redis_url(text: string): LuaMultiReturn<[parts: RedisUrlParts | undefined, message?: string]> {
  const [scheme, rest] = match(text, "^(rediss?)://([%w%p]+)$");
  if (scheme === undefined || rest === undefined) {
    return $multi(undefined);
  }
  const [credentials, place] = match(rest, "^(.*)@([^@]*)$");
  const [authority, path] = match(place ?? rest, "^([^/?#]*)(.*)$");
  const [host, port] = split_authority(authority ?? "");
  const [database] = match(path ?? "", "^/?(%d*)$");
  if (host === undefined || database === undefined || database.length > 5) {
    return $multi(undefined);
  }
  const [user, password] = match(credentials ?? "", "^([^:]*):?(.*)$");
  const plain_user = decode_percent(user ?? "");
  const plain_password = decode_percent(password ?? "");
  if (plain_user === undefined || plain_password === undefined) {
    return $multi(undefined, "expected %25 for a % in a user name or password");
  }
  if (plain_user !== "" && plain_password === "") {
    return $multi(undefined, "expected a password behind the user name, as in redis://user:password@host; or :password alone");
  }
  const tls = scheme === "rediss";
  if (tls && is_address(host)) {
    return $multi(undefined, "expected a name that the certificate bears, not an address");
  }
  return $multi({ tls, host, port: port ?? 6379, user: plain_user, password: plain_password, database: tonumber(database) ?? 0 });
}

function read_redis_url(text: string): LuaMultiReturn<[string | undefined, string?]> {
  const [parts, message] = split_redis_url(text);
  return $multi(parts === undefined || text.length > 2048 ? undefined : text, message);
}

function read_host_port(text: string): LuaMultiReturn<[string | undefined]> {
  const [host, port] = split_authority(text);
  return $multi(host !== undefined && port !== undefined ? text : undefined);
}

function read_path(text: string, folder: string): LuaMultiReturn<[string | undefined]> {
  if (text === "" || text.length > 4095) {
    return $multi(undefined);
  }
  return $multi(byte(text) === 47 || folder === "" ? text : `${folder}/${text}`);
}

/** A path and perhaps a query, as they stand in a request. */
function read_url_path(text: string): LuaMultiReturn<[string | undefined]> {
  const good = text.length <= 1024 && matches(text, "^/[%w%-._~!$&'()*+,;=:@%%/?]*$") && !matches(`${text}/`, "/%.%.?[/?]");
  return $multi(good ? text : undefined);
}

/** The path of a base, below which others lie: empty, or beginning with a slash and not ending with one. */
function read_base_path(text: string): LuaMultiReturn<[string | undefined]> {
  const good = text.length <= 1024 && matches(text, "^/[%w%-._~!$&'()*+,;=:@/]+$") && !matches(text, "/$") && !matches(text, "//") && !matches(`${text}/`, "/%.%.?/");
  return $multi(text === "" || good ? text : undefined);
}

function read_model_name(text: string): LuaMultiReturn<[string | undefined]> {
  return $multi(text.length <= 128 && matches(text, "^[%w%p]+$") && !matches(text, "[\"'\\]") ? text : undefined);
}

function read_glob(text: string): LuaMultiReturn<[string | undefined]> {
  return read_model_name(text);
}

function read_sha256(text: string): LuaMultiReturn<[string | undefined]> {
  return $multi(text.length === 64 && matches(text, "^%x+$") ? lower(text) : undefined);
}

function read_identifier(text: string): LuaMultiReturn<[string | undefined]> {
  return $multi(text.length <= 64 && matches(text, "^[%w._-]+$") ? text : undefined);
}

function read_credential(text: string): LuaMultiReturn<[string | undefined]> {
  return $multi(text.length <= 4096 && matches(text, "^[%w%p]+$") ? text : undefined);
}

/** Whether a time of day is one; 24:00 is only good for an end. */
function is_clock_time(hour: string, minute: string, last: number): boolean {
  const minutes = tonumber(hour)! * 60 + tonumber(minute)!;
  return tonumber(minute)! < 60 && minutes <= last;
}

function read_hours(text: string): LuaMultiReturn<[string | undefined, string?]> {
  const [from_hour, from_minute, to_hour, to_minute] = match(text, "^(%d%d):(%d%d)%-(%d%d):(%d%d)$");
  if (to_minute === undefined || !is_clock_time(from_hour!, from_minute!, 1439) || !is_clock_time(to_hour!, to_minute, 1440)) {
    return $multi(undefined);
  }
  if (from_hour === to_hour && from_minute === to_minute) {
    return $multi(undefined, "expected two different times of day; 00:00-24:00 is the whole day");
  }
  return $multi(text);
}

/** An origin as browsers write it (HTML standard, "serialization of an origin"), or `*`. */
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
    return $multi(undefined, "expected an origin alone, such as https://app.example.com: without a path, a slash at its end or a user");
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

/** Headers that carry a caller's credential. */
const CREDENTIAL_HEADERS = new LuaSet<string>();
for (const name of ["authorization", "x-api-key", "api-key", "cookie"]) {
  CREDENTIAL_HEADERS.add(name);
}

function read_header_name(text: string): LuaMultiReturn<[string | undefined, string?]> {
  if (CREDENTIAL_HEADERS.has(lower(text))) {
    return $multi(undefined, "expected a header that carries no credential");
  }
  return $multi(text.length <= 128 && matches(text, "^[%w-]+$") ? text : undefined);
}

function read_header_value(text: string): LuaMultiReturn<[string | undefined]> {
  const visible = matches(text, "^[%w%p][%w%p ]*$") && !matches(text, " $");
  return $multi(text.length <= 4096 && visible ? text : undefined);
}

const FORMATS: Record<FormatName, Format> = {
  duration: {
    expected: "a duration such as 200ms, 2s, 1m or 1h",
    pattern: "^[0-9]+(\\.[0-9]*)?(ms|s|m|h)$",
    read: read_duration,
  },
  bytes: { expected: "a number of bytes such as 65536, 256k, 1m or 1g", pattern: "^[0-9]{1,15}[kKmMgG]?$", read: read_bytes },
  url: {
    expected: "a URL such as https://host:port/base",
    pattern: "^[hH][tT][tT][pP][sS]?://[^/?#@]+(/[^?#]*)?$",
    read: read_url,
  },
  cidr: {
    expected: "an address or network such as 10.0.0.0/8 or 2001:db8::/32",
    pattern: "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$",
    read: read_cidr,
  },
  sha256: { expected: "a SHA-256 of 64 hexadecimal digits", pattern: "^[0-9a-fA-F]{64}$", read: read_sha256 },
  path: { expected: "the path of a file", pattern: "^.+$", read: read_path },
  url_path: {
    expected: "the path of a URL, which begins with /, such as /health",
    pattern: "^/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$",
    read: read_url_path,
  },
  base_path: {
    expected: "a path such as /api/v3, which begins with / and does not end with it, or an empty text",
    pattern: "^(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*$",
    read: read_base_path,
  },
  identifier: {
    expected: "1 to 64 letters, digits, dots, underscores or hyphens",
    pattern: "^[A-Za-z0-9._-]{1,64}$",
    read: read_identifier,
  },
  model_name: {
    expected: "a model name of 1 to 128 printable ASCII characters without spaces, quotes and backslashes",
    pattern: "^[!#-&(-\\[\\]-~]{1,128}$",
    read: read_model_name,
  },
  glob: { expected: "a model name, in which * may stand for any part", pattern: "^[!#-&(-\\[\\]-~]{1,128}$", read: read_glob },
  host_port: { expected: "host:port", pattern: "^(\\[[0-9a-fA-F:.]+\\]|[^\\[\\]:]+):[0-9]{1,5}$", read: read_host_port },
  credential: {
    expected: "a credential of 1 to 4096 printable ASCII characters without spaces",
    pattern: "^[!-~]{1,4096}$",
    read: read_credential,
  },
  redis_url: {
    expected: "a URL such as redis://user:password@host:6379/0, or rediss:// for TLS",
    pattern: "^rediss?://([^@]*@)?[^/?#@]+(/[0-9]{0,5})?$",
    read: read_redis_url,
  },
  hours: {
    expected: "two times of day in UTC, such as 22:00-06:00",
    pattern: "^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
    read: read_hours,
  },
  origin: {
    expected: "an origin such as https://app.example.com or http://localhost:5173, or *",
    pattern: "^(\\*|[A-Za-z][A-Za-z0-9+.-]*://[^/?#@*]+)$",
    read: read_origin,
  },
  header_name: { expected: "the name of a header: letters, digits and hyphens", pattern: "^[A-Za-z0-9-]{1,128}$", read: read_header_name },
  header_value: {
    expected: "a header's value of 1 to 4096 printable ASCII characters, without spaces at its ends",
    pattern: "^[!-~]([ -~]{0,4094}[!-~])?$",
    read: read_header_value,
  },
};

export { FORMATS, split_authority, split_redis_url, split_url };
export type { Format, RedisUrlParts, UrlParts };
