/**
 * Where the requests of each API keep what Sluice wants to know.
 *
 * Text is whatever a model may read: every string goes to the sink unless it is named here as something
 * else. An unknown member is text, with its member names, however deep, so that a new field of an API can't
 * become a way around the sink. The places follow OpenAI's API reference (chat, completions, embeddings,
 * responses) and Anthropic's (messages).
 */

import { compile } from "./shape";
import { TextKind } from "./text_kind";
import type { Place, Shape } from "./shape";
import type { ApiName } from "./api";

/** Text, all the way down. */
const TEXT: Place = { text: true, key_text: true };
TEXT.items = TEXT;
TEXT.others = TEXT;

/** JSON inside a string. */
const ARGUMENTS: Place = { kind: TextKind.Arguments, others: TEXT, items: TEXT, key_text: true };

/** Known not to be text: names of things, settings, data that is no writing. */
const SETTING: Place = { others: TEXT, items: TEXT, key_text: true };
const DATA: Place = {};
/** Says what kind of object it stands in; other members may depend on it. */
const TYPE: Place = { marks: true, others: TEXT, items: TEXT, key_text: true };

/** The members of an object that are not text; the others are. */
function object(members: Record<string, Place>): Place {
  return { members, others: TEXT, items: TEXT, key_text: true, text: true };
}

/** What names something that is no text, by address or by its bytes; as a plain string too. */
function reference(members: Record<string, Place>): Place {
  return { members, others: TEXT, items: TEXT, key_text: true };
}

/** A string that is text, or an array of such parts. */
function text_or(items: Place): Place {
  return { text: true, items, others: TEXT, key_text: true };
}

/** A part of a message's content, in any of the APIs: text, image, sound, file, tool use, tool result. */
const PART: Place = object({});
const CONTENT: Place = text_or(PART);
PART.members = {
  type: TYPE,
  text: TEXT,
  thinking: TEXT,
  refusal: TEXT,
  title: TEXT,
  name: TEXT,
  input: TEXT,
  arguments: ARGUMENTS,
  result: { text: true, data_if: "image_generation_call", others: TEXT, items: TEXT, key_text: true },
  id: SETTING,
  tool_use_id: SETTING,
  call_id: SETTING,
  status: SETTING,
  role: SETTING,
  detail: SETTING,
  cache_control: SETTING,
  signature: DATA,
  encrypted_content: DATA,
  image_url: reference({ url: DATA, detail: SETTING }),
  video_url: reference({ url: DATA }),
  audio_url: reference({ url: DATA }),
  input_audio: reference({ data: DATA, format: SETTING }),
  file: reference({ file_data: DATA, file_id: SETTING }),
  data: DATA,
  file_data: DATA,
  file_id: SETTING,
  file_url: DATA,
  // An image's bytes, a document's text, or where a search result comes from: its type says which.
  source: object({
    type: TYPE,
    media_type: SETTING,
    data: { text: true, data_if: "base64", others: TEXT, items: TEXT, key_text: true },
    url: DATA,
    file_id: SETTING,
    content: CONTENT,
  }),
  content: CONTENT,
  output: CONTENT,
  summary: CONTENT,
};

CONTENT.members = PART.members;

/** Where the instructions stand that come before a conversation; a place of its own, of which the range is wanted. */
const SYSTEM: Place = { slot: "system", any_case: true, text: true, items: PART, members: PART.members, others: TEXT, key_text: true };
const INSTRUCTIONS: Place = { slot: "system", any_case: true, text: true, items: TEXT, others: TEXT, key_text: true };
/** A conversation where it is made of the parts of messages. */
const INPUT: Place = { slot: "messages", any_case: true, text: true, items: PART, members: PART.members, others: TEXT, key_text: true };

const FUNCTION = object({ name: TEXT, description: TEXT, arguments: ARGUMENTS, parameters: TEXT, strict: SETTING });
const FUNCTION_CALL = object({ id: SETTING, type: SETTING, index: SETTING, function: FUNCTION });

const MESSAGES: Place = text_or(
  object({
    role: SETTING,
    tool_call_id: SETTING,
    content: CONTENT,
    tool_calls: text_or(FUNCTION_CALL),
    audio: object({ id: SETTING }),
    name: TEXT,
    refusal: TEXT,
    reasoning_content: TEXT,
  }),
);
MESSAGES.slot = "messages";
MESSAGES.any_case = true;

const TOOL = object({
  type: SETTING,
  function: FUNCTION,
  name: TEXT,
  description: TEXT,
  parameters: TEXT,
  input_schema: TEXT,
  strict: SETTING,
});
const TOOLS: Place = { slot: "tools", any_case: true, text: true, items: TOOL, others: TEXT, key_text: true };
/** What tools were called before. */
const FUNCTIONS: Place = { slot: "functions", any_case: true, text: true, items: TOOL, others: TEXT, key_text: true };

/** Strings, token ids, or arrays of either. */
const PROMPT: Place = { text: true, count_numbers: true, others: TEXT, key_text: true };
PROMPT.items = PROMPT;
/** The same of completions, where each is answered by itself. */
const PROMPTS: Place = { slot: "prompt", text: true, count_numbers: true, others: TEXT, key_text: true, items: PROMPT };

/** Members whose names are the API's own and whose values are no text. */
const SETTINGS = [
  "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "repetition_penalty", "seed", "logprobs",
  "top_logprobs", "logit_bias", "parallel_tool_calls", "store", "echo", "dimensions", "ignore_eos", "min_tokens", "background",
];

/** Settings that several APIs share. */
function common(members: Record<string, Place>): Place {
  members.model = { slot: "model" };
  members.stream = { slot: "stream" };
  members.user = { slot: "user" };
  members.service_tier = SETTING;
  members.safety_identifier = SETTING;
  members.prompt_cache_key = SETTING;
  for (const name of SETTINGS) {
    members[name] = SETTING;
  }
  members.stop = TEXT;
  members.metadata ??= TEXT;
  members.instructions ??= TEXT;
  return { slot: "body", members, others: TEXT, items: TEXT, key_text: true, exact_case: true };
}

const STREAM_OPTIONS: Place = {
  slot: "stream_options",
  members: { include_usage: { slot: "include_usage" } },
  others: TEXT,
  items: TEXT,
  key_text: true,
  exact_case: true,
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
      functions: FUNCTIONS,
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
      prompt: PROMPTS,
    }),
  ),
  embeddings: compile(common({ input: PROMPT, encoding_format: SETTING })),
  responses: compile(
    common({
      max_output_tokens: { slot: "output_cap" },
      instructions: INSTRUCTIONS,
      input: INPUT,
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
      system: SYSTEM,
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
