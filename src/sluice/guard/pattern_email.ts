/**
 * E-mail addresses. The local part is only known for one when the `@` comes, so that of every run of characters that may be
 * one the beginning is remembered; of the domain it is remembered how far it would be whole.
 *
 * A local part has 1 to 64 letters, digits and `. - _ % +`. It ends with no dot; dots at its beginning, and all up to two dots
 * in a row, are left out of the match. A domain has up to 255 characters: labels of letters, digits and hyphens, none of these
 * at either end, joined by dots; two labels or more, the last of two letters or more. The longest such beginning of
 * what stands behind the `@` is taken, as long as no letter or digit follows.
 */

import * as bits from "bit";
import { CharacterClass, Wake } from "./pattern_class";
import { Pattern, add_hit } from "./pattern_state";
import type { PatternState } from "./pattern_state";

const band = bits.band;
const lshift = bits.lshift;

/** The classes of characters of a local part: letters, X, dot, hyphen, signs, digits. */
const LOCAL = 0x3ff00b6;
/** RFC 5321, section 4.5.3.1. */
const MOST_LOCAL_CHARACTERS = 64;
const MOST_DOMAIN_CHARACTERS = 255;

/** Whether the label being read could be a domain's last. */
function may_be_last(state: PatternState): boolean {
  return state.letters === 1 && state.label_length >= 2 && state.dots >= 1;
}

/** The domain has ended. */
function close_domain(state: PatternState): void {
  state.domain = 0;
  if (state.address_end >= 0) {
    add_hit(state, Pattern.Email, state.domain_start, state.address_end);
  }
}

/** A character behind the `@`. */
function domain_step(state: PatternState, character_class: number, next: number, count: number): void {
  const fits = count - state.domain_count <= MOST_DOMAIN_CHARACTERS;
  const is_digit = character_class >= CharacterClass.Zero;
  if (is_digit || character_class === CharacterClass.Letter || character_class === CharacterClass.X) {
    if (!fits) {
      close_domain(state);
      return;
    }
    if (is_digit) {
      state.letters = 0;
    }
    state.label_length += 1;
    state.hyphen = 0;
    state.domain_end = next;
    return;
  }
  if (may_be_last(state)) {
    state.address_end = state.domain_end;
  }
  if (fits && state.label_length > 0 && character_class === CharacterClass.Hyphen) {
    state.letters = 0;
    state.label_length += 1;
    state.hyphen = 1;
  } else if (fits && state.label_length > 0 && character_class === CharacterClass.Dot && state.hyphen === 0) {
    state.dots += 1;
    state.letters = 1;
    state.label_length = 0;
  } else {
    close_domain(state);
  }
}

/** Begins to read a domain; `count` characters came before the `@`. */
function open_domain(state: PatternState, count: number): void {
  state.domain = 1;
  state.domain_start = state.local_start;
  state.domain_count = count;
  state.dots = 0;
  state.letters = 1;
  state.label_length = 0;
  state.hyphen = 0;
  state.address_end = -1;
}

/** A character that `count` others came before, the last of class `before`. Matches are noted in the state. */
function email_step(
  state: PatternState,
  character_class: number,
  before: number,
  position: number,
  next: number,
  count: number,
): void {
  if (state.domain !== 0) {
    domain_step(state, character_class, next, count);
  }
  if (band(lshift(1, character_class), LOCAL) === 0) {
    if (
      character_class === CharacterClass.At &&
      state.running !== 0 &&
      count - state.local_count <= MOST_LOCAL_CHARACTERS &&
      before !== CharacterClass.Dot
    ) {
      open_domain(state, count);
    }
    state.running = 0;
  } else if (character_class === CharacterClass.Dot) {
    if (before === CharacterClass.Dot) {
      state.running = 0;
    }
    state.dot = count;
  } else if (state.running === 0) {
    state.running = 1;
    state.local_start = position;
    state.local_count = count;
  }
  if (state.domain !== 0) {
    state.email_wake = Wake.Local + Wake.Nonlocal;
  } else if (state.running !== 0) {
    state.email_wake = Wake.Nonlocal + Wake.Dot;
  } else {
    state.email_wake = Wake.Local;
  }
}

/** The text has ended. A match is noted in the state. */
function email_end(state: PatternState): void {
  if (state.domain !== 0) {
    if (may_be_last(state)) {
      state.address_end = state.domain_end;
    }
    close_domain(state);
  }
  state.running = 0;
  state.email_wake = Wake.Local;
}

/** How many more characters the domain needs at least. */
function missing_in_domain(state: PatternState): number {
  if (state.dots >= 1 && state.letters === 1) {
    return state.label_length >= 2 ? 0 : 2 - state.label_length;
  }
  // A letter if none may be followed by a dot yet, a dot, two letters.
  return state.label_length === 0 || state.hyphen === 1 ? 4 : 3;
}

/** Where the first address begins that the end of the text may yet belong to, -1: there is none. `count`: characters so far. */
function email_live(state: PatternState, count: number): number {
  if (state.domain !== 0) {
    const length = count - state.domain_count - 1;
    if (state.address_end >= 0 || length + missing_in_domain(state) <= MOST_DOMAIN_CHARACTERS) {
      return state.domain_start;
    }
  }
  if (state.running !== 0) {
    const length = count - state.local_count;
    if (length < MOST_LOCAL_CHARACTERS || (length === MOST_LOCAL_CHARACTERS && state.dot !== count - 1)) {
      return state.local_start;
    }
  }
  return -1;
}

export { email_end, email_live, email_step };
