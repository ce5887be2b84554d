/**
 * The slow start of endpoints that have just begun to take requests: their caches are empty, and all clients at once would be
 * too much.
 *
 * An endpoint that starts slowly takes part in a pick with a probability, its share, that rises from a tenth to one. Else the pick
 * takes it for one that the request has tried already: whichever way it is made, it goes there only if there is nobody else.
 */

import type { Field } from "./field";

/** Endpoints that start slowly: `count` of them, with their shares. To be made once and filled again and again. */
interface Rising {
  count: number;
  indexes: number[];
  shares: number[];
}

const FIRST_SHARE = 0.1;

/** A generator of further random numbers (see pick_least_load.ts). */
const MULTIPLIER = 16807;
const MODULUS = 2147483647;

/** The share of an endpoint that takes requests since then: 0.1 to 1, which is reached after `seconds`. 0 for `since`: from the beginning. */
function share_of(since: number, now: number, seconds: number): number {
  if (since <= 0 || now - since >= seconds) {
    return 1;
  }
  return FIRST_SHARE + (1 - FIRST_SHARE) * math.max(0, now - since) / seconds;
}

/** Keeps some of those that start slowly out of the pick with this stamp. `random`: 0 to below 1. */
function hold_back(field: Field, rising: Rising, stamp: number, random: number): void {
  const { count, indexes, shares } = rising;
  let state = math.floor(random * (MODULUS - 1)) + 1;
  for (const place of $range(0, count - 1)) {
    state = (state * MULTIPLIER) % MODULUS;
    if (state / MODULUS >= shares[place]!) {
      field.tried[indexes[place]!] = stamp;
    }
  }
}

export { hold_back, share_of };
export type { Rising };
