/**
 * What an answer reports of the tokens it used, and where each API keeps that: OpenAI's `usage` object
 * (API reference, chat completion chunk and response objects) and Anthropic's (messages).
 */

import { compile } from "./shape";
import { Kind } from "./json";
import type { WalkState } from "./json";
import type { Place, Shape } from "./shape";
import type { ApiName } from "./api";

/** Tokens as the upstream reported them; -1: not reported. */
interface Usage {
  /** All input tokens, those read from a cache included. */
  input: number;
  cached_input: number;
  output: number;
}

/** The number for a slot that a shape does not have. */
const NO_SLOT = 31;

/** The slots that the shapes below share, looked up once. */
interface AnswerSlots {
  usage: number;
  input: number;
  cached: number;
  cache_written: number;
  output: number;
  choices: number;
  type: number;
  error: number;
  sequence: number;
  response_id: number;
}

const TEXT: Place = { text: true };
TEXT.items = TEXT;
TEXT.others = TEXT;

const CALL: Place = {
  members: { function: { members: { name: TEXT, arguments: TEXT } }, custom: { members: { name: TEXT, input: TEXT } } },
};

const MESSAGE: Place = {
  members: {
    content: { text: true, items: { members: { text: TEXT, refusal: TEXT } } },
    reasoning_content: TEXT,
    reasoning: TEXT,
    refusal: TEXT,
    tool_calls: { items: CALL },
    function_call: { members: { name: TEXT, arguments: TEXT } },
  },
};

const OPENAI_USAGE: Place = {
  slot: "usage",
  members: {
    prompt_tokens: { slot: "input" },
    completion_tokens: { slot: "output" },
    prompt_tokens_details: { members: { cached_tokens: { slot: "cached" } } },
  },
};

/** Chat completions, completions and embeddings: bodies and chunks alike. */
const CHOICES: Place = {
  members: {
    choices: { slot: "choices", items: { members: { delta: MESSAGE, message: MESSAGE, text: TEXT } } },
    usage: OPENAI_USAGE,
    error: { slot: "error" },
  },
};

const RESPONSES_USAGE: Place = {
  slot: "usage",
  members: {
    input_tokens: { slot: "input" },
    output_tokens: { slot: "output" },
    input_tokens_details: { members: { cached_tokens: { slot: "cached" } } },
  },
};

/** In a stream, text comes in `delta`; events that repeat it whole carry it elsewhere. */
const RESPONSES: Place = {
  members: {
    type: { slot: "type" },
    sequence_number: { slot: "sequence" },
    delta: TEXT,
    output: {
      items: {
        members: {
          content: { items: { members: { text: TEXT, refusal: TEXT } } },
          summary: { items: { members: { text: TEXT } } },
          name: TEXT,
          arguments: TEXT,
          input: TEXT,
        },
      },
    },
    response: { members: { id: { slot: "response_id" }, usage: RESPONSES_USAGE } },
    usage: RESPONSES_USAGE,
    error: { slot: "error" },
  },
};

const MESSAGES_USAGE: Place = {
  slot: "usage",
  members: {
    input_tokens: { slot: "input" },
    output_tokens: { slot: "output" },
    cache_read_input_tokens: { slot: "cached" },
    cache_creation_input_tokens: { slot: "cache_written" },
  },
};

/** At the beginning of a stream the output is not known yet: what stands there (1) is no count. */
const MESSAGES_START_USAGE: Place = {
  slot: "usage",
  members: {
    input_tokens: { slot: "input" },
    cache_read_input_tokens: { slot: "cached" },
    cache_creation_input_tokens: { slot: "cache_written" },
  },
};

const BLOCK: Place = { members: { text: TEXT, thinking: TEXT, name: TEXT, input: TEXT } };

const MESSAGES: Place = {
  members: {
    type: { slot: "type" },
    message: { members: { usage: MESSAGES_START_USAGE } },
    delta: { members: { text: TEXT, thinking: TEXT, partial_json: TEXT } },
    content_block: BLOCK,
    content: { items: BLOCK },
    usage: MESSAGES_USAGE,
    error: { slot: "error" },
  },
};

const CHOICES_SHAPE = compile(CHOICES);
const SHAPES: Record<ApiName, Shape> = {
  chat: CHOICES_SHAPE,
  completions: CHOICES_SHAPE,
  embeddings: CHOICES_SHAPE,
  responses: compile(RESPONSES),
  messages: compile(MESSAGES),
};

/** The slot of that name; for one that the shape does not have, a number no slot has, which is never filled. */
function slot_named(shape: Shape, name: string): number {
  return shape.slot_of.get(name) ?? NO_SLOT;
}

function slots_of(shape: Shape): AnswerSlots {
  return {
    usage: slot_named(shape, "usage"),
    input: slot_named(shape, "input"),
    cached: slot_named(shape, "cached"),
    cache_written: slot_named(shape, "cache_written"),
    output: slot_named(shape, "output"),
    choices: slot_named(shape, "choices"),
    type: slot_named(shape, "type"),
    error: slot_named(shape, "error"),
    sequence: slot_named(shape, "sequence"),
    response_id: slot_named(shape, "response_id"),
  };
}

const SLOTS: Record<ApiName, AnswerSlots> = {
  chat: slots_of(SHAPES.chat),
  completions: slots_of(SHAPES.completions),
  embeddings: slots_of(SHAPES.embeddings),
  responses: slots_of(SHAPES.responses),
  messages: slots_of(SHAPES.messages),
};

/** Where an answer of that API keeps its text and its usage. */
function answer_shape(api: ApiName): Shape {
  return SHAPES[api];
}

/** The slots of that shape. */
function answer_slots(api: ApiName): AnswerSlots {
  return SLOTS[api];
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

export { NO_SLOT, answer_shape, answer_slots, take_usage };
export type { AnswerSlots, Usage };
