/**
 * What becomes of the text of requests and answers while they are walked. By itself it is only counted; a gateway with
 * guards has it scanned too, in the same pass: `use_text_sink`, called once before anything is walked, puts another sink in the
 * place of this one.
 */

import { ASCII_CLASS, COSTS, count_character, new_estimate, wide_class } from "./estimate";
import { STRING_CLASS, wide_character } from "./json_text";
import { begin_reasoning, end_reasoning, new_reasoning } from "./told_twice";
import { TextKind } from "./text_kind";
import type { Estimate } from "./estimate";
import type { ApiName } from "./api";
import type { Sink, Walk } from "./json";
import type { Reasoning } from "./told_twice";

/** What a sink keeps of the texts of one request or answer. */
interface Text {
  /** Counts the text's tokens. */
  estimate: Estimate;
  /** The walk that is under way. */
  walk: Walk<Text> | undefined;
  api: ApiName;
  reasoning: Reasoning;
}

interface TextSink {
  sink: Sink<Text>;
  make: (this: void) => Text;
}

function begin(this: void, text: Text, node: number): void {
  text.estimate.previous = 0;
  text.estimate.strings += 1;
  if (text.walk!.shape.kinds[node] === (TextKind.Reasoning as number)) {
    begin_reasoning(text.reasoning, text.estimate, node);
  }
}

function character(this: void, text: Text, code_point: number): void {
  count_character(text.estimate, code_point);
}

function finish(this: void, text: Text): void {
  if (text.reasoning.open) {
    end_reasoning(text.reasoning, text.estimate, text.walk!.state);
  }
}

/** Counts a run of ASCII characters. Returns where it ends. */
function count_plain(estimate: Estimate, bytes: Bytes, from: number, to: number): number {
  let { cost, previous } = estimate;
  let at = from;
  while (at < to) {
    const value = bytes[at]!;
    if (STRING_CLASS[value] !== 0) {
      break;
    }
    const found = ASCII_CLASS[value]!;
    cost += COSTS[previous + found]!;
    previous = found * 8;
    at += 1;
  }
  estimate.cost = cost;
  estimate.previous = previous;
  estimate.characters += at - from;
  return at;
}

/** Counts a run of three-byte characters. Returns where it ends. */
function count_wide(estimate: Estimate, bytes: Bytes, from: number, to: number): number {
  const last = to - 3;
  let { cost, previous } = estimate;
  let at = from;
  while (at <= last) {
    const code_point = wide_character(bytes, at);
    if (code_point < 0) {
      break;
    }
    const found = wide_class(code_point);
    cost += COSTS[previous + found]!;
    previous = found * 8;
    at += 3;
  }
  estimate.cost = cost;
  estimate.previous = previous;
  estimate.characters += (at - from) / 3;
  return at;
}

function plain_run(this: void, walk: Walk<Text>, bytes: Bytes, from: number, to: number): number {
  return count_plain(walk.target.estimate, bytes, from, to);
}

function wide_run(this: void, walk: Walk<Text>, bytes: Bytes, from: number, to: number): number {
  return count_wide(walk.target.estimate, bytes, from, to);
}

/** The sink that counts, and no more. */
const COUNTED: Sink<Text> = { begin, character, finish, plain_run, wide_run };

function make_counted(this: void): Text {
  return { estimate: new_estimate(), walk: undefined, api: "chat", reasoning: new_reasoning() };
}

const used: TextSink = { sink: COUNTED, make: make_counted };

/** Has all text read by another sink from now on. Before any walker is made. */
function use_text_sink(sink: TextSink): void {
  used.sink = sink.sink;
  used.make = sink.make;
}

/** The sink for walkers of requests and answers. */
function text_sink(): Sink<Text> {
  return used.sink;
}

function new_text(): Text {
  return used.make();
}

/** The walk's text goes to `text` from now on. */
function attach(walk: Walk<Text>, text: Text): void {
  walk.target = text;
  text.walk = walk;
  text.reasoning.object = 0;
  // What was walked before may have broken off within a string.
  text.reasoning.open = false;
}

export { attach, count_plain, count_wide, new_text, text_sink, use_text_sink };
export type { Text, TextSink };
