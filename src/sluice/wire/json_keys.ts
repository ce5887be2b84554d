/**
 * The keys of JSON objects: read, hashed, refused when they come twice, and looked up in the shape.
 *
 * Keys that may not come twice lie in one open hash table of (object's serial number, two hashes): entries of
 * finished objects are dropped when it fills up, so it grows with the keys of the objects that are open, not with the
 * document. At most 65,536 keys may be open at a time. Two different keys pass for the same with a chance of 2^-64; the
 * request is then refused.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { At, Fault, fail } from "./json_state";
import { STRING_CLASS, decode_any, decode_character, is_half } from "./json_text";
import { Flag, HASH_TABLE, probe } from "./shape";
import type { Shape } from "./shape";
import type { Walk, WalkState } from "./json_state";

const band = bits.band;
const bor = bits.bor;
const rol = bits.rol;
const rshift = bits.rshift;
const tobit = bits.tobit;

const FIRST_KEY_PLACES = 64;
/** Keys that a shape names are shorter, in bytes. */
const LONGEST_KNOWN_KEY = 64;
const MOST_KEY_PLACES = 131072;

/** Doubles the key table, or only drops the keys of objects that have ended. Returns false at the limit. */
function make_room_for_keys(walk: Walk<any>): boolean {
  const state = walk.state;
  const old = walk.keys;
  const old_places = state.key_mask + 1;
  let live = 0;
  for (const place of $range(0, old_places - 1)) {
    const level = old[place * 4 + 3]!;
    const serial = old[place * 4]!;
    if (serial !== 0 && level <= state.depth && state.levels_serial[level] === serial) {
      live += 1;
    }
  }
  const places = live * 2 > old_places ? old_places * 2 : old_places;
  if (places > MOST_KEY_PLACES) {
    return false;
  }
  const mask = places - 1;
  const table = ffi.new<Int32Buffer>("int32_t[?]", places * 4);
  for (const place of $range(0, old_places - 1)) {
    const level = old[place * 4 + 3]!;
    const serial = old[place * 4]!;
    if (serial !== 0 && level <= state.depth && state.levels_serial[level] === serial) {
      let at = band(tobit(old[place * 4 + 1]! + serial * 40503), mask);
      while (table[at * 4] !== 0) {
        at = band(at + 1, mask);
      }
      table[at * 4] = serial;
      table[at * 4 + 1] = old[place * 4 + 1]!;
      table[at * 4 + 2] = old[place * 4 + 2]!;
      table[at * 4 + 3] = level;
    }
  }
  walk.keys = table;
  state.key_mask = mask;
  state.keys = live;
  return true;
}

/** Enters the key just read among those of the object. Returns false if it was there. */
function enter_key(walk: Walk<any>, state: WalkState, first: number, second: number): boolean {
  const serial = state.levels_serial[state.depth]!;
  const keys = walk.keys;
  const mask = state.key_mask;
  let at = band(tobit(first + serial * 40503), mask);
  let found = keys[at * 4]!;
  while (found !== 0) {
    if (found === serial && keys[at * 4 + 1] === first && keys[at * 4 + 2] === second) {
      return false;
    }
    at = band(at + 1, mask);
    found = keys[at * 4]!;
  }
  keys[at * 4] = serial;
  keys[at * 4 + 1] = first;
  keys[at * 4 + 2] = second;
  keys[at * 4 + 3] = state.depth;
  state.keys += 1;
  return true;
}

/** Takes upper case for lower, as servers do that match keys without case. */
const FOLDED = ffi.new<Bytes>("uint8_t[256]");
for (const value of $range(0, 255)) {
  FOLDED[value] = value >= 65 && value <= 90 ? value + 32 : value;
}
/** Two letters beyond ASCII whose lower case is an ASCII letter: long s and the Kelvin sign. */
const LONG_S = 0x17f;
const KELVIN = 0x212a;

/** Adds a code point's UTF-8 bytes to the key's hashes. */
function hash_code_point(state: WalkState, code_point: number): void {
  let rest = 0;
  let lead = code_point;
  if (code_point > 0xffff) {
    rest = 3;
    lead = bor(0xf0, rshift(code_point, 18));
  } else if (code_point > 0x7ff) {
    rest = 2;
    lead = bor(0xe0, rshift(code_point, 12));
  } else if (code_point > 0x7f) {
    rest = 1;
    lead = bor(0xc0, rshift(code_point, 6));
  }
  let first = tobit(rol(state.first, 5) + HASH_TABLE[lead]!);
  let second = tobit(rol(state.second, 11) + first);
  state.length += 1 + rest;
  while (rest > 0) {
    rest -= 1;
    const value = bor(0x80, band(rshift(code_point, rest * 6), 0x3f));
    first = tobit(rol(first, 5) + HASH_TABLE[value]!);
    second = tobit(rol(second, 11) + first);
  }
  state.first = first;
  state.second = second;
}

/** Adds a code point to the hash that takes upper case for lower. */
function fold_code_point(state: WalkState, code_point: number): void {
  let letter = 0;
  if (code_point < 128) {
    letter = FOLDED[code_point]!;
  } else if (code_point === LONG_S) {
    letter = 115;
  } else if (code_point === KELVIN) {
    letter = 107;
  }
  state.folded = tobit(rol(state.folded, 5) + HASH_TABLE[letter]!);
  state.folded_length += 1;
}

/** Hands the key's characters between two offsets of the slice to the sink. They have been checked. */
function feed_key<Target>(walk: Walk<Target>, bytes: Bytes, from: number, to: number): void {
  const { base } = walk.state;
  let at = from;
  while (at < to) {
    const value = bytes[at]!;
    const kind = STRING_CLASS[value]!;
    let code_point = value;
    let next = at + 1;
    if (kind !== 0) {
      [code_point, next] = decode_any(bytes, at, to, kind);
    }
    const take = is_half(code_point) ? (walk.sink.half ?? walk.sink.character) : walk.sink.character;
    take(walk.target, code_point, base + at, base + next);
    at = next;
  }
}

/** Goes over a key again for the hash that takes upper case for lower. */
function fold_key(state: WalkState, bytes: Bytes, from: number, to: number): void {
  let at = from;
  state.folded = 0;
  state.folded_length = 0;
  while (at < to) {
    const value = bytes[at]!;
    const kind = STRING_CLASS[value]!;
    let code_point = value;
    let next = at + 1;
    if (kind !== 0) {
      [code_point, next] = decode_any(bytes, at, to, kind);
    }
    fold_code_point(state, code_point);
    at = next;
  }
}

/** A key that begins: nothing of it is read yet. `at` is the offset of its quote. */
function begin_key(state: WalkState, at: number): void {
  state.first = 0;
  state.second = 0;
  state.length = 0;
  state.key_start = state.base + at + 1;
  state.key_at = state.at;
  state.key_fed = 0;
  state.at = At.KeyString;
}

/**
 * The slice ends inside the key. A short one is put back whole, to be offered again with the next slice: it may yet be
 * a known one. Of a long one, which can't be, the sink gets what there is, and reading goes on from there.
 */
function interrupt_key<Target>(walk: Walk<Target>, state: WalkState, bytes: Bytes, from: number, at: number): void {
  const start = state.key_start - state.base;
  if (state.length < LONGEST_KNOWN_KEY) {
    state.at = state.key_at;
    state.reached = start - 1;
    return;
  }
  const node = state.levels_node[state.depth]!;
  if (band(walk.shape.flags[node]!, Flag.KeyText) !== 0) {
    if (state.key_fed === 0) {
      state.key_fed = 1;
      walk.sink.begin(walk.target, node, state.key_start - 1);
      feed_key(walk, bytes, start, at);
    } else {
      feed_key(walk, bytes, from, at);
    }
  }
  state.key_fed = 1;
  state.reached = at;
}

/**
 * Reads a key's characters. Returns the offset after the closing quote, 0 if the slice ended (`state.reached` is
 * then the offset), or -1 after a fault.
 */
function key_string<Target>(walk: Walk<Target>, state: WalkState, bytes: Bytes, from: number, to: number): number {
  let first = state.first;
  let second = state.second;
  let at = from;
  let mark = from;
  while (at < to) {
    const value = bytes[at]!;
    const kind = STRING_CLASS[value]!;
    if (kind === 0) {
      first = tobit(rol(first, 5) + HASH_TABLE[value]!);
      second = tobit(rol(second, 11) + first);
      at += 1;
    } else {
      state.first = first;
      state.second = second;
      state.length += at - mark;
      if (kind === 1) {
        return at + 1;
      }
      if (kind === 3) {
        fail(state, Fault.ControlCharacter, at);
        return -1;
      }
      const [code_point, next] = state.halves !== 0 ? decode_any(bytes, at, to, kind) : decode_character(bytes, at, to, kind);
      if (next < 0) {
        fail(state, -next, at);
        return -1;
      }
      if (next === 0) {
        interrupt_key(walk, state, bytes, from, at);
        return 0;
      }
      hash_code_point(state, code_point);
      first = state.first;
      second = state.second;
      at = next;
      mark = next;
    }
  }
  state.first = first;
  state.second = second;
  state.length += at - mark;
  interrupt_key(walk, state, bytes, from, at);
  return 0;
}

/** The entry of the shape for a member of that node by the key's hash and length; -1 if it has none. */
function find_member(shape: Shape, node: number, first: number, length: number): number {
  const place = probe(node, first, shape.turn, shape.mask);
  const members = shape.members;
  if (members[place] === node && members[place + 1] === first && band(members[place + 3]!, 63) === length) {
    return place;
  }
  return -1;
}

/** Whether an unknown key of this object differs from one with a slot only by case. `from` and `to` are its characters. */
function is_disguised(walk: Walk<any>, state: WalkState, node: number, bytes: Bytes, from: number, to: number): boolean {
  const { shape } = walk;
  if (band(shape.flags[node]!, Flag.ExactCase) === 0 || state.key_start - state.base !== from) {
    return false;
  }
  fold_key(state, bytes, from, to);
  const place = find_member(shape, node, state.folded, state.folded_length);
  if (place < 0) {
    return false;
  }
  const child = rshift(shape.members[place + 3]!, 6);
  return shape.slots[child] !== 0 && band(shape.flags[child]!, Flag.AnyCase) === 0;
}

/**
 * Finds the node of the member whose key was just read; `from` is where reading it began in this slice, `to` its closing
 * quote. An unknown key goes to the sink, if the shape says so. Returns -1 if it is a known one in disguise.
 */
function member_node<Target>(walk: Walk<Target>, state: WalkState, bytes: Bytes, from: number, to: number): number {
  const { shape } = walk;
  const node = state.levels_node[state.depth]!;
  const place = find_member(shape, node, state.first, state.length);
  if (place >= 0 && shape.members[place + 2] === state.second) {
    const child = rshift(shape.members[place + 3]!, 6);
    return child;
  }
  if (is_disguised(walk, state, node, bytes, from, to)) {
    return -1;
  }
  if (band(shape.flags[node]!, Flag.KeyText) !== 0) {
    if (state.key_fed === 0) {
      walk.sink.begin(walk.target, node, state.key_start - 1);
    }
    feed_key(walk, bytes, from, to);
    walk.sink.finish(walk.target, state.base + to);
  }
  return shape.others[node]!;
}

/** An empty key table. */
function new_keys(): Int32Buffer {
  return ffi.new<Int32Buffer>("int32_t[?]", FIRST_KEY_PLACES * 4);
}

/** Forgets all keys. */
function restart_keys(walk: Walk<any>): void {
  const state = walk.state;
  if (state.key_mask > FIRST_KEY_PLACES - 1) {
    walk.keys = new_keys();
  } else if (state.keys !== 0) {
    ffi.fill(walk.keys, FIRST_KEY_PLACES * 16);
  }
  state.key_mask = FIRST_KEY_PLACES - 1;
  state.keys = 0;
}

export { begin_key, enter_key, find_member, key_string, make_room_for_keys, member_node, new_keys, restart_keys };
