/**
 * What an answer reports of the tokens it used: OpenAI's `usage` object, and Anthropic's.
 *
 * Limits, budgets and the bill follow from these figures, so a figure that can't be true must not get there: one answer with 2^53
 * tokens would use up a tenant's month. An object with such a figure counts as if it had not been sent, as a whole, because the
 * figures beside a wrong one deserve no trust either. What earlier objects of the same answer reported stays.
 */

import { NO_SLOT } from "./answer_shape";
import { Kind } from "./json";
import type { AnswerSlots } from "./answer_shape";
import type { WalkState } from "./json";

/** Tokens as the upstream reported them; -1: not reported. Never more than 10^9, and never more cached input than input. */
interface Usage {
  /** All input tokens, those read from a cache and those written to one included. */
  input: number;
  cached_input: number;
  /** Anthropic: tokens written to a cache. */
  cache_written: number;
  output: number;
}

/** No model reads or writes so much for one request: the largest contexts have some 10^7 tokens. */
const MOST_TOKENS = 1e9;

/** What `figure_in` returns for a number that is negative, not whole, or too large. */
const IMPOSSIBLE = -2;

/** The figure in a slot; -1: it says none. */
function figure_in(state: WalkState, slot: number): number {
  if (state.kinds[slot] !== Kind.Number) {
    return -1;
  }
  const figure = state.numbers[slot]!;
  return figure >= 0 && figure <= MOST_TOKENS ? figure : IMPOSSIBLE;
}

/** Takes over what the document just walked reported; figures it did not report stay. */
function take_usage(usage: Usage, state: WalkState, slots: AnswerSlots): void {
  if (state.kinds[slots.usage] !== Kind.Object) {
    return;
  }
  const output = figure_in(state, slots.output);
  const said_cached = figure_in(state, slots.cached);
  const said_written = figure_in(state, slots.cache_written);
  const said_input = figure_in(state, slots.input);
  if (output === IMPOSSIBLE || said_cached === IMPOSSIBLE || said_written === IMPOSSIBLE || said_input === IMPOSSIBLE) {
    return;
  }
  const cached = said_cached >= 0 ? said_cached : usage.cached_input;
  const written = said_written >= 0 ? said_written : usage.cache_written;
  let input = said_input >= 0 ? said_input : usage.input;
  // Only Anthropic's input leaves cached tokens out, and only its answers have the slot for written ones.
  if (slots.cache_written !== NO_SLOT && input >= 0) {
    if (said_input < 0) {
      input -= math.max(usage.cached_input, 0) + math.max(usage.cache_written, 0);
    }
    input += math.max(cached, 0) + math.max(written, 0);
  }
  if (input > MOST_TOKENS || (input >= 0 && cached > input)) {
    return;
  }
  usage.input = input;
  usage.cached_input = cached;
  usage.cache_written = written;
  if (output >= 0) {
    usage.output = output;
  }
}

export { take_usage };
export type { Usage };
