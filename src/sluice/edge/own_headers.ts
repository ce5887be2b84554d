/**
 * No upstream speaks in the gateway's name, and none that is a gateway itself tells of its own affairs. Headers of an answer
 * are removed whose names begin with `x-sluice-`, or as those do by which other gateways tell what a request has cost, where it
 * went and with which key. So are those that begin with `access-control-`: who may read an answer is not the upstream's to say.
 *
 * nginx can hide a header by its whole name only, and ngx_lua can list all headers, which takes 0.4 µs and 400 bytes of garbage for four
 * of them. So the list is read where nginx has it, in the request's own memory (`headers_out.headers` of ngx_http_request_t), which takes a
 * tenth of that, and a header is removed where it lies, whatever bytes its name has. Where the list lies differs between builds of nginx. It is looked for with
 * the first answer: a request has exactly two lists of headers, which are alike in their size, room and pool, and the second is the answer's. If
 * there are not two of them, or size and room aren't right later, ngx_lua's list is used.
 */

import * as ffi from "ffi";
import * as bits from "bit";
import { get_request } from "resty.core.base";

const bor = bits.bor;
const sub = string.sub;

/** ngx_list_part_t. A pointer is a number here: adding to it is adding bytes. */
interface HeaderPart {
  headers: number;
  count: number;
  next: HeaderPart | undefined;
}

/** ngx_list_t of headers. Its long numbers are small ones: the lower half, which comes first, is enough. */
interface HeaderList {
  part: HeaderPart;
  /** How many bytes a header takes, and for how many there is room at first. */
  size: number;
  room: number;
  pool: unknown;
}

/** ngx_table_elt_t, as far as it matters. nginx sends no header whose hash is 0. */
interface Header {
  hash: unknown;
  length: number;
  name: Int32Buffer;
}

ffi.cdef(`
typedef struct sluice_header_part { const uint8_t *headers; int32_t count, more_count; struct sluice_header_part *next; } sluice_header_part;
typedef struct { void *last; sluice_header_part part; int32_t size, more_size, room, more_room; void *pool; } sluice_header_list;
typedef struct { void *hash; int32_t length, more_length; const int32_t *name; } sluice_header;
`);

/**
 * What the names begin with, in small letters: Sluice's own, those of CORS, those of LiteLLM and of what it passes on of its
 * upstreams, of Portkey, Helicone, Kong, Envoy, Cloudflare's AI gateway, Bifrost, Higress, New API and One API.
 */
const PREFIXES = [
  "x-sluice-", "access-control-", "x-litellm-", "llm_provider-", "x-portkey-", "helicone-", "x-kong-", "x-envoy-",
  "x-ai-eg-", "cf-aig-", "x-bf-", "x-bifrost-", "x-higress-", "x-new-api-", "x-oneapi-",
];
/** A name is known by its first four bytes, with the bit set that tells small letters from capital ones. */
const WORD = 4;
const SMALL = 0x20202020;

/** The first four bytes of a name as a number. */
function first_word(name: Int32Buffer): number {
  return bor(name[0]!, SMALL);
}

/** The beginnings, by their first four bytes. */
const by_word = new LuaTable<number, string[] | undefined>();
for (const prefix of PREFIXES) {
  const word = first_word(ffi.cast<Int32Buffer>("const int32_t *", prefix));
  const others = by_word.get(word);
  if (others === undefined) {
    by_word.set(word, [prefix]);
  } else {
    others.push(prefix);
  }
}

/** What nginx makes a list of headers with: room for 20, of 48 bytes each, or of 56 since 1.23. */
const ROOM = 20;
const SIZES = [48, 56];
/** A request has more words than these. */
const WORDS = 150;
const WORD_BYTES = 8;

/** In which of the request's bytes the list begins; undefined: not looked for yet; −1: not to be found. */
let list_at: number | undefined;

function list_of(request: unknown, at: number): HeaderList {
  return ffi.cast<HeaderList>("sluice_header_list *", ffi.cast<number>("const uint8_t *", request as number) + at);
}

function is_list(list: HeaderList): boolean {
  return list.room === ROOM && (list.size === SIZES[0] || list.size === SIZES[1]);
}

/** Looks for the list of the answer's headers. Returns where it begins, or −1. */
function find_list(request: unknown): number {
  const found: number[] = [];
  if (ffi.sizeof("void *") !== WORD_BYTES) {
    return -1;
  }
  for (const word of $range(1, WORDS)) {
    if (is_list(list_of(request, word * WORD_BYTES))) {
      found.push(word * WORD_BYTES);
    }
  }
  const [first, second] = [found[0], found[1]];
  return first !== undefined && second !== undefined && found.length === 2 && list_of(request, first).pool === list_of(request, second).pool ? second : -1;
}

/** Whether a header's name, in small letters, says that it must not go on. */
type Unwanted = (this: void, name: string) => boolean;

/** The list of the headers of the answer at hand; undefined: it was not found. */
function answer_headers(): HeaderList | undefined {
  const request = get_request();
  list_at = list_at ?? find_list(request);
  const list = list_at >= 0 ? list_of(request, list_at) : undefined;
  return list !== undefined && is_list(list) ? list : undefined;
}

/** Removes headers by way of a list of all. ngx_lua takes an underscore of a name for a hyphen, so a name with one stays. */
function remove_listed(unwanted: Unwanted): void {
  const [names] = ngx.resp.get_headers(0);
  for (const [name] of names) {
    if (unwanted(name)) {
      ngx.header.set(name, undefined);
    }
  }
}

/** Removes the headers of the answer at hand that are unwanted. In the header filter. */
function remove_headers(unwanted: Unwanted): void {
  const list = answer_headers();
  if (list === undefined) {
    remove_listed(unwanted);
    return;
  }
  let part: HeaderPart | undefined = list.part;
  do {
    const { count, headers } = part;
    for (const index of $range(0, count - 1)) {
      const header = ffi.cast<Header>("sluice_header *", headers + index * list.size);
      if (unwanted(string.lower(ffi.string(header.name, header.length)))) {
        header.hash = undefined;
      }
    }
    part = part.next;
  } while (part !== undefined);
}

/** Whether a name, in small letters, begins as one of these. */
function begins_so(name: string, prefixes: readonly string[]): boolean {
  for (const prefix of prefixes) {
    if (sub(name, 1, prefix.length) === prefix) {
      return true;
    }
  }
  return false;
}

function is_of_gateway(this: void, name: string): boolean {
  return begins_so(name, PREFIXES);
}

/**
 * Removes the headers of the answer at hand that only the gateway may send, and those of other gateways. In the header filter,
 * before it sends any.
 */
function remove_own_headers(): void {
  const list = answer_headers();
  if (list === undefined) {
    remove_listed(is_of_gateway);
    return;
  }
  const { size } = list;
  let part: HeaderPart | undefined = list.part;
  do {
    const { count, headers } = part;
    for (const index of $range(0, count - 1)) {
      const header = ffi.cast<Header>("sluice_header *", headers + index * size);
      const prefixes = header.length >= WORD ? by_word.get(first_word(header.name)) : undefined;
      if (prefixes !== undefined && begins_so(string.lower(ffi.string(header.name, header.length)), prefixes)) {
        header.hash = undefined;
      }
    }
    part = part.next;
  } while (part !== undefined);
}

export { remove_headers, remove_own_headers };
