/** What a request takes of the limits when it is admitted, and gives back or is charged when it has ended. */

import { ABSENT, lasting } from "../wire/lasting_record";
import type { Price } from "../ledger/price";
import type { Scope } from "./scope";

/** What the client is told of the limits of one measure: the one of which least is left. */
interface Standing {
  /** −1: there is no limit. */
  limit: number;
  remaining: number;
  /** Seconds until nothing of it is used any more. */
  reset: number;
}

interface Reservation {
  /** The request's id, where the store has to know it. */
  id: string;
  tenant: Scope | undefined;
  key: Scope | undefined;
  /** What the tenant has free of the model; undefined: nothing. One of these three is there. */
  allowance: Scope | undefined;
  /** When the request arrived, and when it was admitted, in seconds since 1970. */
  arrived: number;
  admitted: number;
  /**
   * Tokens that were reserved of the windows: of the prompt as estimated, and of output at most, or as much as is usual
   * (`is_typical`).
   */
  tokens: number;
  prompt_tokens: number;
  /** The most that may be written: budgets go by that in any case. */
  output_tokens: number;
  is_typical: boolean;
  /** Tokens that were taken of the windows since, as they came, and when that was done last, in seconds since 1970. */
  more_tokens: number;
  more_at: number;
  price: Price | undefined;
  /** How much of the allowance it was given. */
  free: number;
  /** Another model serves the request: what was free is not used, and is given back in the end. */
  elsewhere: boolean;
  /** What it would cost at most, what its input alone costs, and what was reserved for it, in nano-dollars. */
  most_nano_usd: number;
  least_nano_usd: number;
  nano_usd: number;
  /** In the end: tokens used, nano-dollars that they cost, and how much of the allowance was used. */
  used_tokens: number;
  cost_nano_usd: number;
  free_used: number;
  /** It has a place among the concurrent requests of its tenant or its key, and has not given it back. */
  holds_place: boolean;
  /** It has given its place back in the tenant's counters, or the key's, which is to be undone there when it is settled. */
  tenant_returned: boolean;
  key_returned: boolean;
  requests_standing: Standing;
  tokens_standing: Standing;
  /** Another node may hold it: the store has been asked, whatever became of that; and it is known to have admitted it. */
  asked: boolean;
  admitted_elsewhere: boolean;
  /** The request has not begun: what may have been taken for it is to be given back. */
  cancelled: boolean;
  /** What it takes of this node's share of the limits while the store can't be reached. */
  share: Reservation | undefined;
  /** More money that this node has granted it, while the store that counts could not be waited for. */
  extension: Reservation | undefined;
}

function new_reservation(): Reservation {
  return lasting({
    id: "",
    tenant: ABSENT,
    key: ABSENT,
    allowance: ABSENT,
    arrived: 0,
    admitted: 0,
    tokens: 0,
    prompt_tokens: 0,
    output_tokens: 0,
    is_typical: false,
    more_tokens: 0,
    more_at: 0,
    price: ABSENT,
    free: 0,
    elsewhere: false,
    most_nano_usd: 0,
    least_nano_usd: 0,
    nano_usd: 0,
    used_tokens: 0,
    cost_nano_usd: 0,
    free_used: 0,
    holds_place: false,
    tenant_returned: false,
    key_returned: false,
    requests_standing: { limit: -1, remaining: 0, reset: 0 },
    tokens_standing: { limit: -1, remaining: 0, reset: 0 },
    asked: false,
    admitted_elsewhere: false,
    cancelled: false,
    share: ABSENT,
    extension: ABSENT,
  });
}

const idle: Reservation[] = [];
const MOST_IDLE = 256;

/** Whether there may be so many requests at a time only. */
function is_bounded(scope: Scope | undefined): boolean {
  return scope !== undefined && scope.concurrent > 0;
}

/** A reservation for a request of that tenant, with that key and that allowance. Give it back with `return_reservation` when it is settled. */
function take_reservation(tenant: Scope | undefined, key: Scope | undefined, allowance: Scope | undefined, arrived: number): Reservation {
  const reservation = idle.pop() ?? new_reservation();
  reservation.tenant = tenant;
  reservation.key = key;
  reservation.allowance = allowance;
  reservation.arrived = arrived;
  reservation.admitted = arrived;
  reservation.tokens = 0;
  reservation.prompt_tokens = 0;
  reservation.output_tokens = 0;
  reservation.is_typical = false;
  reservation.more_tokens = 0;
  reservation.price = undefined;
  reservation.free = 0;
  reservation.elsewhere = false;
  reservation.most_nano_usd = 0;
  reservation.least_nano_usd = 0;
  reservation.nano_usd = 0;
  reservation.used_tokens = 0;
  reservation.cost_nano_usd = 0;
  reservation.free_used = 0;
  reservation.holds_place = is_bounded(tenant) || is_bounded(key);
  reservation.tenant_returned = false;
  reservation.key_returned = false;
  reservation.requests_standing.limit = -1;
  reservation.tokens_standing.limit = -1;
  reservation.asked = false;
  reservation.admitted_elsewhere = false;
  reservation.cancelled = false;
  reservation.share = undefined;
  reservation.extension = undefined;
  return reservation;
}

/** The first of the scopes that a request belongs to; it has one at least. */
function first_scope(reservation: Reservation): Scope {
  return (reservation.tenant ?? reservation.key ?? reservation.allowance)!;
}

function return_reservation(reservation: Reservation): void {
  reservation.tenant = undefined;
  reservation.key = undefined;
  reservation.allowance = undefined;
  reservation.price = undefined;
  reservation.share = undefined;
  reservation.extension = undefined;
  if (idle.length < MOST_IDLE) {
    idle.push(reservation);
  }
}

export { first_scope, return_reservation, take_reservation };
export type { Reservation, Standing };
