/**
 * Estimates tokens from characters, as a sink of the walker: what a request is thought to cost before the
 * upstream has said so, and what it is charged when the upstream never does.
 *
 * Tokenizers of today's models split text into words with their leading space, runs of punctuation, groups of
 * up to three digits, and one to two Chinese characters. So a character costs what its class usually adds
 * after the class before it: the first letter of a word most of a token, a further one a little. Costs are in
 * 1/32 of a token, so that 32 MB of text still fits a 32-bit integer. The figures are rough ones for
 * vocabularies of 100,000 to 200,000 entries; a text in a language they know badly costs more in truth.
 */

import * as ffi from "ffi";
import type { Sink } from "./json";

const enum Class {
  Lower = 1,
  Upper = 2,
  Digit = 3,
  Space = 4,
  Punctuation = 5,
  Ideograph = 6,
  Other = 7,
}

const UNITS_A_TOKEN = 32;

ffi.cdef("typedef struct { int32_t cost, previous, characters, strings; } sluice_estimate;");

interface Estimate {
  /** In 1/32 of a token. */
  cost: number;
  /** The class of the character before, times 8; 0 at the beginning of a string. */
  previous: number;
  characters: number;
  /** How many strings of text there were. */
  strings: number;
}

const ASCII_CLASS = ffi.new<Int32Buffer>("int32_t[128]");
for (const value of $range(0, 127)) {
  let found: Class = Class.Punctuation;
  if (value >= 97 && value <= 122) {
    found = Class.Lower;
  } else if (value >= 65 && value <= 90) {
    found = Class.Upper;
  } else if (value >= 48 && value <= 57) {
    found = Class.Digit;
  } else if (value <= 32 || value === 127) {
    found = Class.Space;
  }
  ASCII_CLASS[value] = found;
}

/** A row for the class before (the first: beginning of a string), a column for the class of the character. */
// prettier-ignore
const COSTS = ffi.new<Int32Buffer>("int32_t[64]",
  // -  lower upper digit space punct ideo other
  0, 26, 26, 20, 6, 26, 22, 24,
  0, 3, 12, 22, 2, 26, 22, 12,
  0, 4, 10, 22, 2, 26, 22, 12,
  0, 22, 22, 10, 4, 26, 22, 24,
  0, 24, 24, 26, 5, 24, 22, 22,
  0, 20, 20, 22, 3, 12, 22, 24,
  0, 26, 26, 20, 8, 24, 24, 24,
  0, 20, 20, 20, 4, 24, 22, 14,
);

/** The class of a code point beyond ASCII: Chinese, Japanese and Korean writing, or another. */
function wide_class(code_point: number): Class {
  return (code_point >= 0x2e80 && code_point <= 0xffdc) || code_point >= 0x20000 ? Class.Ideograph : Class.Other;
}

function begin(this: void, estimate: Estimate): void {
  estimate.previous = 0;
  estimate.strings += 1;
}

/** Adds a character. */
function count_character(estimate: Estimate, code_point: number): void {
  const found = code_point < 128 ? ASCII_CLASS[code_point]! : wide_class(code_point);
  estimate.cost += COSTS[estimate.previous + found]!;
  estimate.previous = found * 8;
  estimate.characters += 1;
}

function character(this: void, estimate: Estimate, code_point: number): void {
  count_character(estimate, code_point);
}

function finish(this: void): void {}

/** The sink that counts into an `Estimate`. */
const ESTIMATOR: Sink<Estimate> = { begin, character, finish };

/** An estimate of nothing. */
function new_estimate(): Estimate {
  const estimate = ffi.new<Estimate>("sluice_estimate");
  return estimate;
}

/** Back to nothing. */
function clear(estimate: Estimate): void {
  estimate.cost = 0;
  estimate.previous = 0;
  estimate.characters = 0;
  estimate.strings = 0;
}

/** Whole tokens: at least 1 for any text at all. */
function tokens(estimate: Estimate): number {
  const whole = math.ceil(estimate.cost / UNITS_A_TOKEN);
  return whole;
}

export { ASCII_CLASS, COSTS, ESTIMATOR, clear, count_character, new_estimate, tokens, wide_class };
export type { Estimate };
