/**
 * The patterns that consist of digits. Characters that can belong to one number are a run: groups of digits, joined by one or
 * two dashes or spaces. When a group ends, each range of whole groups that ends there is looked at. A run forgets nothing
 * but what lies more than 19 digits back, and no number is longer than that.
 *
 * Where groups begin is a set of bits, so that whether groups of the right lengths end here is a comparison or two; whether their digits
 * sum up to what they must is one more (`pattern_sums`). What a character does to a run is one word of a table (`MOVES`), and is done
 * without branches. So a character costs the same whatever it is and wherever it stands, and a group's end the same however
 * many groups a run has: the loop over the text is one trace, and the only other one is over the eleven lengths that numbers have.
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
import * as ffi from "ffi";
import { CharacterClass, Wake } from "./pattern_class";
import { CHECK_X, ID_DIGITS, LEAST_CARD_DIGITS, MOBILE_DIGITS, MOST_CARD_DIGITS, SSN_DIGITS, begins_card, begins_id, begins_ssn, country_code, passes_luhn } from "./pattern_checks";
import { CLASS_MASK, QUOTED } from "./pattern_queue";
import { DIGITS_RING, Joiner, Pattern, Stage, add_hit } from "./pattern_state";
import { DOUBLED, digit, id_check } from "./pattern_sums";
import type { PatternQueue } from "./pattern_queue";
import type { PatternState } from "./pattern_state";

const band = bits.band;
const bnot = bits.bnot;
const bor = bits.bor;
const bxor = bits.bxor;
const lshift = bits.lshift;
const rshift = bits.rshift;

/** The bits of `starts` of a social security number: groups of 3, 2 and 4 digits; those of the latter two. */
const SSN_STARTS = 0x128;
const SSN_BITS = 0x1ff;
/** A mobile number each of whose digits is a group. */
const SPELLED_STARTS = 0x7ff;
/** Bits of numbers of 11, 13 and 15 digits, and of 13 to 19. */
const MOBILE_LENGTHS = 0x5400;
const CARD_LENGTHS = 0x7f000;
/** The least numbers of digits that have their bit there: if no group begins so far back, there is nothing to look at. */
const ANY_STARTS = 0x7ff00;

/** Whether groups begin, behind the first digit of the last `count`, so that each of them has three digits or more, and the first four. */
function are_card_groups(starts: number, count: number): boolean {
  const inner = band(starts, lshift(1, count - 1) - 1);
  return inner === 0 || bor(band(inner, 3), band(inner, bor(lshift(inner, 1), lshift(inner, 2))), band(inner, lshift(7, count - 4))) === 0;
}

/**
 * Whether the groups of the last `count` digits are those of a mobile number, whose country code has `code` digits: three or more of it
 * in the first group, two or more in each other, or a digit in each.
 */
function are_mobile_groups(starts: number, count: number, code: number): boolean {
  if (code === 0 && band(starts, SPELLED_STARTS) === SPELLED_STARTS) {
    return true;
  }
  const inner = band(starts, lshift(1, count - 1) - 1);
  return bor(band(inner, 1), band(inner, lshift(inner, 1)), band(inner, lshift(lshift(1, code + 2) - 1, 8))) === 0;
}

function find_mobile(state: PatternState, count: number): void {
  const { starts, total } = state;
  const from = total - count;
  const code = count - MOBILE_DIGITS;
  // Behind a sign, which is where the run begins, only a number with 86 before it.
  const may_begin = band(rshift(starts, count - 1), 1) === 1 || (state.signed_left === 1 && from === 0 && code === 2);
  if (may_begin && country_code(state, from, count) === code && are_mobile_groups(starts, count, code)) {
    add_hit(state, Pattern.CnMobile, state.places[band(from, DIGITS_RING - 1)]!, state.number_end);
  }
}

/** An identity number of so many digits, behind which an X may stand; `check`: the value of its last place. */
function find_id(state: PatternState, count: number, check: number): void {
  const from = state.total - count;
  if (band(rshift(state.starts, count - 1), 1) === 1 && begins_id(state, from, ID_DIGITS) && id_check(state, from) === check) {
    add_hit(state, Pattern.CnIdCard, state.places[band(from, DIGITS_RING - 1)]!, state.number_end);
  }
}

function find_card(state: PatternState, count: number): void {
  const { starts } = state;
  const from = state.total - count;
  if (
    band(rshift(starts, count - 1), 1) === 1 &&
    state.last_double <= from &&
    are_card_groups(starts, count) &&
    begins_card(state, from, count) &&
    passes_luhn(state, from, count)
  ) {
    add_hit(state, Pattern.PaymentCard, state.places[band(from, DIGITS_RING - 1)]!, state.number_end);
  }
}

function find_ssn(state: PatternState): void {
  const from = state.total - SSN_DIGITS;
  const joiner = band(state.joiners, 3);
  if (joiner !== Joiner.Two && joiner === band(rshift(state.joiners, 2), 3) && begins_ssn(state, from, SSN_DIGITS)) {
    add_hit(state, Pattern.UsSsn, state.places[band(from, DIGITS_RING - 1)]!, state.number_end);
  }
}

/** The lengths, as bits of `starts`, that numbers of the patterns may have whose last group ends here. */
function lengths_of(wanted: number, starts: number): number {
  let lengths = 0;
  if (band(wanted, Pattern.CnMobile) !== 0) {
    lengths = MOBILE_LENGTHS;
  }
  if (band(wanted, Pattern.CnIdCard) !== 0) {
    lengths = bor(lengths, lshift(1, ID_DIGITS));
  }
  // The last group of a card number has three digits or more.
  if (band(wanted, Pattern.PaymentCard) !== 0 && band(starts, 3) === 0) {
    lengths = bor(lengths, CARD_LENGTHS);
  }
  if (band(wanted, Pattern.UsSsn) !== 0 && band(starts, SSN_BITS) === SSN_STARTS) {
    lengths = bor(lengths, lshift(1, SSN_DIGITS - 1));
  }
  return lengths;
}

/** Notes what the last `count` digits are, which begin with a group and may be a number of that length. */
function judge_window(state: PatternState, wanted: number, count: number): void {
  if (band(lshift(1, count - 1), MOBILE_LENGTHS) !== 0 && band(wanted, Pattern.CnMobile) !== 0) {
    find_mobile(state, count);
  }
  if (count === ID_DIGITS + 1 && band(wanted, Pattern.CnIdCard) !== 0) {
    find_id(state, count, digit(state, state.total - 1));
  }
  if (count >= LEAST_CARD_DIGITS && band(state.starts, 3) === 0 && band(wanted, Pattern.PaymentCard) !== 0) {
    find_card(state, count);
  }
  if (count === SSN_DIGITS) {
    find_ssn(state);
  }
}

/**
 * A group is at its end, and nothing that forbids a number stands behind it: notes what each range of groups holds that ends
 * here. A loop, so that LuaJIT compiles the ways through one window, and not those through all of them together, which are thousands.
 *
 * Groups that can belong to a card number have three digits or more, so that of its seven lengths three hold at once; with
 * mobile numbers of three lengths and one each of the others that makes eight.
 */
function end_group(state: PatternState, wanted: number): void {
  const { signed_left, starts, total } = state;
  // Behind a sign a number may begin too, if it has its country code.
  const begins = total <= MOST_CARD_DIGITS ? bor(starts, lshift(signed_left, total - 1)) : starts;
  const windows = band(begins, lengths_of(wanted, starts));
  if (windows === 0) {
    return;
  }
  for (const count of $range(SSN_DIGITS, MOST_CARD_DIGITS)) {
    if (band(rshift(windows, count - 1), 1) === 1) {
      judge_window(state, wanted, count);
    }
  }
}

/** What a character does, in `MOVES`; the low three bits are the next `Stage`. */
const enum Move {
  StageMask = 7,
  /** It is a digit. */
  Digit = 8,
  /** The run goes on; else nothing is left of it. */
  Keeps = 16,
  /** A group ends, and this character does not forbid a number before it. */
  Ends = 32,
  /** It takes more than that. */
  Odd = 64,
  /** A number may begin behind it, or only one with its country code. */
  Free = 128,
  Signed = 256,
  /** A joiner: 0 or 2, by which `joiners` is shifted, and the bits that it adds. */
  JoinsShift = 9,
  JoinerShift = 11,
  /** It is the second of two joiners. */
  Doubles = 8192,
}

/** From the highest bit to that of `Ends`. */
const ENDS_TO_LOWEST = 26;
const DIGIT_SHIFT = 3;
const KEEPS_SHIFT = 4;
const FREE_SHIFT = 7;
const SIGNED_SHIFT = 8;
const DOUBLES_SHIFT = 13;

/** How many classes have room beside each other. */
const STAGE_SHIFT = 5;

/** The move of a character that ends a run, or stands in none. */
function leaving(character_class: number): number {
  if (character_class === CharacterClass.Sign) {
    return Stage.Idle + Move.Signed;
  }
  const beside = character_class === CharacterClass.Letter || character_class === CharacterClass.X || character_class === CharacterClass.Word;
  return beside ? Stage.Idle : Stage.Idle + Move.Free;
}

function is_joiner(character_class: number): boolean {
  return character_class === CharacterClass.Hyphen || character_class === CharacterClass.Space;
}

/** The move of a character directly behind a digit. */
function behind_digit(character_class: number): number {
  if (is_joiner(character_class)) {
    const joiner = character_class === CharacterClass.Hyphen ? Joiner.Hyphen : Joiner.Space;
    return Stage.Joined + Move.Keeps + Move.Ends + Move.Free + lshift(2, Move.JoinsShift) + lshift(joiner, Move.JoinerShift);
  }
  if (character_class === CharacterClass.Dot) {
    // What follows may be a fraction.
    return Stage.Point + Move.Ends;
  }
  const move = leaving(character_class);
  if (character_class === CharacterClass.X) {
    return move + Move.Odd;
  }
  return band(move, Move.Free) !== 0 ? move + Move.Ends : move;
}

function move_of(stage: number, character_class: number): number {
  if (character_class >= CharacterClass.Zero) {
    return Stage.Digits + Move.Digit + Move.Keeps + (stage === Stage.Tail ? Move.Odd : 0);
  }
  if (stage === Stage.Digits) {
    return behind_digit(character_class);
  }
  if (stage === Stage.Joined && is_joiner(character_class)) {
    return Stage.JoinedTwice + Move.Keeps + Move.Free + Move.Doubles + lshift(Joiner.Two, Move.JoinerShift);
  }
  return leaving(character_class) + (stage === Stage.Tail ? Move.Odd : 0);
}

/** By stage and class. */
const MOVES = ffi.new<Int32Buffer>("int16_t[192]");
for (const stage of $range(Stage.Idle, Stage.Tail)) {
  for (const character_class of $range(0, 31)) {
    MOVES[bor(lshift(stage, STAGE_SHIFT), character_class)] = move_of(stage, character_class);
  }
}

/** The run has ended. */
function forget_run(state: PatternState): void {
  state.stage = Stage.Idle;
  state.total = 0;
  state.starts = 0;
  state.next_start = 0;
  state.joiners = 0;
  state.last_double = -1;
  state.signed_left = 0;
  state.plain_sum = 0;
  state.doubled_sum = 0;
  // Up to the run's first digit.
  state.plain_sums[DIGITS_RING - 1] = 0;
  state.doubled_sums[DIGITS_RING - 1] = 0;
}

/**
 * A character, the `at`th of the queue, behind a group at whose end there may be numbers, or behind or before an X. Returns the move that it
 * makes after that.
 */
function step_oddly(state: PatternState, wanted: number, queue: PatternQueue, at: number, move: number): number {
  if (state.stage === Stage.Tail) {
    if (band(move, Move.Free) !== 0) {
      find_id(state, ID_DIGITS, CHECK_X);
    }
    forget_run(state);
  } else if (band(move, Move.Ends) !== 0) {
    end_group(state, wanted);
  } else if (state.total >= ID_DIGITS && band(wanted, Pattern.CnIdCard) !== 0) {
    // An X behind digits.
    state.number_end = queue.ends[at]!;
    return Stage.Tail + Move.Keeps;
  }
  return move;
}

/**
 * Reads the characters of the queue from the one numbered `from` on, up to the first one behind which something is found: it is in the
 * state then, until the next call. Returns the number of the character to go on with.
 */
function read_numbers(state: PatternState, wanted: number, queue: PatternQueue, from: number): number {
  const { length } = queue;
  // Without a digit in sight, all that matters is what stands before the next one.
  const first = state.stage === Stage.Idle && band(queue.seen, CharacterClass.Zero) === 0 ? length - 1 : from;
  for (const at of $range(first, length - 1)) {
    const character_class = band(queue.classes[at]!, CLASS_MASK);
    let move = MOVES[bor(lshift(state.stage, STAGE_SHIFT), character_class)]!;
    const candidates = bor(band(state.starts, ANY_STARTS), state.signed_left);
    // Of 0 less it, the highest bit is set where there are any.
    if (bor(band(move, Move.Odd), band(rshift(0 - candidates, ENDS_TO_LOWEST), move, Move.Ends)) !== 0) {
      move = step_oddly(state, wanted, queue, at, move);
    }
    const is_digit = band(rshift(move, DIGIT_SHIFT), 1);
    // All ones for a digit; if the run goes on; for the second of two joiners.
    const of_digit = 0 - is_digit;
    const of_run = 0 - band(rshift(move, KEEPS_SHIFT), 1);
    const of_double = 0 - band(rshift(move, DOUBLES_SHIFT), 1);
    const { doubled_sum, last_double, number_end, plain_sum, total } = state;
    const value = band(character_class, 15);
    const plain = band(bxor(plain_sum, band(bxor(plain_sum, doubled_sum + value), of_digit)), of_run);
    const doubled = band(bxor(doubled_sum, band(bxor(doubled_sum, plain_sum + DOUBLED[value]!), of_digit)), of_run);
    const digits = band(total + is_digit, of_run);
    state.stage = band(move, Move.StageMask);
    state.total = digits;
    state.starts = band(bor(lshift(state.starts, is_digit), band(state.next_start, is_digit)), of_run);
    state.next_start = band(rshift(move, FREE_SHIFT), 1);
    state.joiners = band(bor(lshift(state.joiners, band(rshift(move, Move.JoinsShift), 3)), band(rshift(move, Move.JoinerShift), 3)), of_run);
    state.last_double = bor(bxor(last_double, band(bxor(last_double, total), of_double)), bnot(of_run));
    state.signed_left = bor(band(rshift(move, SIGNED_SHIFT), 1), band(state.signed_left, of_run));
    state.number_end = bxor(number_end, band(bxor(number_end, queue.ends[at]!), of_digit));
    state.plain_sum = plain;
    state.doubled_sum = doubled;
    // Of the next digit, if this is none.
    const place = band(total, DIGITS_RING - 1);
    const last = band(digits - 1, DIGITS_RING - 1);
    state.places[place] = queue.starts[at]!;
    state.digits[place] = value;
    state.plain_sums[last] = plain;
    state.doubled_sums[last] = doubled;
    if (state.hits !== 0) {
      state.quoted = band(queue.classes[at]!, QUOTED);
      return at + 1;
    }
  }
  return length;
}

/** No digits have come, and nothing stands before the next character. */
function reset_numbers(state: PatternState): void {
  forget_run(state);
  state.next_start = 1;
}

/** The text has ended. Matches are noted in the state. */
function end_numbers(state: PatternState, wanted: number): void {
  if (state.stage === Stage.Digits) {
    end_group(state, wanted);
  } else if (state.stage === Stage.Tail) {
    find_id(state, ID_DIGITS, CHECK_X);
  }
  reset_numbers(state);
}

/** What the machine wants to be woken for. */
function wake_for_numbers(state: PatternState): number {
  return state.stage === Stage.Idle ? Wake.Digit : Wake.Local + Wake.Nonlocal;
}

export { end_numbers, read_numbers, reset_numbers, wake_for_numbers };
