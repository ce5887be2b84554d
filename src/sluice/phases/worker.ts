/** A worker's life: what it opens, what it does every second, and what it leaves behind. */

import { look } from "../config/watch";
import { check_append_file, close_append_file, open_append_file, take_lost } from "../edge/append_file";
import { monotonic, realtime } from "../edge/clock";
import { key_fetching } from "../edge/fetching";
import { stamp } from "../edge/file";
import { is_worker_alive } from "../edge/process";
import { begin_request_ids, rest } from "../edge/request";
import { new_flights, sweep } from "../pool/flights";
import { open_dictionary, open_memory } from "../edge/shared_dictionary";
import { memory_limits } from "../limit/memory_store";
import { join_workers } from "../limit/workers";
import { flush, join, leave } from "../metrics/aggregate";
import { add, set } from "../metrics/registry";
import { keep_slots } from "../pool/pools";
import { begin_watch, keep_warm, tend_watch } from "./endpoint_watch";
import { gateway } from "./gateway";
import { known_names, tend_names, want_names } from "./known_names";
import { journal_end, mend, save_limits } from "./limit_state";
import { sweep_limits } from "./limits";
import { load_snapshot, log_notices, log_problems } from "./load";
import { save_place } from "./settled_place";
import { tend_settlements, wake } from "./settlements";
import { KEPT_SECONDS } from "../responses/record";
import { tend_reservations } from "./held_reservations";
import { tend_responses } from "./response_memory";
import { open_shared_store } from "./shared_store";
import { encode } from "cjson.safe";
import type { Snapshot } from "../config/snapshot";

/** Seconds between two looks at the configuration's files, and two flushes of the metrics. */
const TICK = 1;

/** Where what was used is counted, in a form that can be compared. */
function store_text(snapshot: Snapshot): string {
  const { kind, redis } = snapshot.configuration.store;
  return `${kind} ${encode(redis)[0]}`;
}

/** Takes a new configuration if its files have changed; keeps the old one if the new one is wrong. */
function reload_if_changed(): void {
  const held = gateway();
  if (look(held.watch, stamp) !== "reload") {
    return;
  }
  keep_slots(held.snapshot.pools, held.slots, monotonic());
  const [snapshot, problems] = load_snapshot({
    path: held.configuration_path,
    environment: held.environment,
    slots: held.slots,
    watch: held.watch,
    pause: rest,
    fetching: key_fetching(),
    previous: held.snapshot,
    lexicons: held.lexicons,
    wait: rest,
  });
  if (snapshot === undefined) {
    log_problems(held.configuration_path, problems);
    ngx.log(ngx.ERR, "sluice: the new configuration is rejected; version ", held.snapshot.version, " stays in force");
    set(held.catalogue.config_last_reload_success.with([]), 0);
    return;
  }
  if (store_text(snapshot) !== store_text(held.snapshot)) {
    ngx.log(ngx.WARN, "sluice: the section store has changed, which is taken up by a restart only");
  }
  keep_warm(held.snapshot.pools, snapshot.pools);
  held.snapshot = snapshot;
  log_notices(snapshot.notices);
  set(held.catalogue.config_last_reload_success.with([]), 1);
  ngx.log(ngx.NOTICE, "sluice: configuration version ", snapshot.version, " is in force");
}

/** Counts lost journal lines, and opens the journal anew if it was rotated. */
function tend_journal(): void {
  const { journal, catalogue } = gateway();
  if (journal === undefined) {
    return;
  }
  const lost = take_lost(journal);
  if (lost > 0) {
    add(catalogue.journal_lost.with([]), lost);
    ngx.log(ngx.ALERT, "sluice: ", lost, " lines of the usage journal are lost: ", journal.path, " can't be written");
  }
  const reason = check_append_file(journal, monotonic());
  if (reason !== undefined) {
    ngx.log(ngx.ALERT, "sluice: the usage journal can't be opened: ", reason);
  }
}

/** One tick at a time: a load that rests between slices may take longer than a tick. */
const ticking = { busy: false, drained_at: 0 };

/** Has the names of all endpoints looked up in time. */
function tend_pool_names(): void {
  const { pool_names, snapshot } = gateway();
  if (pool_names === undefined) {
    return;
  }
  const hosts = new LuaTable<string, boolean>();
  for (const [, pool] of snapshot.pools) {
    for (const { host } of pool.endpoints) {
      hosts.set(host, true);
    }
  }
  want_names(pool_names, hosts);
  tend_names(pool_names);
}

/** What is done every second. */
function tend(): void {
  tend_pool_names();
  tend_journal();
  const { aggregate } = gateway();
  if (aggregate !== undefined) {
    flush(aggregate, rest);
  }
  sweep_limits(rest);
  const { flights } = gateway();
  if (flights !== undefined) {
    sweep(flights);
  }
  tend_watch();
  tend_responses();
  tend_reservations();
  const { memory, shared } = gateway();
  if (shared !== undefined) {
    tend_settlements();
  } else if (memory !== undefined) {
    save_limits(memory, false, rest);
  }
  reload_if_changed();
}

function tick(this: void, premature: boolean): void {
  if (premature || ticking.busy) {
    return;
  }
  ticking.busy = true;
  const [done, reason] = pcall(tend);
  ticking.busy = false;
  if (!done) {
    ngx.log(ngx.ERR, "sluice: the worker's timer failed: ", reason);
  }
}

/**
 * What a tick does, for a worker that is being drained after a reload: nginx runs no timers there, so the log phase calls
 * this. `now` is in seconds on a clock that only goes forward.
 */
function tend_while_draining(now: number): void {
  if (!ngx.worker.exiting() || now - ticking.drained_at < TICK) {
    return;
  }
  ticking.drained_at = now;
  tend_journal();
  const { aggregate } = gateway();
  if (aggregate !== undefined) {
    flush(aggregate);
  }
}

/** Opens the store: this node's memory, or the Redis that the configuration names. */
function open_store(): void {
  const held = gateway();
  const [limits, no_limits] = open_dictionary("sluice_limits");
  if (limits === undefined) {
    ngx.log(ngx.ALERT, "sluice: no limits: ", no_limits);
    return;
  }
  const process = ngx.worker.pid();
  if (held.snapshot.store === undefined) {
    held.memory = { dictionary: limits, process, is_alive: is_worker_alive, mend, journal_end };
    held.store = memory_limits(held.memory);
  } else {
    // The journal says what was charged everywhere; here only the share counts that was used while Redis was lost.
    held.memory = { dictionary: limits, process, is_alive: is_worker_alive, mend: () => {}, journal_end: () => $multi(0, 0) };
    const [settlements, missing] = open_dictionary("sluice_settlements");
    held.store = open_shared_store(held.memory, settlements, wake);
    if (held.store === undefined) {
      ngx.log(ngx.ALERT, "sluice: no limits: ", missing);
    }
  }
  join_workers(held.memory);
}

/** Opens what all workers know of the pools. */
function open_pools(): void {
  const held = gateway();
  const [pools, missing] = open_dictionary("sluice_pools");
  if (pools === undefined) {
    ngx.log(ngx.ALERT, "sluice: no requests can be sent on: ", missing);
    return;
  }
  held.pools = pools;
  held.pool_names = known_names(pools, "an endpoint");
  held.flights = new_flights(pools, ngx.worker.pid(), is_worker_alive);
  math.randomseed(ngx.worker.pid() + math.floor(realtime() * 1000));
}

/** Opens what all workers know of responses. */
function open_responses(): void {
  const held = gateway();
  held.responses = open_memory("sluice_responses", KEPT_SECONDS);
  if (held.responses === undefined) {
    ngx.log(ngx.WARN, "sluice: no response of /v1/responses will be known later: nginx.conf has no lua_shared_dict sluice_responses");
  }
}

/** init_worker_by_lua */
function init_worker(this: void): void {
  const held = gateway();
  begin_request_ids();
  const [journal, reason] = open_append_file(`${held.run_directory}/logs/usage.jsonl`);
  if (reason !== undefined) {
    ngx.log(ngx.ALERT, "sluice: the usage journal can't be opened: ", reason);
  }
  held.journal = journal;
  const [store, missing] = open_dictionary("sluice_metrics");
  if (store === undefined) {
    ngx.log(ngx.ALERT, "sluice: no metrics: ", missing);
  } else {
    held.aggregate = join(held.catalogue.registry, store, ngx.worker.pid(), held.catalogue.metrics_dropped.with([]));
  }
  open_store();
  open_pools();
  open_responses();
  begin_watch();
  set(held.catalogue.config_last_reload_success.with([]), 1);
  ngx.timer.at((ngx.worker.id() % 8) * 0.1, (premature: boolean) => {
    if (!premature) {
      ngx.timer.every(TICK, tick);
      tick(false);
    }
  });
}

/** exit_worker_by_lua */
function exit_worker(this: void): void {
  const { aggregate, journal, memory, shared } = gateway();
  if (memory !== undefined) {
    if (shared !== undefined) {
      save_place(shared, true);
    } else {
      save_limits(memory, true, undefined);
    }
  }
  if (journal !== undefined) {
    tend_journal();
    close_append_file(journal);
  }
  if (aggregate !== undefined) {
    leave(aggregate);
  }
}

export { exit_worker, init_worker, tend_while_draining };
