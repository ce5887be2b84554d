/**
 * This node's share of the limits, for the time in which the store that all nodes share can't be reached: of each limit the part
 * that falls to one of so many nodes, of a budget that part of what was left when the store was last heard of.
 */

import type { Budget, Scope, WindowLimit } from "./scope";

const floor = math.floor;
const max = math.max;

/** The shares of scopes, by scope: the configuration makes new ones, and the old go with theirs. */
const shares = setmetatable(new LuaTable<Scope, Scope>(), { __mode: "k" });

function make_share(scope: Scope, nodes: number): Scope {
  const windows: WindowLimit[] = [];
  for (const { limit, measure, seconds } of scope.windows) {
    windows.push({ measure, seconds, limit: max(1, floor(limit / nodes)) });
  }
  const concurrent = scope.concurrent > 0 ? max(1, floor(scope.concurrent / nodes)) : 0;
  const budget: Budget | undefined = scope.budget !== undefined ? { unit: scope.budget.unit, amount: 0, period: scope.budget.period, alert_at: [] } : undefined;
  return { name: scope.name, title: scope.title, owner: scope.owner, model: scope.model, windows, concurrent, budget };
}

/** The share of a scope. `spent`: what all nodes together are known to have spent of its budget in the present period. */
function share_of(scope: Scope, nodes: number, spent: number): Scope {
  let share = shares.get(scope) as Scope | undefined;
  if (share === undefined) {
    share = make_share(scope, nodes);
    shares.set(scope, share);
  }
  if (share.budget !== undefined) {
    share.budget.amount = floor((scope.budget!.amount - spent) / nodes);
  }
  return share;
}

export { share_of };
