/** How a tenant's scopes are called in Redis, and how the scripts are told what they may use. */

import { period_start } from "./period";
import { most_free } from "./allowance";
import { Measure, Unit } from "./scope";
import type { Reservation } from "./reservation";
import type { Scope } from "./scope";

const format = string.format;

/** What is worked out once for a scope. */
interface ScopeNames {
  state: string;
  running: string;
  specification: string;
  /** At which shares of the budget somebody is told: see `alert_marks`. */
  marks: string;
  /** Of an allowance: the field of the tenant's hash that it is counted in. */
  field: string;
  /** The name of the budget's period that was asked for last, and when that began. */
  budget: string;
  budget_start: number;
}

/** Scopes are made anew with each configuration; the old ones go with what was worked out for them. */
const known = setmetatable(new LuaTable<Scope, ScopeNames>(), { __mode: "k" });

function specification_of(scope: Scope): string {
  const parts: string[] = [format("%d %.0f", scope.concurrent, scope.budget !== undefined ? scope.budget.amount : -1)];
  for (const { limit, measure, seconds } of scope.windows) {
    parts.push(format("%s%d=%.0f", measure === Measure.Requests ? "r" : "t", seconds, limit));
  }
  return parts.join(" ");
}

function escaped(this: void, character: string): string {
  return format("%%%02X", string.byte(character));
}

/** The names of a scope: that of a tenant, or of a key, which is called `key:tenant/key`. */
function names_of(scope: Scope): ScopeNames {
  const found = known.get(scope) as ScopeNames | undefined;
  if (found !== undefined) {
    return found;
  }
  const [key] = string.match(scope.name, "^key:[^/]*/(.*)$");
  const name = key !== undefined ? `sluice:{${scope.owner}}:key:${key}` : `sluice:{${scope.owner}}:tenant`;
  const marks: string[] = [];
  if (scope.budget !== undefined) {
    for (const share of scope.budget.alert_at) {
      marks.push(format("%.17g=%.17g", share, share * scope.budget.amount));
    }
  }
  const names: ScopeNames = {
    state: name,
    running: key !== undefined ? `${name}:running` : `sluice:{${scope.owner}}:running`,
    specification: specification_of(scope),
    marks: marks.join(" "),
    field: scope.model !== undefined ? `free:${string.gsub(scope.model, "[%%|]", escaped)[0]}` : "",
    budget: "",
    budget_start: -1,
  };
  known.set(scope, names);
  return names;
}

/** A time in whole milliseconds, as the journal writes it: what is read from there must come to the same. */
function milliseconds_of(time: number): number {
  return math.floor(time * 1000 + 0.5);
}

/** What the money of the period is kept under that a time lies in, in milliseconds. */
function budget_name(scope: Scope, milliseconds: number): string {
  const { period } = scope.budget!;
  const start = period_start(period, milliseconds / 1000);
  const names = names_of(scope);
  if (names.budget_start !== start) {
    names.budget_start = start;
    names.budget = format("sluice:{%s}:%s:%s:%.0f", scope.owner, names.field === "" ? "budget" : names.field, period, start);
  }
  return names.budget;
}

/** What is worked out once for a tenant. */
interface OwnerNames {
  prefix: string;
  running: string;
  leases: string;
  tenant: string;
  budget: string;
  key: string;
  key_running: string;
}

/** There are as many as the configuration ever had tenants. */
const owners = new LuaTable<string, OwnerNames>();

function owner_names(owner: string): OwnerNames {
  let names = owners.get(owner) as OwnerNames | undefined;
  if (names === undefined) {
    const prefix = `sluice:{${owner}}:`;
    names = {
      prefix, running: `${prefix}running`, leases: `${prefix}leases`, tenant: `${prefix}tenant`, budget: `${prefix}budget`, key: `${prefix}key:`,
      key_running: `${prefix}key::running`,
    };
    owners.set(owner, names);
  }
  return names;
}

/**
 * The keys for a script, in its order. `arrived`: when the request came, in milliseconds since 1970. `paid`: the time that lies in the
 * budget's period.
 */
function redis_keys(owner: string, tenant: Scope | undefined, key: Scope | undefined, arrived: number, paid: number): string[] {
  const names = owner_names(owner);
  const of_key = key !== undefined ? names_of(key) : undefined;
  return [
    `${names.prefix}settled:${math.floor(arrived / 60000)}`,
    names.running,
    names.leases,
    names.tenant,
    tenant !== undefined && tenant.budget !== undefined ? budget_name(tenant, paid) : names.budget,
    of_key !== undefined ? of_key.state : names.key,
    of_key !== undefined ? of_key.running : names.key_running,
  ];
}

/** What a script is told of a scope; empty for none. */
function specification(scope: Scope | undefined): string {
  return scope !== undefined ? names_of(scope).specification : "";
}

/**
 * What a script is told of what is free of the model, empty for nothing: the field that it is counted in, when the period began that
 * a time lies in, how much there is, how much the request could use, its tokens of input and of output at most, the unit, and
 * what tokens of input and output cost in nano-dollars.
 */
function free_specification(reservation: Reservation, milliseconds: number): string {
  const { allowance, output_tokens, price, prompt_tokens } = reservation;
  if (allowance === undefined) {
    return "";
  }
  const { amount, period, unit } = allowance.budget!;
  return format(
    "%s %.0f %.0f %.0f %.0f %.0f %s %.17g %.17g", names_of(allowance).field, period_start(period, milliseconds / 1000), amount,
    most_free(reservation), prompt_tokens, output_tokens, unit === Unit.Requests ? "r" : "t", price!.input, price!.output);
}

/** Of an allowance, for a script: the field that it is counted in, and when the period began that a time lies in. Empty for none. */
function free_place(allowance: Scope | undefined, milliseconds: number): string {
  return allowance !== undefined ? format("%s %.0f", names_of(allowance).field, period_start(allowance.budget!.period, milliseconds / 1000)) : "";
}

/** At which shares of a tenant's budget somebody is told, and how many nano-dollars they are: `share=nano-dollars`, with spaces between. */
function alert_marks(scope: Scope | undefined): string {
  return scope !== undefined ? names_of(scope).marks : "";
}

export { alert_marks, budget_name, free_place, free_specification, milliseconds_of, redis_keys, specification };
