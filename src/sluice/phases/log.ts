/** The log phase: says how the request ended, counts it, and writes its line into the journal. Exactly once per request. */

import { append } from "../edge/append_file";
import { monotonic } from "../edge/clock";
import { passing_request_id } from "../edge/upstream";
import { line_parts } from "../ledger/journal";
import {
  count_first_token, count_hits, count_overhead, count_refusal, count_request, count_tokens, count_truncated,
  observe_held, request_meter,
} from "../metrics/meter";
import { summary } from "../guard/tally";
import { unguard_text } from "../guard/text";
import { counted_output, return_answer } from "../wire/answer";
import { charge_answer, charge_nothing } from "../wire/charged_tokens";
import { new_usage } from "../wire/usage";
import { free_tokens, used_free } from "../limit/allowance";
import { cost } from "../ledger/price";
import { end_last_attempt } from "./attempts";
import { gateway } from "./gateway";
import { give_alerts } from "./alerts";
import { hold_reservation, may_hold } from "./held_reservations";
import {
  charges_now, end_learning, is_charged_before, is_to_come, note_charged, note_seen, record_now, seen_unpaid,
} from "./learning";
import { note_usual, spent_by, write_and_settle } from "./limits";
import { forget_upstream } from "./open_upstreams";
import { current_state, kept_state, Mode, release_state } from "./state";
import { tend_while_draining } from "./worker";
import type { Ending, JournalLine, JournalRecord } from "../ledger/journal";
import type { Meters } from "../metrics/meter";
import type { GuardedText } from "../guard/text";
import type { ChargedTokens } from "../wire/charged_tokens";
import type { AnswerReader } from "../wire/answer";
import type { RequestState } from "./state";

/** What `ngx.ctx` holds when a request has been logged. */
const NO_STATE = {};

/** Whether the upstream has sent an error under a good status, or a stream without any data. */
function is_no_answer(state: RequestState, answer: AnswerReader): boolean {
  return answer.failed || (answer.complete && state.mode === Mode.Stream && answer.events === 0);
}

/** How the request ended. */
function ending_of(state: RequestState, status: number): Ending {
  if (state.broken !== undefined) {
    return state.broken;
  }
  if (state.refusal !== undefined) {
    return "refused";
  }
  const answer = state.answer;
  if (answer !== undefined && status < 300 && state.recall === undefined && is_no_answer(state, answer)) {
    // Many clients leave as soon as they have read the error. The page of a response that has failed is no failure.
    return "upstream_lost";
  }
  if (status === 499 || ngx.var.get("request_completion") !== "OK") {
    // nginx gives an answer up too whose chunked coding is broken. A client that leaves before it was sent anything is a 499.
    return status === 200 && ngx.var.get("bytes_sent") === "0" ? "upstream_lost" : "client_gone";
  }
  return answer !== undefined && !answer.complete ? "upstream_lost" : "finished";
}

/** The record that every line is written from: nothing waits in this phase, so one is enough. */
const record: JournalRecord = {
  id: "", time: 0, tenant: "", key: "", attempts: 0, status: 0, ending: "finished", input_tokens: 0, cached_input_tokens: 0,
  output_tokens: 0, cost_nano_usd: 0, free_units: 0, cache_write_tokens: 0, cache_write_1h_tokens: 0, reasoning_tokens: 0,
  duration_ms: 0, held_ms: 0,
};

interface Charge extends ChargedTokens {
  nano_usd: number;
  /** How much of what is free was used. */
  free: number;
}

const charge: Charge = {
  input: 0, cached_input: 0, cache_write: 0, cache_write_1h: 0, output: 0, reasoning: 0, from: undefined, nano_usd: 0, free: 0,
};

/** Of an answer of which nothing came. */
const NO_USAGE = new_usage();

/**
 * Whether the upstream has ended an answer before it gave any of it: no event but an error, no text, no figure of what was
 * used.
 */
function is_nothing_given(answer: AnswerReader, ending: Ending): boolean {
  const { usage } = answer;
  if ((ending !== "upstream_lost" && ending !== "timed_out") || usage.input > 0 || usage.output > 0 || usage.parts > 0) {
    return false;
  }
  return (answer.failed ? answer.failed_at <= 1 : answer.events === 0) && counted_output(answer) === 0;
}

/** Charges what was made in the background, without what was charged of it before. */
function charge_recalled(state: RequestState): void {
  const { paid_input, paid_output } = record_now(state);
  charge_answer(charge, state.answer!.usage, state.reading!, 0, true);
  charge.input = math.max(0, charge.input - paid_input);
  charge.cached_input = math.min(charge.cached_input, charge.input);
  charge.cache_write = math.min(charge.cache_write, charge.input - charge.cached_input);
  charge.cache_write_1h = math.min(charge.cache_write_1h, charge.cache_write);
  charge.output = math.max(0, charge.output - paid_output);
  charge.reasoning = math.min(charge.reasoning, charge.output);
  charge.from = "upstream";
  note_charged(state);
}

/** Charges what has been seen of an answer of the background before it was known what it costs. */
function charge_seen(state: RequestState, output: number): void {
  if (output > 0) {
    charge.output = output;
    charge.from = "counted";
    note_seen(state, output);
  }
}

/** What the request is charged: what the upstream reported, and what was seen. Nothing, if no answer was begun for it. */
function find_charge(state: RequestState, ending: Ending, status: number): void {
  const { answer, reading } = state;
  charge_nothing(charge);
  if (state.recall !== undefined) {
    if (charges_now(state)) {
      charge_recalled(state);
    } else {
      charge_seen(state, seen_unpaid(state));
    }
    return;
  }
  const begun = answer !== undefined || (ending === "client_gone" && state.under_way);
  if (reading === undefined || state.api!.counts || state.attempts === 0 || !begun || (status >= 400 && status !== 499)) {
    return;
  }
  if (answer === undefined) {
    charge_answer(charge, NO_USAGE, reading, 0, false);
  } else if (!is_nothing_given(answer, ending) && !is_to_come(state) && !is_charged_before(state)) {
    charge_answer(charge, answer.usage, reading, counted_output(answer), ending === "finished");
  }
}

/** What the charge comes to in money, and for the reservation. */
function set_cost(state: RequestState): void {
  const { model, reservation } = state;
  charge.nano_usd = 0;
  charge.free = 0;
  if (model === undefined || charge.from === undefined) {
    return;
  }
  const { input, output } = charge;
  if (reservation === undefined) {
    charge.nano_usd = cost(model.price, charge, 0);
    return;
  }
  charge.nano_usd = cost(model.price, charge, free_tokens(reservation));
  if (reservation.is_typical) {
    note_usual(state, output);
  }
  charge.free = used_free(reservation, input + output);
  reservation.used_tokens = input + output;
  reservation.cost_nano_usd = charge.nano_usd;
  reservation.free_used = charge.free;
}

/** What the tenant's guard found, for the journal. */
function guard_summary(state: RequestState): string | undefined {
  const prompt = state.prompt_verdict !== undefined ? state.prompt_verdict.tally : undefined;
  return summary(state.principal!.tenant.guard!.name, prompt, state.tally);
}

/** Counts what the tenant's guard found, and how long it held text back. */
function count_guard(meters: Meters, state: RequestState): void {
  const { prompt_verdict, tally, guarded_stream } = state;
  if (prompt_verdict !== undefined) {
    count_hits(meters, state.principal!.tenant.guard!.name, "prompt", prompt_verdict.tally);
  }
  if (tally !== undefined) {
    count_hits(meters, state.principal!.tenant.guard!.name, "completion", tally);
  }
  if (guarded_stream !== undefined) {
    observe_held(meters, guarded_stream.held.longest);
  }
}

/** The request's line for the journal, in parts. */
function journal_line(state: RequestState, ending: Ending, status: number, duration: number): JournalLine {
  const { endpoint, first_text, model, reservation } = state;
  record.id = state.id;
  record.time = state.arrived;
  record.tenant = state.principal!.tenant.id;
  record.key = state.principal!.key;
  record.model = model !== undefined ? model.name : undefined;
  record.pool = model !== undefined ? model.pool.name : undefined;
  record.endpoint = endpoint !== undefined ? endpoint.name : undefined;
  record.attempts = state.attempts;
  record.status = status;
  record.ending = ending;
  record.input_tokens = charge.input;
  record.cached_input_tokens = charge.cached_input;
  record.output_tokens = charge.output;
  record.usage_from = charge.from;
  record.reserved_tokens = reservation !== undefined ? reservation.tokens : undefined;
  record.cost_nano_usd = charge.nano_usd;
  record.free_units = charge.free;
  record.cache_write_tokens = charge.cache_write;
  record.cache_write_1h_tokens = charge.cache_write_1h;
  record.reasoning_tokens = charge.reasoning;
  record.first_token_ms = first_text !== undefined ? (first_text - state.began) * 1000 : undefined;
  record.duration_ms = duration * 1000;
  record.held_ms = state.guarded_stream !== undefined ? state.guarded_stream.held.longest * 1000 : 0;
  record.timeout = ending === "timed_out" ? state.timeout : undefined;
  record.guard = state.tally === undefined && state.prompt_verdict === undefined ? undefined : guard_summary(state);
  return line_parts(record);
}

/** Writes the line, and settles what the request had reserved. */
function write_journal(state: RequestState, line: JournalLine): void {
  const { journal, store } = gateway();
  const { learnt, reservation } = state;
  if (reservation !== undefined && is_to_come(state) && may_hold()) {
    state.reservation = undefined;
    hold_reservation(reservation, state.principal!.tenant.id, learnt[0]!);
    if (journal !== undefined) {
      append(journal, line);
    }
    return;
  }
  if (state.reservation !== undefined && store !== undefined) {
    const { tenant } = state.reservation;
    const due = write_and_settle(store, journal, line, state);
    if (due !== 0) {
      give_alerts(tenant!, due, spent_by(store, tenant!), state.id);
    }
  } else if (journal !== undefined) {
    append(journal, line);
  }
}

/** log_by_lua */
function log(this: void): void {
  // nginx may have ended it on the way from one location to another.
  const state = current_state() ?? kept_state(passing_request_id());
  if (state === undefined) {
    return;
  }
  forget_upstream(state);
  const now = monotonic();
  // Before the line is written: it belongs into the journal's present file.
  tend_while_draining(now);
  const { meters } = gateway();
  const status = ngx.status;
  const ending = ending_of(state, status);
  const duration = now - state.began;
  const tenant = state.principal !== undefined ? state.principal.tenant.id : "";
  const model = state.model !== undefined ? state.model.name : "";
  const meter = request_meter(meters, state.api !== undefined ? state.api.operation : "", tenant, model);

  count_request(meter, status, duration);
  if (state.refusal !== undefined) {
    count_refusal(meters, tenant, state.refusal.code);
  }
  const truncated = state.truncated ?? (state.answer !== undefined && state.answer.aborted ? "abort" : undefined);
  if (truncated !== undefined) {
    count_truncated(meters, state.model!.pool.name, truncated);
  }
  const first_text = state.first_text;
  if (first_text !== undefined && state.mode === Mode.Stream) {
    count_first_token(meter, first_text - state.began);
  }
  find_charge(state, ending, status);
  if (state.learnt.length > 0) {
    end_learning(state, ending, charge.input, charge.output);
  }
  end_last_attempt(state, ending);
  set_cost(state);
  if (charge.from !== undefined) {
    count_tokens(meters, meter, charge, charge.nano_usd);
  }
  count_overhead(meters, "access", state.overhead);
  count_guard(meters, state);

  if (state.principal !== undefined) {
    write_journal(state, journal_line(state, ending, status, duration));
  }
  count_overhead(meters, "log", monotonic() - now);
  if (state.answer !== undefined) {
    if (state.tally !== undefined) {
      unguard_text(state.answer.text as GuardedText);
    }
    return_answer(state.answer);
  }
  ngx.ctx = NO_STATE;
  release_state(state);
}

export { log };
