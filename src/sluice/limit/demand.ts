/** What a request may need at most, which is reserved before it begins. */

import type { Price } from "../ledger/price";
import type { RequestReading } from "../wire/request";
import type { Reservation } from "./reservation";

/** Tokens of output reserved for an answer when neither the client nor the model names a number. */
const USUAL_OUTPUT = 4096;

/** Tokens of output that each answer may have. `most`: the model's own bound, if it has one. */
function output_cap(reading: RequestReading, most: number | undefined): number {
  if (reading.api === "embeddings") {
    return 0;
  }
  const wanted = reading.output_cap ?? most ?? USUAL_OUTPUT;
  return most !== undefined && wanted > most ? most : wanted;
}

/** Fills in what the request needs: its estimated input, and the most that its answers may have. */
function set_demand(reservation: Reservation, reading: RequestReading, most: number | undefined, price: Price | undefined): void {
  const output = output_cap(reading, most) * reading.written;
  reservation.tokens = reading.prompt_tokens + output;
  if (price !== undefined) {
    reservation.least_nano_usd = math.floor(reading.prompt_tokens * price.input + 0.5);
    reservation.most_nano_usd = math.floor(reading.prompt_tokens * price.input + output * price.output + 0.5);
  }
}

/** How many tokens of output the reserved money is enough for; as many as it likes, if all that it may need was reserved. */
function output_allowance(reservation: Reservation, price: Price | undefined): number {
  if (price === undefined || price.output === 0 || reservation.nano_usd >= reservation.most_nano_usd) {
    return math.huge;
  }
  return math.max(0, math.floor((reservation.nano_usd - reservation.least_nano_usd) / price.output));
}

export { output_allowance, output_cap, set_demand };
