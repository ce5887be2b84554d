/**
 * Places among the concurrent requests that are free again though their requests are not settled yet.
 *
 * A request is settled in the log phase. By then its client has had the whole answer, and may have sent its next request to another
 * worker. So its places are given back when the last byte is handed to nginx. That costs one addition in the dictionary, without the
 * tenant's lock: `returned:WORKER:SCOPE` is how many of the worker's requests have given theirs back and are not settled. Settling,
 * with the lock held, takes the request off both this number and those under way. An admission reads these numbers only where the
 * scope would be full without them.
 *
 * The numbers are kept by worker, because a killed one never takes its own back: they go with what else it had under way.
 */

import type { Counters } from "./counters";
import type { MemoryStore } from "./memory_store";
import type { Scope } from "./scope";

interface OwnName {
  process: number;
  name: string;
}

/** What this worker's numbers are called, by scope: the configuration makes new ones, and the old go with theirs. */
const own_names = setmetatable(new LuaTable<Scope, OwnName>(), { __mode: "k" });

function name_of(process: number, scope: Scope): string {
  return `returned:${process}:${scope.name}`;
}

function own_name({ process }: MemoryStore, scope: Scope): string {
  let own = own_names.get(scope) as OwnName | undefined;
  if (own === undefined || own.process !== process) {
    own = { process, name: name_of(process, scope) };
    own_names.set(scope, own);
  }
  return own.name;
}

/**
 * A request gives its place in a scope back, before it is settled. Returns false if nothing is to be taken back when it is: the scope
 * has no such limit, or the dictionary has no room.
 */
function return_place(store: MemoryStore, scope: Scope | undefined): boolean {
  if (scope === undefined || scope.concurrent === 0) {
    return false;
  }
  const { dictionary } = store;
  const name = own_name(store, scope);
  // Only this worker adds the number, so it is still absent then.
  return dictionary.increase(name, 1) !== undefined || dictionary.add(name, 1) === undefined;
}

/** Such a request is settled, with the tenant's lock held: it is no longer under way in any sense. */
function settle_place(store: MemoryStore, scope: Scope): void {
  store.dictionary.increase(own_name(store, scope), -1);
}

/** How many of the scope's requests under way have given their places back. The lock should be held. */
function returned_places(store: MemoryStore, scope: Scope, counters: Counters): number {
  let sum = 0;
  for (const index of $range(0, counters.lease_count - 1)) {
    const { process, running } = counters.leases[index]!;
    const returned = (store.dictionary.get(name_of(process, scope)) as number | undefined) ?? 0;
    sum += math.min(returned, running);
  }
  return sum;
}

/** Forgets the numbers of workers that are gone. To be done before what else they had under way is forgotten, with the lock held. */
function forget_places(store: MemoryStore, scope: Scope, counters: Counters): void {
  for (const index of $range(0, counters.lease_count - 1)) {
    const { process } = counters.leases[index]!;
    if (!store.is_alive(process)) {
      store.dictionary.remove(name_of(process, scope));
    }
  }
}

export { forget_places, return_place, returned_places, settle_place };
