/** What a request may need at most, which is reserved before it begins. */

import { free_tokens } from "./allowance";
import type { Price } from "../ledger/price";
import { output_bound } from "../wire/output_cap";
import type { RequestReading } from "../wire/request";
import type { Reservation } from "./reservation";

/** Tokens of output reserved for an answer when neither the client nor the model names a number. */
const USUAL_OUTPUT = 4096;
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
  const input = math.max(0, prompt_tokens - free) * price.input;
  const output = math.max(0, output_tokens - math.max(0, free - prompt_tokens)) * price.output;
  reservation.least_nano_usd = math.floor(input + 0.5);
  reservation.most_nano_usd = math.floor(input + output + 0.5);
}

/** Fills in what the request needs: its estimated input, and the most that its answers may have. */
function set_demand(reservation: Reservation, reading: RequestReading, most: number | undefined, price: Price | undefined): void {
  const output = math.min(output_cap(reading, most) * reading.written, MOST_TOKENS);
  reservation.tokens = math.min(reading.prompt_tokens + output, MOST_TOKENS);
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

export { change_demand, output_allowance, output_cap, set_demand, set_money };
