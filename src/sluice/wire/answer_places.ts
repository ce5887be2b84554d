/**
 * The places of answers, by API: OpenAI's reference (chat completion and its chunk, completion, response and its events) and
 * Anthropic's (messages and their events). What is not named as something else is text to be scanned.
 */

import { REASONS, ROLES, SERVICE_TIERS } from "./known_values";
import { TextKind } from "./text_kind";
import { add_figures } from "./usage_places";
import type { Place } from "./shape";
import type { UsageFamily } from "./usage_places";

/** A string at a place that is not known, and all below it, with the names of members, which a model may have made up. */
const UNKNOWN: Place = { kind: TextKind.Other, key_text: true };
UNKNOWN.items = UNKNOWN;
UNKNOWN.others = UNKNOWN;

/** What the server writes by itself, all the way down: ids, types, names of models. */
const SETTING: Place = {};

/** A number, whose range is wanted. A string in its place is text. */
function number(slot: string): Place {
  return { slot, kind: TextKind.Other, others: UNKNOWN, items: UNKNOWN };
}

/** A string of a few that the API names; text, if it is another one. */
function one_of(known: readonly string[]): Place {
  return { kind: TextKind.Other, known, others: UNKNOWN, items: UNKNOWN };
}

/** Text of that kind, in a place of its own: the texts of a stream are told apart by their places. */
function text(kind: TextKind): Place {
  return { kind };
}

/**
 * A picture as a data URL of base64 (OpenRouter's reference, "Image generation"), which is not read. Any other string is text.
 */
const MEDIA_URL: Place = { kind: TextKind.Other, media_url: true, others: UNKNOWN, items: UNKNOWN };

/** An object whose members are text unless they are named. */
function object(members: Record<string, Place>): Place {
  return { members, others: UNKNOWN, items: UNKNOWN, kind: TextKind.Other };
}

function tool_call(): Place {
  return {
    slot: "tool_call",
    members: {
      // Some models write the ids of their calls themselves.
      id: UNKNOWN,
      type: SETTING,
      index: number("tool_index"),
      function: object({ name: text(TextKind.Name), arguments: text(TextKind.Arguments) }),
      custom: object({ name: text(TextKind.Name), input: text(TextKind.Input) }),
    },
    others: UNKNOWN,
  };
}

/** A message, or what a chunk adds to one. */
function message(): Place {
  const content = text(TextKind.Content);
  content.items = object({ type: SETTING, text: text(TextKind.Content), refusal: text(TextKind.Refusal) });
  content.others = UNKNOWN;
  return object({
    role: one_of(ROLES),
    content,
    reasoning_content: text(TextKind.Reasoning),
    reasoning: text(TextKind.Reasoning),
    refusal: text(TextKind.Refusal),
    tool_calls: { items: tool_call(), others: UNKNOWN, kind: TextKind.Other },
    function_call: object({ name: text(TextKind.Name), arguments: text(TextKind.Arguments) }),
    audio: object({ id: SETTING, data: SETTING, transcript: text(TextKind.Input) }),
    images: {
      items: object({ type: SETTING, index: { kind: TextKind.Other, others: UNKNOWN, items: UNKNOWN }, image_url: object({ url: MEDIA_URL }) }),
      others: UNKNOWN,
      kind: TextKind.Other,
    },
  });
}

/** Tokens and alternatives to them. An alternative stands alone; the names of members may be tokens too. */
function token_list(): Place {
  return {
    items: object({
      token: text(TextKind.LogProbability),
      bytes: SETTING,
      top_logprobs: { items: object({ token: text(TextKind.Other), bytes: SETTING }), others: UNKNOWN, kind: TextKind.Other },
    }),
    others: UNKNOWN,
    kind: TextKind.Other,
  };
}

const ALTERNATIVES: Place = { key_text: true, kind: TextKind.Other };
ALTERNATIVES.items = ALTERNATIVES;
ALTERNATIVES.others = ALTERNATIVES;

const LOGPROBS: Place = {
  region: true,
  members: {
    content: token_list(),
    refusal: token_list(),
    tokens: { items: text(TextKind.LogProbability), others: UNKNOWN, kind: TextKind.Other },
    top_logprobs: ALTERNATIVES,
  },
  others: UNKNOWN,
  kind: TextKind.Other,
};

/** A string that says what kind of error it is; still text to be scanned. */
function error_word(slot: string): Place {
  return { slot, kind: TextKind.Other, items: UNKNOWN, others: UNKNOWN };
}

/** An error inside an answer. */
function error_object(): Place {
  return {
    slot: "error",
    members: { code: error_word("error_code"), status: error_word("error_status"), type: error_word("error_type") },
    others: UNKNOWN,
    kind: TextKind.Other,
  };
}

/** Objects of figures within the usage. */
const DETAILS = [
  "prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "output_tokens_details", "cache_creation", "server_tool_use",
];

/** What was used (`usage_places`). The names of members are the server's. `without`: a figure that is none here. */
function usage(family: UsageFamily, slot = "usage", without?: string): Place {
  const members: Record<string, Place> = { service_tier: one_of(SERVICE_TIERS) };
  add_figures(members, family, without, number, object);
  for (const name of DETAILS) {
    members[name] ??= object({});
  }
  return { slot, members, others: UNKNOWN, kind: TextKind.Other };
}

/** Chat completions, completions and embeddings: bodies and chunks alike. */
const CHOICES: Place = object({
  id: SETTING,
  object: { slot: "object" },
  model: SETTING,
  system_fingerprint: SETTING,
  service_tier: one_of(SERVICE_TIERS),
  provider: SETTING,
  prompt_filter_results: SETTING,
  choices: {
    slot: "choices",
    items: {
      slot: "choice",
      members: {
        index: number("index"),
        delta: message(),
        message: message(),
        text: text(TextKind.Content),
        finish_reason: { slot: "finish_reason", kind: TextKind.FinishReason },
        native_finish_reason: one_of(REASONS),
        logprobs: LOGPROBS,
        content_filter_results: SETTING,
        content_filter_offsets: SETTING,
        usage: usage("choices", "usage_elsewhere"),
      },
      others: UNKNOWN,
      kind: TextKind.Other,
    },
    others: UNKNOWN,
    kind: TextKind.Other,
  },
  usage: usage("choices"),
  x_groq: { members: { usage: usage("choices", "usage_elsewhere") }, others: UNKNOWN, items: UNKNOWN, kind: TextKind.Other, key_text: true },
  error: error_object(),
  // Of an error that is the whole object.
  code: error_word("own_code"),
  type: error_word("own_type"),
});

const RESPONSES_USAGE = usage("responses");

/** A part of an output item's content or summary. */
function response_part(kind: TextKind): Place {
  return object({
    type: SETTING,
    text: text(kind),
    refusal: text(kind),
    annotations: UNKNOWN,
    logprobs: { region: true, items: token_list().items!, others: UNKNOWN, kind: TextKind.Other },
  });
}

/** An item of a response's output: a message, reasoning, a tool call. */
function response_item(kind: TextKind, nested: TextKind): Place {
  return object({
    id: SETTING,
    type: SETTING,
    status: SETTING,
    role: one_of(ROLES),
    call_id: UNKNOWN,
    encrypted_content: SETTING,
    result: SETTING,
    content: { items: response_part(kind), others: UNKNOWN, kind: TextKind.Other },
    summary: { items: response_part(kind), others: UNKNOWN, kind: TextKind.Other },
    name: text(kind === TextKind.Repeated ? TextKind.Repeated : TextKind.Name),
    arguments: text(nested),
    input: text(kind),
  });
}

/** What a response says of the request it answers: the client's own words, which are not the model's. */
function response_members(kind: TextKind, nested: TextKind): Record<string, Place> {
  const items: Place = { items: response_item(kind, nested), others: UNKNOWN, kind: TextKind.Other };
  const members: Record<string, Place> = {
    output: items,
    // A page of the items of an input.
    data: items,
    usage: RESPONSES_USAGE,
    error: object({ code: SETTING }),
  };
  for (const name of [
    "id", "object", "status", "model", "instructions", "tools", "tool_choice", "metadata", "prompt", "text",
    "reasoning", "user", "safety_identifier", "prompt_cache_key", "previous_response_id", "truncation", "service_tier",
    "incomplete_details", "background", "conversation",
  ]) {
    members[name] = SETTING;
  }
  return members;
}

/** In a stream, text comes in `delta`; events that repeat it whole carry it elsewhere. A body is the response itself. */
function responses(): Place {
  const members = response_members(TextKind.Content, TextKind.Arguments);
  const repeated = response_members(TextKind.Repeated, TextKind.RepeatedArguments);
  repeated.id = { slot: "response_id" };
  repeated.error = object({ code: { slot: "response_error" } });
  repeated.conversation = { members: { id: { slot: "conversation_id" } } };
  members.type = { slot: "type", marks: true };
  members.sequence_number = number("sequence");
  members.output_index = number("output_index");
  members.content_index = number("content_index");
  members.summary_index = number("summary_index");
  members.item_id = SETTING;
  members.obfuscation = SETTING;
  members.partial_image_b64 = SETTING;
  members.delta = text(TextKind.Content);
  members.text = text(TextKind.Repeated);
  members.refusal = text(TextKind.Repeated);
  members.code = { slot: "code", kind: TextKind.Repeated };
  members.input = text(TextKind.Repeated);
  members.arguments = text(TextKind.RepeatedArguments);
  members.logprobs = { region: true, items: token_list().items!, others: UNKNOWN, kind: TextKind.Other };
  members.part = response_part(TextKind.Repeated);
  members.item = response_item(TextKind.Repeated, TextKind.RepeatedArguments);
  members.item.members!.id = { slot: "item_id" };
  members.response = object(repeated);
  members.error = error_object();
  return object(members);
}

const MESSAGES_USAGE = usage("messages");

/** At the beginning of a stream the output is not known yet: what stands there (1) is no count. */
const MESSAGES_START_USAGE = usage("messages", "usage", "output");

/** What begins in a content block goes on in its deltas, so both have the same places. */
function messages(): Place {
  const content = text(TextKind.Content);
  const thinking = text(TextKind.Reasoning);
  const block = object({
    type: SETTING,
    id: UNKNOWN,
    tool_use_id: UNKNOWN,
    signature: SETTING,
    data: SETTING,
    text: content,
    thinking,
    name: text(TextKind.Name),
    // The model chooses the names of members too.
    input: { kind: TextKind.Name, key_text: true },
  });
  const input = block.members!.input!;
  input.items = input;
  input.others = input;
  return object({
    type: { slot: "type" },
    id: SETTING,
    role: one_of(ROLES),
    model: SETTING,
    stop_reason: one_of(REASONS),
    index: number("index"),
    message: object({ id: SETTING, type: SETTING, role: one_of(ROLES), model: SETTING, usage: MESSAGES_START_USAGE }),
    delta: object({
      type: SETTING, text: content, thinking, partial_json: text(TextKind.Arguments), signature: SETTING, stop_reason: one_of(REASONS),
    }),
    content_block: block,
    content: { items: block, others: UNKNOWN, kind: TextKind.Other },
    usage: MESSAGES_USAGE,
    error: { slot: "error", members: { type: { slot: "error_type" } }, others: UNKNOWN, kind: TextKind.Other },
  });
}

export { CHOICES, messages, responses };
