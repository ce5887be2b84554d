/**
 * What a worker knows of a pool's endpoints and accounts while requests run: made once for each configuration, from what all workers
 * share.
 *
 * An endpoint whose breaker keeps requests away, or that isn't well (see knowledge.ts), is out of the picks until it is looked at again, a few times a second. So a pick looks
 * at no breaker but that of the endpoint that it has chosen (see pick_endpoint.ts).
 */

import { new_accounts } from "./account_states";
import { new_breaker } from "./breaker_state";
import { Permission, may_try } from "./breaker_trial";
import { give, in_flight } from "./flights";
import { new_knowledge, refresh_knowledge } from "./knowledge";
import { new_affinity } from "./pick_prefix";
import { new_turn } from "./pick_round_robin";
import { new_queue } from "./queue";
import { integers } from "./schedule";
import type { SharedStore } from "../metrics/aggregate";
import type { Accounts } from "./account_states";
import type { Breaker } from "./breaker_state";
import type { Field } from "./field";
import type { Flights } from "./flights";
import type { Affinity } from "./pick_prefix";
import type { PrefixMemory } from "./prefix_memory";
import type { Knowledge } from "./knowledge";
import type { Turn } from "./pick_round_robin";
import type { Endpoint, Pool } from "./pools";
import type { Queue } from "./queue";

interface LivePool {
  field: Field;
  turn: Turn;
  breakers: Breaker[];
  accounts: Accounts;
  flights: Flights;
  /** This worker's requests that wait for a place; and what all workers' are counted under. */
  queue: Queue<unknown>;
  queue_key: string;
  /** Undefined: the pool doesn't follow conversations. */
  affinity: Affinity | undefined;
  /** What asking the endpoints has shown; undefined: nobody asks them. */
  knowledge: Knowledge | undefined;
  /** How many endpoints are not usable, and when they are looked at again. */
  unusable: number;
  look_again: number;
  stamp: number;
}

/** Seconds between two looks at endpoints that are not usable. */
const LOOK_SECONDS = 0.2;

function unknown(this: void): number {
  return -1;
}

/**
 * Makes what a worker knows of a pool. `secrets`: what the accounts' states are kept under, which should change with their secrets.
 * `start`: where this worker begins its turns, 0 to below 1. `seconds`: how long a request may take until its outcome is known. `memory`: who
 * met which conversation.
 */
function make_live(pool: Pool, store: SharedStore, flights: Flights, secrets: string[], start: number, seconds: number, memory?: PrefixMemory): LivePool {
  const { endpoints, most, schedule, weights } = pool;
  const follows = pool.balance === "prefix" || pool.session_header !== undefined;
  const count = endpoints.length;
  const usable = integers(count);
  const breakers: Breaker[] = [];
  const account_weights: number[] = [];
  const knowledge = pool.watching && new_knowledge(store, pool.name, endpoints, pool.watching, integers(count));
  // A check may be late by its own time, and come a tenth of the interval later than planned.
  const health = pool.watching?.health;
  const check_seconds = health !== undefined ? 2 * health.interval + health.timeout : 0;
  for (const { index, key } of endpoints) {
    usable[index] = 1;
    breakers.push(new_breaker(flights.worker, key, pool.breaker, seconds, check_seconds));
  }
  for (const { weight } of pool.accounts) {
    account_weights.push(weight);
  }
  return {
    field: {
      count, weights, usable, most, tried: integers(count),
      in_flight: (index) => in_flight(flights, endpoints[index]!.key),
      waiting: knowledge !== undefined ? (index) => knowledge.waitings[index]! : unknown,
      cache: knowledge !== undefined ? (index) => knowledge.caches[index]! : unknown,
    },
    turn: new_turn(schedule, count, start),
    breakers,
    accounts: new_accounts(store, pool.name, secrets, account_weights, seconds),
    flights,
    queue: new_queue(),
    queue_key: `queue ${pool.name}`,
    affinity: follows && memory !== undefined ? new_affinity(memory, pool.seed, pool.ids, pool.index_of, count) : undefined,
    knowledge,
    unusable: 0,
    look_again: 0,
    stamp: 0,
  };
}

/** Looks again at the endpoints that are not usable; and whether asking them has shown anything new. */
function look_again(live: LivePool, now: number): void {
  const { breakers, field, knowledge } = live;
  live.look_again = now + LOOK_SECONDS;
  live.unusable = 0;
  if (knowledge !== undefined) {
    refresh_knowledge(knowledge, now);
  }
  for (const index of $range(0, field.count - 1)) {
    if (knowledge !== undefined && knowledge.allowed[index] === 0) {
      field.usable[index] = 0;
      live.unusable += 1;
    } else if (field.usable[index] === 0) {
      if (may_try(breakers[index]!, now) === Permission.No) {
        live.unusable += 1;
      } else {
        field.usable[index] = 1;
      }
    }
  }
}

/** Gives an endpoint back. */
function leave_endpoint(live: LivePool, endpoint: Endpoint): void {
  give(live.flights, endpoint.key);
}

export { LOOK_SECONDS, leave_endpoint, look_again, make_live };
export type { LivePool };
