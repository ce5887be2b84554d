/**
 * What an answer is charged for, in tokens, when it has ended: what its upstream reported (`usage`), and what was counted where
 * that is not all.
 */

import { MOST_TOKENS } from "./usage";
import type { Figures, Usage } from "./usage";
import type { RequestReading } from "./request";

interface ChargedTokens extends Figures {
  /** Whether all of it is as the upstream said; else some of it was counted. */
  from: "upstream" | "counted" | undefined;
}

/** What of the request says how its answers are counted. */
type Asked = Pick<RequestReading, "api" | "prompt_tokens" | "written" | "prompts">;

/** Nothing. */
function charge_nothing(charged: ChargedTokens): void {
  charged.input = 0;
  charged.cached_input = 0;
  charged.cache_write = 0;
  charged.cache_write_1h = 0;
  charged.output = 0;
  charged.reasoning = 0;
  charged.from = undefined;
}

/**
 * A figure of the input. Parts of several prompts each say their own; those of one prompt all say the same, and the last is
 * taken.
 */
function of_input(last: number, before: number, usage: Usage, asked: Asked): number {
  if (asked.prompts > 1) {
    return math.max(last, 0) + before;
  }
  return usage.input > 0 || usage.parts === 0 ? math.max(last, 0) : math.floor(before / usage.parts);
}

/** The input: as reported, or as estimated. Returns whether it was reported. */
function charge_input(charged: ChargedTokens, usage: Usage, asked: Asked): boolean {
  const { before } = usage;
  const cached = of_input(usage.cached_input, before.cached_input, usage, asked);
  const written = of_input(usage.cache_write, before.cache_write, usage, asked);
  const reported = of_input(usage.input, before.input, usage, asked);
  charged.input = math.min(reported > 0 ? reported : math.max(asked.prompt_tokens, cached + written), MOST_TOKENS);
  charged.cached_input = math.min(cached, charged.input);
  charged.cache_write = math.min(written, charged.input - charged.cached_input);
  charged.cache_write_1h = math.min(of_input(usage.cache_write_1h, before.cache_write_1h, usage, asked), charged.cache_write);
  return reported > 0;
}

/** The output: as reported, with what has come behind that. Returns whether it is just what was reported. */
function charge_output(charged: ChargedTokens, usage: Usage, asked: Asked, counted: number, finished: boolean): boolean {
  const known = usage.output >= 0 || usage.parts > 0;
  const reported = math.max(usage.output, 0) + usage.before.output;
  const since = math.max(counted - usage.counted, 0);
  let output = counted;
  if (known) {
    // Of an answer that has ended well, an early report may have been of all of it.
    output = finished ? math.max(reported, since > 0 ? counted : 0) : reported + since;
  }
  if (asked.written > 1) {
    // Some engines report one answer of several.
    output = math.max(output, counted);
  }
  charged.output = math.min(output, MOST_TOKENS);
  charged.reasoning = math.min(math.max(usage.reasoning, 0) + usage.before.reasoning, charged.output);
  return known && output === reported;
}

/**
 * Works out what an answer is charged for. `usage`: what was reported; undefined: nothing has come. `counted`: tokens of its
 * text. `finished`: it has ended as it should.
 */
function charge_answer(charged: ChargedTokens, usage: Usage, asked: Asked, counted: number, finished: boolean): void {
  const input_reported = charge_input(charged, usage, asked);
  if (asked.api === "embeddings") {
    charged.output = 0;
    charged.reasoning = 0;
    charged.from = input_reported ? "upstream" : "counted";
    return;
  }
  const output_reported = charge_output(charged, usage, asked, counted, finished);
  charged.from = input_reported && output_reported ? "upstream" : "counted";
}

export { charge_answer, charge_nothing };
export type { Asked, ChargedTokens };
