import type { EndpointConfiguration, PoolConfiguration } from "../pool/config";
import type { Configuration } from "./configuration";
import { split_url } from "./format";
import type { GuardConfiguration } from "../guard/config";
import { nearest } from "./near";
import { check_azure, check_forwarding, check_headers, check_keys, check_version } from "./pool_rules";
import { check_endpoint_names, check_model } from "./model_rules";
import { shown } from "./problem";
import type { StoreConfiguration } from "../limit/config";

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

/**
 * An endpoint's URL in one spelling, so that two ways to write one endpoint are the same; those with other names for a model
 * are others.
 */
function address_of(endpoint: EndpointConfiguration): string | undefined {
  const host = endpoint.host as string | undefined;
  const model = endpoint.upstream_model !== undefined ? ` ${endpoint.upstream_model}` : "";
  return host === undefined ? undefined : `${endpoint.scheme}://${host}:${endpoint.port}${endpoint.path}${model}`;
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
      check_version(pool, parts.path, here, report);
    }
    index = index + 1;
  }
  unique(pool.endpoints, `${path}.endpoints`, "url", address_of, report);
}

/** What a list of words is called that has no name: its file's name, with what no identifier may have replaced. */
function name_of_file(file: string): string {
  const [name] = string.match(file, "([^/]*)/*$");
  const [plain] = string.gsub(name ?? "", "[^%w._-]", "_");
  return string.sub(plain, 1, 64);
}

/** Checks a guard and names its lists. */
function check_guard(guard: GuardConfiguration, path: string, report: Report): void {
  let count = 0;
  for (const lexicon of guard.lexicons ?? []) {
    const file = lexicon.file as string | undefined;
    if (file !== undefined) {
      lexicon.name = lexicon.name ?? name_of_file(file);
    }
    count = count + 1;
  }
  unique(guard.lexicons, `${path}.lexicons`, "name", (lexicon) => lexicon.name, report);
  for (const [, action] of pairs(guard.patterns ?? {})) {
    count = count + (action === "off" ? 0 : 1);
  }
  if (count === 0) {
    report(path, "looks for nothing; expected lexicons, or patterns that are not off");
  }
}

/** Reports a name that is not among those it should be. `what` is what has such names. */
function check_reference(name: string | undefined, known: LuaTable<string, number>, path: string, what: string, report: Report): void {
  if (name === undefined || known.has(name)) {
    return;
  }
  const names: string[] = [];
  for (const [each] of pairs(known)) {
    names.push(each);
  }
  table.sort(names);
  const meant = nearest(name, names);
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
  report(path, `expected the name of a ${what}, found ${shown(name)}${hint}`);
}

/** Checks that the store's members fit together. */
function check_store(store: StoreConfiguration | undefined, report: Report): void {
  if (store === undefined || store.kind !== "redis") {
    return;
  }
  const { redis } = store;
  if (redis === undefined) {
    report("store.redis", "is missing; expected it, since kind is redis");
    return;
  }
  if (redis.on_loss === "local" && redis.nodes === undefined) {
    report("store.redis.nodes", "is missing; expected how many gateways there are, as on_loss is local and each goes by its share");
  }
  if (redis.url === undefined && redis.sentinels !== undefined && redis.master === undefined) {
    report("store.redis.master", "is missing; expected what the Sentinels call the master");
  }
  for (const name of ["master", "user", "password", "database", "sentinel_password"] as const) {
    if (redis.url !== undefined && redis.sentinels === undefined && redis[name] !== undefined) {
      report(`store.redis.${name}`, name === "master" || name === "sentinel_password" ? "goes with sentinels, not with a url" : "goes into the url");
    }
  }
  if (redis.user !== undefined && redis.password === undefined) {
    report("store.redis.password", "is missing; expected the user's");
  }
}

/** Checks that the tenants exist whom an issuer's tokens may name. */
function check_issuers(configuration: Configuration, tenants: LuaTable<string, number>, report: Report): void {
  let index = 0;
  for (const issuer of configuration.auth?.jwt ?? []) {
    const named = issuer.tenants ?? [];
    for (const at of $range(0, named.length - 1)) {
      check_reference(named[at], tenants, `auth.jwt[${index}].tenants[${at}]`, "tenant", report);
    }
    index = index + 1;
  }
}

/** Checks how the sections fit together, and fills in defaults that depend on other members. */
function check_across(configuration: Configuration, report: Report): void {
  check_store(configuration.store, report);
  const tenants = unique(configuration.tenants, "tenants", "id", (tenant) => tenant.id, report);
  const models = unique(configuration.models, "models", "name", (model) => model.name, report);
  const pools = unique(configuration.pools, "pools", "name", (pool) => pool.name, report);
  const guards = unique(configuration.guards, "guards", "name", (guard) => guard.name, report);

  check_issuers(configuration, tenants, report);

  let index = 0;
  for (const tenant of configuration.tenants ?? []) {
    check_reference(tenant.guard, guards, `tenants[${index}].guard`, "guard", report);
    index = index + 1;
  }

  index = 0;
  for (const model of configuration.models ?? []) {
    check_reference(model.pool, pools, `models[${index}].pool`, "pool", report);
    check_model(configuration, index, models, pools, check_reference, report);
    model.upstream_model = (model.upstream_model as string | undefined) ?? model.name;
    index = index + 1;
  }

  index = 0;
  for (const pool of configuration.pools ?? []) {
    const path = `pools[${index}]`;
    check_endpoints(pool, path, report);
    check_azure(pool, path, report);
    check_endpoint_names(pool, path, report);
    if (pool.warmup !== undefined) {
      pool.warmup.path = (pool.warmup.path as string | undefined) ?? `${pool.base_path ?? "/v1"}/chat/completions`;
    }
    check_headers(pool, path, report);
    check_forwarding(pool, path, report);
    check_keys(pool, path, report);
    index = index + 1;
  }

  index = 0;
  for (const guard of configuration.guards ?? []) {
    check_guard(guard, `guards[${index}]`, report);
    index = index + 1;
  }
}

export { check_across };
