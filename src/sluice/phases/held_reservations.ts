/**
 * What is reserved for answers that are made in the background, and whose requests have ended: it stays reserved until the
 * answer has been charged, deleted or blocked, whichever worker or gateway has seen to that. The worker that has admitted the
 * request gives it back then; should it end before, what it holds is given back as that of any worker that has died.
 */

import { realtime } from "../edge/clock";
import { settle_without_line } from "./limits";
import { recall } from "./response_memory";
import type { Reservation } from "../limit/reservation";

interface Held {
  reservation: Reservation;
  tenant: string;
  id: string;
  /** Seconds since 1970. */
  until: number;
}

/** Nothing is made in the background for longer, in seconds. */
const MOST_SECONDS = 3600;
/** So many are held by a worker. */
const MOST_HELD = 10000;
/** So many are looked up at a time. */
const LOOKED_UP = 100;

const held: { waiting: Held[] } = { waiting: [] };

/** Whether more can be held. */
function may_hold(): boolean {
  return held.waiting.length < MOST_HELD;
}

/** Holds what was reserved, on behalf of a tenant's response. */
function hold_reservation(reservation: Reservation, tenant: string, id: string): void {
  held.waiting.push({ reservation, tenant, id, until: realtime() + MOST_SECONDS });
}

/** Gives it back: nothing of it was used. */
function give_back(reservation: Reservation): void {
  reservation.used_tokens = 0;
  reservation.cost_nano_usd = 0;
  reservation.free_used = 0;
  settle_without_line(reservation);
}

/** Whether a response is still to be charged, as far as is known. */
function is_due(this: void, { id, tenant, until }: Held, now: number): boolean {
  const [texts, lost] = recall(tenant, [id]);
  return now < until && (lost || string.find(texts[0] ?? "", "due ", 1, true)[0] === 1);
}

/** Every second: gives back what has been charged since. */
function tend_reservations(): void {
  if (held.waiting.length === 0) {
    return;
  }
  const now = realtime();
  const looked_at = held.waiting;
  held.waiting = [];
  const still_due: Held[] = [];
  let looks = 0;
  for (const each of looked_at) {
    looks += 1;
    if (looks > LOOKED_UP) {
      held.waiting.push(each);
    } else if (is_due(each, now)) {
      still_due.push(each);
    } else {
      give_back(each.reservation);
    }
  }
  // They take turns: those that were looked at go behind the others.
  for (const each of still_due) {
    held.waiting.push(each);
  }
}

export { hold_reservation, may_hold, tend_reservations };
