/**
 * An exchange with a Redis, over a connection of lua-resty-redis. Its commands are the library's. Scripts, of which there is one for
 * each request, go over its socket as the bytes that they are: the library makes some sixty strings of one, and waits anew for each
 * part of a reply.
 *
 * All of an exchange ends at its deadline: before each step the socket is given the time that is left. A script's reply is read as
 * it arrives, never waiting for a line or a length to be whole, since nginx's own time limit begins anew with each piece.
 *
 * Limits: a command of the library's, such as logging in on a new connection, may take longer if its reply comes in drips; a single send of
 * more than the kernel takes at once may last twice as long as what is left, so that much is sent in parts; a text of more than
 * 16 KiB is no answer of ours.
 */

import { monotonic } from "./clock";

const byte = string.byte;
const find = string.find;
const sub = string.sub;

/** A connection, for one exchange. */
interface Wire {
  connection: RedisConnection;
  socket: TcpSocket;
  /** When the exchange has to have ended, in seconds on the clock that only goes forward. */
  deadline: number;
  /** What has been read; from `place` on it has not been used. */
  buffer: string;
  place: number;
}

/** Less than this is no time to do anything in. */
const SPARE_MS = 1;
const READ_BYTES = 16384;
const MOST_BYTES = 16384;
const CRLF = "\r\n";

/** What replies begin with: `$` and `-` (https://redis.io/docs/reference/protocol-spec/). */
const BULK = 36;
const ERROR = 45;

function new_wire(connection: RedisConnection, deadline: number): Wire {
  return { connection, socket: connection._sock, deadline, buffer: "", place: 1 };
}

/** Leaves until the deadline for the next step. Returns false if nothing is left. */
function limit_time(wire: Wire): boolean {
  const left = math.floor((wire.deadline - monotonic()) * 1000);
  if (left < SPARE_MS) {
    return false;
  }
  wire.socket.settimeouts(left, left, left);
  return true;
}

/** Whether something has come that nobody asked for. */
function has_rest(wire: Wire): boolean {
  return wire.place <= wire.buffer.length;
}

/** Sends text. Returns why it can't. */
function write(wire: Wire, text: string | string[]): string | undefined {
  if (!limit_time(wire)) {
    return "timeout";
  }
  const [sent, reason] = wire.socket.send(text);
  return sent === undefined ? (reason ?? "closed") : undefined;
}

/** Reads what has arrived, or waits for it. Returns why it can't. */
function read_more(wire: Wire): string | undefined {
  if (!limit_time(wire)) {
    return "timeout";
  }
  const [data, reason] = wire.socket.receiveany(READ_BYTES);
  if (data === undefined) {
    return reason ?? "closed";
  }
  wire.buffer = has_rest(wire) ? sub(wire.buffer, wire.place) + data : data;
  wire.place = 1;
  return undefined;
}

/** Has a whole line in the buffer. Returns where it ends, or why there is none. */
function await_line(wire: Wire): LuaMultiReturn<[end: number | undefined, reason: string | undefined]> {
  for (;;) {
    const [end] = find(wire.buffer, CRLF, wire.place, true);
    if (end !== undefined) {
      return $multi(end, undefined);
    }
    if (wire.buffer.length - wire.place >= MOST_BYTES) {
      return $multi(undefined, "too long an answer");
    }
    const reason = read_more(wire);
    if (reason !== undefined) {
      return $multi(undefined, reason);
    }
  }
}

/** Takes a text of so many bytes, and the line's end behind it. */
function take_text(wire: Wire, length: number): LuaMultiReturn<[text: string | undefined, reason: string | undefined]> {
  if (length > MOST_BYTES) {
    return $multi(undefined, "too long an answer");
  }
  while (wire.buffer.length - wire.place + 1 < length + 2) {
    const reason = read_more(wire);
    if (reason !== undefined) {
      return $multi(undefined, reason);
    }
  }
  const { place } = wire;
  wire.place = place + length + 2;
  return $multi(sub(wire.buffer, place, place + length - 1), undefined);
}

/** Reads a script's reply: a text; false and its words, if that is an error; or nil and the reason, if nothing whole came. */
function read_reply(wire: Wire): LuaMultiReturn<[reply: string | false | undefined, reason: string | undefined]> {
  const [end, reason] = await_line(wire);
  if (end === undefined) {
    return $multi(undefined, reason);
  }
  const { place } = wire;
  const kind = byte(wire.buffer, place);
  const rest = sub(wire.buffer, place + 1, end - 1);
  wire.place = end + 2;
  if (kind === ERROR) {
    return $multi(false, rest);
  }
  const length = kind === BULK ? (tonumber(rest) ?? -1) : -1;
  if (length < 0) {
    return $multi(undefined, "an answer of another kind");
  }
  return take_text(wire, length);
}

export { has_rest, limit_time, new_wire, read_reply, write };
export type { Wire };
