/**
 * Keeps requests away from an endpoint that keeps failing, until one request has found that it answers again. All workers share
 * what they know of an endpoint; a worker of its own opinion would have to fail as often as all the others have.
 *
 * How it lies in the shared dictionary, by endpoint, and why.
 * - The state: absent while the breaker is closed, which is all that a request looks at then; otherwise the time from which the
 *   endpoint may be probed. Before it the breaker is open, from then on half open. That time also is the opening's name: a probe
 *   keeps it as its ticket, and what the probe finds counts only as long as that opening lasts.
 * - The probe: added by the one request that probes, with a life as long as a probe may take. So a probe whose worker was killed,
 *   or that reports nothing, makes way for the next.
 * - The last failures in a ring: the number of failures so far, and the time of each in the place of its number. The breaker opens
 *   when the oldest one in the ring is no older than the window, so the count slides and is exact.
 *
 * Requests that began before the breaker opened still end afterwards, well or badly. They say nothing new and change nothing.
 *
 * Limits, confessed. Between reading the state and writing it another worker may write it too; the worst that comes of it is one
 * more request to the endpoint, or one more open time. A dictionary that has no room holds no new failures, so nothing opens then.
 *
 * Times are seconds on a clock that only goes forward and is the same for all workers.
 */

import type { SharedStore } from "../metrics/aggregate";

interface BreakerConfiguration {
  /** So many failures open it; 0: nothing does. */
  failures: number;
  /** Seconds within which they count. */
  window: number;
  /** Seconds for which it stays open before a request may probe. */
  open: number;
}

interface Breaker {
  store: SharedStore;
  configuration: BreakerConfiguration;
  /** Seconds that a probe may take until it reports. */
  probe_seconds: number;
  /** Where the state, the probe, the number of failures and, with a place behind it, the ring lie. */
  state_key: string;
  probe_key: string;
  count_key: string;
  ring_key: string;
}

/** What a request may do with an endpoint. */
const enum Permission {
  No = 0,
  Yes = 1,
  /** Only if `take_probe` gives it a ticket. */
  Probe = 2,
}

type BreakerState = "closed" | "open" | "half_open";

/** Of a request that is no probe. */
const NO_TICKET = 0;

/** The dictionary's clock may lag behind ours by so many seconds: a failure must not be forgotten before the window ends. */
const LAG_SECONDS = 5;

/**
 * A worker's view of an endpoint's breaker. `name` is the endpoint's, the same in all workers; breakers of one name are one breaker.
 * `probe_seconds`: how long a request may take until its outcome is known.
 */
function new_breaker(store: SharedStore, name: string, configuration: BreakerConfiguration, probe_seconds: number): Breaker {
  const state_key = `breaker:${name}`;
  // Rings of different sizes have their failures in different places.
  const count_key = `${state_key}:${configuration.failures}`;
  return { store, configuration, probe_seconds, state_key, probe_key: `${state_key}:probe`, count_key, ring_key: `${count_key}:` };
}

/** What a request may do. One look into the dictionary while the breaker is closed, two at most. */
function may_try(breaker: Breaker, now: number): Permission {
  if (breaker.configuration.failures === 0) {
    return Permission.Yes;
  }
  const until = breaker.store.get(breaker.state_key) as number | undefined;
  if (until === undefined) {
    return Permission.Yes;
  }
  if (now < until || breaker.store.get(breaker.probe_key) !== undefined) {
    return Permission.No;
  }
  return Permission.Probe;
}

/**
 * Takes the right to probe a breaker that is half open, which one request of all workers gets. Returns the ticket to be given with
 * the outcome, or 0: no right, and the request goes elsewhere.
 */
function take_probe(breaker: Breaker, now: number): number {
  const { store, state_key, probe_key } = breaker;
  if (breaker.configuration.failures === 0) {
    return NO_TICKET;
  }
  const until = store.get(state_key) as number | undefined;
  if (until === undefined || now < until) {
    return NO_TICKET;
  }
  const reason = store.add(probe_key, until, breaker.probe_seconds);
  if (reason === "exists") {
    return NO_TICKET;
  }
  if (reason !== undefined) {
    // No room for a probe must not keep the endpoint out for ever. The state has its room: it is opened for as long as this takes.
    const ticket = now + breaker.probe_seconds;
    return store.set(state_key, ticket) === undefined ? ticket : NO_TICKET;
  }
  if (store.get(state_key) !== until) {
    // The probe before this one has reported just now.
    store.remove(probe_key);
    return NO_TICKET;
  }
  return until;
}

/** Gives back a probe that came to no outcome, as when the client has left: another request may probe at once. */
function drop_probe(breaker: Breaker, ticket: number): void {
  if (ticket !== NO_TICKET && breaker.store.get(breaker.state_key) === ticket) {
    breaker.store.remove(breaker.probe_key);
  }
}

/** Forgets the failures that led to an opening, so that the next one needs as many again. */
function empty_ring(breaker: Breaker): void {
  for (const place of $range(0, breaker.configuration.failures - 1)) {
    breaker.store.remove(`${breaker.ring_key}${place}`);
  }
}

/** Opens it from now on. Returns whether there was room. */
function open(breaker: Breaker, now: number): boolean {
  const opened = breaker.store.set(breaker.state_key, now + breaker.configuration.open) === undefined;
  // Only now: who probes looks at the state again once it has the probe.
  breaker.store.remove(breaker.probe_key);
  empty_ring(breaker);
  return opened;
}

/** Counts one more failure of all workers. Returns its number; `undefined` if there is no room. */
function count_failure(breaker: Breaker): number | undefined {
  const { store, count_key } = breaker;
  const number = store.increase(count_key, 1);
  if (number !== undefined) {
    return number;
  }
  const reason = store.add(count_key, 1);
  if (reason === "exists") {
    return store.increase(count_key, 1);
  }
  return reason === undefined ? 1 : undefined;
}

/** The endpoint has failed. `ticket`: from `take_probe`, or 0. Returns whether that opens the breaker, anew or again. */
function note_failure(breaker: Breaker, now: number, ticket: number): boolean {
  const { store, ring_key } = breaker;
  const { failures, window } = breaker.configuration;
  if (failures === 0) {
    return false;
  }
  const until = store.get(breaker.state_key) as number | undefined;
  if (until !== undefined) {
    return until === ticket && open(breaker, now);
  }
  const number = count_failure(breaker);
  if (number === undefined || store.set(`${ring_key}${number % failures}`, now, window + LAG_SECONDS) !== undefined) {
    return false;
  }
  const oldest = store.get(`${ring_key}${(number + 1) % failures}`) as number | undefined;
  return oldest !== undefined && now - oldest <= window && open(breaker, now);
}

/**
 * The endpoint has answered. `ticket`: from `take_probe`, or 0, which costs nothing. Returns whether that closes the breaker.
 */
function note_success(breaker: Breaker, ticket: number): boolean {
  const { store, state_key } = breaker;
  if (ticket === NO_TICKET || store.get(state_key) !== ticket) {
    return false;
  }
  store.remove(state_key);
  store.remove(breaker.probe_key);
  return true;
}

/** How it stands, for being looked at, and in how many seconds it may be probed. */
function state_of(breaker: Breaker, now: number): LuaMultiReturn<[state: BreakerState, seconds: number]> {
  if (breaker.configuration.failures === 0) {
    return $multi("closed", 0);
  }
  const until = breaker.store.get(breaker.state_key) as number | undefined;
  if (until === undefined) {
    return $multi("closed", 0);
  }
  if (now < until) {
    return $multi("open", until - now);
  }
  return $multi("half_open", 0);
}

export { Permission, drop_probe, may_try, new_breaker, note_failure, note_success, state_of, take_probe };
export type { Breaker, BreakerConfiguration, BreakerState };
