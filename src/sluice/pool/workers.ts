/**
 * Which nginx workers may have something in the shared dictionary, and which of them are gone.
 *
 * How it lies in the dictionary, and why.
 * - Each worker has a number that no other ever had (`flights:births` counts them). A process id won't do: the system gives
 *   it to a new worker sooner or later, and what the dead one left would pass for the new one's.
 * - `flights:worker:NUMBER` holds the process id. It is gone for good when the worker is: whoever finds the process dead may say
 *   so, any number of times, and never says it of another.
 * - `flights:slot:1`, `flights:slot:2`, … list the numbers, with gaps; `flights:slots` says how many there are at most. A worker is
 *   listed before it counts anything, and until nothing of it is left.
 *
 * A worker that is killed in the instant between its number and its slot leaves one small entry behind for ever.
 */

import type { SharedStore } from "../metrics/aggregate";

interface Worker {
  dictionary: SharedStore;
  process: number;
  /** Whether another process id is that of a worker that is alive. It may say so for a while when it no longer is, never the reverse. */
  is_alive: (this: void, process: number) => boolean;
  /** 0: it has none yet. */
  number: number;
}

const BIRTHS = "flights:births";
const SLOTS = "flights:slots";

function worker_key(number: number): string {
  return `flights:worker:${number}`;
}

function slot_key(slot: number): string {
  return `flights:slot:${slot}`;
}

/** How many slots there are, empty ones included. */
function slot_count(dictionary: SharedStore): number {
  return (dictionary.get(SLOTS) as number | undefined) ?? 0;
}

/** The number of the worker in a slot; undefined: it is empty. */
function worker_at(dictionary: SharedStore, slot: number): number | undefined {
  return dictionary.get(slot_key(slot)) as number | undefined;
}

/** Adds one to a number, which begins with 0. Returns undefined if there is no room for it. */
function raise(dictionary: SharedStore, key: string): number | undefined {
  const raised = dictionary.increase(key, 1);
  if (raised !== undefined) {
    return raised;
  }
  const reason = dictionary.add(key, 0);
  return reason === undefined || reason === "exists" ? dictionary.increase(key, 1) : undefined;
}

/** Says that earlier workers are gone that had this one's process id. */
function bury_namesakes({ dictionary, process }: Worker): void {
  for (const slot of $range(1, slot_count(dictionary))) {
    const number = worker_at(dictionary, slot);
    if (number !== undefined && dictionary.get(worker_key(number)) === process) {
      dictionary.remove(worker_key(number));
    }
  }
}

/** Puts a number into the first empty slot. Returns whether there was room. */
function list(dictionary: SharedStore, number: number): boolean {
  for (;;) {
    for (const slot of $range(1, slot_count(dictionary))) {
      const reason = dictionary.add(slot_key(slot), number);
      if (reason !== "exists") {
        return reason === undefined;
      }
    }
    if (raise(dictionary, SLOTS) === undefined) {
      return false;
    }
  }
}

/** Gives the worker its number. Returns false if there is no room, and the worker none then. */
function join_workers(worker: Worker): boolean {
  const { dictionary, process } = worker;
  bury_namesakes(worker);
  const number = raise(dictionary, BIRTHS);
  if (number === undefined || dictionary.add(worker_key(number), process) !== undefined) {
    return false;
  }
  if (!list(dictionary, number)) {
    dictionary.remove(worker_key(number));
    return false;
  }
  worker.number = number;
  return true;
}

/** Whether the worker of that number is gone; if so it stays so. */
function is_gone({ dictionary, is_alive }: Worker, number: number): boolean {
  const process = dictionary.get(worker_key(number)) as number | undefined;
  return process === undefined || !is_alive(process);
}

/** Whether any worker on the list is gone. */
function has_gone(worker: Worker): boolean {
  const { dictionary } = worker;
  for (const slot of $range(1, slot_count(dictionary))) {
    const number = worker_at(dictionary, slot);
    if (number !== undefined && is_gone(worker, number)) {
      return true;
    }
  }
  return false;
}

/** Takes a worker that is gone off the list. Only one worker may do so at a time: the slot can have another number right after. */
function forget_worker(dictionary: SharedStore, slot: number, number: number): void {
  // In this order: who finds the slot later, and no process, knows that it is gone.
  dictionary.remove(worker_key(number));
  if (worker_at(dictionary, slot) === number) {
    dictionary.remove(slot_key(slot));
  }
}

export { forget_worker, has_gone, is_gone, join_workers, slot_count, worker_at };
export type { Worker };
