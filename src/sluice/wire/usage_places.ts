/**
 * Where answers tell how many tokens they used: one table, of which the shapes of answers are made, and the tests too.
 *
 * Providers that speak OpenAI's API put the same figures into different places. A figure that may stand in several has a slot
 * for each, so that a `null` in one does not hide the number in another; `usage` says which of them counts.
 */

import type { Place } from "./shape";

/** OpenAI's chat completions, completions and embeddings; its responses; Anthropic's messages. */
type UsageFamily = "choices" | "responses" | "messages";

interface UsagePlace {
  family: UsageFamily;
  /**
   * Names of members, with dots between, from the document or from the object with the usage on. `[]` stands behind an array's
   * name.
   */
  path: string;
  slot: string;
  /** Whose answers have it there. */
  by: string;
}

/** The objects with the figures. */
const USAGE_OBJECTS: readonly UsagePlace[] = [
  { family: "choices", path: "usage", slot: "usage", by: "OpenAI, and nearly everybody" },
  { family: "choices", path: "choices[].usage", slot: "usage_elsewhere", by: "Moonshot (Kimi), in a stream's last chunk" },
  { family: "choices", path: "x_groq.usage", slot: "usage_elsewhere", by: "Groq, in a stream's last chunk" },
  { family: "responses", path: "usage", slot: "usage", by: "OpenAI, a body" },
  { family: "responses", path: "response.usage", slot: "usage", by: "OpenAI, the last event" },
  { family: "messages", path: "usage", slot: "usage", by: "Anthropic, a body and message_delta" },
  { family: "messages", path: "message.usage", slot: "usage", by: "Anthropic, message_start" },
];

/** The figures in them. */
const USAGE_FIGURES: readonly UsagePlace[] = [
  { family: "choices", path: "prompt_tokens", slot: "input", by: "OpenAI" },
  { family: "choices", path: "completion_tokens", slot: "output", by: "OpenAI" },
  { family: "choices", path: "total_tokens", slot: "total", by: "OpenAI; xAI and Gemini, whose completion_tokens leave the reasoning out" },
  { family: "choices", path: "completion_tokens_details.reasoning_tokens", slot: "reasoning", by: "OpenAI, DeepSeek, xAI" },
  { family: "choices", path: "prompt_tokens_details.cached_tokens", slot: "cached", by: "OpenAI, vLLM" },
  { family: "choices", path: "cached_tokens", slot: "cached_beside", by: "Moonshot (Kimi)" },
  { family: "choices", path: "prompt_cache_hit_tokens", slot: "cache_hit", by: "DeepSeek" },
  { family: "choices", path: "prompt_tokens_details.cache_write_tokens", slot: "cache_write", by: "OpenRouter" },
  { family: "choices", path: "cache_creation_input_tokens", slot: "cache_write_beside", by: "LiteLLM" },
  { family: "responses", path: "input_tokens", slot: "input", by: "OpenAI" },
  { family: "responses", path: "output_tokens", slot: "output", by: "OpenAI" },
  { family: "responses", path: "total_tokens", slot: "total", by: "OpenAI" },
  { family: "responses", path: "output_tokens_details.reasoning_tokens", slot: "reasoning", by: "OpenAI" },
  { family: "responses", path: "input_tokens_details.cached_tokens", slot: "cached", by: "OpenAI" },
  { family: "responses", path: "input_tokens_details.cache_write_tokens", slot: "cache_write", by: "OpenRouter" },
  { family: "messages", path: "input_tokens", slot: "input", by: "Anthropic: without what was read from a cache or written to one" },
  { family: "messages", path: "output_tokens", slot: "output", by: "Anthropic: but in message_start, where it is no count" },
  { family: "messages", path: "cache_read_input_tokens", slot: "cached", by: "Anthropic" },
  { family: "messages", path: "cache_creation_input_tokens", slot: "cache_write", by: "Anthropic" },
  { family: "messages", path: "cache_creation.ephemeral_5m_input_tokens", slot: "cache_write_5m", by: "Anthropic" },
  { family: "messages", path: "cache_creation.ephemeral_1h_input_tokens", slot: "cache_write_1h", by: "Anthropic" },
];

/**
 * Puts the figures of an API into the object `root`, whose other members stay. `make`: a place for a figure; an object for
 * details.
 */
function add_figures(
  root: Record<string, Place>,
  family: UsageFamily,
  without: string | undefined,
  figure: (this: void, slot: string) => Place,
  details: (this: void, members: Record<string, Place>) => Place,
): void {
  for (const { family: of, path, slot } of USAGE_FIGURES) {
    if (of === family && slot !== without) {
      const [outer, inner] = string.match(path, "^([^.]+)%.([^.]+)$");
      if (inner === undefined) {
        root[path] = figure(slot);
      } else {
        root[outer!] ??= details({});
        root[outer!]!.members![inner] = figure(slot);
      }
    }
  }
}

export { USAGE_FIGURES, USAGE_OBJECTS, add_figures };
export type { UsageFamily, UsagePlace };
