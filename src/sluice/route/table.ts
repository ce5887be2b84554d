/** Which pool serves a model, and under which name. */

import { compile_choices } from "./choose";
import type { Service } from "../wire/api";
import type { Endpoint, Pool } from "../pool/pools";
import type { Price, PriceConfiguration } from "../ledger/price";
import type { Choice, MakeMatcher } from "./choose";
import type { ModelConfiguration } from "./config";

interface Model {
  name: string;
  /** What the pool's endpoints call it. */
  upstream_model: string;
  pool: Pool;
  /** By endpoint and service: what `proxy_pass` is given, where that depends on the model; undefined: it does not. */
  upstreams: LuaTable<Service, string>[] | undefined;
  /** Those that are tried when the pool can't serve a request, in order; undefined: none. */
  fallbacks: Model[] | undefined;
  /** The most tokens of output that an answer may have. */
  max_output_tokens: number | undefined;
  /** What its tokens cost; undefined: nothing. */
  price: Price | undefined;
}

interface RouteTable {
  by_name: LuaTable<string, Model>;
  /** Those with a pool, in the order of the configuration. */
  in_order: Model[];
  /** The rules of models that have no pool, by their names. */
  choices: LuaTable<string, Choice[] | undefined>;
  /** The names of all, in the order of the configuration, for the model list. */
  names: string[];
}

/** What the table is made with besides the configuration. @noSelf */
interface RouteTools {
  make_price(configured: PriceConfiguration | undefined): Price | undefined;
  upstreams_of(pool: Pool, upstream_model: string): LuaTable<Service, string>[] | undefined;
  make_matcher: MakeMatcher;
}

/** The models of these names. */
function find_all(table: RouteTable, names: readonly string[]): Model[] {
  const models: Model[] = [];
  for (const name of names) {
    models.push(table.by_name.get(name));
  }
  return models;
}

/** Builds the table. The configuration was checked: every model's pool exists, and so do the models that others name. */
function build(models: ModelConfiguration[], pools: LuaTable<string, Pool>, tools: RouteTools): RouteTable {
  const table: RouteTable = { by_name: new LuaTable(), in_order: [], choices: new LuaTable(), names: [] };
  for (const configured of models) {
    const pool = configured.pool !== undefined ? pools.get(configured.pool) : undefined;
    table.names.push(configured.name);
    if (pool !== undefined) {
      const model: Model = {
        name: configured.name,
        upstream_model: configured.upstream_model,
        pool,
        upstreams: tools.upstreams_of(pool, configured.upstream_model),
        fallbacks: undefined,
        max_output_tokens: configured.max_output_tokens,
        price: tools.make_price(configured.price),
      };
      table.by_name.set(model.name, model);
      table.in_order.push(model);
    }
  }
  for (const { choose, fallback, name } of models) {
    if (choose !== undefined) {
      table.choices.set(name, compile_choices(choose, table.by_name, tools.make_matcher));
    } else if (fallback !== undefined && fallback.length > 0) {
      table.by_name.get(name).fallbacks = find_all(table, fallback);
    }
  }
  return table;
}

/** The model of that name; undefined: there is none, or it is a rule. */
function find_model(table: RouteTable, name: string): Model | undefined {
  return table.by_name.get(name);
}

/** Whether clients may ask for a model of that name. */
function is_known(table: RouteTable, name: string): boolean {
  return table.by_name.has(name) || table.choices.has(name);
}

/** What `proxy_pass` is given to reach a model at an endpoint; undefined: the endpoint does not have that service. */
function upstream_of(model: Model, endpoint: Endpoint, service: Service): string | undefined {
  const { upstreams } = model;
  return (upstreams !== undefined ? upstreams[endpoint.index]! : endpoint.upstream).get(service);
}

/** Whether a model's pool has a service. */
function serves(model: Model, service: Service): boolean {
  return upstream_of(model, model.pool.endpoints[0]!, service) !== undefined;
}

export { build, find_model, is_known, serves, upstream_of };
export type { Model, RouteTable, RouteTools };
