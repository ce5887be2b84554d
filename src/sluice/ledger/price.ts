/**
 * Money, in whole nano-dollars: a millionth of a dollar for a million tokens is a nano-dollar for a thousand. Sums stay exact up to
 * nine million dollars.
 */

interface PriceConfiguration {
  /** US dollars for a million tokens. */
  input: number;
  output: number;
  cached_input?: number;
}

interface Price {
  /** Nano-dollars for a token; need not be whole. */
  input: number;
  output: number;
  cached_input: number;
}

const NANO_FOR_A_TOKEN = 1000;

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

/** What a request costs, in nano-dollars, rounded to a whole one. `cached_input` tokens are part of `input`. */
function cost(price: Price | undefined, input: number, cached_input: number, output: number): number {
  if (price === undefined) {
    return 0;
  }
  const cached = math.min(cached_input, input);
  return math.floor((input - cached) * price.input + cached * price.cached_input + output * price.output + 0.5);
}

export { cost, make_price };
export type { Price, PriceConfiguration };
