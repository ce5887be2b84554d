/**
 * Picks the endpoint that a request goes to, and takes it for that. A request that finds no endpoint which works, or none but such as have
 * failed it, may go to one whose breaker is open, if its caller has met no failure there.
 */

import { Entry, enter, may_enter } from "./breaker_guests";
import { Permission, drop_ticket, may_try, must_wait, take_trial } from "./breaker_trial";
import { mark_of } from "./caller";
import { remember } from "./conversation";
import { running_if_open } from "./field";
import { take } from "./flights";
import { LOOK_SECONDS, look_again } from "./live";
import { pick_least_load } from "./pick_least_load";
import { pick_prefix } from "./pick_prefix";
import { pick_round_robin } from "./pick_round_robin";
import { hold_back } from "./slow_start";
import type { Caller } from "./caller";
import type { Conversation } from "./conversation";
import type { LivePool } from "./live";
import type { Endpoint, Pool } from "./pools";

/** What a pick has found: overwritten by each call. */
interface Found {
  /** Undefined: none can take the request now. */
  endpoint: Endpoint | undefined;
  /** From the endpoint's breaker, or 0. */
  ticket: number;
  /** Whether the request is counted there: there may be no room for that. */
  counted: boolean;
  /** There are endpoints that work, but all have as much to do as they may have. */
  saturated: boolean;
  /** No endpoint works, but there is one that another request is trying just now, and that this one may try then. */
  awaited: boolean;
}

const LAST_STAMP = 0x7fffffff;
/** So many endpoints whose breakers are open are looked at for a request that finds no other. */
const MOST_OPEN = 32;

const found: Found = { endpoint: undefined, ticket: 0, counted: false, saturated: false, awaited: false };

/** The endpoints that the pick at hand has passed over for its caller's sake. */
const passed: number[] = [];

/** Marks the endpoints that a request has tried. Returns the mark. */
function mark_tried(live: LivePool, tried: readonly number[], count: number): number {
  live.stamp = live.stamp < LAST_STAMP ? live.stamp + 1 : 1;
  for (const place of $range(0, count - 1)) {
    live.field.tried[tried[place]!] = live.stamp;
  }
  return live.stamp;
}

/** Whether any endpoint works, be it as busy as it may be. */
function any_usable(live: LivePool): boolean {
  const { field } = live;
  for (const index of $range(0, field.count - 1)) {
    if (field.usable[index] !== 0) {
      return true;
    }
  }
  return false;
}

/** The endpoint is out of the picks until it is looked at again. */
function put_out(live: LivePool, index: number, now: number): void {
  live.field.usable[index] = 0;
  live.unusable += 1;
  live.look_again = math.min(live.look_again, now + LOOK_SECONDS);
}

/** Counts one request more at an endpoint, if its limit lets that. Returns whether the request may go there. */
function take_place(live: LivePool, pool: Pool, index: number): boolean {
  const most = pool.most[index]!;
  const [taken, reason] = take(live.flights, pool.endpoints[index]!.key, most);
  found.counted = taken;
  return taken || (reason !== undefined && most === 0);
}

/**
 * Takes the endpoint for one request more, if its breaker and its limit let that. A caller whose request was the last trial there
 * leaves the next one to others: then the endpoint is out of this pick only, and noted in `passed`.
 */
function take_endpoint(live: LivePool, pool: Pool, index: number, now: number, caller: Caller): boolean {
  const breaker = live.breakers[index]!;
  const permission = may_try(breaker, now);
  if (permission === Permission.Trial && must_wait(breaker, now, mark_of(caller))) {
    live.field.usable[index] = 0;
    live.unusable += 1;
    passed.push(index);
    return false;
  }
  found.ticket = permission === Permission.Trial ? take_trial(breaker, now) : 0;
  if (permission === Permission.No || (permission === Permission.Trial && found.ticket === 0)) {
    put_out(live, index, now);
    return false;
  }
  if (take_place(live, pool, index)) {
    return true;
  }
  drop_ticket(breaker, found.ticket);
  return false;
}

/** The endpoints that were passed over in a pick are in the next ones. */
function take_back(live: LivePool): void {
  for (const index of passed) {
    if (live.field.usable[index] === 0) {
      live.field.usable[index] = 1;
      live.unusable -= 1;
    }
  }
  while (passed.length > 0) {
    passed.pop();
  }
}

/** Whether nothing but its breaker can keep the request with this stamp from an endpoint, which it has not tried. */
function may_be_open({ field, knowledge }: LivePool, index: number, stamp: number): boolean {
  return field.tried[index] !== stamp && (knowledge === undefined || knowledge.allowed[index] !== 0);
}

/**
 * Looks for an endpoint whose breaker is open and that the request has not tried, in which its caller has met no failure. Returns
 * its index, with the request counted there; or -1. One that is not open any more is put back into the picks.
 */
function enter_open(live: LivePool, pool: Pool, stamp: number, now: number, caller: Caller): number {
  const { breakers, field } = live;
  const mark = mark_of(caller);
  let index = math.floor(math.random() * field.count);
  for (const _ of $range(1, math.min(MOST_OPEN, field.count))) {
    if (field.usable[index] === 0 && may_be_open(live, index, stamp)) {
      const [entry, ticket] = enter(breakers[index]!, now, mark);
      if (entry === Entry.Closed) {
        field.usable[index] = 1;
        live.unusable -= 1;
      } else if (entry === Entry.Busy) {
        found.awaited = true;
      } else if (entry === Entry.Guest) {
        if (take_place(live, pool, index)) {
          found.ticket = ticket;
          return index;
        }
        drop_ticket(breakers[index]!, ticket);
        found.awaited = true;
      }
    }
    index = index + 1 < field.count ? index + 1 : 0;
  }
  return -1;
}

/** The endpoint that the pool's balance gives a request, or -1. */
function balanced(pool: Pool, live: LivePool, stamp: number, now: number, conversation: Conversation | undefined): number {
  const { affinity, field } = live;
  if (affinity !== undefined && conversation !== undefined) {
    const index = pick_prefix(field, affinity, conversation, stamp, now);
    if (index >= 0) {
      return index;
    }
  }
  return pool.balance === "round_robin"
    ? pick_round_robin(field, live.turn, stamp)
    : pick_least_load(field, pool.schedule, stamp, math.random(), math.random());
}

/** The index of an endpoint that is taken for one request more, or -1. `count`: how many the request has tried, which bear the stamp. */
function find_endpoint(pool: Pool, live: LivePool, stamp: number, count: number, now: number, conversation: Conversation | undefined, caller: Caller): number {
  const { field } = live;
  // Each turn of the loop puts an endpoint out of the picks, or back into them, or another request was faster, which is rare.
  for (const _ of $range(0, 2 * field.count + 3)) {
    const index = balanced(pool, live, stamp, now, conversation);
    const is_left = index >= 0 && (count === 0 || field.tried[index] !== stamp);
    if (!is_left && live.unusable > 0 && (index >= 0 || !any_usable(live))) {
      const { unusable } = live;
      const open = enter_open(live, pool, stamp, now, caller);
      if (open >= 0) {
        return open;
      }
      if (live.unusable < unusable) {
        continue;
      }
    }
    if (index < 0) {
      found.saturated = any_usable(live);
      return -1;
    }
    if (take_endpoint(live, pool, index, now, caller)) {
      return index;
    }
  }
  found.saturated = true;
  return -1;
}

/**
 * Picks an endpoint and takes it for one request more; what is taken has to be given back with `leave_endpoint`. `tried`: the
 * endpoints that the request has tried already, `count` of them, which are taken only if there is no other, and no open one that the
 * caller may try. `conversation`: if the pool follows those. Valid until the next call.
 */
function pick_endpoint(pool: Pool, live: LivePool, tried: readonly number[], count: number, now: number, caller: Caller, conversation?: Conversation): Found {
  const { affinity, field, knowledge } = live;
  if ((live.unusable > 0 || knowledge !== undefined) && now >= live.look_again) {
    look_again(live, now);
  }
  found.endpoint = undefined;
  found.saturated = false;
  found.awaited = false;
  const stamp = mark_tried(live, tried, count);
  if (knowledge !== undefined && knowledge.rising.count > 0 && count === 0) {
    // Another attempt goes rather to an endpoint that starts slowly than to one that has failed it.
    hold_back(field, knowledge.rising, stamp, math.random());
  }
  const index = find_endpoint(pool, live, stamp, count, now, conversation, caller);
  if (passed.length > 0) {
    take_back(live);
  }
  if (index >= 0) {
    found.endpoint = pool.endpoints[index];
    if (affinity !== undefined && conversation !== undefined && conversation.seed === affinity.seed) {
      remember(conversation, affinity.memory, affinity.ids[index]!);
    }
  }
  return found;
}

/**
 * Takes the endpoint at that place in the pool, which holds what the request refers to: no other will do. What is taken has to
 * be given back with `leave_endpoint`. Valid until the next call.
 */
function pick_pinned(pool: Pool, live: LivePool, index: number, now: number, caller: Caller): Found {
  if ((live.unusable > 0 || live.knowledge !== undefined) && now >= live.look_again) {
    look_again(live, now);
  }
  const usable = live.field.usable[index] !== 0;
  found.ticket = 0;
  found.endpoint = usable && take_endpoint(live, pool, index, now, caller) ? pool.endpoints[index] : undefined;
  // Full: it has stayed in the picks all the same.
  found.saturated = found.endpoint === undefined && usable && live.field.usable[index] !== 0;
  found.awaited = false;
  if (passed.length > 0) {
    take_back(live);
  }
  return found;
}

/** Whether another endpoint than those that a request has tried could be picked now. */
function has_other_endpoint(live: LivePool, tried: readonly number[], count: number, now: number, caller: Caller): boolean {
  const { breakers, field } = live;
  const stamp = mark_tried(live, tried, count);
  for (const index of $range(0, field.count - 1)) {
    if (running_if_open(field, index, stamp) >= 0 && may_try(breakers[index]!, now) !== Permission.No) {
      return true;
    }
  }
  const mark = mark_of(caller);
  for (const index of $range(0, math.min(MOST_OPEN, field.count) - 1)) {
    if (may_be_open(live, index, stamp) && may_enter(breakers[index]!, mark)) {
      return true;
    }
  }
  return false;
}

export { has_other_endpoint, pick_endpoint, pick_pinned };
export type { Found };
