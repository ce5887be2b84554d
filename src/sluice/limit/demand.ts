/** What a request may need at most, which is reserved before it begins. */

import type { Price } from "../ledger/price";
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
  // Some servers take 0 for no cap at all.
  const wanted = named > 0 ? named : (most ?? USUAL_OUTPUT);
  return most !== undefined && wanted > most ? most : wanted;
}

/** Fills in what the request needs: its estimated input, and the most that its answers may have. */
function set_demand(reservation: Reservation, reading: RequestReading, most: number | undefined, price: Price | undefined): void {
  const output = output_cap(reading, most) * reading.written;
  reservation.tokens = math.min(reading.prompt_tokens + output, MOST_TOKENS);
  if (price !== undefined && reservation.tenant?.budget !== undefined) {
    reservation.least_nano_usd = math.floor(reading.prompt_tokens * price.input + 0.5);
    reservation.most_nano_usd = math.floor(reading.prompt_tokens * price.input + math.min(output, MOST_TOKENS) * price.output + 0.5);
  }
}

/** How many tokens of output the reserved money is enough for; as many as it likes, if there is no budget or they cost nothing. */
function output_allowance(reservation: Reservation, price: Price | undefined): number {
  if (price === undefined || price.output === 0 || reservation.tenant?.budget === undefined) {
    return math.huge;
  }
  return math.max(0, math.floor((reservation.nano_usd - reservation.least_nano_usd) / price.output));
}

export { output_allowance, output_cap, set_demand };
