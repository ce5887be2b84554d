/** Limits and budgets in a request's life: reserved in access, told in the header filter, settled in the log phase. */

import { append, end_of } from "../edge/append_file";
import { realtime } from "../edge/clock";
import { more_wanted, output_allowance, set_demand, window_allowance } from "../limit/demand";
import { encode_string } from "../wire/json";
import { expected_of } from "../wire/output_cap";
import { refuse } from "../wire/refusal";
import { sweep } from "../limit/memory_store";
import { usual_output, note_output } from "../limit/usual_output";
import { date_of, duration, refuse_limit } from "../limit/refusal";
import { return_reservation, take_reservation } from "../limit/reservation";
import { waiting } from "../limit/settlement_queue";
import { find_dead, forget_workers } from "../limit/workers";
import { gateway } from "./gateway";
import type { AppendFile } from "../edge/append_file";
import type { JournalLine } from "../ledger/journal";
import type { LimitStore } from "../limit/store";
import type { Scope } from "../limit/scope";
import type { Reservation, Standing } from "../limit/reservation";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

/**
 * The tokens that an answer of the request's model usually has; undefined, if the tenant reserves the most that it may have.
 */
function usual_of(state: RequestState): number | undefined {
  const { tenant } = state.principal!;
  const { memory } = gateway();
  if (!tenant.reserves_usual) {
    return undefined;
  }
  return memory !== undefined ? usual_output(memory.dictionary, tenant.id, state.model!.name) : math.huge;
}

/** Reserves what the request may need. Returns a refusal if a limit or the budget stands in its way. */
function reserve(state: RequestState): Refusal | undefined {
  const key = state.principal!.scope;
  const { allowances, scope: tenant } = state.principal!.tenant;
  const model = state.model!;
  const allowance = allowances !== undefined ? allowances.get(model.name) : undefined;
  const { store } = gateway();
  if (tenant === undefined && key === undefined && allowance === undefined) {
    return undefined;
  }
  const reading = state.reading!;
  const { counts } = state.api!;
  if (reading.odd_cap !== undefined && !counts) {
    return refuse(400, "invalid_request_error", "invalid_type", `\`${reading.odd_cap}\` ${expected_of(reading.odd_cap)}.`, reading.odd_cap);
  }
  if (store === undefined) {
    return refuse(503, "overloaded_error", "store_unavailable", "The gateway can't count this request now.");
  }
  const reservation = take_reservation(tenant, key, allowance, state.arrived);
  reservation.id = state.id;
  if (!counts) {
    set_demand(reservation, reading, model.max_output_tokens, model.price, usual_of(state));
  }
  // It is known to the log phase from here on: the client may leave while another machine is asked.
  state.reservation = reservation;
  const refusing = store.admit(reservation, realtime());
  if (refusing !== undefined) {
    const refusal = refuse_limit(refusing, store.last_verdict(), reservation.tokens, reservation.prompt_tokens);
    write_standings(state, reservation);
    if (!reservation.asked) {
      state.reservation = undefined;
      return_reservation(reservation);
    }
    return refusal;
  }
  state.output_allowance = output_allowance(reservation);
  state.window_allowance = window_allowance(reservation);
  return undefined;
}

/** An answer has passed what was reserved of the windows for it: so many tokens of output have come. Takes more of them. */
function take_passed(state: RequestState, output: number): void {
  const { reservation } = state;
  const { store } = gateway();
  if (reservation !== undefined && store !== undefined && output > state.window_allowance) {
    store.take_more(reservation, more_wanted(reservation, output), realtime());
    state.window_allowance = window_allowance(reservation);
  }
}

/** Remembers what was written for a request whose tenant reserves what is usual, in so many tokens. */
function note_usual(state: RequestState, output: number): void {
  const { memory } = gateway();
  const { model, principal, reading } = state;
  if (memory !== undefined && model !== undefined && output > 0) {
    // A request for what was made before has none written for it.
    const answers = math.max(1, reading!.written);
    note_output(memory, principal!.tenant.id, model.name, math.ceil(output / answers), realtime());
  }
}

function write_standing(standing: Standing, limit: string, remaining: string, reset: string): void {
  if (standing.limit >= 0) {
    const headers = ngx.header;
    headers.set(limit, standing.limit);
    headers.set(remaining, standing.remaining);
    headers.set(reset, duration(standing.reset));
  }
}

/**
 * The same in Anthropic's words (its "Rate limits"), where the end is a time of the clock. `measure`: `requests` or `tokens`.
 */
function write_messages_standing(standing: Standing, measure: string): void {
  if (standing.limit >= 0) {
    const headers = ngx.header;
    headers.set(`anthropic-ratelimit-${measure}-limit`, standing.limit);
    headers.set(`anthropic-ratelimit-${measure}-remaining`, standing.remaining);
    headers.set(`anthropic-ratelimit-${measure}-reset`, date_of(realtime() + standing.reset));
  }
}

/** Tells the client how its limits stand. */
function write_standings(state: RequestState, reservation: Reservation): void {
  if (state.api!.name === "messages") {
    write_messages_standing(reservation.requests_standing, "requests");
    write_messages_standing(reservation.tokens_standing, "tokens");
  }
  write_standing(reservation.requests_standing, "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests");
  write_standing(reservation.tokens_standing, "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens");
}

/** The request's answer ends now, or a refusal in its place: gives its places among the concurrent requests back, if it has any left. */
function return_places(state: RequestState): void {
  const { reservation } = state;
  if (reservation !== undefined && reservation.holds_place) {
    reservation.holds_place = false;
    gateway().store!.return_places(reservation);
  }
}

/**
 * Writes the request's line into the journal and settles what it had reserved. Returns a bit for each alert of the tenant's budget that
 * is due.
 */
function write_and_settle(store: LimitStore, journal: AppendFile | undefined, line: JournalLine, state: RequestState): number {
  const reservation = state.reservation!;
  const held = store.begin_settlement(reservation);
  if (journal !== undefined) {
    append(journal, line);
  }
  let due = 0;
  if (held) {
    const end = journal !== undefined ? end_of(journal) : 0;
    due = store.settle(reservation, realtime(), end > 0 ? journal!.inode : 0, end);
  }
  state.reservation = undefined;
  return_reservation(reservation);
  return due;
}

/** Settles what was reserved for a request whose line is in the journal already. */
function settle_without_line(reservation: Reservation): void {
  const { journal, store } = gateway();
  if (store !== undefined && store.begin_settlement(reservation)) {
    const end = journal !== undefined ? end_of(journal) : 0;
    store.settle(reservation, realtime(), end > 0 ? journal!.inode : 0, end);
  }
  return_reservation(reservation);
}

/** Removes what workers had under way that are dead, if there are any. `rest` is called between scopes. */
function sweep_limits(rest: (this: void) => void): void {
  const { memory, snapshot } = gateway();
  if (memory === undefined || !find_dead(memory)) {
    return;
  }
  let swept = 0;
  for (const scope of snapshot.scopes) {
    sweep(memory, scope, realtime());
    swept += 1;
    if (swept % 100 === 0) {
      rest();
    }
  }
  forget_workers(memory);
}

/** Tokens of output that are paid for at a time, when a stream has used up what was reserved for it. */
const MORE_TOKENS = 1024;

/** A stream has used up what was reserved for it: reserves more, if the budget has it. Returns whether it may go on. */
function extend_reservation(state: RequestState): boolean {
  const { model, reservation } = state;
  const { store } = gateway();
  if (reservation === undefined || store === undefined) {
    return false;
  }
  const granted = store.extend(reservation, math.ceil(MORE_TOKENS * model!.price!.output), realtime());
  reservation.nano_usd += granted;
  const before = state.output_allowance;
  state.output_allowance = output_allowance(reservation);
  return state.output_allowance > before;
}

/** What a tenant has spent in the present period, in nano-dollars, as far as this node knows. */
function spent_by(store: LimitStore, scope: Scope): number {
  return store.spent_of(scope, realtime()) ?? 0;
}

/** The share of its budget that each tenant has spent, and of what is free of each model, for Prometheus. `rest` is called between them. */
function budget_metrics(rest: (this: void) => void): string {
  const { snapshot, store } = gateway();
  const budgets: string[] = [
    "# HELP sluice_budget_used_ratio What a tenant has spent in the present period, as a share of its budget.\n",
    "# TYPE sluice_budget_used_ratio gauge\n",
  ];
  const allowances: string[] = [
    "# HELP sluice_free_used_ratio What a tenant has used in the present period of what is free of a model, as a share of it.\n",
    "# TYPE sluice_free_used_ratio gauge\n",
  ];
  for (const scope of snapshot.scopes) {
    const { budget, model, owner } = scope;
    if (store !== undefined && budget !== undefined && budget.amount > 0) {
      const spent = store.spent_of(scope, realtime());
      if (spent !== undefined && model === undefined) {
        budgets.push(`sluice_budget_used_ratio{tenant="${owner}"} ${string.format("%.9g", spent / budget.amount)}\n`);
      }
      if (spent !== undefined && spent > 0 && model !== undefined) {
        allowances.push(`sluice_free_used_ratio{tenant="${owner}",model="${model}"} ${string.format("%.9g", spent / budget.amount)}\n`);
      }
      rest();
    }
  }
  return `${budgets.length === 2 ? "" : budgets.join("")}${allowances.length === 2 ? "" : allowances.join("")}`;
}

/** A whole number as JSON; `null` if it is not known. */
function number_text(number: number | undefined): string {
  return number !== undefined ? string.format("%.0f", number) : "null";
}

/** The store, as JSON. */
function store_status(): string {
  const { shared, store } = gateway();
  if (shared === undefined) {
    return `{"kind":"${store !== undefined ? store.kind : "none"}"}`;
  }
  return `{"kind":"redis","up":${!shared.breaker.open},"on_loss":"${shared.store.on_loss}","settlements_waiting":${number_text(waiting(shared.queue))}}`;
}

/** What tenants have used, as JSON: an array of objects. `rest` is called between them. */
function limits_status(rest: (this: void) => void): string {
  const { snapshot, store } = gateway();
  const parts: string[] = [];
  for (const scope of snapshot.scopes) {
    if (store !== undefined && string.sub(scope.name, 1, 7) === "tenant:") {
      const usage = store.look_at(scope, realtime());
      const budget = scope.budget !== undefined ? string.format("%d", scope.budget.amount) : "null";
      parts.push(
        `{"tenant":${encode_string(scope.owner)},"running":${number_text(usage?.running)},` +
          `"reserved_nano_usd":${number_text(usage?.reserved)},"spent_nano_usd":${number_text(usage?.spent)},"budget_nano_usd":${budget}}`,
      );
      rest();
    }
  }
  return `[${parts.join(",")}]`;
}

export {
  budget_metrics, extend_reservation, limits_status, note_usual, reserve, return_places, settle_without_line, spent_by, store_status, sweep_limits,
  take_passed, write_and_settle, write_standings,
};
