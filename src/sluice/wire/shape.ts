/**
 * A shape says which places of a JSON document matter: which values are wanted by range (a slot), which
 * strings are text for the sink, and which are neither. The walker carries one integer, the node it is in,
 * and looks up the next with a key's hash: no path strings, no objects.
 *
 * How the data lies. Nodes are numbered from 1. Four int32 arrays hold each node's flags, slot, the node of
 * its array elements and the node of members it does not name. Named members lie in one open table keyed by
 * (node, hash of the key); when a shape is compiled a table size is chosen in which no two entries share a
 * place, so a lookup is one probe and no loop.
 *
 * Hashing. Keys are compared by two 32-bit hashes and their length, not byte by byte. The hashes are keyed
 * with 1 KiB of random numbers drawn when the process starts, so a client can't search for a key that passes
 * for another one; for strangers the chance is 2^-64.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { TextKind } from "./text_kind";

const band = bits.band;
const rol = bits.rol;
const tobit = bits.tobit;
const byte = string.byte;

const enum Flag {
  /** Strings here go to the sink. */
  Text = 1,
  /** The member names of an object here go to the sink. */
  KeyText = 2,
  /** Numbers here are counted (prompts given as token ids). */
  CountNumbers = 4,
  /** No member may differ from a named one with a slot only by upper and lower case. */
  ExactCase = 8,
  /** A string here is remembered for the object it stands in. */
  Marks = 16,
  /** With `ExactCase`: nothing is refused for being like this member's name. */
  AnyCase = 32,
  /** Some strings here are known, and no text. */
  Known = 64,
  /** So are those that begin as pictures, sound or video do in a data URL of base64. */
  MediaUrl = 128,
  /** Strings here are media where the type of their part says so. */
  Media = 256,
  /** Strings here that look like bytes in base64 are not counted. */
  Bytes = 512,
}

/** What a place in a document is. Plain data, so that a shape reads like the API's own reference. */
interface Place {
  /** Report the range of this value under that name. */
  slot?: string;
  /** Report the ranges of all values here, not only the last one's. They must not lie within each other. */
  region?: boolean;
  /** Strings here are text, of the kind `Content`, */
  text?: boolean;
  /** or of another kind. */
  kind?: TextKind;
  /** Strings here that are no text, though the others are: the values that the API names. At most 63 bytes each. */
  known?: readonly string[];
  /** Data URLs of pictures, sound and video in base64 are no text, though other strings here are. */
  media_url?: boolean;
  /** Member names here are text too. */
  key_text?: boolean;
  /** Count the numbers here. */
  count_numbers?: boolean;
  /** Refuse members that differ from one of the named ones with a slot only by case: some servers take them for it. */
  exact_case?: boolean;
  /** Has a slot, but members that differ from its name only by case are none of its business. */
  any_case?: boolean;
  /** Remember the string here; members may depend on it (`media`). */
  marks?: boolean;
  /**
   * Not text where the marking member of its object, or of one of two around it, has the type of a part of media; see
   * json_media.
   */
  media?: boolean;
  /**
   * Strings that look like bytes in base64 are read and not counted. With `media`: its own object's mark decides, and while
   * there is none, strings with such looks alone are media.
   */
  bytes?: boolean;
  /** Named members, if this is an object. */
  members?: Record<string, Place>;
  /** Elements, if this is an array. Default: nothing of interest. */
  items?: Place;
  /** Members that are not named. Default: nothing of interest. */
  others?: Place;
}

interface Shape {
  flags: Int32Buffer;
  slots: Int32Buffer;
  items: Int32Buffer;
  others: Int32Buffer;
  /** By node: the `TextKind` of its strings. */
  kinds: Int32Buffer;
  /** By node: the node in `members` whose members are its known values, if it has any. */
  values: Int32Buffer;
  /** Four int32 an entry: node, first hash, second hash, and the member's node with the key's length above it. */
  members: Int32Buffer;
  /** See `probe`. */
  turn: number;
  mask: number;
  /** Slot numbers by name. Slots count from 1. */
  slot_of: LuaTable<string, number>;
  root: number;
  /** The nodes of strings that are not read, and of those that are not counted. */
  unread: number;
  uncounted: number;
}

/** Entries of the smallest table of members and of the largest; and how many turns are tried for each size. */
const FIRST_SIZE = 64;
const MOST_SIZE = 65536;
const TURNS = 32;

/** The slot of places whose ranges are all reported. */
const REGION = 32;

/** What each byte of a key adds to its hash: 256 different random numbers. */
const HASH_TABLE = ffi.new<Int32Buffer>("int32_t[256]");

/** Fills the hash keys from the kernel's generator; without it (a test on another system) from the clock. */
function draw_hash_keys(): void {
  const [file] = io.open("/dev/urandom", "rb");
  const random = file !== undefined ? (file.read(1024 as never) as unknown as string | undefined) : undefined;
  if (file !== undefined) {
    file.close();
  }
  if (random !== undefined && random.length === 1024) {
    ffi.copy(HASH_TABLE, random, 1024);
  } else {
    math.randomseed(os.time());
    for (const index of $range(0, 255)) {
      HASH_TABLE[index] = tobit(math.random() * 4294967296);
    }
  }
  // Two bytes with the same number would make keys the same that differ only there.
  const seen = new LuaTable<number, boolean>();
  for (const index of $range(0, 255)) {
    while (seen.has(HASH_TABLE[index]!)) {
      HASH_TABLE[index] = tobit(HASH_TABLE[index]! + 1);
    }
    seen.set(HASH_TABLE[index]!, true);
  }
}
draw_hash_keys();

/**
 * The two hashes of a key, as the walker computes them byte by byte. The second one is fed with the first one's
 * values on the way, so that what cancels out in the first leaves its trace in the second.
 */
function hash(key: string): LuaMultiReturn<[first: number, second: number]> {
  let first = 0;
  let second = 0;
  for (const index of $range(1, key.length)) {
    first = tobit(rol(first, 5) + HASH_TABLE[byte(key, index)!]!);
    second = tobit(rol(second, 11) + first);
  }
  return $multi(first, second);
}

/**
 * Where the entry for a node and a key's first hash lies in a members table. `turn` says which of the hash's bits decide that: by how
 * many it is rotated.
 */
function probe(node: number, first: number, turn: number, mask: number): number {
  return band(tobit(rol(first, turn) + node * 40503), mask) * 4;
}

interface Entry {
  node: number;
  first: number;
  second: number;
  child: number;
  length: number;
}

/** Tries to lay the entries into a table of that size, with that turn; `undefined` if two of them meet. */
function lay_out(entries: Entry[], size: number, turn: number): Int32Buffer | undefined {
  const table = ffi.new<Int32Buffer>("int32_t[?]", size * 4);
  for (const entry of entries) {
    const at = probe(entry.node, entry.first, turn, size - 1);
    if (table[at] !== 0) {
      return undefined;
    }
    table[at] = entry.node;
    table[at + 1] = entry.first;
    table[at + 2] = entry.second;
    table[at + 3] = entry.child * 64 + entry.length;
  }
  return table;
}

/**
 * Compiles a shape. A `Place` that is used twice, or holds itself, becomes one node. Done once for each
 * shape when the process starts. Key names may have up to 63 bytes. Strings of kinds above `last_kind` are no text, nor are
 * those of the kind `left_out`.
 */
function compile(root: Place, last_kind: TextKind = TextKind.Other, left_out: TextKind = TextKind.None): Shape {
  const numbers = new LuaTable<Place, number>();
  const places: Place[] = [];
  const slot_of = new LuaTable<string, number>();
  let slot_count = 0;

  const number_of = (place: Place): number => {
    const known = numbers.get(place);
    if (known !== undefined) {
      return known;
    }
    places.push(place);
    numbers.set(place, places.length);
    return places.length;
  };

  number_of(root);
  const unread = number_of({});
  const uncounted = number_of({ kind: TextKind.Other });
  const entries: Entry[] = [];
  let index = 0;
  while (index < places.length) {
    const place = places[index]!;
    index += 1;
    for (const [name, member] of pairs(place.members ?? {})) {
      const [first, second] = hash(name);
      entries.push({ node: index, first, second, child: number_of(member), length: name.length });
    }
    if (place.items !== undefined) {
      number_of(place.items);
    }
    if (place.others !== undefined) {
      number_of(place.others);
    }
  }

  // Known values lie among the members, under nodes of their own, which no place has.
  const value_nodes = new LuaTable<readonly string[], number>();
  let last_node = places.length;
  for (const place of places) {
    if (place.known !== undefined && !value_nodes.has(place.known)) {
      last_node += 1;
      value_nodes.set(place.known, last_node);
      for (const value of place.known) {
        const [first, second] = hash(value);
        entries.push({ node: last_node, first, second, child: 0, length: value.length });
      }
    }
  }

  const count = places.length + 1;
  const shape_flags = ffi.new<Int32Buffer>("int32_t[?]", count);
  const slots = ffi.new<Int32Buffer>("int32_t[?]", count);
  const items = ffi.new<Int32Buffer>("int32_t[?]", count);
  const others = ffi.new<Int32Buffer>("int32_t[?]", count);
  const kinds = ffi.new<Int32Buffer>("int32_t[?]", count);
  const values = ffi.new<Int32Buffer>("int32_t[?]", count);
  for (const node of $range(1, places.length)) {
    const place = places[node - 1]!;
    const kind = place.kind ?? (place.text === true ? TextKind.Content : TextKind.None);
    const is_text = kind !== TextKind.None && kind <= last_kind && kind !== left_out;
    kinds[node] = is_text ? kind : TextKind.None;
    shape_flags[node] =
      (is_text ? Flag.Text : 0) +
      (place.key_text === true && (is_text || place.kind === undefined) ? Flag.KeyText : 0) +
      (place.count_numbers === true ? Flag.CountNumbers : 0) +
      (place.exact_case === true ? Flag.ExactCase : 0) +
      (place.marks === true ? Flag.Marks : 0) +
      (place.any_case === true ? Flag.AnyCase : 0) +
      (is_text && place.known !== undefined ? Flag.Known : 0) +
      (is_text && place.media_url === true ? Flag.MediaUrl : 0) +
      (is_text && place.media === true ? Flag.Media : 0) +
      (is_text && place.bytes === true ? Flag.Bytes : 0);
    values[node] = place.known !== undefined ? value_nodes.get(place.known)! : 0;
    if (place.slot !== undefined) {
      let slot = slot_of.get(place.slot);
      if (slot === undefined) {
        slot_count += 1;
        slot = slot_count;
        slot_of.set(place.slot, slot);
      }
      slots[node] = slot;
    }
    if (place.region === true) {
      slots[node] = REGION;
    }
    items[node] = place.items !== undefined ? number_of(place.items) : 0;
    others[node] = place.others !== undefined ? number_of(place.others) : 0;
  }
  if (slot_count > 31) {
    error("a shape has at most 31 slots");
  }

  // The hashes are other ones at each start: where two entries meet, other bits of theirs differ.
  let size = FIRST_SIZE;
  let turn = 0;
  let members = lay_out(entries, size, turn);
  while (members === undefined) {
    turn += 1;
    if (turn === TURNS) {
      turn = 0;
      size *= 2;
    }
    if (size > MOST_SIZE) {
      error("two members of an object have the same hash by an accident that another start does not have");
    }
    members = lay_out(entries, size, turn);
  }
  return { flags: shape_flags, slots, items, others, kinds, values, members, turn, mask: size - 1, slot_of, root: 1, unread, uncounted };
}

export { compile, hash, probe, HASH_TABLE, Flag, REGION };
export type { Place, Shape };
