/** Requests without a body: what the reading of one says. */

import type { ApiName } from "./api";
import type { RequestReading } from "./request";

/** The reading of a request that has no body, and asks for no text. */
function no_body(api: ApiName, model: string): RequestReading {
  return {
    api, model, model_start: 0, model_end: 0, stream: false, tools: false, client_wants_usage: true, usage_start: undefined, usage_end: 0,
    usage_text: "", output_cap: undefined, caps: [], odd_cap: undefined, choices: 1, written: 0, prompts: 1, prompt_tokens: 0, bytes: 0, options_start: 0,
    options_end: 0, references: undefined, model_lead: undefined, options_alone: false,
    thinking_budget: undefined,
  };
}

export { no_body };
