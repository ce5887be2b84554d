/**
 * The digits of a run as they are remembered, and their check sums. What is remembered of each digit are the sums of all digits up to it:
 * whether a window of them, however long, satisfies Luhn's formula (ISO/IEC 7812-1, annex B) is seen from two of them.
 *
 * The formula doubles every second digit from the right, so there are two sums: one with the last digit as it is, one with it
 * doubled. Each digit turns the first into itself plus the second, and the second into itself, doubled, plus the first. A window's sum is
 * below 256, so that of the sums only the last byte is needed.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { DIGITS_RING } from "./pattern_state";
import type { PatternState } from "./pattern_state";

const band = bits.band;

/** By the four bits of a digit: what it counts when it is doubled. */
const DOUBLED = ffi.new<Bytes>("uint8_t[16]", 0, 2, 4, 6, 8, 1, 3, 5, 7, 9);

/** A digit of the run. */
function digit(state: PatternState, place: number): number {
  return state.digits[band(place, DIGITS_RING - 1)]!;
}

/** Whether the `count` digits from `from` on satisfy Luhn's formula. */
function satisfies_luhn(state: PatternState, from: number, count: number): boolean {
  const before = band(from - 1, DIGITS_RING - 1);
  const left = band(count, 1) === 0 ? state.plain_sums[before]! : state.doubled_sums[before]!;
  return band(state.plain_sums[band(from + count - 1, DIGITS_RING - 1)]! - left, 255) % 10 === 0;
}

/** The check value (GB 11643-1999, ISO 7064 MOD 11-2) of the 17 digits of an identity number; 10 is written X. */
function id_check(state: PatternState, from: number): number {
  let product = 0;
  for (const place of $range(from, from + 16)) {
    // As ISO 7064 puts it: a running sum that is doubled for each place.
    product = ((product + digit(state, place)) * 2) % 11;
  }
  return (12 - product) % 11;
}

export { DOUBLED, digit, id_check, satisfies_luhn };
