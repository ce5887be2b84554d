/**
 * Who takes the settlements to the store: one worker at a time, as long as it says again and again that it is at it. Its name lies
 * with the list, and changes under the list's lock only, so of several that want to take over one does. Times are in seconds on a
 * clock that only goes forward, the same for all workers.
 */

import { lock, unlock } from "./lock";
import { QUEUE } from "./redis_store";
import type { MemoryStore } from "./memory_store";

/** How long a worker may be silent before another one may think it is lost. */
const DRAIN_SECONDS = 30;
const NAME = "drainer";
const UNTIL = "drainer_until";

/** Whether some worker, this one or another, is at it. */
function is_taken(store: MemoryStore, now: number): boolean {
  const { dictionary, process } = store;
  const holder = (dictionary.get(NAME) as number | undefined) ?? 0;
  return holder !== 0 && now < ((dictionary.get(UNTIL) as number | undefined) ?? 0) && (holder === process || store.is_alive(holder));
}

/** Becomes the one. Returns false if another worker is, and lives. */
function begin_drain(store: MemoryStore, now: number): boolean {
  if (is_taken(store, now) || !lock(store, QUEUE)) {
    return false;
  }
  const free = !is_taken(store, now);
  if (free) {
    store.dictionary.set(UNTIL, now + DRAIN_SECONDS);
    store.dictionary.set(NAME, store.process);
  }
  unlock(store, QUEUE);
  return free;
}

/** Still at it: to be said before each exchange with the store. Returns false if another worker has taken over. */
function keep_draining(store: MemoryStore, now: number): boolean {
  if (!lock(store, QUEUE)) {
    return false;
  }
  const ours = store.dictionary.get(NAME) === store.process;
  if (ours) {
    store.dictionary.set(UNTIL, now + DRAIN_SECONDS);
  }
  unlock(store, QUEUE);
  return ours;
}

/** Is the one no more; nothing, if another worker has taken over. */
function end_drain(store: MemoryStore): void {
  if (!lock(store, QUEUE)) {
    return;
  }
  if (store.dictionary.get(NAME) === store.process) {
    store.dictionary.set(NAME, 0);
  }
  unlock(store, QUEUE);
}

export { begin_drain, end_drain, keep_draining };
