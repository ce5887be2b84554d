/** Which pool serves a model, and under which name. */

import { refuse } from "../wire/refusal";
import type { Refusal } from "../wire/refusal";
import type { Pool } from "../pool/pools";
import type { Price, PriceConfiguration } from "../ledger/price";
import type { ModelConfiguration } from "./config";

interface Model {
  name: string;
  /** What the pool's endpoints call it. */
  upstream_model: string;
  pool: Pool;
  /** The most tokens of output that an answer may have. */
  max_output_tokens: number | undefined;
  /** What its tokens cost; undefined: nothing. */
  price: Price | undefined;
}

interface RouteTable {
  by_name: LuaTable<string, Model>;
  /** In the order of the configuration, for the model list. */
  in_order: Model[];
}

/** Builds the table. The configuration was checked: every model's pool exists. */
function build(
  models: ModelConfiguration[],
  pools: LuaTable<string, Pool>,
  make_price: (this: void, configured: PriceConfiguration | undefined) => Price | undefined,
): RouteTable {
  const table: RouteTable = { by_name: new LuaTable(), in_order: [] };
  for (const configured of models) {
    const pool = pools.get(configured.pool);
    if (pool !== undefined) {
      const model: Model = {
        name: configured.name,
        upstream_model: configured.upstream_model,
        pool,
        max_output_tokens: configured.max_output_tokens,
        price: make_price(configured.price),
      };
      table.by_name.set(model.name, model);
      table.in_order.push(model);
    }
  }
  return table;
}

/** The model of that name, or the refusal `model_not_found` (404). */
function find_model(table: RouteTable, name: string): LuaMultiReturn<[model: Model | undefined, refusal: Refusal | undefined]> {
  const model = table.by_name.get(name);
  if (model === undefined) {
    return $multi(undefined, refuse(404, "invalid_request_error", "model_not_found", "There is no model of that name here.", "model"));
  }
  return $multi(model, undefined);
}

export { build, find_model };
export type { Model, RouteTable };
