/**
 * How a stream ends: as its upstream has ended it, or here, in the API's own protocol: with an error, because a guard has found
 * something, or at the budget. Setting the second argument of the body filter ends the response for the client and closes the
 * upstream's connection.
 */

import { first_data, open_choices } from "../guard/sent";
import { counted_output, drop_held } from "../wire/answer";
import { charge_answer } from "../wire/charged_tokens";
import { closing_events } from "../wire/closing";
import { error_events } from "../wire/ending";
import type { GuardedStream } from "../guard/stream";
import type { AnswerReader } from "../wire/answer";
import type { ChargedTokens } from "../wire/charged_tokens";
import type { Closing, ClosingReason } from "../wire/closing";
import type { RequestState } from "./state";

const find = string.find;

/** What the client has had of a stream, which its ending has to fit to. */
type ClientView = Pick<Closing, "first_event" | "choices" | "open_block" | "sequence">;

/** The bytes with a blank line behind the last event, if it has none. */
function with_blank_line(text: string): string {
  if (text === "" || find(text, "\n\r?\n$")[0] !== undefined || find(text, "\r\r$")[0] !== undefined) {
    return text;
  }
  return find(text, "[\r\n]$")[0] !== undefined ? `${text}\n` : `${text}\n\n`;
}

/** What goes out still before an ending of our own. An event that goes on as it comes ends here, though it is not whole. */
function before_ending(answer: AnswerReader, text: string): string {
  if (text === "") {
    return answer.long !== undefined ? "\n\n" : "";
  }
  return with_blank_line(text);
}

/**
 * The upstream has ended the stream in good order: without the API's marker it is whole if each choice that was asked for has a
 * reason why it ended.
 */
function accept_end(state: RequestState, answer: AnswerReader): void {
  const { choices, prompts } = state.reading!;
  if (!answer.failed && answer.ended > 0 && answer.ended >= choices * prompts) {
    answer.complete = true;
  }
}

/** Ends a stream that can't end well: the error in the API's own words, and nothing after it. */
function break_off(state: RequestState, answer: AnswerReader, before: string, truncated: string, message: string): void {
  const ahead = before_ending(answer, before);
  drop_held(answer);
  state.truncated = truncated;
  if (state.broken === undefined) {
    state.broken = "upstream_lost";
  }
  const events = answer.failed
    ? ""
    : error_events(answer.api, "upstream_failed", message, answer.sequence, answer.response_id);
  ngx.arg[1] = ahead + events;
  ngx.arg[2] = true;
  state.ended = true;
}

/** What the client has had of a stream without a guard: all that has come. */
function all_sent(state: RequestState, answer: AnswerReader): ClientView {
  const choices: number[] = [];
  for (const choice of $range(0, state.reading!.choices - 1)) {
    choices.push(choice);
  }
  return { first_event: answer.first_event, choices, open_block: answer.open_block, sequence: answer.sequence };
}

/** What a stream that is ended here is charged for. */
const charged: ChargedTokens = {
  input: 0, cached_input: 0, cache_write: 0, cache_write_1h: 0, output: 0, reasoning: 0, from: undefined,
};

/** The stream ends here, in order, and nothing more of it is asked for. `before` goes on still. */
function close(state: RequestState, answer: AnswerReader, view: ClientView, reason: ClosingReason, before: string): void {
  charge_answer(charged, answer.usage, state.reading!, counted_output(answer), false);
  const ahead = answer.long !== undefined ? before_ending(answer, before) : before;
  drop_held(answer);
  state.ended = true;
  ngx.arg[1] = ahead + closing_events({
    api: answer.api,
    reason,
    first_event: view.first_event,
    id: state.id,
    model: state.model!.name,
    created: state.arrived,
    choices: view.choices,
    open_block: view.open_block,
    sequence: view.sequence,
    input_tokens: answer.drop_usage ? -1 : charged.input,
    output_tokens: charged.output,
  });
  ngx.arg[2] = true;
}

/** What the client has had of a stream under a guard. */
function guarded_sent(stream: GuardedStream): ClientView {
  const { sent } = stream.held;
  return {
    first_event: first_data(sent),
    choices: open_choices(sent, stream.text.fields),
    open_block: sent.open_block,
    sequence: sent.sequence,
  };
}

/** A guard has found something that must not go out. */
function block(state: RequestState, answer: AnswerReader, stream: GuardedStream, before: string): void {
  state.broken = "blocked";
  close(state, answer, guarded_sent(stream), "content_filter", before);
}

export { accept_end, all_sent, block, break_off, close, guarded_sent };
