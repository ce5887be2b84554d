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

/** Of the local part of an address: whether it has begun, and whether a dot stands before the next character. */
const enum Local {
  None = 0,
  NoneBehindDot = 1,
  Running = 2,
  RunningBehindDot = 3,
}

/** What the last label of a domain is so far. */
const enum Domain {
  /** No domain is being read. */
  None = 0,
  /** It has no character yet. */
  Empty = 1,
  Letter = 2,
  /** Two letters or more: it could be a domain's last. */
  Letters = 3,
  /** With a digit or hyphen in it. */
  Mixed = 4,
  /** With a hyphen at its end. */
  Hyphen = 5,
}

/** What joins a group to the one before it. */
const enum Joiner {
  None = 0,
  Hyphen = 1,
  Space = 2,
  /** Two characters, of either kind. */
  Two = 3,
}

/** Digits and their places are remembered in rings of this size (a power of two): more than the longest number has. */
const DIGITS_RING = 32;

ffi.cdef(`
typedef struct {
  int32_t wake, hits, quoted;
  int32_t stage, total, starts, next_start, joiners, last_double, signed_left, number_end, plain_sum, doubled_sum;
  int32_t local, local_start, local_count;
  int32_t domain, dots, domain_start, domain_count, domain_end, address_end;
  int32_t hit_start[8], hit_end[8], places[${DIGITS_RING}];
  uint8_t digits[${DIGITS_RING}], plain_sums[${DIGITS_RING}], doubled_sums[${DIGITS_RING}], hit_pattern[8];
} sluice_pattern;
`);

interface PatternState {
  /** The bits of `Wake` of the characters that have to be handed over next. */
  wake: number;
  /** How many matches the last call has found, and whether they ended inside of a quoted string (`QUOTED`). */
  hits: number;
  quoted: number;

  stage: number;
  /** How many digits the run has. */
  total: number;
  /**
   * Where numbers may begin: bit 0 stands for the last digit, the one above for that before it, and so on. A bit is set for the first
   * digit of each group but one that may begin no number. `next_start`: the bit of the digit that comes next.
   */
  starts: number;
  next_start: number;
  /** What joins the last groups to those before them (`Joiner`): two bits each, the last one's are the lowest. */
  joiners: number;
  /** The number of the digit that begins the last group which two characters join to the one before; −1: there is none. */
  last_double: number;
  /** 1: the run begins behind one of `_ % +`, where only a mobile number with its country code may begin. */
  signed_left: number;
  /** Where the last digit (or X) ends. */
  number_end: number;
  /** The sums of all digits so far (see `pattern_sums`). */
  plain_sum: number;
  doubled_sum: number;

  /** A `Local`; where the local part begins, and how many characters came before it. */
  local: number;
  local_start: number;
  local_count: number;
  /** A `Domain`, and its dots so far; where its address began, and how many characters came before its `@`. */
  domain: number;
  dots: number;
  domain_start: number;
  domain_count: number;
  /** Where its last letter or digit ends; where the longest address so far ends, -1: there is none yet. */
  domain_end: number;
  address_end: number;

  hit_start: Int32Buffer;
  hit_end: Int32Buffer;
  hit_pattern: Bytes;
  /** By the number of a digit: where it stands, itself, and the sums up to it (see `pattern_sums`). */
  places: Int32Buffer;
  digits: Bytes;
  plain_sums: Bytes;
  doubled_sums: Bytes;
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

export { DIGITS_RING, Domain, Joiner, Local, NUMBERS, PATTERN_NAMES, Pattern, Stage, add_hit };
export type { PatternState };
