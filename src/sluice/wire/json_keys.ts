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
import { Fault, fail } from "./json_state";
import { STRING_CLASS, decode_character } from "./json_text";
import { FIRST_TABLE, Flag, SECOND_TABLE, probe } from "./shape";
import type { Walk, WalkState } from "./json_state";

const band = bits.band;
const bor = bits.bor;
const rol = bits.rol;
const rshift = bits.rshift;
const tobit = bits.tobit;

const FIRST_KEY_PLACES = 64;
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
  const table = ffi.new<Int32Buffer>(`int32_t[${places * 4}]`);
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
  let first = tobit(rol(state.first, 5) + FIRST_TABLE[lead]!);
  let second = tobit(rol(state.second, 11) + SECOND_TABLE[lead]!);
  state.length += 1 + rest;
  while (rest > 0) {
    rest -= 1;
    const value = bor(0x80, band(rshift(code_point, rest * 6), 0x3f));
    first = tobit(rol(first, 5) + FIRST_TABLE[value]!);
    second = tobit(rol(second, 11) + SECOND_TABLE[value]!);
  }
  state.first = first;
  state.second = second;
}

/**
 * Reads a key's characters. Returns the offset after the closing quote, 0 if the slice ended (`state.reached` is
 * then the offset), or -1 after a fault.
 */
function key_string<Target>(walk: Walk<Target>, state: WalkState, bytes: Bytes, from: number, to: number): number {
  const into_sink = band(walk.shape.flags[state.levels_node[state.depth]!]!, Flag.KeyText) !== 0;
  const base = state.base;
  let first = state.first;
  let second = state.second;
  let at = from;
  let mark = from;
  while (at < to) {
    const value = bytes[at]!;
    const kind = STRING_CLASS[value]!;
    if (kind === 0) {
      first = tobit(rol(first, 5) + FIRST_TABLE[value]!);
      second = tobit(rol(second, 11) + SECOND_TABLE[value]!);
      if (into_sink) {
        walk.sink.character(walk.target, value, base + at, base + at + 1);
      }
      at += 1;
    } else {
      state.first = first;
      state.second = second;
      state.length += at - mark;
      if (kind === 1) {
        if (into_sink) {
          walk.sink.finish(walk.target, base + at);
        }
        return at + 1;
      }
      if (kind === 3) {
        fail(state, Fault.ControlCharacter, at);
        return -1;
      }
      const [code_point, next] = decode_character(bytes, at, to, kind);
      if (next < 0) {
        fail(state, -next, at);
        return -1;
      }
      if (next === 0) {
        state.reached = at;
        return 0;
      }
      hash_code_point(state, code_point);
      first = state.first;
      second = state.second;
      if (into_sink) {
        walk.sink.character(walk.target, code_point, base + at, base + next);
      }
      at = next;
      mark = next;
    }
  }
  state.first = first;
  state.second = second;
  state.length += at - mark;
  state.reached = at;
  return 0;
}

/** The node of the member whose key was just read. */
function member_node(walk: Walk<any>, state: WalkState): number {
  const shape = walk.shape;
  const node = state.levels_node[state.depth]!;
  const members = shape.members;
  const place = probe(node, state.first, shape.mask);
  if (
    members[place] === node &&
    members[place + 1] === state.first &&
    members[place + 2] === state.second &&
    band(members[place + 3]!, 63) === state.length
  ) {
    const child = rshift(members[place + 3]!, 6);
    return child;
  }
  return shape.others[node]!;
}

/** An empty key table. */
function new_keys(): Int32Buffer {
  return ffi.new<Int32Buffer>(`int32_t[${FIRST_KEY_PLACES * 4}]`);
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

export { enter_key, key_string, make_room_for_keys, member_node, new_keys, restart_keys };
