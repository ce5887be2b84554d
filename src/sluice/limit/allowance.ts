/**
 * What a tenant has free of a model in each period: so many tokens, or so many requests. A request is given what is left of it when it
 * is admitted, as much as it may need; what it has not used in the end is given back. So a hundred requests at once can't all
 * have the last free one.
 */

import { Unit } from "./scope";
import type { Reservation } from "./reservation";

/** How far the tokens of a prompt may be beyond their estimate: a share of it, and what a chat's template adds. */
const PROMPT_MARGIN = 0.5;
const TEMPLATE_TOKENS = 100;

/** How much of the allowance a request could use. It must have one. Too much comes back; of what is too little the client would have to pay. */
function most_free(reservation: Reservation): number {
  const { output_tokens, prompt_tokens } = reservation;
  if (reservation.allowance!.budget!.unit === Unit.Requests) {
    return 1;
  }
  return prompt_tokens + output_tokens + math.floor(prompt_tokens * PROMPT_MARGIN) + TEMPLATE_TOKENS;
}

/** How many of a request's tokens cost nothing: `math.huge`, if it is free as a whole. */
function free_tokens(reservation: Reservation): number {
  const { allowance, elsewhere, free } = reservation;
  if (allowance === undefined || elsewhere || free <= 0) {
    return 0;
  }
  return allowance.budget!.unit === Unit.Requests ? math.huge : free;
}

/** How much of the allowance a request has used that is charged for so many tokens. */
function used_free(reservation: Reservation, tokens: number): number {
  const { allowance, elsewhere, free } = reservation;
  if (allowance === undefined || elsewhere) {
    return 0;
  }
  return allowance.budget!.unit === Unit.Requests ? free : math.min(free, tokens);
}

export { free_tokens, most_free, used_free };
