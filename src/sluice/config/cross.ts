import type { EndpointConfiguration, PoolConfiguration } from "../pool/config";
import type { Configuration } from "./configuration";
import { split_url } from "./format";
import { nearest } from "./near";
import { shown } from "./problem";

/**
 * What no single member can tell: names given twice, names that name nothing, endpoints that don't fit
 * together. It also fills in what follows from other members.
 *
 * It runs over a configuration that may have other problems. So any member may be missing, whatever its type says.
 */

/** Reports a problem of the configuration at a path. */
type Report = (this: void, path: string, message: string) => void;

/**
 * Reports every name that an earlier entry of the list has too. `name` gives an entry's name, and `member` is
 * what that is called.
 */
function unique<Entry>(
  entries: readonly Entry[] | undefined,
  path: string,
  member: string,
  name: (this: void, entry: Entry) => string | undefined,
  report: Report,
): LuaTable<string, number> {
  const first = new LuaTable<string, number>();
  let index = 0;
  for (const entry of entries ?? []) {
    const own = name(entry);
    if (own !== undefined) {
      const before = first.get(own) as number | undefined;
      if (before === undefined) {
        first.set(own, index);
      } else {
        report(`${path}[${index}].${member}`, `expected another ${member}, found the one of ${path}[${before}]`);
      }
    }
    index = index + 1;
  }
  return first;
}

/** An endpoint's URL in one spelling, so that two ways to write one endpoint are the same. */
function address_of(endpoint: EndpointConfiguration): string | undefined {
  const host = endpoint.host as string | undefined;
  return host === undefined ? undefined : `${endpoint.scheme}://${host}:${endpoint.port}${endpoint.path}`;
}

function check_endpoints(pool: PoolConfiguration, path: string, report: Report): void {
  let index = 0;
  let scheme: string | undefined;
  for (const endpoint of pool.endpoints ?? []) {
    const [parts] = split_url((endpoint.url as string | undefined) ?? "");
    if (parts !== undefined) {
      endpoint.scheme = parts.scheme;
      endpoint.host = parts.host;
      endpoint.port = parts.port;
      endpoint.path = parts.path;
      scheme = scheme ?? parts.scheme;
      const here = `${path}.endpoints[${index}].url`;
      if (parts.scheme !== scheme) {
        report(here, `expected ${scheme}, as the pool's first endpoint has it, found ${parts.scheme}`);
      }
      const [version] = string.find(parts.path, "/v1$");
      if (version !== undefined) {
        report(here, "expected a base without /v1 at its end; the API's path, which begins with /v1, is added to it");
      }
    }
    index = index + 1;
  }
  unique(pool.endpoints, `${path}.endpoints`, "url", address_of, report);
}

/** Checks how the sections fit together, and fills in defaults that depend on other members. */
function check_across(configuration: Configuration, report: Report): void {
  unique(configuration.tenants, "tenants", "id", (tenant) => tenant.id, report);
  unique(configuration.models, "models", "name", (model) => model.name, report);
  const pools = unique(configuration.pools, "pools", "name", (pool) => pool.name, report);
  const pool_names: string[] = [];
  for (const [name] of pairs(pools)) {
    pool_names.push(name);
  }
  table.sort(pool_names);

  let index = 0;
  for (const model of configuration.models ?? []) {
    model.upstream_model = (model.upstream_model as string | undefined) ?? model.name;
    const pool = model.pool as string | undefined;
    if (pool !== undefined && !pools.has(pool)) {
      const meant = nearest(pool, pool_names);
      const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
      report(`models[${index}].pool`, `expected the name of a pool, found ${shown(pool)}${hint}`);
    }
    index = index + 1;
  }

  index = 0;
  for (const pool of configuration.pools ?? []) {
    const path = `pools[${index}]`;
    check_endpoints(pool, path, report);
    unique(pool.keys, `${path}.keys`, "id", (key) => key.id, report);
    index = index + 1;
  }
}

export { check_across };
