/**
 * The places of requests, by API: OpenAI's reference (chat, completions, embeddings, responses) and Anthropic's (messages).
 *
 * Text is whatever a model may read: every string goes to the sink unless it is named here as something else. An
 * unknown member is text, with its member names, however deep, so that a new field of an API can't become a way around
 * the sink.
 *
 * A server's chat template may print far more than the messages' content: the role as it stands, ids of tool calls, a tool's
 * whole object as JSON, how much the model is to think. So under a guard settings and ids are text too, but for the
 * values that the API names. They are of the kind `Other`, which is scanned and not counted. What no guard reads is `UNREAD`:
 * signatures, names of what is stored, and who asks; and media, where the part's type says so. docs/guard.md lists those
 * members, and a spec compares the two.
 */

import { TextKind } from "./text_kind";
import {
  CHOICES, DETAILS, EFFORTS, FORMATS, INCLUDES, MEDIA_TYPES, MODALITIES, ROLES, SERVICE_TIERS, STATUSES, TYPES,
} from "./known_values";
import type { Place } from "./shape";
import type { ApiName } from "./api";

/** Text, all the way down. */
const TEXT: Place = { text: true, key_text: true };
TEXT.items = TEXT;
TEXT.others = TEXT;

/** JSON inside a string. */
const ARGUMENTS: Place = { kind: TextKind.Arguments, others: TEXT, items: TEXT, key_text: true };

/** A number, a switch, an id: text under a guard, if it is a string. */
const SETTING: Place = { kind: TextKind.Other, others: TEXT, items: TEXT, key_text: true };

/** The same for one whose range is wanted. */
function wanted(slot: string): Place {
  return { slot, kind: TextKind.Other, others: TEXT, items: TEXT, key_text: true };
}

/** An enumeration: text under a guard unless the API names the value. */
function one_of(known: readonly string[]): Place {
  return { kind: TextKind.Other, known, others: TEXT, items: TEXT, key_text: true };
}

/** Several such values. */
function some_of(known: readonly string[]): Place {
  return { kind: TextKind.Other, known, items: one_of(known), others: TEXT, key_text: true };
}

/** A string that no guard reads. What stands there in the place of a string is text. */
const UNREAD: Place = { others: TEXT, items: TEXT, key_text: true };
/**
 * Whatever stands at a place that is not known: text, all the way down. Bytes in base64 are read and not counted: they are more
 * likely media of a kind that is not known than words. What is called a text is one.
 */
const UNKNOWN: Place = { text: true, key_text: true, bytes: true, members: { text: TEXT } };
UNKNOWN.items = UNKNOWN;
UNKNOWN.others = UNKNOWN;
/** Media as one string: bytes in base64, or an address. */
const MEDIUM: Place = { kind: TextKind.Other, media: true, others: TEXT, items: TEXT, key_text: true };
/** The same, or several: the frames of a video, embeddings by name. */
const MEDIA: Place = { kind: TextKind.Other, media: true, key_text: true };
MEDIA.items = MEDIA;
MEDIA.others = MEDIA;
/** Media, or text: the type says which, and their looks while it has not come. */
const MEDIA_OR_TEXT: Place = { text: true, media: true, bytes: true, others: TEXT, items: TEXT, key_text: true };
/** Who asks. */
const USER: Place = { slot: "user", others: TEXT, items: TEXT, key_text: true };

const ROLE = one_of(ROLES);
/** Says what kind of object it stands in; other members may depend on it. */
const TYPE: Place = { kind: TextKind.Other, known: TYPES, marks: true, others: TEXT, items: TEXT, key_text: true };

/** An object whose members are text unless they are named. */
function object(members: Record<string, Place>): Place {
  return { members, others: TEXT, items: TEXT, key_text: true, text: true };
}

/** The same, or a string of a few that the API names. */
function object_or(known: readonly string[], members: Record<string, Place>): Place {
  return { members, others: TEXT, items: TEXT, key_text: true, text: true, known };
}

/** Media that are named by an address or have their bytes there; as a plain string too. */
function reference(members: Record<string, Place>): Place {
  return { members, kind: TextKind.Other, media: true, others: TEXT, items: TEXT, key_text: true };
}

/** A string that is text, or an array of such parts. */
function text_or(items: Place): Place {
  return { text: true, items, others: TEXT, key_text: true };
}

const CACHE_CONTROL = object({ type: TYPE });

/** A part of a message's content, in any of the APIs: text, image, sound, file, tool use, tool result. */
const PART: Place = object({});
PART.others = UNKNOWN;
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
  result: MEDIA_OR_TEXT,
  id: SETTING,
  tool_use_id: SETTING,
  call_id: SETTING,
  status: one_of(STATUSES),
  role: ROLE,
  detail: one_of(DETAILS),
  cache_control: CACHE_CONTROL,
  signature: UNREAD,
  encrypted_content: UNREAD,
  image_url: reference({ url: MEDIUM, detail: one_of(DETAILS) }),
  video_url: reference({ url: MEDIUM }),
  audio_url: reference({ url: MEDIUM }),
  document_url: reference({ url: MEDIUM }),
  input_audio: object({ data: MEDIUM, format: one_of(FORMATS) }),
  file: object({ file_data: MEDIUM, file_id: UNREAD }),
  image: MEDIA,
  audio: MEDIA,
  video: MEDIA,
  image_embeds: MEDIA,
  audio_embeds: MEDIA,
  video_embeds: MEDIA,
  data: MEDIUM,
  file_data: MEDIUM,
  file_id: UNREAD,
  file_url: MEDIUM,
  // An image's bytes, a document's text, or where a search result comes from: its type says which.
  source: object({
    type: TYPE,
    media_type: one_of(MEDIA_TYPES),
    data: MEDIA_OR_TEXT,
    url: MEDIUM,
    file_id: UNREAD,
    content: CONTENT,
  }),
  content: CONTENT,
  output: CONTENT,
  summary: CONTENT,
};

CONTENT.members = PART.members;
CONTENT.others = UNKNOWN;

/** Where the instructions stand that come before a conversation; a place of its own, of which the range is wanted. */
const SYSTEM: Place = { slot: "system", any_case: true, text: true, items: PART, members: PART.members, others: UNKNOWN, key_text: true };
const INSTRUCTIONS: Place = { slot: "system", any_case: true, text: true, items: TEXT, others: TEXT, key_text: true };
/** An item of a response's input. By its id a server may know it. */
const ITEM: Place = object({});
ITEM.others = UNKNOWN;
ITEM.exact_case = true;
for (const [name, place] of pairs(PART.members)) {
  ITEM.members![name] = place;
}
ITEM.members!.id = wanted("item_id");
/** A conversation where it is made of the parts of messages. */
const INPUT: Place = { slot: "messages", any_case: true, text: true, items: ITEM, members: ITEM.members, others: UNKNOWN, key_text: true };

const FUNCTION = object({ name: TEXT, description: TEXT, arguments: ARGUMENTS, parameters: TEXT, strict: SETTING });
const FUNCTION_CALL = object({ id: SETTING, type: TYPE, index: SETTING, function: FUNCTION });

const MESSAGE = object({
  role: ROLE,
  tool_call_id: SETTING,
  content: CONTENT,
  tool_calls: text_or(FUNCTION_CALL),
  function_call: FUNCTION,
  audio: object({ id: SETTING }),
  name: TEXT,
  refusal: TEXT,
  reasoning_content: TEXT,
});
MESSAGE.others = UNKNOWN;
const MESSAGES: Place = text_or(MESSAGE);
MESSAGES.slot = "messages";
MESSAGES.any_case = true;

const TOOL = object({
  type: TYPE,
  function: FUNCTION,
  name: TEXT,
  description: TEXT,
  parameters: TEXT,
  input_schema: TEXT,
  cache_control: CACHE_CONTROL,
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

/** What is to be embedded: the same, or parts of a message's content. */
const EMBEDDED: Place = { text: true, count_numbers: true, members: PART.members, others: UNKNOWN, key_text: true };
EMBEDDED.items = EMBEDDED;

/** Members that are numbers and switches. */
const NUMBERS = [
  "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "repetition_penalty", "seed", "logprobs",
  "top_logprobs", "logit_bias", "parallel_tool_calls", "store", "echo", "dimensions", "ignore_eos", "min_tokens", "background",
];

/** Settings that several APIs share. */
function common(members: Record<string, Place>): Place {
  members.model = { slot: "model", others: TEXT, items: TEXT, key_text: true };
  members.stream = wanted("stream");
  members.user = USER;
  members.service_tier = one_of(SERVICE_TIERS);
  members.safety_identifier = UNREAD;
  members.prompt_cache_key = UNREAD;
  for (const name of NUMBERS) {
    members[name] ??= SETTING;
  }
  members.stop = TEXT;
  members.metadata ??= TEXT;
  members.instructions ??= TEXT;
  return { slot: "body", members, others: UNKNOWN, items: TEXT, key_text: true, exact_case: true };
}

const STREAM_OPTIONS: Place = {
  slot: "stream_options",
  text: true,
  members: { include_usage: wanted("include_usage") },
  others: TEXT,
  items: TEXT,
  key_text: true,
  exact_case: true,
};

/** The response that a request goes on from, and the conversation that it belongs to. */
const PREVIOUS: Place = { slot: "previous", others: TEXT, items: TEXT, key_text: true };
const CONVERSATION: Place = wanted("conversation");
CONVERSATION.members = { id: wanted("conversation_id") };
CONVERSATION.exact_case = true;

/** How much a model of Anthropic's is to think. */
const THINKING = object({ type: one_of(CHOICES), budget_tokens: wanted("thinking_budget") });

const REQUEST_PLACES: Record<ApiName, Place> = {
  chat: common({
    stream_options: STREAM_OPTIONS,
    max_tokens: wanted("max_tokens"),
    max_completion_tokens: wanted("output_cap"),
    n: wanted("n"),
    messages: MESSAGES,
    tools: TOOLS,
    functions: FUNCTIONS,
    tool_choice: object_or(CHOICES, { type: TYPE }),
    function_call: object_or(CHOICES, {}),
    response_format: object_or(TYPES, { type: TYPE }),
    prediction: object({ type: TYPE }),
    reasoning_effort: one_of(EFFORTS),
    verbosity: one_of(EFFORTS),
    // Not OpenAI's: gateways and Anthropic's own endpoint of this API take it.
    thinking: THINKING,
    modalities: some_of(MODALITIES),
  }),
  completions: common({
    stream_options: STREAM_OPTIONS,
    max_tokens: wanted("output_cap"),
    n: wanted("n"),
    best_of: wanted("best_of"),
    prompt: PROMPTS,
  }),
  embeddings: common({ input: EMBEDDED, messages: text_or(MESSAGE), encoding_format: one_of(FORMATS) }),
  responses: common({
    max_output_tokens: wanted("output_cap"),
    instructions: INSTRUCTIONS,
    input: INPUT,
    tools: TOOLS,
    tool_choice: object_or(CHOICES, { type: TYPE }),
    reasoning: object({ effort: one_of(EFFORTS), summary: one_of(CHOICES), generate_summary: one_of(CHOICES) }),
    text: object({ format: object({ type: TYPE }), verbosity: one_of(EFFORTS) }),
    previous_response_id: PREVIOUS,
    conversation: CONVERSATION,
    background: wanted("background"),
    // Not OpenAI's: vLLM and SGLang call the response so.
    request_id: wanted("request_id"),
    include: some_of(INCLUDES),
    truncation: one_of(CHOICES),
  }),
  messages: common({
    max_tokens: wanted("output_cap"),
    system: SYSTEM,
    messages: MESSAGES,
    tools: TOOLS,
    tool_choice: object({ type: one_of(CHOICES) }),
    thinking: THINKING,
    metadata: object({ user_id: USER }),
  }),
};

export { REQUEST_PLACES };
