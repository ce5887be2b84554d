/**
 * The store of many nodes: one Redis that counts for all of them. Each request is one round trip when it is admitted; it is
 * settled behind the client's back (`settlement_queue.ts`).
 *
 * A Redis that is lost must not cost more than the configured milliseconds, nor must it be asked again and again: see `breaker.ts`.
 * What happens meanwhile is the operator's choice: this node's share of the limits, everything, or nothing. In the first two cases
 * the requests are settled in Redis when it is back.
 *
 * Until a request is settled, Redis has it under way. So an admission says which requests of its tenant have ended on this node
 * (`ended_requests.ts`).
 *
 * An admission that brought no answer may still reach Redis, even after its request has ended: its settlement says so, and the
 * script then refuses to admit what is settled.
 */

import { Reason, check, new_counters } from "./counters";
import {
  admit as admit_here, begin_settlement as begin_here, extend as extend_here, last_verdict as verdict_here, return_places as return_here,
  settle as settle_here,
} from "./memory_store";
import { lock, unlock } from "./lock";
import { ended_requests, note_ended } from "./ended_requests";
import { end_extension, grant_more } from "./extension";
import { set_money } from "./demand";
import { add_heard, heard, note_heard } from "./heard";
import { free_specification, milliseconds_of, redis_keys, specification } from "./redis_keys";
import { ADMIT, LOOK } from "./redis_scripts";
import { take_more } from "./redis_taking";
import { first_scope, return_reservation, take_reservation } from "./reservation";
import { settlement_text } from "./settlement";
import { add_settlement, added_file, added_place, note_missed } from "./settlement_queue";
import { share_of } from "./share";
import { copy_standings, note_standings } from "./standing";
import type { Counters, Verdict } from "./counters";
import type { MemoryStore } from "./memory_store";
import type { RedisScript } from "./redis_scripts";
import type { Reservation } from "./reservation";
import type { Scope } from "./scope";
import type { Place, SettlementQueue } from "./settlement_queue";
import type { LimitStore, Usage } from "./store";

/** What to do with a request while Redis is lost. */
type OnLoss = "local" | "allow" | "deny";

/**
 * Runs a script in Redis within the configured time. `parts` are its seven keys and its arguments. Returns the answer; or the reason
 * why there is none. `asked`: Redis may have run the script, or may yet.
 */
type RunScript = (
  this: void,
  script: RedisScript,
  parts: string[],
) => LuaMultiReturn<[answer: string | undefined, reason: string | undefined, asked: boolean]>;

interface RedisStore {
  on_loss: OnLoss;
  nodes: number;
  lease_seconds: number;
  run: RunScript;
  /** For this node's share of the limits, and for what was last heard of budgets. */
  memory: MemoryStore;
  queue: SettlementQueue;
  /** `queue`, as what can be locked. */
  lockable: MemoryStore;
  /** Has this worker write to the journal's file with that inode, in which others have written, or to a newer one. */
  follow_journal: (this: void, file: number) => boolean;
  /** While a request is settled whose settlement can't be added to the list: up to where all was in it before. */
  unlisted: Place | undefined;
  /**
   * Has Redis told at once, behind the client's back, how many tokens the request has taken more: of the script TAKE the parts.
   */
  tell_taken: (this: void, id: string, parts: string[]) => void;
  /** Called when there is something to be settled. */
  wake: (this: void) => void;
}

/** What the list of settlements is locked by. */
const QUEUE = "settlements";

const tenant_counters = new_counters();
const key_counters = new_counters();
const verdict: Verdict = { reason: Reason.None, wait: 0, limit: 0, seconds: 0, left: 0 };

/** This node's share of a scope, if there is one. */
function share(store: RedisStore, scope: Scope | undefined, now: number): Scope | undefined {
  if (scope?.budget === undefined) {
    return scope !== undefined ? share_of(scope, store.nodes, 0) : undefined;
  }
  const [spent = 0] = heard(store.memory.dictionary, scope, milliseconds_of(now));
  return share_of(scope, store.nodes, spent);
}

function refuse_uncounted(reservation: Reservation): Scope {
  verdict.reason = Reason.Crowded;
  verdict.wait = 1;
  return first_scope(reservation);
}

/** Admits a request by this node's share of the limits. */
function admit_by_share(store: RedisStore, reservation: Reservation, now: number): Scope | undefined {
  const { allowance, key, tenant } = reservation;
  const own = take_reservation(share(store, tenant, now), share(store, key, now), share(store, allowance, now), reservation.arrived);
  own.tokens = reservation.tokens;
  own.prompt_tokens = reservation.prompt_tokens;
  own.output_tokens = reservation.output_tokens;
  own.is_typical = reservation.is_typical;
  own.price = reservation.price;
  own.most_nano_usd = reservation.most_nano_usd;
  own.least_nano_usd = reservation.least_nano_usd;
  const refusing = admit_here(store.memory, own, now);
  copy_standings(own, reservation);
  if (refusing === undefined) {
    reservation.free = own.free;
    reservation.least_nano_usd = own.least_nano_usd;
    reservation.nano_usd = own.nano_usd;
    reservation.share = own;
    return undefined;
  }
  const here = verdict_here();
  verdict.reason = here.reason;
  // What is more than the share may fit when Redis is back.
  verdict.wait = here.wait < 0 && here.reason !== Reason.Budget ? 1 : here.wait;
  verdict.limit = here.limit;
  verdict.seconds = here.seconds;
  const by_key = key !== undefined && refusing === own.key;
  return_reservation(own);
  return by_key ? key : (tenant ?? first_scope(reservation));
}

/** Redis is lost: admits a request or not, as the operator has chosen. */
function admit_without(store: RedisStore, reservation: Reservation, now: number): Scope | undefined {
  reservation.admitted = now;
  reservation.nano_usd = reservation.most_nano_usd;
  if (store.on_loss === "deny") {
    return refuse_uncounted(reservation);
  }
  const refusing = store.on_loss === "local" ? admit_by_share(store, reservation, now) : undefined;
  reservation.cancelled = refusing !== undefined;
  return refusing;
}

/** Fills counters with what Redis says of a scope, from the `at`-th number on. Returns where the next scope's numbers begin. */
function fill_counters(counters: Counters, scope: Scope, numbers: number[], at: number, running: number, reserved: number, spent: number): number {
  let place = at;
  let index = 0;
  for (const { measure, seconds } of scope.windows) {
    const window = counters.windows[index]!;
    window.measure = measure;
    window.seconds = seconds;
    window.start = numbers[place] ?? 0;
    window.current = numbers[place + 1] ?? 0;
    window.previous = numbers[place + 2] ?? 0;
    place += 3;
    index += 1;
  }
  counters.window_count = index;
  counters.spent = spent;
  counters.lease_count = 1;
  const lease = counters.leases[0]!;
  lease.process = 0;
  lease.running = running;
  lease.amount = reserved;
  return place;
}

/** Why a scope refuses: worked out from the same numbers by the same rules. */
function explain(reservation: Reservation, scope: Scope, counters: Counters, now: number): Scope {
  note_standings(reservation, scope, counters, now);
  // Redis has left out those that have ended.
  if (check(counters, scope, now, 0, reservation.tokens, reservation.least_nano_usd, reservation.most_nano_usd, 0, verdict)) {
    // A matter of the last digit: the client may try again at once.
    verdict.reason = Reason.Concurrency;
    verdict.wait = 1;
    verdict.limit = scope.concurrent;
  }
  return scope;
}

/** Reads what Redis answered to an admission: undefined if it is none. */
function read_numbers(answer: string): number[] | undefined {
  const numbers: number[] = [];
  for (const [text] of string.gmatch(answer, "%S+")) {
    const number = tonumber(text);
    if (number === undefined) {
      return undefined;
    }
    numbers.push(number);
  }
  return numbers.length >= 10 ? numbers : undefined;
}

/** Takes what Redis decided. Returns the scope that refuses. */
function take_decision(store: RedisStore, reservation: Reservation, numbers: number[], paid: number): Scope | undefined {
  const { allowance, key, tenant } = reservation;
  const { dictionary } = store.memory;
  const [decision, seconds, grant, spent, reserved, running, key_running, free, free_used] = numbers;
  const now = seconds! + numbers[numbers.length - 1]! / 1000000;
  let at = 9;
  if (allowance !== undefined) {
    reservation.free = free!;
    set_money(reservation);
    note_heard(dictionary, allowance, paid, free_used!, 0);
  }
  if (tenant !== undefined) {
    at = fill_counters(tenant_counters, tenant, numbers, at, running!, reserved!, spent!);
    note_heard(dictionary, tenant, paid, spent!, reserved! + (decision === 1 ? grant! : 0));
  }
  if (key !== undefined) {
    fill_counters(key_counters, key, numbers, at, key_running!, 0, 0);
  }
  if (decision === 2) {
    return explain(reservation, tenant!, tenant_counters, now);
  }
  if (decision === 3) {
    return explain(reservation, key!, key_counters, now);
  }
  if (key !== undefined) {
    note_standings(reservation, key, key_counters, now);
  }
  if (tenant !== undefined) {
    note_standings(reservation, tenant, tenant_counters, now);
  }
  reservation.admitted = now;
  reservation.nano_usd = grant!;
  reservation.admitted_elsewhere = true;
  reservation.cancelled = false;
  return undefined;
}

function admit(store: RedisStore, reservation: Reservation, now: number): Scope | undefined {
  const { key, tenant } = reservation;
  const paid = milliseconds_of(now);
  const { owner } = first_scope(reservation);
  const parts = redis_keys(owner, tenant, key, milliseconds_of(reservation.arrived), paid);
  parts.push(string.format("%.0f", reservation.tokens));
  parts.push(string.format("%.0f", reservation.most_nano_usd));
  parts.push(string.format("%.0f", reservation.least_nano_usd));
  parts.push(string.format("%.0f", store.lease_seconds));
  parts.push(specification(tenant));
  parts.push(specification(key));
  parts.push(free_specification(reservation, paid));
  parts.push(reservation.holds_place ? ended_requests(store.memory, owner) : "");
  parts.push(reservation.is_typical ? "+0@0" : "");
  parts.push(reservation.id);
  // Should the client leave while Redis is asked, this is all that the log phase gets to know.
  reservation.asked = true;
  reservation.cancelled = true;
  const [answer, , asked] = store.run(ADMIT, parts);
  const numbers = answer !== undefined ? read_numbers(answer) : undefined;
  if (numbers === undefined) {
    reservation.asked = asked;
    return admit_without(store, reservation, now);
  }
  const refusing = take_decision(store, reservation, numbers, paid);
  reservation.asked = refusing === undefined;
  return refusing;
}

/** A request's answer has ended: its places are free for this node's requests, in Redis and in this node's share. */
function return_places(store: RedisStore, reservation: Reservation): void {
  const { admitted, asked, id, share: own } = reservation;
  if (own !== undefined) {
    return_here(store.memory, own);
  }
  if (asked) {
    note_ended(store.memory, first_scope(reservation).owner, id, admitted);
  }
}

/** Makes ready for settling. The line that is written next goes to a file that is none older than what is in the list. */
function begin_settlement(store: RedisStore): boolean {
  const { queue } = store;
  store.unlisted = undefined;
  if (!lock(store.lockable, QUEUE)) {
    store.unlisted = added_place(queue);
    note_missed(queue, store.unlisted.file, store.unlisted.offset);
  }
  store.follow_journal(added_file(queue));
  return true;
}

/** Settles what a request has taken of this node's own: its share, or more money. */
function settle_own(store: RedisStore, reservation: Reservation, now: number): void {
  const { cost_nano_usd, free_used, share: own, tenant, used_tokens } = reservation;
  const { memory } = store;
  if (own !== undefined) {
    own.used_tokens = used_tokens;
    own.cost_nano_usd = cost_nano_usd;
    own.free_used = free_used;
    if (begin_here(memory, own)) {
      settle_here(memory, own, now, 0, 0);
    }
    return_reservation(own);
  } else if (tenant !== undefined) {
    add_heard(memory.dictionary, tenant, milliseconds_of(reservation.arrived), cost_nano_usd);
    end_extension(memory, reservation, now);
  }
}

function settle(store: RedisStore, reservation: Reservation, now: number, file: number, offset: number): number {
  const { unlisted } = store;
  if (unlisted === undefined) {
    add_settlement(store.queue, settlement_text(reservation, file, offset), file, offset);
    unlock(store.lockable, QUEUE);
  } else {
    // Somebody may have read the journal since it was said to be missed, and before the line was there.
    note_missed(store.queue, unlisted.file, unlisted.offset);
  }
  settle_own(store, reservation, now);
  store.wake();
  return 0;
}

function look_at(store: RedisStore, scope: Scope, now: number): Usage | undefined {
  const milliseconds = milliseconds_of(now);
  const parts = redis_keys(scope.owner, scope, undefined, milliseconds, milliseconds);
  parts.push(specification(scope));
  const [answer] = store.run(LOOK, parts);
  const [running, reserved, spent] = string.match(answer ?? "", "^(%d+) (%-?%d+) (%d+)$");
  if (spent === undefined) {
    return undefined;
  }
  return { running: tonumber(running)!, reserved: tonumber(reserved)!, spent: tonumber(spent)! };
}

/**
 * More money for a request that is under way. One that goes by this node's share gets it from there, one that was let in whatever it
 * costs gets it in any case, and one that Redis admitted by what was last heard of the budget.
 */
function extend(store: RedisStore, reservation: Reservation, nano_usd: number, now: number): number {
  const { share: own, tenant } = reservation;
  const { memory } = store;
  if (own !== undefined) {
    const granted = extend_here(memory, own, nano_usd, now);
    own.nano_usd += granted;
    return granted;
  }
  if (!reservation.admitted_elsewhere) {
    return nano_usd;
  }
  if (tenant?.budget === undefined) {
    return 0;
  }
  const [spent = 0, reserved = 0] = heard(memory.dictionary, tenant, milliseconds_of(now));
  return grant_more(memory, reservation, nano_usd, tenant.budget.amount - spent - reserved, now);
}

/** The store as the phases know it. */
function redis_limits(store: RedisStore): LimitStore {
  return {
    kind: "redis",
    admit: (reservation, now) => admit(store, reservation, now),
    last_verdict: () => verdict,
    extend: (reservation, nano_usd, now) => extend(store, reservation, nano_usd, now),
    take_more: (reservation, tokens, now) => {
      take_more(store, reservation, tokens, now);
    },
    return_places: (reservation) => {
      return_places(store, reservation);
    },
    begin_settlement: () => begin_settlement(store),
    settle: (reservation, now, file, offset) => settle(store, reservation, now, file, offset),
    spent_of: (scope, now) => heard(store.memory.dictionary, scope, milliseconds_of(now))[0],
    look_at: (scope, now) => look_at(store, scope, now),
  };
}

export { QUEUE, redis_limits };
export type { OnLoss, RedisStore };
