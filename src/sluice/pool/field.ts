/**
 * How the endpoints of a pool stand, as a pick sees them. Others keep it up to date; a pick only reads it.
 *
 * An endpoint is an index from 0. What is the same for many picks lies in arrays of integers; what may cost a look into a shared
 * dictionary is a function, and asked of the few endpoints that come into question.
 */

interface Field {
  /** How many endpoints there are. */
  count: number;
  /** By index: its share of the requests, 1 to 1,000. */
  weights: Int32Buffer;
  /** By index: 1 if it is healthy and its breaker lets requests through, else 0. */
  usable: Int32Buffer;
  /** By index: how many requests it may have under way, from all workers together; 0: any number. */
  most: Int32Buffer;
  /**
   * By index: the stamp of the pick that must avoid it, because its request tried it already. A stamp is an integer from 1 to
   * 2^31 - 1. Requests overwrite each other's: so whoever picks takes a new stamp for each attempt and, right before, writes it to
   * the endpoints which the request has tried.
   */
  tried: Int32Buffer;
  /** How many requests it has under way from this machine. */
  in_flight: (this: void, index: number) => number;
  /** How many requests wait in its own queue, as it said itself; -1: not known, or said too long ago. */
  waiting: (this: void, index: number) => number;
  /** How much of its KV cache is in use, 0 to 1, as it said itself; -1: not known, or said too long ago. */
  cache: (this: void, index: number) => number;
}

/** Whether an endpoint can take one more request. */
function is_open(field: Field, index: number): boolean {
  if (field.usable[index] === 0) {
    return false;
  }
  const most = field.most[index]!;
  return most === 0 || field.in_flight(index) < most;
}

/** How many requests an endpoint has under way; -1 if it can't take one more, or was tried already by the request with this stamp. */
function running_if_open(field: Field, index: number, stamp: number): number {
  if (field.usable[index] === 0 || field.tried[index] === stamp) {
    return -1;
  }
  const running = field.in_flight(index);
  const most = field.most[index]!;
  return most === 0 || running < most ? running : -1;
}

export { is_open, running_if_open };
export type { Field };
