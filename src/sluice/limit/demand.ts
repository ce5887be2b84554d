/** What a request may need at most, which is reserved before it begins. */

import { free_tokens } from "./allowance";
import type { Price } from "../ledger/price";
import { output_bound } from "../wire/output_cap";
import type { RequestReading } from "../wire/request";
import type { Reservation } from "./reservation";

/** Tokens of output reserved for an answer when neither the client nor the model names a number. */
const USUAL_OUTPUT = 4096;
/** Less output is not reserved where what is usual is reserved, unless the cap is less: the next answer may be longer. */
const LEAST_TYPICAL = 256;
/** Tokens of output that are taken of the windows at a time, when an answer has passed what was reserved for it. */
const MORE_TOKENS = 256;
/** Nobody means more: it is less than any limit that somebody might set, and stays a whole number whatever is done with it. */
const MOST_TOKENS = 1000000000000;

/** Tokens of output that each answer may have. `most`: the model's own bound, if it has one. */
function output_cap(reading: RequestReading, most: number | undefined): number {
  if (reading.api === "embeddings") {
    return 0;
  }
  const named = reading.output_cap ?? 0;
  const bound = most !== undefined ? output_bound(reading, most) : undefined;
  // Some servers take 0 for no cap at all.
  const wanted = named > 0 ? named : (bound ?? USUAL_OUTPUT);
  return bound !== undefined && wanted > bound ? bound : wanted;
}

/** Works out what the request costs at least and at most, with what it has free. */
function set_money(reservation: Reservation): void {
  const { output_tokens, price, prompt_tokens, tenant } = reservation;
  if (price === undefined || tenant?.budget === undefined) {
    return;
  }
  const free = free_tokens(reservation);
  // Any of it may be written to a cache.
  const input = math.max(0, prompt_tokens - free) * price.dearest_input;
  const output = math.max(0, output_tokens - math.max(0, free - prompt_tokens)) * price.output;
  reservation.least_nano_usd = math.floor(input + 0.5);
  reservation.most_nano_usd = math.floor(input + output + 0.5);
}

/**
 * Fills in what the request needs: its estimated input, and the most that its answers may have. `usual`: the tokens that an
 * answer usually has, if that is what is reserved of the windows; `math.huge`, if it is not known. Undefined: the most is
 * reserved.
 */
function set_demand(reservation: Reservation, reading: RequestReading, most: number | undefined, price: Price | undefined, usual?: number): void {
  const cap = output_cap(reading, most);
  const output = math.min(cap * reading.written, MOST_TOKENS);
  // Where nothing is written, as for a page of what was made before, there is nothing usual.
  const windowed = usual === undefined || output === 0 ? output : math.min(output, math.max(usual, LEAST_TYPICAL) * reading.written);
  reservation.is_typical = usual !== undefined;
  reservation.tokens = math.min(reading.prompt_tokens + windowed, MOST_TOKENS);
  reservation.prompt_tokens = reading.prompt_tokens;
  reservation.output_tokens = output;
  reservation.price = price;
  set_money(reservation);
}

/**
 * Another model takes over the request: works out anew what it costs at least and at most, without what was free of the first one. What
 * was reserved stays; the tokens of the windows too. Returns how much more money should be reserved, in nano-dollars.
 */
function change_demand(reservation: Reservation, reading: RequestReading, most: number | undefined, price: Price | undefined): number {
  reservation.elsewhere = true;
  reservation.output_tokens = math.min(output_cap(reading, most) * reading.written, MOST_TOKENS);
  reservation.price = price;
  reservation.least_nano_usd = 0;
  reservation.most_nano_usd = 0;
  set_money(reservation);
  return math.max(0, reservation.most_nano_usd - reservation.nano_usd);
}

/** How many tokens of output the reserved money and what is free are enough for; as many as it likes, if there is no budget or they cost nothing. */
function output_allowance(reservation: Reservation): number {
  const { least_nano_usd, nano_usd, price, prompt_tokens } = reservation;
  if (price === undefined || price.output === 0 || reservation.tenant?.budget === undefined) {
    return math.huge;
  }
  const free = math.max(0, free_tokens(reservation) - prompt_tokens);
  return free + math.max(0, math.floor((nano_usd - least_nano_usd) / price.output));
}

/** How many tokens of output the windows have been asked for by now; as many as it likes, if the most was reserved. */
function window_allowance(reservation: Reservation): number {
  return reservation.is_typical ? reservation.tokens - reservation.prompt_tokens + reservation.more_tokens : math.huge;
}

/**
 * How many tokens to take of the windows, now that so many of output have come: more than is missing, but no more than the most
 * in all.
 */
function more_wanted(reservation: Reservation, output: number): number {
  const had = window_allowance(reservation);
  return math.max(math.ceil(output - had), math.min(MORE_TOKENS, reservation.output_tokens - had), 0);
}

export { change_demand, more_wanted, window_allowance, output_allowance, output_cap, set_demand, set_money };
