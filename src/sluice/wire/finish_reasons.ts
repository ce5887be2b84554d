/**
 * Which choices of a chat completion or completion have ended. Some servers (Perplexity, GPUStack, `transformers serve`) never
 * send `[DONE]`: an answer all of whose choices have a `finish_reason` is whole without it, if the upstream then ends it in
 * good order.
 *
 * Mostly a chunk has one choice, and the walk that reads it knows its number and its reason. One that has several is walked
 * once more.
 */

import { Kind, accept_halves, check, walker } from "./json";
import { compile } from "./shape";
import { TextKind } from "./text_kind";
import type { AnswerReader } from "./answer_reader";
import type { AnswerSlots } from "./answer_shape";
import type { Sink, Walk, WalkState } from "./json";

const find = string.find;
const sub = string.sub;

const SHAPE = compile({
  members: { choices: { items: { slot: "choice", members: { index: { slot: "index" }, finish_reason: { kind: TextKind.FinishReason } } } } },
});
const CHOICE_SLOT = SHAPE.slot_of.get("choice");
const INDEX_SLOT = SHAPE.slot_of.get("index");

/** Who reads the chunk that is walked once more. */
interface Reading {
  reader: AnswerReader | undefined;
  walk: Walk<Reading> | undefined;
}

/** The choice has ended. */
function note_end(reader: AnswerReader, choice: number): void {
  if (!reader.ended_choices.has(choice)) {
    reader.ended_choices.add(choice);
    reader.ended += 1;
  }
}

const SINK: Sink<Reading> = {
  begin: () => {},
  /**
   * A reason without characters is none. The choice's number stands before it; where it does not, nobody knows whose the reason
   * is.
   */
  character: (reading) => {
    const { state } = reading.walk!;
    if (state.kinds[INDEX_SLOT] === Kind.Number && state.starts[INDEX_SLOT]! > state.starts[CHOICE_SLOT]!) {
      note_end(reading.reader!, state.numbers[INDEX_SLOT]!);
    }
  },
  finish: () => {},
};
const again: Reading = { reader: undefined, walk: undefined };
again.walk = accept_halves(walker(SHAPE, SINK, again));

/** Whether the choice that the walk has read last is the first one of its chunk. */
function is_only_choice(text: string, state: WalkState, slots: AnswerSlots): boolean {
  const list = state.starts[slots.choices]!;
  const choice = state.starts[slots.choice]!;
  return choice === list + 1 || find(sub(text, list + 2, choice), "^%s*$")[0] !== undefined;
}

/**
 * Notes the choices that the chunk just walked ends. Its JSON is in `text` from one offset to the other; one that is too long
 * for that is known by its last choice.
 */
function note_ends(reader: AnswerReader, text: string, from: number, to: number, state: WalkState, slots: AnswerSlots): void {
  if (state.kinds[slots.choice] !== Kind.Object) {
    return;
  }
  if (to > text.length || is_only_choice(text, state, slots)) {
    const kind = state.kinds[slots.finish_reason];
    // With its quotes.
    if ((kind === Kind.String || kind === Kind.EscapedString) && state.ends[slots.finish_reason]! - state.starts[slots.finish_reason]! > 2) {
      note_end(reader, state.kinds[slots.index] === Kind.Number ? state.numbers[slots.index]! : 0);
    }
    return;
  }
  again.reader = reader;
  check(again.walk!, sub(text, from + 1, to));
  again.reader = undefined;
}

export { note_ends };
