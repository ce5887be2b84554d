/**
 * More money for a request that runs on when what was reserved for it is used up, where the store that counts is elsewhere and can't be
 * waited for: granted out of what was last heard to be left of the tenant's budget, and counted on this node until the request has
 * ended. So this node's requests together don't get more than what is left.
 */

import { admit, begin_settlement, extend, settle, sweep } from "./memory_store";
import { return_reservation, take_reservation } from "./reservation";
import type { MemoryStore } from "./memory_store";
import type { Reservation } from "./reservation";
import type { Scope } from "./scope";

/** What is left of tenants' budgets, by tenant: the configuration makes new ones, and the old go with theirs. */
const rests = setmetatable(new LuaTable<Scope, Scope>(), { __mode: "k" });

function rest_of(tenant: Scope, left: number): Scope {
  let rest = rests.get(tenant) as Scope | undefined;
  if (rest === undefined) {
    const { unit, period } = tenant.budget!;
    rest = {
      name: `more:${tenant.name}`, title: tenant.title, owner: tenant.owner, model: undefined, windows: [], concurrent: 0,
      budget: { unit, amount: 0, period, alert_at: [] },
    };
    rests.set(tenant, rest);
  }
  rest.budget!.amount = left;
  return rest;
}

/** Grants more money, at most so much, and at most what is `left` of the budget less what others here have been granted. Returns how much. */
function grant_more(memory: MemoryStore, reservation: Reservation, nano_usd: number, left: number, now: number): number {
  const rest = rest_of(reservation.tenant!, left);
  const { extension } = reservation;
  if (extension !== undefined) {
    const granted = extend(memory, extension, nano_usd, now);
    extension.nano_usd += granted;
    return granted;
  }
  sweep(memory, rest, now);
  const first = take_reservation(rest, undefined, undefined, now);
  first.most_nano_usd = nano_usd;
  if (admit(memory, first, now) !== undefined) {
    return_reservation(first);
    return 0;
  }
  reservation.extension = first;
  return first.nano_usd;
}

/** The request has ended: what it was granted is no longer counted here, since the store will know what it cost. */
function end_extension(memory: MemoryStore, reservation: Reservation, now: number): void {
  const { extension } = reservation;
  if (extension !== undefined) {
    if (begin_settlement(memory, extension)) {
      settle(memory, extension, now, 0, 0);
    }
    reservation.extension = undefined;
    return_reservation(extension);
  }
}

export { end_extension, grant_more };
