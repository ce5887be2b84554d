/**
 * Guests: requests of callers that have met no failure at an endpoint, which may go there while its breaker is open. See breaker.ts.
 *
 * There is one guest at first, for the endpoint is probably ill. But the header of an answer may take long, and nothing is known until it
 * comes; so while no guest fails, twice as many may be there each half second, and nobody who has done nothing wrong waits long. A guest that
 * fails takes the number back to one.
 *
 * How they lie in the shared dictionary, and why: in one number, the time since which none has failed, in milliseconds, and how many there
 * are. So workers add and subtract without a lock. The entry lives as long as a request may take, so that guests whose workers were
 * killed do not count for ever. One that ends later than its entry is taken off the next guests, which lets one more of those in.
 */

import { NO_TICKET, opening } from "./breaker_state";
import { has_failure, load_failures } from "./failure_list";
import type { Breaker } from "./breaker_state";

/** What comes of asking for an open endpoint without a trial. */
const enum Entry {
  /** The caller has met a failure there. */
  No = 0,
  /** As many such requests are there as may be. */
  Busy = 1,
  /** The breaker is closed by now. */
  Closed = 2,
  /** The request may go there, with a ticket. */
  Guest = 3,
}

/** After so many milliseconds without a failure twice as many may be there. */
const DOUBLING = 500;
/** More are never there at once. */
const MOST_GUESTS = 1024;
/** The number's lower part, which holds how many there are. */
const COUNT_RANGE = 65536;

function milliseconds(now: number): number {
  return math.floor(now * 1000);
}

/** How many may be there, the last failure being so many milliseconds ago. */
function most_guests(quiet: number): number {
  return math.min(MOST_GUESTS, 2 ** math.floor(quiet / DOUBLING));
}

/** Whether an endpoint's breaker is open and a caller may be the next guest, once there is room. `mark`: the caller's. */
function may_enter(breaker: Breaker, mark: number): boolean {
  if (breaker.configuration.failures === 0 || opening(breaker) === undefined) {
    return false;
  }
  load_failures(breaker.failures);
  return !has_failure(breaker.failures, mark);
}

/** Counts one guest more, if there is room. */
function add_guest(breaker: Breaker, now: number): Entry {
  const { guest_key, trial_seconds, worker } = breaker;
  const { dictionary } = worker;
  const guests = dictionary.get(guest_key) as number | undefined;
  if (guests === undefined) {
    const reason = dictionary.add(guest_key, milliseconds(now) * COUNT_RANGE + 1, trial_seconds);
    return reason === undefined ? Entry.Guest : reason === "exists" ? Entry.Busy : Entry.No;
  }
  const quiet = milliseconds(now) - math.floor(guests / COUNT_RANGE);
  if (guests % COUNT_RANGE >= most_guests(quiet)) {
    return Entry.Busy;
  }
  return dictionary.increase(guest_key, 1) !== undefined ? Entry.Guest : Entry.Busy;
}

/** Lets a request of a caller that has met no failure there go to an open endpoint. Returns the ticket too, which is negative. */
function enter(breaker: Breaker, now: number, mark: number): LuaMultiReturn<[entry: Entry, ticket: number]> {
  const until = opening(breaker);
  if (until === undefined) {
    return $multi(Entry.Closed, NO_TICKET);
  }
  load_failures(breaker.failures);
  if (has_failure(breaker.failures, mark)) {
    return $multi(Entry.No, NO_TICKET);
  }
  const entry = add_guest(breaker, now);
  return $multi(entry, entry === Entry.Guest ? -until : NO_TICKET);
}

/** A guest is not there any more. */
function leave_guest(breaker: Breaker): void {
  const { guest_key, worker } = breaker;
  const guests = worker.dictionary.increase(guest_key, -1);
  if (guests !== undefined && guests % COUNT_RANGE === 0) {
    worker.dictionary.remove(guest_key);
  }
}

/** A guest has failed: no other comes before those have ended that are still there. */
function fail_guest(breaker: Breaker, now: number): void {
  leave_guest(breaker);
  const { guest_key, worker } = breaker;
  const guests = worker.dictionary.get(guest_key) as number | undefined;
  if (guests !== undefined) {
    worker.dictionary.increase(guest_key, (milliseconds(now) - math.floor(guests / COUNT_RANGE)) * COUNT_RANGE);
  }
}

export { Entry, enter, fail_guest, leave_guest, may_enter };
