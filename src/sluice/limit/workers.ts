/** Which workers may have something under way: kept in the store, so that others notice when one of them was killed. */

import { lock, unlock } from "./lock";
import type { MemoryStore } from "./memory_store";

const NAME = "workers";

/** Reads the list with the lock held, changes it, and writes it. */
function change_list(store: MemoryStore, keep: (this: void, process: number) => boolean, added: string): void {
  if (!lock(store, NAME)) {
    return;
  }
  const parts: string[] = [];
  for (const [process] of string.gmatch((store.dictionary.get(NAME) as string | undefined) ?? "", "%d+")) {
    if (keep(tonumber(process)!)) {
      parts.push(process!);
    }
  }
  if (added !== "") {
    parts.push(added);
  }
  store.dictionary.set(NAME, parts.join(" "));
  unlock(store, NAME);
}

/** Says that this worker is there. */
function join_workers(store: MemoryStore): void {
  change_list(store, (process) => process !== store.process, `${store.process}`);
}

/** Whether workers have ended, killed or not, that nobody has cleared up after yet. */
function find_dead(store: MemoryStore): boolean {
  for (const [process] of string.gmatch((store.dictionary.get(NAME) as string | undefined) ?? "", "%d+")) {
    if (!store.is_alive(tonumber(process)!)) {
      return true;
    }
  }
  return false;
}

/** Takes those that have ended off the list, when all that they had under way is given back. */
function forget_workers(store: MemoryStore): void {
  change_list(store, (process) => store.is_alive(process), "");
}

export { find_dead, forget_workers, join_workers };
