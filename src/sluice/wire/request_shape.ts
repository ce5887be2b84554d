/**
 * Where the requests of each API keep what Sluice wants to know.
 *
 * Text is whatever a model may read: every string goes to the sink unless it is named here as something
 * else. An unknown member is text, with its member names, however deep, so that a new field of an API can't
 * become a way around the sink. The places follow OpenAI's API reference (chat, completions, embeddings,
 * responses) and Anthropic's (messages).
 */

import { compile } from "./shape";
import type { Place, Shape } from "./shape";
import type { ApiName } from "./api";

/** Text, all the way down. */
const TEXT: Place = { text: true, key_text: true };
TEXT.items = TEXT;
TEXT.others = TEXT;

/** Known not to be text: names of things, settings, data that is no writing. */
const SETTING: Place = { others: TEXT, items: TEXT };
const DATA: Place = {};

/** The members of an object that are not text; the others are. */
function object(members: Record<string, Place>): Place {
  return { members, others: TEXT, key_text: true, text: true };
}

/** A string that is text, or an array of such parts. */
function text_or(items: Place): Place {
  return { text: true, items, others: TEXT };
}

/** A part of a message's content, in any of the APIs: text, image, sound, file, tool use, tool result. */
const PART: Place = object({});
const CONTENT: Place = text_or(PART);
PART.members = {
  type: SETTING,
  id: SETTING,
  tool_use_id: SETTING,
  call_id: SETTING,
  status: SETTING,
  role: SETTING,
  detail: SETTING,
  cache_control: SETTING,
  signature: DATA,
  encrypted_content: DATA,
  image_url: { members: { url: DATA, detail: SETTING }, others: TEXT },
  input_audio: { members: { data: DATA, format: SETTING }, others: TEXT },
  file: { members: { file_data: DATA, file_id: SETTING }, others: TEXT },
  file_data: DATA,
  file_id: SETTING,
  file_url: DATA,
  source: {
    members: { type: SETTING, media_type: SETTING, data: DATA, url: DATA, file_id: SETTING, content: CONTENT },
    others: TEXT,
  },
  content: CONTENT,
  output: CONTENT,
  summary: CONTENT,
};

const FUNCTION_CALL = object({ id: SETTING, type: SETTING, index: SETTING });

const MESSAGES: Place = {
  text: true,
  items: object({
    role: SETTING,
    tool_call_id: SETTING,
    content: CONTENT,
    tool_calls: { text: true, items: FUNCTION_CALL, others: TEXT },
    audio: object({ id: SETTING }),
  }),
  others: TEXT,
};

const TOOLS: Place = { text: true, items: object({ type: SETTING }), others: TEXT };

/** Strings, token ids, or arrays of either. */
const PROMPT: Place = { text: true, count_numbers: true, others: TEXT };
PROMPT.items = PROMPT;

/** Settings that several APIs share. */
function common(members: Record<string, Place>): Place {
  members.model = { slot: "model" };
  members.stream = { slot: "stream" };
  members.user = { slot: "user" };
  members.service_tier = SETTING;
  members.safety_identifier = SETTING;
  members.prompt_cache_key = SETTING;
  return { slot: "body", members, others: TEXT, key_text: true };
}

const STREAM_OPTIONS: Place = {
  slot: "stream_options",
  members: { include_usage: { slot: "include_usage" } },
  others: TEXT,
};

const SHAPES = {
  chat: compile(
    common({
      stream_options: STREAM_OPTIONS,
      max_tokens: { slot: "max_tokens" },
      max_completion_tokens: { slot: "output_cap" },
      n: { slot: "n" },
      messages: MESSAGES,
      tools: TOOLS,
      functions: TOOLS,
      tool_choice: object({ type: SETTING }),
      response_format: object({ type: SETTING }),
      reasoning_effort: SETTING,
      verbosity: SETTING,
      modalities: DATA,
    }),
  ),
  completions: compile(
    common({
      stream_options: STREAM_OPTIONS,
      max_tokens: { slot: "output_cap" },
      n: { slot: "n" },
      best_of: { slot: "best_of" },
      prompt: PROMPT,
    }),
  ),
  embeddings: compile(common({ input: PROMPT, encoding_format: SETTING })),
  responses: compile(
    common({
      max_output_tokens: { slot: "output_cap" },
      input: CONTENT,
      tools: TOOLS,
      tool_choice: object({ type: SETTING }),
      previous_response_id: SETTING,
      include: DATA,
      truncation: SETTING,
    }),
  ),
  messages: compile(
    common({
      max_tokens: { slot: "output_cap" },
      system: CONTENT,
      messages: MESSAGES,
      tools: TOOLS,
      tool_choice: object({ type: SETTING }),
      metadata: object({ user_id: { slot: "user" } }),
    }),
  ),
};

function shape_of(api: ApiName): Shape {
  return SHAPES[api];
}

export { shape_of };
