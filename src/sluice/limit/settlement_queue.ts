/**
 * The settlements that the store has not confirmed yet: a numbered list in a dictionary that the workers share. The log phase, which
 * can't wait, adds to it; one worker at a time takes it to the store, in order, and removes what is confirmed.
 *
 * Under the lock, a request's line is written to the journal and its settlement is added, so that each settlement says up to where
 * everything is in the list: that is how far the journal need not be read again. Where something did not get into the list, because
 * it is full or the worker was killed in between, `missed` says from where the journal has to be read.
 *
 * All the list's own numbers are there from the start and are changed in place, so that they find room in a full dictionary.
 */

import type { SharedStore } from "../metrics/aggregate";

interface SettlementQueue {
  dictionary: SharedStore;
  /** This worker's process id, and whether another one's is that of a worker that is alive. */
  process: number;
  is_alive: (this: void, process: number) => boolean;
}

/** A place in the journal: before it all is settled. */
interface Place {
  /** The file's inode; 0: there is none. */
  file: number;
  offset: number;
}

/** `missed_file`: nothing is missed. */
const NOTHING_MISSED = -1;
/** How long a worker may take settlements to the store before another one may think it is lost, in seconds. */
const DRAIN_SECONDS = 30;
const DRAINER = "drainer";

/** Numbers of the list, and what they begin with. `next`: the first that is not confirmed; `last`: the last that was added. */
const NUMBERS: [name: string, value: number][] = [
  ["next", 1], ["last", 0], ["dropped", 0],
  ["added_file", 0], ["added_offset", 0],
  ["done_file", 0], ["done_offset", 0], ["done_time", 0],
  ["missed_file", NOTHING_MISSED], ["missed_offset", 0],
];

function number_of(queue: SettlementQueue, name: string): number {
  return (queue.dictionary.get(name) as number | undefined) ?? 0;
}

function set_number(queue: SettlementQueue, name: string, value: number): void {
  queue.dictionary.set(name, value);
}

/** Makes an empty list. Returns false if there is one already. */
function create_queue(dictionary: SharedStore): boolean {
  if (dictionary.get("next") !== undefined) {
    return false;
  }
  for (const [name, value] of NUMBERS) {
    dictionary.set(name, value);
  }
  return true;
}

/** Says that the journal has to be read again from a place on, unless it has to be from an earlier one. The lock should be held. */
function note_missed(queue: SettlementQueue, file: number, offset: number): void {
  if (number_of(queue, "missed_file") === NOTHING_MISSED) {
    set_number(queue, "missed_offset", offset);
    set_number(queue, "missed_file", file);
  }
}

/** Up to where all is in the list that is in the journal. */
function added_place(queue: SettlementQueue): Place {
  return { file: number_of(queue, "added_file"), offset: number_of(queue, "added_offset") };
}

/**
 * Adds a settlement, with the lock held. `file` and `offset`: where the journal ends. Returns false if there is no room; it will be
 * read from the journal then.
 */
function add_settlement(queue: SettlementQueue, text: string, file: number, offset: number): boolean {
  const number = number_of(queue, "last") + 1;
  const added = queue.dictionary.set(`${number}`, text) === undefined;
  if (added) {
    set_number(queue, "last", number);
  } else {
    const before = added_place(queue);
    note_missed(queue, before.file, before.offset);
    queue.dictionary.increase("dropped", 1);
  }
  if (file !== 0) {
    set_number(queue, "added_offset", offset);
    set_number(queue, "added_file", file);
  }
  return added;
}

/** How many settlements are not confirmed. */
function waiting(queue: SettlementQueue): number {
  return number_of(queue, "last") - number_of(queue, "next") + 1;
}

/** The texts of the first settlements, at most so many. */
function first_settlements(queue: SettlementQueue, most: number): string[] {
  const next = number_of(queue, "next");
  const last = math.min(number_of(queue, "last"), next + most - 1);
  const texts: string[] = [];
  for (const number of $range(next, last)) {
    // A worker that was killed may have removed it, and not have said so.
    texts.push((queue.dictionary.get(`${number}`) as string | undefined) ?? "");
  }
  return texts;
}

/** Removes the first settlements, which the store has confirmed. `file` and `offset`: what the last of them says of the journal. */
function confirm_settlements(queue: SettlementQueue, count: number, file: number, offset: number): void {
  const next = number_of(queue, "next");
  for (const number of $range(next, next + count - 1)) {
    queue.dictionary.remove(`${number}`);
  }
  set_number(queue, "next", next + count);
  if (file !== 0) {
    set_number(queue, "done_offset", offset);
    set_number(queue, "done_file", file);
  }
}

/** From where the journal has to be read again; undefined: it need not be. */
function missed_place(queue: SettlementQueue): Place | undefined {
  const file = number_of(queue, "missed_file");
  return file !== NOTHING_MISSED ? { file, offset: number_of(queue, "missed_offset") } : undefined;
}

/** The journal has been read again, and settled, up to a place. */
function move_missed(queue: SettlementQueue, file: number, offset: number): void {
  set_number(queue, "missed_offset", offset);
  set_number(queue, "missed_file", file);
}

function end_missed(queue: SettlementQueue): void {
  set_number(queue, "missed_file", NOTHING_MISSED);
}

/** Up to where all that is in the journal is settled, with the lock held; `time`: what ended before it is settled too. */
function settled_place(queue: SettlementQueue): LuaMultiReturn<[place: Place, time: number]> {
  const time = number_of(queue, "done_time");
  const missed = missed_place(queue);
  if (missed !== undefined) {
    return $multi(missed, time);
  }
  return $multi({ file: number_of(queue, "done_file"), offset: number_of(queue, "done_offset") }, time);
}

/** Nothing waits and nothing is missed: all is settled up to the journal's end. The lock must be held. */
function note_all_settled(queue: SettlementQueue, file: number, offset: number, now: number): void {
  if (file !== 0) {
    set_number(queue, "done_offset", offset);
    set_number(queue, "done_file", file);
  }
  set_number(queue, "done_time", now);
}

/** Notes what was known to be settled before a restart. */
function restore_place(queue: SettlementQueue, place: Place, time: number): void {
  note_all_settled(queue, place.file, place.offset, time);
  set_number(queue, "added_offset", place.offset);
  set_number(queue, "added_file", place.file);
}

/** The settlements that found no room since the last call. */
function take_dropped(queue: SettlementQueue): number {
  const dropped = number_of(queue, "dropped");
  if (dropped > 0) {
    queue.dictionary.increase("dropped", -dropped);
  }
  return dropped;
}

/** Becomes the one that takes settlements to the store. Returns false if another worker is, and lives. */
function begin_drain(queue: SettlementQueue): boolean {
  const { dictionary, process } = queue;
  if (dictionary.add(DRAINER, process, DRAIN_SECONDS) === undefined) {
    return true;
  }
  const holder = dictionary.get(DRAINER) as number | undefined;
  if (holder === undefined || holder === process || queue.is_alive(holder)) {
    return false;
  }
  // Two may take over at once; they do the same then, and the store settles each request once.
  dictionary.set(DRAINER, process, DRAIN_SECONDS);
  return true;
}

/** Still at it: to be said before each exchange with the store. */
function keep_draining(queue: SettlementQueue): void {
  queue.dictionary.set(DRAINER, queue.process, DRAIN_SECONDS);
}

function end_drain(queue: SettlementQueue): void {
  queue.dictionary.remove(DRAINER);
}

export {
  add_settlement, added_place, begin_drain, confirm_settlements, create_queue, end_drain, end_missed, first_settlements, keep_draining,
  missed_place, move_missed, note_all_settled, note_missed, restore_place, settled_place, take_dropped, waiting,
};
export type { Place, SettlementQueue };
