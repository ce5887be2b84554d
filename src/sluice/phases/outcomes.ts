/** What an attempt has come to: what it says of its endpoint and its account, and what the client is told if it was the last. */

import { monotonic } from "../edge/clock";
import { upstream_answered, upstream_connected, upstream_is_json } from "../edge/upstream";
import { drop_trial, note_accepted, note_limited, note_refused } from "../pool/account_states";
import { note_begun as note_breaker_begun, note_end, note_failure } from "../pool/breaker";
import { drop_ticket } from "../pool/breaker_trial";
import { mark_of } from "../pool/caller";
import { Evidence, NO_ERROR, evidence_of, is_failure } from "../pool/evidence";
import { Outcome } from "../pool/retry";
import { refuse } from "../wire/refusal";
import { gateway } from "./gateway";
import { leave_out } from "./known_names";
import { Own } from "./state";
import type { LivePool } from "../pool/live";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

/**
 * How the attempt has ended that came here with this status. A stream's header is due with its first token, any other with the
 * whole answer; but a request whose own time is over waits for neither.
 */
function outcome_of(state: RequestState, status: number): Outcome {
  if (upstream_answered()) {
    return Outcome.Status;
  }
  if (!upstream_connected()) {
    return status === 504 ? Outcome.ConnectTimeout : Outcome.Connect;
  }
  if (status !== 504) {
    return Outcome.Broken;
  }
  const is_due = state.own === Own.Time || (state.reading !== undefined && state.reading.stream);
  return is_due ? Outcome.Timeout : Outcome.ReadTimeout;
}

/**
 * An answer says of the account: it is refused, limited, or served; a 403 says nothing yet. `status`: 0 without an answer.
 * `wait`: milliseconds that were asked for, or −1.
 */
function note_account(state: RequestState, live: LivePool, status: number, wait: number): void {
  const { account_index, account_ticket } = state;
  if (live.accounts.count === 1) {
    return;
  }
  if (status === 401 || status === 402) {
    if (note_refused(live.accounts, account_index, monotonic(), account_ticket)) {
      ngx.log(ngx.ERR, "pool ", state.model!.pool.name, ": account ", state.account!.id, " is refused (", status, ") and rests");
    }
  } else if (status === 429) {
    note_limited(live.accounts, account_index, monotonic(), wait >= 0 ? wait / 1000 : -1, account_ticket);
  } else if (status >= 200 && status < 500 && status !== 403) {
    note_accepted(live.accounts, account_index, state.attempt_began, account_ticket);
  } else {
    drop_trial(live.accounts, account_index, account_ticket);
  }
}

/** Whether the endpoint has failed the request for the first time. */
function is_first_failure(state: RequestState): boolean {
  const { failed_at, failed_count } = state;
  const { key } = state.endpoint!;
  for (const place of $range(0, failed_count - 1)) {
    if (failed_at[place] === key) {
      return false;
    }
  }
  failed_at[failed_count] = key;
  state.failed_count += 1;
  return true;
}

/** An answer of the endpoint has begun: which is enough for a request that was to try it. */
function note_begun(state: RequestState, live: LivePool): void {
  state.counted_as_served = note_breaker_begun(live.breakers[state.endpoint!.index]!, monotonic(), state.ticket);
}

/** Tells the endpoint's breaker what an attempt that has ended says. */
function note_evidence(state: RequestState, live: LivePool, evidence: Evidence): void {
  const breaker = live.breakers[state.endpoint!.index]!;
  const { counted_as_served, ticket } = state;
  state.counted_as_served = false;
  if (evidence === Evidence.None) {
    drop_ticket(breaker, ticket);
  } else if (!is_failure(evidence)) {
    note_end(breaker, monotonic(), evidence === Evidence.Served, ticket, counted_as_served);
  } else if (note_failure(breaker, monotonic(), evidence, mark_of(state.principal!), is_first_failure(state), ticket, counted_as_served)) {
    ngx.log(ngx.ERR, "pool ", state.model!.pool.name, ": endpoint ", state.endpoint!.name, " fails and gets no requests for a while");
  }
}

/**
 * What an attempt that failed, or was no success, says of its endpoint. One of several addresses that does not answer is left out, and that
 * is all.
 */
function note_endpoint(state: RequestState, live: LivePool, outcome: Outcome, status: number): void {
  const { pool_names } = gateway();
  const evidence = evidence_of(outcome, status, status === 500 && upstream_is_json(), false, NO_ERROR);
  const is_unconnected = outcome === Outcome.Connect || outcome === Outcome.ConnectTimeout;
  const is_address = is_unconnected && is_failure(evidence) && state.address !== ""
    && leave_out(pool_names!, state.endpoint!.host, state.address);
  note_evidence(state, live, is_address ? Evidence.None : evidence);
}

/**
 * What the last attempt says of its endpoint, which has answered with a status below 500. `cut`: the answer has broken off. Nothing, if the
 * request's own time has cut it: who goes on and on has not served anybody yet.
 */
function note_answer(state: RequestState, live: LivePool, status: number, cut: boolean): void {
  if (state.timeout === "total") {
    note_evidence(state, live, Evidence.None);
    return;
  }
  const { answer, recall } = state;
  // Of a response that was made before, its failure counted then.
  const has_error = answer !== undefined && recall === undefined && (answer.failed || answer.error_status !== 0);
  const error = has_error ? answer.error_status : NO_ERROR;
  note_evidence(state, live, evidence_of(Outcome.Status, status, false, cut, error));
}

/** The refusal for accounts that the upstream does not accept. */
function refuse_exhausted(): Refusal {
  const refusal = refuse(502, "upstream_error", "upstream_credentials_exhausted", "The model server refuses the gateway's accounts.");
  refusal.retry = false;
  return refusal;
}

/** The refusal for an attempt that failed and is the last, though others had been left. */
function refuse_failed(outcome: Outcome, status: number, wait: number): Refusal {
  if (outcome !== Outcome.Status && status === 504) {
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

export { note_account, note_answer, note_begun, note_endpoint, outcome_of, refuse_failed };
