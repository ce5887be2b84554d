/**
 * What an answer reports of the tokens it used (`usage_places`), as evidence that adds up: a stream may report several times,
 * in part, or with zeros where nothing is known yet, and may end before its last word. What it comes to is said by
 * `charged_tokens`.
 *
 * - A figure that is left out, `null` or 0 takes nothing away from what an earlier object said.
 * - An output counts together with how much text had come until then: what comes behind it is counted here.
 * - Objects in chunks without choices, with choices between them, are parts that add up: llama.cpp sends one for each choice.
 * - Reasoning that only `total_tokens` shows is output.
 *
 * Limits, budgets and the bill follow from these figures, so a figure that can't be true must not get there: one answer with 2^53
 * tokens would use up a tenant's month. An object with such a figure counts as if it had not been sent, as a whole, because the
 * figures beside a wrong one deserve no trust either.
 */

import { NO_SLOT } from "./answer_shape";
import { Kind } from "./json";
import type { AnswerSlots } from "./answer_shape";
import type { WalkState } from "./json";

/** Tokens of a report; −1: not reported. Never more than 10^9 each. */
interface Figures {
  /** All input tokens, those read from a cache and those written to one included. */
  input: number;
  cached_input: number;
  /** Tokens written to a cache, and those of them that stay there for an hour. */
  cache_write: number;
  cache_write_1h: number;
  /** Reasoning included. */
  output: number;
  reasoning: number;
}

interface Usage extends Figures {
  /** The input as the object itself has it: Anthropic's leaves out what the cache is about. */
  own_input: number;
  /** How many tokens of text had been counted when `output` was reported. */
  counted: number;
  /** The last object stood in a chunk without choices; and a chunk with choices has come since. */
  alone: boolean;
  choices_since: boolean;
  /** The sums of the parts before the present one; 0: there are none. */
  before: Figures;
  parts: number;
}

/** No model reads or writes so much for one request: the largest contexts have some 10^7 tokens. */
const MOST_TOKENS = 1e9;

/** What `figure_in` returns for a number that is negative, not whole, or too large. */
const IMPOSSIBLE = -2;

function no_figures(unknown: number): Figures {
  return { input: unknown, cached_input: unknown, cache_write: unknown, cache_write_1h: unknown, output: unknown, reasoning: unknown };
}

/** A usage of which nothing is reported yet. */
function new_usage(): Usage {
  return {
    input: -1, cached_input: -1, cache_write: -1, cache_write_1h: -1, output: -1, reasoning: -1,
    own_input: -1, counted: 0, alone: false, choices_since: false, before: no_figures(0), parts: 0,
  };
}

/** Back to nothing. */
function clear_usage(usage: Usage): void {
  usage.input = -1;
  usage.cached_input = -1;
  usage.cache_write = -1;
  usage.cache_write_1h = -1;
  usage.output = -1;
  usage.reasoning = -1;
  usage.own_input = -1;
  usage.counted = 0;
  usage.alone = false;
  usage.choices_since = false;
  if (usage.parts > 0) {
    usage.before = no_figures(0);
    usage.parts = 0;
  }
}

/** What the object at hand says, as it says it; `input` without what it leaves out. Overwritten by `read_object`. */
const said = no_figures(-1);

/** The figure in a slot, of at most `most`; -1: it says none. */
function figure_in(state: WalkState, slot: number, most = MOST_TOKENS): number {
  if (state.kinds[slot] !== Kind.Number) {
    return -1;
  }
  const figure = state.numbers[slot]!;
  return figure >= 0 && figure <= most ? figure : IMPOSSIBLE;
}

/** The first of the two that is a figure; IMPOSSIBLE if one of them is. */
function either(first: number, second: number): number {
  return first === IMPOSSIBLE || second === IMPOSSIBLE ? IMPOSSIBLE : first >= 0 ? first : second;
}

/** Reads the object of the document just walked into `said`. Returns whether all of it can be true. */
function read_object(state: WalkState, slots: AnswerSlots): boolean {
  const total = figure_in(state, slots.total, MOST_TOKENS * 2);
  const for_minutes = figure_in(state, slots.cache_write_5m);
  said.input = figure_in(state, slots.input);
  said.output = figure_in(state, slots.output);
  said.reasoning = figure_in(state, slots.reasoning);
  said.cached_input = either(figure_in(state, slots.cached), either(figure_in(state, slots.cached_beside), figure_in(state, slots.cache_hit)));
  said.cache_write = either(figure_in(state, slots.cache_write), figure_in(state, slots.cache_write_beside));
  said.cache_write_1h = figure_in(state, slots.cache_write_1h);
  if (said.cache_write === -1 && (for_minutes >= 0 || said.cache_write_1h >= 0)) {
    said.cache_write = math.max(for_minutes, 0) + math.max(said.cache_write_1h, 0);
  }
  const least = math.min(
    total, for_minutes, said.input, said.output, said.reasoning, said.cached_input, said.cache_write, said.cache_write_1h);
  if (least === IMPOSSIBLE) {
    return false;
  }
  const left_out = said.input > 0 ? total - said.input - math.max(said.output, 0) : 0;
  if (left_out > 0) {
    said.output = math.max(said.output, 0) + left_out;
    if (said.reasoning <= 0) {
      said.reasoning = left_out;
    }
  }
  return said.output <= MOST_TOKENS;
}

/** A figure with what is said now: nothing new, if that is left out, or 0 where something was known. */
function merged(known: number, now: number): number {
  return now > 0 || known < 0 ? now : known;
}

/** The present figures become a part, and another one begins. */
function begin_part(usage: Usage): void {
  const { before } = usage;
  before.input = math.min(before.input + math.max(usage.input, 0), MOST_TOKENS);
  before.cached_input = math.min(before.cached_input + math.max(usage.cached_input, 0), MOST_TOKENS);
  before.cache_write = math.min(before.cache_write + math.max(usage.cache_write, 0), MOST_TOKENS);
  before.cache_write_1h = math.min(before.cache_write_1h + math.max(usage.cache_write_1h, 0), MOST_TOKENS);
  before.output = math.min(before.output + math.max(usage.output, 0), MOST_TOKENS);
  before.reasoning = math.min(before.reasoning + math.max(usage.reasoning, 0), MOST_TOKENS);
  usage.parts += 1;
  usage.own_input = -1;
  usage.input = -1;
  usage.cached_input = -1;
  usage.cache_write = -1;
  usage.cache_write_1h = -1;
  usage.output = -1;
  usage.reasoning = -1;
}

/** Takes over what `said` says of the output, if it says anything. `counted`: tokens of the text that has come. */
function take_output(usage: Usage, counted: number): void {
  // A 0 is a figure only as long as there is no text.
  if (said.output > 0 || (said.output === 0 && usage.output < 0 && counted === 0)) {
    usage.output = said.output;
    usage.counted = counted;
  }
  usage.reasoning = merged(usage.reasoning, said.reasoning);
}

/** Whether the document just walked has a choice. */
function has_choices(state: WalkState, slots: AnswerSlots): boolean {
  return state.kinds[slots.choices] === Kind.Array && state.numbers[slots.choices] !== 0;
}

/**
 * Takes over what the document just walked reported. `counted`: tokens of the text that has come, with that of this document.
 */
function take_usage(usage: Usage, state: WalkState, slots: AnswerSlots, counted: number): void {
  if (state.kinds[slots.usage] !== Kind.Object && state.kinds[slots.usage_elsewhere] !== Kind.Object) {
    return;
  }
  if (!read_object(state, slots)) {
    return;
  }
  const alone = slots.choices !== NO_SLOT && !has_choices(state, slots);
  if (alone && usage.alone && usage.choices_since && (said.input <= 0 || said.cached_input <= said.input)) {
    begin_part(usage);
  }
  const cached = merged(usage.cached_input, said.cached_input);
  const written = merged(usage.cache_write, said.cache_write);
  const own_input = merged(usage.own_input, said.input);
  // Only Anthropic's input leaves tokens of the cache out, and only its answers have this slot.
  const apart = slots.cache_write_5m !== NO_SLOT ? math.max(cached, 0) + math.max(written, 0) : 0;
  const input = apart + math.max(own_input, 0);
  if (input > MOST_TOKENS || (input > 0 && cached > input)) {
    return;
  }
  usage.alone = alone;
  usage.choices_since = false;
  usage.own_input = own_input;
  usage.input = input > 0 ? input : -1;
  usage.cached_input = cached;
  usage.cache_write = written;
  usage.cache_write_1h = merged(usage.cache_write_1h, said.cache_write_1h);
  take_output(usage, counted);
}

/** Notes that a chunk without usage has come behind one that had nothing else. */
function note_chunk(usage: Usage, state: WalkState, slots: AnswerSlots): void {
  usage.choices_since = usage.choices_since || has_choices(state, slots);
}

export { MOST_TOKENS, clear_usage, new_usage, no_figures, note_chunk, take_usage };
export type { Figures, Usage };
