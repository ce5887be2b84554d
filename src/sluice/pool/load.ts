/** Which of two endpoints has less to do. */

import type { Field } from "./field";

/** Loads are alike if the greater one is at most this many times the smaller one. */
const ALIKE = 1.1;

/**
 * The one of two endpoints that a request should go to. `first_running`, `second_running`: how many requests they have under way.
 *
 * A load is a number of requests, the one that is to come included, by the endpoint's weight. Where both endpoints say how many
 * requests wait in their queues, those count too: they may have come from others. If their loads are then alike, it goes to the one
 * whose KV cache is less in use, should both say that. All else being equal it goes to the first one.
 */
function lighter_one(field: Field, first: number, first_running: number, second: number, second_running: number): number {
  const first_weight = field.weights[first]!;
  const second_weight = field.weights[second]!;
  const first_waiting = field.waiting(first);
  const second_waiting = field.waiting(second);
  if (first_waiting < 0 || second_waiting < 0) {
    return (second_running + 1) / second_weight < (first_running + 1) / first_weight ? second : first;
  }
  const first_load = (first_waiting + first_running + 1) / first_weight;
  const second_load = (second_waiting + second_running + 1) / second_weight;
  if (first_load <= second_load * ALIKE && second_load <= first_load * ALIKE) {
    const first_cache = field.cache(first);
    const second_cache = field.cache(second);
    if (first_cache >= 0 && second_cache >= 0 && first_cache !== second_cache) {
      return second_cache < first_cache ? second : first;
    }
  }
  return second_load < first_load ? second : first;
}

export { lighter_one };
