/**
 * Learns the ids in answers of the Responses API, before the bytes that name them go out; and forgets what the client must not
 * come back to: what a guard has blocked, what was cut, and what was deleted. Under a guard a JSON answer is known only when
 * all of it may go out.
 */

import { decode_record, encode_record } from "../responses/record";
import { counted_output, is_whole } from "../wire/answer";
import { ids_of_answer, is_id } from "../wire/response_ids";
import { Operation } from "../wire/response_paths";
import { claim, is_charge_taken, recall_here, remember, take_charge } from "./response_memory";
import { Mode } from "./state";
import type { Ending } from "../ledger/journal";
import type { ResponseRecord } from "../responses/record";
import type { AnswerReader } from "../wire/answer";
import type { RequestState } from "./state";

/** Of a larger JSON answer the ids in its beginning are learnt: the response's own comes first. */
const MOST_BYTES = 4194304;

/** What is to be known of the answer at hand. */
function record_of(state: RequestState, what: ResponseRecord["state"]): ResponseRecord {
  if (state.recall !== undefined) {
    const { account, asked, endpoint, key, model, pool } = state.recall.record;
    return { account, asked, endpoint, key, model, pool, state: what, paid_input: 0, paid_output: 0 };
  }
  return {
    key: state.principal!.key,
    model: state.model!.name,
    asked: state.reading!.model,
    pool: state.model!.pool.name,
    endpoint: state.endpoint!.name,
    account: state.account!.id,
    state: what,
    paid_input: 0,
    paid_output: 0,
  };
}

/** Whether the answer is made in the background, and its client may come for it later. */
function is_background(state: RequestState): boolean {
  const { recall, reading } = state;
  return recall === undefined && reading!.references !== undefined && reading!.references.background;
}

function keep(state: RequestState, ids: string[], what: ResponseRecord["state"]): void {
  remember(state.principal!.tenant.id, ids, encode_record(record_of(state, what)));
}

/** Keeps the response's own id. If the same server has given it to two callers, nobody knows whose answer lies under it: it is neither's. */
function keep_own(state: RequestState, id: string): void {
  const { base_path, host_header } = state.endpoint!;
  const { key, tenant } = state.principal!;
  const is_by_key = state.snapshot.configuration.responses?.scope === "key";
  const other = claim(tenant.id, key, is_by_key, `${host_header}${base_path}`, id);
  if (other !== undefined) {
    remember(other, [id], encode_record(record_of(state, "gone")));
  }
  keep(state, [id], other !== undefined ? "gone" : is_background(state) ? "due" : "kept");
}

/** Keeps ids that have come with the answer. `own`: the response's. */
function learn(state: RequestState, ids: string[], own: string | undefined): void {
  const items: string[] = [];
  for (const id of ids) {
    if (id === own && is_id(id) && state.recall === undefined) {
      state.learnt.push(id);
      keep_own(state, id);
    } else if (id !== own && is_id(id)) {
      state.learnt.push(id);
      items.push(id);
    }
  }
  keep(state, items, "kept");
}

/** Keeps the id of the answer's conversation, which goes on whatever becomes of the answer. */
function learn_conversation(state: RequestState, id: string | undefined): void {
  if (id !== undefined && is_id(id)) {
    keep(state, [id], "kept");
  }
}

/** All that the answer was known by is gone. */
function forget(state: RequestState): void {
  if (state.recall !== undefined) {
    state.learnt.push(state.recall.id);
  }
  keep(state, state.learnt, "gone");
  state.learnt = [];
}

/**
 * Whether the answer gives items back that the client has sent, with ids that may be anybody's: a list of a response's input, or a compaction.
 * Of these the items are learnt whose ids the client could not have sent unless they were known as its own.
 */
function gives_back(state: RequestState): boolean {
  const { api, recall } = state;
  return recall !== undefined ? recall.operation === Operation.ListInput : api!.suffix !== undefined;
}

/** Learns, or forgets, what a JSON text names. */
function learn_text(state: RequestState, text: string): void {
  const { conversation, items, response, status, whole_items } = ids_of_answer(text);
  const { recall } = state;
  if (recall !== undefined) {
    recall.is_ended = status !== undefined && status !== "queued" && status !== "in_progress";
  }
  const ids = response !== undefined ? [response] : [];
  for (const id of items) {
    ids.push(id);
  }
  if (!gives_back(state)) {
    for (const id of whole_items) {
      ids.push(id);
    }
  }
  if (state.broken !== "blocked") {
    learn(state, ids, response);
    learn_conversation(state, conversation);
    return;
  }
  for (const id of ids) {
    if (is_id(id)) {
      state.learnt.push(id);
    }
  }
  forget(state);
}

function learn_stream(state: RequestState, answer: AnswerReader): void {
  const { new_ids } = answer;
  if (new_ids !== undefined) {
    answer.new_ids = undefined;
    learn(state, gives_back(state) ? [] : new_ids, answer.response_id);
    learn_conversation(state, answer.conversation_id);
    answer.conversation_id = undefined;
  }
  if (state.recall !== undefined) {
    state.recall.is_ended = answer.complete;
  }
  if (state.broken === "blocked" || state.broken === "budget_cut") {
    forget(state);
  }
}

/** A JSON answer that goes on as it comes. */
function learn_body(state: RequestState, answer: AnswerReader, chunk: string): void {
  state.learning.push(chunk);
  state.learning_bytes += chunk.length;
  if (is_whole(answer) || state.learning_bytes > MOST_BYTES) {
    state.learns = false;
    learn_text(state, state.learning.join(""));
    state.learning = [];
  }
}

/** In the body filter, with a chunk that has been read, before it goes out. */
function learn_answer(state: RequestState, answer: AnswerReader, chunk: string): void {
  if (state.mode === Mode.Stream) {
    learn_stream(state, answer);
  } else if (state.guarded_body === undefined) {
    learn_body(state, answer, chunk);
  } else if (state.ended) {
    state.learns = false;
    if (state.broken === undefined || state.broken === "blocked") {
      learn_text(state, state.guarded_body.parts.join(""));
    }
  }
}

/** In the header filter: a good answer of the Responses API has begun, whose body is read. */
function begin_learning(state: RequestState, status: number): void {
  if (state.recall !== undefined && state.recall.operation === Operation.Delete) {
    if (status < 300) {
      forget(state);
    }
    return;
  }
  state.learns = status === 200 && (state.answer !== undefined || state.mode === Mode.Unknown);
}

/** Whether the upstream has reported what the answer at hand has cost. */
function has_usage(state: RequestState): boolean {
  const { answer } = state;
  // An answer that has failed may have no output.
  return answer !== undefined && answer.usage.input >= 0;
}

/** In the log phase: whether nothing has come yet of an answer that is made in the background, but its id. */
function is_to_come(state: RequestState): boolean {
  return state.learnt.length > 0 && state.mode === Mode.Body && is_background(state) && !has_usage(state) && state.broken === undefined;
}

/**
 * In the log phase: whether what was made in the background is charged with this request, whose answer is the first that says
 * what it has cost.
 */
function charges_now(state: RequestState): boolean {
  const { recall } = state;
  return recall !== undefined && recall.record !== undefined && recall.record.state === "due" && recall.is_ended && has_usage(state)
    && take_charge(state.principal!.tenant.id, recall.id);
}

/** What is known by now of a response of the background, which others may have got meanwhile. */
function record_now(state: RequestState): ResponseRecord {
  const { id, record } = state.recall!;
  const text = recall_here(state.principal!.tenant.id, id);
  return (text !== undefined ? decode_record(text) : undefined) ?? record;
}

/**
 * In the log phase: how many tokens the client has seen of an output of the background that nobody has paid for, and whose
 * usage did not come with it: the client has left a stream of it, or it has ended without any, as one does that was cancelled.
 */
function seen_unpaid(state: RequestState): number {
  const { answer, mode, recall } = state;
  if (recall === undefined || answer === undefined || recall.record.state !== "due" || has_usage(state) || (mode !== Mode.Stream && !recall.is_ended)) {
    return 0;
  }
  const now = record_now(state);
  return now.state === "kept" ? 0 : math.max(0, counted_output(answer) - math.max(now.paid_output, recall.record.paid_output));
}

/** So much of the output that has been seen is charged: the rest is still due. */
function note_seen(state: RequestState, output: number): void {
  const { id, record } = state.recall!;
  const { account, asked, endpoint, key, model, paid_input, pool } = record;
  const before = record_now(state);
  const paid_output = math.max(before.paid_output, record.paid_output) + output;
  const paid = encode_record({ account, asked, endpoint, key, model, pool, state: "due", paid_input, paid_output });
  remember(state.principal!.tenant.id, [id], paid);
}

/**
 * In the log phase: whether an answer that was made in the background, and that this request has had as a stream, has been
 * charged already: with one that came for it before the stream had ended.
 */
function is_charged_before(state: RequestState): boolean {
  if (state.learnt.length === 0 || !is_background(state)) {
    return false;
  }
  const id = state.learnt[0]!;
  const tenant = state.principal!.tenant.id;
  return has_usage(state) ? !take_charge(tenant, id) : is_charge_taken(tenant, id);
}

/** It has been charged. */
function note_charged(state: RequestState): void {
  if (state.broken !== "blocked") {
    keep(state, [state.recall!.id], "kept");
  }
}

/**
 * In the log phase: what becomes of an answer that was made for this request. One that was cut, by whomever, is gone: the
 * client has paid for what it has had. One of the background's is still there, and what was charged of it is noted.
 */
function end_learning(state: RequestState, ending: Ending, input: number, output: number): void {
  const { answer, learnt, recall } = state;
  if (recall !== undefined || learnt.length === 0) {
    return;
  }
  if (!is_background(state)) {
    if (ending !== "finished" && !(answer !== undefined && answer.complete)) {
      forget(state);
    }
    return;
  }
  if (state.broken === "blocked" || state.broken === "budget_cut" || is_to_come(state)) {
    // Somebody may have got it by now, and its record says more than this request knows.
    return;
  }
  const record = record_of(state, has_usage(state) ? "kept" : "due");
  record.paid_input = input;
  record.paid_output = output;
  remember(state.principal!.tenant.id, [learnt[0]!], encode_record(record));
}

export {
  begin_learning, charges_now, end_learning, is_charged_before, is_to_come, learn_answer, note_charged, note_seen, record_now,
  seen_unpaid,
};
