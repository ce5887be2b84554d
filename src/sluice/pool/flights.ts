/**
 * How many requests each endpoint has under way, over all nginx workers of this node: what `max_concurrent` is held against, and what
 * endpoints are chosen by.
 *
 * How the numbers lie in the dictionary, and why.
 * - `flights:endpoint:1`, `flights:endpoint:2`, … is the index: a list of names that only grows. An endpoint's number in it is the same
 *   for all workers and all configurations until nginx is started anew.
 * - `flights:own:ENDPOINT:WORKER` is what one worker has under way there. These are the truth: a killed worker gives nothing back, so
 *   whoever finds it gone removes its own.
 * - `flights:sum:ENDPOINT` is their sum, so that looking at an endpoint is a single get.
 * - `flights:lock:ENDPOINT` is held by who changes the two. So the check against the most and the count are one step; and
 *   if a worker is killed between the two numbers, whoever takes the lock over adds the sum up again.
 *
 * All values that change are numbers: they are changed in place, without garbage, and also in a dictionary that is full. One that has
 * no room for a new endpoint or worker refuses to count (`take` says so); what is counted stays right. Each worker remembers what
 * it has under way itself, so that what can't be written at the moment is written later: until then the sum is too
 * large, never too small.
 */

import { Hold, lock, try_lock, unlock } from "./lock";
import { forget_worker, has_gone, is_gone, join_workers, slot_count, worker_at } from "./workers";
import type { SharedStore } from "../metrics/aggregate";
import type { Worker } from "./workers";

/** An endpoint as one worker sees it. */
interface Place {
  /** In the index. */
  number: number;
  sum: string;
  lock: string;
  /** Where this worker's own count lies, and the worker's number in it; 0: it has none yet. */
  own: string;
  owner: number;
  /** What this worker has under way, and how much of it the dictionary knows. */
  running: number;
  counted: number;
}

interface Flights {
  worker: Worker;
  /** How much of the index this worker has read, and the endpoints' numbers in it. */
  known: number;
  numbers: LuaTable<string, number>;
  /** Those that this worker has had to do with. */
  places: LuaTable<string, Place>;
}

/** Why something isn't counted. */
const NO_ROOM = "the dictionary is full";
const BUSY = "another worker does not let go of the endpoint's lock";
const LOST = "this worker was taken for dead";

const SWEEP_LOCK = "flights:sweep";

function own_key(endpoint: number, worker: number): string {
  return `flights:own:${endpoint}:${worker}`;
}

function sum_key(endpoint: number): string {
  return `flights:sum:${endpoint}`;
}

function lock_key(endpoint: number): string {
  return `flights:lock:${endpoint}`;
}

/**
 * What a worker counts with, to be made once when it starts. `process` is its process id, `is_alive` says whether another one's is that of a
 * worker that is alive: it may say so for a while after it has died, but never the reverse.
 */
function new_flights(dictionary: SharedStore, process: number, is_alive: (this: void, process: number) => boolean): Flights {
  const worker: Worker = { dictionary, process, is_alive, number: 0 };
  join_workers(worker);
  return { worker, known: 0, numbers: new LuaTable(), places: new LuaTable() };
}

/** Reads the next entry of the index. Returns false at its end. */
function read_entry(flights: Flights): boolean {
  const name = flights.worker.dictionary.get(`flights:endpoint:${flights.known + 1}`) as string | undefined;
  if (name === undefined) {
    return false;
  }
  flights.known += 1;
  flights.numbers.set(name, flights.known);
  return true;
}

/** The endpoint's number in the index, into which it is written if need be; undefined: there is no room. */
function enroll(flights: Flights, endpoint: string): number | undefined {
  const { numbers, worker } = flights;
  while (!numbers.has(endpoint)) {
    if (!read_entry(flights)) {
      const reason = worker.dictionary.add(`flights:endpoint:${flights.known + 1}`, endpoint);
      if (reason !== undefined && reason !== "exists") {
        return undefined;
      }
    }
  }
  return numbers.get(endpoint);
}

/** Makes sure that a number is there. Returns whether there was room. */
function begin(dictionary: SharedStore, key: string): boolean {
  const reason = dictionary.add(key, 0);
  return reason === undefined || reason === "exists";
}

/** An endpoint that this worker has not had to do with. Returns undefined if there is no room. */
function open_place(flights: Flights, endpoint: string): Place | undefined {
  const number = enroll(flights, endpoint);
  if (number === undefined || !begin(flights.worker.dictionary, sum_key(number))) {
    return undefined;
  }
  const place: Place = { number, sum: sum_key(number), lock: lock_key(number), own: "", owner: 0, running: 0, counted: 0 };
  flights.places.set(endpoint, place);
  return place;
}

/** Gives a worker a count of its own at an endpoint. Returns whether there was room. */
function own_place(worker: Worker, place: Place): boolean {
  if (worker.number === 0 && !join_workers(worker)) {
    return false;
  }
  const own = own_key(place.number, worker.number);
  if (!begin(worker.dictionary, own)) {
    return false;
  }
  place.own = own;
  place.owner = worker.number;
  place.counted = 0;
  return true;
}

/** Adds an endpoint's sum up again, with its lock held. */
function mend(dictionary: SharedStore, endpoint: number): void {
  let sum = 0;
  for (const slot of $range(1, slot_count(dictionary))) {
    const worker = worker_at(dictionary, slot);
    if (worker !== undefined) {
      sum += (dictionary.get(own_key(endpoint, worker)) as number | undefined) ?? 0;
    }
  }
  dictionary.set(sum_key(endpoint), sum);
}

/** Takes an endpoint's lock. Returns undefined, or why not. */
function hold(worker: Worker, name: string, endpoint: number): string | undefined {
  const held = lock(worker, name);
  if (held === Hold.TakenOver) {
    mend(worker.dictionary, endpoint);
  }
  if (held === Hold.Held || held === Hold.TakenOver) {
    return undefined;
  }
  return held === Hold.NoRoom ? NO_ROOM : BUSY;
}

/** Writes what this worker has under way, with the endpoint's lock held. Returns false if its own count is gone. */
function write(worker: Worker, place: Place): boolean {
  const { dictionary } = worker;
  const difference = place.running - place.counted;
  if (dictionary.increase(place.own, difference) === undefined) {
    // The others take this worker for dead, and have removed what it had. It begins again under a new number.
    worker.number = 0;
    return false;
  }
  dictionary.increase(place.sum, difference);
  place.counted = place.running;
  return true;
}

/**
 * A request is about to go to an endpoint: counts it, unless so many are under way there already (`most`; 0: any number). Returns whether
 * it is counted; if not, and not because of `most`, why. Then an endpoint with a `most` can't be used now; one without
 * may be, uncounted. What is not counted must not be given back.
 */
function take(flights: Flights, endpoint: string, most: number): LuaMultiReturn<[taken: boolean, reason: string | undefined]> {
  const { worker } = flights;
  const place = (flights.places.get(endpoint) as Place | undefined) ?? open_place(flights, endpoint);
  if (place === undefined || ((worker.number === 0 || place.owner !== worker.number) && !own_place(worker, place))) {
    return $multi(false, NO_ROOM);
  }
  const reason = hold(worker, place.lock, place.number);
  if (reason !== undefined) {
    return $multi(false, reason);
  }
  if (most > 0 && (worker.dictionary.get(place.sum) as number) + place.running - place.counted >= most) {
    unlock(worker, place.lock);
    return $multi(false, undefined);
  }
  place.running += 1;
  if (!write(worker, place)) {
    place.running -= 1;
    unlock(worker, place.lock);
    return $multi(false, LOST);
  }
  unlock(worker, place.lock);
  return $multi(true, undefined);
}

/** Writes what has changed at an endpoint since it was last written, if that can be done now. */
function catch_up(worker: Worker, place: Place): void {
  if (hold(worker, place.lock, place.number) === undefined) {
    write(worker, place);
    unlock(worker, place.lock);
  }
}

/** A request that was counted has ended, or did not go to the endpoint after all. Does nothing if this worker has none under way there. */
function give(flights: Flights, endpoint: string): void {
  const place = flights.places.get(endpoint) as Place | undefined;
  if (place === undefined || place.running === 0) {
    return;
  }
  place.running -= 1;
  const { worker } = flights;
  if (worker.number !== 0 && place.owner === worker.number) {
    catch_up(worker, place);
  }
}

/** The requests under way at an endpoint, over all workers; a killed one's until they are swept. */
function in_flight(flights: Flights, endpoint: string): number {
  const place = (flights.places.get(endpoint) as Place | undefined) ?? open_place(flights, endpoint);
  return place === undefined ? 0 : (flights.worker.dictionary.get(place.sum) as number | undefined) ?? 0;
}

/** Writes what could not be written when it changed. */
function catch_up_all(flights: Flights): void {
  const { places, worker } = flights;
  for (const [, place] of places) {
    if (place.owner !== worker.number) {
      if (place.running > 0 && own_place(worker, place)) {
        catch_up(worker, place);
      }
    } else if (place.running !== place.counted) {
      catch_up(worker, place);
    }
  }
}

/** Removes all counts of a worker that is gone. Returns false if some could not be. */
function remove_counts(flights: Flights, gone: number): boolean {
  const { worker } = flights;
  const { dictionary } = worker;
  while (read_entry(flights)) {
    // It may have counted at endpoints that this worker has not heard of.
  }
  for (const endpoint of $range(1, flights.known)) {
    const own = own_key(endpoint, gone);
    const name = lock_key(endpoint);
    // Having the lock alone will do: it may have been killed between removing another's count and adding up.
    if (dictionary.get(own) !== undefined || dictionary.get(name) === gone) {
      if (hold(worker, name, endpoint) !== undefined) {
        return false;
      }
      dictionary.remove(own);
      mend(dictionary, endpoint);
      unlock(worker, name);
    }
  }
  return true;
}

/** Removes what workers had under way that are gone, and writes what this one could not write before. To be called every now and then. */
function sweep(flights: Flights): void {
  const { worker } = flights;
  const { dictionary } = worker;
  if (worker.number !== 0 && is_gone(worker, worker.number)) {
    worker.number = 0;
  }
  if (worker.number === 0 && !join_workers(worker)) {
    return;
  }
  catch_up_all(flights);
  if (!has_gone(worker)) {
    return;
  }
  const held = try_lock(worker, SWEEP_LOCK);
  if (held === Hold.Busy || held === Hold.NoRoom) {
    return;
  }
  for (const slot of $range(1, slot_count(dictionary))) {
    const number = worker_at(dictionary, slot);
    if (number !== undefined && is_gone(worker, number) && remove_counts(flights, number)) {
      forget_worker(dictionary, slot, number);
    }
  }
  unlock(worker, SWEEP_LOCK);
}

export { give, in_flight, new_flights, sweep, take };
export type { Flights };
