/**
 * The patterns of personal data that a guard can look for: mobile and identity numbers of China, payment card numbers, social
 * security numbers of the United States, e-mail addresses.
 *
 * Two machines, one for numbers and one for addresses, are fed the classes of characters, many at a time (`pattern_queue`), and may be
 * put aside behind any of them: all they know is in a `PatternState`. Where no number is under way, those that look for numbers
 * need only be fed from the character before the next digit on: `wake` says so.
 *
 * A match is known when the character behind it comes, or the end of the text. Until then `pattern_live` says from where on
 * text must be held back: at most 64 characters of an address's local part and its domain of up to 255, or 19 digits with
 * two characters between each.
 *
 * All matches are reported, also those that overlap. A text that is disguised by other means than folding undoes (digits
 * in words, dots between groups) isn't found.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { Wake } from "./pattern_class";
import { address_live, end_addresses, read_addresses, reset_addresses } from "./pattern_email";
import { number_live } from "./pattern_number_live";
import { end_numbers, read_numbers, reset_numbers, wake_for_numbers } from "./pattern_numbers";
import { NUMBERS, PATTERN_NAMES, Pattern } from "./pattern_state";
import { clear_queue } from "./pattern_queue";
import type { PatternQueue } from "./pattern_queue";
import type { PatternState } from "./pattern_state";

const band = bits.band;

/** A state of its own; elsewhere it lies in another structure. It has to be reset before it is used. */
function new_pattern_state(): PatternState {
  const state = ffi.new<PatternState>("sluice_pattern");
  return state;
}

/** Says anew which characters have to be handed over. */
function set_wake(state: PatternState, wanted: number): void {
  if (band(wanted, Pattern.Email) !== 0) {
    state.wake = Wake.Local + Wake.Nonlocal;
  } else {
    state.wake = band(wanted, NUMBERS) !== 0 ? wake_for_numbers(state) : 0;
  }
}

/** Goes to the beginning of a text in which the patterns of `wanted` (bits of `Pattern`) are looked for. */
function pattern_reset(state: PatternState, wanted: number): void {
  state.hits = 0;
  reset_numbers(state);
  reset_addresses(state);
  set_wake(state, wanted);
}

/** Whether only a digit has to be handed over next, and the character before it. */
function is_asleep(state: PatternState): boolean {
  return state.wake === Wake.Digit;
}

/**
 * Has the machine of the numbers read the queue from the character numbered `from` on. It stops behind a character with which it knows of
 * matches: they are in `hits`, `hit_pattern`, `hit_start`, `hit_end` until the next call. Returns with which one to go on.
 */
function numbers_in(state: PatternState, wanted: number, queue: PatternQueue, from: number): number {
  state.hits = 0;
  return band(wanted, NUMBERS) !== 0 ? read_numbers(state, wanted, queue, from) : queue.length;
}

/** The same for addresses. */
function addresses_in(state: PatternState, wanted: number, queue: PatternQueue, from: number): number {
  state.hits = 0;
  return band(wanted, Pattern.Email) !== 0 ? read_addresses(state, queue, from) : queue.length;
}

/** Both have read the queue: it is empty. */
function queue_is_read(state: PatternState, wanted: number, queue: PatternQueue): void {
  clear_queue(queue);
  state.hits = 0;
  set_wake(state, wanted);
}

/** The text has ended, and the queue has been read. Matches are noted as above. Before another text the state is to be reset. */
function pattern_end(state: PatternState, wanted: number): number {
  state.hits = 0;
  if (band(wanted, NUMBERS) !== 0) {
    end_numbers(state, wanted);
  }
  if (band(wanted, Pattern.Email) !== 0) {
    end_addresses(state);
  }
  return state.hits;
}

/**
 * The position of the first character that may yet belong to a match of one of the patterns of `wanted` (some of those that
 * are looked for); -1: there is none. `count`: how many characters of the text there were.
 */
function pattern_live(state: PatternState, wanted: number, count: number): number {
  const number = band(wanted, NUMBERS) !== 0 ? number_live(state, wanted) : -1;
  const email = band(wanted, Pattern.Email) !== 0 ? address_live(state, count) : -1;
  if (number < 0 || (email >= 0 && email < number)) {
    return email;
  }
  return number;
}

export { PATTERN_NAMES, Pattern, addresses_in, is_asleep, new_pattern_state, numbers_in, pattern_end, pattern_live, pattern_reset, queue_is_read };
export type { PatternState };
