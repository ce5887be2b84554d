/**
 * The `auth` and `tenants` sections of the configuration.
 */

import type { Schema } from "../config/schema";
import type { BudgetConfiguration, LimitsConfiguration } from "../limit/scope";

interface IssuerConfiguration {
  issuer: string;
  audience: string | string[];
  algorithms: string[];
  /** Of these four exactly one is there. */
  jwks_file?: string;
  jwks_url?: string;
  public_key_file?: string;
  secret?: string;
  tenant_claim?: string;
  tenants?: string[];
  typ?: string[];
  leeway_seconds?: number;
}

interface AuthConfiguration {
  jwt?: IssuerConfiguration[];
}

interface ApiKeyConfiguration {
  id: string;
  /** Of these two exactly one is there. */
  sha256?: string;
  secret?: string;
  limits?: LimitsConfiguration;
}

interface TenantConfiguration {
  id: string;
  api_keys?: ApiKeyConfiguration[];
  api_keys_file?: string;
  allow_ips?: string[];
  models?: string[];
  /** The name of a guard. */
  guard?: string;
  limits?: LimitsConfiguration;
  budget?: BudgetConfiguration;
}

const ISSUER_SCHEMA: Schema = {
  description: "An issuer of JSON Web Tokens.",
  type: "object",
  required: ["issuer", "audience", "algorithms"],
  oneOf: [
    { required: ["jwks_file"] },
    { required: ["jwks_url"] },
    { required: ["public_key_file"] },
    { required: ["secret"] },
  ],
  properties: {
    issuer: {
      description: "The `iss` claim that its tokens carry, letter for letter.",
      type: "string",
      minLength: 1,
      maxLength: 1024,
    },
    audience: {
      description: "The `aud` claim that a token must name; of a list, any one.",
      type: ["string", "array"],
      items: { description: "One audience.", type: "string", minLength: 1 },
      minItems: 1,
      minLength: 1,
    },
    algorithms: {
      description:
        "The signature algorithms accepted from this issuer: HS256, HS384, HS512 with `secret`, others with public keys.",
      type: "array",
      minItems: 1,
      items: {
        description: "A name from RFC 7518 or RFC 8037.",
        type: "string",
        enum: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"],
      },
    },
    jwks_file: { description: "A file with the issuer's JSON Web Key Set.", type: "string", format: "path" },
    jwks_url: {
      description: "Where the issuer publishes its JSON Web Key Set: https, or http on this machine.",
      type: "string",
      format: "url",
    },
    public_key_file: { description: "A PEM file with one public key.", type: "string", format: "path" },
    secret: {
      description: "The secret shared with the issuer: at least 32 bytes for HS256, 48 for HS384, 64 for HS512.",
      type: "string",
      writeOnly: true,
    },
    tenant_claim: {
      description: "The claim that names the tenant.",
      type: "string",
      minLength: 1,
      default: "tenant",
    },
    tenants: {
      description: "The tenants that its tokens may name: ids of `tenants`; any, if left out.",
      type: "array",
      minItems: 1,
      items: { description: "A tenant's id.", type: "string", format: "identifier" },
    },
    typ: {
      description: "What the `typ` header of its tokens may be, such as JWT or at+jwt; anything, if left out. A token without one counts as JWT.",
      type: "array",
      minItems: 1,
      items: { description: "A media type, with or without application/ before it.", type: "string", minLength: 1, maxLength: 128 },
    },
    leeway_seconds: {
      description: "How far the issuer's clock may be off.",
      type: "number",
      minimum: 0,
      maximum: 600,
      default: 30,
    },
  },
};

/** The `auth` section. */
const AUTH_SCHEMA: Schema = {
  description: "How callers prove who they are, besides API keys.",
  type: "object",
  properties: {
    jwt: { description: "The issuers whose tokens are accepted.", type: "array", items: ISSUER_SCHEMA },
  },
};

function api_key_schema(limits: Schema): Schema {
  return {
    description: "An API key.",
    type: "object",
    required: ["id"],
    oneOf: [{ required: ["sha256"] }, { required: ["secret"] }],
    properties: {
      id: { description: "Its name in logs and in the journal.", type: "string", format: "identifier" },
      sha256: { description: "The key's SHA-256 in hexadecimal.", type: "string", format: "sha256" },
      secret: {
        description: "The key itself, best from the environment.",
        type: "string",
        minLength: 8,
        maxLength: 512,
        writeOnly: true,
      },
      limits,
    },
  };
}

/** The `tenants` section, with what the schemas of `limits`, of a tenant's and of a key's, and `budget` are. */
function tenants_schema(limits: Schema, key_limits: Schema, budget: Schema): Schema {
  return {
    description: "Who may use the gateway. Without tenants nobody may.",
    type: "array",
    items: {
      description: "A tenant: the one who is let in, limited and charged.",
      type: "object",
      required: ["id"],
      properties: {
        id: { description: "Its name in logs, metrics and tokens.", type: "string", format: "identifier" },
        api_keys: { description: "Its API keys.", type: "array", items: api_key_schema(key_limits) },
        api_keys_file: {
          description: "A file with more of them: one `id sha256` a line.",
          type: "string",
          format: "path",
        },
        allow_ips: {
          description: "The networks that its requests may come from; any, if empty.",
          type: "array",
          items: { description: "A network such as 10.0.0.0/8, or one address.", type: "string", format: "cidr" },
        },
        models: {
          description: "The models it may use: names, or patterns in which `*` stands for anything.",
          type: "array",
          items: { description: "A name or a pattern.", type: "string", format: "glob" },
          default: ["*"],
        },
        guard: {
          description: "The guard that reads its prompts and answers; none, if left out.",
          type: "string",
          format: "identifier",
        },
        limits,
        budget,
      },
    },
  };
}

/** The `cors` section: pages of which other origins may use the gateway from a browser. */

interface CorsConfiguration {
  /** Origins as browsers write them; or `*` among them, for any. */
  origins: string[];
  /** Milliseconds. */
  max_age: number;
}

const CORS_SCHEMA: Schema = {
  description: "Web pages of other origins that may use the gateway from a browser. Without it none may.",
  type: "object",
  required: ["origins"],
  properties: {
    origins: {
      description: "Whole origins: scheme, host, and the port if it is not the scheme's own. Or * for any.",
      type: "array",
      minItems: 1,
      maxItems: 1000,
      items: { description: "An origin.", type: "string", format: "origin" },
      examples: [["https://app.example.com", "http://localhost:5173"]],
    },
    max_age: {
      description: "How long a browser may remember that it may ask. Chromium does so for two hours at most, Firefox for a day.",
      type: "string",
      format: "duration",
      minimum: 0,
      maximum: 86400000,
      default: "10m",
    },
  },
};

export { AUTH_SCHEMA, CORS_SCHEMA, tenants_schema };
export type { ApiKeyConfiguration, AuthConfiguration, CorsConfiguration, IssuerConfiguration, TenantConfiguration };
