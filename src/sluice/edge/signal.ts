/** A signal for one request that waits: it goes on when it is given, or when its time is over. */

import * as semaphores from "ngx.semaphore";
import { sleep } from "./request";

/** What a request waits for. */
type Signal = semaphores.Semaphore | undefined;

/** Makes a signal. Undefined if there is no memory for one: then `wait_for` only lets the time pass. */
function new_signal(): Signal {
  const [semaphore] = semaphores.new(0);
  return semaphore;
}

/** nginx counts in milliseconds, and a wait of less comes back at once. */
const LEAST_SECONDS = 0.001;

/** Waits for the signal, at most so many seconds and at least one millisecond, in a phase that may sleep. One given before counts. */
function wait_for(signal: Signal, seconds: number): void {
  if (signal !== undefined) {
    signal.wait(math.max(LEAST_SECONDS, seconds));
  } else {
    sleep(seconds);
  }
}

/** Gives the signal, from any phase. */
function give_signal(signal: Signal): void {
  if (signal !== undefined && signal.count() < 1) {
    signal.post(1);
  }
}

export { give_signal, new_signal, wait_for };
export type { Signal };
