/**
 * Requests of this node that have ended, while the Redis that counts for several nodes still has them under way: they are settled there a
 * moment later, behind the clients' backs. An admission tells Redis of those of its tenant, so that the places that they had are free
 * for this node's clients at once. Redis only leaves them out of account; what they reserved is given back when they are settled.
 *
 * They lie in a dictionary that this node's workers share, in one text for each tenant: ` SECOND:ID` for each, with the second in which
 * it was admitted, in the order in which they ended. (The id stands at the end: LuaJIT tells long texts apart by that.) The text is changed with the tenant's lock held. It has
 * some sixty of them at most, so that an admission stays small; the oldest makes room. One that is not in it keeps its place
 * until it is settled.
 */

import { lock, unlock } from "./lock";
import type { MemoryStore } from "./memory_store";

/** How long the text may be before it is added to: an entry has 44 bytes. */
const MOST_BYTES = 2800;
const ENTRY = " (%d+):(%S+)";

function name_of(owner: string): string {
  return `ended:${owner}`;
}

/** Of a tenant's requests, those that have ended and that Redis may not know to have; empty for none. */
function ended_requests(store: MemoryStore, owner: string): string {
  return (store.dictionary.get(name_of(owner)) as string | undefined) ?? "";
}

/** A tenant's request has ended that was admitted at that time, in seconds since 1970. */
function note_ended(store: MemoryStore, owner: string, id: string, admitted: number): void {
  if (!lock(store, owner)) {
    return;
  }
  let text = ended_requests(store, owner);
  if (text.length > MOST_BYTES) {
    const [second] = string.find(text, " ", 2, true);
    text = string.sub(text, second!);
  }
  store.dictionary.set(name_of(owner), `${text} ${string.format("%d", admitted)}:${id}`);
  unlock(store, owner);
}

/**
 * Redis knows that those of the tenant's requests have ended, by their ids. Forgets them, and what was admitted before `since`: if a worker
 * was killed before it could settle one, its lease in Redis is over by then.
 */
function forget_ended(store: MemoryStore, owner: string, settled: LuaSet<string>, since: number): void {
  if (ended_requests(store, owner) === "" || !lock(store, owner)) {
    return;
  }
  const kept: string[] = [];
  for (const [second, id] of string.gmatch(ended_requests(store, owner), ENTRY)) {
    if (!settled.has(id!) && tonumber(second)! >= since) {
      kept.push(` ${second}:${id}`);
    }
  }
  if (kept.length === 0) {
    store.dictionary.remove(name_of(owner));
  } else {
    store.dictionary.set(name_of(owner), table.concat(kept));
  }
  unlock(store, owner);
}

export { ended_requests, forget_ended, note_ended };
