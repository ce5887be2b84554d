/**
 * Asks the endpoints of pools that are watched: whether they are well, their figures, and to warm up.
 *
 * One of all workers asks, the one that has the lock. It looks ten times a second what is due and has it done by light threads, so that
 * no endpoint waits for another. A worker that is being drained resigns at once; a lock whose holder is gone is taken over by another
 * worker, which goes on from what the dictionary says. Where nothing is configured for it, nobody asks and nobody looks.
 */

import { monotonic } from "../edge/clock";
import { lacks_means } from "../edge/own_trouble";
import { note_check } from "../pool/breaker";
import { read_figures } from "../pool/engine_metrics";
import { add_place, list_endpoints, read_place, write_figures, write_place } from "../pool/knowledge";
import { Hold, try_lock, unlock } from "../pool/lock";
import { ALWAYS, COLD, DOWN, note_answer, note_warm, settle } from "../pool/standing";
import { begin_once, begin_regular, check_due, end_job, make_list, pause_warmth, scrape_due, warmth_due } from "../pool/watch_list";
import { live_pool } from "./choosing";
import { ask_figures, ask_health, ask_to_warm_up } from "./endpoint_questions";
import { gateway } from "./gateway";
import type { Pool } from "../pool/pools";
import type { Job, WatchList, Watched } from "../pool/watch_list";
import type { Snapshot } from "../config/snapshot";

/** Something to be done for an endpoint. */
type Action = (this: void, watched: Watched) => void;

interface Task {
  action: Action;
  watched: Watched;
  job: Job;
}

interface Asker {
  /** This worker is the one that asks. */
  active: boolean;
  list: WatchList;
  /** The configuration that the list was made for. */
  snapshot: Snapshot | undefined;
  /** How many timers are at work: on questions that take little time, and on warm-ups. */
  quick: number;
  slow: number;
  /** Which chain of timers is at work, and when it was last. */
  chain: number;
  stepped: number;
  /** The log has been told that there is no room for the lock. */
  told: boolean;
}

const LOCK = "watch:lock";
const STEP_SECONDS = 0.1;
/** Without a step for so long, its timer is lost. */
const LOST_SECONDS = 3;
/** nginx runs 256 timers at a time, unless it is told otherwise, and others need some too. */
const MOST_TIMERS = 64;
/** Metrics that can't be read so often in a row are worth a line in the log. */
const TELLING_FAILURES = 3;

const asker: Asker = { active: false, list: new LuaTable(), snapshot: undefined, quick: 0, slow: 0, chain: 0, stepped: 0, told: false };

function random(this: void): number {
  return math.random();
}

/** Whether anything of a configuration's pools is watched. */
function is_watched(pools: LuaTable<string, Pool>): boolean {
  for (const [, pool] of pools) {
    if (pool.watching !== undefined) {
      return true;
    }
  }
  return false;
}

function report(level: number, { endpoint, pool }: Watched, message: string): void {
  ngx.log(level, "pool ", pool.name, ": endpoint ", endpoint.name, " ", message);
}

/** Whether what comes of asking an endpoint still counts. */
function counts(watched: Watched): boolean {
  return asker.active && !watched.gone && !ngx.worker.exiting();
}

/** Tells all workers where an endpoint stands. */
function tell(watched: Watched): void {
  const { pools } = gateway();
  const { endpoint, pool, standing } = watched;
  if (pools !== undefined && !write_place(pools, pool.name, endpoint.key, standing.place)) {
    report(ngx.ALERT, watched, "has changed, but lua_shared_dict sluice_pools has no room for it");
  }
}

/** An endpoint's place has changed. `reason`: why it is down. */
function changed(watched: Watched, reason: string | undefined): void {
  const { standing, warmth } = watched;
  tell(watched);
  if (standing.place === DOWN) {
    report(ngx.ERR, watched, `is not well and gets no requests: ${reason}`);
  } else if (standing.place === COLD) {
    warmth.due = monotonic();
    warmth.failures = 0;
    warmth.reason = undefined;
    report(ngx.WARN, watched, "is well again, and is warmed up before it gets requests");
  } else {
    report(ngx.WARN, watched, "is well again and gets requests");
  }
}

function check(this: void, watched: Watched): void {
  const reason = ask_health(watched, () => counts(watched));
  const good = reason === undefined;
  end_job(watched.check, reason);
  // A check that failed of something of ours says nothing of the endpoint.
  if (!counts(watched) || watched.watching.health === undefined || (reason !== undefined && lacks_means(reason))) {
    return;
  }
  const live = live_pool(watched.pool);
  if (live !== undefined) {
    note_check(live.breakers[watched.endpoint.index]!, monotonic(), good);
  }
  if (note_answer(watched.standing, watched.watching.rules, good, monotonic())) {
    changed(watched, reason);
  }
}

function scrape(this: void, watched: Watched): void {
  const { engine } = watched.watching.scrape!;
  const [page, unread] = ask_figures(watched, () => counts(watched));
  const figures = page !== undefined ? read_figures(page, engine) : undefined;
  const is_empty = figures !== undefined && figures.waiting < 0 && figures.running < 0 && figures.cache < 0;
  const reason = is_empty ? `they have none of ${engine}'s figures` : unread;
  end_job(watched.scrape, reason);
  const { pools } = gateway();
  if (!counts(watched) || pools === undefined) {
    return;
  }
  if (figures !== undefined && !is_empty) {
    write_figures(pools, watched.pool.name, watched.keys, figures, monotonic());
  } else if (watched.scrape.failures === TELLING_FAILURES) {
    report(ngx.WARN, watched, `does not show its metrics: ${reason}`);
  }
}

function warm_up(this: void, watched: Watched): void {
  const { standing, warmth } = watched;
  const { round } = standing;
  const is_wanted = (): boolean => counts(watched) && standing.place === COLD && standing.round === round;
  const reason = ask_to_warm_up(watched, is_wanted);
  if (!is_wanted()) {
    warmth.busy = false;
    return;
  }
  const is_new = end_job(warmth, reason);
  const now = monotonic();
  if (reason !== undefined) {
    pause_warmth(warmth, now, random());
    if (is_new) {
      report(ngx.WARN, watched, `could not be warmed up and is tried again: ${reason}`);
    }
  } else if (note_warm(standing, round, now)) {
    tell(watched);
    report(ngx.WARN, watched, "is warm and gets requests");
  }
}

/** A light thread: does something for an endpoint. */
function run_task(this: void, { action, job, watched }: Task): void {
  const [done, reason] = pcall(action, watched);
  if (!done) {
    job.busy = false;
    report(ngx.ERR, watched, `could not be asked: ${tostring(reason)}`);
  }
}

/** A timer's work: does all tasks at once, and ends with the last of them. `kind`: which timers are counted. */
function run_tasks(this: void, premature: boolean, tasks: Task[], kind: "quick" | "slow"): void {
  if (!premature) {
    const threads: unknown[] = [];
    for (const task of tasks) {
      threads.push(ngx.thread.spawn(run_task, task));
    }
    for (const thread of threads) {
      ngx.thread.wait(thread);
    }
  }
  asker[kind] = math.max(0, asker[kind] - 1);
}

/** Has tasks done. If there is no timer for them they are not begun. */
function start_tasks(tasks: Task[], kind: "quick" | "slow"): void {
  if (tasks.length === 0) {
    return;
  }
  asker[kind] += 1;
  if (ngx.timer.at(0, run_tasks, tasks, kind)[0] === undefined) {
    asker[kind] = math.max(0, asker[kind] - 1);
    for (const { job } of tasks) {
      job.busy = false;
    }
  }
}

/** Starts what is due. */
function ask_due(now: number): void {
  const quick: Task[] = [];
  const slow: Task[] = [];
  const has_quick = asker.quick < MOST_TIMERS;
  const has_slow = asker.slow < MOST_TIMERS;
  for (const [, watched] of asker.list) {
    const { check: check_job, scrape: scrape_job, warmth, watching } = watched;
    if (has_quick && check_due(watched, now)) {
      begin_regular(check_job, now, watching.health!.timeout, watching.health!.interval, random());
      quick.push({ action: check, watched, job: check_job });
    }
    if (has_quick && scrape_due(watched, now)) {
      begin_regular(scrape_job, now, watching.scrape!.timeout, watching.scrape!.interval, random());
      quick.push({ action: scrape, watched, job: scrape_job });
    }
    if (has_slow && warmth_due(watched, now)) {
      begin_once(warmth, now, watching.warmup!.timeout);
      slow.push({ action: warm_up, watched, job: warmth });
    }
  }
  start_tasks(quick, "quick");
  start_tasks(slow, "slow");
}

/** Makes the list of endpoints for the configuration in force. */
function take_list(snapshot: Snapshot, now: number): void {
  const store = gateway().pools!;
  const keys: string[] = [];
  asker.list = make_list(snapshot.pools, asker.list, now, random, (key) => read_place(store, key));
  asker.snapshot = snapshot;
  for (const [key, watched] of asker.list) {
    keys.push(key);
    if (settle(watched.standing, watched.watching.rules, now) || read_place(store, key) !== watched.standing.place) {
      tell(watched);
    }
  }
  table.sort(keys);
  list_endpoints(store, keys);
}

/** Leaves the asking to others. */
function resign(): void {
  const { flights, pools } = gateway();
  for (const [, watched] of asker.list) {
    watched.gone = true;
  }
  asker.active = false;
  asker.list = new LuaTable();
  asker.snapshot = undefined;
  if (flights !== undefined && pools !== undefined && pools.get(LOCK) === flights.worker.number) {
    unlock(flights.worker, LOCK);
  }
}

/** What is done ten times a second. Returns whether this worker goes on asking. */
function take_step(this: void): boolean {
  const { flights, pools, snapshot } = gateway();
  if (ngx.worker.exiting() || pools?.get(LOCK) !== flights?.worker.number) {
    return false;
  }
  const now = monotonic();
  if (asker.snapshot !== snapshot) {
    take_list(snapshot, now);
  }
  if (!is_watched(snapshot.pools)) {
    return false;
  }
  ask_due(now);
  return true;
}

function step(this: void, premature: boolean, chain: number): void {
  if (chain !== asker.chain) {
    return;
  }
  if (premature) {
    resign();
    return;
  }
  asker.stepped = monotonic();
  const [done, result] = pcall(take_step);
  if (!done) {
    ngx.log(ngx.ERR, "sluice: asking the endpoints failed: ", result);
  }
  if (result === false || ngx.timer.at(STEP_SECONDS, step, chain)[0] === undefined) {
    resign();
  }
}

/** Begins to take steps. Timers that were at work for an earlier chain no longer count. */
function begin_steps(): void {
  asker.chain += 1;
  asker.quick = 0;
  asker.slow = 0;
  step(false, asker.chain);
}

/** Every second, in each worker: sees to it that somebody asks, if there is anything to be asked. */
function tend_watch(): void {
  const { flights, pools, snapshot } = gateway();
  if (asker.active) {
    // nginx forgets timers when it has no connections left.
    if (monotonic() - asker.stepped > LOST_SECONDS) {
      begin_steps();
    }
    return;
  }
  if (flights === undefined || pools === undefined || flights.worker.number === 0 || !is_watched(snapshot.pools)) {
    return;
  }
  const hold = try_lock(flights.worker, LOCK);
  if (hold === Hold.Held || hold === Hold.TakenOver) {
    asker.active = true;
    begin_steps();
  } else if (hold === Hold.NoRoom && !asker.told) {
    asker.told = true;
    ngx.log(ngx.ALERT, "sluice: no endpoint is watched: lua_shared_dict sluice_pools is full");
  }
}

/** At a worker's start: what is known of endpoints that nobody watches any more is forgotten. */
function begin_watch(): void {
  const { pools, snapshot } = gateway();
  if (pools !== undefined && !is_watched(snapshot.pools)) {
    list_endpoints(pools, []);
  }
}

/** A new configuration is about to take the place of one: endpoints that take requests by that need not be warmed up to go on with it. */
function keep_warm(before: LuaTable<string, Pool>, after: LuaTable<string, Pool>): void {
  const { pools } = gateway();
  for (const [name, pool] of after) {
    const known = before.get(name) as Pool | undefined;
    if (pools !== undefined && known !== undefined && pool.watching !== undefined && pool.watching.rules.needs_warmth) {
      for (const { key } of known.endpoints) {
        add_place(pools, name, key, ALWAYS);
      }
    }
  }
}

export { begin_watch, keep_warm, tend_watch };
