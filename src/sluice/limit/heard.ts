/**
 * What was last heard of the budgets and allowances that a Redis counts for several nodes: kept for the time in which it is lost, and
 * for what can't wait for it. In a dictionary that this node's workers share.
 */

import { budget_name } from "./redis_keys";
import type { SharedStore } from "../metrics/aggregate";
import type { Scope } from "./scope";

/** It is of use for as long as the period lasts. */
const HEARD_SECONDS = 3024000;

function note(dictionary: SharedStore, name: string, value: number): void {
  if (dictionary.get(name) !== value) {
    dictionary.set(name, value, HEARD_SECONDS);
  }
}

/** Keeps what all nodes together have spent and reserved, in the period that a time lies in, in milliseconds since 1970. */
function note_heard(dictionary: SharedStore, scope: Scope, milliseconds: number, spent: number, reserved: number): void {
  if (scope.budget !== undefined) {
    const name = budget_name(scope, milliseconds);
    note(dictionary, `spent:${name}`, spent);
    note(dictionary, `reserved:${name}`, reserved);
  }
}

/** What this node knows to have been spent, before it is heard of. */
function add_heard(dictionary: SharedStore, scope: Scope, milliseconds: number, amount: number): void {
  if (scope.budget !== undefined && amount > 0) {
    dictionary.increase(`spent:${budget_name(scope, milliseconds)}`, amount);
  }
}

/** What all nodes together were last known to have spent, and to have reserved; undefined: nothing was heard in that period. */
function heard(dictionary: SharedStore, scope: Scope, milliseconds: number): LuaMultiReturn<[spent: number | undefined, reserved: number | undefined]> {
  const name = budget_name(scope, milliseconds);
  return $multi(dictionary.get(`spent:${name}`) as number | undefined, dictionary.get(`reserved:${name}`) as number | undefined);
}

export { add_heard, heard, note_heard };
