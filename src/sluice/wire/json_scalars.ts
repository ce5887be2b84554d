/** Numbers, which may go on across slices, and literals, which are read whole. */

import { At, Fault, Kind, end_number, fail } from "./json_state";
import type { WalkState } from "./json_state";

/** Reads on in a number. Returns the offset after the digits it consumed; the state says whether it ended. */
function number_digits(state: WalkState, bytes: Bytes, from: number, to: number, start: number): number {
  let at = from;
  let where = start;
  while (at < to) {
    const value = bytes[at]!;
    const digit = value - 48;
    if (digit >= 0 && digit <= 9) {
      if (where === At.Integer) {
        state.number = state.number * 10 + digit;
      } else if (where === At.Minus) {
        where = digit === 0 ? At.Zero : At.Integer;
        state.number = -1e300;
      } else if (where === At.Point || where === At.Fraction) {
        where = At.Fraction;
        // 12.0 is a whole number, 12.5 is none.
        if (digit !== 0) {
          state.number = -1e300;
        }
      } else if (where === At.Exponent || where === At.ExponentSign) {
        where = At.ExponentDigits;
      } else if (where === At.Zero) {
        fail(state, Fault.Syntax, at);
        return at;
      }
      at += 1;
    } else if (value === 46 && (where === At.Integer || where === At.Zero)) {
      where = At.Point;
      at += 1;
    } else if (
      (value === 101 || value === 69) &&
      (where === At.Integer || where === At.Zero || where === At.Fraction)
    ) {
      where = At.Exponent;
      at += 1;
    } else if ((value === 43 || value === 45) && where === At.Exponent) {
      where = At.ExponentSign;
      at += 1;
    } else if (where === At.Integer || where === At.Zero || where === At.Fraction || where === At.ExponentDigits) {
      state.at = end_number(state, at, where);
      return at;
    } else {
      fail(state, Fault.Syntax, at);
      return at;
    }
  }
  state.at = where;
  return at;
}

/** The length of the literal that begins with that byte, and its `Kind`; 0 if none does. */
function literal(first: number): LuaMultiReturn<[length: number, kind: number]> {
  if (first === 116) {
    return $multi(4, Kind.True);
  }
  if (first === 102) {
    return $multi(5, Kind.False);
  }
  if (first === 110) {
    return $multi(4, Kind.Null);
  }
  return $multi(0, 0);
}

/** Whether the literal of that kind stands at the offset. */
function literal_stands(bytes: Bytes, at: number, kind: number): boolean {
  if (kind === Kind.True) {
    return bytes[at + 1] === 114 && bytes[at + 2] === 117 && bytes[at + 3] === 101;
  }
  if (kind === Kind.Null) {
    return bytes[at + 1] === 117 && bytes[at + 2] === 108 && bytes[at + 3] === 108;
  }
  return bytes[at + 1] === 97 && bytes[at + 2] === 108 && bytes[at + 3] === 115 && bytes[at + 4] === 101;
}

export { literal, literal_stands, number_digits };
