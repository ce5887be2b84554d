/**
 * What is known of a request's conversation: who met it, and what is to be remembered of it.
 *
 * A turn is remembered at its last block, and at marks on the way there: at the last multiple of 16, of 32, of 64 … blocks. The next
 * turn is a little longer, or much: it looks at each of its last 64 blocks, then at every 16th, 32nd and so on, further
 * apart as they are further away. So a turn that adds less than 4 KB finds the exact end of the one before it, and a longer
 * one a mark that is short of it by less than half of what it has added. A long one that nobody has met takes a hundred looks.
 *
 * Many conversations begin with the same instructions. Who has met those has not met the conversation: so each mark says how
 * long the turn was that left it, and how that ended. If the request at hand doesn't go through that end, the beginning is shared with
 * another conversation.
 */

import * as ffi from "ffi";
import { hash } from "../wire/shape";
import { Entry, SEVERAL, find_entry, write_entry } from "./prefix_memory";
import type { Blocks } from "./prefix_blocks";
import type { PrefixMemory } from "./prefix_memory";

const enum Match {
  /** Nothing is to be looked for or remembered. */
  Unknown = 0,
  /** Nobody has met it. */
  None = 1,
  /** An endpoint has met an earlier turn of it. */
  Own = 2,
  /** An endpoint has met another conversation that begins alike. */
  Shared = 3,
  /** The client said which session it belongs to, and whose that is is known. */
  Session = 4,
}

interface Conversation {
  match: number;
  /** The pool that it was looked up for: see `Pool.seed`. */
  seed: number;
  /** The id of the endpoint that met it. */
  holder: number;
  /** How many blocks it has, and how many of them the holder met. */
  length: number;
  matched: number;
  /** How many marks are to be remembered; for each the halves of its hash, the last block's first. */
  marks: number;
  hashes: Int32Buffer;
  /** The hash of what is behind the last block; 0: not known. */
  tail: number;
}

/** So many of the last blocks are all looked at. */
const CLOSE = 64;
/** The first distance between marks. */
const FIRST_STEP = 16;
/** 16,384 blocks have the last one and eleven marks. */
const MOST_MARKS = 16;

function new_conversation(): Conversation {
  return {
    match: Match.Unknown, seed: 0, holder: 0, length: 0, matched: 0, marks: 0, tail: 0,
    hashes: ffi.new<Int32Buffer>("int32_t[?]", MOST_MARKS * 2),
  };
}

function add_mark(conversation: Conversation, lower: number, upper: number): void {
  const { hashes, marks } = conversation;
  hashes[marks * 2] = lower;
  hashes[marks * 2 + 1] = upper;
  conversation.marks = marks + 1;
}

/** Notes at which blocks the conversation is to be remembered. */
function note_marks(conversation: Conversation, blocks: Blocks): void {
  const { count, halves } = blocks;
  conversation.marks = 0;
  add_mark(conversation, halves[count * 2]!, halves[count * 2 + 1]!);
  let step = FIRST_STEP;
  let last = count;
  while (step <= count) {
    const block = count - (count % step);
    if (block < last) {
      add_mark(conversation, halves[block * 2]!, halves[block * 2 + 1]!);
      last = block;
    }
    step *= 2;
  }
}

/** Notes what an entry for a block says. */
function judge_entry(conversation: Conversation, blocks: Blocks, memory: PrefixMemory, entry: number, block: number): void {
  const { words } = memory;
  const leaf = words[entry + Entry.Leaf]!;
  const check = words[entry + Entry.Check]!;
  let is_own = false;
  if (leaf === block) {
    // That turn ended within the next block, of which only the whole can be compared.
    is_own = blocks.count > block || check === 0 || blocks.tail === 0 || check === blocks.tail;
  } else if (leaf > block && leaf <= blocks.count) {
    is_own = blocks.halves[leaf * 2 + 1] === check;
  }
  conversation.match = is_own ? Match.Own : Match.Shared;
  conversation.holder = words[entry + Entry.Endpoint]!;
  conversation.matched = block;
}

/** Looks for the endpoint that met most of the conversation. `seed`: of the pool. */
function look_up(conversation: Conversation, blocks: Blocks, memory: PrefixMemory, seed: number): void {
  const { count, halves } = blocks;
  conversation.seed = seed;
  conversation.match = count > 0 ? Match.None : Match.Unknown;
  conversation.length = count;
  conversation.matched = 0;
  conversation.tail = blocks.tail;
  conversation.marks = 0;
  if (count === 0) {
    return;
  }
  note_marks(conversation, blocks);
  let step = 1;
  let block = count;
  while (block > 0) {
    const entry = find_entry(memory, halves[block * 2]!, halves[block * 2 + 1]!);
    if (entry >= 0) {
      judge_entry(conversation, blocks, memory, entry, block);
      return;
    }
    block -= step;
    const distance = count - block;
    if (distance >= CLOSE) {
      while (step * 8 <= distance) {
        step *= 2;
      }
      block -= block % step;
    }
  }
}

/** Looks for the endpoint that a session of a tenant's belongs to. `session` is what the client calls it. */
function look_up_session(conversation: Conversation, memory: PrefixMemory, pool: string, seed: number, model: string, tenant: string, session: string): void {
  const [lower, upper] = hash(`${pool}\n${model}\n${tenant}\n${session}`);
  conversation.seed = seed;
  conversation.length = 0;
  conversation.matched = 0;
  conversation.tail = 0;
  conversation.marks = 0;
  add_mark(conversation, lower, upper);
  const entry = find_entry(memory, lower, upper);
  conversation.match = entry >= 0 ? Match.Session : Match.None;
  conversation.holder = entry >= 0 ? memory.words[entry + Entry.Endpoint]! : 0;
}

/** What the last block's mark says of how the turn ended: `SEVERAL` if others that ended there went on in other ways, or were others. */
function leaf_of(conversation: Conversation, memory: PrefixMemory, entry: number): number {
  const { length, tail } = conversation;
  if (entry < 0) {
    return length;
  }
  const leaf = memory.words[entry + Entry.Leaf]!;
  const check = memory.words[entry + Entry.Check]!;
  return leaf === SEVERAL || (leaf === length && check !== 0 && tail !== 0 && check !== tail) ? SEVERAL : length;
}

/** Remembers that the endpoint with this id meets the conversation now. */
function remember(conversation: Conversation, memory: PrefixMemory, endpoint: number): void {
  const { hashes, length, marks, tail } = conversation;
  if (marks === 0) {
    return;
  }
  const last = find_entry(memory, hashes[0]!, hashes[1]!);
  write_entry(memory, hashes[0]!, hashes[1]!, endpoint, leaf_of(conversation, memory, last), tail);
  for (const mark of $range(1, marks - 1)) {
    const lower = hashes[mark * 2]!;
    const upper = hashes[mark * 2 + 1]!;
    const entry = find_entry(memory, lower, upper);
    const is_several = entry >= 0 && memory.words[entry + Entry.Leaf] === SEVERAL;
    write_entry(memory, lower, upper, endpoint, is_several ? SEVERAL : length, hashes[1]!);
  }
}

export { Match, look_up, look_up_session, new_conversation, remember };
export type { Conversation };
