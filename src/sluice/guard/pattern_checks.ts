/** What the digits of a number have to be. All read the ring of a run's digits: `from` is the place of the number's first. */

import { digit, satisfies_luhn } from "./pattern_sums";
import type { PatternState } from "./pattern_state";

/** The check value that stands for X. */
const CHECK_X = 10;

/** The longest payment card number (ISO/IEC 7812-1), which is the longest number of all. */
const MOST_CARD_DIGITS = 19;
const LEAST_CARD_DIGITS = 13;
/** A mobile number of China, without its country code. */
const MOBILE_DIGITS = 11;
/** An identity number without its last place. */
const ID_DIGITS = 17;
const SSN_DIGITS = 9;

/** A number of two digits. */
function pair(state: PatternState, place: number): number {
  return digit(state, place) * 10 + digit(state, place + 1);
}

/** Whether not all digits are the same. */
function differ(state: PatternState, from: number, count: number): boolean {
  const first = digit(state, from);
  for (const place of $range(from + 1, from + count - 1)) {
    if (digit(state, place) !== first) {
      return true;
    }
  }
  return false;
}

/** Whether the digits satisfy Luhn's formula, and aren't all the same. */
function passes_luhn(state: PatternState, from: number, count: number): boolean {
  return satisfies_luhn(state, from, count) && differ(state, from, count);
}

/**
 * How a card number may begin: with 3 to 6, or with 22 to 27 (Mir and Mastercard; 20 begins a date written without
 * separators far more often than a card). `count`: how many digits there are so far.
 */
function begins_card(state: PatternState, from: number, count: number): boolean {
  const first = digit(state, from);
  if (first !== 2 || count === 1) {
    return first >= 2 && first <= 6;
  }
  const second = digit(state, from + 1);
  return second >= 2 && second <= 7;
}

function days_of_month(year: number, month: number): number {
  if (month === 2) {
    return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  }
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/**
 * Whether the first `count` digits can begin an identity number: the first isn't 0, and the seventh to fourteenth are, as
 * far as they are there, a day of the years 1900 to 2099.
 */
function begins_id(state: PatternState, from: number, count: number): boolean {
  if (digit(state, from) === 0) {
    return false;
  }
  if (count < 7) {
    return true;
  }
  const century = digit(state, from + 6);
  if (century !== 1 && century !== 2) {
    return false;
  }
  if (count >= 8 && digit(state, from + 7) !== (century === 1 ? 9 : 0)) {
    return false;
  }
  if (count < 11) {
    return true;
  }
  if (count === 11) {
    return digit(state, from + 10) <= 1;
  }
  const month = pair(state, from + 10);
  if (month < 1 || month > 12) {
    return false;
  }
  if (count === 12) {
    return true;
  }
  if (count === 13) {
    return digit(state, from + 12) <= (month === 2 ? 2 : 3);
  }
  const day = pair(state, from + 12);
  return day >= 1 && day <= days_of_month(pair(state, from + 6) * 100 + pair(state, from + 8), month);
}

/** Whether the first `count` digits can begin a social security number: no area 000, 666, 9xx, no group 00, no serial 0000. */
function begins_ssn(state: PatternState, from: number, count: number): boolean {
  const first = digit(state, from);
  if (first === 9) {
    return false;
  }
  if (count >= 3) {
    const rest = pair(state, from + 1);
    if ((first === 0 && rest === 0) || (first === 6 && rest === 66)) {
      return false;
    }
  }
  if (count >= 5 && pair(state, from + 3) === 0) {
    return false;
  }
  return count < SSN_DIGITS || pair(state, from + 5) + pair(state, from + 7) > 0;
}

/**
 * How many digits of country code a mobile number has before it: 0 before a 1, 2 for 86, 4 for 0086. If the digits so
 * far are no such beginning, or no mobile number begins behind it, -1.
 */
function country_code(state: PatternState, from: number, count: number): number {
  const first = digit(state, from);
  let code = 0;
  if (first === 8) {
    code = 2;
    if (count >= 2 && digit(state, from + 1) !== 6) {
      return -1;
    }
  } else if (first === 0) {
    code = 4;
    if (
      (count >= 2 && digit(state, from + 1) !== 0) ||
      (count >= 3 && digit(state, from + 2) !== 8) ||
      (count >= 4 && digit(state, from + 3) !== 6)
    ) {
      return -1;
    }
  }
  if ((count > code && digit(state, from + code) !== 1) || (count > code + 1 && digit(state, from + code + 1) < 3)) {
    return -1;
  }
  return code;
}

export {
  CHECK_X,
  ID_DIGITS,
  LEAST_CARD_DIGITS,
  MOBILE_DIGITS,
  MOST_CARD_DIGITS,
  SSN_DIGITS,
  begins_card,
  begins_id,
  begins_ssn,
  country_code,
  passes_luhn,
};
