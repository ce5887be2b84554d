/**
 * Characters of one text that wait for the machines of the patterns. The machines read them many at a time, each in one loop of its own
 * that does nothing else: how the text came, in runs or by single characters, plain or escaped, costs them nothing, and no text
 * can make the scanner go in and out of them for each of its characters.
 *
 * What waits is read when the queue is full, and at the end of each string: whoever asks what was found, or what may
 * yet be found, asks behind the end of a string.
 */

import * as bits from "bit";
import * as ffi from "ffi";

const band = bits.band;
const bor = bits.bor;

/** Characters that have room. */
const QUEUE_SIZE = 64;

/** In `classes`, above the class: the character stands inside of a string of JSON in a string. */
const QUOTED = 32;
const CLASS_MASK = 31;

ffi.cdef(`
typedef struct {
  int32_t length, seen;
  int32_t starts[${QUEUE_SIZE}], ends[${QUEUE_SIZE}], counts[${QUEUE_SIZE}];
  uint8_t classes[${QUEUE_SIZE}];
} sluice_pattern_queue;
`);

interface PatternQueue {
  length: number;
  /** The bits of all classes that are in it. */
  seen: number;
  /** By character: where it begins, where the one behind it does, how many the text had before it, its class. */
  starts: Int32Buffer;
  ends: Int32Buffer;
  counts: Int32Buffer;
  classes: Bytes;
}

function new_queue(): PatternQueue {
  const queue = ffi.new<PatternQueue>("sluice_pattern_queue");
  return queue;
}

/** Adds a character. There must be room. `character_class` may have `QUOTED` above it. */
function enqueue(queue: PatternQueue, character_class: number, start: number, end: number, count: number): void {
  const at = band(queue.length, QUEUE_SIZE - 1);
  queue.classes[at] = character_class;
  queue.starts[at] = start;
  queue.ends[at] = end;
  queue.counts[at] = count;
  queue.seen = bor(queue.seen, character_class);
  queue.length = at + 1;
}

/** Forgets what it has. */
function clear_queue(queue: PatternQueue): void {
  queue.length = 0;
  queue.seen = 0;
}

export { CLASS_MASK, QUEUE_SIZE, QUOTED, clear_queue, enqueue, new_queue };
export type { PatternQueue };
