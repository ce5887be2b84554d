/**
 * What a scope has used: one C structure that holds its windows, what it has spent in the period, and, by nginx worker, what is
 * under way. It is kept in the store as one string, so that it changes as a whole or not at all, whenever a worker is killed.
 *
 * What is under way is counted by worker because a killed one never gives back what it took: whoever finds it dead removes its
 * part (`forget_dead`).
 */

import * as ffi from "ffi";
import { find_lease, reserved, running } from "./leases";
import { period_start } from "./period";
import { correct, fits, roll, seconds_until } from "./window";
import { Measure } from "./scope";
import type { Scope } from "./scope";
import type { Window } from "./window";

const MOST_WINDOWS = 6;
const MOST_LEASES = 256;
const LEASES_AT_ONCE = 32;
/**
 * LuaJIT tells long strings apart by eight bytes of each sixteenth. There are two strings for each request, which differ in little
 * else than the count of changes: so that stands often enough at the beginning to be met, whatever lies in the first sixteenth.
 */
const CHANGE_COPIES = 10;
/** Raised whenever the structure's meaning changes. */
const VERSION = 4;

ffi.cdef(`
typedef struct { int32_t measure, seconds; double start, current, previous; } sluice_window;
typedef struct { int32_t process, running; double amount, tokens; } sluice_lease;
typedef struct {
  double changes[${CHANGE_COPIES}];
  int32_t version, window_count, lease_count, unused;
  double period, spent, told;
  double files[2], offsets[2];
  sluice_window windows[${MOST_WINDOWS}];
  sluice_lease leases[${MOST_LEASES}];
} sluice_counters;
`);

interface Lease {
  process: number;
  running: number;
  /** What its requests have reserved of the budget. */
  amount: number;
  /** Tokens reserved by them. */
  tokens: number;
}

interface Indexed<Item> {
  [index: number]: Item;
}

interface Counters {
  /** How often the counters have been changed, from a random number on, some times over. */
  changes: Indexed<number>;
  version: number;
  window_count: number;
  lease_count: number;
  /** When the budget's period began, and what was spent in it: nano-dollars, or whatever the budget counts. */
  period: number;
  spent: number;
  /** The largest share of the budget that somebody was told of in this period. */
  told: number;
  /** Up to where of which journal files (by inode) all requests are in `spent` and the windows. */
  files: Indexed<number>;
  offsets: Indexed<number>;
  windows: Indexed<Window>;
  leases: Indexed<Lease>;
}

const LEASE_BYTES = ffi.sizeof("sluice_lease");
const FIXED_BYTES = ffi.sizeof("sluice_counters") - MOST_LEASES * LEASE_BYTES;

/** Why a request is not admitted. */
const enum Reason {
  None = 0,
  Requests = 1,
  Tokens = 2,
  Concurrency = 3,
  Budget = 4,
  /** More workers at once than there is room for. */
  Crowded = 5,
}

/** What `check` found: overwritten by each call. */
interface Verdict {
  reason: Reason;
  /** In how many seconds there is room, as far as is known; −1: never. */
  wait: number;
  /** The limit that stands in the way, and the seconds of its window. */
  limit: number;
  seconds: number;
  /** What is left of the budget. */
  left: number;
}

function new_counters(): Counters {
  const counters = ffi.new<Counters>("sluice_counters");
  return counters;
}

/**
 * The length of the store's string. It grows in steps, so that it hardly ever does: a dictionary that is full takes a new value
 * only in the place of one of the same length.
 */
function bytes_of(lease_count: number): number {
  return FIXED_BYTES + math.max(1, math.ceil(lease_count / LEASES_AT_ONCE)) * LEASES_AT_ONCE * LEASE_BYTES;
}

/** Reads counters from the store's string; nothing used, if there is none or it is of another version. */
function read_counters(counters: Counters, text: string | undefined): void {
  if (text !== undefined && text.length >= FIXED_BYTES) {
    ffi.copy(counters, text, math.min(text.length, ffi.sizeof("sluice_counters")));
    if (counters.version === VERSION && text.length === bytes_of(counters.lease_count)) {
      return;
    }
  }
  ffi.fill(counters, FIXED_BYTES);
  counters.version = VERSION;
}

/** The store's string. */
function write_counters(counters: Counters): string {
  const change = (counters.changes[0]! > 0 ? counters.changes[0]! : math.random()) + 1;
  for (const index of $range(0, CHANGE_COPIES - 1)) {
    counters.changes[index] = change;
  }
  return ffi.string(counters, bytes_of(counters.lease_count));
}

/** Whether the windows are those that the scope asks for, in its order; there may be others behind them. */
function has_windows(counters: Counters, scope: Scope): boolean {
  if (counters.window_count < scope.windows.length) {
    return false;
  }
  for (const index of $range(0, scope.windows.length - 1)) {
    const window = counters.windows[index]!;
    const wanted = scope.windows[index]!;
    if (window.measure !== (wanted.measure as number) || window.seconds !== wanted.seconds) {
      return false;
    }
  }
  return true;
}

const old_windows = ffi.new<Indexed<Window>>(`sluice_window[${MOST_WINDOWS}]`);

/** Puts a window into its place, with the count that an old one of its kind had. */
function place_window(counters: Counters, index: number, measure: number, seconds: number, old_count: number): void {
  const window = counters.windows[index]!;
  window.measure = measure;
  window.seconds = seconds;
  window.start = 0;
  window.current = 0;
  window.previous = 0;
  for (const at of $range(0, old_count - 1)) {
    const old = old_windows[at]!;
    if (old.measure === measure && old.seconds === seconds) {
      window.start = old.start;
      window.current = old.current;
      window.previous = old.previous;
    }
  }
}

/** Whether a scope has a window of that kind. */
function asks_for(scope: Scope, measure: number, seconds: number): boolean {
  for (const wanted of scope.windows) {
    if ((wanted.measure as number) === measure && wanted.seconds === seconds) {
      return true;
    }
  }
  return false;
}

/**
 * Puts the windows of the scope first. Others go on counting behind them: a request that began under another configuration may still be
 * under way, and asks for those. There are no more kinds of windows than there is room for.
 */
function set_windows(counters: Counters, scope: Scope): void {
  const old_count = counters.window_count;
  ffi.copy(old_windows, counters.windows, ffi.sizeof("sluice_window") * MOST_WINDOWS);
  let index = 0;
  for (const wanted of scope.windows) {
    place_window(counters, index, wanted.measure, wanted.seconds, old_count);
    index += 1;
  }
  for (const at of $range(0, old_count - 1)) {
    const { measure, seconds } = old_windows[at]!;
    if (index < MOST_WINDOWS && !asks_for(scope, measure, seconds)) {
      place_window(counters, index, measure, seconds, old_count);
      index += 1;
    }
  }
  counters.window_count = index;
}

/** Brings the counters to the scope's windows, the time and the budget's period. */
function bring_up(counters: Counters, scope: Scope, now: number): void {
  if (!has_windows(counters, scope)) {
    set_windows(counters, scope);
  }
  for (const index of $range(0, counters.window_count - 1)) {
    roll(counters.windows[index]!, now);
  }
  if (scope.budget !== undefined) {
    const period = period_start(scope.budget.period, now);
    // Only forward: a clock that is set back, or a request of an older configuration with another kind of period, forgets nothing.
    if (period > counters.period) {
      counters.period = period;
      counters.spent = 0;
      counters.told = 0;
    }
  }
}

/** Whether a worker may have requests under way here: it has some, or there is room for one more worker. */
function has_room(counters: Counters, process: number): boolean {
  return counters.lease_count < MOST_LEASES || find_lease(counters, process) >= 0;
}

/**
 * Whether a request of so many tokens, that costs at least and at most so much, may begin now. The counters must have been brought
 * up. `returned`: how many of those under way have given their places back. Says into `verdict` why not, and what money is left in any
 * case.
 */
function check(
  counters: Counters,
  scope: Scope,
  now: number,
  process: number,
  tokens: number,
  least_nano_usd: number,
  most_nano_usd: number,
  returned: number,
  verdict: Verdict,
): boolean {
  verdict.reason = Reason.None;
  verdict.wait = 0;
  const { budget } = scope;
  verdict.left = math.huge;
  if (budget !== undefined) {
    verdict.left = budget.amount - counters.spent - reserved(counters);
    if (most_nano_usd > 0 && (verdict.left <= 0 || verdict.left < least_nano_usd)) {
      verdict.reason = Reason.Budget;
      verdict.limit = budget.amount;
      verdict.wait = -1;
      return false;
    }
  }
  for (const index of $range(0, scope.windows.length - 1)) {
    const { limit, measure, seconds } = scope.windows[index]!;
    const window = counters.windows[index]!;
    const amount = measure === Measure.Requests ? 1 : tokens;
    // A window may be more than full. What takes nothing of it need not wait for it.
    if (amount > 0 && !fits(window, now, amount, limit)) {
      const wait = seconds_until(window, now, amount, limit);
      if (verdict.reason === Reason.None || (verdict.wait >= 0 && (wait < 0 || wait > verdict.wait))) {
        verdict.reason = measure === Measure.Requests ? Reason.Requests : Reason.Tokens;
        verdict.wait = wait;
        verdict.limit = limit;
        verdict.seconds = seconds;
      }
    }
  }
  if (verdict.reason === Reason.None && scope.concurrent > 0 && running(counters) - returned >= scope.concurrent) {
    verdict.reason = Reason.Concurrency;
    verdict.wait = 1;
    verdict.limit = scope.concurrent;
  }
  if (verdict.reason === Reason.None && !has_room(counters, process)) {
    verdict.reason = Reason.Crowded;
    verdict.wait = 1;
  }
  return verdict.reason === Reason.None;
}

/** A request begins: counts it, so many tokens, and reserves so much of the budget. It must have been checked. */
function take(counters: Counters, process: number, tokens: number, amount: number): void {
  for (const index of $range(0, counters.window_count - 1)) {
    const window = counters.windows[index]!;
    window.current += window.measure === (Measure.Requests as number) ? 1 : tokens;
  }
  let place = find_lease(counters, process);
  if (place < 0) {
    place = counters.lease_count;
    counters.lease_count += 1;
    const added = counters.leases[place]!;
    added.process = process;
    added.running = 0;
    added.amount = 0;
    added.tokens = 0;
  }
  const lease = counters.leases[place]!;
  lease.running += 1;
  lease.amount += amount;
  lease.tokens += tokens;
}

/** Takes back that a request was counted. */
function uncount_request(counters: Counters): void {
  for (const index of $range(0, counters.window_count - 1)) {
    const window = counters.windows[index]!;
    if (window.measure === (Measure.Requests as number)) {
      window.current -= 1;
    }
  }
}

/** Corrects what a request was counted with in the windows of tokens when it was admitted. */
function correct_tokens(counters: Counters, at: number, difference: number): void {
  for (const index of $range(0, counters.window_count - 1)) {
    const window = counters.windows[index]!;
    if (window.measure === (Measure.Tokens as number)) {
      correct(window, at, difference);
    }
  }
}

/** Adds what a request cost, or used of an allowance, if it arrived in the present period. */
function spend(counters: Counters, scope: Scope, arrived: number, amount: number): void {
  if (scope.budget !== undefined && arrived >= counters.period) {
    counters.spent += amount;
  }
}

/** Which of the budget's alerts are due: a bit for each that is reached, if none as high was given in this period. They count as given then. */
function due_alerts(counters: Counters, scope: Scope): number {
  const { budget } = scope;
  if (budget === undefined) {
    return 0;
  }
  let { told } = counters;
  let due = 0;
  let bit = 1;
  for (const share of budget.alert_at) {
    if (share > counters.told && counters.spent >= share * budget.amount) {
      due |= bit;
      told = math.max(told, share);
    }
    bit *= 2;
  }
  counters.told = told;
  return due;
}

/** Removes what workers had under way that are gone. Returns whether there were any. */
function forget_dead(counters: Counters, now: number, is_alive: (this: void, process: number) => boolean): boolean {
  let kept = 0;
  let gone = 0;
  for (const index of $range(0, counters.lease_count - 1)) {
    const lease = counters.leases[index]!;
    if (is_alive(lease.process)) {
      const place = counters.leases[kept]!;
      place.process = lease.process;
      place.running = lease.running;
      place.amount = lease.amount;
      place.tokens = lease.tokens;
      kept += 1;
    } else {
      gone += lease.tokens;
    }
  }
  const found = kept < counters.lease_count;
  counters.lease_count = kept;
  correct_tokens(counters, now, -gone);
  return found;
}

export {
  Reason, bring_up, check, correct_tokens, due_alerts, forget_dead, has_room, new_counters, read_counters, spend, take, uncount_request, write_counters,
};
export type { Counters, Verdict };
