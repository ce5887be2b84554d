/** The trial: the one request that may try an endpoint whose breaker is half open, once the open time is over. See breaker.ts. */

import { leave_guest } from "./breaker_guests";
import { NO_TICKET, opening } from "./breaker_state";
import { last_trial, load_failures } from "./failure_list";
import type { Breaker } from "./breaker_state";

/** What a request may do with an endpoint. */
const enum Permission {
  No = 0,
  Yes = 1,
  /** Only if `take_trial` gives it a ticket. */
  Trial = 2,
}

/** What any request may do. One look into the dictionary while the breaker is closed, two at most. */
function may_try(breaker: Breaker, now: number): Permission {
  if (breaker.configuration.failures === 0) {
    return Permission.Yes;
  }
  const until = opening(breaker);
  if (until === undefined) {
    return Permission.Yes;
  }
  if (now < until + breaker.check_seconds || breaker.worker.dictionary.get(breaker.trial_key) !== undefined) {
    return Permission.No;
  }
  return Permission.Trial;
}

/** Whether the trial must rather be another caller's. `mark`: of the caller (`mark_of`). */
function must_wait(breaker: Breaker, now: number, mark: number): boolean {
  const until = opening(breaker);
  if (until === undefined || now >= until + breaker.check_seconds + breaker.configuration.open) {
    return false;
  }
  load_failures(breaker.failures);
  return last_trial() === mark;
}

/**
 * Takes the trial of a breaker that is half open, which one request of all workers gets. Returns the ticket to be given with
 * the outcome, or 0: no right, and the request goes elsewhere.
 */
function take_trial(breaker: Breaker, now: number): number {
  const { state_key, trial_key, trial_seconds } = breaker;
  const { dictionary } = breaker.worker;
  if (breaker.configuration.failures === 0) {
    return NO_TICKET;
  }
  const until = opening(breaker);
  if (until === undefined || now < until + breaker.check_seconds) {
    return NO_TICKET;
  }
  const reason = dictionary.add(trial_key, until, trial_seconds);
  if (reason === "exists") {
    return NO_TICKET;
  }
  if (reason !== undefined) {
    // No room for a trial must not keep the endpoint out for ever. The state has its room: it is opened for as long as this takes.
    const ticket = now + trial_seconds;
    return dictionary.set(state_key, ticket) === undefined ? ticket : NO_TICKET;
  }
  if (opening(breaker) !== until) {
    // The trial before this one has reported just now.
    dictionary.remove(trial_key);
    return NO_TICKET;
  }
  return until;
}

/** Gives a ticket back that came to no outcome, as when the client has left: another request may try at once. */
function drop_ticket(breaker: Breaker, ticket: number): void {
  if (ticket < 0) {
    leave_guest(breaker);
  } else if (ticket !== NO_TICKET && opening(breaker) === ticket) {
    breaker.worker.dictionary.remove(breaker.trial_key);
  }
}

export { Permission, drop_ticket, may_try, must_wait, take_trial };
