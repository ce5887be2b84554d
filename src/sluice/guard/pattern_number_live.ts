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
  digit,
  id_check,
  passes_luhn,
} from "./pattern_checks";
import { Joiner, Left, Pattern, Stage } from "./pattern_state";
import type { PatternState } from "./pattern_state";

const band = bits.band;

/** Longer than any group that is noted. */
const NO_GROUP = 99;

/**
 * Whether a mobile number may come of `count` digits. `first`: how many are in the first group; `shortest`: the length of the
 * shortest closed group behind it; `open`: the length of the last group if it can go on, else 0; `alone`: whether
 * each digit is a group so far.
 */
function may_be_mobile(
  state: PatternState,
  from: number,
  count: number,
  first: number,
  shortest: number,
  open: number,
  alone: boolean,
  left: Left,
): boolean {
  const code = country_code(state, from, count);
  const missing = MOBILE_DIGITS + code - count;
  if (code < 0 || missing < 0 || left === Left.Word || (left === Left.Sign && code !== 2)) {
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

/** Whether a social security number may come of it; `group` is where it would begin. */
function may_be_ssn(state: PatternState, from: number, count: number, group: number, open: number): boolean {
  const groups = state.groups - group;
  if (groups > 3 || !begins_ssn(state, from, count)) {
    return false;
  }
  const first = state.group_lengths[band(group, 31)]!;
  if (groups === 1) {
    return open > 0 ? first <= 3 : first === 3 && state.joiner !== Joiner.Two;
  }
  const joiner = state.group_joiners[band(group + 1, 31)]!;
  const second = state.group_lengths[band(group + 1, 31)]!;
  if (first !== 3 || joiner === Joiner.Two) {
    return false;
  }
  if (groups === 2) {
    return open > 0 ? second <= 2 : second === 2 && state.joiner === joiner;
  }
  return second === 2 && open > 0 && open <= 4 && state.group_joiners[band(group + 2, 31)] === joiner;
}

/** Where the first number begins that the end of the text may yet belong to; -1: there is none. */
function number_live(state: PatternState, wanted: number): number {
  const stage = state.stage;
  if (stage === Stage.Idle || stage === Stage.Point) {
    return -1;
  }
  const last = state.groups - 1;
  let found = -1;
  let count = 0;
  let shortest = NO_GROUP;
  const open = stage === Stage.Digits ? state.group_lengths[band(last, 31)]! : 0;
  let twice = stage === Stage.JoinedTwice;
  for (const group of $range(last, 0, -1)) {
    const length = state.group_lengths[band(group, 31)]!;
    count += length;
    if (count > MOST_CARD_DIGITS) {
      return found;
    }
    const from = state.run_digits - count;
    const left = group === 0 ? state.left : Left.Free;
    const alone = count === last - group + 1;
    let live = false;
    if (stage === Stage.Tail) {
      live =
        count === ID_DIGITS &&
        left === Left.Free &&
        band(wanted, Pattern.CnIdCard) !== 0 &&
        begins_id(state, from, count) &&
        id_check(state, from) === CHECK_X;
    } else {
      live =
        (band(wanted, Pattern.CnMobile) !== 0 && may_be_mobile(state, from, count, length, shortest, open, alone, left)) ||
        (left === Left.Free &&
          ((band(wanted, Pattern.CnIdCard) !== 0 && may_be_id(state, from, count, open)) ||
            (band(wanted, Pattern.PaymentCard) !== 0 && may_be_card(state, from, count, length, shortest, open, twice)) ||
            (band(wanted, Pattern.UsSsn) !== 0 && may_be_ssn(state, from, count, group, open))));
    }
    if (live) {
      found = state.group_starts[band(group, 31)]!;
    }
    if (length < shortest && (group < last || open === 0)) {
      shortest = length;
    }
    if (state.group_joiners[band(group, 31)] === Joiner.Two) {
      twice = true;
    }
  }
  return found;
}

export { number_live };
