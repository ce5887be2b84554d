/**
 * Meters: the handles that one kind of request needs, found once and kept, so that the log phase accounts for a
 * request with a handful of additions.
 *
 * A meter belongs to a tenant, a model and an operation, or to an endpoint. Those names come from the
 * configuration: a meter is kept for good, so never ask for one by a name that a client made up.
 */

import { add, observe } from "./registry";
import type { Catalogue } from "./catalogue";
import type { Tokens } from "../ledger/price";
import type { Counter, Distribution, Series } from "./registry";

/** Series of one counter by the value of its last label; what comes before is the same for all. */
interface Family {
  counter: Counter;
  values: string[];
  series: LuaTable<string | number, Series>;
}

interface Meter {
  requests: Family;
  duration: Distribution;
  first_token: Distribution;
  server_first_token: Distribution;
  input: Series;
  cached_input: Series;
  output: Series;
  /** Found when it is needed: few upstreams have caches that are written for money. */
  cache_write: Series | undefined;
  cache_write_1h: Series | undefined;
  tokens_of: string[];
  input_usage: Distribution;
  cost: Series;
  output_usage: Distribution;
}

interface EndpointMeter {
  requests: Family;
}

interface Meters {
  catalogue: Catalogue;
  /** By operation, tenant and model. */
  requests: LuaTable<string, LuaTable<string, LuaTable<string, Meter>>>;
  /** By pool and endpoint. */
  endpoints: LuaTable<string, LuaTable<string, EndpointMeter>>;
  refusals: LuaTable<string, Family>;
  truncated: LuaTable<string, Family>;
  overhead: LuaTable<string, Distribution>;
  held: Distribution;
  store: Distribution;
}

function create_meters(catalogue: Catalogue): Meters {
  return {
    catalogue,
    requests: new LuaTable(),
    endpoints: new LuaTable(),
    refusals: new LuaTable(),
    truncated: new LuaTable(),
    overhead: new LuaTable(),
    held: catalogue.guard_held.with([]),
    store: catalogue.store_duration.with([]),
  };
}

function make_family(counter: Counter, values: string[]): Family {
  return { counter, values, series: new LuaTable() };
}

function member(family: Family, value: string | number): Series {
  const known = family.series.get(value);
  if (known !== undefined) return known;
  const values: string[] = [];
  for (const each of family.values) values.push(each);
  values.push(`${value}`);
  const series = family.counter.with(values);
  family.series.set(value, series);
  return series;
}

function make_meter(catalogue: Catalogue, operation: string, tenant: string, model: string): Meter {
  return {
    requests: make_family(catalogue.requests, [tenant, model]),
    duration: catalogue.request_duration.with([model]),
    first_token: catalogue.time_to_first_token.with([model]),
    server_first_token: catalogue.server_time_to_first_token.with([operation, model]),
    input: catalogue.tokens.with([tenant, model, "input"]),
    cached_input: catalogue.tokens.with([tenant, model, "cached_input"]),
    output: catalogue.tokens.with([tenant, model, "output"]),
    cache_write: undefined,
    cache_write_1h: undefined,
    tokens_of: [tenant, model],
    input_usage: catalogue.client_token_usage.with([operation, model, "input"]),
    cost: catalogue.cost.with([tenant, model]),
    output_usage: catalogue.client_token_usage.with([operation, model, "output"]),
  };
}

/**
 * The meter of a tenant's requests to a model. `operation` is what OpenTelemetry calls it: `chat`, `text_completion`,
 * `embeddings`. "" stands for what is not known.
 */
function request_meter(meters: Meters, operation: string, tenant: string, model: string): Meter {
  let tenants = meters.requests.get(operation);
  if (tenants === undefined) {
    tenants = new LuaTable();
    meters.requests.set(operation, tenants);
  }
  let models = tenants.get(tenant);
  if (models === undefined) {
    models = new LuaTable();
    tenants.set(tenant, models);
  }
  let meter = models.get(model);
  if (meter === undefined) {
    meter = make_meter(meters.catalogue, operation, tenant, model);
    models.set(model, meter);
  }
  return meter;
}

/** Counts an ended request: the status that the client got and how many seconds it took. */
function count_request(meter: Meter, status: number, seconds: number): void {
  add(member(meter.requests, status), 1);
  observe(meter.duration, seconds);
}

/** Counts the time to the first byte of the answer's body, in seconds. */
function count_first_token(meter: Meter, seconds: number): void {
  observe(meter.first_token, seconds);
  observe(meter.server_first_token, seconds);
}

/** Counts input that was written to the upstream's cache. */
function count_written(meters: Meters, meter: Meter, tokens: Tokens): void {
  const [tenant = "", model = ""] = meter.tokens_of;
  const { tokens: counter } = meters.catalogue;
  meter.cache_write ??= counter.with([tenant, model, "cache_write"]);
  add(meter.cache_write, tokens.cache_write);
  if (tokens.cache_write_1h > 0) {
    meter.cache_write_1h ??= counter.with([tenant, model, "cache_write_1h"]);
    add(meter.cache_write_1h, tokens.cache_write_1h);
  }
}

/** Counts a request's tokens, and what they cost in nano-dollars. */
function count_tokens(meters: Meters, meter: Meter, tokens: Tokens, nano_usd: number): void {
  const { input, cached_input, output } = tokens;
  if (nano_usd > 0) add(meter.cost, nano_usd / 1e9);
  add(meter.input, input);
  if (cached_input > 0) add(meter.cached_input, cached_input);
  if (tokens.cache_write > 0) count_written(meters, meter, tokens);
  add(meter.output, output);
  observe(meter.input_usage, input);
  observe(meter.output_usage, output);
}

function family_of(families: LuaTable<string, Family>, counter: Counter, value: string): Family {
  let family = families.get(value);
  if (family === undefined) {
    family = make_family(counter, [value]);
    families.set(value, family);
  }
  return family;
}

/** Counts a refusal by its code; `tenant` is "" if the caller was not identified. */
function count_refusal(meters: Meters, tenant: string, code: string): void {
  add(member(family_of(meters.refusals, meters.catalogue.refusals, tenant), code), 1);
}

/** Counts an answer that ended without its terminal marker. */
function count_truncated(meters: Meters, pool: string, cause: string): void {
  add(member(family_of(meters.truncated, meters.catalogue.streams_truncated, pool), cause), 1);
}

/** How much a guard found, by what was done about it. */
interface Finds {
  flagged: number;
  masked: number;
  blocked: number;
}

/** Counts what a guard found. `where`: in the prompt, or the completion. */
function count_hits(meters: Meters, guard: string, where: "prompt" | "completion", finds: Finds): void {
  const { guard_hits } = meters.catalogue;
  if (finds.flagged > 0) add(guard_hits.with([guard, "flag", where]), finds.flagged);
  if (finds.masked > 0) add(guard_hits.with([guard, "mask", where]), finds.masked);
  if (finds.blocked > 0) add(guard_hits.with([guard, "block", where]), finds.blocked);
}

/** Counts the longest that any of a stream was held back, in seconds. */
function observe_held(meters: Meters, seconds: number): void {
  observe(meters.held, seconds);
}

/** Counts an exchange with the store that several nodes share, in seconds. */
function observe_store(meters: Meters, seconds: number): void {
  observe(meters.store, seconds);
}

/** Counts the seconds that the gateway took in an nginx phase, such as `access`. */
function count_overhead(meters: Meters, phase: string, seconds: number): void {
  let series = meters.overhead.get(phase);
  if (series === undefined) {
    series = meters.catalogue.overhead.with([phase]);
    meters.overhead.set(phase, series);
  }
  observe(series, seconds);
}

/** The meter of an endpoint; `endpoint` is how the configuration names it. */
function endpoint_meter(meters: Meters, pool: string, endpoint: string): EndpointMeter {
  let endpoints = meters.endpoints.get(pool);
  if (endpoints === undefined) {
    endpoints = new LuaTable();
    meters.endpoints.set(pool, endpoints);
  }
  let meter = endpoints.get(endpoint);
  if (meter === undefined) {
    meter = { requests: make_family(meters.catalogue.upstream_requests, [pool, endpoint]) };
    endpoints.set(endpoint, meter);
  }
  return meter;
}

/** Counts an attempt that ended, by the endpoint's status; 0 if none came. */
function count_attempt(meter: EndpointMeter, status: number): void {
  add(member(meter.requests, status), 1);
}

export {
  count_attempt, count_first_token, count_hits, count_overhead, count_refusal, count_request, count_tokens, count_truncated,
  create_meters, endpoint_meter, observe_held, observe_store, request_meter,
};
export type { EndpointMeter, Meter, Meters };
