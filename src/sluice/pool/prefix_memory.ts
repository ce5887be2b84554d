/**
 * Which endpoint met which beginning of a conversation last: one table for all workers, in memory that they share.
 *
 * How it lies there. A line of 64 bytes has room for four entries of four 32-bit integers: the tag, which is the upper half of a
 * block's hash, the endpoint's id, and the leaf: how long the conversation was that wrote it, in blocks, and a check of what that ended
 * with. The hash's lower half says which line. A new entry goes to the front, and the last one is forgotten.
 *
 * There are no locks. Two workers that write to one line, or one that reads while another writes, may make an entry of two
 * halves: a request goes to an endpoint that doesn't know it, and nothing else happens. So whatever is read is taken for a hint: an id
 * that no endpoint has stands for none.
 */

import * as bits from "bit";
import * as ffi from "ffi";

const band = bits.band;
const bor = bits.bor;

interface PrefixMemory {
  words: Int32Buffer;
  /** The lines' number less one. */
  mask: number;
}

/** In bytes: what is asked for from the system. 65,536 lines. */
const MEMORY_BYTES = 4194304;

const LINE_WORDS = 16;
const ENTRY_WORDS = 4;
const LAST_ENTRY = LINE_WORDS - ENTRY_WORDS;

/** In an entry's words: where what stands. */
const enum Entry {
  Tag = 0,
  Endpoint = 1,
  Leaf = 2,
  Check = 3,
}

/** In place of a leaf: several conversations went on from there, each in its own way. */
const SEVERAL = -1;

/** A table in so many bytes at `words`, which are zeros to begin with. They must be a power of two, and at least 64. */
function memory_at(words: Int32Buffer, bytes: number): PrefixMemory {
  return { words, mask: bytes / 4 / LINE_WORDS - 1 };
}

/** A table of this process alone. */
function own_memory(bytes: number): PrefixMemory {
  return memory_at(ffi.new<Int32Buffer>("int32_t[?]", bytes / 4), bytes);
}

/** The entry for the halves of a hash: where it begins, or -1 if there is none. */
function find_entry(memory: PrefixMemory, lower: number, upper: number): number {
  const { words } = memory;
  const line = band(lower, memory.mask) * LINE_WORDS;
  const tag = bor(upper, 1);
  if (words[line] === tag) {
    return line;
  }
  if (words[line + ENTRY_WORDS] === tag) {
    return line + ENTRY_WORDS;
  }
  if (words[line + 2 * ENTRY_WORDS] === tag) {
    return line + 2 * ENTRY_WORDS;
  }
  return words[line + LAST_ENTRY] === tag ? line + LAST_ENTRY : -1;
}

/** Writes an entry: in its old place, or at the front. */
function write_entry(memory: PrefixMemory, lower: number, upper: number, endpoint: number, leaf: number, check: number): void {
  const { words } = memory;
  let place = find_entry(memory, lower, upper);
  if (place < 0) {
    place = band(lower, memory.mask) * LINE_WORDS;
    for (const word of $range(place + LINE_WORDS - 1, place + ENTRY_WORDS, -1)) {
      words[word] = words[word - ENTRY_WORDS]!;
    }
    words[place + Entry.Tag] = bor(upper, 1);
  }
  words[place + Entry.Endpoint] = endpoint;
  words[place + Entry.Leaf] = leaf;
  words[place + Entry.Check] = check;
}

export { Entry, MEMORY_BYTES, SEVERAL, find_entry, memory_at, own_memory, write_entry };
export type { PrefixMemory };
