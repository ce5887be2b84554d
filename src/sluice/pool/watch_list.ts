/**
 * What the worker that asks the endpoints has to do, and when.
 *
 * Each endpoint has up to three jobs, as its pool says: to be asked whether it is well, to be warmed up, and to be read its figures.
 * One of each is under way at most. The next is due an interval after the last one began, give or take a tenth, so that
 * endpoints that were configured together are not asked together for ever. A warm-up that failed is tried again after a second,
 * twice as long each time, a quarter of a minute at most.
 *
 * Times are seconds on a clock that only goes forward; random numbers are from 0 to below 1.
 */

import { knowledge_keys } from "./knowledge";
import { COLD, new_standing } from "./standing";
import type { KnowledgeKeys } from "./knowledge";
import type { Endpoint, Pool } from "./pools";
import type { Standing } from "./standing";
import type { Watching } from "./watching";

interface Job {
  due: number;
  busy: boolean;
  /** When it must have ended: one that has not by then never will. */
  busy_until: number;
  /** How often in a row it has failed, and why last. */
  failures: number;
  reason: string | undefined;
}

/** An endpoint as the worker that asks sees it. */
interface Watched {
  pool: Pool;
  endpoint: Endpoint;
  watching: Watching;
  keys: KnowledgeKeys;
  standing: Standing;
  /** The configuration doesn't have it any more. */
  gone: boolean;
  check: Job;
  warmth: Job;
  scrape: Job;
}

/** By the endpoints' keys. */
type WatchList = LuaTable<string, Watched>;

const FIRST_PAUSE = 1;
const MOST_PAUSE = 15;
const JITTER = 0.2;
/** A job that has taken so much longer than it may is lost: nginx forgets timers when it has no connections left. */
const LOST_SECONDS = 30;

function new_job(due: number): Job {
  return { due, busy: false, busy_until: 0, failures: 0, reason: undefined };
}

/**
 * The list for the pools of a configuration. Endpoints that were on the list before keep their state and what is under way; the
 * others begin: where they stood when somebody else asked them, if `place_of` knows. Endpoints that are not on it any more are marked.
 */
function make_list(
  pools: LuaTable<string, Pool>,
  before: WatchList,
  now: number,
  random: (this: void) => number,
  place_of: (this: void, key: string) => number | undefined,
): WatchList {
  const list: WatchList = new LuaTable();
  for (const [, pool] of pools) {
    const { watching } = pool;
    if (watching !== undefined) {
      for (const endpoint of pool.endpoints) {
        const known = before.get(endpoint.key) as Watched | undefined;
        if (known !== undefined) {
          known.pool = pool;
          known.endpoint = endpoint;
          known.watching = watching;
          list.set(endpoint.key, known);
        } else {
          list.set(endpoint.key, {
            pool, endpoint, watching, gone: false,
            keys: knowledge_keys(endpoint.key),
            standing: new_standing(place_of(endpoint.key), watching.rules),
            check: new_job(now + random() * (watching.health?.interval ?? 0)),
            warmth: new_job(now),
            scrape: new_job(now + random() * (watching.scrape?.interval ?? 0)),
          });
        }
      }
    }
  }
  for (const [key, known] of before) {
    known.gone = !list.has(key);
  }
  return list;
}

function is_due(job: Job, now: number): boolean {
  return (!job.busy || now >= job.busy_until) && now >= job.due;
}

/** Whether the endpoint is to be asked now whether it is well. */
function check_due(watched: Watched, now: number): boolean {
  return watched.watching.health !== undefined && is_due(watched.check, now);
}

/** Whether it is to be warmed up now. */
function warmth_due(watched: Watched, now: number): boolean {
  return watched.watching.warmup !== undefined && watched.standing.place === COLD && is_due(watched.warmth, now);
}

/** Whether its figures are to be read now: nobody goes by those of an endpoint that gets no requests. */
function scrape_due(watched: Watched, now: number): boolean {
  return watched.watching.scrape !== undefined && watched.standing.place >= 0 && is_due(watched.scrape, now);
}

/** A job begins that is done once, and should take at most so many seconds. */
function begin_once(job: Job, now: number, timeout: number): void {
  job.busy = true;
  job.busy_until = now + timeout + LOST_SECONDS;
}

/** A job begins that is done every `interval` seconds, and should take at most `timeout`. */
function begin_regular(job: Job, now: number, timeout: number, interval: number, random: number): void {
  begin_once(job, now, timeout);
  job.due = now + interval * (1 + JITTER * (random - 0.5));
}

/** A job has ended. Returns whether it fails in a way that it didn't before, which is worth a line in a log. */
function end_job(job: Job, reason: string | undefined): boolean {
  const is_new = reason !== undefined && reason !== job.reason;
  job.busy = false;
  job.reason = reason;
  job.failures = reason === undefined ? 0 : job.failures + 1;
  return is_new;
}

/** A warm-up has failed, for the last time so far: when it is tried again. */
function pause_warmth(job: Job, now: number, random: number): void {
  const pause = math.min(MOST_PAUSE, FIRST_PAUSE * 2 ** math.min(10, math.max(0, job.failures - 1)));
  job.due = now + pause * (1 + JITTER * (random - 0.5));
}

export { begin_once, begin_regular, check_due, end_job, make_list, pause_warmth, scrape_due, warmth_due };
export type { Job, WatchList, Watched };
