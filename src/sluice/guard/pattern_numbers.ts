/**
 * The patterns that consist of digits. Characters that can belong to one number are a run: groups of digits, joined by one or
 * two dashes or spaces. When a group ends, each range of whole groups that ends there is looked at. A run forgets nothing
 * but what lies more than 19 digits back, and no number is longer than that.
 *
 * No number has a letter, a word character, one of `_ % +`, or a further digit directly beside it, none begins behind a digit
 * and a dot, where it would be a fraction. Chinese characters may stand beside it.
 *
 * - A mobile number of China: 1, a digit of 3 to 9, nine more. Before it, in the same group, 86 or 0086, and before that a
 *   plus sign, which isn't part of the match; a country code in a group of its own is none either. The first group has
 *   at least three digits of it and the others two, so that columns of figures make no number; or each digit is a group.
 * - An identity number of China (GB 11643-1999), in any groups. An X at the end has a digit directly before it.
 * - A payment card number: 13 to 19 digits, the first group of at least four and the others of three, joined by one character.
 * - A social security number of the United States: 3, 2 and 4 digits, joined by the same kind of single character. Nine digits
 *   without are none: too much else is nine digits long.
 */

import * as bits from "bit";
import { CharacterClass, Wake } from "./pattern_class";
import {
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
  digit,
  id_check,
  passes_luhn,
} from "./pattern_checks";
import { Joiner, Left, Pattern, Stage, add_hit } from "./pattern_state";
import type { PatternState } from "./pattern_state";

const band = bits.band;
const lshift = bits.lshift;

/** The classes that no number has beside it: letters, X, signs, word characters. */
const BESIDE = 0x186;
/** How long a group is noted to be: longer than any number. */
const LONGEST_GROUP = 20;

/** Goes to a stage, and asks to be woken for what matters there. */
function enter(state: PatternState, stage: Stage): void {
  state.stage = stage;
  state.number_wake = stage === Stage.Idle ? Wake.Digit : Wake.Local + Wake.Nonlocal;
}

/** A group begins with a digit. */
function begin_group(state: PatternState, joiner: Joiner, value: number): void {
  const group = band(state.groups, 31);
  state.group_starts[group] = state.position;
  state.group_lengths[group] = 1;
  state.group_joiners[group] = joiner;
  state.groups += 1;
  state.digits[band(state.run_digits, 31)] = value;
  state.run_digits += 1;
  state.number_end = state.next;
  enter(state, Stage.Digits);
}

/** A run begins with a digit. */
function begin_run(state: PatternState, left: Left, value: number): void {
  state.left = left;
  state.run_digits = 0;
  state.groups = 0;
  begin_group(state, Joiner.None, value);
}

/** The group goes on. */
function add_digit(state: PatternState, value: number): void {
  const group = band(state.groups - 1, 31);
  const length = state.group_lengths[group]!;
  if (length < LONGEST_GROUP) {
    state.group_lengths[group] = length + 1;
  }
  state.digits[band(state.run_digits, 31)] = value;
  state.run_digits += 1;
  state.number_end = state.next;
}

/** Whether the last three groups are those of a social security number. */
function is_ssn(state: PatternState, from: number): boolean {
  const last = band(state.groups - 1, 31);
  const middle = band(state.groups - 2, 31);
  return (
    state.group_lengths[last] === 4 &&
    state.group_lengths[middle] === 2 &&
    state.group_joiners[last] !== Joiner.Two &&
    state.group_joiners[last] === state.group_joiners[middle] &&
    begins_ssn(state, from, SSN_DIGITS)
  );
}

/** Whether an identity number's 17 digits begin there whose last place has that value. */
function is_id(state: PatternState, from: number, check: number): boolean {
  return begins_id(state, from, ID_DIGITS) && id_check(state, from) === check;
}

/**
 * Notes what each range of groups holds that ends with the last digit, or with the X behind it (`tail`).
 *
 * Groups that can belong to a card number have three digits or more, so that of its seven lengths three hold at once; with
 * mobile numbers of three lengths and one each of the others that makes eight.
 */
function evaluate(state: PatternState, wanted: number, tail: boolean): void {
  const end = state.number_end;
  const last = state.groups - 1;
  let count = 0;
  // Of the groups behind the first: the length of the shortest one, and whether two characters join any.
  let shortest = LONGEST_GROUP;
  let twice = 0;
  for (const group of $range(last, 0, -1)) {
    const length = state.group_lengths[band(group, 31)]!;
    count += length;
    if (count > MOST_CARD_DIGITS) {
      return;
    }
    const from = state.run_digits - count;
    const start = state.group_starts[band(group, 31)]!;
    const left = group === 0 ? state.left : Left.Free;
    if (tail) {
      if (count === ID_DIGITS && left === Left.Free && is_id(state, from, CHECK_X)) {
        add_hit(state, Pattern.CnIdCard, start, end);
      }
    } else {
      if (count >= MOBILE_DIGITS && count <= MOBILE_DIGITS + 4 && band(wanted, Pattern.CnMobile) !== 0) {
        const code = country_code(state, from, count);
        if (
          code === count - MOBILE_DIGITS &&
          ((length >= code + 3 && shortest >= 2) || (code === 0 && count === last - group + 1)) &&
          (left === Left.Free || (left === Left.Sign && code === 2))
        ) {
          add_hit(state, Pattern.CnMobile, start, end);
        }
      }
      if (left === Left.Free) {
        if (
          count === ID_DIGITS + 1 &&
          band(wanted, Pattern.CnIdCard) !== 0 &&
          is_id(state, from, digit(state, from + ID_DIGITS))
        ) {
          add_hit(state, Pattern.CnIdCard, start, end);
        }
        if (
          count >= LEAST_CARD_DIGITS &&
          band(wanted, Pattern.PaymentCard) !== 0 &&
          shortest >= 3 &&
          twice === 0 &&
          length >= 4 &&
          begins_card(state, from, count) &&
          passes_luhn(state, from, count)
        ) {
          add_hit(state, Pattern.PaymentCard, start, end);
        }
        if (
          count === SSN_DIGITS &&
          length === 3 &&
          group === last - 2 &&
          band(wanted, Pattern.UsSsn) !== 0 &&
          is_ssn(state, from)
        ) {
          add_hit(state, Pattern.UsSsn, start, end);
        }
      }
    }
    if (length < shortest) {
      shortest = length;
    }
    if (state.group_joiners[band(group, 31)] === Joiner.Two) {
      twice = 1;
    }
  }
}

/** The last group is at its end, and nothing that forbids a number stands behind it. */
function end_group(state: PatternState, wanted: number, tail: boolean): void {
  if (state.run_digits >= SSN_DIGITS) {
    evaluate(state, wanted, tail);
  }
}

/** A character behind a group of digits, no digit. */
function after_digits(state: PatternState, wanted: number, character_class: number): void {
  if (character_class === CharacterClass.Hyphen || character_class === CharacterClass.Space) {
    state.joiner = character_class === CharacterClass.Hyphen ? Joiner.Hyphen : Joiner.Space;
    end_group(state, wanted, false);
    enter(state, Stage.Joined);
  } else if (character_class === CharacterClass.Dot) {
    end_group(state, wanted, false);
    enter(state, Stage.Point);
  } else if (character_class === CharacterClass.X && state.run_digits >= ID_DIGITS && band(wanted, Pattern.CnIdCard) !== 0) {
    state.number_end = state.next;
    enter(state, Stage.Tail);
  } else {
    if (band(lshift(1, character_class), BESIDE) === 0) {
      end_group(state, wanted, false);
    }
    enter(state, Stage.Idle);
  }
}

/** What a run has before it if it begins behind a character of that class. */
function left_of(before: number): Left {
  if (before === CharacterClass.Sign) {
    return Left.Sign;
  }
  return band(lshift(1, before), BESIDE) === 0 ? Left.Free : Left.Word;
}

/** A character, the place of which is in the state; `before`: the class of the one before it. Matches are noted in the state. */
function number_step(state: PatternState, wanted: number, character_class: number, before: number): void {
  const stage = state.stage;
  if (character_class >= CharacterClass.Zero) {
    const value = character_class - CharacterClass.Zero;
    if (stage === Stage.Digits) {
      add_digit(state, value);
    } else if (stage === Stage.Idle) {
      begin_run(state, left_of(before), value);
    } else if (stage === Stage.Joined || stage === Stage.JoinedTwice) {
      begin_group(state, state.joiner, value);
    } else {
      begin_run(state, Left.Word, value);
    }
  } else if (stage === Stage.Digits) {
    after_digits(state, wanted, character_class);
  } else if (
    stage === Stage.Joined &&
    (character_class === CharacterClass.Hyphen || character_class === CharacterClass.Space)
  ) {
    state.joiner = Joiner.Two;
    enter(state, Stage.JoinedTwice);
  } else if (stage !== Stage.Idle) {
    if (stage === Stage.Tail && band(lshift(1, character_class), BESIDE) === 0) {
      end_group(state, wanted, true);
    }
    enter(state, Stage.Idle);
  }
}

/** The text has ended. Matches are noted in the state. */
function number_end(state: PatternState, wanted: number): void {
  if (state.stage === Stage.Digits || state.stage === Stage.Tail) {
    end_group(state, wanted, state.stage === Stage.Tail);
  }
  enter(state, Stage.Idle);
}

export { enter, number_end, number_step };
