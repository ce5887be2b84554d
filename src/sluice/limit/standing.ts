/** How far a request's caller is from its limits: what the headers of the answer tell. */

import { Measure } from "./scope";
import { seconds_until_empty, used } from "./window";
import type { Counters } from "./counters";
import type { Reservation, Standing } from "./reservation";
import type { Scope } from "./scope";

/** Notes how a limit stands, if less is left of it than of the one that was noted before. */
function note_standing(standing: Standing, limit: number, remaining: number, reset: number): void {
  if (standing.limit < 0 || remaining < standing.remaining) {
    standing.limit = limit;
    standing.remaining = remaining;
    standing.reset = reset;
  }
}

/** Notes how a scope's limits stand. The counters must have been brought up. */
function note_standings(reservation: Reservation, scope: Scope, counters: Counters, now: number): void {
  for (const index of $range(0, scope.windows.length - 1)) {
    const window = counters.windows[index]!;
    const { limit } = scope.windows[index]!;
    const remaining = math.max(0, math.floor(limit - used(window, now)));
    const standing = window.measure === (Measure.Requests as number) ? reservation.requests_standing : reservation.tokens_standing;
    note_standing(standing, limit, remaining, seconds_until_empty(window, now));
  }
}

function copy_standing(from: Standing, to: Standing): void {
  to.limit = from.limit;
  to.remaining = from.remaining;
  to.reset = from.reset;
}

/** Takes over what another reservation has noted. */
function copy_standings(from: Reservation, to: Reservation): void {
  copy_standing(from.requests_standing, to.requests_standing);
  copy_standing(from.tokens_standing, to.tokens_standing);
}

export { copy_standings, note_standings };
