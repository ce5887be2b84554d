/** The request as nginx has it: its headers, and its body, in memory or on disk. */

import * as bits from "bit";
import { monotonic } from "./clock";
import { random_bytes } from "./crypto";
import { SLICE_BYTES, begin_again, begin_slice, is_over } from "./slices";
import type { Slice } from "./slices";
import type { Edits } from "../wire/splice";
import { apply } from "../wire/splice";

const byte = string.byte;
const sub = string.sub;
const tobit = bits.tobit;
const tohex = bits.tohex;

/**
 * Larger bodies are read in pieces of this size. After each the clock is asked, so that no text keeps others waiting, whatever it costs: the
 * slowest one takes about two milliseconds a piece.
 */
const PIECE_BYTES = 32768;

/** The shortest sleep, in seconds: nginx counts in milliseconds. */
const LEAST_SECONDS = 0.001;

/**
 * Waits, in seconds, at least one millisecond; others go on meanwhile. A sleep of less would be one of no time: without a patch that only
 * OpenResty's nginx has, that comes back before any socket is looked at, and writes a warning. If the client leaves, it does not come back.
 */
function sleep(seconds: number): void {
  ngx.sleep(math.max(LEAST_SECONDS, seconds));
}

/** Lets the worker serve others. */
function rest(this: void): void {
  sleep(LEAST_SECONDS);
}

/** Work in slices begins. */
function begin_slices(): Slice {
  return begin_slice(monotonic());
}

/** So many more bytes have been handled: rests if that is enough for a slice, in bytes or in time. */
function rest_if_due(slice: Slice, bytes: number): void {
  if (is_over(slice, bytes, monotonic())) {
    rest();
    begin_again(slice, monotonic());
  }
}

/** A body that nginx has read. One of the two is there, unless it is empty. */
interface RequestBody {
  text: string | undefined;
  path: string | undefined;
  file: LuaFile | undefined;
}

/**
 * The value of a request header that comes once; of several lines it is the first, or all of them since nginx 1.23. `name` is
 * in lower case with `_` for `-`.
 */
function header(name: string): string | undefined {
  return ngx.var.get(`http_${name}`);
}

/** The host the connection comes from. */
function peer_address(): string {
  return ngx.var.get("remote_addr") ?? "";
}

/** The path, decoded and with duplicate slashes merged, without the query. */
function path(): string {
  return ngx.var.get("uri") ?? "";
}

/** The query as it was sent; undefined: none was. */
function query(): string | undefined {
  return ngx.var.get("args");
}

function method(): string {
  return ngx.req.get_method();
}

const identity = { prefix: "", counter: 0 };

/** Draws what this worker's request ids begin with. Once, in init_worker: before it, all workers would draw the same. */
function begin_request_ids(): void {
  const drawn = random_bytes(12);
  const parts: string[] = [];
  for (const index of $range(1, 12)) {
    parts.push(string.format("%02x", byte(drawn, index)!));
  }
  identity.prefix = parts.join("");
  identity.counter = 0;
}

/**
 * A new id: 32 hexadecimal digits, 24 that this worker drew at its start and 8 that count. Unique, and cheaper by a
 * microsecond and a system call than nginx's `$request_id`; not a secret.
 */
function new_request_id(): string {
  const counter = identity.counter + 1;
  identity.counter = counter;
  return identity.prefix + tohex(tobit(counter));
}

/** Makes the id known to nginx: the access log, the upstream and the client get it. */
function announce_request_id(id: string): void {
  ngx.var.set("sluice_id", id);
}

/**
 * How many bytes the body has: before it is read, as many as its header says, 0 if that says nothing because it comes in
 * chunks; when it has been read, as many as have come.
 */
function body_bytes(): number {
  return tonumber(ngx.var.get("content_length")) ?? 0;
}

/** Waits for the body. nginx answers itself if it is too large or does not come. */
function read_body(): RequestBody {
  ngx.req.read_body();
  const text = ngx.req.get_body_data();
  return { text, path: text === undefined ? ngx.req.get_body_file() : undefined, file: undefined };
}

/** For a request whose body means nothing: none of it goes on. */
function read_nothing(): void {
  ngx.req.read_body();
  ngx.req.set_body_data("");
}

/** The part of the body from `start` up to, not including, `end`. */
function body_range(body: RequestBody, start: number, end: number): string {
  if (body.text !== undefined) {
    const part = sub(body.text, start + 1, end);
    return part;
  }
  const file = body.file;
  if (file === undefined) {
    return "";
  }
  file.seek("set", start);
  const text = file.read((end - start) as never) as unknown as string | undefined;
  return text ?? "";
}

/** Opens the body's file, if it lies in one. Returns why it could not. */
function open_body(body: RequestBody): string | undefined {
  if (body.text !== undefined || body.path === undefined) {
    return undefined;
  }
  const [file, reason] = io.open(body.path, "rb");
  body.file = file;
  return file === undefined ? (reason ?? "can't be read") : undefined;
}

/**
 * Offers the body to `take`, with `taker`, piece by piece, until that returns false. Rests now and then so that other requests
 * are served. Returns why the body could not be read, if so.
 */
function each_slice<Taker>(
  body: RequestBody,
  take: (this: void, taker: Taker, slice: string) => boolean,
  taker: Taker,
): string | undefined {
  const text = body.text;
  if (text !== undefined) {
    if (text.length <= PIECE_BYTES) {
      take(taker, text);
      return undefined;
    }
    const slices = begin_slices();
    for (const from of $range(0, text.length - 1, PIECE_BYTES)) {
      if (!take(taker, sub(text, from + 1, from + PIECE_BYTES))) {
        return undefined;
      }
      rest_if_due(slices, PIECE_BYTES);
    }
    return undefined;
  }
  if (body.path === undefined) {
    return undefined;
  }
  const reason = open_body(body);
  const { file } = body;
  if (file === undefined) {
    return reason;
  }
  const slices = begin_slices();
  for (;;) {
    const slice = file.read(PIECE_BYTES as never) as unknown as string | undefined;
    if (slice === undefined || !take(taker, slice)) {
      return undefined;
    }
    rest_if_due(slices, slice.length);
  }
}

/** The MD5 of a text, in hexadecimal digits: to tell texts apart, not to protect them. */
function digest_text(text: string): string {
  return ngx.md5(text);
}

/** Goes over a body that has been read, from its beginning, resting between slices. */
function each_slice_again(body: RequestBody, take: (this: void, slice: string) => void): void {
  const text = body.text;
  let from = 0;
  for (;;) {
    let slice: string | undefined;
    if (text !== undefined) {
      slice = from < text.length ? sub(text, from + 1, from + SLICE_BYTES) : undefined;
    } else if (body.file !== undefined) {
      slice = body.file.read(SLICE_BYTES as never) as unknown as string | undefined;
    }
    if (slice === undefined) {
      return;
    }
    take(slice);
    from += slice.length;
    rest();
  }
}

/** Puts the edited body in the place of the client's. */
function edit_body(body: RequestBody, edits: Edits): void {
  const text = body.text;
  if (text !== undefined && text.length <= SLICE_BYTES) {
    ngx.req.set_body_data(apply(edits, text, 0));
    return;
  }
  let offset = 0;
  if (body.file !== undefined) {
    body.file.seek("set", 0);
  }
  ngx.req.init_body();
  each_slice_again(body, (slice) => {
    ngx.req.append_body(apply(edits, slice, offset));
    offset += slice.length;
  });
  ngx.req.finish_body();
}

/** Closes the body's file. */
function close_body(body: RequestBody): void {
  if (body.file !== undefined) {
    body.file.close();
    body.file = undefined;
  }
}

export {
  announce_request_id, begin_request_ids, begin_slices, body_bytes, body_range, close_body, digest_text, each_slice, edit_body, header, method, new_request_id,
  open_body, path, peer_address, query, read_body, read_nothing, rest, rest_if_due, sleep,
};
export type { RequestBody };
