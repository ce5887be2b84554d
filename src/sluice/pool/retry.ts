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
  /** What to try again after: `connect`, `timeout`, `read_timeout`, and status codes. */
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
  on_read_timeout: boolean;
  on_status: LuaTable<number, boolean>;
}

/** How an attempt has ended without an answer that the client has seen any of. */
const enum Outcome {
  /** There was no connection. */
  Connect = 1,
  /** The header of a stream did not come in time, though its first token is due soon. */
  Timeout = 2,
  /** The upstream has answered with a status code. */
  Status = 3,
  /** The connection broke before the answer's first byte. */
  Broken = 4,
  /** A connection was not made in time. */
  ConnectTimeout = 5,
  /**
   * The header of an answer that is no stream did not come in time: it comes with the whole answer, on which the upstream may
   * still work.
   */
  ReadTimeout = 6,
}

/** Where the next attempt goes. */
const enum Next {
  /** There is none. */
  Nowhere = 0,
  Account = 1,
  Endpoint = 2,
  /** The same endpoint with the same account. */
  Same = 3,
  /** The same account once more, and for the last time: for what its answer says, which nginx has dropped. */
  Words = 4,
}

/** nginx goes through so many locations for a request at most, and then gives up in its own way. */
const MOST_ATTEMPTS = 8;
/** Milliseconds: nobody waits longer for an attempt. */
const MOST_WAIT = 5000;

/** Makes the configuration ready. */
function compile_retry(configuration: RetryConfiguration): Retry {
  const retry: Retry = {
    attempts: configuration.attempts, backoff: configuration.backoff,
    on_connect: false, on_timeout: false, on_read_timeout: false, on_status: new LuaTable(),
  };
  for (const cause of configuration.on) {
    if (cause === "connect") {
      retry.on_connect = true;
    } else if (cause === "timeout") {
      retry.on_timeout = true;
    } else if (cause === "read_timeout") {
      retry.on_read_timeout = true;
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

/**
 * Whether the configuration lists an outcome. A connection that broke counts as one that could not be made, and one that was
 * not made in time as either. The silence of a request that is no stream has a name of its own: sent again, it is worked on,
 * and paid, once more.
 */
function is_listed(retry: Retry, outcome: Outcome, status: number): boolean {
  if (outcome === Outcome.Status) {
    return retry.on_status.has(status);
  }
  if (outcome === Outcome.ReadTimeout) {
    return retry.on_read_timeout;
  }
  if (outcome === Outcome.ConnectTimeout) {
    return retry.on_connect || retry.on_timeout;
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

/**
 * Where a request goes after a 403, which may be about the account or about what the request says. So one other account is
 * asked at most: several would only send what was flagged to each of them. Without another one the same account is asked again,
 * in the location that can read what it says. `made`, `attempts`: how many attempts there were, and may be. `again`: it is not
 * the first 403. `has_model`: another model is left, which is asked instead of reading.
 */
function after_forbidden(made: number, attempts: number, again: boolean, has_account: boolean, has_model: boolean): Next {
  if (made >= attempts || again) {
    return Next.Nowhere;
  }
  if (has_account) {
    return Next.Account;
  }
  return has_model ? Next.Nowhere : Next.Words;
}

export { MOST_ATTEMPTS, Next, Outcome, after_forbidden, compile_retry, is_of_account, is_retryable, next_attempt };
export type { Retry, RetryConfiguration };
