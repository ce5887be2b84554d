/**
 * How many attempts have ended at an endpoint within a window that slides, over all workers: that it served, that it only answered, and
 * that failed.
 *
 * How the numbers lie in the shared dictionary, and why. There are three counters that only grow, so an attempt costs one increment. What
 * they were at the beginning of each eighth of the window lies in one string, which the first attempt of the next eighth writes,
 * whichever worker it ends in. The window's count is what a counter is now less what it was when the window began.
 *
 * Limits, confessed. A window begins within an eighth: what ended in that one counts by the part of it that lies in the window, as if it had ended
 * evenly. So a count is wrong by less than what ended in that eighth. Two workers that write the string at once may differ by what ended in between.
 *
 * Times are seconds on a clock that only goes forward and is the same for all workers.
 */

import * as ffi from "ffi";
import type { SharedStore } from "../metrics/aggregate";

interface EndedAttempts {
  store: SharedStore;
  /** Where the counters lie, and what they were. */
  served: string;
  answered: string;
  failed: string;
  past: string;
  /** Seconds: an eighth of the window; and how long the string is kept. */
  step: number;
  lifetime: number;
  /** When this worker sees to the string next. */
  next_step: number;
}

const floor = math.floor;

const STEPS = 8;
/** A window touches one step more than it has; and another worker may be a step ahead. */
const ROWS = STEPS + 2;
/** The number of the last step that is written, and for each step that a window may touch the three counters. */
const NUMBERS = 1 + ROWS * 3;
const BYTES = NUMBERS * 8;
/** The dictionary's clock may lag behind ours by so many seconds. */
const LAG_SECONDS = 5;

/** The string at hand, for whoever is at it: nothing waits in between. */
const past = ffi.new<DoubleBuffer>("double[?]", NUMBERS);

/** `name`: what the counters lie under. `window`: in seconds. */
function new_ended_attempts(store: SharedStore, name: string, window: number): EndedAttempts {
  return {
    store,
    served: `${name}:served`, answered: `${name}:answered`, failed: `${name}:failed`,
    // Another window has steps of its own.
    past: `${name}:past:${window}`,
    step: window / STEPS, lifetime: 2 * window + LAG_SECONDS, next_step: 0,
  };
}

function count_of(ended: EndedAttempts, key: string): number {
  return (ended.store.get(key) as number | undefined) ?? 0;
}

function write_past(ended: EndedAttempts): void {
  ended.store.set(ended.past, ffi.string(past, BYTES), ended.lifetime);
}

/** Writes what the counters are at the beginning of the steps from `first` to `last`, and the string. */
function write_rows(ended: EndedAttempts, first: number, last: number): void {
  const served = count_of(ended, ended.served);
  const answered = count_of(ended, ended.answered);
  const failed = count_of(ended, ended.failed);
  for (const step of $range(first, last)) {
    const row = 1 + (step % ROWS) * 3;
    past[row] = served;
    past[row + 1] = answered;
    past[row + 2] = failed;
  }
  past[0] = last;
  write_past(ended);
}

/** Reads the string, up to date. */
function read_past(ended: EndedAttempts, now: number): void {
  const current = floor(now / ended.step);
  const text = ended.store.get(ended.past) as string | undefined;
  ended.next_step = (current + 1) * ended.step;
  if (text === undefined || text.length !== BYTES) {
    write_rows(ended, current - STEPS, current);
    return;
  }
  ffi.copy(past, text, BYTES);
  const last = past[0]!;
  if (last < current - STEPS) {
    write_rows(ended, current - STEPS, current);
  } else if (last < current) {
    write_rows(ended, last + 1, current);
  }
}

/** Counts an attempt that has ended. `key`: the counter's. Mostly one operation of the dictionary. */
function count_ended(ended: EndedAttempts, key: string, now: number): void {
  if (now >= ended.next_step) {
    read_past(ended, now);
  }
  if (ended.store.increase(key, 1) === undefined && ended.store.add(key, 1) === "exists") {
    ended.store.increase(key, 1);
  }
}

/** What a counter was when the window began. `column`: 0 to 2. */
function at_beginning(column: number, position: number): number {
  const step = floor(position);
  const before = past[1 + (step % ROWS) * 3 + column]!;
  const after = past[1 + ((step + 1) % ROWS) * 3 + column]!;
  return before + (position - step) * (after - before);
}

/**
 * How many attempts have ended within the window, by how they ended; and whether any was served, which is true somewhat longer, by up to an
 * eighth of the window, so that it is never false too early.
 */
function ended_within(ended: EndedAttempts, now: number): LuaMultiReturn<[served: number, answered: number, failed: number, has_served: boolean]> {
  read_past(ended, now);
  const position = now / ended.step - STEPS;
  const served = count_of(ended, ended.served);
  return $multi(
    served - at_beginning(0, position), count_of(ended, ended.answered) - at_beginning(1, position), count_of(ended, ended.failed) - at_beginning(2, position),
    served > past[1 + (floor(position) % ROWS) * 3]!);
}

/** How many attempts have ended without failing, since the gateway was started. */
function ended_well(ended: EndedAttempts): number {
  return count_of(ended, ended.served) + count_of(ended, ended.answered);
}

/** The failures until now are out of the window. */
function forget_failed(ended: EndedAttempts, now: number): void {
  const failed = count_of(ended, ended.failed);
  read_past(ended, now);
  for (const row of $range(1, NUMBERS - 3, 3)) {
    past[row + 2] = failed;
  }
  write_past(ended);
}

export { count_ended, ended_well, ended_within, forget_failed, new_ended_attempts };
export type { EndedAttempts };
