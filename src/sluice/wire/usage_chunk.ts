/**
 * Which chunks of a chat completion or completion are there only to report the usage.
 *
 * OpenAI's has `choices: []` (API reference, "stream_options"). Others leave `choices` out, send null, or, as LiteLLM does, a
 * choice whose delta is empty. A client that did not ask for the usage expects none of them: most read `choices[0]` unasked.
 */

import { NO_SLOT } from "./answer_shape";
import { Kind } from "./json";
import type { AnswerSlots } from "./answer_shape";
import type { WalkState } from "./json";

const gsub = string.gsub;
const find = string.find;
const sub = string.sub;

/** Choices that say nothing are shorter, in bytes. */
const LONGEST_EMPTY = 4096;

/**
 * What a choice may have and still say nothing: the names of members with null, nothing or no characters, and the choice's
 * number.
 */
const EMPTY_MEMBERS = ['"[%w_]+"%s*:%s*null', '"[%w_]+"%s*:%s*""', '"index"%s*:%s*%d+', '"[%w_]+"%s*:%s*%[%s*%]', '"[%w_]+"%s*:%s*{[%s,]*}'];

/** Whether all choices, given as their JSON array, have members only that say nothing. */
function say_nothing(choices: string): boolean {
  let left = choices;
  for (const member of EMPTY_MEMBERS) {
    left = gsub(left, member, "")[0];
  }
  return find(left, "^%[[%s,{}]*%]$")[0] !== undefined;
}

/**
 * Whether the chunk just walked, which lies in `text`, only reports usage. `has_text`: it has text of the model's, so that its
 * choices need not be looked at.
 */
function is_usage_chunk(text: string, state: WalkState, slots: AnswerSlots, has_text: boolean): boolean {
  if (slots.choices === NO_SLOT || state.kinds[slots.usage] !== Kind.Object || state.kinds[slots.error] !== Kind.Absent) {
    return false;
  }
  const kind = state.kinds[slots.choices];
  if (kind === Kind.Absent || kind === Kind.Null) {
    return true;
  }
  if (kind !== Kind.Array) {
    return false;
  }
  if (state.numbers[slots.choices] === 0) {
    return true;
  }
  const start = state.starts[slots.choices]!;
  const end = state.ends[slots.choices]!;
  return !has_text && end - start <= LONGEST_EMPTY && say_nothing(sub(text, start + 1, end));
}

export { is_usage_chunk };
