/** What is under way, by nginx worker: part of the counters. */

import type { Counters } from "./counters";

/** Requests under way. */
function running(counters: Counters): number {
  let sum = 0;
  for (const index of $range(0, counters.lease_count - 1)) {
    sum += counters.leases[index]!.running;
  }
  return sum;
}

/** Money, or whatever the scope's budget counts, reserved by requests under way. */
function reserved(counters: Counters): number {
  let sum = 0;
  for (const index of $range(0, counters.lease_count - 1)) {
    sum += counters.leases[index]!.amount;
  }
  return sum;
}

/** The place of a worker's lease; −1: it has none. */
function find_lease(counters: Counters, process: number): number {
  for (const index of $range(0, counters.lease_count - 1)) {
    if (counters.leases[index]!.process === process) {
      return index;
    }
  }
  return -1;
}

/** Adds to what is reserved for a worker's requests. */
function reserve_more(counters: Counters, process: number, amount: number): void {
  const place = find_lease(counters, process);
  if (place >= 0) {
    counters.leases[place]!.amount += amount;
  }
}

/** Adds to the tokens that a worker's requests have taken. */
function lend_tokens(counters: Counters, process: number, tokens: number): void {
  const place = find_lease(counters, process);
  if (place >= 0) {
    counters.leases[place]!.tokens += tokens;
  }
}

/** Gives back what a request had taken: its place among those under way, and what was reserved for it. */
function give_back(counters: Counters, process: number, tokens: number, amount: number): void {
  const place = find_lease(counters, process);
  if (place >= 0) {
    const lease = counters.leases[place]!;
    lease.running = math.max(0, lease.running - 1);
    lease.amount = math.max(0, lease.amount - amount);
    lease.tokens = math.max(0, lease.tokens - tokens);
  }
}

export { find_lease, give_back, lend_tokens, reserve_more, reserved, running };
