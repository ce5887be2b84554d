/**
 * The attempts of a request. Each is a choice of an endpoint and an account, and a trip through one of nginx's locations
 * (server.conf): one that fails before anything has reached the client comes to `again`, where the next is chosen; the last that is
 * left goes through `last`.
 */

import { monotonic, realtime } from "../edge/clock";
import { digest_text, header, sleep } from "../edge/request";
import {
  direct, direct_more, go_on_in, passing_request_id, upstream_answered, upstream_connected, upstream_retry_after, upstream_status,
} from "../edge/upstream";
import { begin_attempt, end_attempt, endpoint_meter } from "../metrics/meter";
import { drop_trial, note_accepted, note_limited, note_refused } from "../pool/account_states";
import { has_other_account, longest_resting, mark_used, next_account } from "../pool/accounts";
import { drop_probe, note_failure, note_success } from "../pool/breaker";
import { USER_AGENT } from "../pool/headers";
import { has_other_endpoint, leave_endpoint, make_live, pick_endpoint } from "../pool/live";
import { address_of } from "../pool/names";
import { Next, Outcome, is_retryable, next_attempt } from "../pool/retry";
import { read_retry_after } from "../pool/retry_after";
import { upstream_of } from "../route/table";
import { refuse } from "../wire/refusal";
import { is_over_time, refuse_over_time, which_timeout } from "./deadline";
import { has_next_model, most_attempts, next_model, own_attempts } from "./fallback";
import { gateway } from "./gateway";
import { send_refusal } from "./refusals";
import { kept_state } from "./state";
import type { LivePool } from "../pool/live";
import type { Account, Endpoint, Pool } from "../pool/pools";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

const match = string.match;
const sub = string.sub;

/** The longest that a request waits for an account that cools down, in seconds. */
const MOST_WAIT_SECONDS = 5;
/** Timers may come a little early. */
const MOMENT_SECONDS = 0.005;
/** When a client may come back to a pool that can't take its request, in milliseconds. */
const COME_BACK_MS = 1000;

/** What this worker knows of a pool. */
function live_pool(pool: Pool): LivePool | undefined {
  const { flights, pools } = gateway();
  if (pool.live === undefined && flights !== undefined && pools !== undefined) {
    const secrets: string[] = [];
    for (const { api_key, authorization, id, x_api_key } of pool.accounts) {
      secrets.push(`${id}:${sub(digest_text(authorization + x_api_key + api_key), 1, 16)}`);
    }
    const seconds = pool.connect_timeout + pool.send_timeout + pool.read_timeout;
    pool.live = make_live(pool, pools, flights, secrets, ngx.worker.id() / ngx.worker.count(), seconds);
  }
  return pool.live;
}

/** The trace context for the upstream (W3C Trace Context): the client's if it sent a valid one, else a new one. */
function trace_context(state: RequestState): string {
  const sent = header("traceparent");
  if (sent !== undefined && sent.length === 55 && match(sent, "^00%-%x+%-%x+%-%x%x$")[0] !== undefined) {
    return sent;
  }
  return `00-${state.id}-${sub(state.id, 9, 24)}-01`;
}

function refuse_exhausted(): Refusal {
  const refusal = refuse(502, "upstream_error", "upstream_credentials_exhausted", "The model server refuses the gateway's accounts.");
  refusal.retry = false;
  return refusal;
}

function refuse_for_now(code: "pool_saturated" | "no_healthy_endpoint", milliseconds: number): Refusal {
  const message = code === "pool_saturated" ? "All endpoints have as much to do as they can." : "No endpoint can take the request now.";
  const refusal = refuse(503, "overloaded_error", code, message);
  refusal.retry_after_ms = math.ceil(milliseconds);
  return refusal;
}

/** Chooses the account, and waits for it if that is short. */
function choose_account(state: RequestState, pool: Pool, live: LivePool): Refusal | undefined {
  if (pool.accounts.length === 1) {
    // Whatever is wrong with it, there is no other.
    state.account = pool.accounts[0];
    state.account_index = 0;
    state.account_ticket = 0;
    mark_used(state.used_accounts, 0);
    return undefined;
  }
  let [index, seconds, ticket] = next_account(live.accounts, state.used_accounts, monotonic());
  if (index >= 0 && seconds > 0 && seconds <= MOST_WAIT_SECONDS && !is_over_time(state, monotonic(), seconds)) {
    sleep(seconds + MOMENT_SECONDS);
    [index, seconds, ticket] = next_account(live.accounts, state.used_accounts, monotonic());
  }
  if (index < 0) {
    [index, ticket] = longest_resting(live.accounts);
  }
  if (seconds > 0) {
    return refuse_for_now("pool_saturated", seconds * 1000);
  }
  state.account = pool.accounts[index];
  state.account_index = index;
  state.account_ticket = ticket;
  mark_used(state.used_accounts, index);
  return undefined;
}

/** Chooses the endpoint, which counts the request from then on. */
function choose_endpoint(state: RequestState, pool: Pool, live: LivePool): Refusal | undefined {
  const found = pick_endpoint(pool, live, state.tried, state.tried_count, monotonic());
  const { endpoint } = found;
  if (endpoint === undefined) {
    drop_trial(live.accounts, state.account_index, state.account_ticket);
    return refuse_for_now(found.saturated ? "pool_saturated" : "no_healthy_endpoint", COME_BACK_MS);
  }
  state.endpoint = endpoint;
  state.ticket = found.ticket;
  state.counted = found.counted;
  state.under_way = true;
  state.tried[state.tried_count] = endpoint.index;
  state.tried_count += 1;
  state.attempts += 1;
  state.attempt_meter = endpoint_meter(gateway().meters, pool.name, endpoint.name);
  begin_attempt(state.attempt_meter);
  return undefined;
}

/** The attempt under way has ended: the endpoint and its counts are free. */
function leave(state: RequestState, live: LivePool, status: number): void {
  state.under_way = false;
  if (state.counted) {
    leave_endpoint(live, state.endpoint!);
  }
  end_attempt(state.attempt_meter!, status);
}

/** Tells nginx of the attempt that begins. */
function send_to(state: RequestState, endpoint: Endpoint, account: Account): void {
  const model = state.model!;
  const { headers } = model.pool;
  const again = state.attempts > 1;
  direct(
    upstream_of(model, endpoint, state.api!.name)!, endpoint.host_header, account.authorization, account.x_api_key, trace_context(state), again);
  if (again || account.api_key !== "" || headers !== "") {
    direct_more(account.api_key, headers === "" ? USER_AGENT : headers);
  }
}

/** Begins an attempt, the first or another, and tells nginx. Returns a refusal if nobody can be asked. May wait for an account, and for a name to be looked up. */
function start_attempt(state: RequestState): Refusal | undefined {
  const { names, resolve } = gateway();
  const { pool } = state.model!;
  const live = live_pool(pool);
  if (live === undefined) {
    return refuse_for_now("no_healthy_endpoint", COME_BACK_MS);
  }
  for (;;) {
    if (is_over_time(state, monotonic(), 0)) {
      return refuse_over_time(state);
    }
    const refusal = choose_account(state, pool, live) ?? choose_endpoint(state, pool, live);
    if (refusal !== undefined) {
      return refusal;
    }
    const endpoint = state.endpoint!;
    const [address, reason] = address_of(names, endpoint.host, realtime(), resolve);
    if (address !== undefined) {
      state.address = address;
      send_to(state, endpoint, state.account!);
      return undefined;
    }
    ngx.log(ngx.ERR, "pool ", pool.name, ": ", endpoint.host, ": ", reason);
    leave(state, live, 0);
    note_failure(live.breakers[endpoint.index]!, monotonic(), state.ticket);
    drop_trial(live.accounts, state.account_index, state.account_ticket);
    if (own_attempts(state) >= most_attempts(state)) {
      return refuse(502, "upstream_error", "upstream_failed", "The model server's name could not be looked up.");
    }
  }
}

/** Begins an attempt, with another model if nobody can be asked for the present one. Returns a refusal if that is so of all. */
function start_somewhere(state: RequestState): Refusal | undefined {
  let refusal = start_attempt(state);
  while (refusal !== undefined && next_model(state)) {
    refusal = start_attempt(state);
  }
  return refusal;
}

/** What an answer of the upstream says of the account: it is refused, limited, or served. `wait`: milliseconds that were asked for, or −1. */
function note_account(state: RequestState, live: LivePool, status: number, wait: number): void {
  const { account_index, account_ticket } = state;
  const now = monotonic();
  if (live.accounts.count === 1) {
    return;
  }
  if (status === 401 || status === 402 || status === 403) {
    if (note_refused(live.accounts, account_index, now, account_ticket)) {
      ngx.log(ngx.ERR, "pool ", state.model!.pool.name, ": account ", state.account!.id, " is refused (", status, ") and rests");
    }
  } else if (status === 429) {
    note_limited(live.accounts, account_index, now, wait >= 0 ? wait / 1000 : -1, account_ticket);
  } else if (status >= 200 && status < 500) {
    note_accepted(live.accounts, account_index, now, account_ticket);
  } else {
    drop_trial(live.accounts, account_index, account_ticket);
  }
}

/** What an attempt says of its endpoint. */
function note_endpoint(state: RequestState, live: LivePool, failed: boolean): void {
  const breaker = live.breakers[state.endpoint!.index]!;
  if (!failed) {
    note_success(breaker, state.ticket);
  } else if (note_failure(breaker, monotonic(), state.ticket)) {
    ngx.log(ngx.ERR, "pool ", state.model!.pool.name, ": endpoint ", state.endpoint!.name, " fails and gets no requests for a while");
  }
}

/** How the attempt has ended that came here. */
function outcome_of(status: number): Outcome {
  if (upstream_answered()) {
    return Outcome.Status;
  }
  if (status === 504) {
    return Outcome.Timeout;
  }
  return upstream_connected() ? Outcome.Broken : Outcome.Connect;
}

/** The refusal for an attempt that failed and is the last, though others had been left. */
function refuse_failed(outcome: Outcome, status: number, wait: number): Refusal {
  if (outcome === Outcome.Timeout) {
    return refuse(504, "upstream_error", "upstream_timeout", "The model server did not answer in time.");
  }
  if (outcome !== Outcome.Status) {
    return refuse(502, "upstream_error", "upstream_failed", "The model server could not be reached, or broke off.");
  }
  if (status === 401 || status === 402 || status === 403) {
    return refuse_exhausted();
  }
  const refusal = refuse(status, status === 429 ? "rate_limit_error" : "upstream_error", "upstream_failed", `The model server answered with status ${status}.`);
  if (wait > 0) {
    refusal.retry_after_ms = math.ceil(wait);
  }
  return refusal;
}

/** No other attempt is made with the model: goes on with another one, or tells what has failed. */
function go_elsewhere(state: RequestState, outcome: Outcome, status: number, wait: number): Refusal | undefined {
  if (outcome === Outcome.Timeout) {
    state.timeout = which_timeout(state, monotonic());
  }
  if (is_retryable(state.model!.pool.retry, outcome, status) && next_model(state)) {
    return start_somewhere(state);
  }
  return refuse_failed(outcome, status, wait);
}

/** What becomes of a request whose attempt has failed: undefined if another one has begun. */
function try_again(state: RequestState): Refusal | undefined {
  const { pool } = state.model!;
  const live = live_pool(pool)!;
  const status = upstream_status();
  const outcome = outcome_of(status);
  const [after, after_ms] = upstream_retry_after();
  const wait = outcome === Outcome.Status ? read_retry_after(after, after_ms, realtime()) : -1;
  leave(state, live, outcome === Outcome.Status ? status : 0);
  note_endpoint(state, live, outcome !== Outcome.Status || status >= 500);
  note_account(state, live, outcome === Outcome.Status ? status : 0, wait);
  const [next, milliseconds] = next_attempt(
    pool.retry, outcome, status, own_attempts(state), has_other_account(live.accounts, state.used_accounts, monotonic()),
    has_other_endpoint(live, state.tried, state.tried_count), wait, math.random());
  if (next === Next.Nowhere || own_attempts(state) >= most_attempts(state) || is_over_time(state, monotonic(), milliseconds / 1000)) {
    return go_elsewhere(state, outcome, status, wait);
  }
  if (next === Next.Account) {
    // The account was at fault: the endpoint may be asked again.
    state.tried_count = 0;
  }
  if (milliseconds > 0) {
    sleep(milliseconds / 1000);
  }
  return start_somewhere(state);
}

/** Goes through the location of the last attempt, if no other is left; does not return then. */
function go_on(state: RequestState): void {
  if (own_attempts(state) >= most_attempts(state) && !has_next_model(state)) {
    go_on_in("@last");
  }
}

/** access_by_lua of @again: an attempt has failed. */
function again(this: void): void {
  const state = kept_state(passing_request_id());
  if (state !== undefined) {
    ngx.ctx = state;
  }
  if (state === undefined || !state.under_way) {
    // An error of nginx's own, or of ours, before anybody was asked.
    send_refusal(state, refuse(500, "api_error", "internal_error", "The gateway failed to handle the request."));
    return;
  }
  const refusal = try_again(state);
  if (refusal !== undefined) {
    if (refusal.status === 502 || refusal.status === 504) {
      state.broken = refusal.status === 504 ? "timed_out" : "upstream_lost";
    }
    send_refusal(state, refusal);
    return;
  }
  go_on(state);
}

/** access_by_lua of @last. */
function last(this: void): void {
  ngx.ctx = kept_state(passing_request_id()) ?? {};
}

/** In the header filter: the answer has begun, which is what a probe was to find out. */
function begin_answer_of(state: RequestState, status: number): void {
  if (status >= 400 || !state.under_way || (state.ticket === 0 && state.account_ticket === 0)) {
    return;
  }
  const live = live_pool(state.model!.pool)!;
  note_endpoint(state, live, false);
  note_account(state, live, status, -1);
  state.ticket = 0;
  state.account_ticket = 0;
}

/** In the log phase: the request has ended, and its attempt with it. `gone`: the client has left, which says nothing of the upstream. */
function end_last_attempt(state: RequestState, gone: boolean): void {
  const live = state.under_way ? live_pool(state.model!.pool) : undefined;
  if (live === undefined) {
    return;
  }
  const status = upstream_status();
  const answered = upstream_answered();
  leave(state, live, status);
  if (gone) {
    drop_probe(live.breakers[state.endpoint!.index]!, state.ticket);
    drop_trial(live.accounts, state.account_index, state.account_ticket);
    return;
  }
  const [after, after_ms] = upstream_retry_after();
  const lost = state.broken === "upstream_lost" || (state.broken === "timed_out" && state.timeout !== "total");
  note_endpoint(state, live, !answered || status >= 500 || (lost && status < 300));
  note_account(state, live, answered ? status : 0, status === 429 ? read_retry_after(after, after_ms, realtime()) : -1);
}

export { again, begin_answer_of, end_last_attempt, go_on, last, live_pool, start_somewhere };
