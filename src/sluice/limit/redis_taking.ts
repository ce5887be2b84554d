/** What answers take of the windows of tokens beyond what was reserved for them, where a Redis counts for several nodes. */

import { take_more as take_more_here } from "./memory_store";
import { milliseconds_of, redis_keys, specification } from "./redis_keys";
import { first_scope } from "./reservation";
import type { RedisStore } from "./redis_store";
import type { Reservation } from "./reservation";

/**
 * Takes more of the windows for an answer that has passed what was reserved for it: of this node's share, or in Redis, which is
 * told the sum of what was taken, so that nothing counts twice and what is lost on the way comes with the next.
 */
function take_more(store: RedisStore, reservation: Reservation, tokens: number, now: number): void {
  const { admitted_elsewhere, arrived, id, key, share: own, tenant } = reservation;
  if (own !== undefined) {
    take_more_here(store.memory, own, tokens, now);
  }
  reservation.more_tokens += tokens;
  reservation.more_at = now;
  if (own === undefined && admitted_elsewhere) {
    const milliseconds = milliseconds_of(arrived);
    const parts = redis_keys(first_scope(reservation).owner, tenant, key, milliseconds, milliseconds);
    parts.push(string.format("%.0f", reservation.more_tokens));
    parts.push(specification(tenant));
    parts.push(specification(key));
    parts.push(id);
    store.tell_taken(id, parts);
  }
}

export { take_more };
