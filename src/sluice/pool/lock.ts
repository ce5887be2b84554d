/**
 * Locks between nginx's workers, in a dictionary that they share: held for a few microseconds, and taken over from a worker that
 * was killed meanwhile.
 *
 * A lock is an entry that holds its holder's number. It never expires, however long its holder is kept from running. Only one worker
 * at a time may take it over, or the second would take it from the first: whoever wants to holds a lock of its own for that, which is
 * one like all others, and so is taken over itself if its holder is killed.
 */

import { is_gone } from "./workers";
import type { Worker } from "./workers";

/** What came of asking for a lock. */
const enum Hold {
  Held = 0,
  /** It is held too, and whoever had it has left undone what it was about to do. */
  TakenOver = 1,
  /** A worker that is alive has it. */
  Busy = 2,
  /** The dictionary is full. */
  NoRoom = 3,
}

/** How often a lock is asked for before its holder is looked at. */
const PATIENCE = 200;
/** How often it is asked for at most: some twenty milliseconds in all, unless the machine is busy. */
const MOST_TRIES = 500 * PATIENCE;

/** Whether a lock's holder is gone. The worker must have a number. */
function is_abandoned(worker: Worker, name: string): boolean {
  const { dictionary } = worker;
  const holder = dictionary.get(name) as number | undefined;
  // Only who still has it when it is known to be gone can't let go of it any more.
  return holder !== undefined && is_gone(worker, holder) && dictionary.get(name) === holder;
}

/** Asks for a lock once, and takes it over if its holder is gone. */
function try_lock(worker: Worker, name: string): Hold {
  const { dictionary, number } = worker;
  const reason = dictionary.add(name, number);
  if (reason !== "exists") {
    return reason === undefined ? Hold.Held : Hold.NoRoom;
  }
  if (!is_abandoned(worker, name)) {
    return Hold.Busy;
  }
  const turn = `${name}:over`;
  const hold = try_lock(worker, turn);
  if (hold === Hold.Busy || hold === Hold.NoRoom) {
    return hold;
  }
  const abandoned = is_abandoned(worker, name);
  if (abandoned) {
    // A number in the place of a number always finds room.
    dictionary.set(name, number);
  }
  dictionary.remove(turn);
  return abandoned ? Hold.TakenOver : Hold.Busy;
}

/** Asks for a lock until it has it, or its patience is at an end. */
function wait_for_lock(worker: Worker, name: string): Hold {
  const { dictionary, number } = worker;
  for (const tries of $range(1, MOST_TRIES)) {
    const reason = dictionary.add(name, number);
    if (reason !== "exists") {
      return reason === undefined ? Hold.Held : Hold.NoRoom;
    }
    if (tries % PATIENCE === 0) {
      const hold = try_lock(worker, name);
      if (hold !== Hold.Busy) {
        return hold;
      }
    }
  }
  return Hold.Busy;
}

/** Takes a lock. The worker must have a number, and must not have the lock. */
function lock(worker: Worker, name: string): Hold {
  const reason = worker.dictionary.add(name, worker.number);
  if (reason === undefined) {
    return Hold.Held;
  }
  return reason === "exists" ? wait_for_lock(worker, name) : Hold.NoRoom;
}

/** Lets go of a lock that the worker has. */
function unlock(worker: Worker, name: string): void {
  worker.dictionary.remove(name);
}

export { Hold, lock, try_lock, unlock };
