/**
 * Reasoning that one message tells twice is counted once: vLLM can send the same text as `reasoning` and as
 * `reasoning_content`, for clients that know only one of the names.
 *
 * What is kept of a text is its length and what it was counted for, and whose member it was. Two members of one object that
 * agree in both are taken for the same text.
 */

import type { Estimate } from "./estimate";
import type { WalkState } from "./json";

interface Reasoning {
  /** A string of it has begun, at which place of the shape; and how much had been counted before it. */
  open: boolean;
  place: number;
  cost: number;
  characters: number;
  /** The object that the last one stood in, by its number in the document (0: none), and what was counted for it. */
  object: number;
  last_place: number;
  last_cost: number;
  last_characters: number;
}

function new_reasoning(): Reasoning {
  return { open: false, place: 0, cost: 0, characters: 0, object: 0, last_place: 0, last_cost: 0, last_characters: 0 };
}

/** A string begins that the estimate will count. `place`: its place in the shape. */
function begin_reasoning(reasoning: Reasoning, estimate: Estimate, place: number): void {
  reasoning.open = true;
  reasoning.place = place;
  reasoning.cost = estimate.cost;
  reasoning.characters = estimate.characters;
}

/** That string has ended: takes it back out of the estimate if the same has been counted already. */
function end_reasoning(reasoning: Reasoning, estimate: Estimate, state: WalkState): void {
  reasoning.open = false;
  const object = state.levels_serial[state.depth]!;
  const cost = estimate.cost - reasoning.cost;
  const characters = estimate.characters - reasoning.characters;
  const twice = object > 0 && object === reasoning.object && reasoning.place !== reasoning.last_place;
  if (twice && cost === reasoning.last_cost && characters === reasoning.last_characters) {
    estimate.cost = reasoning.cost;
    estimate.characters = reasoning.characters;
    return;
  }
  reasoning.object = object;
  reasoning.last_place = reasoning.place;
  reasoning.last_cost = cost;
  reasoning.last_characters = characters;
}

export { begin_reasoning, end_reasoning, new_reasoning };
export type { Reasoning };
