import { AUTH_SCHEMA, CORS_SCHEMA, tenants_schema } from "../auth/config";
import type { AuthConfiguration, CorsConfiguration, TenantConfiguration } from "../auth/config";
import { GUARDS_SCHEMA } from "../guard/config";
import type { GuardConfiguration } from "../guard/config";
import { ALERTS_SCHEMA } from "../limit/alert";
import type { AlertsConfiguration } from "../limit/alert";
import { BUDGET_SCHEMA, COMMON_LIMITS_SCHEMA, KEY_LIMITS_SCHEMA, LIMITS_SCHEMA, PRICE_SCHEMA, STORE_SCHEMA } from "../limit/config";
import type { CommonLimits, StoreConfiguration } from "../limit/config";
import { POOLS_SCHEMA } from "../pool/config";
import type { PoolConfiguration } from "../pool/config";
import { RESPONSES_SCHEMA } from "../responses/config";
import type { ResponsesConfiguration } from "../responses/config";
import { models_schema } from "../route/config";
import type { ModelConfiguration } from "../route/config";
import type { Schema } from "./schema";

/** The configuration as a whole: each room's section under its name. */

interface Configuration {
  /** The file it was read from, and the SHA-256 of that file. */
  file: string;
  digest: string;
  store: StoreConfiguration;
  auth: AuthConfiguration;
  /** Networks whose X-Forwarded-For names the client. */
  trusted_proxies: string[];
  cors?: CorsConfiguration;
  limits: CommonLimits;
  tenants: TenantConfiguration[];
  models: ModelConfiguration[];
  pools: PoolConfiguration[];
  guards: GuardConfiguration[];
  alerts?: AlertsConfiguration;
  responses?: ResponsesConfiguration;
}

const CONFIGURATION_SCHEMA: Schema = {
  description: "The configuration of a Sluice gateway.",
  type: "object",
  required: ["tenants", "models", "pools"],
  properties: {
    store: STORE_SCHEMA,
    auth: AUTH_SCHEMA,
    trusted_proxies: {
      description: "Addresses or networks of the proxies before this gateway, whose X-Forwarded-For names the client.",
      type: "array",
      items: { type: "string", format: "cidr" },
      default: [],
      examples: [["10.0.0.0/8"]],
    },
    cors: CORS_SCHEMA,
    limits: COMMON_LIMITS_SCHEMA,
    tenants: tenants_schema(LIMITS_SCHEMA, KEY_LIMITS_SCHEMA, BUDGET_SCHEMA),
    models: models_schema(PRICE_SCHEMA),
    pools: POOLS_SCHEMA,
    guards: GUARDS_SCHEMA,
    alerts: ALERTS_SCHEMA,
    responses: RESPONSES_SCHEMA,
  },
};

/**
 * The files, the configuration's own first, a change of any of which makes another configuration. Paths
 * are those the files are read by; none is named twice. Takes a configuration with problems too.
 */
function files(configuration: Configuration): string[] {
  const paths: string[] = [configuration.file];
  const seen = new LuaTable<string, boolean>();
  seen.set(configuration.file, true);
  const add = (path: string | undefined): void => {
    if (path !== undefined && !seen.has(path)) {
      seen.set(path, true);
      paths.push(path);
    }
  };
  for (const issuer of configuration.auth.jwt ?? []) {
    add(issuer.jwks_file);
    add(issuer.public_key_file);
  }
  for (const tenant of configuration.tenants ?? []) {
    add(tenant.api_keys_file);
  }
  for (const pool of configuration.pools ?? []) {
    add(pool.warmup?.body_file);
  }
  for (const guard of configuration.guards ?? []) {
    for (const lexicon of guard.lexicons ?? []) {
      add(lexicon.file);
    }
  }
  return paths;
}

export { CONFIGURATION_SCHEMA, files };
export type { Configuration };
