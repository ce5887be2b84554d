/**
 * The patterns of personal data that a guard can look for: mobile and identity numbers of China, payment card numbers, social
 * security numbers of the United States, e-mail addresses.
 *
 * Two machines, one for numbers and one for addresses, are fed the classes of characters, one after the other, and may be put
 * aside behind any of them: all they know is in a `PatternState`. Few characters matter to them, so a state has a
 * mask, `wake`, of the characters it has to be handed next (`Wake`); of the others it is told how many there were.
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
import { email_end, email_live, email_step } from "./pattern_email";
import { number_live } from "./pattern_number_live";
import { enter, number_end, number_step } from "./pattern_numbers";
import { NUMBERS, PATTERN_NAMES, Pattern, Stage } from "./pattern_state";
import type { PatternState } from "./pattern_state";

const band = bits.band;
const bor = bits.bor;

/** A state of its own; elsewhere it lies in another structure. It has to be reset before it is used. */
function new_pattern_state(): PatternState {
  const state = ffi.new<PatternState>("sluice_pattern");
  return state;
}

/** Goes to the beginning of a text in which the patterns of `wanted` (bits of `Pattern`) are looked for. */
function pattern_reset(state: PatternState, wanted: number): void {
  enter(state, Stage.Idle);
  if (band(wanted, NUMBERS) === 0) {
    state.number_wake = 0;
  }
  state.email_wake = band(wanted, Pattern.Email) !== 0 ? Wake.Local : 0;
  state.wake = bor(state.number_wake, state.email_wake);
  state.hits = 0;
  state.running = 0;
  state.domain = 0;
  // Not directly before the first character.
  state.dot = -2;
}

/**
 * Takes a character. `before`: the class of the character before it (0: there is none), of which it matters whether it is
 * a dot, or may not stand directly before a number. `position` and `next`: where the character begins and where the one behind it
 * does, in any unit that grows. `count`: how many characters of the text came before it.
 *
 * Returns how many matches are known now; they lie in `hit_pattern`, `hit_start`, `hit_end` until the next call.
 */
function pattern_step(
  state: PatternState,
  wanted: number,
  character_class: number,
  before: number,
  position: number,
  next: number,
  count: number,
): number {
  state.hits = 0;
  if (band(wanted, NUMBERS) !== 0) {
    state.position = position;
    state.next = next;
    number_step(state, wanted, character_class, before);
  }
  if (band(wanted, Pattern.Email) !== 0) {
    email_step(state, character_class, before, position, next, count);
  }
  state.wake = bor(state.number_wake, state.email_wake);
  return state.hits;
}

/** The text has ended. Returns as `pattern_step` does. Before another text the state is to be reset. */
function pattern_end(state: PatternState, wanted: number): number {
  state.hits = 0;
  if (band(wanted, NUMBERS) !== 0) {
    number_end(state, wanted);
  }
  if (band(wanted, Pattern.Email) !== 0) {
    email_end(state);
  }
  return state.hits;
}

/**
 * The position of the first character that may yet belong to a match of one of the patterns of `wanted` (some of those that
 * are looked for); -1: there is none. `count`: how many characters of the text there were.
 */
function pattern_live(state: PatternState, wanted: number, count: number): number {
  const number = band(wanted, NUMBERS) !== 0 ? number_live(state, wanted) : -1;
  const email = band(wanted, Pattern.Email) !== 0 ? email_live(state, count) : -1;
  if (number < 0 || (email >= 0 && email < number)) {
    return email;
  }
  return number;
}

export { PATTERN_NAMES, Pattern, new_pattern_state, pattern_end, pattern_live, pattern_reset, pattern_step };
export type { PatternState };
