/** What a request takes of the limits when it is admitted, and gives back or is charged when it has ended. */

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
  /** When the request arrived, and when it was admitted, in seconds since 1970. */
  arrived: number;
  admitted: number;
  tokens: number;
  /** What it would cost at most, what its input alone costs, and what was reserved for it, in nano-dollars. */
  most_nano_usd: number;
  least_nano_usd: number;
  nano_usd: number;
  requests_standing: Standing;
  tokens_standing: Standing;
  /** Another node may hold it: the store has been asked, whatever became of that; and it is known to have admitted it. */
  asked: boolean;
  admitted_elsewhere: boolean;
  /** The request has not begun: what may have been taken for it is to be given back. */
  cancelled: boolean;
  /** What it takes of this node's share of the limits while the store can't be reached. */
  share: Reservation | undefined;
}

function new_reservation(): Reservation {
  return {
    id: "",
    tenant: undefined,
    key: undefined,
    arrived: 0,
    admitted: 0,
    tokens: 0,
    most_nano_usd: 0,
    least_nano_usd: 0,
    nano_usd: 0,
    requests_standing: { limit: -1, remaining: 0, reset: 0 },
    tokens_standing: { limit: -1, remaining: 0, reset: 0 },
    asked: false,
    admitted_elsewhere: false,
    cancelled: false,
    share: undefined,
  };
}

const idle: Reservation[] = [];
const MOST_IDLE = 256;

/** A reservation for a request of that tenant and key. Give it back with `return_reservation` when it is settled. */
function take_reservation(tenant: Scope | undefined, key: Scope | undefined, arrived: number): Reservation {
  const reservation = idle.pop() ?? new_reservation();
  reservation.tenant = tenant;
  reservation.key = key;
  reservation.arrived = arrived;
  reservation.admitted = arrived;
  reservation.tokens = 0;
  reservation.most_nano_usd = 0;
  reservation.least_nano_usd = 0;
  reservation.nano_usd = 0;
  reservation.requests_standing.limit = -1;
  reservation.tokens_standing.limit = -1;
  reservation.asked = false;
  reservation.admitted_elsewhere = false;
  reservation.cancelled = false;
  reservation.share = undefined;
  return reservation;
}

function return_reservation(reservation: Reservation): void {
  reservation.tenant = undefined;
  reservation.key = undefined;
  reservation.share = undefined;
  if (idle.length < MOST_IDLE) {
    idle.push(reservation);
  }
}

export { return_reservation, take_reservation };
export type { Reservation, Standing };
