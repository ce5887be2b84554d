/**
 * Pools as the gateway uses them: the endpoints with all that an attempt needs already put together, so that
 * choosing one is all there is to do per request.
 */

import { header_lines } from "./headers";
import { upstream_path } from "./paths";
import { TLS_SLOTS, assign_slot, copy_slots } from "./slots";
import type { Service } from "../wire/api";
import { hash } from "../wire/shape";
import { compile_retry } from "./retry";
import { build_schedule, integers } from "./schedule";
import { compile_watching } from "./watching";
import type { BreakerConfiguration } from "./breaker_state";
import type { AccountKeyConfiguration, Balance, EndpointConfiguration, PoolApi, PoolConfiguration } from "./config";
import type { LivePool } from "./live";
import type { Retry } from "./retry";
import type { Schedule } from "./schedule";
import type { Slots } from "./slots";
import type { Watching } from "./watching";

interface Endpoint {
  scheme: "http" | "https";
  /** How the configuration, the metrics and the journal name it. */
  name: string;
  host: string;
  port: number;
  /** The `Host` header. */
  host_header: string;
  /** Its place in the pool, from 0. */
  index: number;
  /** What workers know it by, over reloads: the pool and the URL. */
  key: string;
  /** The path below which all of its pages lie: "", or beginning with a slash. */
  base_path: string;
  /** What `proxy_pass` is given, without a path below the endpoint's base. */
  base: string;
  /** What `proxy_pass` is given, by service: those that the endpoint has, unless that depends on the model. */
  upstream: LuaTable<Service, string>;
}

/** The credential of an upstream account, as the headers that carry it; "" where a header isn't sent. */
interface Account {
  id: string;
  authorization: string;
  x_api_key: string;
  api_key: string;
  weight: number;
}

interface Pool {
  name: string;
  api: PoolApi;
  /** Of Azure's dated form; undefined: none. */
  api_version: string | undefined;
  /** The value of `User-Agent` with which more headers are sent; empty: there are none. */
  headers: string;
  endpoints: Endpoint[];
  accounts: Account[];
  /** In seconds. */
  connect_timeout: number;
  send_timeout: number;
  read_timeout: number;
  /** From a request's arrival on, over all of its attempts. */
  total_timeout: number;
  balance: Balance;
  /** The header that names a session, in lower case with `_` for `-`; undefined: none does. */
  session_header: string | undefined;
  /** What tells it from other pools, by its name. */
  seed: number;
  /** By endpoint: what it is called in memory that all workers share, over configurations, by its key; and the other way round. */
  ids: Int32Buffer;
  index_of: LuaTable<number, number>;
  /** By endpoint: its weight, and how many requests it may have under way; 0: any number. */
  weights: Int32Buffer;
  most: Int32Buffer;
  schedule: Schedule;
  retry: Retry;
  /** In seconds. */
  breaker: BreakerConfiguration;
  /** Whether any endpoint has a limit; and how many requests wait for it at most, for how many seconds. */
  is_limited: boolean;
  queue: { max_waiting: number; timeout: number };
  /** How its endpoints are asked for more than requests; undefined: they aren't. */
  watching: Watching | undefined;
  /** What a worker knows of its endpoints and accounts; made when it first needs it. */
  live: LivePool | undefined;
}

interface Problem {
  path: string;
  message: string;
}

/** The paths below an endpoint's base path, which ends before `/v1`, by service. */
interface UpstreamPath {
  service: Service;
  upstream_path: string;
}

const NO_ACCOUNT: Account = { id: "", authorization: "", x_api_key: "", api_key: "", weight: 1 };

function host_header(endpoint: EndpointConfiguration): string {
  const [colon] = string.find(endpoint.host, ":", 1, true);
  const host = colon !== undefined ? `[${endpoint.host}]` : endpoint.host;
  const usual = endpoint.scheme === "https" ? 443 : 80;
  return endpoint.port === usual ? host : `${host}:${endpoint.port}`;
}

function build_account(api: PoolApi, key: AccountKeyConfiguration): Account {
  const { id, secret, weight } = key;
  return {
    id,
    authorization: api === "openai" ? `Bearer ${secret}` : "",
    x_api_key: api === "anthropic" ? secret : "",
    api_key: api === "azure" ? secret : "",
    weight,
  };
}

function build_pool(configuration: PoolConfiguration, apis: UpstreamPath[], slots: Slots, now: number): LuaMultiReturn<[pool: Pool, reason: string | undefined]> {
  const count = configuration.endpoints.length;
  const weights = integers(count);
  const most = integers(count);
  let is_limited = false;
  for (const index of $range(0, count - 1)) {
    weights[index] = configuration.endpoints[index]!.weight;
    most[index] = configuration.endpoints[index]!.max_concurrent ?? 0;
    is_limited = is_limited || most[index] !== 0;
  }
  const { breaker, queue, session_header } = configuration;
  const [seed] = hash(configuration.name);
  const pool: Pool = {
    name: configuration.name,
    api: configuration.api,
    api_version: configuration.api_version,
    headers: header_lines(configuration.headers ?? {}),
    endpoints: [],
    accounts: [],
    connect_timeout: configuration.timeouts.connect / 1000,
    send_timeout: configuration.timeouts.send / 1000,
    read_timeout: configuration.timeouts.read / 1000,
    total_timeout: configuration.timeouts.total / 1000,
    balance: configuration.balance,
    session_header: session_header === undefined ? undefined : string.gsub(string.lower(session_header), "-", "_")[0],
    seed,
    ids: integers(count),
    index_of: new LuaTable(),
    weights,
    most,
    schedule: build_schedule(weights, count),
    retry: compile_retry(configuration.retries),
    // One that is alone has nobody to take its place.
    breaker: { failures: count > 1 ? breaker.failures : 0, window: breaker.window / 1000, open: breaker.open / 1000, share: breaker.share },
    is_limited,
    queue: { max_waiting: queue.max_waiting, timeout: queue.timeout / 1000 },
    watching: undefined,
    live: undefined,
  };
  let reason: string | undefined;
  for (const endpoint of configuration.endpoints) {
    const index = pool.endpoints.length;
    const key = `${configuration.name} ${endpoint.url}`;
    const [id] = hash(key);
    pool.ids[index] = id;
    pool.index_of.set(id, index);
    const slot = assign_slot(slots, endpoint.scheme, endpoint.host, now);
    if (slot === undefined) {
      reason = `expected at most ${TLS_SLOTS} different host names of https endpoints in all pools; ${endpoint.host} is one more`;
    }
    const upstream = new LuaTable<Service, string>();
    const base = `${endpoint.scheme}://${slot}${endpoint.path}`;
    for (const api of apis) {
      const path = upstream_path(configuration.api, configuration.api_version, api.service, api.upstream_path);
      if (path !== undefined) {
        upstream.set(api.service, base + path);
      }
    }
    pool.endpoints.push({
      scheme: endpoint.scheme,
      name: endpoint.url,
      host: endpoint.host,
      port: endpoint.port,
      host_header: host_header(endpoint),
      index,
      key,
      base_path: endpoint.path,
      base,
      upstream,
    });
  }
  for (const key of configuration.keys) {
    pool.accounts.push(build_account(configuration.api, key));
  }
  if (pool.accounts.length === 0) {
    pool.accounts.push(NO_ACCOUNT);
  }
  pool.watching = compile_watching(configuration, pool.accounts[0]!);
  return $multi(pool, reason);
}

/**
 * Builds the pools by name. `slots` outlives configurations; `now` is in seconds on a clock that only goes forward.
 * Problems: more TLS names than upstream slots.
 */
function build(
  pools: PoolConfiguration[],
  apis: UpstreamPath[],
  slots: Slots,
  now: number,
): LuaMultiReturn<[pools: LuaTable<string, Pool>, problems: Problem[]]> {
  const by_name = new LuaTable<string, Pool>();
  const problems: Problem[] = [];
  const before = copy_slots(slots);
  for (const index of $range(0, pools.length - 1)) {
    const [pool, reason] = build_pool(pools[index]!, apis, slots, now);
    if (reason !== undefined) {
      problems.push({ path: `pools[${index}].endpoints`, message: reason });
    }
    by_name.set(pool.name, pool);
  }
  if (problems.length > 0) {
    slots.names = before.names;
    slots.used = before.used;
  }
  return $multi(by_name, problems);
}

/**
 * Says that these pools were in use until now, so that their upstream slots rest before they are given away. To be
 * called before other pools are built.
 */
function keep_slots(pools: LuaTable<string, Pool>, slots: Slots, now: number): void {
  for (const [, pool] of pools) {
    for (const endpoint of pool.endpoints) {
      assign_slot(slots, endpoint.scheme, endpoint.host, now);
    }
  }
}

export { build, keep_slots };
export type { Account, Endpoint, Pool, Problem };
