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
import { compile_watching, headers_of, warmup_for } from "./watching";
import type { BreakerConfiguration } from "./breaker_state";
import type { AccountKeyConfiguration, Balance, EndpointConfiguration, PoolApi, PoolConfiguration } from "./config";
import type { LivePool } from "./live";
import type { Retry } from "./retry";
import type { Schedule } from "./schedule";
import type { Slots } from "./slots";
import type { Headers, Watching } from "./watching";

interface Endpoint {
  scheme: "http" | "https";
  /** How the metrics and the journal name it: its URL; of several with the same, `#` and the model's name there follow. */
  name: string;
  host: string;
  port: number;
  /** The `Host` header. */
  host_header: string;
  /** Its place in the pool, from 0. */
  index: number;
  /** What workers know it by, over reloads: the pool and its name. */
  key: string;
  /** What it calls the models that are asked of it; undefined: as the model says. */
  upstream_model: string | undefined;
  /** Which of the pool's accounts it is asked with: from the first on, up to, not including, the last. */
  first_account: number;
  account_end: number;
  /** What questions to it carry and its warming up sends, where that is not as for the others of the pool. */
  question_headers: Headers | undefined;
  warmup_body: string | undefined;
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
  /** The client's headers that go on, undefined: none do; and whether its address does. */
  forward_headers: string[] | undefined;
  forward_client_ip: boolean;
  endpoints: Endpoint[];
  /**
   * Whether no stream_options are sent; whether an endpoint has a name of its own for the models, and whether one has accounts
   * of its own.
   */
  never_options: boolean;
  own_names: boolean;
  own_accounts: boolean;
  /** The pool's own, so many, and then those of each endpoint that has accounts of its own. */
  shared_accounts: number;
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

/** The paths below an endpoint's base path, which begin with `/v1` (a pool's `base_path` stands in its place), by service. */
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

/** What an endpoint is called: its URL, unless another one of the pool has the same. */
function name_of(endpoint: EndpointConfiguration, endpoints: readonly EndpointConfiguration[]): string {
  let count = 0;
  for (const { url } of endpoints) {
    count += url === endpoint.url ? 1 : 0;
  }
  const { upstream_model, url } = endpoint;
  return count > 1 && upstream_model !== undefined ? `${url}#${upstream_model}` : url;
}

/** Adds the accounts: the pool's own, for endpoints that have none, and then those of each endpoint. */
function add_accounts(pool: Pool, configuration: PoolConfiguration): void {
  const { accounts, api } = pool;
  const { endpoints, keys } = configuration;
  let needed = false;
  for (const endpoint of endpoints) {
    needed = needed || endpoint.keys === undefined;
  }
  for (const key of keys) {
    accounts.push(build_account(api, key));
  }
  if (accounts.length === 0 && needed) {
    accounts.push(NO_ACCOUNT);
  }
  pool.shared_accounts = accounts.length;
  for (const { index } of pool.endpoints) {
    const own = endpoints[index]!.keys;
    const endpoint = pool.endpoints[index]!;
    endpoint.first_account = own === undefined ? 0 : accounts.length;
    for (const key of own ?? []) {
      accounts.push(build_account(api, key));
    }
    endpoint.account_end = own === undefined ? pool.shared_accounts : accounts.length;
    pool.own_accounts = pool.own_accounts || own !== undefined;
  }
}

/** Makes what questions to the endpoints carry, those of each where they are not the pool's. */
function add_questions(pool: Pool, configuration: PoolConfiguration): void {
  pool.watching = compile_watching(configuration, pool.accounts[0]!);
  if (pool.watching === undefined) {
    return;
  }
  for (const endpoint of pool.endpoints) {
    if (configuration.endpoints[endpoint.index]!.keys !== undefined) {
      endpoint.question_headers = headers_of(configuration, pool.accounts[endpoint.first_account]!);
    }
    if (endpoint.upstream_model !== undefined && pool.watching.warmup !== undefined) {
      endpoint.warmup_body = warmup_for(pool.watching.warmup.body, endpoint.upstream_model);
    }
  }
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
  const { breaker, forward_headers, queue, session_header } = configuration;
  const [seed] = hash(configuration.name);
  const pool: Pool = {
    name: configuration.name,
    api: configuration.api,
    api_version: configuration.api_version,
    headers: header_lines(configuration.headers ?? {}),
    forward_headers: forward_headers !== undefined && forward_headers.length > 0 ? forward_headers : undefined,
    forward_client_ip: configuration.forward_client_ip === true,
    endpoints: [],
    never_options: configuration.stream_options === "never",
    own_names: false,
    own_accounts: false,
    shared_accounts: 0,
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
    const name = name_of(endpoint, configuration.endpoints);
    const key = `${configuration.name} ${name}`;
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
      const path = upstream_path(configuration.api, configuration.api_version, api.service, api.upstream_path, configuration.base_path);
      if (path !== undefined) {
        upstream.set(api.service, base + path);
      }
    }
    pool.endpoints.push({
      scheme: endpoint.scheme,
      name,
      host: endpoint.host,
      port: endpoint.port,
      host_header: host_header(endpoint),
      index,
      key,
      upstream_model: endpoint.upstream_model,
      first_account: 0,
      account_end: 0,
      question_headers: undefined,
      warmup_body: undefined,
      base_path: endpoint.path,
      base,
      upstream,
    });
    pool.own_names = pool.own_names || endpoint.upstream_model !== undefined;
  }
  add_accounts(pool, configuration);
  add_questions(pool, configuration);
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
