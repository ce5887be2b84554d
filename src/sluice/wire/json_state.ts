/**
 * The state of a walk over a JSON document: one C structure, so that the loops that use it allocate nothing, and
 * the few steps that all parts of the walker share.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { settle_media } from "./json_media";
import { Flag, REGION } from "./shape";
import type { Shape } from "./shape";

const band = bits.band;

/** What the walker calls for text. Positions are offsets into the whole document; `next` is one past the character. */
interface Sink<Target> {
  /** A text string (or key) begins. `node` is its place in the shape. */
  begin: (this: void, target: Target, node: number, position: number) => void;
  character: (this: void, target: Target, code_point: number, position: number, next: number) => void;
  /** Half of a surrogate pair, where the walk takes that for a character. Default: `character`. */
  half?: (this: void, target: Target, unit: number, position: number, next: number) => void;
  /** The string has ended; `position` is that of its closing quote. */
  finish: (this: void, target: Target, position: number) => void;
  /**
   * Take runs of characters at once, if the sink has a better way than one call for each: of ASCII characters that stand for
   * themselves (`STRING_CLASS` 0), and of whole three-byte ones. `from` and `to` are offsets of the slice; both return
   * where the run ends. Each loop over characters is its own piece of machine code, so those of different sinks don't
   * get into each other's way.
   */
  plain_run?: Run<Target>;
  wide_run?: Run<Target>;
}

type Run<Target> = (this: void, walk: Walk<Target>, bytes: Bytes, from: number, to: number) => number;

/** What a slot's value is. */
const enum Kind {
  Absent = 0,
  Object = 1,
  Array = 2,
  /** A string without escapes. */
  String = 3,
  /** A string with at least one escape. */
  EscapedString = 4,
  Number = 5,
  True = 6,
  False = 7,
  Null = 8,
}

/** Why a document was refused. */
const enum Fault {
  None = 0,
  Syntax = 1,
  Encoding = 2,
  ControlCharacter = 3,
  Escape = 4,
  Surrogate = 5,
  /** The same key twice, or one that differs from a key that matters only by case. */
  DuplicateKey = 6,
  Depth = 7,
  Keys = 8,
  Incomplete = 9,
}

/** Where in the grammar the next byte falls. */
const enum At {
  Value = 0,
  FirstElement = 1,
  FirstKey = 2,
  Key = 3,
  Colon = 4,
  AfterValue = 5,
  Done = 6,
  String = 7,
  KeyString = 8,
  Minus = 9,
  Zero = 10,
  Integer = 11,
  Point = 12,
  Fraction = 13,
  Exponent = 14,
  ExponentSign = 15,
  ExponentDigits = 16,
}

const MOST_LEVELS = 128;
const MOST_REGIONS = 128;

ffi.cdef(`
typedef struct {
  int32_t at, depth, node, base, halves;
  int32_t fault, fault_at;
  int32_t first, second, length;
  int32_t slot, escaped, reached;
  int32_t serial, keys, key_mask;
  int32_t number_count, array_count, string_count, strict, undecided;
  int32_t key_start, key_at, key_fed, folded, folded_length;
  int32_t value_start;
  double number;
  int32_t levels_object[132], levels_node[132], levels_serial[132], levels_first[132], levels_second[132], levels_awaiting[132];
  int32_t starts[33], ends[33], kinds[33];
  double numbers[33];
  int32_t region_count, region_starts[128], region_ends[128];
} sluice_json_walk;
`);

interface WalkState {
  at: number;
  depth: number;
  node: number;
  /** Offset of the slice's byte 0 in the document. */
  base: number;
  /**
   * 1: half of a surrogate pair, given as an escape, is a character: RFC 8259 allows it (section 8.2), though what it means is
   * anybody's guess.
   */
  halves: number;
  fault: number;
  fault_at: number;
  first: number;
  second: number;
  length: number;
  slot: number;
  escaped: number;
  /** How far a string was read when it did not end. */
  reached: number;
  serial: number;
  keys: number;
  key_mask: number;
  /** Where the key's first character is, in the document; which `At` it was met in; whether the sink has had a part of it. */
  key_start: number;
  key_at: number;
  key_fed: number;
  /** The key's hash with upper case taken for lower, and its length then; kept where the shape asks for exact case. */
  folded: number;
  folded_length: number;
  /** Where the string value being read has its first character, in the document. */
  value_start: number;
  /** By level: the hashes of the object's marking string. */
  levels_first: Int32Buffer;
  levels_second: Int32Buffer;
  /**
   * By level: not 0 if something was passed over as media that is none unless a type says so, in this level or in so many
   * around it less one.
   */
  levels_awaiting: Int32Buffer;
  /** Numbers met where the shape counts them. */
  number_count: number;
  /** Arrays met there, and strings. */
  array_count: number;
  string_count: number;
  /** Not 0: nothing is passed over as media whose type has not come yet. And whether such types never came, or were others. */
  strict: number;
  undecided: number;
  number: number;
  levels_object: Int32Buffer;
  levels_node: Int32Buffer;
  levels_serial: Int32Buffer;
  /** By slot: where its last value begins and ends, and its `Kind`. */
  starts: Int32Buffer;
  ends: Int32Buffer;
  kinds: Int32Buffer;
  /** By slot: the value of a whole number up to 2^53; for an empty object or array 0; else -1. */
  numbers: Int32Buffer;
  /** How many regions there were, and where the first 128 begin and end. */
  region_count: number;
  region_starts: Int32Buffer;
  region_ends: Int32Buffer;
}

interface Walk<Target> {
  state: WalkState;
  keys: Int32Buffer;
  shape: Shape;
  sink: Sink<Target>;
  target: Target;
  plain_run: Run<Target>;
  wide_run: Run<Target>;
}

/** Notes a fault at an offset of the slice and returns that offset. */
function fail(state: WalkState, fault: number, at: number): number {
  state.fault = fault;
  state.fault_at = state.base + at;
  return at;
}

/** A value ends whose range is one of several to be reported. */
function end_region(state: WalkState, at: number): void {
  if (state.region_count <= MOST_REGIONS) {
    state.region_ends[state.region_count - 1] = state.base + at;
  }
}

function begin_region(state: WalkState, at: number): void {
  if (state.region_count < MOST_REGIONS) {
    state.region_starts[state.region_count] = state.base + at;
  }
  state.region_count += 1;
}

/** A value ends at the offset: closes its slot, and says where the grammar goes on. */
function end_value(state: WalkState, at: number): number {
  const slot = state.slot;
  if (slot !== 0) {
    state.ends[slot] = state.base + at;
    state.slot = 0;
    if (slot === REGION) {
      end_region(state, at);
    }
  }
  return state.depth === 0 ? At.Done : At.AfterValue;
}

/** A number ends: its value, if it is a whole one and wanted, goes with its slot. */
function end_number(state: WalkState, at: number, last: number): number {
  if (state.slot !== 0) {
    const whole = last !== At.ExponentDigits && state.number >= 0 && state.number <= 9007199254740992;
    state.numbers[state.slot] = whole ? state.number : -1;
  }
  return end_value(state, at);
}

/** Notes that a value of that kind begins at the offset, if its place has a slot. */
function begin_value(walk: Walk<any>, state: WalkState, at: number, kind: number): void {
  const slot = walk.shape.slots[state.node]!;
  if (slot !== 0) {
    state.slot = slot;
    state.starts[slot] = state.base + at;
    state.ends[slot] = -1;
    state.kinds[slot] = kind;
    state.numbers[slot] = -1;
    if (slot === REGION) {
      begin_region(state, at);
    }
  }
}

/** Opens an object or array. Returns false past the depth limit. */
function open(walk: Walk<any>, state: WalkState, at: number, kind: number): boolean {
  begin_value(walk, state, at, kind);
  state.slot = 0;
  const depth = state.depth + 1;
  if (depth > MOST_LEVELS) {
    return false;
  }
  state.depth = depth;
  state.levels_node[depth] = state.node;
  state.levels_awaiting[depth] = 0;
  if (kind === Kind.Object) {
    state.serial += 1;
    state.levels_serial[depth] = state.serial;
    state.levels_object[depth] = 1;
    state.levels_first[depth] = 0;
    state.levels_second[depth] = 0;
  } else {
    state.levels_serial[depth] = -1;
    state.levels_object[depth] = 0;
    state.levels_first[depth] = 0;
    if (band(walk.shape.flags[state.node]!, Flag.CountNumbers) !== 0) {
      state.array_count += 1;
    }
    state.node = walk.shape.items[state.node]!;
  }
  return true;
}

/** Closes the innermost object or array at the offset after its bracket. `empty`: it has no members. */
function close(walk: Walk<any>, state: WalkState, at: number, empty: boolean): number {
  const depth = state.depth;
  if (state.levels_awaiting[depth] !== 0) {
    settle_media(state, depth);
  }
  state.slot = walk.shape.slots[state.levels_node[depth]!]!;
  if (empty && state.slot !== 0) {
    state.numbers[state.slot] = 0;
  }
  state.depth = depth - 1;
  return end_value(state, at);
}

export { At, Fault, Kind, MOST_REGIONS, begin_value, close, end_number, end_value, fail, open };
export type { Run, Sink, Walk, WalkState };
