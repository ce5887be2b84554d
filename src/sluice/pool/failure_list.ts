/**
 * The last failures of an endpoint and who met them, over all workers: what its breaker counts, and remembers while it is open.
 *
 * They lie in one string in the shared dictionary, in a ring: numbers of eight bytes, the first few for the whole, then two for each
 * failure, its time and its caller. The string's length follows from the configuration, so however many callers there are, it takes no
 * more room. Whoever changes it holds the breaker's lock.
 *
 * Here is one list at hand, for whoever is at it: `load_failures` reads it, all else works on it, `save_failures` writes it back.
 */

import * as ffi from "ffi";
import type { SharedStore } from "../metrics/aggregate";

interface FailureList {
  store: SharedStore;
  key: string;
  /** How many failures it has room for. */
  capacity: number;
  bytes: number;
  /** Seconds after which it is forgotten when nothing is added. */
  lifetime: number;
}

/** So many callers are remembered, even where fewer failures open the breaker. */
const LEAST_CAPACITY = 48;
/** The configuration allows as many. */
const MOST_CAPACITY = 1000;
/** How many failures there have been; how many of them in a row found nobody there, and the attempts that had ended well by then; the last trial's caller. */
const NUMBER = 0;
const RUN = 1;
const RUN_BEGAN = 2;
const TRIAL = 3;
const HEAD = 4;
const NOBODY = 0;

const list = ffi.new<DoubleBuffer>("double[?]", HEAD + 2 * MOST_CAPACITY);

/** `failures`: so many open the breaker. `lifetime`: in seconds. */
function new_failure_list(store: SharedStore, key: string, failures: number, lifetime: number): FailureList {
  const capacity = math.min(MOST_CAPACITY, math.max(LEAST_CAPACITY, failures));
  // Another configuration has a list of its own.
  return { store, key: `${key}:${failures}`, capacity, bytes: (HEAD + 2 * capacity) * 8, lifetime };
}

/** Reads the list, which is empty if there is none. */
function load_failures(failures: FailureList): void {
  const text = failures.store.get(failures.key) as string | undefined;
  if (text === undefined || text.length !== failures.bytes) {
    ffi.fill(list, failures.bytes);
  } else {
    ffi.copy(list, text, failures.bytes);
  }
}

/** Writes it back. Returns whether there was room. */
function save_failures(failures: FailureList): boolean {
  return failures.store.set(failures.key, ffi.string(list, failures.bytes), failures.lifetime) === undefined;
}

function remove_failures(failures: FailureList): void {
  failures.store.remove(failures.key);
}

/** Adds a failure in the place of the oldest. `mark`: the caller's. `doubtful`: it may be only the request's. */
function add_failure(failures: FailureList, now: number, mark: number, doubtful: boolean): void {
  const place = HEAD + 2 * (list[NUMBER]! % failures.capacity);
  list[NUMBER] = list[NUMBER]! + 1;
  list[place] = now;
  list[place + 1] = 2 * mark + (doubtful ? 1 : 0);
}

/**
 * Says of the failure that is added whether nobody was there (`lost`). `well`: how many attempts have ended well by now. Returns how
 * many failures in a row have found nobody there, without any attempt that ended well between them.
 */
function count_run(lost: boolean, well: number): number {
  if (!lost) {
    list[RUN] = 0;
  } else if (list[RUN]! > 0 && list[RUN_BEGAN] === well) {
    list[RUN] = list[RUN]! + 1;
  } else {
    list[RUN] = 1;
    list[RUN_BEGAN] = well;
  }
  return list[RUN]!;
}

/** How many doubtful failures the caller has met since then. */
function doubtful_of(failures: FailureList, mark: number, since: number): number {
  let count = 0;
  for (const place of $range(HEAD, HEAD + 2 * failures.capacity - 2, 2)) {
    if (list[place + 1] === 2 * mark + 1 && list[place]! >= since) {
      count += 1;
    }
  }
  return count;
}

/** How many failures there were since then, the doubtful ones of one caller at most `most` times. */
function count_failures(failures: FailureList, since: number, most: number): number {
  const doubtful = new LuaTable<number, number>();
  let count = 0;
  for (const place of $range(HEAD, HEAD + 2 * failures.capacity - 2, 2)) {
    const who = list[place + 1]!;
    if (who !== NOBODY && list[place]! >= since) {
      const before = (doubtful.get(who) as number | undefined) ?? 0;
      if (who % 2 === 0) {
        count += 1;
      } else if (before < most) {
        count += 1;
        doubtful.set(who, before + 1);
      }
    }
  }
  return count;
}

/** Forgets the failures before then. */
function forget_failures(failures: FailureList, since: number): void {
  for (const place of $range(HEAD, HEAD + 2 * failures.capacity - 2, 2)) {
    if (list[place]! < since) {
      list[place + 1] = NOBODY;
    }
  }
}

/** Whether a caller has met any failure of the list. */
function has_failure(failures: FailureList, mark: number): boolean {
  for (const place of $range(HEAD, HEAD + 2 * failures.capacity - 2, 2)) {
    const who = list[place + 1]!;
    if (who === 2 * mark || who === 2 * mark + 1) {
      return true;
    }
  }
  return false;
}

/** The caller whose request was the last trial and failed; 0: none. */
function last_trial(): number {
  return list[TRIAL]!;
}

function set_last_trial(mark: number): void {
  list[TRIAL] = mark;
}

export {
  add_failure, count_failures, count_run, doubtful_of, forget_failures, has_failure, last_trial, load_failures, new_failure_list, remove_failures,
  save_failures, set_last_trial,
};
export type { FailureList };
