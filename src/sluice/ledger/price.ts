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
  /** For input that the upstream writes to its cache; and for what stays there for an hour. */
  cache_write?: number;
  cache_write_1h?: number;
  free?: FreeConfiguration;
}

interface Price {
  /** Nano-dollars for a token; need not be whole. */
  input: number;
  output: number;
  cached_input: number;
  cache_write: number;
  cache_write_1h: number;
  /** The dearest that a token of input can be: what is reserved for one. */
  dearest_input: number;
}

/**
 * What is paid for. Of the input, some was read from the upstream's cache, and some written to it; of that, some for an hour.
 */
interface Tokens {
  input: number;
  cached_input: number;
  cache_write: number;
  cache_write_1h: number;
  output: number;
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
  const input = configured.input * NANO_FOR_A_TOKEN;
  const cached_input = (configured.cached_input ?? configured.input) * NANO_FOR_A_TOKEN;
  const cache_write = (configured.cache_write ?? configured.input) * NANO_FOR_A_TOKEN;
  const cache_write_1h = (configured.cache_write_1h ?? configured.cache_write ?? configured.input) * NANO_FOR_A_TOKEN;
  const dearest_input = math.max(input, cached_input, cache_write, cache_write_1h);
  return { input, output: configured.output * NANO_FOR_A_TOKEN, cached_input, cache_write, cache_write_1h, dearest_input };
}

/**
 * What a request costs, in nano-dollars, rounded to a whole one. `free`: so many of the tokens cost nothing, in the order in
 * which a model meets them: input read from the cache, input written to it (for an hour first), other input, output.
 */
function cost(price: Price | undefined, tokens: Tokens, free: number): number {
  if (price === undefined) {
    return 0;
  }
  const { input, output } = tokens;
  const cached = math.min(tokens.cached_input, input);
  // Where each kind of input ends.
  const written = math.min(cached + tokens.cache_write, input);
  const for_an_hour = math.min(cached + tokens.cache_write_1h, written);
  const nano_usd =
    math.max(0, input - math.max(written, free)) * price.input +
    math.max(0, cached - free) * price.cached_input +
    math.max(0, for_an_hour - math.max(cached, free)) * price.cache_write_1h +
    math.max(0, written - math.max(for_an_hour, free)) * price.cache_write +
    math.max(0, output - math.max(0, free - input)) * price.output;
  return math.min(math.floor(nano_usd + 0.5), MOST_COST);
}

export { cost, make_price };
export type { FreeConfiguration, Price, PriceConfiguration, Tokens };
