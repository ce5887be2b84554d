/**
 * The store of one node: counters of all scopes in a dictionary that nginx's workers share.
 *
 * Whoever changes a tenant's counters holds the tenant's lock meanwhile, a few microseconds: so a request is checked against all
 * limits at once, and two workers can't both take the last place. Nothing here waits otherwise, so the log phase can do it too.
 *
 * Nothing is evicted: a dictionary that is full takes no further scope, whose requests are then refused; what is in it stays.
 */

import {
  Reason, bring_up, check, correct_tokens, due_alerts, forget_dead, has_room, new_counters, read_counters, spend, take, uncount_request, write_counters,
} from "./counters";
import { most_free } from "./allowance";
import { set_money } from "./demand";
import { give_back, lend_tokens, reserve_more, reserved, running } from "./leases";
import { lock, unlock } from "./lock";
import { forget_places, return_place, returned_places, settle_place } from "./returned_places";
import { first_scope } from "./reservation";
import { note_standings } from "./standing";
import type { SharedStore } from "../metrics/aggregate";
import type { Counters, Verdict } from "./counters";
import type { Reservation } from "./reservation";
import type { Scope } from "./scope";
import type { LimitStore } from "./store";

interface MemoryStore {
  dictionary: SharedStore;
  /** This worker's process id, and whether another one's is that of a worker that is alive. */
  process: number;
  is_alive: (this: void, process: number) => boolean;
  /**
   * Completes the counters of a tenant and its keys, of which a killed worker may have left out what it had written to the
   * journal. Called with the lock held.
   */
  mend: (this: void, store: MemoryStore, owner: string) => void;
  /** Where the journal ends now: its inode, 0 if there is none, and the offset. */
  journal_end: (this: void) => LuaMultiReturn<[inode: number, offset: number]>;
}

/** Those at hand: of the tenant, of the key, and of what is free. */
const tenant_counters = new_counters();
const key_counters = new_counters();
const free_counters = new_counters();

const verdict: Verdict = { reason: Reason.None, wait: 0, limit: 0, seconds: 0, left: 0 };

/** Where the journal ends now: everything before it is in the counters. */
function note_position(counters: Counters, file: number, offset: number): void {
  if (file === 0) {
    return;
  }
  if (counters.files[0] !== file && counters.files[1] !== file) {
    counters.files[1] = counters.files[0]!;
    counters.offsets[1] = counters.offsets[0]!;
    counters.files[0] = file;
    counters.offsets[0] = offset;
  }
  // Under the lock the end of a file only grows: if it is smaller, its inode has gone to another file.
  counters.offsets[counters.files[0] === file ? 0 : 1] = offset;
}

/** Reads a scope's counters and brings them up to the time. */
function open_counters(store: MemoryStore, counters: Counters, scope: Scope, now: number): void {
  read_counters(counters, store.dictionary.get(scope.name) as string | undefined);
  bring_up(counters, scope, now);
  if (counters.files[0] === 0) {
    // What is in the journal already is none of these counters' business.
    const [inode, offset] = store.journal_end();
    note_position(counters, inode, offset);
  }
}

/** Writes a scope's counters. Returns whether there was room. */
function keep_counters(store: MemoryStore, counters: Counters, scope: Scope): boolean {
  return store.dictionary.set(scope.name, write_counters(counters)) === undefined;
}

/** Checks one scope. Returns whether the request may begin as far as it goes. */
function check_scope(store: MemoryStore, reservation: Reservation, scope: Scope, counters: Counters, now: number): boolean {
  open_counters(store, counters, scope, now);
  const returned = scope.concurrent > 0 && running(counters) >= scope.concurrent ? returned_places(store, scope, counters) : 0;
  return check(
    counters, scope, now, store.process, reservation.tokens, reservation.least_nano_usd, reservation.most_nano_usd, returned, verdict);
}

/** Gives the request what is left of its allowance, as far as it may need it; `take_all` takes it from there. */
function grant_free(store: MemoryStore, reservation: Reservation, allowance: Scope, now: number): void {
  open_counters(store, free_counters, allowance, now);
  const left = allowance.budget!.amount - free_counters.spent - reserved(free_counters);
  reservation.free = has_room(free_counters, store.process) ? math.max(0, math.min(most_free(reservation), left)) : 0;
  set_money(reservation);
}

/** Takes from a scope what the request needs. Returns whether there was room in the dictionary. */
function take_from(store: MemoryStore, reservation: Reservation, scope: Scope, counters: Counters, amount: number, now: number): boolean {
  take(counters, store.process, reservation.tokens, amount);
  note_standings(reservation, scope, counters, now);
  return keep_counters(store, counters, scope);
}

/** Puts back what `take_from` took, as if it never had. */
function put_back(store: MemoryStore, reservation: Reservation, scope: Scope, counters: Counters, amount: number, now: number): void {
  give_back(counters, store.process, reservation.tokens, amount);
  correct_tokens(counters, now, -reservation.tokens);
  uncount_request(counters);
  keep_counters(store, counters, scope);
}

/** Takes from all scopes what the request needs, or from none. Returns whether there was room in the dictionary. */
function take_all(store: MemoryStore, reservation: Reservation, now: number): boolean {
  const { allowance, free, key, tenant } = reservation;
  if (free > 0 && !take_from(store, reservation, allowance!, free_counters, free, now)) {
    return false;
  }
  const key_room = key === undefined || take_from(store, reservation, key, key_counters, 0, now);
  if (key_room && (tenant === undefined || take_from(store, reservation, tenant, tenant_counters, reservation.nano_usd, now))) {
    return true;
  }
  if (free > 0) {
    put_back(store, reservation, allowance!, free_counters, free, now);
  }
  if (key_room && key !== undefined) {
    put_back(store, reservation, key, key_counters, 0, now);
  }
  return false;
}

/** Admits or not, with the lock held. Returns the scope that refuses. */
function decide(store: MemoryStore, reservation: Reservation, now: number): Scope | undefined {
  const { allowance, key, tenant } = reservation;
  reservation.admitted = now;
  if (allowance !== undefined) {
    grant_free(store, reservation, allowance, now);
  }
  reservation.nano_usd = reservation.most_nano_usd;
  if (tenant !== undefined) {
    if (!check_scope(store, reservation, tenant, tenant_counters, now)) {
      note_standings(reservation, tenant, tenant_counters, now);
      return tenant;
    }
    reservation.nano_usd = math.max(0, math.min(reservation.most_nano_usd, verdict.left));
  }
  if (key !== undefined && !check_scope(store, reservation, key, key_counters, now)) {
    note_standings(reservation, key, key_counters, now);
    return key;
  }
  if (!take_all(store, reservation, now)) {
    verdict.reason = Reason.Crowded;
    verdict.wait = 1;
    return first_scope(reservation);
  }
  return undefined;
}

/**
 * Admits a request against all limits of its tenant and key, or refuses it and takes nothing. `now` is in seconds since
 * 1970. Returns undefined, or the scope that refuses; `last_verdict` then says why. The reservation says what was reserved, and how
 * the limits stand.
 */
function admit(store: MemoryStore, reservation: Reservation, now: number): Scope | undefined {
  const scope = first_scope(reservation);
  if (!lock(store, scope.owner)) {
    verdict.reason = Reason.Crowded;
    verdict.wait = 1;
    return scope;
  }
  const refusing = decide(store, reservation, now);
  unlock(store, scope.owner);
  return refusing;
}

/** Reserves more money for a request that is under way, at most so much. Returns how much. */
function extend(store: MemoryStore, reservation: Reservation, nano_usd: number, now: number): number {
  const { tenant } = reservation;
  if (tenant?.budget === undefined || !lock(store, tenant.owner)) {
    return 0;
  }
  open_counters(store, tenant_counters, tenant, now);
  const left = tenant.budget.amount - tenant_counters.spent - reserved(tenant_counters);
  const granted = math.max(0, math.min(nano_usd, left));
  reserve_more(tenant_counters, store.process, granted);
  keep_counters(store, tenant_counters, tenant);
  unlock(store, tenant.owner);
  return granted;
}

/** Takes tokens of a scope's windows, whatever is left of them. */
function take_tokens(store: MemoryStore, scope: Scope, counters: Counters, tokens: number, now: number): void {
  open_counters(store, counters, scope, now);
  correct_tokens(counters, now, tokens);
  lend_tokens(counters, store.process, tokens);
  keep_counters(store, counters, scope);
}

/** An answer has passed what was reserved for it: takes so many tokens more of the windows, now, into debt if they are full. */
function take_more(store: MemoryStore, reservation: Reservation, tokens: number, now: number): void {
  const { key, tenant } = reservation;
  const { owner } = first_scope(reservation);
  if (!lock(store, owner)) {
    return;
  }
  if (key !== undefined) {
    take_tokens(store, key, key_counters, tokens, now);
  }
  if (tenant !== undefined) {
    take_tokens(store, tenant, tenant_counters, tokens, now);
  }
  unlock(store, owner);
  reservation.more_tokens += tokens;
  reservation.more_at = now;
}

/** A request's answer has ended: gives its places among the concurrent requests back, before it is settled. Only once. Takes no lock. */
function return_places(store: MemoryStore, reservation: Reservation): void {
  reservation.key_returned = return_place(store, reservation.key);
  reservation.tenant_returned = return_place(store, reservation.tenant);
}

/** Why the last request was refused. Overwritten by the next. */
function last_verdict(): Verdict {
  return verdict;
}

/** For `change_scope`: the other two may be in use. */
const changed_counters = new_counters();

/** Lets a scope's counters be changed, if it has any. The lock must be held. */
function change_scope(store: MemoryStore, scope: Scope, change: (this: void, scope: Scope, counters: Counters) => void): void {
  const text = store.dictionary.get(scope.name) as string | undefined;
  if (text !== undefined) {
    read_counters(changed_counters, text);
    change(scope, changed_counters);
    keep_counters(store, changed_counters, scope);
  }
}

/**
 * Opens the counters of a scope that has any, with its lock held until `keep_scope`; valid until then. They say that everything is
 * counted up to the journal's present end, as with the lock held it is. Returns undefined if there are none.
 */
function open_scope(store: MemoryStore, scope: Scope, now: number): Counters | undefined {
  if (store.dictionary.get(scope.name) === undefined || !lock(store, scope.owner)) {
    return undefined;
  }
  open_counters(store, tenant_counters, scope, now);
  const [inode, offset] = store.journal_end();
  note_position(tenant_counters, inode, offset);
  return tenant_counters;
}

/** Writes what `open_scope` opened. */
function keep_scope(store: MemoryStore, scope: Scope): void {
  keep_counters(store, tenant_counters, scope);
  unlock(store, scope.owner);
}

/** Puts counters that were kept elsewhere into the store. Returns whether there was room. */
function put_counters(store: MemoryStore, scope: Scope, counters: Counters): boolean {
  return keep_counters(store, counters, scope);
}

/** Makes ready for settling: what is written to the journal until `settle` belongs to the same change. Returns whether the lock is held. */
function begin_settlement(store: MemoryStore, reservation: Reservation): boolean {
  return lock(store, first_scope(reservation).owner);
}

/**
 * Corrects what a request has taken of the windows of tokens to what it has used. Where what is usual was reserved, the rest
 * was taken when it came: what is missing of that comes now, and what was too much was it last.
 */
function settle_tokens(counters: Counters, reservation: Reservation, now: number): void {
  const { admitted, is_typical, more_at, more_tokens, tokens, used_tokens } = reservation;
  let missing = used_tokens - tokens - more_tokens;
  if (is_typical && missing > 0) {
    correct_tokens(counters, now, missing);
    return;
  }
  if (more_tokens > 0) {
    const back = math.max(missing, -more_tokens);
    correct_tokens(counters, more_at, back);
    missing -= back;
  }
  correct_tokens(counters, admitted, missing);
}

/** Settles one scope: of its budget so much was held, and so much is used. */
function settle_scope(store: MemoryStore, reservation: Reservation, scope: Scope, counters: Counters, held: number, used: number, now: number, file: number, offset: number): number {
  open_counters(store, counters, scope, now);
  settle_tokens(counters, reservation, now);
  give_back(counters, store.process, reservation.tokens + reservation.more_tokens, held);
  spend(counters, scope, reservation.arrived, used);
  const due = due_alerts(counters, scope);
  note_position(counters, file, offset);
  keep_counters(store, counters, scope);
  return due;
}

/**
 * Settles a request: it has used what the reservation says now. `file` and `offset`: the journal's inode, and where it ends
 * behind the request's line; 0 if there is none. Returns a bit for each of the tenant's alerts that is due. Ends what
 * `begin_settlement` began.
 */
function settle(store: MemoryStore, reservation: Reservation, now: number, file: number, offset: number): number {
  const { allowance, free, key, tenant } = reservation;
  let due = 0;
  if (free > 0) {
    settle_scope(store, reservation, allowance!, free_counters, free, reservation.free_used, now, file, offset);
  }
  if (key !== undefined) {
    // Before the lease: a worker that is killed in between leaves one place too few, which is swept with its lease, and never one too many.
    if (reservation.key_returned) {
      settle_place(store, key);
    }
    settle_scope(store, reservation, key, key_counters, 0, 0, now, file, offset);
  }
  if (tenant !== undefined) {
    if (reservation.tenant_returned) {
      settle_place(store, tenant);
    }
    due = settle_scope(store, reservation, tenant, tenant_counters, reservation.nano_usd, reservation.cost_nano_usd, now, file, offset);
  }
  unlock(store, first_scope(reservation).owner);
  return due;
}

/** Removes what dead workers had under way in a scope. */
function sweep(store: MemoryStore, scope: Scope, now: number): void {
  if (!lock(store, scope.owner)) {
    return;
  }
  if (store.dictionary.get(scope.name) !== undefined) {
    open_counters(store, tenant_counters, scope, now);
    forget_places(store, scope, tenant_counters);
    forget_dead(tenant_counters, now, store.is_alive);
    keep_counters(store, tenant_counters, scope);
  }
  unlock(store, scope.owner);
}

/** A scope's counters as they are now, for being looked at: valid until the next call. */
function look_at(store: MemoryStore, scope: Scope, now: number): Counters {
  read_counters(tenant_counters, store.dictionary.get(scope.name) as string | undefined);
  bring_up(tenant_counters, scope, now);
  return tenant_counters;
}

/** The store as the phases know it. */
function memory_limits(store: MemoryStore): LimitStore {
  return {
    kind: "memory",
    admit: (reservation, now) => admit(store, reservation, now),
    last_verdict,
    return_places: (reservation) => {
      return_places(store, reservation);
    },
    extend: (reservation, nano_usd, now) => extend(store, reservation, nano_usd, now),
    take_more: (reservation, tokens, now) => {
      take_more(store, reservation, tokens, now);
    },
    begin_settlement: (reservation) => begin_settlement(store, reservation),
    settle: (reservation, now, file, offset) => settle(store, reservation, now, file, offset),
    spent_of: (scope, now) => look_at(store, scope, now).spent,
    look_at: (scope, now) => {
      const counters = look_at(store, scope, now);
      const returned = scope.concurrent > 0 ? returned_places(store, scope, counters) : 0;
      return { running: running(counters) - returned, reserved: reserved(counters), spent: counters.spent };
    },
  };
}

export { admit, begin_settlement, extend, change_scope, keep_scope, last_verdict, look_at, memory_limits, note_position, open_scope, put_counters, return_places, settle, sweep, take_more };
export type { MemoryStore };
