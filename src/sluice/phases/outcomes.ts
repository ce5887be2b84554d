/** What an attempt has come to: what it says of its endpoint and its account, and what the client is told if it was the last. */

import { monotonic } from "../edge/clock";
import { upstream_answered, upstream_connected } from "../edge/upstream";
import { drop_trial, note_accepted, note_limited, note_refused } from "../pool/account_states";
import { drop_probe, note_failure, note_success } from "../pool/breaker";
import { Outcome } from "../pool/retry";
import { refuse } from "../wire/refusal";
import { gateway } from "./gateway";
import { leave_out } from "./known_names";
import type { LivePool } from "../pool/live";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

/** A status of nginx's own that says that it lacks memory or descriptors: nothing that an endpoint could help. */
const OWN_TROUBLE = 500;

/** How the attempt has ended that came here with this status. */
function outcome_of(status: number): Outcome {
  if (upstream_answered()) {
    return Outcome.Status;
  }
  if (!upstream_connected()) {
    return Outcome.Connect;
  }
  return status === 504 ? Outcome.Timeout : Outcome.Broken;
}

/** Whether an attempt that failed says something of its endpoint. */
function is_endpoints_fault(outcome: Outcome, status: number): boolean {
  return outcome === Outcome.Status ? status >= 500 : outcome !== Outcome.Connect || status !== OWN_TROUBLE;
}

/** An answer says of the account: it is refused, limited, or served. `status`: 0 without an answer. `wait`: milliseconds that were asked for, or −1. */
function note_account(state: RequestState, live: LivePool, status: number, wait: number): void {
  const { account_index, account_ticket } = state;
  if (live.accounts.count === 1) {
    return;
  }
  if (status === 401 || status === 402 || status === 403) {
    if (note_refused(live.accounts, account_index, monotonic(), account_ticket)) {
      ngx.log(ngx.ERR, "pool ", state.model!.pool.name, ": account ", state.account!.id, " is refused (", status, ") and rests");
    }
  } else if (status === 429) {
    note_limited(live.accounts, account_index, monotonic(), wait >= 0 ? wait / 1000 : -1, account_ticket);
  } else if (status >= 200 && status < 500) {
    note_accepted(live.accounts, account_index, state.attempt_began, account_ticket);
  } else {
    drop_trial(live.accounts, account_index, account_ticket);
  }
}

/** The endpoint has served a request. */
function note_served(state: RequestState, live: LivePool): void {
  note_success(live.breakers[state.endpoint!.index]!, state.ticket);
}

/** The endpoint has failed. */
function note_failed(state: RequestState, live: LivePool): void {
  if (note_failure(live.breakers[state.endpoint!.index]!, monotonic(), state.ticket)) {
    ngx.log(ngx.ERR, "pool ", state.model!.pool.name, ": endpoint ", state.endpoint!.name, " fails and gets no requests for a while");
  }
}

/** What an attempt that failed says of its endpoint. One of several addresses that does not answer is left out, and that is all. */
function note_endpoint(state: RequestState, live: LivePool, outcome: Outcome, status: number): void {
  const { pool_names } = gateway();
  if (outcome === Outcome.Status && status < 500) {
    note_served(state, live);
  } else if (!is_endpoints_fault(outcome, status)) {
    drop_probe(live.breakers[state.endpoint!.index]!, state.ticket);
  } else if (outcome !== Outcome.Connect || state.address === "" || !leave_out(pool_names!, state.endpoint!.host, state.address)) {
    note_failed(state, live);
  } else {
    drop_probe(live.breakers[state.endpoint!.index]!, state.ticket);
  }
}

/** The refusal for accounts that the upstream does not accept. */
function refuse_exhausted(): Refusal {
  const refusal = refuse(502, "upstream_error", "upstream_credentials_exhausted", "The model server refuses the gateway's accounts.");
  refusal.retry = false;
  return refusal;
}

/** The refusal for an attempt that failed and is the last, though others had been left. */
function refuse_failed(outcome: Outcome, status: number, wait: number): Refusal {
  if (outcome === Outcome.Timeout || (outcome !== Outcome.Status && status === 504)) {
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

export { is_endpoints_fault, note_account, note_endpoint, note_failed, note_served, outcome_of, refuse_failed };
