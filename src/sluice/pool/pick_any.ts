/**
 * The last resort of a pick: looks at all endpoints, when so few can be used that samples found none.
 *
 * Taking the first one from a random place would not do: of endpoints that stand side by side in the configuration, all others being
 * down, the foremost would get nearly everything. So two are drawn by weight among those that are left, and only if these are full
 * the first one is taken that isn't.
 */

import { is_open, running_if_open } from "./field";
import { lighter_one } from "./load";
import type { Field } from "./field";

/** The weight of all endpoints that are usable and not tried; they may be full. */
function weight_left(field: Field, stamp: number): number {
  const { tried, usable, weights } = field;
  let sum = 0;
  for (const index of $range(0, field.count - 1)) {
    if (usable[index] !== 0 && tried[index] !== stamp) {
      sum += weights[index]!;
    }
  }
  return sum;
}

/** The endpoint where the weights of those that are left, except one of them, added up in their order, exceed `weight`. */
function endpoint_at(field: Field, stamp: number, weight: number, except: number): number {
  const { tried, usable, weights } = field;
  let rest = weight;
  let last = except;
  for (const index of $range(0, field.count - 1)) {
    if (usable[index] !== 0 && tried[index] !== stamp && index !== except) {
      rest -= weights[index]!;
      last = index;
      if (rest < 0) {
        break;
      }
    }
  }
  return last;
}

/** The lighter one of two endpoints drawn by weight among those that are left; -1 if these are full. `sum`: of their weights. */
function draw(field: Field, stamp: number, sum: number, random1: number, random2: number): number {
  const first = endpoint_at(field, stamp, random1 * sum, -1);
  const second = endpoint_at(field, stamp, random2 * (sum - field.weights[first]!), first);
  const first_running = running_if_open(field, first, stamp);
  const second_running = running_if_open(field, second, stamp);
  if (first_running < 0) {
    return second_running < 0 ? -1 : second;
  }
  return second_running < 0 ? first : lighter_one(field, first, first_running, second, second_running);
}

/** The first endpoint from `start` on that can take a request; one that was tried only if there is no other. -1: none can. */
function first_open(field: Field, stamp: number, start: number): number {
  const { count, tried } = field;
  let tried_one = -1;
  let index = start;
  for (const _ of $range(1, count)) {
    if (is_open(field, index)) {
      if (tried[index] !== stamp) {
        return index;
      }
      if (tried_one < 0) {
        tried_one = index;
      }
    }
    index = index + 1 < count ? index + 1 : 0;
  }
  return tried_one;
}

/**
 * An endpoint that can take a request; one that the request with this stamp has tried only if there is no other. The random numbers
 * are from 0 to below 1. Returns its index, or -1 if no endpoint can.
 */
function pick_any(field: Field, stamp: number, random1: number, random2: number): number {
  const sum = weight_left(field, stamp);
  const drawn = sum > 0 ? draw(field, stamp, sum, random1, random2) : -1;
  return drawn >= 0 ? drawn : first_open(field, stamp, math.floor(random1 * field.count));
}

export { pick_any };
