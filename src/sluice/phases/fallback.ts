/**
 * Other models in the place of one whose pool can't serve a request: each with its own pool, price and body, and its own attempts.
 *
 * nginx takes a request through about ten locations and then gives up in its own way. So all models together have eight attempts, and
 * one of them is kept for the model that is next.
 */

import { monotonic, realtime } from "../edge/clock";
import { change_demand, output_allowance } from "../limit/demand";
import { clear_used } from "../pool/accounts";
import { MOST_ATTEMPTS } from "../pool/retry";
import { serves } from "../route/table";
import { edit_again } from "./body_edits";
import { is_over_time, set_deadline } from "./deadline";
import { gateway } from "./gateway";
import type { Model } from "../route/table";
import type { RequestState } from "./state";

/** The request is for that model, the first that it tries. */
function set_model(state: RequestState, model: Model): void {
  state.model = model;
  state.fallbacks = model.fallbacks;
  set_deadline(state, model.pool);
}

/** Whether another model could be tried, should the present one fail. */
function has_next_model(state: RequestState): boolean {
  const { fallbacks } = state;
  return fallbacks !== undefined && state.next_fallback < fallbacks.length && state.attempts < MOST_ATTEMPTS;
}

/** How many attempts were made with the present model. */
function own_attempts(state: RequestState): number {
  return state.attempts - state.attempts_before;
}

/** How many attempts the present model may have in all: its pool's number, or what is left of a request's. */
function most_attempts(state: RequestState): number {
  const { attempts_before, fallbacks, model, next_fallback } = state;
  const kept = fallbacks !== undefined && next_fallback < fallbacks.length ? 1 : 0;
  return math.max(1, math.min(model!.pool.retry.attempts, MOST_ATTEMPTS - attempts_before - kept));
}

/**
 * Takes what another model costs for what is reserved from now on, and reserves more if that is not enough. Returns whether the tenant's
 * budget has enough for its input, and for something of its output.
 */
function change_price(state: RequestState, model: Model): boolean {
  const { reservation } = state;
  const { store } = gateway();
  if (reservation === undefined || store === undefined || state.api!.counts) {
    return true;
  }
  const more = change_demand(reservation, state.reading!, model.max_output_tokens, model.price);
  if (more > 0) {
    reservation.nano_usd += store.extend(reservation, math.ceil(more), realtime());
  }
  state.output_allowance = output_allowance(reservation);
  const { least_nano_usd, most_nano_usd, nano_usd } = reservation;
  return most_nano_usd === 0 || (nano_usd > 0 && nano_usd >= least_nano_usd);
}

/** Makes the request that of another model. Returns whether that one can be tried. */
function change_model(state: RequestState, model: Model): boolean {
  const { deadline } = state;
  set_deadline(state, model.pool);
  if (!serves(model, state.api!.service) || is_over_time(state, monotonic(), 0) || !change_price(state, model)) {
    state.deadline = deadline;
    return false;
  }
  const reason = edit_again(state, model, model.upstream_model);
  if (reason !== undefined) {
    ngx.log(ngx.ERR, "the request body on disk can't be read: ", reason);
    state.next_fallback = math.huge;
    return false;
  }
  state.model = model;
  state.attempts_before = state.attempts;
  state.tried_count = 0;
  clear_used(state.used_accounts);
  state.endpoint = undefined;
  state.account = undefined;
  state.broken = undefined;
  state.timeout = undefined;
  return true;
}

/** Goes on to the next model that can be tried. Returns whether there is one. May wait, for a large body to be edited. */
function next_model(state: RequestState): boolean {
  while (has_next_model(state)) {
    const model = state.fallbacks![state.next_fallback]!;
    state.next_fallback += 1;
    if (change_model(state, model)) {
      return true;
    }
  }
  return false;
}

export { has_next_model, most_attempts, next_model, own_attempts, set_model };
