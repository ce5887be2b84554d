/**
 * The ids of the Responses API, as they stand in JSON texts: of a response and its conversation, of the items of its output,
 * and of the items that a request's input refers to (platform.openai.com/docs/api-reference/responses).
 *
 * The texts have been walked before, or will be refused by whoever walks them: what is malformed here is read as far as it
 * goes.
 */

import { decode_string } from "./json";

const byte = string.byte;
const find = string.find;
const sub = string.sub;

const MOST_ID_BYTES = 128;

const QUOTE = 34;
const COMMA = 44;
const OPEN_ARRAY = 91;
const OPEN_OBJECT = 123;

/** Called for a member of an object, or an element of an array: its value lies from `start` up to, not including, `stop`. */
type TakeMember<Taker> = (this: void, taker: Taker, text: string, key: string, start: number, stop: number) => void;
type TakeElement<Taker> = (this: void, taker: Taker, text: string, start: number, stop: number) => void;

/** What an answer names. */
interface AnswerIds {
  /** The response's own id; undefined in a list of items. */
  response: string | undefined;
  conversation: string | undefined;
  items: string[];
  /** What has become of the response. */
  status: string | undefined;
}

/** Whether a text can be an id: it goes into paths and keys as it stands. */
function is_id(text: string): boolean {
  return text.length <= MOST_ID_BYTES && find(text, "^[%w_-]+$")[0] !== undefined;
}

/** Where the next token begins, at or behind a place. Places count from 1. */
function next_token(text: string, from: number): number {
  return find(text, "[^ \t\r\n]", from)[0] ?? text.length + 1;
}

/** Where a string ends whose first character, behind the quote, is at `from`: behind its closing quote. */
function skip_string(text: string, from: number): number {
  let at = from;
  for (;;) {
    const [found] = find(text, '["\\]', at);
    if (found === undefined) {
      return text.length + 1;
    }
    if (byte(text, found) === QUOTE) {
      return found + 1;
    }
    at = found + 2;
  }
}

/** Where an object or array ends that begins at `from`. */
function skip_nested(text: string, from: number): number {
  let at = from;
  let depth = 0;
  for (;;) {
    const [found] = find(text, '["{}%[%]]', at);
    if (found === undefined) {
      return text.length + 1;
    }
    const character = byte(text, found);
    if (character === QUOTE) {
      at = skip_string(text, found + 1);
    } else {
      depth += character === OPEN_OBJECT || character === OPEN_ARRAY ? 1 : -1;
      at = found + 1;
      if (depth <= 0) {
        return at;
      }
    }
  }
}

/** Where the value ends that begins at `from`. */
function skip_value(text: string, from: number): number {
  const character = byte(text, from);
  if (character === QUOTE) {
    return skip_string(text, from + 1);
  }
  if (character === OPEN_OBJECT || character === OPEN_ARRAY) {
    return skip_nested(text, from);
  }
  return find(text, "[,%]} \t\r\n]", from)[0] ?? text.length + 1;
}

/** The string that lies there, with its quotes; undefined: it is no string. */
function string_in(text: string, start: number, stop: number): string | undefined {
  if (byte(text, start) !== QUOTE) {
    return undefined;
  }
  const inner = sub(text, start + 1, stop - 2);
  return find(inner, "\\", 1, true)[0] === undefined ? inner : decode_string(sub(text, start, stop - 1));
}

/** Calls `take` for each member of the object that begins at `from`. */
function each_member<Taker>(text: string, from: number, take: TakeMember<Taker>, taker: Taker): void {
  let at = next_token(text, from + 1);
  while (byte(text, at) === QUOTE) {
    const end = skip_string(text, at + 1);
    const start = next_token(text, next_token(text, end) + 1);
    const stop = skip_value(text, start);
    take(taker, text, string_in(text, at, end)!, start, stop);
    at = next_token(text, stop);
    if (byte(text, at) !== COMMA) {
      return;
    }
    at = next_token(text, at + 1);
  }
}

/** Calls `take` for each element of the array that begins at `from`. */
function each_element<Taker>(text: string, from: number, take: TakeElement<Taker>, taker: Taker): void {
  let start = next_token(text, from + 1);
  while (start <= text.length) {
    const stop = skip_value(text, start);
    if (stop === start) {
      return;
    }
    take(taker, text, start, stop);
    const at = next_token(text, stop);
    if (byte(text, at) !== COMMA) {
      return;
    }
    start = next_token(text, at + 1);
  }
}

function take_item_id(this: void, items: string[], text: string, key: string, start: number, stop: number): void {
  const id = key === "id" ? string_in(text, start, stop) : undefined;
  if (id !== undefined) {
    items.push(id);
  }
}

function take_output(this: void, items: string[], text: string, start: number): void {
  if (byte(text, start) === OPEN_OBJECT) {
    each_member(text, start, take_item_id, items);
  }
}

function take_conversation(this: void, ids: AnswerIds, text: string, key: string, start: number, stop: number): void {
  if (key === "id") {
    ids.conversation = string_in(text, start, stop);
  }
}

function take_answer_member(this: void, ids: AnswerIds, text: string, key: string, start: number, stop: number): void {
  const first = byte(text, start);
  if (key === "id") {
    ids.response = string_in(text, start, stop);
  } else if (key === "status") {
    ids.status = string_in(text, start, stop);
  } else if ((key === "output" || key === "data") && first === OPEN_ARRAY) {
    each_element(text, start, take_output, ids.items);
  } else if (key === "conversation" && first === OPEN_OBJECT) {
    each_member(text, start, take_conversation, ids);
  } else if (key === "conversation") {
    ids.conversation = string_in(text, start, stop);
  }
}

/** The ids of a response, a compaction or a list of items that is one JSON text; of one that is cut off those that it has. */
function ids_of_answer(text: string): AnswerIds {
  const ids: AnswerIds = { response: undefined, conversation: undefined, items: [], status: undefined };
  const at = next_token(text, 1);
  if (byte(text, at) === OPEN_OBJECT) {
    each_member(text, at, take_answer_member, ids);
  }
  return ids;
}

/**
 * The items of an input that say everything themselves, so that the id is a name for them and no more. All others can be known
 * to the server by their ids alone: an `item_reference`, with its type or without, but a reasoning item or a call of a server's
 * tool as well.
 */
const WHOLE_ITEMS = new LuaSet<string>();
for (const type of [
  "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "computer_call_output",
  "local_shell_call_output", "shell_call_output", "apply_patch_call_output",
]) {
  WHOLE_ITEMS.add(type);
}

/** What is known of the item at hand. */
interface Item {
  type: string | undefined;
  /** Undefined: none, or null. "": no string, which is nobody's id. */
  id: string | undefined;
  has_role: boolean;
}

const item: Item = { type: undefined, id: undefined, has_role: false };

function take_input_member(this: void, _: string[], text: string, key: string, start: number, stop: number): void {
  if (key === "id" && sub(text, start, stop - 1) !== "null") {
    item.id = string_in(text, start, stop) ?? "";
  } else if (key === "type") {
    item.type = string_in(text, start, stop);
  } else if (key === "role") {
    item.has_role = true;
  }
}

function take_input_item(this: void, references: string[], text: string, start: number): void {
  if (byte(text, start) !== OPEN_OBJECT) {
    return;
  }
  item.type = undefined;
  item.id = undefined;
  item.has_role = false;
  each_member(text, start, take_input_member, references);
  const is_whole = item.type !== undefined ? WHOLE_ITEMS.has(item.type) : item.has_role;
  if (item.id !== undefined && !is_whole) {
    references.push(item.id);
  }
}

/** The ids by which an `input` (an array of items, as text) refers to items that the server keeps, in their order. */
function references_of_input(text: string): string[] {
  const references: string[] = [];
  const at = next_token(text, 1);
  if (byte(text, at) === OPEN_ARRAY) {
    each_element(text, at, take_input_item, references);
  } else {
    take_input_item(references, text, at);
  }
  return references;
}

export { ids_of_answer, is_id, references_of_input };
export type { AnswerIds };
