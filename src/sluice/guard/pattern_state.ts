/** What the machines of the patterns keep between two characters: one C structure of fixed size, and what is found now. */

import * as ffi from "ffi";

/** Bits, so that a number says which patterns are wanted. */
const enum Pattern {
  CnMobile = 1,
  CnIdCard = 2,
  PaymentCard = 4,
  UsSsn = 8,
  Email = 16,
}

/** All that consist of digits. */
const NUMBERS = 15;

/** How a configuration calls the patterns, from the lowest bit on. */
const PATTERN_NAMES = ["cn_mobile", "cn_id_card", "payment_card", "us_ssn", "email"];

/** Where the machine of the numbers is. A run is what could be one number: groups of digits and what joins them. */
const enum Stage {
  /** In no run. */
  Idle = 0,
  /** In a group of digits. */
  Digits = 1,
  /** Behind a group and one or two characters that may join it to the next. */
  Joined = 2,
  JoinedTwice = 3,
  /** Behind a digit and a dot: what follows may be a fraction. */
  Point = 4,
  /** Behind digits and an X, perhaps the last place of an identity number. */
  Tail = 5,
}

/** What stands directly before a run. */
const enum Left {
  Free = 0,
  /** A letter or the like, or the point of a fraction: no number begins here. */
  Word = 1,
  /** One of `_ % +`: no number either, but one with a country code. */
  Sign = 2,
}

/** What joins a group to the one before it. */
const enum Joiner {
  None = 0,
  Hyphen = 1,
  Space = 2,
  /** Two characters, of either kind. */
  Two = 3,
}

ffi.cdef(`
typedef struct {
  int32_t wake, number_wake, email_wake, hits;
  int32_t position, next;
  int32_t stage, left, joiner, run_digits, groups, number_end;
  int32_t running, local_start, local_count, dot;
  int32_t domain, domain_start, domain_count, dots, label_length, letters, hyphen, domain_end, address_end;
  int32_t hit_start[8], hit_end[8], group_starts[32];
  uint8_t hit_pattern[8], digits[32], group_lengths[32], group_joiners[32];
} sluice_pattern;
`);

interface PatternState {
  /** The bits of `Wake` for which the next character has to be handed over; the parts of it that each machine asks for. */
  wake: number;
  number_wake: number;
  email_wake: number;
  /** How many matches the last call has found. */
  hits: number;
  /** Where the character at hand begins, and where the one behind it does. */
  position: number;
  next: number;

  stage: number;
  left: number;
  /** What was met behind the last group. */
  joiner: number;
  /** The digits and groups of the run so far; of both, the last 32 are kept, in rings. */
  run_digits: number;
  groups: number;
  /** Where the last digit (or X) ends. */
  number_end: number;

  /** Whether characters that may be a local part have come without a break; where they began; how many came before. */
  running: number;
  local_start: number;
  local_count: number;
  /** How many characters came before the last dot that was met. */
  dot: number;
  /** Whether a domain is being read, where its address began, and how many characters came before its `@`. */
  domain: number;
  domain_start: number;
  domain_count: number;
  /** Its dots so far; of its last label the length, whether all are letters, and whether the last is a hyphen. */
  dots: number;
  label_length: number;
  letters: number;
  hyphen: number;
  /** Where its last letter or digit ends; where the longest address so far ends, -1: there is none yet. */
  domain_end: number;
  address_end: number;

  hit_start: Int32Buffer;
  hit_end: Int32Buffer;
  hit_pattern: Bytes;
  group_starts: Int32Buffer;
  digits: Bytes;
  /** At most 20 is noted. */
  group_lengths: Bytes;
  group_joiners: Bytes;
}

/** How many matches one call can find. No more hold at once, see `evaluate`. */
const MOST_HITS = 8;

/** Notes a match. */
function add_hit(state: PatternState, pattern: Pattern, start: number, end: number): void {
  const hits = state.hits;
  if (hits < MOST_HITS) {
    state.hit_pattern[hits] = pattern;
    state.hit_start[hits] = start;
    state.hit_end[hits] = end;
    state.hits = hits + 1;
  }
}

export { Joiner, Left, NUMBERS, PATTERN_NAMES, Pattern, Stage, add_hit };
export type { PatternState };
