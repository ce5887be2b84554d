/** What a body of the Responses API says of responses, conversations and items that were made before. */

import { Kind } from "./json";
import { bad_body } from "./request_fault";
import type { Refusal } from "./refusal";
import type { RequestReader } from "./request";

/** Ids as they stand in the body. */
interface References {
  previous: string | undefined;
  conversation: string | undefined;
  /** Some item of the input has an id: where the input lies. `input_end` 0: none has. */
  input_start: number;
  input_end: number;
  /** The answer is made in the background, and got later. */
  background: boolean;
}

/** Gives the body's bytes from `start` up to, not including, `end`. */
type Range<Source> = (this: void, source: Source, start: number, end: number) => string;

/**
 * The string in a slot, as it is written between its quotes; undefined: there is none, or null. "", which nobody's id is:
 * something else.
 */
function id_in<Source>(reader: RequestReader, slot: number, range: Range<Source>, source: Source): string | undefined {
  const { ends, kinds, starts } = reader.walk.state;
  const kind = kinds[slot]!;
  if (kind === Kind.Absent || kind === Kind.Null) {
    return undefined;
  }
  return kind === Kind.String ? range(source, starts[slot]! + 1, ends[slot]! - 1) : "";
}

/**
 * Refuses what would leave it to the server how the response is known, or whether it is made in the background: some take 1 or "yes" for
 * true, and some call a response as the client wants, be it as another's.
 */
function refuse_unclear(reader: RequestReader): Refusal | undefined {
  const { kinds } = reader.walk.state;
  const background = kinds[reader.background]!;
  if (background !== Kind.Absent && background !== Kind.True && background !== Kind.False && background !== Kind.Null) {
    return bad_body("invalid_type", "`background` must be true or false.", "background");
  }
  const name = kinds[reader.request_id]!;
  return name !== Kind.Absent && name !== Kind.Null
    ? bad_body("unsupported_parameter", "`request_id` must be left out: a response's id is for the server to give.", "request_id")
    : undefined;
}

/** What the body says of them; undefined: nothing. `reader.previous` is the slot of an API that has such ids. */
function read_references<Source>(reader: RequestReader, range: Range<Source>, source: Source): References | undefined {
  const { ends, kinds, starts } = reader.walk.state;
  const is_object = kinds[reader.conversation] === Kind.Object;
  const previous = id_in(reader, reader.previous, range, source);
  const conversation = is_object
    ? (id_in(reader, reader.conversation_id, range, source) ?? "")
    : id_in(reader, reader.conversation, range, source);
  const has_items = kinds[reader.item_id] !== Kind.Absent;
  const background = kinds[reader.background] === Kind.True;
  if (previous === undefined && conversation === undefined && !has_items && !background) {
    return undefined;
  }
  return {
    previous,
    conversation,
    input_start: starts[reader.messages]!,
    input_end: has_items ? ends[reader.messages]! : 0,
    background,
  };
}

export { read_references, refuse_unclear };
export type { References };
