/**
 * What the phases need of a store, be it this node's own memory or a Redis that several nodes share.
 *
 * A request's life: `admit`; `return_places`, when its answer has ended; when it has ended itself it is written into its reservation what
 * it has used; `begin_settlement`, then its line is written to the journal, then `settle`.
 */

import type { Verdict } from "./counters";
import type { Reservation } from "./reservation";
import type { Scope } from "./scope";

/** How a tenant stands. */
interface Usage {
  /** Requests under way. */
  running: number;
  /** In nano-dollars: by those under way, and in the present period. */
  reserved: number;
  spent: number;
}

/** @noSelf */
interface LimitStore {
  kind: "memory" | "redis";
  /**
   * Admits a request against all limits of its tenant and key, or refuses it. May wait, if the store is elsewhere. Returns undefined,
   * or the scope that refuses; `last_verdict` then says why.
   */
  admit(reservation: Reservation, now: number): Scope | undefined;
  /**
   * Reserves more money for a request that is under way, at most so much. Returns how much; 0: nothing is left. Never waits, so a store
   * that is elsewhere goes by what it last heard.
   */
  extend(reservation: Reservation, nano_usd: number, now: number): number;
  /**
   * An answer that was admitted with what is usual has passed that: takes so many tokens more of the windows, into debt if they
   * are full, and adds them to the reservation's. Never waits.
   */
  take_more(reservation: Reservation, tokens: number, now: number): void;
  last_verdict(): Verdict;
  /**
   * Gives a request's places among the concurrent requests back, of its tenant and its key, for this node's clients at least. To be
   * called once, or not at all: then they are given back by `settle`. Never waits.
   */
  return_places(reservation: Reservation): void;
  /** What is written to the journal from here to `settle` belongs to the same change. Returns whether `settle` may be called. */
  begin_settlement(reservation: Reservation): boolean;
  /**
   * Settles a request. `file` and `offset`: the journal's inode, and where it ends
   * behind the request's line; 0 if there is none. Returns a bit for each of the tenant's alerts that is due, as far as that is
   * known at once.
   */
  settle(reservation: Reservation, now: number, file: number, offset: number): number;
  /** What has been spent of a scope's budget in the present period, as far as this node knows; undefined if it does not. Never waits. */
  spent_of(scope: Scope, now: number): number | undefined;
  /** How a tenant stands; undefined if the store can't be reached. May wait. */
  look_at(scope: Scope, now: number): Usage | undefined;
}

export type { LimitStore, Usage };
