/** What no single member of a model can tell: whether the models that it names are there, and can take its place. */

import { family_of, is_deployment_name } from "../pool/paths";
import type { PoolConfiguration } from "../pool/config";
import type { ModelConfiguration } from "../route/config";
import type { Configuration } from "./configuration";

type Report = (this: void, path: string, message: string) => void;
type CheckReference = (this: void, name: string | undefined, known: LuaTable<string, number>, path: string, what: string, report: Report) => void;

/** The pool of a model, if it has one that exists. */
function pool_of(configuration: Configuration, model: ModelConfiguration | undefined, pools: LuaTable<string, number>): PoolConfiguration | undefined {
  const name = model?.pool;
  const index = name !== undefined ? (pools.get(name) as number | undefined) : undefined;
  return index !== undefined ? configuration.pools[index] : undefined;
}

/** What a model that is a rule does not have of its own. */
const NOT_OF_RULES = ["upstream_model", "max_output_tokens", "price", "fallback"] as const;

/** Reports the name of a model that is a rule, where one with a pool has to stand. Returns the model, if it has a pool. */
function check_real(
  configuration: Configuration,
  name: string | undefined,
  models: LuaTable<string, number>,
  path: string,
  check_reference: CheckReference,
  report: Report,
): ModelConfiguration | undefined {
  check_reference(name, models, path, "model", report);
  const index = name !== undefined ? (models.get(name) as number | undefined) : undefined;
  const model = index !== undefined ? configuration.models[index] : undefined;
  if (model !== undefined && model.choose !== undefined) {
    report(path, `expected a model with a pool, found ${name}, which is a rule`);
    return undefined;
  }
  return model;
}

/** Checks the rules of a model that has no pool. */
function check_choices(
  configuration: Configuration,
  model: ModelConfiguration,
  path: string,
  models: LuaTable<string, number>,
  check_reference: CheckReference,
  report: Report,
): void {
  for (const name of NOT_OF_RULES) {
    if (model[name] !== undefined) {
      report(`${path}.${name}`, "goes with a pool; the models that are chosen have their own");
    }
  }
  const choices = model.choose ?? [];
  const last = choices.length - 1;
  let index = 0;
  for (const { use, when } of choices) {
    const here = `${path}.choose[${index}]`;
    check_real(configuration, use, models, `${here}.use`, check_reference, report);
    if (index < last && when === undefined) {
      report(`${here}.when`, "is missing; expected conditions, since other rules follow");
    } else if (index === last && when !== undefined) {
      report(`${here}.when`, "is one too many; expected a last rule without conditions, which holds for all other requests");
    }
    index += 1;
  }
}

/** Checks the models that are to take a model's place. */
function check_fallback(
  configuration: Configuration,
  model: ModelConfiguration,
  path: string,
  models: LuaTable<string, number>,
  pools: LuaTable<string, number>,
  check_reference: CheckReference,
  report: Report,
): void {
  const own = pool_of(configuration, model, pools);
  const seen = new LuaTable<string, number>();
  let index = 0;
  for (const name of model.fallback ?? []) {
    const here = `${path}.fallback[${index}]`;
    if (name === model.name) {
      report(here, "expected another model, found the one itself");
    } else if (typeof name === "string" && seen.has(name)) {
      report(here, `expected another model, found the one of ${path}.fallback[${seen.get(name)}]`);
    } else if (typeof name === "string") {
      seen.set(name, index);
      const other = pool_of(configuration, check_real(configuration, name, models, here, check_reference, report), pools);
      if (own !== undefined && other !== undefined && family_of(own.api) !== family_of(other.api)) {
        report(here, `expected a model whose pool speaks ${own.api} too, since it gets the same request; the pool of ${name} speaks ${other.api}`);
      }
    }
    index += 1;
  }
}

const NO_DEPLOYMENT = "expected the name of a deployment: letters, digits, dots, underscores and hyphens, since it stands in a path";

/** Whether each endpoint of a pool has a name of its own for the models. */
function names_all(pool: PoolConfiguration): boolean {
  let all = true;
  for (const endpoint of pool.endpoints ?? []) {
    all = all && endpoint.upstream_model !== undefined;
  }
  return all;
}

/** Checks the names that a pool's endpoints have for the models that are asked of them. */
function check_endpoint_names(pool: PoolConfiguration, path: string, report: Report): void {
  let index = 0;
  for (const { upstream_model } of pool.endpoints ?? []) {
    if (pool.api === "azure" && pool.api_version !== undefined && upstream_model !== undefined && !is_deployment_name(upstream_model)) {
      report(`${path}.endpoints[${index}].upstream_model`, NO_DEPLOYMENT);
    }
    index += 1;
  }
}

/** Checks one model. `models` and `pools`: the places of those that there are, by their names. */
function check_model(
  configuration: Configuration,
  index: number,
  models: LuaTable<string, number>,
  pools: LuaTable<string, number>,
  check_reference: CheckReference,
  report: Report,
): void {
  const path = `models[${index}]`;
  const model = configuration.models[index]!;
  const name = model.name as string | undefined;
  if (name !== undefined && string.find(name, "*", 1, true)[0] !== undefined) {
    report(`${path}.name`, "expected a name without *, which stands for nothing here: list each model by its name");
  }
  if (model.choose !== undefined) {
    check_choices(configuration, model, path, models, check_reference, report);
    return;
  }
  check_fallback(configuration, model, path, models, pools, check_reference, report);
  const pool = pool_of(configuration, model, pools);
  const deployment = (model.upstream_model as string | undefined) ?? (model.name as string | undefined);
  if (pool?.api === "azure" && pool.api_version !== undefined && deployment !== undefined && !names_all(pool) && !is_deployment_name(deployment)) {
    const member = (model.upstream_model as string | undefined) !== undefined ? "upstream_model" : "name";
    report(`${path}.${member}`, NO_DEPLOYMENT);
  }
}

export { check_endpoint_names, check_model };
