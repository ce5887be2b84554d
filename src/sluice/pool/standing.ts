/**
 * How an endpoint stands, for all that asking it has shown: whether it takes requests, has been taken away because it isn't well, or has
 * to be warmed up before it takes any.
 *
 * It begins as one that takes requests, so that a start refuses nobody while nothing is known; or as a cold one, if it has to be
 * warmed up. Bad answers in a row take it away, good ones bring it back: at once, or by way of being warmed up, for what was away has
 * probably been started anew.
 *
 *     takes requests ── `unhealthy` bad answers ──► down ── `healthy` good ones ──► takes requests, or cold
 *     cold ── warmed up ──► takes requests                cold ── `unhealthy` bad answers ──► down
 *
 * An endpoint's place in this is one number, for the dictionary that all workers share: DOWN, COLD, or the time since when it takes
 * requests, 0 for one that has always done so. Times are seconds on a clock that only goes forward and is the same for all workers.
 */

interface Rules {
  /** So many good answers in a row bring it back; so many bad ones take it away, 0 if it isn't asked. */
  healthy: number;
  unhealthy: number;
  /** Whether it has to be warmed up. */
  needs_warmth: boolean;
}

interface Standing {
  /** DOWN, COLD, or since when it takes requests. */
  place: number;
  /** How many answers in a row have been against the present place. */
  streak: number;
  /** Raised whenever it gets cold: what warmed it up before counts no more. */
  round: number;
}

const ALWAYS = 0;
const DOWN = -1;
const COLD = -2;

/** Where an endpoint begins of which nothing is known. */
function first_place(rules: Rules): number {
  return rules.needs_warmth ? COLD : ALWAYS;
}

/** Whether an endpoint takes requests. What the rules don't ask for doesn't keep it from that. */
function takes_requests(place: number, rules: Rules): boolean {
  return place >= 0 || (place === DOWN ? rules.unhealthy === 0 && !rules.needs_warmth : !rules.needs_warmth);
}

/** Puts an endpoint where it belongs by rules that may be others than before. Returns whether that changes its place. */
function settle(standing: Standing, rules: Rules, now: number): boolean {
  const before = standing.place;
  if (standing.place === DOWN && rules.unhealthy === 0) {
    standing.place = rules.needs_warmth ? COLD : now;
  }
  if (standing.place === COLD && !rules.needs_warmth) {
    standing.place = now;
  }
  if (standing.place !== before) {
    standing.streak = 0;
    standing.round += 1;
  }
  return standing.place !== before;
}

/** `place`: what is known of it from before, if anything is. */
function new_standing(place: number | undefined, rules: Rules): Standing {
  return { place: place ?? first_place(rules), streak: 0, round: 0 };
}

/** It has been asked whether it is well. Returns whether that changes its place. */
function note_answer(standing: Standing, rules: Rules, good: boolean, now: number): boolean {
  const is_down = standing.place === DOWN;
  if (good !== is_down) {
    standing.streak = 0;
    return false;
  }
  standing.streak += 1;
  if (standing.streak < (is_down ? rules.healthy : rules.unhealthy)) {
    return false;
  }
  standing.streak = 0;
  if (!is_down) {
    standing.place = DOWN;
    return true;
  }
  standing.round += 1;
  standing.place = rules.needs_warmth ? COLD : now;
  return true;
}

/** It has been warmed up. `round`: the standing's when that began. Returns whether it takes requests from now on. */
function note_warm(standing: Standing, round: number, now: number): boolean {
  if (standing.place !== COLD || standing.round !== round) {
    return false;
  }
  standing.place = now;
  standing.streak = 0;
  return true;
}

export { ALWAYS, COLD, DOWN, first_place, new_standing, note_answer, note_warm, settle, takes_requests };
export type { Rules, Standing };
