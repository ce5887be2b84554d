/**
 * The order in which endpoints take turns: each stands in it as often as its weight says, and its turns are spread as evenly as
 * nginx's smooth weighted round robin spreads them. That algorithm adds its weight to each endpoint at every turn, takes the one
 * that has most, the first one of several, and subtracts the sum of all weights from it. After as many turns as the sum it begins
 * anew: so it is run once, when a pool is built, and a pick only reads.
 *
 * Endpoints of the same weight always take their turns one after another. So only one of each weight has to be compared, the one
 * that comes next: as many as there are different weights, which in a schedule of the greatest length are at most 361.
 */

import * as ffi from "ffi";

interface Schedule {
  /** How many turns there are. */
  length: number;
  /** By turn: the endpoint's index. */
  entries: Int32Buffer;
  /** By turn: the endpoint that comes next in the schedule and is another; the same one if there is only one. */
  others: Int32Buffer;
}

/** Above: the weights are scaled down to this sum, to whole numbers and none below 1, so the shares are then near to those asked for. */
const MOST_TURNS = 65536;
const MOST_WEIGHT = 1000;
/** How often the range in which the scaling factor lies is halved: enough for the sum to be as large as it can be. */
const SCALE_STEPS = 32;

/** So many integers, all 0. */
function integers(count: number): Int32Buffer {
  return ffi.new<Int32Buffer>("int32_t[?]", count);
}

function greatest_common_divisor(one: number, two: number): number {
  let greater = one;
  let smaller = two;
  while (smaller !== 0) {
    const rest = greater % smaller;
    greater = smaller;
    smaller = rest;
  }
  return greater;
}

/** Divides weights by what divides them all. */
function reduce(weights: Int32Buffer, count: number): void {
  let divisor = 0;
  for (const index of $range(0, count - 1)) {
    divisor = greatest_common_divisor(weights[index]!, divisor);
  }
  for (const index of $range(0, count - 1)) {
    weights[index] = weights[index]! / divisor;
  }
}

function scaled(weight: number, factor: number): number {
  return math.max(1, math.floor(weight * factor + 0.5));
}

function scaled_sum(weights: Int32Buffer, count: number, factor: number): number {
  let sum = 0;
  for (const index of $range(0, count - 1)) {
    sum += scaled(weights[index]!, factor);
  }
  return sum;
}

/** Scales weights by the greatest factor, at most 1, with which their sum is not above MOST_TURNS. */
function scale_down(weights: Int32Buffer, count: number): void {
  if (scaled_sum(weights, count, 1) <= MOST_TURNS) {
    return;
  }
  let fits = 0;
  let exceeds = 1;
  for (const _ of $range(1, SCALE_STEPS)) {
    const middle = (fits + exceeds) / 2;
    if (scaled_sum(weights, count, middle) <= MOST_TURNS) {
      fits = middle;
    } else {
      exceeds = middle;
    }
  }
  for (const index of $range(0, count - 1)) {
    weights[index] = scaled(weights[index]!, fits);
  }
}

/** The weights that the turns are given by: the same shares in the smallest numbers, or nearly the same ones. */
function turns_of(weights: Int32Buffer, count: number): Int32Buffer {
  const turns = integers(count);
  ffi.copy(turns, weights, count * 4);
  reduce(turns, count);
  scale_down(turns, count);
  reduce(turns, count);
  return turns;
}

/** The endpoints by weight. */
interface Groups {
  count: number;
  /** By group: the weight, its first endpoint, the one whose turn is next, and what that one has. */
  weights: Int32Buffer;
  first: Int32Buffer;
  next: Int32Buffer;
  current: Int32Buffer;
  /** By endpoint: the next one of its weight, -1 behind the last. */
  following: Int32Buffer;
}

function group_by_weight(weights: Int32Buffer, count: number): Groups {
  const by_weight = integers(MOST_WEIGHT + 1);
  ffi.fill(by_weight, (MOST_WEIGHT + 1) * 4, 0xff);
  const following = integers(count);
  for (const index of $range(count - 1, 0, -1)) {
    following[index] = by_weight[weights[index]!]!;
    by_weight[weights[index]!] = index;
  }
  const groups: Groups = {
    count: 0,
    weights: integers(MOST_WEIGHT),
    first: integers(MOST_WEIGHT),
    next: integers(MOST_WEIGHT),
    current: integers(MOST_WEIGHT),
    following,
  };
  for (const weight of $range(1, MOST_WEIGHT)) {
    if (by_weight[weight] !== -1) {
      groups.weights[groups.count] = weight;
      groups.first[groups.count] = by_weight[weight]!;
      groups.next[groups.count] = by_weight[weight]!;
      groups.count += 1;
    }
  }
  return groups;
}

/** Adds its weight to each group. Returns the one whose endpoint has most: of several, the one that comes first. */
function take_turn(groups: Groups): number {
  const { weights, next, current } = groups;
  let best = 0;
  let most = current[0]! + weights[0]!;
  current[0] = most;
  for (const group of $range(1, groups.count - 1)) {
    const has = current[group]! + weights[group]!;
    current[group] = has;
    if (has > most || (has === most && next[group]! < next[best]!)) {
      best = group;
      most = has;
    }
  }
  return best;
}

function fill_entries(entries: Int32Buffer, length: number, groups: Groups): void {
  const { first, next, current, following } = groups;
  for (const turn of $range(0, length - 1)) {
    const group = take_turn(groups);
    const index = next[group]!;
    entries[turn] = index;
    if (following[index] === -1) {
      // All of this weight had a turn: the sum has been subtracted from each of them.
      next[group] = first[group]!;
      current[group] = current[group]! - length;
    } else {
      next[group] = following[index]!;
    }
  }
}

/** Fills in, from the end, which other endpoint comes next. The last one looks on from the beginning. */
function fill_others(others: Int32Buffer, entries: Int32Buffer, length: number): void {
  const first = entries[0]!;
  let ahead = 0;
  while (ahead < length - 1 && entries[ahead] === first) {
    ahead += 1;
  }
  // The next turn's endpoint, and the first one ahead that isn't that.
  let next = first;
  let other = entries[ahead]!;
  for (const turn of $range(length - 1, 0, -1)) {
    const index = entries[turn]!;
    if (index !== next) {
      other = next;
      next = index;
    }
    others[turn] = other;
  }
}

/**
 * Builds the schedule of so many endpoints, at most 65,536, with these weights, integers from 1 to 1,000. It has as many turns as
 * the sum of the weights divided by their greatest common divisor; where that is more than 65,536, the weights are scaled down
 * (see MOST_TURNS). Without endpoints it is empty. Takes up to some tens of milliseconds.
 */
function build_schedule(weights: Int32Buffer, count: number): Schedule {
  if (count === 0) {
    return { length: 0, entries: integers(0), others: integers(0) };
  }
  const turns = turns_of(weights, count);
  const length = scaled_sum(turns, count, 1);
  const entries = integers(length);
  const others = integers(length);
  fill_entries(entries, length, group_by_weight(turns, count));
  fill_others(others, entries, length);
  return { length, entries, others };
}

export { MOST_TURNS, build_schedule, integers };
export type { Schedule };
