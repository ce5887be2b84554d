/**
 * How a stream ends that the gateway itself ends in good order, in each API's own words: because of what a guard found, or
 * because a budget is used up. What such events have to repeat of the stream (its id, its model) is taken from its first event.
 */

import { Kind, NO_SINK, accept_halves, check, encode_string, walker } from "./json";
import { compile } from "./shape";
import { apply, no_edits, replace } from "./splice";
import type { ApiName } from "./api";

const sub = string.sub;

/** Why the answer ends. */
type ClosingReason = "content_filter" | "length";

interface Closing {
  api: ApiName;
  reason: ClosingReason;
  /** The JSON of the first event that the client has had; undefined: it has had none. */
  first_event: string | undefined;
  /** What the answer is called if that event does not say, the model's name, and seconds since the epoch. */
  id: string;
  model: string;
  created: number;
  /** Chat and completions: the choices that have not ended. */
  choices: number[];
  /** Messages: the content block that has not ended; −1: none. */
  open_block: number;
  /** Responses: the last sequence number that the client has had; −1: none. */
  sequence: number;
  /** Tokens for the usage that the client asked for; −1: it did not. Messages always has the output. */
  input_tokens: number;
  output_tokens: number;
}

const FIRST_EVENT = compile({
  members: {
    id: { slot: "id" },
    created: { slot: "created" },
    model: { slot: "model" },
    response: { slot: "response", members: { status: { slot: "status" }, incomplete_details: { slot: "incomplete_details" } } },
  },
});
const walk = accept_halves(walker(FIRST_EVENT, NO_SINK, undefined));

/** The JSON of a member of the event that was just checked, or `otherwise`. */
function member(event: string, name: string, otherwise: string): string {
  const slot = FIRST_EVENT.slot_of.get(name);
  const { state } = walk;
  return state.kinds[slot] === Kind.Absent ? otherwise : sub(event, state.starts[slot]! + 1, state.ends[slot]);
}

/** The event, if it can be read; an empty object if not. Afterwards `member` knows it. */
function read_first(event: string | undefined): string {
  if (event !== undefined && check(walk, event) === undefined) {
    return event;
  }
  check(walk, "{}");
  return "{}";
}

/** Chat and completions: a last chunk, the usage if it was asked for, and the marker. */
function close_choices(closing: Closing): string {
  const event = read_first(closing.first_event);
  const chat = closing.api === "chat";
  const object = chat ? "chat.completion.chunk" : "text_completion";
  const head =
    `data: {"id":${member(event, "id", encode_string(closing.id))},"object":"${object}",` +
    `"created":${member(event, "created", string.format("%d", closing.created))},` +
    `"model":${member(event, "model", encode_string(closing.model))},"choices":[`;
  const parts: string[] = [head];
  let separator = "";
  for (const index of closing.choices) {
    const delta = chat ? '"delta":{}' : '"text":"","logprobs":null';
    parts.push(`${separator}{"index":${index},${delta},"finish_reason":"${closing.reason}"}`);
    separator = ",";
  }
  parts.push("]}\n\n");
  if (closing.input_tokens >= 0) {
    const total = closing.input_tokens + closing.output_tokens;
    parts.push(
      `${head}],"usage":{"prompt_tokens":${closing.input_tokens},"completion_tokens":${closing.output_tokens},"total_tokens":${total}}}\n\n`,
    );
  }
  parts.push("data: [DONE]\n\n");
  return parts.join("");
}

/** A response of which the client has had nothing. */
function own_response(closing: Closing, status: string, details: string): string {
  return (
    `{"id":${encode_string(closing.id)},"object":"response","created_at":${string.format("%d", closing.created)},"status":"${status}",` +
    `"incomplete_details":${details},"error":null,"model":${encode_string(closing.model)},"output":[]}`
  );
}

/** The response as the stream's first event had it, ended. */
function ended_response(closing: Closing, details: string): string {
  const event = read_first(closing.first_event);
  const { state } = walk;
  const slot = (name: string): number => FIRST_EVENT.slot_of.get(name);
  const response = slot("response");
  if (state.kinds[response] !== Kind.Object || state.kinds[slot("status")] === Kind.Absent) {
    return own_response(closing, "incomplete", details);
  }
  const edits = no_edits();
  replace(edits, state.starts[slot("status")]!, state.ends[slot("status")]!, '"incomplete"');
  const start = state.starts[response]!;
  if (state.kinds[slot("incomplete_details")] !== Kind.Absent) {
    replace(edits, state.starts[slot("incomplete_details")]!, state.ends[slot("incomplete_details")]!, details);
  } else {
    replace(edits, start + 1, start + 1, `"incomplete_details":${details},`);
  }
  return apply(edits, sub(event, start + 1, state.ends[response]), start);
}

function close_response(closing: Closing): string {
  const reason = closing.reason === "length" ? "max_output_tokens" : "content_filter";
  const response = ended_response(closing, `{"reason":"${reason}"}`);
  let head = "";
  let sequence = closing.sequence + 1;
  if (closing.first_event === undefined) {
    head = `event: response.created\ndata: {"type":"response.created","sequence_number":${sequence},"response":${own_response(closing, "in_progress", "null")}}\n\n`;
    sequence += 1;
  }
  return `${head}event: response.incomplete\ndata: {"type":"response.incomplete","sequence_number":${sequence},"response":${response}}\n\n`;
}

function close_message(closing: Closing): string {
  const reason = closing.reason === "length" ? "max_tokens" : "refusal";
  const head =
    closing.first_event === undefined
      ? `event: message_start\ndata: {"type":"message_start","message":{"id":${encode_string(closing.id)},"type":"message","role":"assistant",` +
        `"model":${encode_string(closing.model)},"content":[],"stop_reason":null,"stop_sequence":null,` +
        `"usage":{"input_tokens":${math.max(closing.input_tokens, 0)},"output_tokens":0}}}\n\n`
      : "";
  const block =
    closing.open_block >= 0
      ? `event: content_block_stop\ndata: {"type":"content_block_stop","index":${closing.open_block}}\n\n`
      : "";
  return (
    `${head}${block}event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"${reason}","stop_sequence":null},` +
    `"usage":{"output_tokens":${math.max(closing.output_tokens, 0)}}}\n\n` +
    'event: message_stop\ndata: {"type":"message_stop"}\n\n'
  );
}

/** The events that end the stream. They come behind whole events. */
function closing_events(closing: Closing): string {
  if (closing.api === "messages") {
    return close_message(closing);
  }
  return closing.api === "responses" ? close_response(closing) : close_choices(closing);
}

export { closing_events };
export type { Closing, ClosingReason };
