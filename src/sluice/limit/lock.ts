/**
 * Locks between nginx's workers, in a dictionary that they share: held for a few microseconds, by one that is named in it. That of a
 * worker that was killed is taken over, and what it may have left undone is mended first.
 */

import type { MemoryStore } from "./memory_store";

/** A lock outlives its holder by this many seconds at most, should nobody take it over. */
const LOCK_SECONDS = 10;
/** How often a lock is asked for before its holder is looked at. */
const PATIENCE = 200;

function lock_name(owner: string): string {
  return `lock:${owner}`;
}

/** Whether the lock's holder is dead. */
function is_abandoned(store: MemoryStore, name: string): boolean {
  const { dictionary } = store;
  const holder = dictionary.get(name) as number | undefined;
  // One that has let go before it ended has left it to somebody else.
  return holder !== undefined && !store.is_alive(holder) && dictionary.get(name) === holder;
}

/** Takes a lock from a holder that is dead. Only one may at a time: another would take it from the one that has just got it. */
function take_over(store: MemoryStore, name: string): boolean {
  const { dictionary, process } = store;
  const turn = `${name}:over`;
  if (!is_abandoned(store, name) || dictionary.add(turn, process, 1) !== undefined) {
    return false;
  }
  const abandoned = is_abandoned(store, name);
  if (abandoned) {
    dictionary.set(name, process, LOCK_SECONDS);
  }
  dictionary.remove(turn);
  return abandoned;
}

/** Takes a tenant's lock. Returns false if the dictionary has no room for it. */
function lock(store: MemoryStore, owner: string): boolean {
  const name = lock_name(owner);
  const { dictionary, process } = store;
  let tries = 0;
  let reason = dictionary.add(name, process, LOCK_SECONDS);
  while (reason === "exists") {
    tries += 1;
    if (tries % PATIENCE === 0 && take_over(store, name)) {
      store.mend(store, owner);
      return true;
    }
    reason = dictionary.add(name, process, LOCK_SECONDS);
  }
  return reason === undefined;
}

function unlock(store: MemoryStore, owner: string): void {
  store.dictionary.remove(lock_name(owner));
}

export { lock, unlock };
