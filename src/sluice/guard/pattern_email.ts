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
import * as ffi from "ffi";
import { CharacterClass } from "./pattern_class";
import { CLASS_MASK, QUOTED } from "./pattern_queue";
import { Domain, Local, Pattern, add_hit } from "./pattern_state";
import type { PatternQueue } from "./pattern_queue";
import type { PatternState } from "./pattern_state";

const band = bits.band;
const bxor = bits.bxor;
const rshift = bits.rshift;

/** RFC 5321, section 4.5.3.1. */
const MOST_LOCAL_CHARACTERS = 64;
const MOST_DOMAIN_CHARACTERS = 255;

/** What the machine tells apart. */
const enum Kind {
  Other = 0,
  Letter = 1,
  Digit = 2,
  Hyphen = 3,
  Sign = 4,
  Dot = 5,
  At = 6,
}

/** In `NEXT_LOCAL`: the local part begins with the character. */
const BEGINS = 4;
const BEGINS_SHIFT = 2;

/** By class. */
const KINDS = ffi.new<Bytes>("uint8_t[32]");
KINDS[CharacterClass.Letter] = Kind.Letter;
KINDS[CharacterClass.X] = Kind.Letter;
KINDS[CharacterClass.Hyphen] = Kind.Hyphen;
KINDS[CharacterClass.Sign] = Kind.Sign;
KINDS[CharacterClass.Dot] = Kind.Dot;
KINDS[CharacterClass.At] = Kind.At;
for (const value of $range(0, 9)) {
  KINDS[CharacterClass.Zero + value] = Kind.Digit;
}

/** By kind and `Local`: the next one. */
// prettier-ignore
const NEXT_LOCAL = ffi.new<Bytes>("uint8_t[32]",
  // None                        NoneBehindDot                 Running         RunningBehindDot
  Local.None,                    Local.None,                   Local.None,     Local.None,
  Local.Running + BEGINS,        Local.Running + BEGINS,       Local.Running,  Local.Running,
  Local.Running + BEGINS,        Local.Running + BEGINS,       Local.Running,  Local.Running,
  Local.Running + BEGINS,        Local.Running + BEGINS,       Local.Running,  Local.Running,
  Local.Running + BEGINS,        Local.Running + BEGINS,       Local.Running,  Local.Running,
  Local.NoneBehindDot,           Local.NoneBehindDot,          Local.RunningBehindDot, Local.NoneBehindDot,
  Local.None,                    Local.None,                   Local.None,     Local.None,
);

/** Whether the label being read could be a domain's last. */
function may_be_last(state: PatternState): boolean {
  return state.domain === Domain.Letters && state.dots >= 1;
}

/** The domain has ended. */
function close_domain(state: PatternState): void {
  state.domain = Domain.None;
  if (state.address_end >= 0) {
    add_hit(state, Pattern.Email, state.domain_start, state.address_end);
  }
}

/** The label that has one more letter or digit. */
function longer_label(label: Domain, kind: Kind): Domain {
  if (kind === Kind.Digit || label >= Domain.Mixed) {
    return Domain.Mixed;
  }
  return label === Domain.Empty ? Domain.Letter : Domain.Letters;
}

/** A character behind the `@`. `end`: where it ends. `count`: how many characters came before it. */
function domain_step(state: PatternState, kind: Kind, end: number, count: number): void {
  const fits = count - state.domain_count <= MOST_DOMAIN_CHARACTERS;
  const label = state.domain;
  if (kind === Kind.Letter || kind === Kind.Digit) {
    if (fits) {
      state.domain = longer_label(label, kind);
      state.domain_end = end;
    } else {
      close_domain(state);
    }
    return;
  }
  if (may_be_last(state)) {
    state.address_end = state.domain_end;
  }
  if (fits && kind === Kind.Hyphen && label !== Domain.Empty) {
    state.domain = Domain.Hyphen;
  } else if (fits && kind === Kind.Dot && label !== Domain.Empty && label !== Domain.Hyphen) {
    state.domain = Domain.Empty;
    state.dots += 1;
  } else {
    close_domain(state);
  }
}

/** A domain begins behind an `@`. `start`: where its address does; `count`: how many characters came before the `@`. */
function open_domain(state: PatternState, start: number, count: number): void {
  state.domain = Domain.Empty;
  state.domain_start = start;
  state.domain_count = count;
  state.dots = 0;
  state.address_end = -1;
}

/**
 * Reads the characters of the queue from the one numbered `from` on, up to the first one behind which something is found: it is in the
 * state then, until the next call. Returns the number of the character to go on with.
 */
function read_addresses(state: PatternState, queue: PatternQueue, from: number): number {
  const { classes, counts, ends, length, starts } = queue;
  let { local, local_count, local_start } = state;
  let reached = length;
  for (const at of $range(from, length - 1)) {
    const kind = KINDS[band(classes[at]!, CLASS_MASK)]!;
    if (state.domain !== Domain.None) {
      domain_step(state, kind, ends[at]!, counts[at]!);
    }
    if (kind === Kind.At && local === Local.Running && counts[at]! - local_count <= MOST_LOCAL_CHARACTERS) {
      open_domain(state, local_start, counts[at]!);
    }
    const next = NEXT_LOCAL[kind * 4 + local]!;
    // All ones where a local part begins.
    const begins = 0 - rshift(next, BEGINS_SHIFT);
    local_start = bxor(local_start, band(bxor(local_start, starts[at]!), begins));
    local_count = bxor(local_count, band(bxor(local_count, counts[at]!), begins));
    local = band(next, BEGINS - 1);
    if (state.hits !== 0) {
      state.quoted = band(classes[at]!, QUOTED);
      reached = at + 1;
      break;
    }
  }
  state.local = local;
  state.local_count = local_count;
  state.local_start = local_start;
  return reached;
}

/** Nothing has come. */
function reset_addresses(state: PatternState): void {
  state.domain = Domain.None;
  state.local = Local.None;
}

/** The text has ended. A match is noted in the state. */
function end_addresses(state: PatternState): void {
  if (state.domain !== Domain.None) {
    if (may_be_last(state)) {
      state.address_end = state.domain_end;
    }
    close_domain(state);
  }
  state.local = Local.None;
}

/** How many more characters the domain needs at least. */
function missing_in_domain(state: PatternState): number {
  const label = state.domain;
  if (state.dots >= 1 && label <= Domain.Letters) {
    return Domain.Letters - label;
  }
  // A letter if none may be followed by a dot yet, a dot, two letters.
  return label === Domain.Empty || label === Domain.Hyphen ? 4 : 3;
}

/** Where the first address begins that the end of the text may yet belong to, -1: there is none. `count`: characters so far. */
function address_live(state: PatternState, count: number): number {
  if (state.domain !== Domain.None) {
    const length = count - state.domain_count - 1;
    if (state.address_end >= 0 || length + missing_in_domain(state) <= MOST_DOMAIN_CHARACTERS) {
      return state.domain_start;
    }
  }
  if (state.local >= Local.Running) {
    const length = count - state.local_count;
    if (length < MOST_LOCAL_CHARACTERS || (length === MOST_LOCAL_CHARACTERS && state.local === Local.Running)) {
      return state.local_start;
    }
  }
  return -1;
}

export { address_live, end_addresses, read_addresses, reset_addresses };
