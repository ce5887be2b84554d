/**
 * Waiting in the access phase, for whatever an attempt needs: a pause, an account, a place in the pool. None of it counts as the
 * gateway's own time. A client that leaves ends its request's wait as soon as nginx sees it, and when it is over at the latest; the
 * log phase then tidies up.
 *
 * Requests wait for a place in their pool in the order of `pool/queue`, by worker. The one whose turn it is looks for a place whenever
 * a request of this worker has ended, and every now and then, since nginx's workers can't wake each other. How many wait in all
 * workers is counted like what endpoints have under way, so that nobody is forgotten or counted for ever when a worker is killed.
 */

import { monotonic } from "../edge/clock";
import { sleep } from "../edge/request";
import { give_signal, new_signal, wait_for } from "../edge/signal";
import { give, in_flight, take } from "../pool/flights";
import { pick_endpoint } from "../pool/pick_endpoint";
import { join_queue, leave_queue, next_in_queue } from "../pool/queue";
import type { Signal } from "../edge/signal";
import type { LivePool } from "../pool/live";
import type { Found } from "../pool/pick_endpoint";
import type { Pool } from "../pool/pools";
import type { Waiter } from "../pool/queue";
import type { RequestState } from "./state";

/** How often the request whose turn it is looks for a place that another worker has left, in seconds; by chance up to twice that. */
const LOOK_SECONDS = 0.015;
/** So much of the places in a queue may one tenant have, where there are others. */
const TENANT_SHARE = 0.75;

/** Lets time pass, in seconds. */
function pause(state: RequestState, seconds: number): void {
  const began = monotonic();
  state.waited = true;
  sleep(seconds);
  state.overhead -= monotonic() - began;
}

/** How many requests wait for the pool in all workers. */
function waiting_in(live: LivePool): number {
  return in_flight(live.flights, live.queue_key);
}

/** What those of the request's tenant are counted under. */
function tenant_key(state: RequestState, live: LivePool): string {
  return `${live.queue_key} ${state.principal!.tenant.id}`;
}

/** Counts a request as one that waits. Returns false if as many wait as may, or as may of its tenant. */
function take_wait(state: RequestState, pool: Pool, live: LivePool): boolean {
  const { max_waiting } = pool.queue;
  const alone = state.snapshot.configuration.tenants.length < 2;
  const most = alone ? max_waiting : math.ceil(max_waiting * TENANT_SHARE);
  if (max_waiting === 0 || !take(live.flights, tenant_key(state, live), most)[0]) {
    return false;
  }
  if (!take(live.flights, live.queue_key, max_waiting)[0]) {
    give(live.flights, tenant_key(state, live));
    return false;
  }
  return true;
}

/** Wakes the request whose turn it is. */
function wake_next(live: LivePool): void {
  const next = next_in_queue(live.queue);
  if (next !== undefined) {
    give_signal(next.value as Signal);
  }
}

/**
 * A place has become free. This worker's requests get it at once as often as they are of all that wait; else it is left to whoever
 * looks first, which may be another worker's.
 */
function offer_place(live: LivePool): void {
  if (math.random() * waiting_in(live) <= live.queue.size) {
    wake_next(live);
  }
}

/** The request does not wait any more. `served`: it has got a place. */
function stop_waiting(state: RequestState, live: LivePool, served: boolean): void {
  const { waiter } = state;
  if (waiter !== undefined) {
    state.waiter = undefined;
    leave_queue(live.queue, waiter, served);
    give(live.flights, live.queue_key);
    give(live.flights, tenant_key(state, live));
    wake_next(live);
  }
}

/** Whether others were there before: then a request that has just come must not look for a place first. */
function is_crowded(pool: Pool, live: LivePool): boolean {
  return pool.is_limited && (live.queue.size > 0 || waiting_in(live) > 0);
}

/**
 * Waits for its turn, and looks for a place when it comes: one that has become free, or in an endpoint of which another request has found
 * out that it works. `crowded`: others were there before, if only in other workers.
 */
function wait_in_line(state: RequestState, pool: Pool, live: LivePool, waiter: Waiter<unknown>, crowded: boolean): Found {
  const end = math.min(monotonic() + pool.queue.timeout, state.deadline);
  const signal = waiter.value as Signal;
  let patient = crowded;
  for (;;) {
    const now = monotonic();
    const is_next = next_in_queue(live.queue) === waiter;
    if ((is_next && !patient) || now >= end) {
      const found = pick_endpoint(pool, live, state.tried, state.tried_count, now, state.principal!, state.conversation);
      if (found.endpoint !== undefined || !(found.saturated || found.awaited) || now >= end) {
        return found;
      }
    }
    patient = false;
    wait_for(signal, math.min(end - now, is_next ? LOOK_SECONDS * (1 + math.random()) : end - now));
  }
}

/**
 * Waits for a place in the pool, as long and among as many as the pool lets. Returns what the last pick has found: an endpoint, or that
 * there still is none; undefined if as many wait already as may.
 */
function wait_for_place(state: RequestState, pool: Pool, live: LivePool, crowded: boolean): Found | undefined {
  if (!take_wait(state, pool, live)) {
    return undefined;
  }
  const began = monotonic();
  const waiter = join_queue<unknown>(live.queue, state.principal!.tenant.id, new_signal());
  state.waiter = waiter;
  state.waited = true;
  const found = wait_in_line(state, pool, live, waiter, crowded);
  state.overhead -= monotonic() - began;
  stop_waiting(state, live, found.endpoint !== undefined);
  return found;
}

export { is_crowded, offer_place, pause, stop_waiting, wait_for_place, waiting_in };
