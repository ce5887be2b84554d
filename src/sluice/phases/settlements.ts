/** Takes what waits to be settled to the Redis that several nodes share, behind the clients' backs. */

import { monotonic, realtime } from "../edge/clock";
import { run_scripts } from "../edge/redis";
import { is_final } from "../edge/redis_error";
import { begin_drain, end_drain, keep_draining } from "../limit/drainer";
import { forget_ended } from "../limit/ended_requests";
import { note_heard } from "../limit/heard";
import { lock, unlock } from "../limit/lock";
import { SETTLE } from "../limit/redis_scripts";
import { QUEUE } from "../limit/redis_store";
import { read_settled, read_settlement, settle_parts } from "../limit/settlement";
import { confirm_settlements, first_settlements, is_missed, take_dropped, waiting } from "../limit/settlement_queue";
import { observe_store } from "../metrics/meter";
import { add } from "../metrics/registry";
import { give_alerts } from "./alerts";
import { gateway } from "./gateway";
import { catch_up } from "./missed_settlements";
import { note_settled, save_place } from "./settled_place";
import { failed, tend_store } from "./shared_store";
import type { Scope } from "../limit/scope";
import type { Settlement } from "../limit/settlement";
import type { Shared } from "./shared_store";

/** How many settlements go to Redis at once, and how long it may take over them. */
const BATCH = 100;
const BATCH_MS = 2000;
/** Settlements wait for others, so that they travel together. */
const PAUSE_SECONDS = 0.002;

/** The configuration's scopes by their names; made once for each configuration. */
const by_name: { scopes: Scope[] | undefined; names: LuaTable<string, Scope> } = { scopes: undefined, names: new LuaTable() };

function scopes_by_name(): LuaTable<string, Scope> {
  const { scopes } = gateway().snapshot;
  if (by_name.scopes !== scopes) {
    by_name.scopes = scopes;
    by_name.names = new LuaTable();
    for (const scope of scopes) {
      by_name.names.set(scope.name, scope);
    }
  }
  return by_name.names;
}

/** The first so many of these are settled: Redis needs no longer be told that they have ended. */
function forget_settled(shared: Shared, settlements: Settlement[], count: number): void {
  const { lease_seconds, memory } = shared.store;
  const by_owner = new LuaTable<string, LuaSet<string>>();
  for (const index of $range(0, count - 1)) {
    const { id, owner } = settlements[index]!;
    let ids = by_owner.get(owner) as LuaSet<string> | undefined;
    if (ids === undefined) {
      ids = new LuaSet();
      by_owner.set(owner, ids);
    }
    ids.add(id);
  }
  for (const [owner, ids] of by_owner) {
    forget_ended(memory, owner, ids, realtime() - lease_seconds);
  }
}

/**
 * Takes settlements to Redis. Returns how many of the first are done with: also those that were answered before Redis failed.
 *
 * An answer here does not prove that Redis is fast enough for requests, since settlements have seconds. A failure here proves that it is not.
 */
function run_settlements(shared: Shared, settlements: Settlement[]): number {
  const scopes = scopes_by_name();
  const lists: string[][] = [];
  for (const settlement of settlements) {
    lists.push(settle_parts(settlement, scopes));
  }
  const { catalogue, meters } = gateway();
  const began = monotonic();
  const [answers, reason] = run_scripts(shared.client, SETTLE.text, lists, BATCH_MS);
  observe_store(meters, monotonic() - began);
  let done = 0;
  for (const { text, error: complaint } of answers) {
    const settlement = settlements[done]!;
    if (text !== undefined) {
      const [due, spent, reserved] = read_settled(text);
      const tenant = scopes.get(settlement.tenant) as Scope | undefined;
      if (due !== undefined && tenant !== undefined && tenant.budget !== undefined) {
        note_heard(shared.store.memory.dictionary, tenant, settlement.arrived, spent, reserved);
        give_alerts(tenant, due, spent, settlement.id);
      }
    } else {
      if (!is_final(complaint ?? "")) {
        failed(shared, complaint);
        return done;
      }
      // It would stand in the way of all others for ever.
      ngx.log(ngx.ALERT, "sluice: Redis can't settle ", settlement.id, ", which is only in the journal: ", complaint);
      add(catalogue.settlements_dropped.with([]), 1);
    }
    done += 1;
  }
  if (done < settlements.length) {
    failed(shared, reason);
  }
  return done;
}

/** The same, and says that Redis knows of them. */
function settle_all(shared: Shared, settlements: Settlement[]): number {
  const done = run_settlements(shared, settlements);
  forget_settled(shared, settlements, done);
  return done;
}

/** Takes the first settlements of the list to Redis. Returns whether that succeeded. */
function drain_batch(shared: Shared): boolean {
  const { queue, store } = shared;
  const settlements: Settlement[] = [];
  const places: number[] = [];
  const [texts, first] = first_settlements(queue, BATCH);
  let place = 0;
  for (const text of texts) {
    const settlement = read_settlement(text);
    if (settlement !== undefined) {
      settlements.push(settlement);
      places.push(place);
    }
    place += 1;
  }
  const done = settlements.length > 0 ? settle_all(shared, settlements) : 0;
  let file = 0;
  let offset = 0;
  for (const index of $range(0, done - 1)) {
    if (settlements[index]!.file !== 0) {
      file = settlements[index]!.file;
      offset = settlements[index]!.offset;
    }
  }
  const whole = done === settlements.length;
  if (!lock(store.lockable, QUEUE)) {
    return false;
  }
  confirm_settlements(queue, first, whole ? texts.length : places[done]!, file, offset);
  unlock(store.lockable, QUEUE);
  return whole;
}

/** Settles what the journal says, a batch at a time. Returns whether that succeeded. */
function settle_some(this: void, shared: Shared, found: Settlement[]): boolean {
  for (const first of $range(0, found.length - 1, BATCH)) {
    const some: Settlement[] = [];
    for (const index of $range(first, math.min(first + BATCH, found.length) - 1)) {
      some.push(found[index]!);
    }
    if (!keep_draining(shared.store.lockable, monotonic()) || settle_all(shared, some) < some.length) {
      return false;
    }
  }
  return true;
}

/** Takes to Redis what waits and what was missed, until nothing is left, Redis fails, or another worker has taken over. */
function drain(this: void, shared: Shared): void {
  const { breaker, queue, store } = shared;
  let going = true;
  let readable = true;
  while (going && !breaker.open && (waiting(queue) > 0 || (readable && is_missed(queue)))) {
    going = keep_draining(store.lockable, monotonic()) && (waiting(queue) === 0 || drain_batch(shared));
    if (going && readable && is_missed(queue)) {
      [going, readable] = catch_up(shared, settle_some);
    }
  }
  note_settled(shared);
  save_place(shared, false);
}

/** Drains, if no other worker does. */
function run_drain(this: void, _: boolean, shared: Shared): void {
  // What another worker adds while this one is ending is this one's.
  const { lockable } = shared.store;
  let again = true;
  while (again && begin_drain(lockable, monotonic())) {
    const [done, reason] = pcall(drain, shared);
    end_drain(lockable);
    if (!done) {
      ngx.log(ngx.ERR, "sluice: settling failed: ", reason);
    }
    again = done && !shared.breaker.open && shared.breaker.failures === 0 && waiting(shared.queue) > 0;
  }
  shared.busy = false;
}

/** There is something to be settled. */
function wake(shared: Shared): void {
  if (shared.busy || shared.breaker.open) {
    return;
  }
  // A worker that ends takes no timer but one that is due.
  const [started] = ngx.timer.at(ngx.worker.exiting() ? 0 : PAUSE_SECONDS, run_drain, shared);
  shared.busy = started !== undefined;
}

/** What is done every second: see whether Redis is back, and settle what waits. */
function tend_settlements(): void {
  const { catalogue, shared } = gateway();
  if (shared === undefined) {
    return;
  }
  const dropped = take_dropped(shared.queue);
  if (dropped > 0) {
    add(catalogue.settlements_dropped.with([]), dropped);
    ngx.log(ngx.ALERT, "sluice: sluice_settlements is full; ", dropped, " requests will be read from the usage journal when Redis is back");
  }
  tend_store(shared);
  wake(shared);
}

export { tend_settlements, wake };
