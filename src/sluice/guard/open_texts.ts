/** Which texts of a stream are under way: which end with an event, and from where on something in them may still be growing. */

import * as bits from "bit";
import { Kind } from "../wire/json";
import { settle } from "./letters";
import { live_start } from "./scanner";
import { as_number } from "./text_place";
import type { AnswerReader } from "../wire/answer_reader";
import type { GuardedText } from "./text";

const bor = bits.bor;
const sub = string.sub;

/** All texts of the choice have ended; all of all choices, if it is undefined. */
function settle_choice(text: GuardedText, outer: number | undefined): void {
  for (const field of text.fields) {
    if (field.settled === 0 && (outer === undefined || field.outer === outer)) {
      settle(text.scanner, field);
    }
  }
}

/** Whether an event of that type ends the texts of the item or block that it names. */
function ends_text(type: string): boolean {
  return type === "content_block_stop" || sub(type, -5) === ".done";
}

/** Settles the texts that the event just read ends. Returns the choices that it says have ended; undefined: none. */
function settle_ended(reader: AnswerReader, text: GuardedText): number[] | undefined {
  let ended: number[] | undefined;
  if (text.ended.length > 0) {
    ended = text.ended;
    text.ended = [];
    for (const outer of ended) {
      settle_choice(text, outer);
    }
  }
  if (reader.complete) {
    settle_choice(text, undefined);
  } else if (reader.event_type !== "" && ends_text(reader.event_type)) {
    const { state } = text.walk!;
    const slot = reader.api === "messages" ? text.slots.index : text.slots.output_index;
    if (state.kinds[slot] === Kind.Number) {
      settle_choice(text, as_number(state.numbers[slot]!));
    }
  }
  return ended;
}

/** From where on the stream has to be held back; −1: from nowhere. */
function oldest_live(text: GuardedText): number {
  let oldest = -1;
  for (const field of text.fields) {
    if (field.settled === 0) {
      const start = live_start(text.scanner, field, field.characters);
      if (start >= 0 && (oldest < 0 || start < oldest)) {
        oldest = start;
      }
    }
  }
  return oldest;
}

/** Whether some text is in the midst of something, be it held back or not. */
function is_busy(text: GuardedText): boolean {
  for (const field of text.fields) {
    if (bor(field.state, field.waits) !== 0) {
      return true;
    }
  }
  return false;
}

export { is_busy, oldest_live, settle_choice, settle_ended };
