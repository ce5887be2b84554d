/**
 * Whether the run of digits at the end of the text may yet become a number, and where the first such number begins. What is
 * asked of a beginning is what `pattern_numbers` asks of the whole, so that nothing is held back in vain.
 */

import * as bits from "bit";
import {
  CHECK_X,
  ID_DIGITS,
  MOBILE_DIGITS,
  MOST_CARD_DIGITS,
  begins_card,
  begins_id,
  begins_ssn,
  country_code,
  passes_luhn,
} from "./pattern_checks";
import { DIGITS_RING, Joiner, Pattern, Stage } from "./pattern_state";
import { digit, id_check } from "./pattern_sums";
import type { PatternState } from "./pattern_state";

const band = bits.band;
const rshift = bits.rshift;

/** Longer than any group that is noted. */
const NO_GROUP = 99;

/**
 * Whether a mobile number may come of `count` digits. `first`: how many are in the first group; `shortest`: the length of the
 * shortest closed group behind it; `open`: the length of the last group if it can go on, else 0; `alone`: whether
 * each digit is a group so far; `may_begin`: whether it may do without a country code.
 */
function may_be_mobile(
  state: PatternState,
  from: number,
  count: number,
  first: number,
  shortest: number,
  open: number,
  alone: boolean,
  may_begin: boolean,
): boolean {
  const code = country_code(state, from, count);
  const missing = MOBILE_DIGITS + code - count;
  if (code < 0 || missing < 0 || (!may_begin && code !== 2)) {
    return false;
  }
  if (first === count && open > 0) {
    return true;
  }
  if (open === 0 && missing === 0) {
    return false;
  }
  if (alone && code === 0) {
    return true;
  }
  const room = open > 0 ? missing >= 2 - open : missing >= 2;
  return first >= code + 3 && shortest >= 2 && room;
}

/** Whether an identity number may come of it. */
function may_be_id(state: PatternState, from: number, count: number, open: number): boolean {
  if (count > ID_DIGITS + 1 || !begins_id(state, from, count)) {
    return false;
  }
  if (count < ID_DIGITS) {
    return true;
  }
  const check = id_check(state, from);
  if (count === ID_DIGITS) {
    return open > 0 || check !== CHECK_X;
  }
  return open > 0 && check === digit(state, from + ID_DIGITS);
}

/** Whether a payment card number may come of it. `twice`: whether two characters join some of its groups. */
function may_be_card(
  state: PatternState,
  from: number,
  count: number,
  first: number,
  shortest: number,
  open: number,
  twice: boolean,
): boolean {
  if (twice || !begins_card(state, from, count)) {
    return false;
  }
  const missing = MOST_CARD_DIGITS - count;
  if (missing === 0) {
    return open > 0 && (first === count || (first >= 4 && shortest >= 3 && open >= 3)) && passes_luhn(state, from, count);
  }
  if (first === count && open > 0) {
    return true;
  }
  return first >= 4 && shortest >= 3 && missing >= 3 - open;
}

/**
 * Whether a social security number may come of it. `groups`: how many there are so far; `first`, `second`: the length of the first one,
 * and of the one behind it.
 */
function may_be_ssn(state: PatternState, from: number, count: number, groups: number, first: number, second: number, open: number): boolean {
  if (groups > 3 || !begins_ssn(state, from, count)) {
    return false;
  }
  const last = band(state.joiners, 3);
  if (groups === 1) {
    return open > 0 ? first <= 3 : first === 3 && last !== Joiner.Two;
  }
  // The joiner of a group that has not begun yet is noted already.
  const before = band(rshift(state.joiners, 2), 3);
  if (groups === 2) {
    const joiner = open > 0 ? last : before;
    return first === 3 && joiner !== Joiner.Two && (open > 0 ? second <= 2 : second === 2 && last === joiner);
  }
  return first === 3 && second === 2 && before !== Joiner.Two && open > 0 && open <= 4 && last === before;
}

/** Where the first number begins that the end of the text may yet belong to; -1: there is none. */
function number_live(state: PatternState, wanted: number): number {
  const { stage, starts, total } = state;
  if (stage === Stage.Idle || stage === Stage.Point) {
    return -1;
  }
  const most = math.min(total, MOST_CARD_DIGITS);
  let found = -1;
  let groups = 0;
  // The digits of the groups that have been passed; of those behind the first, the length of the shortest one, and the first one's.
  let passed = 0;
  let shortest = NO_GROUP;
  let second = 0;
  let open = 0;
  for (const count of $range(1, most)) {
    const signed = state.signed_left === 1 && count === total;
    if (signed || band(rshift(starts, count - 1), 1) === 1) {
      const from = total - count;
      const length = count - passed;
      groups += 1;
      if (groups === 1 && stage === Stage.Digits) {
        open = length;
      }
      let live = false;
      if (stage === Stage.Tail) {
        live = count === ID_DIGITS && !signed && band(wanted, Pattern.CnIdCard) !== 0 && begins_id(state, from, count) && id_check(state, from) === CHECK_X;
      } else {
        const twice = state.last_double > from;
        live =
          (band(wanted, Pattern.CnMobile) !== 0 && may_be_mobile(state, from, count, length, shortest, open, count === groups, !signed)) ||
          (!signed &&
            ((band(wanted, Pattern.CnIdCard) !== 0 && may_be_id(state, from, count, open)) ||
              (band(wanted, Pattern.PaymentCard) !== 0 && may_be_card(state, from, count, length, shortest, open, twice)) ||
              (band(wanted, Pattern.UsSsn) !== 0 && may_be_ssn(state, from, count, groups, length, second, open))));
      }
      if (live) {
        found = state.places[band(from, DIGITS_RING - 1)]!;
      }
      if (length < shortest && (groups > 1 || open === 0)) {
        shortest = length;
      }
      passed = count;
      second = length;
    }
  }
  return found;
}

export { number_live };
