/**
 * Chooses what an attempt needs: an account, an endpoint, and its address. Each may have to be waited for. What is taken here is given
 * back when the attempt has ended, or when the request ends while it still waits.
 */

import { monotonic } from "../edge/clock";
import { digest_text } from "../edge/request";
import { drop_trial } from "../pool/account_states";
import { longest_resting, mark_used, next_account } from "../pool/accounts";
import { drop_ticket } from "../pool/breaker_trial";
import { leave_endpoint, make_live } from "../pool/live";
import { pick_endpoint, pick_pinned } from "../pool/pick_endpoint";
import { refuse } from "../wire/refusal";
import { is_over_time } from "./deadline";
import { has_next_model } from "./fallback";
import { gateway } from "./gateway";
import { is_crowded, offer_place, pause, wait_for_place } from "./waiting";
import type { LivePool } from "../pool/live";
import type { Pool } from "../pool/pools";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

const sub = string.sub;

/** The longest that a request waits for an account that cools down, in seconds; and by how much more at random, lest all come at once. */
const MOST_WAIT_SECONDS = 5;
const SPREAD_SECONDS = 0.05;
/** When a client may come back to a pool that can't take its request, in milliseconds. */
const COME_BACK_MS = 1000;

/** What this worker knows of a pool. Undefined: nginx.conf has no dictionary for it. */
function live_pool(pool: Pool): LivePool | undefined {
  if (pool.live !== undefined) {
    return pool.live;
  }
  const { flights, pools, prefixes } = gateway();
  if (flights !== undefined && pools !== undefined) {
    const secrets: string[] = [];
    for (const { api_key, authorization, id, x_api_key } of pool.accounts) {
      secrets.push(`${id}:${sub(digest_text(authorization + x_api_key + api_key), 1, 16)}`);
    }
    const seconds = pool.connect_timeout + pool.send_timeout + pool.read_timeout;
    pool.live = make_live(pool, pools, flights, secrets, ngx.worker.id() / ngx.worker.count(), seconds, prefixes);
  }
  return pool.live;
}

function refuse_for_now(code: "pool_saturated" | "no_healthy_endpoint", milliseconds: number): Refusal {
  const message = code === "pool_saturated" ? "All endpoints have as much to do as they can." : "No endpoint can take the request now.";
  const refusal = refuse(503, "overloaded_error", code, message);
  refusal.retry_after_ms = math.ceil(milliseconds);
  return refusal;
}

function use_account(state: RequestState, pool: Pool, index: number, ticket: number): void {
  state.account = pool.accounts[index];
  state.account_index = index;
  state.account_ticket = ticket;
  mark_used(state.used_accounts, index);
}

/** Waits for an account until one may be used; or refuses, if that takes too long. */
function wait_for_account(state: RequestState, pool: Pool, live: LivePool, first_wait: number): Refusal | undefined {
  const end = monotonic() + MOST_WAIT_SECONDS;
  let wait = first_wait;
  while (wait > 0) {
    const now = monotonic();
    if (now + wait > end || is_over_time(state, now, wait)) {
      return refuse_for_now("pool_saturated", wait * 1000);
    }
    pause(state, wait + SPREAD_SECONDS * math.random());
    const [index, seconds, ticket] = next_account(live.accounts, state.used_accounts, monotonic());
    if (index < 0) {
      break;
    }
    if (seconds <= 0) {
      use_account(state, pool, index, ticket);
      return undefined;
    }
    wait = seconds;
  }
  const [index, ticket] = longest_resting(live.accounts);
  use_account(state, pool, index, ticket);
  return undefined;
}

/** Chooses the account, and waits for it if that is short. */
function choose_account(state: RequestState, pool: Pool, live: LivePool): Refusal | undefined {
  if (state.pin !== undefined) {
    use_account(state, pool, state.pin.account, 0);
    return undefined;
  }
  if (pool.accounts.length === 1) {
    // Whatever is wrong with it, there is no other.
    use_account(state, pool, 0, 0);
    return undefined;
  }
  const [index, seconds, ticket] = next_account(live.accounts, state.used_accounts, monotonic());
  if (index < 0) {
    const [resting, trial] = longest_resting(live.accounts);
    use_account(state, pool, resting, trial);
    return undefined;
  }
  if (seconds > 0) {
    return wait_for_account(state, pool, live, seconds);
  }
  use_account(state, pool, index, ticket);
  return undefined;
}

/**
 * Chooses the endpoint, which counts the request from then on; waits in the pool's queue if all are full, or none works but one that another
 * request is trying. For the latter only if there is no other model to go on to.
 */
function choose_endpoint(state: RequestState, pool: Pool, live: LivePool): Refusal | undefined {
  const { pin } = state;
  const crowded = pin === undefined && is_crowded(pool, live);
  let found = pin !== undefined ? pick_pinned(pool, live, pin.endpoint, monotonic(), state.principal!) : crowded ? undefined : pick_endpoint(pool, live, state.tried, state.tried_count, monotonic(), state.principal!, state.conversation);
  const awaited = found !== undefined && found.awaited && found.endpoint === undefined && !found.saturated;
  if (found === undefined || (found.saturated && pin === undefined) || (awaited && !has_next_model(state))) {
    found = wait_for_place(state, pool, live, crowded);
  }
  if (found === undefined || found.endpoint === undefined) {
    drop_trial(live.accounts, state.account_index, state.account_ticket);
    const is_full = found === undefined ? !awaited : found.saturated;
    return refuse_for_now(is_full ? "pool_saturated" : "no_healthy_endpoint", COME_BACK_MS);
  }
  state.endpoint = found.endpoint;
  state.ticket = found.ticket;
  state.counted = found.counted;
  state.taken = true;
  state.tried[state.tried_count] = found.endpoint.index;
  state.tried_count += 1;
  return undefined;
}

/** The endpoint has sent its whole answer, and may have another request. What the attempt says of it is noted later. */
function leave_early(state: RequestState, live: LivePool): void {
  if (state.counted) {
    state.counted = false;
    leave_endpoint(live, state.endpoint!);
    if (live.queue.size > 0) {
      offer_place(live);
    }
  }
}

/** The endpoint is free again, and whoever waits for it may have it. */
function free_endpoint(state: RequestState, live: LivePool): void {
  state.taken = false;
  leave_early(state, live);
}

/** Nothing has come of the endpoint and the account: their trials are others' to make. */
function drop_tickets(state: RequestState, live: LivePool): void {
  drop_ticket(live.breakers[state.endpoint!.index]!, state.ticket);
  drop_trial(live.accounts, state.account_index, state.account_ticket);
}

export {
  COME_BACK_MS, MOST_WAIT_SECONDS, SPREAD_SECONDS, choose_account, choose_endpoint, drop_tickets, free_endpoint, leave_early, live_pool,
  refuse_for_now, use_account,
};
