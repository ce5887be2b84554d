/**
 * Which text of a stream a string belongs to: the choice, the tool call or part, and the place in the document. An event
 * names the choice by a number, which usually stands before the text but need not: then the string is read once more when
 * the whole event is known.
 */

import * as bits from "bit";
import { Kind } from "../wire/json";
import { hash } from "../wire/shape";
import { TextKind } from "../wire/text_kind";
import type { AnswerSlots } from "../wire/answer_shape";
import type { WalkState } from "../wire/json";
import type { ApiName } from "../wire/api";

const tobit = bits.tobit;

/** Of a string: the choice, output item or content block; the tool call or part in it; and which of its texts. */
interface TextPlace {
  outer: number;
  inner: number;
  place: number;
  kind: number;
}

/** What is not numbered. */
const NONE = -1;

/** The types of the Responses API whose `delta` is JSON in a string (API reference, streaming events). */
const NESTED_DELTAS = new LuaSet<number>();
for (const type of ["response.function_call_arguments.delta", "response.mcp_call_arguments.delta"]) {
  const [first] = hash(type);
  NESTED_DELTAS.add(first);
}

/** A number of the document as a field keeps it: in 32 bits. Whatever is no whole number is −1. */
function as_number(value: number): number {
  return tobit(value);
}

/** The number in a slot, if it came after the object that it numbers began; else undefined. */
function number_since(state: WalkState, slot: number, object: number): number | undefined {
  if (state.kinds[slot] !== Kind.Number || (object !== 0 && state.starts[slot]! < state.starts[object]!)) {
    return undefined;
  }
  return as_number(state.numbers[slot]!);
}

/** Chat and completions: the choice, and the tool call if the string is in one. Returns whether they are known yet. */
function locate_in_choice(found: TextPlace, state: WalkState, slots: AnswerSlots): boolean {
  const outer = number_since(state, slots.index, slots.choice);
  found.inner = NONE;
  if (outer === undefined) {
    return false;
  }
  found.outer = outer;
  const in_call =
    (found.kind === TextKind.Arguments || found.kind === TextKind.Input) &&
    state.kinds[slots.tool_call] === Kind.Object &&
    state.starts[slots.tool_call]! > state.starts[slots.choice]!;
  if (in_call) {
    const inner = number_since(state, slots.tool_index, slots.tool_call);
    if (inner === undefined) {
      return false;
    }
    found.inner = inner;
  }
  return true;
}

/** Responses: the item and the part, and the event's type, which says what the text is. */
function locate_in_response(found: TextPlace, state: WalkState, slots: AnswerSlots): boolean {
  const type = state.levels_first[1]!;
  const outer = number_since(state, slots.output_index, 0);
  if (type === 0 || outer === undefined) {
    return false;
  }
  found.outer = outer;
  found.inner = number_since(state, slots.content_index, 0) ?? number_since(state, slots.summary_index, 0) ?? NONE;
  if (found.kind === TextKind.Content) {
    found.place = tobit(found.place + type);
    if (NESTED_DELTAS.has(type)) {
      found.kind = TextKind.Arguments;
    }
  }
  return true;
}

/**
 * Says which text a string of a stream is of; `found.place` and `found.kind` are what its place in the document says. Returns false
 * if that is not known yet.
 */
function locate(found: TextPlace, api: ApiName, state: WalkState, slots: AnswerSlots): boolean {
  if (api === "responses") {
    return locate_in_response(found, state, slots);
  }
  if (api === "messages") {
    const outer = number_since(state, slots.index, 0);
    found.inner = NONE;
    found.outer = outer ?? NONE;
    return outer !== undefined;
  }
  return locate_in_choice(found, state, slots);
}

export { NESTED_DELTAS, NONE, as_number, locate, number_since };
export type { TextPlace };
