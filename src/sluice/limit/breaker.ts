/**
 * Keeps a worker from knocking at a store that does not answer: after some failures in a row nobody asks it any more, but for one
 * probe now and then, until a probe succeeds. Times are in seconds on a clock that only goes forward.
 */

interface Breaker {
  /** Failures in a row. */
  failures: number;
  open: boolean;
  /** When the last probe began, or the breaker opened. */
  probed: number;
}

/** Failures in a row that open it. */
const MOST_FAILURES = 3;
/** Between two probes of the worker's timer. */
const PROBE_SECONDS = 1;
/** A worker that is being drained has no timers: when nobody has probed for so long, a request does. */
const FORGOTTEN_SECONDS = 3;

function new_breaker(): Breaker {
  return { failures: 0, open: false, probed: 0 };
}

/** Whether a request may ask the store. */
function may_ask(breaker: Breaker, now: number): boolean {
  if (!breaker.open) {
    return true;
  }
  if (now - breaker.probed < FORGOTTEN_SECONDS) {
    return false;
  }
  breaker.probed = now;
  return true;
}

/** Whether it is time for the timer to probe. */
function may_probe(breaker: Breaker, now: number): boolean {
  if (!breaker.open || now - breaker.probed < PROBE_SECONDS) {
    return false;
  }
  breaker.probed = now;
  return true;
}

/** The store has answered in the time that a request gives it. Returns whether that closes the breaker. */
function note_success(breaker: Breaker): boolean {
  const closes = breaker.open;
  breaker.failures = 0;
  breaker.open = false;
  return closes;
}

/** The store has not answered, or not as it should. Returns whether that opens the breaker. */
function note_failure(breaker: Breaker, now: number): boolean {
  breaker.failures += 1;
  if (breaker.open || breaker.failures < MOST_FAILURES) {
    return false;
  }
  breaker.open = true;
  breaker.probed = now;
  return true;
}

export { may_ask, may_probe, new_breaker, note_failure, note_success };
export type { Breaker };
