/**
 * A small HTTP/1.1 client for what the gateway itself asks for: key sets, probes, scrapes, webhooks. No
 * request of a client's goes through here; nginx carries those.
 *
 * `request_uri` takes and gives what lua-resty-http's function of that name does, so that the rock can take
 * its place; `timeout_ms` and `max_body_bytes` are ours. The whole exchange, from the connection to the last
 * byte, ends within `timeout_ms`: a server that sends a byte now and then gains nothing. What it sends is
 * bounded too. Redirects are not followed. A connection is kept for later only when the response ended where
 * its framing said, with nothing behind it; connections are kept apart by scheme, host, port, server name and
 * whether the certificate was verified.
 *
 * Limits: names are resolved by nginx's `resolver`; whom certificates are verified against,
 * `authorities.ts` says. Response headers have lower-case names; values of one name are joined by
 * commas. No compression, no proxies.
 */

import { resolve_name } from "./dns";
import { forget_system_error } from "./own_trouble";
import { failed, read_response, remaining } from "./http_response";
import { begin_tls } from "./tls";
import type { HttpResponse, Outcome, Reader } from "./http_response";

const find = string.find;
const lower = string.lower;
const match = string.match;
const sub = string.sub;

interface HttpOptions {
  /** GET if left out. */
  method?: string;
  headers?: LuaTable<string, string>;
  body?: string;
  /** Whether the server's certificate must be right: true if left out. */
  ssl_verify?: boolean;
  /** The name that the certificate must bear, if it isn't the address's. */
  ssl_server_name?: string;
  /** Whether to keep the connection: true if left out. */
  keepalive?: boolean;
  /** How long to keep it, in milliseconds. */
  keepalive_timeout?: number;
  /** How many connections of its kind to keep. */
  keepalive_pool?: number;
  /** How long everything may take, in milliseconds. */
  timeout_ms?: number;
  /** How long the connection and its TLS may take, within that. */
  connect_timeout_ms?: number;
  max_body_bytes?: number;
  /** Asked every second while the response is awaited: whether anybody still wants it. */
  is_wanted?: (this: void) => boolean;
}

interface Address {
  scheme: string;
  /** As in the Host header. */
  authority: string;
  host: string;
  port: number;
  /** Path and query. */
  target: string;
  /** Whether the host is a number, not a name. */
  numeric: boolean;
}

const TIMEOUT_MS = 5000;
const MOST_BODY_BYTES = 1048576;
const KEEPALIVE_MS = 60000;
const KEEPALIVE_POOL = 30;

const CRLF = "\r\n";

/** Takes an http or https address apart; undefined and the reason if it is none. */
function parse_address(uri: string): LuaMultiReturn<[address: Address | undefined, reason: string | undefined]> {
  const [unsafe] = find(uri, "[%c%s]");
  const [written_scheme, authority, rest] = match(uri, "^(%a+)://([^/?#]+)([^#]*)");
  const scheme = lower(written_scheme ?? "");
  if (unsafe !== undefined || authority === undefined || rest === undefined || (scheme !== "http" && scheme !== "https")) {
    return $multi(undefined, "expected an http or https address");
  }
  let [host, port_text] = match(authority, "^(%[[%x:.]+%]):?(%d*)$");
  if (host === undefined) {
    [host, port_text] = match(authority, "^([%w._-]+):?(%d*)$");
  }
  if (host === undefined || port_text === undefined) {
    return $multi(undefined, "expected a host and perhaps a port, and no user name");
  }
  const port = port_text === "" ? (scheme === "https" ? 443 : 80) : (tonumber(port_text) ?? 0);
  if (port < 1 || port > 65535) {
    return $multi(undefined, "expected a port from 1 to 65535");
  }
  const [version4] = find(host, "^%d+%.%d+%.%d+%.%d+$");
  const numeric = version4 !== undefined || sub(host, 1, 1) === "[";
  const target = sub(rest, 1, 1) === "/" ? rest : `/${rest}`;
  return $multi({ scheme, authority, host, port, target, numeric }, undefined);
}

/** Writes the request; undefined and the reason if a part of it could be read as something else. */
function write_request(
  address: Address,
  options: HttpOptions,
): LuaMultiReturn<[text: string | undefined, reason: string | undefined]> {
  const method = options.method ?? "GET";
  const [is_token] = find(method, "^[%u-]+$");
  if (is_token === undefined) {
    return $multi(undefined, "expected a method in capital letters");
  }
  const parts = [`${method} ${address.target} HTTP/1.1${CRLF}`];
  const given = new LuaTable<string, boolean>();
  const headers = options.headers;
  if (headers !== undefined) {
    for (const [name, value] of headers) {
      const [good_name] = find(name, "^[%w!#$&'*+.^_`|~%%-]+$");
      const [bad_value] = find(value, "[%z\r\n]");
      if (good_name === undefined || bad_value !== undefined) {
        return $multi(undefined, "expected headers without line breaks");
      }
      const name_known = lower(name);
      if (name_known === "content-length" || name_known === "transfer-encoding" || name_known === "connection") {
        return $multi(undefined, `expected no ${name_known} header: it is written here`);
      }
      given.set(name_known, true);
      parts.push(`${name}: ${value}${CRLF}`);
    }
  }
  if (!given.has("host")) {
    parts.push(`Host: ${address.authority}${CRLF}`);
  }
  if (!given.has("user-agent")) {
    parts.push(`User-Agent: sluice${CRLF}`);
  }
  if (options.keepalive === false) {
    parts.push(`Connection: close${CRLF}`);
  }
  const body = options.body;
  if (body !== undefined) {
    parts.push(`Content-Length: ${body.length}${CRLF}`);
  } else if (method === "POST" || method === "PUT" || method === "PATCH") {
    parts.push(`Content-Length: 0${CRLF}`);
  }
  parts.push(CRLF);
  parts.push(body ?? "");
  return $multi(parts.join(""), undefined);
}

/** Begins TLS. Returns why it failed, or undefined. */
function shake_hands(
  socket: TcpSocket,
  server_name: string | undefined,
  verify: boolean,
  deadline: number,
): string | undefined {
  const left = remaining(deadline);
  if (left === undefined) {
    return "timeout";
  }
  socket.settimeouts(left, left, left);
  return begin_tls(socket, server_name, verify);
}

/** What to connect to for the address: the number itself, or the first one of its name. */
function host_to_connect(address: Address): LuaMultiReturn<[host: string | undefined, reason: string | undefined]> {
  if (address.numeric) {
    return $multi(address.host, undefined);
  }
  const [addresses, , reason] = resolve_name(address.host);
  if (addresses === undefined) {
    return $multi(undefined, reason);
  }
  return $multi(addresses[0], undefined);
}

/** Opens a connection, or takes one that was kept. Returns it, and whether it had been used before. */
function connect(
  address: Address,
  options: HttpOptions,
  until: number,
  fresh: boolean,
): LuaMultiReturn<[socket: TcpSocket | undefined, reason: string | undefined, used: boolean]> {
  const { connect_timeout_ms } = options;
  const deadline = connect_timeout_ms !== undefined ? math.min(until, ngx.now() + connect_timeout_ms / 1000) : until;
  const left = remaining(deadline);
  if (left === undefined) {
    return $multi(undefined, "timeout", false);
  }
  const verify = options.ssl_verify !== false;
  const server_name = options.ssl_server_name ?? (address.numeric ? undefined : address.host);
  const encrypted = address.scheme === "https";
  if (encrypted && verify && server_name === undefined) {
    return $multi(undefined, "expected a name to verify the certificate against, not a number", false);
  }
  const kind = `${address.scheme}:${address.host}:${address.port}:${encrypted ? (server_name ?? "") : ""}:${verify}`;
  const socket = ngx.socket.tcp();
  socket.settimeouts(left, left, left);
  const [host, unknown] = host_to_connect(address);
  if (host === undefined) {
    return $multi(undefined, unknown, false);
  }
  forget_system_error();
  const [connected, reason] = socket.connect(host, address.port, { pool: fresh ? `${kind}:fresh` : kind });
  if (connected === undefined) {
    return $multi(undefined, reason, false);
  }
  const used = (socket.getreusedtimes()[0] ?? 0) > 0;
  if (encrypted && !used) {
    const handshake_reason = shake_hands(socket, server_name, verify, deadline);
    if (handshake_reason !== undefined) {
      socket.close();
      return $multi(undefined, handshake_reason, false);
    }
  }
  return $multi(socket, undefined, used);
}

/** Sends the request over one connection and reads the response. */
function exchange(
  socket: TcpSocket,
  text: string,
  method: string,
  options: HttpOptions,
  deadline: number,
): Outcome {
  const left = remaining(deadline);
  if (left === undefined) {
    return failed("timeout", false);
  }
  socket.settimeouts(left, left, left);
  const [sent, reason] = socket.send(text);
  if (sent === undefined) {
    return failed(reason, reason !== "timeout");
  }
  const reader: Reader = { socket, buffer: "", deadline, ended: false, is_wanted: options.is_wanted };
  const outcome = read_response(reader, method, options.max_body_bytes ?? MOST_BODY_BYTES);
  outcome.silent = outcome.silent && outcome.reason !== "timeout";
  return outcome;
}

/**
 * Sends a request and returns the whole response, or undefined and the reason. The reason never holds any of
 * what was sent or received. Only in phases that may wait. A GET or HEAD whose kept connection turns out to
 * be dead is sent once more, on a new one.
 *
 * @example
 * const [response, reason] = request_uri("https://id.example.com/keys", { timeout_ms: 2000 });
 */
function request_uri(
  uri: string,
  options: HttpOptions,
): LuaMultiReturn<[response: HttpResponse | undefined, reason: string | undefined]> {
  const [address, address_reason] = parse_address(uri);
  if (address === undefined) {
    return $multi(undefined, address_reason);
  }
  const [text, text_reason] = write_request(address, options);
  if (text === undefined) {
    return $multi(undefined, text_reason);
  }
  ngx.update_time();
  const deadline = ngx.now() + (options.timeout_ms ?? TIMEOUT_MS) / 1000;
  const method = options.method ?? "GET";
  const repeatable = method === "GET" || method === "HEAD";
  let fresh = false;
  for (;;) {
    const [socket, reason, used] = connect(address, options, deadline, fresh);
    if (socket === undefined) {
      return $multi(undefined, reason);
    }
    const outcome = exchange(socket, text, method, options, deadline);
    if (outcome.reusable && !fresh && options.keepalive !== false) {
      socket.setkeepalive(options.keepalive_timeout ?? KEEPALIVE_MS, options.keepalive_pool ?? KEEPALIVE_POOL);
    } else {
      socket.close();
    }
    if (outcome.response !== undefined || !used || !outcome.silent || !repeatable) {
      return $multi(outcome.response, outcome.reason);
    }
    fresh = true;
  }
}

/**
 * The body of a 200 response to a GET, or undefined and the reason. At most `max_body_bytes`, within
 * `timeout_ms`; a redirect is a failure.
 */
function get_text(
  uri: string,
  max_body_bytes: number,
  timeout_ms: number,
): LuaMultiReturn<[body: string | undefined, reason: string | undefined]> {
  const [response, reason] = request_uri(uri, { max_body_bytes, timeout_ms, keepalive: false });
  if (response === undefined) {
    return $multi(undefined, reason);
  }
  if (response.status !== 200) {
    return $multi(undefined, `status ${response.status}`);
  }
  return $multi(response.body, undefined);
}

export { get_text, request_uri };
export type { HttpOptions, HttpResponse };
