/** The Redis in which what was used is counted for several nodes: asks it, and notices when it is lost. */

import { monotonic } from "../edge/clock";
import { is_worker_alive } from "../edge/process";
import { probe, run_script } from "../edge/redis";
import { find_library, redis_client } from "../edge/redis_connection";
import { is_final } from "../edge/redis_error";
import { may_ask, may_probe, new_breaker, note_failure, note_success } from "../limit/breaker";
import { redis_limits } from "../limit/redis_store";
import { added_place, note_missed } from "../limit/settlement_queue";
import { observe_store } from "../metrics/meter";
import { set } from "../metrics/registry";
import { gateway } from "./gateway";
import { follow_journal, journal_end } from "./settled_place";
import { tell_taken } from "./takings";
import { address_now, known_names, tend_names } from "./known_names";
import type { RedisClient, RedisOptions } from "../edge/redis_connection";
import type { Breaker } from "../limit/breaker";
import type { MemoryStore } from "../limit/memory_store";
import type { RedisScript } from "../limit/redis_scripts";
import type { RedisStore } from "../limit/redis_store";
import type { SettlementQueue } from "../limit/settlement_queue";
import type { LimitStore } from "../limit/store";
import type { SharedStore } from "../metrics/aggregate";
import type { KnownNames } from "./known_names";

/** How a worker stands with Redis. */
interface Shared {
  client: RedisClient;
  names: KnownNames;
  timeout_ms: number;
  breaker: Breaker;
  queue: SettlementQueue;
  store: RedisStore;
  /** Settlements are being taken to Redis, or will be at once. */
  busy: boolean;
  /** What was written to the file of the settled place, and when. */
  saved: string;
  saved_at: number;
}

function note_up(up: boolean): void {
  set(gateway().catalogue.store_up.with([]), up ? 1 : 0);
}

/** Redis has answered as fast as an admission needs it. What has more time, such as a settlement, says nothing about that. */
function succeeded(shared: Shared): void {
  if (note_success(shared.breaker)) {
    ngx.log(ngx.WARN, "sluice: Redis is back");
    note_up(true);
  }
}

/** Redis has not answered, or can't do now what it was asked. */
function failed(shared: Shared, reason: string | undefined): void {
  if (!shared.breaker.open) {
    ngx.log(ngx.WARN, "sluice: Redis: ", reason);
  }
  if (note_failure(shared.breaker, monotonic())) {
    ngx.log(ngx.ERR, "sluice: Redis is lost (", reason, "); until it is back, on_loss holds: ", shared.store.on_loss);
    note_up(false);
  }
}

/** Asks Redis, unless it is known to be lost. */
function ask(
  shared: Shared,
  script: RedisScript,
  parts: string[],
): LuaMultiReturn<[answer: string | undefined, reason: string | undefined, asked: boolean]> {
  const began = monotonic();
  if (!may_ask(shared.breaker, began)) {
    return $multi(undefined, "it is lost", false);
  }
  const [answer, reason, asked] = run_script(shared.client, script.text, parts, shared.timeout_ms);
  observe_store(gateway().meters, monotonic() - began);
  if (answer !== undefined) {
    succeeded(shared);
  } else if (is_final(reason ?? "")) {
    // It says something about this tenant's keys, nothing about Redis.
    ngx.log(ngx.ERR, "sluice: Redis can't count a request: ", reason);
  } else {
    failed(shared, reason);
  }
  return $multi(answer, reason, asked);
}

/** Every second: looks up where Redis is, and sees whether one that was lost is back, and as fast as it must be. */
function tend_store(shared: Shared): void {
  tend_names(shared.names);
  if (may_probe(shared.breaker, monotonic()) && probe(shared.client, shared.timeout_ms) === undefined) {
    succeeded(shared);
  }
  note_up(!shared.breaker.open);
}

/** What the configuration says of Redis, for the client. */
function redis_options(names: KnownNames): RedisOptions {
  const { configuration, store } = gateway().snapshot;
  const { database, host, password, port, tls, user } = store!.redis;
  const { master, sentinel_password } = configuration.store.redis!;
  return {
    place: store!.sentinels.length === 0 ? { host, port } : undefined,
    tls,
    user,
    password,
    database,
    sentinels: store!.sentinels,
    master: master ?? "",
    sentinel_password: sentinel_password ?? "",
    address: (host) => address_now(names, host),
  };
}

/** At the start: has the names looked up before the first request needs them. */
function know_places(names: KnownNames, { place, sentinels }: RedisOptions): void {
  if (place !== undefined) {
    address_now(names, place.host);
  }
  for (const { host } of sentinels) {
    address_now(names, host);
  }
  tend_names(names);
}

/** The list of settlements as what can be locked; whoever finds the lock with a dead worker has the journal read again. */
function lockable_queue(dictionary: SharedStore, queue: SettlementQueue): MemoryStore {
  return {
    dictionary,
    process: queue.process,
    is_alive: queue.is_alive,
    mend: () => {
      const { file, offset } = added_place(queue);
      note_missed(queue, file, offset);
    },
    journal_end,
  };
}

/** The store that several nodes share, for a worker; `wake` is called when there is something to be settled. Returns undefined if what the start has found is missing. */
function open_shared_store(memory: MemoryStore, dictionary: SharedStore | undefined, wake: (this: void, shared: Shared) => void): LimitStore | undefined {
  const held = gateway();
  const [library] = find_library();
  if (dictionary === undefined || library === undefined) {
    return undefined;
  }
  const names = known_names(dictionary, "Redis or a Sentinel");
  const options = redis_options(names);
  const { lease_seconds, nodes, on_loss, timeout_ms } = held.snapshot.configuration.store.redis!;
  const queue: SettlementQueue = { dictionary, process: ngx.worker.pid(), is_alive: is_worker_alive };
  const shared: Shared = {
    client: redis_client(library, options), names, timeout_ms, breaker: new_breaker(), queue, busy: false, saved: "", saved_at: 0,
    store: {
      on_loss,
      nodes: nodes ?? 1,
      lease_seconds,
      memory,
      queue,
      lockable: lockable_queue(dictionary, queue),
      follow_journal,
      unlisted: undefined,
      run: (script, parts) => ask(shared, script, parts),
      tell_taken: (id, parts) => {
        tell_taken(shared, id, parts);
      },
      wake: () => {
        wake(shared);
      },
    },
  };
  held.shared = shared;
  note_up(true);
  know_places(names, options);
  return redis_limits(shared.store);
}

export { ask, failed, open_shared_store, tend_store };
export type { Shared };
