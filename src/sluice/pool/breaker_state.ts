/** The breaker of an endpoint: what a worker keeps of it, and where the rest lies in the shared dictionary. See breaker.ts. */

import { new_ended_attempts } from "./ended_attempts";
import { new_failure_list } from "./failure_list";
import { Hold, lock, unlock } from "./lock";
import type { EndedAttempts } from "./ended_attempts";
import type { FailureList } from "./failure_list";
import type { Worker } from "./workers";

interface BreakerConfiguration {
  /** So many failures open it; 0: nothing does. */
  failures: number;
  /** Seconds within which they count. */
  window: number;
  /** Seconds for which it stays open before there may be a trial. */
  open: number;
  /** They must be this share of the attempts that ended in the window. */
  share: number;
}

interface Breaker {
  worker: Worker;
  configuration: BreakerConfiguration;
  /** Seconds that a trial may take until it reports. */
  trial_seconds: number;
  /** Seconds for which a trial is left to who asks whether the endpoint is well; 0: nobody does. */
  check_seconds: number;
  state_key: string;
  trial_key: string;
  guest_key: string;
  lock_key: string;
  ended: EndedAttempts;
  failures: FailureList;
}

type BreakerState = "closed" | "open" | "half_open";

/** Of a request that is neither a trial nor a guest. */
const NO_TICKET = 0;
/** The dictionary's clock may lag behind ours by so many seconds. */
const LAG_SECONDS = 5;

/**
 * A worker's view of an endpoint's breaker. `name` is the endpoint's, the same in all workers; breakers of one name are one breaker.
 * `trial_seconds`: how long a request may take until its outcome is known. `check_seconds`: within how many seconds somebody asks
 * whether the endpoint is well; 0: nobody does.
 */
function new_breaker(worker: Worker, name: string, configuration: BreakerConfiguration, trial_seconds: number, check_seconds: number): Breaker {
  const { failures, open, window } = configuration;
  const { dictionary } = worker;
  const state_key = `breaker:${name}`;
  return {
    worker, configuration, trial_seconds, state_key,
    check_seconds: check_seconds > 0 ? math.max(check_seconds, open) : 0,
    trial_key: `${state_key}:trial`,
    guest_key: `${state_key}:guest`,
    lock_key: `${state_key}:lock`,
    ended: new_ended_attempts(dictionary, state_key, window),
    failures: new_failure_list(dictionary, state_key, failures, 2 * (window + open) + LAG_SECONDS),
  };
}

/** Since when it is half open, or from when on it will be; undefined: it is closed. */
function opening(breaker: Breaker): number | undefined {
  return breaker.worker.dictionary.get(breaker.state_key) as number | undefined;
}

/** Takes the lock. Returns whether it has it: if not, what follows goes on without. */
function take_lock({ lock_key, worker }: Breaker): boolean {
  if (worker.number === 0) {
    return false;
  }
  const hold = lock(worker, lock_key);
  return hold === Hold.Held || hold === Hold.TakenOver;
}

function release_lock({ lock_key, worker }: Breaker, held: boolean): void {
  if (held) {
    unlock(worker, lock_key);
  }
}

/** How it stands, for being looked at, and in how many seconds there may be a trial. */
function state_of(breaker: Breaker, now: number): LuaMultiReturn<[state: BreakerState, seconds: number]> {
  const until = breaker.configuration.failures === 0 ? undefined : opening(breaker);
  if (until === undefined) {
    return $multi("closed", 0);
  }
  if (now < until) {
    return $multi("open", until - now);
  }
  return $multi("half_open", 0);
}

export { NO_TICKET, new_breaker, opening, release_lock, state_of, take_lock };
export type { Breaker, BreakerConfiguration, BreakerState };
