/**
 * Money, in whole nano-dollars: a millionth of a dollar for a million tokens is a nano-dollar for a thousand. Sums stay exact up to
 * nine million dollars.
 */

import type { Period } from "../limit/period";

/** What each tenant has free in each period: tokens, or requests. One of the two is there. */
interface FreeConfiguration {
  tokens?: number;
  requests?: number;
  period: Period;
}

interface PriceConfiguration {
  /** US dollars for a million tokens. */
  input: number;
  output: number;
  cached_input?: number;
  free?: FreeConfiguration;
}

interface Price {
  /** Nano-dollars for a token; need not be whole. */
  input: number;
  output: number;
  cached_input: number;
}

const NANO_FOR_A_TOKEN = 1000;

/**
 * The most that one request can cost, in nano-dollars: some nine million US dollars, which only absurd prices come to. Larger numbers are
 * not exact in a double (IEEE 754), so the journal, the budget and the ledger would differ.
 */
const MOST_COST = 9007199254740991;

/** The price by the token; undefined: the model costs nothing. */
function make_price(configured: PriceConfiguration | undefined): Price | undefined {
  if (configured === undefined) {
    return undefined;
  }
  return {
    input: configured.input * NANO_FOR_A_TOKEN,
    output: configured.output * NANO_FOR_A_TOKEN,
    cached_input: (configured.cached_input ?? configured.input) * NANO_FOR_A_TOKEN,
  };
}

/**
 * What a request costs, in nano-dollars, rounded to a whole one. `cached_input` tokens are part of `input`. `free`: so many of the
 * tokens cost nothing, in the order in which a model meets them: cached input, other input, output.
 */
function cost(price: Price | undefined, input: number, cached_input: number, output: number, free: number): number {
  if (price === undefined) {
    return 0;
  }
  const cached = math.min(cached_input, input);
  const paid_input = math.max(0, input - math.max(cached, free));
  const paid_cached = math.max(0, cached - free);
  const paid_output = math.max(0, output - math.max(0, free - input));
  const nano_usd = math.floor(paid_input * price.input + paid_cached * price.cached_input + paid_output * price.output + 0.5);
  return math.min(nano_usd, MOST_COST);
}

export { cost, make_price };
export type { FreeConfiguration, Price, PriceConfiguration };
