/**
 * Reading an HTTP/1.1 response (RFC 9112) from a socket.
 *
 * The head and chunk lines are bounded, the body is bounded by the caller, and all of it ends at the caller's
 * deadline, however slowly bytes come: the socket hands over what has arrived, and the time is looked at in
 * between. What two readers could read differently (two lengths, a folded header, a coding that was not asked
 * for) is refused.
 */

const find = string.find;
const gsub = string.gsub;
const lower = string.lower;
const match = string.match;
const sub = string.sub;

interface HttpResponse {
  status: number;
  /** By lower-case names. */
  headers: LuaTable<string, string | undefined>;
  body: string;
}

/** A connection with what has been read from it and not been used. */
interface Reader {
  socket: TcpSocket;
  buffer: string;
  deadline: number;
  /** Whether the server has closed its side. */
  ended: boolean;
  /** Asked every second: whether anybody still waits for the response. Undefined: somebody does. */
  is_wanted?: (this: void) => boolean;
}

/** How a response ended. */
interface Outcome {
  response: HttpResponse | undefined;
  reason: string | undefined;
  /** Whether the connection can serve another request. */
  reusable: boolean;
  /** Whether nothing at all came back. */
  silent: boolean;
}

const MOST_HEAD_BYTES = 32768;
const MOST_LINE_BYTES = 256;
const MOST_INTERIM_RESPONSES = 8;
const READ_BYTES = 16384;
const LOOK_MS = 1000;
const NOT_WANTED = "nobody waits for the response any more";

const CRLF = "\r\n";

/** The milliseconds that are left; at least one, since a socket takes 0 for its default. Undefined: none. */
function remaining(deadline: number): number | undefined {
  ngx.update_time();
  const left = (deadline - ngx.now()) * 1000;
  return left < 1 ? undefined : left;
}

/** Reads more. Returns why it can't, or undefined; the end of the connection counts as a reason. */
function read_more(reader: Reader): string | undefined {
  const { is_wanted, socket } = reader;
  for (;;) {
    const left = remaining(reader.deadline);
    if (left === undefined) {
      return "timeout";
    }
    if (is_wanted !== undefined && !is_wanted()) {
      return NOT_WANTED;
    }
    const wait = is_wanted !== undefined ? math.min(left, LOOK_MS) : left;
    socket.settimeouts(wait, wait, wait);
    const [data, reason] = socket.receiveany(READ_BYTES);
    if (data !== undefined) {
      reader.buffer = reader.buffer === "" ? data : reader.buffer + data;
      return undefined;
    }
    // A wait that is over leaves the connection as it was.
    if (reason !== "timeout") {
      reader.ended = reason === "closed";
      return reason ?? "closed";
    }
  }
}

/** Takes what comes before `ending`, and the ending itself, out of the buffer. */
function take_until(
  reader: Reader,
  ending: string,
  most: number,
): LuaMultiReturn<[text: string | undefined, reason: string | undefined]> {
  let searched = 1;
  for (;;) {
    const [at, last] = find(reader.buffer, ending, searched, true);
    if (at !== undefined && last !== undefined && at - 1 <= most) {
      const text = sub(reader.buffer, 1, at - 1);
      reader.buffer = sub(reader.buffer, last + 1);
      return $multi(text, undefined);
    }
    if (reader.buffer.length > most) {
      return $multi(undefined, "the response has too long a head or line");
    }
    searched = math.max(1, reader.buffer.length - ending.length + 2);
    const reason = read_more(reader);
    if (reason !== undefined) {
      return $multi(undefined, reason);
    }
  }
}

/** Takes that many bytes, pieces gathered apart so that a long body is not copied again and again. */
function take_bytes(
  reader: Reader,
  count: number,
): LuaMultiReturn<[text: string | undefined, reason: string | undefined]> {
  const pieces: string[] = [];
  let missing = count;
  while (reader.buffer.length < missing) {
    pieces.push(reader.buffer);
    missing -= reader.buffer.length;
    reader.buffer = "";
    const reason = read_more(reader);
    if (reason !== undefined) {
      return $multi(undefined, reason);
    }
  }
  pieces.push(sub(reader.buffer, 1, missing));
  reader.buffer = sub(reader.buffer, missing + 1);
  return $multi(pieces.join(""), undefined);
}

/** Takes all until the server closes. */
function take_rest(reader: Reader, most: number): LuaMultiReturn<[text: string | undefined, reason: string | undefined]> {
  const pieces: string[] = [];
  let length = 0;
  for (;;) {
    length += reader.buffer.length;
    pieces.push(reader.buffer);
    reader.buffer = "";
    if (length > most) {
      return $multi(undefined, "the response is too long");
    }
    const reason = read_more(reader);
    if (reader.ended) {
      return $multi(pieces.join(""), undefined);
    }
    if (reason !== undefined) {
      return $multi(undefined, reason);
    }
  }
}

/** Takes a chunked body (RFC 9112, section 7.1), trailers dropped. */
function take_chunks(
  reader: Reader,
  most: number,
): LuaMultiReturn<[text: string | undefined, reason: string | undefined]> {
  const pieces: string[] = [];
  let length = 0;
  for (;;) {
    const [line, line_reason] = take_until(reader, CRLF, MOST_LINE_BYTES);
    if (line === undefined) {
      return $multi(undefined, line_reason);
    }
    const [digits] = match(line, "^(%x+)[ \t]*$");
    const [digits_before] = match(line, "^(%x+)[ \t]*;");
    const hexadecimal = digits ?? digits_before;
    if (hexadecimal === undefined || hexadecimal.length > 8) {
      return $multi(undefined, "the response has a wrong chunk size");
    }
    const size = tonumber(hexadecimal, 16) ?? 0;
    length += size;
    if (length > most) {
      return $multi(undefined, "the response is too long");
    }
    if (size === 0) {
      break;
    }
    const [chunk, chunk_reason] = take_bytes(reader, size + 2);
    if (chunk === undefined) {
      return $multi(undefined, chunk_reason);
    }
    if (sub(chunk, size + 1) !== CRLF) {
      return $multi(undefined, "the response has a chunk of the wrong size");
    }
    pieces.push(sub(chunk, 1, size));
  }
  let trailer_bytes = 0;
  for (;;) {
    const [line, reason] = take_until(reader, CRLF, MOST_HEAD_BYTES - trailer_bytes);
    if (line === undefined) {
      return $multi(undefined, reason);
    }
    if (line === "") {
      return $multi(pieces.join(""), undefined);
    }
    trailer_bytes += line.length;
  }
}

/** Reads header lines; undefined if one of them is none. */
function parse_headers(lines: string): LuaTable<string, string | undefined> | undefined {
  const headers = new LuaTable<string, string | undefined>();
  for (const [line] of string.gmatch(lines, "[^\r\n]+")) {
    const [name, value] = match(line!, "^([%w!#$&'*+.^_`|~%%-]+):[ \t]*(.*)$");
    if (name === undefined || value === undefined) {
      return undefined;
    }
    const known = lower(name);
    const [trimmed] = gsub(value, "[ \t]+$", "");
    const before = headers.get(known);
    headers.set(known, before === undefined ? trimmed : `${before}, ${trimmed}`);
  }
  return headers;
}

function failed(reason: string | undefined, silent: boolean): Outcome {
  return { response: undefined, reason: reason ?? "failed", reusable: false, silent };
}

/** Reads a whole response. `most` bounds the body, in bytes. */
function read_response(reader: Reader, method: string, most: number): Outcome {
  for (const _ of $range(1, MOST_INTERIM_RESPONSES)) {
    const [head, reason] = take_until(reader, CRLF + CRLF, MOST_HEAD_BYTES);
    if (head === undefined) {
      return failed(reason, reader.buffer === "");
    }
    const [minor, status_text, lines] = match(head, "^HTTP/1%.([01]) (%d%d%d)[^\r\n]*\r?\n?(.*)$");
    const status = tonumber(status_text);
    const headers = parse_headers(lines ?? "");
    if (minor === undefined || status === undefined || headers === undefined || status < 100 || status === 101) {
      return failed("the response is not HTTP/1.1", false);
    }
    if (status >= 200) {
      return read_body(reader, method, status, headers, minor === "1", most);
    }
  }
  return failed("the response does not begin", false);
}

/** Reads the body that the head announces (RFC 9112, section 6.3). */
function read_body(
  reader: Reader,
  method: string,
  status: number,
  headers: LuaTable<string, string | undefined>,
  persistent: boolean,
  most: number,
): Outcome {
  const coding = headers.get("transfer-encoding");
  const length_text = headers.get("content-length");
  const [close] = find(lower(headers.get("connection") ?? ""), "close", 1, true);
  let reusable = persistent && close === undefined;
  let body: string | undefined = "";
  let reason: string | undefined;
  if (method === "HEAD" || status === 204 || status === 304) {
    body = "";
  } else if (coding !== undefined) {
    if (lower(coding) !== "chunked") {
      return failed("the response has a transfer coding that was not asked for", false);
    }
    reusable = reusable && length_text === undefined;
    [body, reason] = take_chunks(reader, most);
  } else if (length_text !== undefined) {
    const [digits] = match(length_text, "^(%d+)$");
    const length = tonumber(digits);
    if (digits === undefined || digits.length > 15 || length === undefined) {
      return failed("the response has a wrong content length", false);
    }
    if (length > most) {
      return failed("the response is too long", false);
    }
    [body, reason] = take_bytes(reader, length);
  } else {
    reusable = false;
    [body, reason] = take_rest(reader, most);
  }
  if (body === undefined) {
    return failed(reason === "closed" ? "the response was cut short" : reason, false);
  }
  return { response: { status, headers, body }, reason: undefined, reusable: reusable && reader.buffer === "", silent: false };
}

export { failed, read_response, remaining };
export type { HttpResponse, Outcome, Reader };
