/**
 * Keeps requests away from an endpoint that keeps failing, until it is found that it answers again. All workers share what they know of
 * an endpoint; a worker of its own opinion would have to fail as often as all the others have.
 *
 * It opens when so many failures lie in the window that are also a certain share of the attempts that ended in it. A run of so many attempts
 * that all found nobody (refused, reset, silent, broken off) opens it without the share: answers from before the run say nothing of an
 * endpoint that is gone. Of a caller's failures that may be only its requests' fault, half of that number counts at most, rounded down,
 * unless the endpoint has served nobody in the window. A failure beyond that half is not counted among the ended attempts either.
 *
 * While it is open, three things can close it.
 * - The trial: once the open time is over, one request; of another caller than the last trial's, for as long as the open time once more. If
 *   it fails, the open time begins anew. Where the endpoint is asked whether it is well, the trial is the next such question, and a
 *   request only if none comes.
 * - A guest, which is a request of a caller that has met no failure there (breaker_guests). If it fails, nothing changes but that its
 *   caller has met one.
 *
 * How it lies in the shared dictionary, by endpoint, and why.
 * - The state: absent while the breaker is closed, which is all that a request looks at then; otherwise the time from which there may be
 *   a trial. Before it the breaker is open, from then on half open. That time also is the opening's name: whoever tries keeps it as its
 *   ticket, and what it finds counts only as long as that opening lasts. The ticket of a request that is no trial is negative.
 * - The trial: added by the request that has it, with a life as long as a request may take. So one whose worker was killed, or that
 *   reports nothing, makes way for the next. The guests: how many there are.
 * - The last failures and who met them (failure_list), and how many attempts have ended (ended_attempts).
 *
 * Requests that began before the breaker opened still end afterwards, well or badly. They change nothing, but that a caller is remembered.
 *
 * Limits, confessed. Whoever notes a failure holds a lock; if a worker that is alive does not let go of it, or the dictionary has no room
 * for it, it goes on without, and one of two failures that are noted at once may be lost. Between reading the state and
 * taking a trial another worker may write it; the worst that comes of it is one more request to the endpoint, or one more open time. A
 * dictionary that has no room holds no new failures, so nothing opens then.
 *
 * Times are seconds on a clock that only goes forward and is the same for all workers.
 */

import { fail_guest, leave_guest } from "./breaker_guests";
import { NO_TICKET, opening, release_lock, take_lock } from "./breaker_state";
import { count_ended, ended_well, ended_within, forget_failed } from "./ended_attempts";
import { Evidence } from "./evidence";
import {
  add_failure, count_failures, count_run, doubtful_of, forget_failures, load_failures, remove_failures, save_failures, set_last_trial,
} from "./failure_list";
import type { Breaker } from "./breaker_state";

/** Shares are compared as if they were so much larger: they are made of fractions that don't come out even. */
const ROUNDING = 1e-9;

/** Opens it from now on. Returns whether there was room. */
function open(breaker: Breaker, now: number): boolean {
  const { dictionary } = breaker.worker;
  const opened = dictionary.set(breaker.state_key, now + breaker.configuration.open) === undefined;
  // Only now: who tries looks at the state again once it has the trial.
  dictionary.remove(breaker.trial_key);
  return opened;
}

/** Closes it, if that opening still lasts: it needs as many failures again. Returns whether that closes it. */
function close(breaker: Breaker, now: number, until: number): boolean {
  const { dictionary } = breaker.worker;
  const held = take_lock(breaker);
  const closes = opening(breaker) === until;
  if (closes) {
    remove_failures(breaker.failures);
    forget_failed(breaker.ended, now);
    dictionary.remove(breaker.state_key);
    dictionary.remove(breaker.trial_key);
    dictionary.remove(breaker.guest_key);
  }
  release_lock(breaker, held);
  return closes;
}

/** Begins the open time anew, if that opening still lasts. `mark`: of the caller whose request has failed; 0: there is none. */
function reopen(breaker: Breaker, now: number, until: number, mark: number): boolean {
  if (opening(breaker) !== until) {
    return false;
  }
  if (mark !== 0) {
    set_last_trial(mark);
    save_failures(breaker.failures);
  }
  return open(breaker, now);
}

/** A failure has been met while it was open. Returns whether that opens it again. */
function fail_open(breaker: Breaker, now: number, until: number, evidence: Evidence, mark: number, ticket: number): boolean {
  load_failures(breaker.failures);
  add_failure(breaker.failures, now, mark, evidence === Evidence.Doubtful);
  save_failures(breaker.failures);
  if (ticket < 0) {
    fail_guest(breaker, now);
  }
  return ticket === until && reopen(breaker, now, until, mark);
}

/** A failure has been met while it was closed. Returns whether that opens it. */
function fail_closed(breaker: Breaker, now: number, evidence: Evidence, mark: number): boolean {
  const { failures, ended } = breaker;
  const { share, window } = breaker.configuration;
  const [served, answered, failed, has_served] = ended_within(ended, now);
  const since = now - window;
  const most = has_served ? math.floor(breaker.configuration.failures / 2) : math.huge;
  const doubtful = evidence === Evidence.Doubtful;
  load_failures(failures);
  if (doubtful && doubtful_of(failures, mark, since) >= most) {
    return false;
  }
  count_ended(ended, ended.failed, now);
  add_failure(failures, now, mark, doubtful);
  const run = count_run(evidence === Evidence.Lost, ended_well(ended));
  const counted = count_failures(failures, since, most);
  // The counters' windows begin a little vaguely; these failures are known to lie in it.
  const all_failed = math.max(counted, failed + 1);
  const is_share = all_failed + ROUNDING >= share * (all_failed + served + answered);
  const opens = counted >= breaker.configuration.failures && (is_share || run >= breaker.configuration.failures);
  if (opens) {
    forget_failures(failures, since);
  }
  return save_failures(failures) && opens && open(breaker, now);
}

/** An attempt that has been counted as served when its answer began has ended otherwise. */
function take_back_served({ worker, ended }: Breaker): void {
  worker.dictionary.increase(ended.served, -1);
}

/**
 * The endpoint has failed a request. `evidence`: how. `mark`: the caller's. `counts`: it is the request's first failure there. `ticket`: from
 * `take_trial` or `enter`, or 0. `begun`: what `note_begun` has returned. Returns whether that opens the breaker, anew or again.
 */
function note_failure(
  breaker: Breaker, now: number, evidence: Evidence, mark: number, counts: boolean, ticket: number, begun: boolean,
): boolean {
  if (begun) {
    take_back_served(breaker);
  }
  if (breaker.configuration.failures === 0 || (!counts && ticket === NO_TICKET)) {
    return false;
  }
  const held = take_lock(breaker);
  const until = opening(breaker);
  let opens = false;
  if (until !== undefined) {
    opens = fail_open(breaker, now, until, evidence, mark, ticket);
  } else {
    opens = counts && fail_closed(breaker, now, evidence, mark);
    if (ticket < 0) {
      fail_guest(breaker, now);
    }
  }
  release_lock(breaker, held);
  return opens;
}

/**
 * What a request has found that tried an open endpoint, without whose ticket this does nothing. `served`: else it has only been answered,
 * which is enough for a trial. Returns whether that closes the breaker.
 */
function settle_ticket(breaker: Breaker, now: number, served: boolean, ticket: number): boolean {
  if (ticket < 0) {
    leave_guest(breaker);
    // Whatever has opened it meanwhile: it serves now.
    const until = served ? opening(breaker) : undefined;
    return until !== undefined && close(breaker, now, until);
  }
  return ticket !== NO_TICKET && close(breaker, now, ticket);
}

/**
 * A good answer to a request has begun. That is enough to close the breaker if it has a ticket, and then the endpoint has served
 * somebody: else one caller's failures would count in full until the answer has ended. Returns whether it has been counted as served,
 * which whoever notes how the attempt has ended says again.
 */
function note_begun(breaker: Breaker, now: number, ticket: number): boolean {
  const closes = settle_ticket(breaker, now, true, ticket);
  if (closes) {
    count_ended(breaker.ended, breaker.ended.served, now);
  }
  return closes;
}

/**
 * An attempt has ended without a failure. `served`: else it has only been answered. `ticket`: from `take_trial` or `enter`, or 0. `begun`:
 * what `note_begun` has returned. Without a ticket it is one operation of the dictionary, mostly. Returns whether that closes the breaker.
 */
function note_end(breaker: Breaker, now: number, served: boolean, ticket: number, begun: boolean): boolean {
  const { configuration, ended } = breaker;
  if (configuration.failures === 0) {
    return false;
  }
  const closes = settle_ticket(breaker, now, served, ticket);
  if (begun && served) {
    return closes;
  }
  if (begun) {
    take_back_served(breaker);
  }
  count_ended(ended, served ? ended.served : ended.answered, now);
  return closes;
}

/** The endpoint was asked whether it is well. That is the trial if the breaker is half open. */
function note_check(breaker: Breaker, now: number, good: boolean): void {
  const until = breaker.configuration.failures === 0 ? undefined : opening(breaker);
  if (until === undefined || now < until) {
    return;
  }
  if (good) {
    close(breaker, now, until);
  } else {
    reopen(breaker, now, until, 0);
  }
}

export { note_begun, note_check, note_end, note_failure };
