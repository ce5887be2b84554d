/**
 * Where a request's conversation lies in its body: what a model server puts before the answer, in the order in which it does so,
 * whatever the order in the body. Model servers keep what they have worked out for the beginnings of conversations, so this
 * is what tells who has met one before.
 *
 * The last part grows from turn to turn, so its closing bracket or quote is left out.
 */

import { Kind } from "./json";
import type { RequestReader } from "./request";

/** How many parts there may be: tools, instructions, messages (or the prompt, or the input). */
const PARTS = 3;

function note_part(reader: RequestReader, slot: number, places: Int32Buffer, part: number, closing: number): void {
  const { ends, kinds, starts } = reader.walk.state;
  const is_there = slot !== 0 && kinds[slot] !== Kind.Absent;
  places[part * 2] = is_there ? starts[slot]! : 0;
  places[part * 2 + 1] = is_there ? ends[slot]! - closing : 0;
}

/**
 * Notes where the parts lie: for each its first byte, counted from the body's first, and the one behind its last; both 0 if it isn't
 * there. `places` has room for two numbers a part. After `conclude`, before `release`.
 */
function note_conversation(reader: RequestReader, places: Int32Buffer): void {
  note_part(reader, reader.tools, places, 0, 0);
  note_part(reader, reader.system, places, 1, 0);
  note_part(reader, reader.messages, places, 2, 1);
}

export { PARTS, note_conversation };
