/**
 * What the outcome of an attempt means for the request: whether to try again, with whom, and when.
 *
 * What an upstream says of the account (401, 402, 403, 429) goes on at once with another account, whether or not the configuration
 * lists that status: it is the gateway's credential that was refused, not the client's request. Everything else, and those when there
 * is no other account, goes on only if the configuration lists it: at another endpoint, or at the same one if there is no other.
 *
 * A wait is drawn evenly from nothing up to a bound that doubles with each attempt, so that requests which failed together don't come
 * back together. What the upstream says with `Retry-After` holds only for who must come back to it.
 */

interface RetryConfiguration {
  /** Attempts in all, the first included: 1 to 8. */
  attempts: number;
  /** What to try again after: `connect`, `timeout`, and status codes. */
  on: (string | number)[];
  /** Milliseconds: the bound of the first wait. */
  backoff: number;
}

/** The configuration, made ready. */
interface Retry {
  attempts: number;
  backoff: number;
  on_connect: boolean;
  on_timeout: boolean;
  on_status: LuaTable<number, boolean>;
}

/** How an attempt has ended without an answer that the client has seen any of. */
const enum Outcome {
  /** There was no connection. */
  Connect = 1,
  /** The answer's header did not come in time. */
  Timeout = 2,
  /** The upstream has answered with a status code. */
  Status = 3,
  /** The connection broke before the answer's first byte. */
  Broken = 4,
}

/** Where the next attempt goes. */
const enum Next {
  /** There is none. */
  Nowhere = 0,
  Account = 1,
  Endpoint = 2,
  /** The same endpoint with the same account. */
  Same = 3,
}

/** nginx goes through so many locations for a request at most, and then gives up in its own way. */
const MOST_ATTEMPTS = 8;
/** Milliseconds: nobody waits longer for an attempt. */
const MOST_WAIT = 5000;

/** Makes the configuration ready. */
function compile_retry(configuration: RetryConfiguration): Retry {
  const retry: Retry = {
    attempts: configuration.attempts, backoff: configuration.backoff,
    on_connect: false, on_timeout: false, on_status: new LuaTable(),
  };
  for (const cause of configuration.on) {
    if (cause === "connect") {
      retry.on_connect = true;
    } else if (cause === "timeout") {
      retry.on_timeout = true;
    } else {
      retry.on_status.set(tonumber(cause)!, true);
    }
  }
  return retry;
}

/** Whether a status code is about the account. */
function is_of_account(status: number): boolean {
  return status === 401 || status === 402 || status === 403 || status === 429;
}

/** Whether the configuration lists an outcome. A connection that broke counts as one that could not be made. */
function is_listed(retry: Retry, outcome: Outcome, status: number): boolean {
  if (outcome === Outcome.Status) {
    return retry.on_status.has(status);
  }
  return outcome === Outcome.Timeout ? retry.on_timeout : retry.on_connect;
}

/** Whether a failure is one that somebody else could do better: it is about the account, or the configuration lists it. */
function is_retryable(retry: Retry, outcome: Outcome, status: number): boolean {
  return (outcome === Outcome.Status && is_of_account(status)) || is_listed(retry, outcome, status);
}

/** Milliseconds to wait after so many attempts. `random`: in [0, 1). */
function backoff_of(retry: Retry, made: number, random: number): number {
  return random * math.min(MOST_WAIT, retry.backoff * 2 ** (made - 1));
}

/**
 * Where the next attempt goes, and in how many milliseconds, at most 5000. `status`: the upstream's, 0 without one. `made`: attempts
 * made so far, the one that has just ended included. `retry_after`: milliseconds that the upstream said to wait, or −1. `random`: in
 * [0, 1). Whether there is another account, and another endpoint, that could be tried now is the caller's to know.
 */
function next_attempt(
  retry: Retry,
  outcome: Outcome,
  status: number,
  made: number,
  has_account: boolean,
  has_endpoint: boolean,
  retry_after: number,
  random: number,
): LuaMultiReturn<[next: Next, milliseconds: number]> {
  if (made >= retry.attempts) {
    return $multi(Next.Nowhere, 0);
  }
  if (has_account && outcome === Outcome.Status && is_of_account(status)) {
    return $multi(Next.Account, 0);
  }
  if (!is_listed(retry, outcome, status)) {
    return $multi(Next.Nowhere, 0);
  }
  const wait = backoff_of(retry, made, random);
  if (has_endpoint) {
    return $multi(Next.Endpoint, wait);
  }
  if (retry_after > MOST_WAIT) {
    return $multi(Next.Nowhere, 0);
  }
  return $multi(Next.Same, math.max(wait, retry_after));
}

export { MOST_ATTEMPTS, Next, Outcome, compile_retry, is_of_account, is_retryable, next_attempt };
export type { Retry, RetryConfiguration };
