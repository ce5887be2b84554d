/**
 * Where the answers of each API keep what Sluice wants to know: the text, the usage, the marks by which an answer's parts
 * are told apart (`answer_places`).
 *
 * There are two shapes of each. The plain one takes for text what is counted as output. In the guarded one every string is
 * text that is not named here as something else, so that a new member of an API can't become a way around the guard.
 */

import { compile } from "./shape";
import { TextKind } from "./text_kind";
import { CHOICES, messages, responses } from "./answer_places";
import type { Shape } from "./shape";
import type { ApiName } from "./api";

/** The number for a slot that a shape does not have. */
const NO_SLOT = 31;

/** The slots that the shapes below share, looked up once. */
interface AnswerSlots {
  /** The object with what was used, and one in another place; and its figures (`usage_places`). */
  usage: number;
  usage_elsewhere: number;
  input: number;
  output: number;
  total: number;
  reasoning: number;
  cached: number;
  cached_beside: number;
  cache_hit: number;
  cache_write: number;
  cache_write_beside: number;
  cache_write_5m: number;
  cache_write_1h: number;
  choices: number;
  finish_reason: number;
  type: number;
  /** An error, and what says which; Responses: `code` of an error event is in the event itself. */
  error: number;
  error_code: number;
  error_status: number;
  error_type: number;
  code: number;
  /** Chat and completions: `object`, which is `error` in what is nothing else, and what that says of itself. */
  object: number;
  own_code: number;
  own_type: number;
  /** Responses: `code` of a failed response's error. */
  response_error: number;
  sequence: number;
  response_id: number;
  conversation_id: number;
  item_id: number;
  /** The choice at hand and its number; the tool call at hand and its. */
  choice: number;
  index: number;
  tool_call: number;
  tool_index: number;
  /** Responses: which item of the output, and which part of it. Messages: `index` is the content block's. */
  output_index: number;
  content_index: number;
  summary_index: number;
}

function shapes(last_kind: TextKind, left_out?: TextKind): Record<ApiName, Shape> {
  const choices = compile(CHOICES, last_kind, left_out);
  return {
    chat: choices,
    completions: choices,
    embeddings: choices,
    responses: compile(responses(), last_kind, left_out),
    messages: compile(messages(), last_kind, left_out),
  };
}

/** Log probabilities repeat the text, which is counted once. */
const PLAIN = shapes(TextKind.Name, TextKind.LogProbability);
const GUARDED = shapes(TextKind.Other);

/** The slot of that name; for one that the shape does not have, a number no slot has, which is never filled. */
function slot_named(shape: Shape, name: string): number {
  return shape.slot_of.get(name) ?? NO_SLOT;
}

function slots_of(shape: Shape): AnswerSlots {
  return {
    usage: slot_named(shape, "usage"),
    usage_elsewhere: slot_named(shape, "usage_elsewhere"),
    input: slot_named(shape, "input"),
    output: slot_named(shape, "output"),
    total: slot_named(shape, "total"),
    reasoning: slot_named(shape, "reasoning"),
    cached: slot_named(shape, "cached"),
    cached_beside: slot_named(shape, "cached_beside"),
    cache_hit: slot_named(shape, "cache_hit"),
    cache_write: slot_named(shape, "cache_write"),
    cache_write_beside: slot_named(shape, "cache_write_beside"),
    cache_write_5m: slot_named(shape, "cache_write_5m"),
    cache_write_1h: slot_named(shape, "cache_write_1h"),
    choices: slot_named(shape, "choices"),
    finish_reason: slot_named(shape, "finish_reason"),
    type: slot_named(shape, "type"),
    error: slot_named(shape, "error"),
    error_code: slot_named(shape, "error_code"),
    error_status: slot_named(shape, "error_status"),
    error_type: slot_named(shape, "error_type"),
    code: slot_named(shape, "code"),
    object: slot_named(shape, "object"),
    own_code: slot_named(shape, "own_code"),
    own_type: slot_named(shape, "own_type"),
    response_error: slot_named(shape, "response_error"),
    sequence: slot_named(shape, "sequence"),
    response_id: slot_named(shape, "response_id"),
    conversation_id: slot_named(shape, "conversation_id"),
    item_id: slot_named(shape, "item_id"),
    choice: slot_named(shape, "choice"),
    index: slot_named(shape, "index"),
    tool_call: slot_named(shape, "tool_call"),
    tool_index: slot_named(shape, "tool_index"),
    output_index: slot_named(shape, "output_index"),
    content_index: slot_named(shape, "content_index"),
    summary_index: slot_named(shape, "summary_index"),
  };
}

function all_slots(of: Record<ApiName, Shape>): Record<ApiName, AnswerSlots> {
  return {
    chat: slots_of(of.chat),
    completions: slots_of(of.completions),
    embeddings: slots_of(of.embeddings),
    responses: slots_of(of.responses),
    messages: slots_of(of.messages),
  };
}

const PLAIN_SLOTS = all_slots(PLAIN);
const GUARDED_SLOTS = all_slots(GUARDED);

/** Where an answer of that API keeps its text and its usage. */
function answer_shape(api: ApiName): Shape {
  return PLAIN[api];
}

/** The same for an answer whose every string is to be scanned. */
function guarded_shape(api: ApiName): Shape {
  return GUARDED[api];
}

/** The slots of the API's plain shape, or of its guarded one. */
function answer_slots(api: ApiName, guarded: boolean): AnswerSlots {
  return guarded ? GUARDED_SLOTS[api] : PLAIN_SLOTS[api];
}

export { NO_SLOT, answer_shape, answer_slots, guarded_shape };
export type { AnswerSlots };
