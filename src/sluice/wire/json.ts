/**
 * The JSON walker: one pass over the bytes, no objects.
 *
 * It accepts exactly RFC 8259 over UTF-8 (RFC 3629): escapes and surrogate pairs checked, lone surrogates,
 * control characters and a byte order mark refused, duplicate keys refused at every depth (compared after
 * decoding escapes), at most 128 levels, numbers of any size kept as bytes. While it checks, it notes the
 * ranges that a shape asks for and hands every character of the text fields to a sink.
 *
 * It is fed slices. `feed` stops early only inside an escape, a UTF-8 sequence or a literal that the slice
 * cuts, or a key or value that may be a known one (at most 400 bytes): the caller offers those bytes again in front of the next slice. Strings and
 * numbers go on across slices, so a body of any size is walked in bounded memory, and a caller may rest
 * between slices.
 *
 * The state of a walk is one C structure (json_state); strings, keys and numbers are read by modules of their own,
 * each with the loop that matters in a function of its own, so that it compiles as one tight trace.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { begin_key, enter_key, key_string, make_room_for_keys, member_node, new_keys, restart_keys } from "./json_keys";
import { is_media_url, media_node } from "./json_media";
import { literal, literal_stands, number_digits } from "./json_scalars";
import { At, Fault, Kind, MOST_REGIONS, begin_value, close, end_number, end_value, fail, open } from "./json_state";
import { known_string, other_string, plain_run, text_string, wide_run } from "./json_strings";
import { bytes_of, decode_string, encode_string, encode_utf8 } from "./json_text";
import { Flag, HASH_TABLE } from "./shape";
import type { Sink, Walk, WalkState } from "./json_state";
import type { Shape } from "./shape";

const band = bits.band;
const rol = bits.rol;
const tobit = bits.tobit;

/** Strings of which something must be known before they are read, and those that are counted. */
const ASKED = Flag.Known + Flag.MediaUrl + Flag.Media + Flag.Bytes + Flag.CountNumbers;

/** Whether the string at hand is text. */
function is_text(shape: Shape, state: WalkState): boolean {
  return band(shape.flags[state.node]!, Flag.Text) !== 0;
}

/**
 * Remembers the string that ends before `to` as the mark of its object. One that a slice cut, or that has escapes, is
 * not remembered: what depends on it then counts as text.
 */
function mark_object(state: WalkState, bytes: Bytes, to: number): void {
  const from = state.value_start - state.base;
  if (from < 0 || state.escaped !== 0 || to - from > 63) {
    return;
  }
  let first = 0;
  let second = 0;
  for (const at of $range(from, to - 1)) {
    first = tobit(rol(first, 5) + HASH_TABLE[bytes[at]!]!);
    second = tobit(rol(second, 11) + first);
  }
  state.levels_first[state.depth] = first;
  state.levels_second[state.depth] = second;
}

/**
 * Walks the bytes of a slice from offset `from` up to, not including, `to`. `walk.state.base` must be the
 * document offset of the slice's byte 0. Returns the offset up to which it consumed the slice: `to`, or some
 * bytes less (at most 400), which the caller offers again with what follows. After a fault (`walk.state.fault`) it is
 * where the fault lies, and the walk is over.
 */
function feed<Target>(walk: Walk<Target>, bytes: Bytes, from: number, to: number): number {
  const state = walk.state;
  const shape = walk.shape;
  let at = from;
  while (at < to) {
    const where = state.at;
    const value = bytes[at]!;
    if (where === At.String) {
      let next: number;
      if (is_text(shape, state)) {
        next = text_string(walk, state, bytes, at, to);
      } else {
        next = other_string(state, bytes, at, to);
      }
      if (next === 0) {
        return state.reached;
      }
      if (band(shape.flags[state.node]!, Flag.Marks) !== 0) {
        mark_object(state, bytes, next - 1);
      }
      if (state.slot !== 0 && state.escaped !== 0) {
        state.kinds[state.slot] = Kind.EscapedString;
      }
      at = next;
      state.at = end_value(state, at);
    } else if (where === At.KeyString) {
      const began = at;
      const next = key_string(walk, state, bytes, at, to);
      if (next <= 0) {
        if (next < 0) {
          return state.fault_at - state.base;
        }
        return state.reached;
      }
      at = next;
      if (!enter_key(walk, state, state.first, state.second)) {
        return fail(state, Fault.DuplicateKey, at - 1);
      }
      if (state.keys * 4 > state.key_mask * 3 && !make_room_for_keys(walk)) {
        return fail(state, Fault.Keys, at - 1);
      }
      const node = member_node(walk, state, bytes, began, at - 1);
      if (node < 0) {
        return fail(state, Fault.DuplicateKey, at - 1);
      }
      state.node = node;
      state.at = At.Colon;
    } else if (where >= At.Minus) {
      at = number_digits(state, bytes, at, to, where);
      if (state.fault !== 0) {
        return at;
      }
    } else if (value === 32 || value === 10 || value === 13 || value === 9) {
      at += 1;
    } else if (where === At.AfterValue) {
      if (value === 44) {
        if (state.levels_object[state.depth] === 1) {
          state.at = At.Key;
        } else {
          state.node = shape.items[state.levels_node[state.depth]!]!;
          state.at = At.Value;
        }
        at += 1;
      } else if (value === (state.levels_object[state.depth] === 1 ? 125 : 93)) {
        at += 1;
        state.at = close(walk, state, at, false);
      } else {
        return fail(state, Fault.Syntax, at);
      }
    } else if (where === At.Key || where === At.FirstKey) {
      if (value === 34) {
        if (at + 1 >= to) {
          return at;
        }
        begin_key(state, at);
        at += 1;
      } else if (value === 125 && where === At.FirstKey) {
        at += 1;
        state.at = close(walk, state, at, true);
      } else {
        return fail(state, Fault.Syntax, at);
      }
    } else if (where === At.Colon) {
      if (value !== 58) {
        return fail(state, Fault.Syntax, at);
      }
      state.at = At.Value;
      at += 1;
    } else if (where === At.Done) {
      return fail(state, Fault.Syntax, at);
    } else if (value === 34) {
      let node = state.node;
      let known = 0;
      const asked = band(shape.flags[node]!, ASKED);
      if (asked !== 0) {
        if (band(asked, Flag.Known) !== 0) {
          known = known_string(shape, node, bytes, at + 1, to);
        } else if (band(asked, Flag.MediaUrl) !== 0) {
          known = is_media_url(bytes, at + 1, to);
        }
        node = band(asked, Flag.Media + Flag.Bytes) !== 0 ? media_node(shape, state, bytes, at + 1, to) : node;
        if (known < 0 || node === 0) {
          return at;
        }
        if (band(asked, Flag.CountNumbers) !== 0) {
          state.string_count += 1;
        }
      }
      begin_value(walk, state, at, Kind.String);
      state.node = node;
      state.escaped = 0;
      state.value_start = state.base + at + 1;
      if (known > 0 && asked === Flag.MediaUrl) {
        // To its end it is a string at a place of which nothing is wanted.
        state.node = 0;
        state.at = At.String;
        at += 1;
      } else if (known > 0) {
        if (band(shape.flags[state.node]!, Flag.Marks) !== 0) {
          mark_object(state, bytes, known - 1);
        }
        at = known;
        state.at = end_value(state, at);
      } else {
        if (is_text(shape, state)) {
          walk.sink.begin(walk.target, state.node, state.base + at);
        }
        state.at = At.String;
        at += 1;
      }
    } else if (value === 123) {
      if (!open(walk, state, at, Kind.Object)) {
        return fail(state, Fault.Depth, at);
      }
      state.at = At.FirstKey;
      at += 1;
    } else if (value === 91) {
      if (!open(walk, state, at, Kind.Array)) {
        return fail(state, Fault.Depth, at);
      }
      state.at = At.FirstElement;
      at += 1;
    } else if (value === 45 || (value >= 48 && value <= 57)) {
      begin_value(walk, state, at, Kind.Number);
      if (band(shape.flags[state.node]!, Flag.CountNumbers) !== 0) {
        state.number_count += 1;
      }
      state.number = value - 48;
      state.at = value === 45 ? At.Minus : value === 48 ? At.Zero : At.Integer;
      at += 1;
    } else if (value === 93 && where === At.FirstElement) {
      at += 1;
      state.at = close(walk, state, at, true);
    } else {
      const [length, kind] = literal(value);
      if (length === 0) {
        return fail(state, Fault.Syntax, at);
      }
      if (at + length > to) {
        return at;
      }
      if (!literal_stands(bytes, at, kind)) {
        return fail(state, Fault.Syntax, at);
      }
      begin_value(walk, state, at, kind);
      at += length;
      state.at = end_value(state, at);
    }
  }
  return at;
}

/**
 * Says that no more bytes come. `consumed` and `to` are the last `feed`'s result and end. Returns true if the
 * document is whole and right; else `walk.state.fault` says why not.
 */
function finish(walk: Walk<any>, consumed: number, to: number): boolean {
  const state = walk.state;
  if (state.fault !== 0) {
    return false;
  }
  const where = state.at;
  if (where === At.Zero || where === At.Integer || where === At.Fraction || where === At.ExponentDigits) {
    state.at = end_number(state, to, where);
  }
  if (state.at === At.Done && consumed === to) {
    return true;
  }
  state.fault = Fault.Incomplete;
  state.fault_at = state.base + to;
  return false;
}

/** Makes ready for the next document: slots absent, nothing read. */
function restart(walk: Walk<any>): void {
  const state = walk.state;
  restart_keys(walk);
  state.serial = 0;
  state.at = At.Value;
  state.depth = 0;
  state.node = walk.shape.root;
  state.base = 0;
  state.fault = 0;
  state.slot = 0;
  state.number_count = 0;
  state.array_count = 0;
  state.string_count = 0;
  state.strict = 0;
  state.undecided = 0;
  state.region_count = 0;
  ffi.fill(state.kinds, 128);
}

/** Makes a walk over documents of that shape. It can be used again and again with `restart`. */
function walker<Target>(shape: Shape, sink: Sink<Target>, target: Target): Walk<Target> {
  const walk: Walk<Target> = {
    state: ffi.new<WalkState>("sluice_json_walk"),
    keys: new_keys(),
    shape,
    sink,
    target,
    plain_run: sink.plain_run ?? plain_run,
    wide_run: sink.wide_run ?? wide_run,
  };
  restart(walk);
  return walk;
}

/**
 * Has the walk take half of a surrogate pair for a character. Models give such: a server that cuts their output into tokens
 * cuts an emoji in two, and each half comes in an event of its own.
 */
function accept_halves<Target>(walk: Walk<Target>): Walk<Target> {
  walk.state.halves = 1;
  return walk;
}

const FAULTS: LuaTable<number, string> = new LuaTable();
FAULTS.set(Fault.Syntax, "is not JSON");
FAULTS.set(Fault.Encoding, "is not UTF-8");
FAULTS.set(Fault.ControlCharacter, "has a control character in a string");
FAULTS.set(Fault.Escape, "has an invalid escape in a string");
FAULTS.set(Fault.Surrogate, "has a lone surrogate in a string");
FAULTS.set(Fault.DuplicateKey, "has an object with the same key twice, or one that differs from a known one only by case");
FAULTS.set(Fault.Depth, "is nested deeper than 128 levels");
FAULTS.set(Fault.Keys, "has an object with too many keys");
FAULTS.set(Fault.Incomplete, "ends too early");

/** Says in words why the document was refused, such as `is not JSON (byte 17)`. */
function describe_fault(state: WalkState): string {
  return `${FAULTS.get(state.fault) ?? "is wrong"} (byte ${state.fault_at + 1})`;
}

const nothing = (): void => {};
/** A sink that takes no notice. */
const NO_SINK: Sink<undefined> = { begin: nothing, character: nothing, finish: nothing };

/** Walks a whole document in one string. Returns undefined if it is right, else what is wrong with it. */
function check(walk: Walk<any>, text: string): string | undefined {
  restart(walk);
  const consumed = feed(walk, bytes_of(text), 0, text.length);
  if (finish(walk, consumed, text.length)) {
    return undefined;
  }
  return describe_fault(walk.state);
}

export {
  accept_halves,
  walker,
  restart,
  feed,
  finish,
  check,
  describe_fault,
  bytes_of,
  decode_string,
  encode_string,
  encode_utf8,
  MOST_REGIONS,
  NO_SINK,
  Kind,
  Fault,
};
export type { Sink, Walk, WalkState };
