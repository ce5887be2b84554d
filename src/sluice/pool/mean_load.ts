/**
 * How many requests a pool's endpoints have under way for their weight, nearly: a pick must not ask a thousand of them. All are asked once
 * a second, and two at each pick, in turn; in between the numbers of the last look stand. Endpoints that can't be used
 * don't count.
 */

import { integers } from "./schedule";
import type { Field } from "./field";

interface MeanLoad {
  /** By endpoint: what was under way there, and its weight, 0 if it could not be used. */
  running: Int32Buffer;
  weights: Int32Buffer;
  /** Their sums. */
  total: number;
  weight: number;
  /** The endpoint that is next, and when all are, in seconds. */
  next: number;
  all_at: number;
}

const ALL_SECONDS = 1;
const LOOKS = 2;

function new_mean(count: number): MeanLoad {
  return { running: integers(count), weights: integers(count), total: 0, weight: 0, next: 0, all_at: -math.huge };
}

/** Notes what an endpoint of that weight has under way. */
function note(mean: MeanLoad, index: number, running: number, weight: number): void {
  mean.total += running - mean.running[index]!;
  mean.weight += weight - mean.weights[index]!;
  mean.running[index] = running;
  mean.weights[index] = weight;
}

/** Looks at one endpoint. */
function look_at(mean: MeanLoad, field: Field, index: number): void {
  if (field.usable[index] !== 0) {
    note(mean, index, field.in_flight(index), field.weights[index]!);
  } else {
    note(mean, index, 0, 0);
  }
}

function look_at_all(mean: MeanLoad, field: Field): void {
  for (const index of $range(0, field.count - 1)) {
    look_at(mean, field, index);
  }
}

/**
 * The requests under way by weight. The caller has just looked at the endpoint with that `index`, which is usable and has so many `running`.
 * `now` in seconds, on a clock that only goes forward.
 */
function mean_load(mean: MeanLoad, field: Field, index: number, running: number, now: number): number {
  if (now >= mean.all_at) {
    mean.all_at = now + ALL_SECONDS;
    look_at_all(mean, field);
  } else {
    for (const _ of $range(1, LOOKS)) {
      look_at(mean, field, mean.next);
      mean.next = mean.next + 1 < field.count ? mean.next + 1 : 0;
    }
  }
  note(mean, index, running, field.weights[index]!);
  return mean.total / mean.weight;
}

export { mean_load, new_mean };
export type { MeanLoad };
