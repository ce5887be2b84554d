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
/** More ids of a request's input are not collected, and not looked up. */
const MOST_REFERENCES = 4096;
/** After so many steps within a value its reader is told how far it has come. */
const STEPS = 1024;

const QUOTE = 34;
const COMMA = 44;
const OPEN_ARRAY = 91;
const OPEN_OBJECT = 123;

/** Called with so many bytes that have been read since the last call: a long text is no reason to keep others waiting. */
type Pace = (this: void, bytes: number) => void;

function no_pace(this: void): void {
  // An answer is read in pieces of some megabytes at most.
}

/** Called for a member of an object, or an element of an array: its value lies from `start` up to, not including, `stop`. */
type TakeMember<Taker> = (this: void, taker: Taker, text: string, key: string, start: number, stop: number) => void;
type TakeElement<Taker> = (this: void, taker: Taker, text: string, start: number, stop: number) => void;

/** What an answer names. */
interface AnswerIds {
  /** The response's own id; undefined in a list of items. */
  response: string | undefined;
  conversation: string | undefined;
  /** Of items that a server can know by their ids alone; and of those that say everything themselves. */
  items: string[];
  whole_items: string[];
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
function skip_string(text: string, from: number, pace: Pace): number {
  let at = from;
  let told = from;
  let steps = 0;
  for (;;) {
    const [found] = find(text, '["\\]', at);
    if (found === undefined) {
      return text.length + 1;
    }
    if (byte(text, found) === QUOTE) {
      return found + 1;
    }
    at = found + 2;
    steps += 1;
    if (steps === STEPS) {
      pace(at - told);
      told = at;
      steps = 0;
    }
  }
}

/** Where an object or array ends that begins at `from`. */
function skip_nested(text: string, from: number, pace: Pace): number {
  let at = from;
  let told = from;
  let steps = 0;
  let depth = 0;
  for (;;) {
    const [found] = find(text, '["{}%[%]]', at);
    if (found === undefined) {
      return text.length + 1;
    }
    const character = byte(text, found);
    if (character === QUOTE) {
      at = skip_string(text, found + 1, pace);
    } else {
      depth += character === OPEN_OBJECT || character === OPEN_ARRAY ? 1 : -1;
      at = found + 1;
      if (depth <= 0) {
        return at;
      }
    }
    steps += 1;
    if (steps === STEPS) {
      pace(at - told);
      told = at;
      steps = 0;
    }
  }
}

/** Where the value ends that begins at `from`. */
function skip_value(text: string, from: number, pace: Pace): number {
  const character = byte(text, from);
  if (character === QUOTE) {
    return skip_string(text, from + 1, pace);
  }
  if (character === OPEN_OBJECT || character === OPEN_ARRAY) {
    return skip_nested(text, from, pace);
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
function each_member<Taker>(text: string, from: number, take: TakeMember<Taker>, taker: Taker, pace: Pace): void {
  let at = next_token(text, from + 1);
  while (byte(text, at) === QUOTE) {
    const end = skip_string(text, at + 1, pace);
    const start = next_token(text, next_token(text, end) + 1);
    const stop = skip_value(text, start, pace);
    take(taker, text, string_in(text, at, end)!, start, stop);
    pace(stop - at);
    at = next_token(text, stop);
    if (byte(text, at) !== COMMA) {
      return;
    }
    at = next_token(text, at + 1);
  }
}

/** Calls `take` for each element of the array that begins at `from`. */
function each_element<Taker>(text: string, from: number, take: TakeElement<Taker>, taker: Taker, pace: Pace): void {
  let start = next_token(text, from + 1);
  while (start <= text.length) {
    const stop = skip_value(text, start, pace);
    if (stop === start) {
      return;
    }
    take(taker, text, start, stop);
    pace(stop - start);
    const at = next_token(text, stop);
    if (byte(text, at) !== COMMA) {
      return;
    }
    start = next_token(text, at + 1);
  }
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

function take_item_member(this: void, taker: Item, text: string, key: string, start: number, stop: number): void {
  if (key === "id" && sub(text, start, stop - 1) !== "null") {
    taker.id = string_in(text, start, stop) ?? "";
  } else if (key === "type") {
    taker.type = string_in(text, start, stop);
  } else if (key === "role") {
    taker.has_role = true;
  }
}

/** Reads the item that begins at `from`. */
function read_item(text: string, from: number, pace: Pace): Item {
  const item: Item = { type: undefined, id: undefined, has_role: false };
  each_member(text, from, take_item_member, item, pace);
  return item;
}

/** Whether an item says everything itself. */
function says_everything({ has_role, type }: Item): boolean {
  return type !== undefined ? WHOLE_ITEMS.has(type) : has_role;
}

function take_output(this: void, ids: AnswerIds, text: string, start: number): void {
  if (byte(text, start) === OPEN_OBJECT) {
    const item = read_item(text, start, no_pace);
    if (item.id !== undefined) {
      (says_everything(item) ? ids.whole_items : ids.items).push(item.id);
    }
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
    each_element(text, start, take_output, ids, no_pace);
  } else if (key === "conversation" && first === OPEN_OBJECT) {
    each_member(text, start, take_conversation, ids, no_pace);
  } else if (key === "conversation") {
    ids.conversation = string_in(text, start, stop);
  }
}

/** The ids of a response, a compaction or a list of items that is one JSON text; of one that is cut off those that it has. */
function ids_of_answer(text: string): AnswerIds {
  const ids: AnswerIds = { response: undefined, conversation: undefined, items: [], whole_items: [], status: undefined };
  const at = next_token(text, 1);
  if (byte(text, at) === OPEN_OBJECT) {
    each_member(text, at, take_answer_member, ids, no_pace);
  }
  return ids;
}

interface InputReader {
  references: string[];
  pace: Pace;
}

function take_input_item(this: void, { pace, references }: InputReader, text: string, start: number): void {
  if (byte(text, start) !== OPEN_OBJECT || references.length > MOST_REFERENCES) {
    return;
  }
  const item = read_item(text, start, pace);
  if (item.id !== undefined && !says_everything(item)) {
    references.push(item.id);
  }
}

/**
 * The ids by which an `input` (an array of items, as text) refers to items that the server keeps, in their order: one more than
 * `MOST_REFERENCES` of them at most. `pace` is told of what has been read, and may wait.
 */
function references_of_input(text: string, pace: Pace = no_pace): string[] {
  const reader: InputReader = { references: [], pace };
  const at = next_token(text, 1);
  if (byte(text, at) === OPEN_ARRAY) {
    each_element(text, at, take_input_item, reader, pace);
  } else {
    take_input_item(reader, text, at);
  }
  return reader.references;
}

export { MOST_REFERENCES, ids_of_answer, is_id, references_of_input };
export type { AnswerIds };
