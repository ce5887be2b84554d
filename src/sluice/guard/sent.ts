/**
 * What the client has had of a guarded stream, which is not what has come: an event may still be held back, or never go on. An
 * ending of our own has to fit to what was sent.
 */

import type { Field } from "./field";

const match = string.match;

/** A longer event is not kept. */
const MOST_FIRST_BYTES = 262144;

/** What an event says about the stream, for when it is sent. */
interface Mark {
  /** The choices that it ends; undefined: none. */
  ended: number[] | undefined;
  /** Messages: the content block that is open behind it; −1: none. */
  open_block: number;
  /** Responses: its sequence number. */
  sequence: number;
}

interface Sent {
  /** The first event that had data and is not very long, as it was sent; undefined: none was sent. */
  first: string | undefined;
  ended: LuaSet<number>;
  open_block: number;
  sequence: number;
}

function new_sent(): Sent {
  return { first: undefined, ended: new LuaSet(), open_block: -1, sequence: -1 };
}

/** Notes an event as it was sent: `bytes`, in which `has_data` says whether there is data. */
function note_sent(sent: Sent, bytes: string, has_data: boolean, ended: number[] | undefined, open_block: number, sequence: number): void {
  sent.open_block = open_block;
  sent.sequence = sequence;
  if (has_data && sent.first === undefined && bytes.length <= MOST_FIRST_BYTES) {
    sent.first = bytes;
  }
  if (ended !== undefined) {
    for (const choice of ended) {
      sent.ended.add(choice);
    }
  }
}

/** The data of the first event that was sent, if it stands in one line. */
function first_data(sent: Sent): string | undefined {
  if (sent.first === undefined) {
    return undefined;
  }
  const [plain] = string.gsub(sent.first, "^\ufeff", "");
  return match(`\n${plain}`, "[\r\n]data: ?([^\r\n]+)")[0];
}

/** The choices that have begun, the first one if none has, without those whose end was sent. */
function open_choices(sent: Sent, fields: readonly Field[]): number[] {
  const open: number[] = [];
  const seen = new LuaSet<number>();
  for (const field of fields) {
    if (!sent.ended.has(field.outer) && !seen.has(field.outer)) {
      seen.add(field.outer);
      open.push(field.outer);
    }
  }
  table.sort(open);
  if (open.length === 0 && !sent.ended.has(0)) {
    open.push(0);
  }
  return open;
}

export { first_data, new_sent, note_sent, open_choices };
export type { Mark, Sent };
