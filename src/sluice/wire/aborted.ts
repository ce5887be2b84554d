/**
 * Answers that the engine has given up: a vLLM that gets a SIGTERM ends each answer under way in good order, with usage and
 * terminal marker, but with `finish_reason: "abort"` (vLLM's `FinishReason`; SGLang has the word too).
 */

import { Kind } from "./json";
import type { AnswerReader } from "./answer_reader";
import type { AnswerSlots } from "./answer_shape";
import type { WalkState } from "./json";

const sub = string.sub;

/** With its quotes. */
const ABORT = '"abort"';

/**
 * Notes whether the choice that was walked last has been given up. `text` is what was walked, and its first byte the document's
 * at `base`. Of a reason that began before that its end decides, if it is more than a quote.
 */
function note_abort(reader: AnswerReader, text: string, base: number, state: WalkState, slots: AnswerSlots): void {
  const slot = slots.finish_reason;
  if (state.kinds[slot] !== Kind.String) {
    return;
  }
  const start = state.starts[slot]!;
  const end = state.ends[slot]!;
  if (end - start !== ABORT.length || end <= base) {
    return;
  }
  const seen = sub(text, math.max(0, start - base) + 1, end - base);
  reader.aborted = reader.aborted || (seen.length > 1 && seen === sub(ABORT, -seen.length));
}

export { note_abort };
