/**
 * Picks endpoints in the order of the pool's schedule. Every worker goes through it by itself, from a place of its own, so that the
 * workers together don't all begin with the same endpoint.
 *
 * Mostly the next one can be used. Else the schedule is gone through, once at most. Before that goes far, all endpoints are looked
 * at: if there is nothing left to find, it ends. So it is long only where what can be used has a tiny share of the turns: some
 * 0.1 ms in a schedule of the greatest length.
 */

import * as ffi from "ffi";
import { is_open } from "./field";
import { integers } from "./schedule";
import type { Field } from "./field";
import type { Schedule } from "./schedule";

/** Where a worker stands in a schedule. */
interface Turn {
  schedule: Schedule;
  /** The turn that is next. */
  next: number;
  /** By endpoint: the last search that looked at it. */
  seen: Int32Buffer;
  /** How many endpoints there are. */
  count: number;
  /** The number of the last search, from 1. */
  search: number;
}

const LAST_SEARCH = 0x7fffffff;

/**
 * A worker's turn in a schedule of so many endpoints. `start`: where it begins, 0 to below 1 of the schedule, such as the worker's
 * number divided by how many there are.
 */
function new_turn(schedule: Schedule, count: number, start: number): Turn {
  return { schedule, next: math.floor(start * schedule.length), seen: integers(count), count, search: 0 };
}

/** Begins a search. Returns its number. */
function begin_search(turn: Turn): number {
  if (turn.search >= LAST_SEARCH) {
    ffi.fill(turn.seen, turn.count * 4);
    turn.search = 0;
  }
  turn.search += 1;
  return turn.search;
}

/** Whether a search goes on: there is an endpoint it hasn't seen that is better than what it has. */
function is_more_ahead(field: Field, turn: Turn, stamp: number, has_tried_one: boolean): boolean {
  const { search, seen } = turn;
  const { tried } = field;
  for (const index of $range(0, turn.count - 1)) {
    if (seen[index] !== search && !(has_tried_one && tried[index] === stamp) && is_open(field, index)) {
      return true;
    }
  }
  return false;
}

/** Goes on from the next turn to the first endpoint that can be used. */
function search_on(field: Field, turn: Turn, stamp: number): number {
  const { count, seen } = turn;
  const { entries, length } = turn.schedule;
  const search = begin_search(turn);
  let unseen = count;
  let place = turn.next;
  let tried_one = -1;
  let behind_tried = place;
  for (const step of $range(1, length)) {
    const index = entries[place]!;
    place = place + 1 < length ? place + 1 : 0;
    if (seen[index] !== search) {
      seen[index] = search;
      unseen -= 1;
      if (is_open(field, index)) {
        if (field.tried[index] !== stamp) {
          turn.next = place;
          return index;
        }
        if (tried_one < 0) {
          tried_one = index;
          behind_tried = place;
        }
      }
      if (unseen === 0) {
        break;
      }
    }
    if (step === count && !is_more_ahead(field, turn, stamp, tried_one >= 0)) {
      break;
    }
  }
  turn.next = behind_tried;
  return tried_one;
}

/**
 * The endpoint whose turn is next among those that can take a request and that the request with this stamp hasn't tried (see
 * `Field.tried`); if there are none, among those that it has. Returns its index, or -1 if no endpoint can take a request.
 */
function pick_round_robin(field: Field, turn: Turn, stamp: number): number {
  const { entries, length } = turn.schedule;
  const place = turn.next;
  if (length === 0) {
    return -1;
  }
  const index = entries[place]!;
  if (field.tried[index] !== stamp && is_open(field, index)) {
    turn.next = place + 1 < length ? place + 1 : 0;
    return index;
  }
  return search_on(field, turn, stamp);
}

export { new_turn, pick_round_robin };
export type { Turn };
