/**
 * What asking the endpoints has shown, in the dictionary that all workers share. One worker asks and writes; all read.
 *
 * How it lies there, and why. By endpoint there are its place (see standing.ts) and its figures, numbers all, so that changing them
 * makes no garbage and works in a full dictionary too. Each pool has a number that is raised after each change. A worker looks at that
 * number a few times a second, and reads the rest when it is another one; a pick reads plain tables.
 *
 * Figures carry the time when they were read. Those that are too old count as unknown, whether or not anybody still reads new ones.
 *
 * Times are seconds on a clock that only goes forward and is the same for all workers.
 */

import { share_of } from "./slow_start";
import { first_place, takes_requests } from "./standing";
import type { SharedStore } from "../metrics/aggregate";
import type { EngineFigures } from "./engine_metrics";
import type { Endpoint } from "./pools";
import type { Rising } from "./slow_start";
import type { Watching } from "./watching";

/** Where what is known of an endpoint lies. */
interface KnowledgeKeys {
  place: string;
  at: string;
  waiting: string;
  running: string;
  cache: string;
}

/** What a worker knows of a pool's endpoints, by their indexes. */
interface Knowledge {
  store: SharedStore;
  watching: Watching;
  keys: KnowledgeKeys[];
  version_key: string;
  /** The number that all was read at. */
  version: number | undefined;
  places: number[];
  /** 1 if it takes requests, else 0. */
  allowed: Int32Buffer;
  /** When the figures were read; and what they are, −1 if unknown or too old. */
  ats: number[];
  waitings: number[];
  caches: number[];
  rising: Rising;
}

const NOT_READ = -1;
const UNKNOWN = -1;
const LIST_KEY = "watch:list";

/** Where what is known of the endpoint with that key lies. */
function knowledge_keys(key: string): KnowledgeKeys {
  return {
    place: `watch:place:${key}`, at: `watch:at:${key}`, waiting: `watch:waiting:${key}`, running: `watch:running:${key}`, cache: `watch:cache:${key}`,
  };
}

function version_key(pool: string): string {
  return `watch:version:${pool}`;
}

/** A worker's knowledge of a pool that is watched. `allowed`: one 0 for each endpoint. */
function new_knowledge(store: SharedStore, pool: string, endpoints: Endpoint[], watching: Watching, allowed: Int32Buffer): Knowledge {
  const knowledge: Knowledge = {
    store, watching, allowed, keys: [], version_key: version_key(pool), version: NOT_READ,
    places: [], ats: [], waitings: [], caches: [], rising: { count: 0, indexes: [], shares: [] },
  };
  for (const { key } of endpoints) {
    knowledge.keys.push(knowledge_keys(key));
    knowledge.places.push(first_place(watching.rules));
    knowledge.ats.push(NOT_READ);
    knowledge.waitings.push(UNKNOWN);
    knowledge.caches.push(UNKNOWN);
  }
  store.add(knowledge.version_key, 0);
  return knowledge;
}

/** Reads what has changed of an endpoint. */
function read_endpoint(knowledge: Knowledge, index: number): void {
  const { store, watching } = knowledge;
  const keys = knowledge.keys[index]!;
  const place = (store.get(keys.place) as number | undefined) ?? first_place(watching.rules);
  knowledge.places[index] = place;
  knowledge.allowed[index] = takes_requests(place, watching.rules) ? 1 : 0;
  if (watching.fresh === 0) {
    return;
  }
  const at = (store.get(keys.at) as number | undefined) ?? NOT_READ;
  if (at !== knowledge.ats[index]) {
    knowledge.ats[index] = at;
    knowledge.waitings[index] = (store.get(keys.waiting) as number | undefined) ?? UNKNOWN;
    knowledge.caches[index] = (store.get(keys.cache) as number | undefined) ?? UNKNOWN;
  }
}

/** Brings what a worker knows up to date. To be called a few times a second. */
function refresh_knowledge(knowledge: Knowledge, now: number): void {
  const { ats, caches, places, rising, waitings } = knowledge;
  const { fresh, slow_start } = knowledge.watching;
  const last = places.length - 1;
  const version = knowledge.store.get(knowledge.version_key) as number | undefined;
  if (version === undefined || version !== knowledge.version) {
    for (const index of $range(0, last)) {
      read_endpoint(knowledge, index);
    }
    knowledge.version = version;
  }
  rising.count = 0;
  for (const index of $range(0, last)) {
    if (fresh > 0 && now - ats[index]! > fresh) {
      waitings[index] = UNKNOWN;
      caches[index] = UNKNOWN;
    }
    const share = share_of(places[index]!, now, slow_start);
    if (share < 1) {
      rising.indexes[rising.count] = index;
      rising.shares[rising.count] = share;
      rising.count += 1;
    }
  }
}

/** Tells all workers that something has changed. */
function raise_version(store: SharedStore, pool: string): void {
  if (store.increase(version_key(pool), 1) === undefined) {
    store.add(version_key(pool), 1);
  }
}

/** The place of the endpoint with that key; undefined: nothing is known of it. */
function read_place(store: SharedStore, key: string): number | undefined {
  return store.get(knowledge_keys(key).place) as number | undefined;
}

/** Tells all workers an endpoint's place. Returns whether there was room. */
function write_place(store: SharedStore, pool: string, key: string, place: number): boolean {
  const reason = store.set(knowledge_keys(key).place, place);
  raise_version(store, pool);
  return reason === undefined;
}

/** Says where an endpoint stands of which nothing is known yet. */
function add_place(store: SharedStore, pool: string, key: string, place: number): void {
  if (store.add(knowledge_keys(key).place, place) === undefined) {
    raise_version(store, pool);
  }
}

/** Tells all workers an endpoint's figures, read at `at`. */
function write_figures(store: SharedStore, pool: string, keys: KnowledgeKeys, { waiting, running, cache }: EngineFigures, at: number): void {
  store.set(keys.waiting, waiting);
  store.set(keys.running, running);
  store.set(keys.cache, cache);
  store.set(keys.at, at);
  raise_version(store, pool);
}

/** What is known of an endpoint's figures, and how old that is in seconds; undefined: nothing. */
function figures_of(store: SharedStore, keys: KnowledgeKeys, now: number): LuaMultiReturn<[figures: EngineFigures | undefined, age: number]> {
  const at = store.get(keys.at) as number | undefined;
  if (at === undefined) {
    return $multi(undefined, 0);
  }
  const figures: EngineFigures = {
    waiting: (store.get(keys.waiting) as number | undefined) ?? UNKNOWN,
    running: (store.get(keys.running) as number | undefined) ?? UNKNOWN,
    cache: (store.get(keys.cache) as number | undefined) ?? UNKNOWN,
  };
  return $multi(figures, math.max(0, now - at));
}

/** Forgets an endpoint. */
function forget_endpoint(store: SharedStore, key: string): void {
  const keys = knowledge_keys(key);
  store.remove(keys.at);
  store.remove(keys.waiting);
  store.remove(keys.running);
  store.remove(keys.cache);
  store.remove(keys.place);
}

/** Says which endpoints are watched from now on, by their keys, and forgets those that were until now, also by a worker that is gone. */
function list_endpoints(store: SharedStore, keys: string[]): void {
  const wanted = new LuaSet<string>();
  for (const key of keys) {
    wanted.add(key);
  }
  const before = (store.get(LIST_KEY) as string | undefined) ?? "";
  for (const [key] of string.gmatch(before, "[^\n]+")) {
    if (!wanted.has(key!)) {
      forget_endpoint(store, key!);
    }
  }
  const list = keys.join("\n");
  if (list !== before) {
    store.set(LIST_KEY, list);
  }
}

export {
  add_place, figures_of, knowledge_keys, list_endpoints, new_knowledge, read_place, refresh_knowledge, write_figures, write_place,
};
export type { Knowledge, KnowledgeKeys };
