/**
 * Picks the endpoint that has met a conversation before, as long as it has not much more to do than the others.
 *
 * An endpoint that is followed blindly gets everything that begins alike. So it must not have more under way than a quarter above
 * the mean of all (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018), and a beginning that only
 * other conversations had counts only if it is long: a short one costs little to work out again, and soon all endpoints have it.
 * A session that the client names is followed as long as its endpoint can take a request at all.
 */

import { Match } from "./conversation";
import { running_if_open } from "./field";
import { mean_load, new_mean } from "./mean_load";
import type { Conversation } from "./conversation";
import type { Field } from "./field";
import type { MeanLoad } from "./mean_load";
import type { PrefixMemory } from "./prefix_memory";

/** What a worker needs to follow conversations in a pool. */
interface Affinity {
  memory: PrefixMemory;
  /** `Pool.seed`. */
  seed: number;
  /** By endpoint: its id; and the other way round. */
  ids: Int32Buffer;
  index_of: LuaTable<number, number>;
  mean: MeanLoad;
}

/** How far above the mean an endpoint may be. */
const BOUND = 1.25;
/** In blocks of 64 bytes: 16 KB, some 4,000 tokens. */
const LONG = 256;
/** An endpoint that says so of itself is busy: requests in its queue, and the share of its cache that is in use. */
const MOST_WAITING = 4;
const MOST_CACHE = 0.95;

function new_affinity(memory: PrefixMemory, seed: number, ids: Int32Buffer, index_of: LuaTable<number, number>, count: number): Affinity {
  return { memory, seed, ids, index_of, mean: new_mean(count) };
}

/** Whether what the holder met is worth going there. */
function is_worth_it(conversation: Conversation): boolean {
  const { length, match, matched } = conversation;
  if (match === Match.Own) {
    return matched * 4 >= length || matched >= LONG;
  }
  return match === Match.Shared && matched >= LONG && matched * 2 >= length;
}

/** Whether an endpoint that has so many under way can take one more without being much busier than the others. */
function has_room(field: Field, affinity: Affinity, index: number, running: number, now: number): boolean {
  return (
    running < BOUND * mean_load(affinity.mean, field, index, running, now) * field.weights[index]! + 1 &&
    field.waiting(index) <= MOST_WAITING &&
    field.cache(index) <= MOST_CACHE
  );
}

/**
 * The endpoint that has met the conversation, if it is worth going there and the endpoint can take a request, has not been tried by the
 * request with this stamp (see `Field.tried`) and is not much busier than others. Else -1. `now` in seconds, on a clock that only goes forward.
 */
function pick_prefix(field: Field, affinity: Affinity, conversation: Conversation, stamp: number, now: number): number {
  const is_session = conversation.match === Match.Session;
  if (conversation.seed !== affinity.seed || !(is_session || is_worth_it(conversation))) {
    return -1;
  }
  const index = (affinity.index_of.get(conversation.holder) as number | undefined) ?? -1;
  if (index < 0) {
    return -1;
  }
  const running = running_if_open(field, index, stamp);
  return running >= 0 && (is_session || has_room(field, affinity, index, running, now)) ? index : -1;
}

export { new_affinity, pick_prefix };
export type { Affinity };
