/**
 * Picks the less loaded of two endpoints that are drawn at random by weight: nearly as good as the least loaded of all, without
 * asking all, and without all workers running to the same one (Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing", 1996).
 *
 * Where an endpoint can't be used, a few others are drawn in its place, and only if none of them can be used, all are looked at.
 */

import { running_if_open } from "./field";
import { lighter_one } from "./load";
import { pick_any } from "./pick_any";
import type { Field } from "./field";
import type { Schedule } from "./schedule";

const floor = math.floor;

/** How many are drawn, at most, in place of the first two. With half of the endpoints down, one in 256 picks looks at all of them. */
const MORE_DRAWS = 6;
/**
 * The generator that further draws come from (Park and Miller, "Random Number Generators: Good Ones Are Hard to Find", 1988). Steps
 * of one width through the schedule would not do: every other endpoint may be down, and a step lead from one such to the next.
 */
const MULTIPLIER = 16807;
const MODULUS = 2147483647;

/** Draws more endpoints. `found`: the one of the first two that can be used, if any, and what it has under way; else -1. */
function draw_more(field: Field, schedule: Schedule, stamp: number, random1: number, random2: number, found: number, found_running: number): number {
  const { entries, length, others } = schedule;
  let first = found;
  let first_running = found_running;
  let state = floor(random2 * (MODULUS - 1)) + 1;
  for (const _ of $range(1, MORE_DRAWS)) {
    state = (state * MULTIPLIER) % MODULUS;
    const place = floor((state / MODULUS) * length);
    const drawn = entries[place]!;
    const index = drawn === first ? others[place]! : drawn;
    const running = running_if_open(field, index, stamp);
    if (running >= 0) {
      if (first >= 0) {
        return lighter_one(field, first, first_running, index, running);
      }
      first = index;
      first_running = running;
    }
  }
  return first >= 0 ? first : pick_any(field, stamp, random1, random2);
}

/**
 * The less loaded (see `lighter_one`) of two endpoints that can take a request and that the request with this stamp hasn't tried
 * (see `Field.tried`); one that it has tried only if there is no other. The random numbers are from 0 to below 1 and decide which
 * two. `schedule` is that of the field's weights. Returns its index, or -1 if no endpoint can take a request.
 */
function pick_least_load(field: Field, schedule: Schedule, stamp: number, random1: number, random2: number): number {
  const { entries, length } = schedule;
  if (length === 0) {
    return -1;
  }
  const first = entries[floor(random1 * length)]!;
  const place = floor(random2 * length);
  let second = entries[place]!;
  if (second === first) {
    second = schedule.others[place]!;
  }
  const first_running = running_if_open(field, first, stamp);
  const second_running = running_if_open(field, second, stamp);
  if (first_running >= 0 && second_running >= 0) {
    return lighter_one(field, first, first_running, second, second_running);
  }
  if (first_running >= 0) {
    return draw_more(field, schedule, stamp, random1, random2, first, first_running);
  }
  return draw_more(field, schedule, stamp, random1, random2, second_running >= 0 ? second : -1, second_running);
}

export { pick_least_load };
