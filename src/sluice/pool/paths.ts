/**
 * Where a pool's endpoints expect each of the public APIs, below their base.
 *
 * Azure OpenAI has two forms (learn.microsoft.com, "Azure OpenAI REST API reference"): with a dated `api-version` the path names the
 * deployment, so it depends on the model; the v1 form has OpenAI's own paths behind `/openai`.
 */

import type { Service } from "../wire/api";
import type { PoolApi } from "./config";
import type { Pool } from "./pools";

/** What the deployments form calls the APIs that it has. */
const DEPLOYMENT_PATHS = new LuaTable<Service, string | undefined>();
DEPLOYMENT_PATHS.set("chat", "chat/completions");
DEPLOYMENT_PATHS.set("completions", "completions");
DEPLOYMENT_PATHS.set("embeddings", "embeddings");

/** What all paths of the APIs begin with. */
const VERSION = "/v1";

/**
 * The path of a service below an endpoint's base; undefined: it is not served, or its path depends on the model. `usual`:
 * OpenAI's own path, which begins with `/v1`. `base_path`: what stands in place of that; not for Azure's paths.
 */
function upstream_path(api: PoolApi, api_version: string | undefined, service: Service, usual: string, base_path: string | undefined): string | undefined {
  if (api !== "azure") {
    return base_path === undefined ? usual : base_path + string.sub(usual, VERSION.length + 1);
  }
  return api_version === undefined && service !== "messages" && service !== "count_messages" ? `/openai${usual}` : undefined;
}

/**
 * What `proxy_pass` is given for a model, by endpoint and service, where that depends on the model; undefined elsewhere.
 * An endpoint's own name for the model goes before. `upstream_model` is a name that needs no escape in a path:
 * `is_deployment_name`.
 */
function deployment_upstreams(pool: Pool, upstream_model: string): LuaTable<Service, string>[] | undefined {
  const { api, api_version, endpoints } = pool;
  if (api !== "azure" || api_version === undefined) {
    return undefined;
  }
  const upstreams: LuaTable<Service, string>[] = [];
  for (const { base, upstream_model: own } of endpoints) {
    const upstream = new LuaTable<Service, string>();
    for (const [name, path] of pairs(DEPLOYMENT_PATHS)) {
      upstream.set(name, `${base}/openai/deployments/${own ?? upstream_model}/${path}?api-version=${api_version}`);
    }
    upstreams.push(upstream);
  }
  return upstreams;
}

/** Whether a name can stand in a path as it is. Azure's own rule for deployments allows letters, digits, dots, hyphens and underscores. */
function is_deployment_name(name: string): boolean {
  return string.find(name, "^[%w._-]+$")[0] !== undefined && string.find(name, "^%.+$")[0] === undefined;
}

/** APIs of pools that take the same requests. */
function family_of(api: PoolApi): "openai" | "anthropic" {
  return api === "anthropic" ? "anthropic" : "openai";
}

export { deployment_upstreams, family_of, is_deployment_name, upstream_path };
