/**
 * The settlements that the store has not confirmed yet: a numbered list in a dictionary that the workers share. The log phase, which
 * can't wait, adds to it; one worker at a time (`drainer.ts`) takes it to the store, in order, and removes what is confirmed. Should
 * there be two for once, they only do the same twice: what is removed is named by its numbers, and `next` never goes back.
 *
 * Under the lock, a request's line is written to the journal and its settlement is added, so that each settlement says up to where
 * everything is in the list: that is how far the journal need not be read again. That holds over a rotation too, because whoever has
 * the lock writes to the file in `added_file`, or to a newer one: so one place says it for all files.
 *
 * Where something did not get into the list, because it is full or the worker was killed in between, the journal has to be read
 * again. Each such miss is counted in `misses`; `caught` says how many of them are made up for. So one that comes while the journal is
 * being read is not forgotten with those before it.
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

/** From where the journal has to be read again. */
interface Missed extends Place {
  /** Requests that ended before it are settled, in seconds since 1970; 0: all behind the place may be missing, whenever it ended. */
  since: number;
  /** How many misses there had been when this was looked up. */
  misses: number;
}

/**
 * Numbers of the list, and what they begin with. `next`: the first that is not confirmed; `last`: the last that was added; `unreadable`:
 * 1 while the journal can't be read. The last two are those of `drainer.ts`.
 */
const NUMBERS: [name: string, value: number][] = [
  ["next", 1], ["last", 0], ["dropped", 0],
  ["added_file", 0], ["added_offset", 0],
  ["done_file", 0], ["done_offset", 0], ["done_time", 0],
  ["misses", 0], ["caught", 0], ["missed_file", 0], ["missed_offset", 0], ["missed_since", 0], ["unreadable", 0],
  ["drainer", 0], ["drainer_until", 0],
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

/** Whether the journal has to be read again. */
function is_missed(queue: SettlementQueue): boolean {
  return number_of(queue, "misses") !== number_of(queue, "caught");
}

/** Says that the journal has to be read again from a place on, unless it has to be from an earlier one. The lock should be held. */
function note_missed(queue: SettlementQueue, file: number, offset: number): void {
  if (!is_missed(queue)) {
    set_number(queue, "missed_since", 0);
    set_number(queue, "missed_offset", offset);
    set_number(queue, "missed_file", file);
  }
  queue.dictionary.increase("misses", 1);
}

/** Up to where all is in the list that is in the journal. */
function added_place(queue: SettlementQueue): Place {
  return { file: number_of(queue, "added_file"), offset: number_of(queue, "added_offset") };
}

/** The journal's file that was added from last; 0: there was none. */
function added_file(queue: SettlementQueue): number {
  return number_of(queue, "added_file");
}

/** Says that all up to a place is in the list, or behind the missed place; with the lock held. Nobody adds from older files then. */
function note_added(queue: SettlementQueue, file: number, offset: number): void {
  set_number(queue, "added_offset", offset);
  set_number(queue, "added_file", file);
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
    note_added(queue, file, offset);
  }
  return added;
}

/** How many settlements are not confirmed. */
function waiting(queue: SettlementQueue): number {
  return number_of(queue, "last") - number_of(queue, "next") + 1;
}

/** The texts of the first settlements, at most so many, and the number of the first of them. */
function first_settlements(queue: SettlementQueue, most: number): LuaMultiReturn<[texts: string[], first: number]> {
  const next = number_of(queue, "next");
  const last = math.min(number_of(queue, "last"), next + most - 1);
  const texts: string[] = [];
  for (const number of $range(next, last)) {
    // A worker that was killed may have removed it, and not have said so.
    texts.push((queue.dictionary.get(`${number}`) as string | undefined) ?? "");
  }
  return $multi(texts, next);
}

/**
 * Removes settlements that the store has confirmed, so many from the number `first` on, with the lock held. `file` and `offset`: what
 * the last of them says of the journal. Another worker may have removed some of them, and more.
 */
function confirm_settlements(queue: SettlementQueue, first: number, count: number, file: number, offset: number): void {
  for (const number of $range(first, first + count - 1)) {
    queue.dictionary.remove(`${number}`);
  }
  if (first + count <= number_of(queue, "next")) {
    return;
  }
  set_number(queue, "next", first + count);
  if (file !== 0) {
    set_number(queue, "done_offset", offset);
    set_number(queue, "done_file", file);
  }
}

/** From where the journal has to be read again; undefined: it need not be. */
function missed_place(queue: SettlementQueue): Missed | undefined {
  // First: what is missed while the rest is looked up is not among them.
  const misses = number_of(queue, "misses");
  if (misses === number_of(queue, "caught")) {
    return undefined;
  }
  return { misses, file: number_of(queue, "missed_file"), offset: number_of(queue, "missed_offset"), since: number_of(queue, "missed_since") };
}

/** Whether the journal still has to be read again from that place on: another worker may have done it. The lock must be held. */
function is_still_missed(queue: SettlementQueue, missed: Missed): boolean {
  return is_missed(queue) && number_of(queue, "missed_file") === missed.file && number_of(queue, "missed_offset") === missed.offset;
}

/** The journal has been read again, and settled, from where it was missed up to a place. The lock must be held. */
function move_missed(queue: SettlementQueue, missed: Missed, file: number, offset: number, since: number): void {
  if (is_still_missed(queue, missed)) {
    set_number(queue, "missed_since", since);
    set_number(queue, "missed_offset", offset);
    set_number(queue, "missed_file", file);
  }
}

/** The journal has been read again to its end since that was looked up. The lock must be held. */
function end_missed(queue: SettlementQueue, missed: Missed): void {
  if (is_still_missed(queue, missed)) {
    set_number(queue, "caught", missed.misses);
  }
}

/**
 * Up to where all that is in the journal is settled, with the lock held; file 0: that place is not there any more. `time`: what ended
 * before it is settled too.
 */
function settled_place(queue: SettlementQueue): LuaMultiReturn<[place: Place, time: number]> {
  const time = number_of(queue, "done_time");
  const missed = missed_place(queue);
  if (missed === undefined) {
    return $multi({ file: number_of(queue, "done_file"), offset: number_of(queue, "done_offset") }, time);
  }
  return $multi(missed.since > 0 ? { file: 0, offset: 0 } : { file: missed.file, offset: missed.offset }, time);
}

/** Notes whether the journal can be read. Returns whether that is new. */
function note_readable(queue: SettlementQueue, readable: boolean): boolean {
  const value = readable ? 0 : 1;
  const changed = number_of(queue, "unreadable") !== value;
  if (changed) {
    set_number(queue, "unreadable", value);
  }
  return changed;
}

/** Nothing waits and nothing is missed: all is settled up to the journal's end. The lock must be held. */
function note_all_settled(queue: SettlementQueue, file: number, offset: number, now: number): void {
  if (file !== 0) {
    note_added(queue, file, offset);
    set_number(queue, "done_offset", offset);
    set_number(queue, "done_file", file);
  }
  set_number(queue, "done_time", now);
}

/** The settlements that found no room since the last call. */
function take_dropped(queue: SettlementQueue): number {
  const dropped = number_of(queue, "dropped");
  if (dropped > 0) {
    queue.dictionary.increase("dropped", -dropped);
  }
  return dropped;
}

export {
  add_settlement, added_file, added_place, confirm_settlements, create_queue, end_missed, first_settlements, is_missed, is_still_missed, missed_place,
  move_missed, note_added, note_all_settled, note_missed, note_readable, settled_place, take_dropped, waiting,
};
export type { Missed, Place, SettlementQueue };
