/**
 * Brings the numbers of all workers together in a shared dictionary, from which any worker can answer a scrape.
 *
 * How the data lies in the dictionary, and why.
 * - `series:1`, `series:2`, … is the index: an append-only list of series. Whoever has a new series adds it
 *   behind the last entry, and if another worker took that place, learns that entry and tries the next. So nobody
 *   ever lists the dictionary's keys, which would lock it for all workers, and the order of a scrape is stable.
 * - A counter lies under its own name, the sum over all workers that ever were. A histogram has a number for each
 *   bucket (not cumulative, so that an observation costs two increments) and one for the sum.
 * - A gauge lies under its name and the worker's process id, with an expiry: when the worker is gone, so is its share.
 *   `worker:1`, `worker:2`, … say which process ids are alive, with the same expiry.
 *
 * Nothing here evicts: a dictionary that is full refuses, what was refused is counted as dropped, and what is
 * already there stays right. Series are never removed, since a sum must not go back; one that the configuration
 * no longer names goes with the next start.
 */

import type { Distribution, Metric, Registry, Series } from "./registry";

const match = string.match;

/**
 * What the aggregate needs of a shared dictionary. None of it evicts.
 * @noSelf
 */
interface SharedStore {
  get(key: string): string | number | undefined;
  /** Writes what isn't there yet. Returns why not: `exists` or `no memory`. */
  add(key: string, value: string | number, seconds?: number): string | undefined;
  /** Writes in any case. Returns why not. */
  set(key: string, value: string | number, seconds?: number): string | undefined;
  /** Adds to a number that is there; `undefined` if it isn't. */
  increase(key: string, by: number): number | undefined;
  remove(key: string): void;
}

interface Aggregate {
  registry: Registry;
  store: SharedStore;
  /** This worker's process id. Worker numbers won't do: old and new workers share them during a reload. */
  process: string;
  /** How many entries of the index this worker has read. */
  known_count: number;
  known: LuaTable<string, boolean>;
  /** The series of each metric, over all workers, in the order of the index. */
  members: LuaTable<Metric, string[]>;
  /** This worker's place in the list of live workers. */
  place: number | undefined;
  /** Counts the updates that found no room. */
  dropped: Series;
}

/** Seconds after which the levels of a worker that no longer flushes disappear. */
const LIFETIME = 15;

/** Workers that can be alive at once, draining ones included. */
const MOST_WORKERS = 128;

/** Series handled between two pauses: a fraction of a millisecond. */
const SLICE = 250;

/**
 * Joins a registry to the shared dictionary. `process` is this worker's process id, `dropped` the counter of updates that
 * found no room.
 */
function join(registry: Registry, store: SharedStore, process: number, dropped: Series): Aggregate {
  return {
    registry, store, dropped,
    process: `${process}`,
    known_count: 0,
    known: new LuaTable(),
    members: new LuaTable(),
    place: undefined,
  };
}

function learn(aggregate: Aggregate, key: string): void {
  aggregate.known_count += 1;
  aggregate.known.set(key, true);
  const [name] = match(key, "^[^{]+");
  const metric = aggregate.registry.by_name.get(name ?? "");
  // An entry that older code left behind has no metric, and no place in a scrape.
  if (metric === undefined) return;
  const members = aggregate.members.get(metric);
  if (members === undefined) aggregate.members.set(metric, [key]);
  else members.push(key);
}

/** Reads what other workers added to the index. `pause` is called between slices. */
function read_index(aggregate: Aggregate, pause?: (this: void) => void): void {
  let left = SLICE;
  for (;;) {
    const key = aggregate.store.get(`series:${aggregate.known_count + 1}`);
    if (key === undefined) return;
    learn(aggregate, key as string);
    left -= 1;
    if (left === 0 && pause !== undefined) {
      left = SLICE;
      pause();
    }
  }
}

/** Puts a series into the index. Returns whether it is there. */
function enroll(aggregate: Aggregate, series: Series): boolean {
  const { known, registry, store } = aggregate;
  while (!known.has(series.key)) {
    const members = aggregate.members.get(series.metric);
    if (members !== undefined && members.length >= registry.most_series) {
      series.refused = true;
      return false;
    }
    const reason = store.add(`series:${aggregate.known_count + 1}`, series.key);
    if (reason === undefined) learn(aggregate, series.key);
    else if (reason === "exists") read_index(aggregate);
    else return false;
  }
  series.enrolled = true;
  return true;
}

/** Adds to a number in the dictionary. Returns whether there was room. */
function deposit(store: SharedStore, key: string, by: number): boolean {
  if (store.increase(key, by) !== undefined) return true;
  const reason = store.add(key, by);
  if (reason === undefined) return true;
  return reason === "exists" && store.increase(key, by) !== undefined;
}

/** Where the sum of a histogram's series lies. */
function sum_key(key: string): string {
  return `${key}\nsum`;
}

/** Where a bucket of a histogram's series lies; `bound` is `undefined` for the last, +Inf. */
function bucket_key(key: string, bound: number | undefined): string {
  return bound === undefined ? `${key}\n+Inf` : `${key}\n${bound}`;
}

/** Where a worker's level of a gauge lies. */
function level_key(key: string, process: string): string {
  return `${key}\n${process}`;
}

/** Carries a histogram over. Returns how many observations found no room. */
function flush_distribution(store: SharedStore, series: Distribution): number {
  let lost = 0;
  const { bounds, counts, size } = series;
  for (const bucket of $range(0, size)) {
    const count = counts[bucket]!;
    if (count > 0) {
      counts[bucket] = 0;
      if (!deposit(store, bucket_key(series.key, bounds[bucket]), count)) lost += count;
    }
  }
  const sum = series.value;
  series.value = 0;
  series.updates = 0;
  if (!deposit(store, sum_key(series.key), sum) && lost === 0) lost = 1;
  return lost;
}

/** Forgets what a series holds. Returns how many updates that were. */
function discard(series: Series): number {
  const lost = series.updates;
  if (series.metric.kind === "gauge") return lost > 0 ? 1 : 0;
  series.value = 0;
  series.updates = 0;
  if (series.metric.kind === "histogram") {
    const { counts, size } = series as Distribution;
    for (const bucket of $range(0, size)) counts[bucket] = 0;
  }
  return lost;
}

/** Carries one series over. Returns how many updates found no room. */
function flush_series(aggregate: Aggregate, series: Series): number {
  if (series.updates === 0) return 0;
  const kind = series.metric.kind;
  if (series.refused || (!series.enrolled && !enroll(aggregate, series))) return discard(series);
  if (kind === "gauge") {
    const reason = aggregate.store.set(level_key(series.key, aggregate.process), series.value, LIFETIME);
    return reason === undefined ? 0 : 1;
  }
  if (kind === "histogram") return flush_distribution(aggregate.store, series as Distribution);
  const { value, updates } = series;
  series.value = 0;
  series.updates = 0;
  return deposit(aggregate.store, series.key, value) ? 0 : updates;
}

/** Says that this worker is alive. Returns whether there was room for that. */
function appear(aggregate: Aggregate): boolean {
  const { process, store, place } = aggregate;
  if (place !== undefined && store.get(`worker:${place}`) === process) {
    return store.set(`worker:${place}`, process, LIFETIME) === undefined;
  }
  aggregate.place = undefined;
  for (const free of $range(1, MOST_WORKERS)) {
    const reason = store.add(`worker:${free}`, process, LIFETIME);
    if (reason === undefined) {
      aggregate.place = free;
      return true;
    }
    if (reason !== "exists") return false;
  }
  return false;
}

function drop(aggregate: Aggregate, lost: number): void {
  aggregate.dropped.value += lost;
  aggregate.dropped.updates += 1;
}

/** Carries the count of dropped updates over; it waits in this worker while there is no room even for that. */
function flush_dropped(aggregate: Aggregate): void {
  const { dropped, store } = aggregate;
  if (!dropped.enrolled && !enroll(aggregate, dropped)) return;
  if (!deposit(store, dropped.key, dropped.value)) return;
  dropped.value = 0;
  dropped.updates = 0;
}

/**
 * Carries what this worker counted since the last flush into the dictionary. `pause` is called between slices and may
 * let other work run, which may count and even flush: each series is carried over in one go. Without it the whole
 * flush is, as it must be when the worker ends.
 */
function flush(aggregate: Aggregate, pause?: (this: void) => void): void {
  const { dropped } = aggregate;
  // The counter of dropped updates goes first, so that it has its place when the dictionary fills up.
  if (dropped.updates > 0) flush_dropped(aggregate);
  if (!appear(aggregate)) drop(aggregate, 1);
  const { series } = aggregate.registry;
  for (const index of $range(0, series.length - 1)) {
    const each = series[index]!;
    if (each !== dropped) {
      const lost = flush_series(aggregate, each);
      if (lost > 0) drop(aggregate, lost);
    }
    if (pause !== undefined && index % SLICE === SLICE - 1) pause();
  }
  if (dropped.updates > 0) flush_dropped(aggregate);
}

/** The last flush of a worker that ends: its counts stay, its levels go. */
function leave(aggregate: Aggregate): void {
  flush(aggregate);
  const { place, store } = aggregate;
  if (place === undefined) return;
  store.remove(`worker:${place}`);
  aggregate.place = undefined;
}

/** The process ids of the workers that are alive. */
function live_workers(store: SharedStore): string[] {
  const processes: string[] = [];
  for (const place of $range(1, MOST_WORKERS)) {
    const process = store.get(`worker:${place}`);
    if (process !== undefined) processes.push(process as string);
  }
  return processes;
}

export { bucket_key, flush, join, leave, level_key, live_workers, read_index, sum_key };
export type { Aggregate, SharedStore };
