/**
 * Whose use is limited: a tenant, or one of its API keys; and what a tenant has free of a model. Made from the configuration; what was used lies in the store, under
 * the scope's name, and stays there when the configuration changes.
 */

import type { FreeConfiguration } from "../ledger/price";
import type { Period } from "./period";

/** What a window counts. */
const enum Measure {
  Requests = 0,
  Tokens = 1,
}

/** So much may be used within so many seconds, however they lie. */
interface WindowLimit {
  measure: Measure;
  seconds: number;
  limit: number;
}

/** What a budget counts: money; or what costs nothing, of tokens or of requests. */
const enum Unit {
  NanoUsd = 0,
  Tokens = 1,
  Requests = 2,
}

interface Budget {
  unit: Unit;
  /** So much in each period. */
  amount: number;
  period: Period;
  /** Shares of the budget at which somebody is told. */
  alert_at: number[];
}

interface Scope {
  /** What the store calls it; also in messages: `tenant acme`, `API key web`. */
  name: string;
  title: string;
  /** The tenant it belongs to: what its scopes have used is changed by one at a time. */
  owner: string;
  /** Of what is free: the model. */
  model: string | undefined;
  windows: WindowLimit[];
  /** Requests at a time; 0: any number. */
  concurrent: number;
  budget: Budget | undefined;
}

interface LimitsConfiguration {
  requests_per_minute?: number;
  requests_per_hour?: number;
  requests_per_day?: number;
  tokens_per_minute?: number;
  tokens_per_hour?: number;
  tokens_per_day?: number;
  concurrent_requests?: number;
  /** Of a tenant: how much output is reserved of the windows of tokens; undefined: as for all. */
  reserve?: "cap" | "typical";
}

interface BudgetConfiguration {
  usd: number;
  period: Period;
  alert_at?: number[];
}

const NANO = 1000000000;

function add_window(windows: WindowLimit[], measure: Measure, seconds: number, limit: number | undefined): void {
  if (limit !== undefined) {
    windows.push({ measure, seconds, limit });
  }
}

/** The scope for some limits and a budget; undefined if there are neither. */
function make_scope(
  name: string,
  title: string,
  owner: string,
  limits: LimitsConfiguration | undefined,
  budget: BudgetConfiguration | undefined,
): Scope | undefined {
  if (limits === undefined && budget === undefined) {
    return undefined;
  }
  const windows: WindowLimit[] = [];
  const given = limits ?? {};
  add_window(windows, Measure.Requests, 60, given.requests_per_minute);
  add_window(windows, Measure.Requests, 3600, given.requests_per_hour);
  add_window(windows, Measure.Requests, 86400, given.requests_per_day);
  add_window(windows, Measure.Tokens, 60, given.tokens_per_minute);
  add_window(windows, Measure.Tokens, 3600, given.tokens_per_hour);
  add_window(windows, Measure.Tokens, 86400, given.tokens_per_day);
  return {
    name,
    title,
    owner,
    model: undefined,
    windows,
    concurrent: given.concurrent_requests ?? 0,
    budget:
      budget !== undefined
        ? { unit: Unit.NanoUsd, amount: math.floor(budget.usd * NANO + 0.5), period: budget.period, alert_at: budget.alert_at ?? [] }
        : undefined,
  };
}

/** What a tenant has free of a model. Nobody is refused when it is used up: what is beyond it is paid. */
function make_allowance(tenant: string, model: string, free: FreeConfiguration): Scope {
  return {
    name: `free:${tenant}/${model}`,
    title: `what is free of ${model} for tenant ${tenant}`,
    owner: tenant,
    model,
    windows: [],
    concurrent: 0,
    budget: {
      unit: free.tokens !== undefined ? Unit.Tokens : Unit.Requests,
      amount: free.tokens ?? free.requests ?? 0,
      period: free.period,
      alert_at: [],
    },
  };
}

export { Measure, Unit, make_allowance, make_scope };
export type { Budget, BudgetConfiguration, LimitsConfiguration, Scope, WindowLimit };
