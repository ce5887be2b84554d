/** Gives tenants and API keys the limits, the budgets and the free allowances that the configuration names for them. */

import { make_allowance, make_scope } from "../limit/scope";
import type { TenantConfiguration } from "../auth/config";
import type { Directory } from "../auth/directory";
import type { Tenant } from "../auth/principal";
import type { Reserve } from "../limit/config";
import type { Scope } from "../limit/scope";
import type { ModelConfiguration } from "../route/config";

/** Gives a tenant what it has free of each model. */
function assign_allowances(scopes: Scope[], tenant: Tenant, models: readonly ModelConfiguration[]): void {
  for (const { name, price } of models) {
    if (price?.free !== undefined) {
      const allowance = make_allowance(tenant.id, name, price.free);
      tenant.allowances ??= new LuaTable();
      tenant.allowances.set(name, allowance);
      scopes.push(allowance);
    }
  }
}

/**
 * Makes the scopes and gives them to their owners. Returns them all. `reserve`: what is reserved for tenants that don't say it
 * themselves.
 */
function assign_scopes(
  directory: Directory, tenants: readonly TenantConfiguration[], models: readonly ModelConfiguration[], reserve: Reserve,
): Scope[] {
  const scopes: Scope[] = [];
  for (const configuration of tenants) {
    const { id } = configuration;
    const tenant = directory.tenants.get(id);
    const scope = make_scope(`tenant:${id}`, `tenant ${id}`, id, configuration.limits, configuration.budget);
    if (tenant !== undefined && scope !== undefined) {
      tenant.scope = scope;
      scopes.push(scope);
    }
    if (tenant !== undefined) {
      tenant.reserves_usual = (configuration.limits?.reserve ?? reserve) === "typical";
      assign_allowances(scopes, tenant, models);
    }
    for (const key of configuration.api_keys ?? []) {
      const of_key = make_scope(`key:${id}/${key.id}`, `API key ${key.id}`, id, key.limits, undefined);
      if (of_key !== undefined) {
        directory.keys.scopes.set(`${id} ${key.id}`, of_key);
        scopes.push(of_key);
      }
    }
  }
  return scopes;
}

export { assign_scopes };
