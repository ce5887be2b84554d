/** What an answer reports of the tokens it used: OpenAI's `usage` object, and Anthropic's. */

import { NO_SLOT } from "./answer_shape";
import { Kind } from "./json";
import type { AnswerSlots } from "./answer_shape";
import type { WalkState } from "./json";

/** Tokens as the upstream reported them; -1: not reported. */
interface Usage {
  /** All input tokens, those read from a cache included. */
  input: number;
  cached_input: number;
  output: number;
}

function number_in(state: WalkState, slot: number): number {
  return state.kinds[slot] === Kind.Number ? state.numbers[slot]! : -1;
}

/** Takes over what the document just walked reported; figures it did not report stay. */
function take_usage(usage: Usage, state: WalkState, slots: AnswerSlots): void {
  if (state.kinds[slots.usage] !== Kind.Object) {
    return;
  }
  const output = number_in(state, slots.output);
  if (output >= 0) {
    usage.output = output;
  }
  const cached = number_in(state, slots.cached);
  if (cached >= 0) {
    usage.cached_input = cached;
  }
  const input = number_in(state, slots.input);
  if (input >= 0) {
    // Only Anthropic's figures leave cached tokens out; only they have the slot for written ones.
    const written = number_in(state, slots.cache_written);
    usage.input = input;
    if (slots.cache_written !== NO_SLOT) {
      usage.input += (cached > 0 ? cached : 0) + (written > 0 ? written : 0);
    }
  }
}

export { take_usage };
export type { Usage };
