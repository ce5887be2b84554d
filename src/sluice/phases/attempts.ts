/**
 * The attempts of a request. Each is a choice of an endpoint and an account, and a trip through one of nginx's locations
 * (server.conf): one that fails before anything has reached the client comes to `again`, where the next is chosen; the last that is
 * left goes through `last`.
 */

import { monotonic, realtime } from "../edge/clock";
import { has_client_left, leave_client } from "../edge/client";
import { lacks_means, system_error } from "../edge/own_trouble";
import { header } from "../edge/request";
import {
  direct, direct_more, error_status, forget_challenge, forget_status, go_on_in, passing_request_id, upstream_answered, upstream_retry_after,
  upstream_status,
} from "../edge/upstream";
import { count_attempt, endpoint_meter } from "../metrics/meter";
import { drop_trial } from "../pool/account_states";
import { has_other_account } from "../pool/accounts";
import { drop_ticket } from "../pool/breaker_trial";
import { has_other_endpoint } from "../pool/pick_endpoint";
import { USER_AGENT } from "../pool/headers";
import { Next, Outcome, after_forbidden, is_retryable, next_attempt } from "../pool/retry";
import { read_retry_after } from "../pool/retry_after";
import { upstream_of } from "../route/table";
import { COME_BACK_MS, choose_account, choose_endpoint, drop_tickets, free_endpoint, live_pool, refuse_for_now } from "./choosing";
import { edit_for_endpoint } from "./body_edits";
import { is_over_time, refuse_over_time, which_timeout } from "./deadline";
import { has_next_model, most_attempts, next_model, own_attempts } from "./fallback";
import { NOT_FORBIDDEN, is_served, note_forbidden, resume_trial, settle_forbidden } from "./forbidden";
import { more_headers } from "./forwarding";
import { gateway } from "./gateway";
import { address_now, find_address } from "./known_names";
import { may_fall_back, may_retry, own_failure, refuse_own } from "./own_failure";
import { note_account, note_answer, note_begun, note_endpoint, outcome_of, refuse_failed } from "./outcomes";
import { refuse_nginx_error, send_refusal } from "./refusals";
import { Own, kept_state } from "./state";
import { choose_with_own } from "./own_accounts";
import { pause, stop_waiting } from "./waiting";
import type { LivePool } from "../pool/live";
import type { Pool } from "../pool/pools";
import type { Ending } from "../ledger/journal";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

const match = string.match;
const sub = string.sub;

/** A request may be told of every fallback and every attempt that there is nobody to ask. */
const MOST_ROUNDS = 64;
/** For the metric of attempts: the gateway could not take, or not wait for, the endpoint's answer. */
const NOT_TAKEN = 499;
const FORBIDDEN = 403;

/** The trace context for the upstream (W3C Trace Context): the client's if it sent a valid one, else a new one. */
function trace_context(state: RequestState): string {
  const sent = header("traceparent");
  if (sent !== undefined && sent.length === 55 && match(sent, "^00%-%x+%-%x+%-%x%x$")[0] !== undefined) {
    return sent;
  }
  return `00-${state.id}-${sub(state.id, 9, 24)}-01`;
}

/** An attempt begins: it counts from now on. */
function begin(state: RequestState): void {
  state.attempts += 1;
  state.attempt_began = monotonic();
  state.under_way = true;
  state.own = Own.No;
  state.timeout = undefined;
}

/**
 * The attempt under way has ended: the endpoint and its counts are free. `status`: the upstream's, 0 without an answer. An attempt that
 * never left the gateway is not counted as one of the endpoint's.
 */
function leave(state: RequestState, live: LivePool, status: number): void {
  const { own } = state;
  state.under_way = false;
  free_endpoint(state, live);
  if (own !== Own.Connections && own !== Own.Ports) {
    const counted = status === 0 && own !== Own.No ? NOT_TAKEN : status;
    count_attempt(endpoint_meter(gateway().meters, state.model!.pool.name, state.endpoint!.name), counted);
  }
}

/** Tells nginx where the attempt goes. */
function send_on(state: RequestState): void {
  const account = state.account!;
  const endpoint = state.endpoint!;
  const model = state.model!;
  const headers = more_headers(state, model.pool);
  const again = state.attempts > 1;
  const upstream = upstream_of(model, endpoint, state.api!.service)!;
  direct(
    state.suffix === undefined ? upstream : upstream + state.suffix, endpoint.host_header, account.authorization, account.x_api_key, trace_context(state), again);
  if (again || account.api_key !== "" || headers !== "") {
    direct_more(account.api_key, headers === "" ? USER_AGENT : headers);
  }
}

/** The refusal for an attempt that failed and is the last with its model: unless another model can be tried, for which nothing is refused yet. */
function give_model_up(state: RequestState, outcome: Outcome, status: number, wait: number): Refusal | undefined {
  if (outcome !== Outcome.Status && status === 504) {
    state.timeout = which_timeout(state, monotonic());
  }
  const refusal = refuse_own(state.own) ?? refuse_failed(outcome, status, wait);
  if (may_fall_back(state.own) && is_retryable(state.model!.pool.retry, outcome, status) && next_model(state)) {
    state.failure = refusal;
    return undefined;
  }
  return refusal;
}

/** What an attempt says of its endpoint: nothing, if it failed of something of ours. */
function note_outcome(state: RequestState, live: LivePool, outcome: Outcome, status: number): void {
  if (state.own !== Own.No) {
    drop_ticket(live.breakers[state.endpoint!.index]!, state.ticket);
  } else {
    note_endpoint(state, live, outcome, status);
  }
}

/**
 * Where the request goes after an attempt that has failed so, and in how many milliseconds. `forbidden`: a 403, and whether
 * there was one before; undefined: it is none.
 */
function decide(
  state: RequestState, live: LivePool, outcome: Outcome, status: number, wait: number, forbidden: boolean | undefined, now: number,
): LuaMultiReturn<[next: Next, milliseconds: number]> {
  const { retry } = state.model!.pool;
  const made = own_attempts(state);
  // What a response was made by is asked, and nobody else.
  const is_free = state.pin === undefined;
  const has_account = is_free && has_other_account(live.accounts, state.used_accounts, now);
  if (forbidden !== undefined) {
    return $multi(after_forbidden(made, retry.attempts, forbidden, has_account, has_next_model(state)), 0);
  }
  const has_endpoint = is_free && has_other_endpoint(live, state.tried, state.tried_count, now, state.principal!);
  return next_attempt(retry, outcome, status, made, has_account, has_endpoint, wait, math.random());
}

/**
 * The attempt under way has failed. Decides what becomes of the request, goes on to another model if need be, and waits. Returns a refusal
 * if there is no other attempt.
 */
function fail(state: RequestState, live: LivePool, outcome: Outcome, status: number, wait: number): Refusal | undefined {
  const now = monotonic();
  leave(state, live, outcome === Outcome.Status ? status : 0);
  note_outcome(state, live, outcome, status);
  const forbidden = outcome === Outcome.Status && status === FORBIDDEN ? note_forbidden(state) : undefined;
  note_account(state, live, outcome === Outcome.Status ? status : 0, wait);
  state.ticket = 0;
  state.account_ticket = 0;
  const [next, milliseconds] = decide(state, live, outcome, status, wait, forbidden, now);
  if (next === Next.Nowhere || !may_retry(state.own) || own_attempts(state) >= most_attempts(state) || is_over_time(state, now, milliseconds / 1000)) {
    return give_model_up(state, outcome, status, wait);
  }
  if (next === Next.Account || next === Next.Words) {
    // The account was at fault: the endpoint may be asked again.
    state.tried_count -= 1;
  }
  if (next === Next.Words && !state.model!.pool.own_accounts) {
    state.keeps_account = true;
    resume_trial(state);
  }
  if (milliseconds > 0) {
    pause(state, milliseconds / 1000);
  }
  return undefined;
}

/** The address of the endpoint's host, or why there is none. Waits if none was ever found. */
function address_for(state: RequestState): LuaMultiReturn<[address: string | undefined, reason: string | undefined]> {
  const names = gateway().pool_names!;
  const { host } = state.endpoint!;
  const [known] = address_now(names, host);
  if (known !== undefined) {
    return $multi(known, undefined);
  }
  const began = monotonic();
  state.waited = true;
  const [address, reason] = find_address(names, host);
  state.overhead -= monotonic() - began;
  return $multi(address, reason);
}

/** Chooses an account and an endpoint of the present model's. Returns a refusal if there are none now. */
function choose_both(state: RequestState, pool: Pool, live: LivePool | undefined): Refusal | undefined {
  if (is_over_time(state, monotonic(), 0)) {
    return refuse_over_time(state);
  }
  if (live === undefined) {
    return refuse_for_now("no_healthy_endpoint", COME_BACK_MS);
  }
  if (state.keeps_account) {
    state.keeps_account = false;
    return choose_endpoint(state, pool, live);
  }
  return pool.own_accounts && state.pin === undefined ? choose_with_own(state, pool, live) : (choose_account(state, pool, live) ?? choose_endpoint(state, pool, live));
}

/** Chooses everything for an attempt, and tells nginx. May wait. Returns a refusal if nobody can be asked, with this model or another. */
function start_attempt(state: RequestState): Refusal | undefined {
  // Only a name that can't be looked up, or a pool in which nobody can be asked, leads to a second round.
  for (const _ of $range(1, MOST_ROUNDS)) {
    const { pool } = state.model!;
    const live = live_pool(pool);
    let refusal = choose_both(state, pool, live);
    if (refusal !== undefined) {
      if (!next_model(state)) {
        // What was heard from an endpoint says more than that nobody else can be asked.
        return state.failure ?? refusal;
      }
    } else {
      const [address, reason] = address_for(state);
      const unnamed = pool.own_names && state.recall === undefined ? edit_for_endpoint(state) : undefined;
      if (unnamed !== undefined) {
        drop_tickets(state, live!);
        free_endpoint(state, live!);
        return unnamed;
      }
      if (state.waited && has_client_left()) {
        leave_client();
      }
      state.waited = false;
      begin(state);
      if (address !== undefined) {
        state.address = address;
        send_on(state);
        return undefined;
      }
      ngx.log(ngx.ERR, "pool ", pool.name, ": ", reason);
      state.address = "";
      state.own = lacks_means(reason!) ? Own.Connections : Own.No;
      refusal = fail(state, live!, Outcome.Connect, 0, -1);
      if (refusal !== undefined) {
        return refusal;
      }
    }
  }
  return refuse_failed(Outcome.Connect, 0, -1);
}

/** For how many milliseconds the upstream asked to be left alone; −1 if it did not. */
function retry_after(): number {
  const [after, after_ms] = upstream_retry_after();
  return read_retry_after(after, after_ms, realtime());
}

/** What becomes of a request whose attempt has failed with this status: undefined if another one has begun. */
function try_again(state: RequestState, status: number): Refusal | undefined {
  const live = live_pool(state.model!.pool)!;
  const outcome = outcome_of(state, status);
  const wait = outcome === Outcome.Status ? retry_after() : -1;
  return fail(state, live, outcome, status, wait) ?? start_attempt(state);
}

/**
 * Goes through the location of the last attempt, if no other is left, or after a 403: there it can be read. Does not return
 * then.
 */
function go_on(state: RequestState): void {
  if ((own_attempts(state) >= most_attempts(state) || state.forbidden_account !== NOT_FORBIDDEN) && !has_next_model(state)) {
    go_on_in("@last");
  }
}

/** Refuses a request after an attempt. */
function give_up(state: RequestState, refusal: Refusal): void {
  if (state.own !== Own.Header && (refusal.status === 502 || refusal.status === 504)) {
    state.broken = refusal.status === 504 ? "timed_out" : "upstream_lost";
  }
  send_refusal(state, refusal);
}

/** Whether a module of nginx's has refused the request on its way to another attempt, so that the status is not that of the last one. */
function is_nginx_refusal(status: number): boolean {
  return upstream_answered() ? status !== upstream_status() : status < 500;
}

/** Ends the attempt that is under way, without another. Returns the refusal for a status of nginx's own. */
function stop_trying(state: RequestState, status: number): Refusal {
  const live = live_pool(state.model!.pool)!;
  leave(state, live, upstream_answered() ? upstream_status() : 0);
  drop_tickets(state, live);
  return refuse_nginx_error(status);
}

/** access_by_lua of @again: an attempt has failed, or nginx itself has refused the request. */
function again(this: void): void {
  const error = system_error();
  const began = monotonic();
  const status = error_status();
  const state = kept_state(passing_request_id());
  forget_status();
  if (state === undefined || !state.under_way) {
    // Refused by a module of nginx's before anybody was asked; or an error of its own, or of ours.
    const refusal = refuse_nginx_error(status);
    if (state !== undefined) {
      ngx.ctx = state;
    }
    send_refusal(state, refusal);
    return;
  }
  forget_challenge();
  ngx.ctx = state;
  state.own = own_failure(state, status, error);
  const refusal = is_nginx_refusal(status) ? stop_trying(state, status) : try_again(state, status);
  state.overhead += monotonic() - began;
  if (refusal !== undefined) {
    give_up(state, refusal);
    return;
  }
  go_on(state);
}

/** access_by_lua of @last. */
function last(this: void): void {
  ngx.ctx = kept_state(passing_request_id()) ?? {};
}

/** In the header filter: a good answer has begun, which is what a request was to find out that tries an endpoint or an account. */
function begin_answer_of(state: RequestState, status: number): void {
  if (status >= 400 || !state.under_way || (state.ticket === 0 && state.account_ticket === 0)) {
    return;
  }
  const live = live_pool(state.model!.pool)!;
  note_begun(state, live);
  note_account(state, live, status, -1);
  state.ticket = 0;
  state.account_ticket = 0;
}

/** What the last attempt says of its endpoint. `ending`: how the request has ended. */
function judge_last(state: RequestState, live: LivePool, status: number, answered: boolean, ending: Ending): void {
  if (!answered || status >= 500) {
    note_outcome(state, live, answered ? Outcome.Status : outcome_of(state, ngx.status), answered ? status : ngx.status);
  } else {
    note_answer(state, live, status, ending === "upstream_lost" || (ending === "timed_out" && state.timeout !== "total"));
  }
}

/** In the log phase: the request has ended, with what it still had taken. */
function end_last_attempt(state: RequestState, ending: Ending): void {
  if (state.forbidden_account !== NOT_FORBIDDEN) {
    settle_forbidden(state, state.under_way && upstream_answered() && is_served(upstream_status(), ending));
  }
  const live = state.taken || state.waiter !== undefined ? live_pool(state.model!.pool) : undefined;
  if (live === undefined) {
    return;
  }
  if (!state.taken) {
    stop_waiting(state, live, false);
    drop_trial(live.accounts, state.account_index, state.account_ticket);
    return;
  }
  if (!state.under_way) {
    drop_tickets(state, live);
    free_endpoint(state, live);
    return;
  }
  const answered = upstream_answered();
  const status = answered ? upstream_status() : 0;
  leave(state, live, status);
  if (ending === "client_gone") {
    drop_tickets(state, live);
    return;
  }
  judge_last(state, live, status, answered, ending);
  note_account(state, live, status, status === 429 ? retry_after() : -1);
}

export { again, begin_answer_of, end_last_attempt, go_on, last, start_attempt };
