/**
 * The choice of an account: whose credential the next attempt of a request carries.
 *
 * Accounts take turns in the smooth weighted order: each one's claim grows by its weight with every choice, the greatest claim
 * wins, and the winner pays what all have gained. So the turns of an account are as many as its weight says, and as far apart as can
 * be. Every worker counts its own turns. Among equal claims the account goes first that was limited least recently, as far as the last
 * minute tells.
 *
 * An account whose rest is over is tried by a request's first attempt, which leaves the request others to go to; by a later one only
 * if nobody else is free.
 *
 * Times are seconds on a clock that only goes forward and is the same for all workers.
 */

import { NEVER, RECENT_SECONDS, claim_trial, refresh, take_trial } from "./account_states";
import type { Accounts } from "./account_states";

/** The accounts that a request has used, by their place in the pool. To be made once and cleared for each request. */
interface UsedAccounts {
  count: number;
  places: number[];
}

const NO_ACCOUNT = -1;

function new_used(): UsedAccounts {
  return { count: 0, places: [] };
}

/** Forgets them: for the next request, or another pool. */
function clear_used(used: UsedAccounts): void {
  used.count = 0;
}

/** Whether the request has used this account. */
function is_used(used: UsedAccounts, index: number): boolean {
  for (const place of $range(0, used.count - 1)) {
    if (used.places[place] === index) {
      return true;
    }
  }
  return false;
}

/** Says that the request uses this account. */
function mark_used(used: UsedAccounts, index: number): void {
  if (!is_used(used, index)) {
    used.places[used.count] = index;
    used.count += 1;
  }
}

/** The account whose turn it is when there is nothing wrong with any of them. */
function pick_any(accounts: Accounts, first: number, end: number): number {
  const { currents, weights } = accounts;
  let best = NO_ACCOUNT;
  let greatest = -math.huge;
  let total = 0;
  for (const index of $range(first, end - 1)) {
    const weight = weights[index]!;
    const current = currents[index]! + weight;
    currents[index] = current;
    total += weight;
    if (current > greatest) {
      best = index;
      greatest = current;
    }
  }
  if (best !== NO_ACCOUNT) {
    currents[best] = greatest - total;
  }
  return best;
}

/** Whether a request may use an account that it has not used yet, without waiting or trying. */
function is_free(accounts: Accounts, index: number, used: UsedAccounts, now: number): boolean {
  return accounts.rests[index] === 0 && now >= accounts.cools[index]! && !is_used(used, index);
}

/** The account whose turn it is of those that are free; −1: none is. */
function pick_free(accounts: Accounts, used: UsedAccounts, now: number, first: number, end: number): number {
  const { currents, limits, weights } = accounts;
  let best = NO_ACCOUNT;
  let greatest = -math.huge;
  let earliest = NEVER;
  let total = 0;
  for (const index of $range(first, end - 1)) {
    if (is_free(accounts, index, used, now)) {
      const weight = weights[index]!;
      const current = currents[index]! + weight;
      currents[index] = current;
      total += weight;
      const limit = now - limits[index]! < RECENT_SECONDS ? limits[index]! : NEVER;
      if (current > greatest || (current === greatest && limit < earliest)) {
        best = index;
        greatest = current;
        earliest = limit;
      }
    }
  }
  if (best !== NO_ACCOUNT) {
    currents[best] = greatest - total;
  }
  return best;
}

/** Takes the trial of an account whose rest is over. Returns its place and the ticket; −1: there is none to be taken. */
function pick_trial(accounts: Accounts, now: number, first: number, end: number): LuaMultiReturn<[index: number, ticket: number]> {
  for (const index of $range(first, end - 1)) {
    if (accounts.rests[index] !== 0 && now >= accounts.rests[index]!) {
      const ticket = take_trial(accounts, index, now);
      if (ticket !== 0) {
        return $multi(index, ticket);
      }
    }
  }
  return $multi(NO_ACCOUNT, 0);
}

/** The account that is free soonest, used or not; −1: all rest. Of several the one that was not used, or the first. */
function pick_soonest(accounts: Accounts, used: UsedAccounts, now: number, first: number, end: number): number {
  const { cools, rests } = accounts;
  let best = NO_ACCOUNT;
  let soonest = math.huge;
  for (const index of $range(first, end - 1)) {
    const free = math.max(now, cools[index]!);
    if (rests[index] === 0 && (free < soonest || (free === soonest && is_used(used, best) && !is_used(used, index)))) {
      best = index;
      soonest = free;
    }
  }
  return best;
}

/**
 * The account for a request's next attempt: whose turn it is of those that may be used and that it has not used yet. If there is none,
 * the one that may be used soonest, and in how many seconds: 0 if only that the request has used it speaks against it. −1: all rest.
 * A ticket that is not 0 says that the request tries an account whose rest is over; it goes with the outcome. One look into the
 * dictionary while nothing is wrong. `first` and `end`: of which accounts, by their places, if not of all.
 */
function next_account(
  accounts: Accounts,
  used: UsedAccounts,
  now: number,
  first = 0,
  end = accounts.count,
): LuaMultiReturn<[index: number, seconds: number, ticket: number]> {
  refresh(accounts);
  const is_first = used.count === 0;
  if (is_first && now >= accounts.calm) {
    return $multi(pick_any(accounts, first, end), 0, 0);
  }
  if (is_first) {
    const [trial, ticket] = pick_trial(accounts, now, first, end);
    if (trial !== NO_ACCOUNT) {
      return $multi(trial, 0, ticket);
    }
  }
  const free = pick_free(accounts, used, now, first, end);
  if (free !== NO_ACCOUNT) {
    return $multi(free, 0, 0);
  }
  if (!is_first) {
    const [trial, ticket] = pick_trial(accounts, now, first, end);
    if (trial !== NO_ACCOUNT) {
      return $multi(trial, 0, ticket);
    }
  }
  const soonest = pick_soonest(accounts, used, now, first, end);
  if (soonest === NO_ACCOUNT) {
    return $multi(NO_ACCOUNT, 0, 0);
  }
  return $multi(soonest, math.max(0, accounts.cools[soonest]! - now), 0);
}

/**
 * Of accounts that all rest the one that was refused longest ago, for a request that has nobody else: a refusal may have been for one
 * request's sake only. `first` and `end`: of which accounts, if not of all. If nobody else is trying it, this is its trial, and
 * the ticket not 0.
 */
function longest_resting(accounts: Accounts, first = 0, end = accounts.count): LuaMultiReturn<[index: number, ticket: number]> {
  const { rests } = accounts;
  let best = first;
  for (const index of $range(first + 1, end - 1)) {
    if (rests[index]! < rests[best]!) {
      best = index;
    }
  }
  return $multi(best, claim_trial(accounts, best));
}

/** Whether the request could go on at once with an account that it has not used yet. */
function has_other_account(accounts: Accounts, used: UsedAccounts, now: number): boolean {
  refresh(accounts);
  for (const index of $range(0, accounts.count - 1)) {
    if (is_free(accounts, index, used, now)) {
      return true;
    }
  }
  return false;
}

export { clear_used, has_other_account, is_used, longest_resting, mark_used, new_used, next_account };
export type { UsedAccounts };
