/**
 * Chooses for a pool whose endpoints have accounts of their own: an endpoint, and one of the accounts that it is asked with. An
 * endpoint whose accounts all rest or cool down, or were used by the request, is passed over as long as there is another.
 */

import { monotonic } from "../edge/clock";
import { is_used, longest_resting, next_account } from "../pool/accounts";
import { drop_ticket } from "../pool/breaker_trial";
import { MOST_WAIT_SECONDS, SPREAD_SECONDS, choose_endpoint, free_endpoint, refuse_for_now, use_account } from "./choosing";
import { is_over_time } from "./deadline";
import { pause } from "./waiting";
import type { LivePool } from "../pool/live";
import type { Endpoint, Pool } from "../pool/pools";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

/** Whether the endpoint that was chosen last was among those from `before` on already. */
function is_repeated(state: RequestState, before: number): boolean {
  const { tried, tried_count } = state;
  for (const place of $range(before, tried_count - 2)) {
    if (tried[place] === tried[tried_count - 1]) {
      return true;
    }
  }
  return false;
}

/** Gives the chosen endpoint back, which the request does not go to. */
function pass_over(state: RequestState, live: LivePool): void {
  drop_ticket(live.breakers[state.endpoint!.index]!, state.ticket);
  state.ticket = 0;
  free_endpoint(state, live);
}

/** The request goes to the endpoint that was chosen last: those from `before` on that were passed over were not tried. */
function stay(state: RequestState, before: number): void {
  state.tried[before] = state.endpoint!.index;
  state.tried_count = before + 1;
}

/**
 * Takes an account of the chosen endpoint if one may be used at once. Returns in how many seconds one may; 0: only one that was
 * used; −1: all rest.
 */
function take_free(state: RequestState, pool: Pool, live: LivePool, endpoint: Endpoint): LuaMultiReturn<[taken: boolean, seconds: number]> {
  const { accounts } = live;
  const [index, seconds, ticket] = next_account(accounts, state.used_accounts, monotonic(), endpoint.first_account, endpoint.account_end);
  const is_free = index >= 0 && seconds <= 0 && (ticket !== 0 || !is_used(state.used_accounts, index));
  if (is_free) {
    use_account(state, pool, index, ticket);
  }
  return $multi(is_free, index >= 0 ? seconds : -1);
}

/**
 * Chooses an endpoint with an account that may be used at once. Returns a refusal, or in how many seconds there may be one if
 * `state.taken` says that there is none; −1: all rest.
 */
function choose_free(state: RequestState, pool: Pool, live: LivePool): LuaMultiReturn<[refusal: Refusal | undefined, seconds: number]> {
  const before = state.tried_count;
  let soonest = -1;
  for (const _ of $range(0, pool.endpoints.length)) {
    const refusal = choose_endpoint(state, pool, live);
    if (refusal !== undefined) {
      state.tried_count = before;
      return $multi(refusal, 0);
    }
    const repeated = is_repeated(state, before);
    if (!repeated) {
      const [taken, seconds] = take_free(state, pool, live, state.endpoint!);
      if (taken) {
        stay(state, before);
        return $multi(undefined, 0);
      }
      soonest = seconds >= 0 && (soonest < 0 || seconds < soonest) ? seconds : soonest;
    }
    pass_over(state, live);
    if (repeated) {
      break;
    }
  }
  state.tried_count = before;
  return $multi(undefined, soonest);
}

/** Chooses an endpoint, and the best of its accounts, whatever is wrong with that. */
function choose_any(state: RequestState, pool: Pool, live: LivePool): Refusal | undefined {
  const refusal = choose_endpoint(state, pool, live);
  if (refusal !== undefined) {
    return refusal;
  }
  const { account_end, first_account } = state.endpoint!;
  const [index, , ticket] = next_account(live.accounts, state.used_accounts, monotonic(), first_account, account_end);
  if (index >= 0) {
    use_account(state, pool, index, ticket);
  } else {
    const [resting, trial] = longest_resting(live.accounts, first_account, account_end);
    use_account(state, pool, resting, trial);
  }
  return undefined;
}

/** Chooses an endpoint and an account, and waits for one if that is short. Returns a refusal if there are none now. */
function choose_with_own(state: RequestState, pool: Pool, live: LivePool): Refusal | undefined {
  const end = monotonic() + MOST_WAIT_SECONDS;
  for (;;) {
    const [refusal, seconds] = choose_free(state, pool, live);
    if (refusal !== undefined || state.taken) {
      return refusal;
    }
    if (seconds <= 0) {
      return choose_any(state, pool, live);
    }
    const now = monotonic();
    if (now + seconds > end || is_over_time(state, now, seconds)) {
      return refuse_for_now("pool_saturated", seconds * 1000);
    }
    pause(state, seconds + SPREAD_SECONDS * math.random());
  }
}

export { choose_with_own };
