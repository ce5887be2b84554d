/** What tenants, API keys and models say of limits, budgets and prices; and the section `store`: where what was used is counted. */

import type { Schema } from "../config/schema";

function window_schema(what: string, span: string): Schema {
  return {
    description: `The most ${what} in any ${span}, counted by a window that slides.`,
    type: "integer",
    minimum: 1,
    maximum: 1000000000000,
  };
}

/** What `limits` at the top says. */
interface CommonLimits {
  /** The most bytes that a request's body may have; undefined: as many as nginx lets in. */
  body?: number;
}

/** `limits` at the top: what holds for every request. */
const COMMON_LIMITS_SCHEMA: Schema = {
  description: "What holds for the requests of all tenants.",
  type: "object",
  properties: {
    body: {
      description: "The most bytes that a request's body may have. nginx's client_max_body_size is the upper bound, and holds without it.",
      type: "string",
      format: "bytes",
      minimum: 1024,
      examples: ["1m"],
    },
  },
  default: {},
};

/** `limits`, of a tenant or of an API key. */
const LIMITS_SCHEMA: Schema = {
  description: "What may be used at most. What is left out is not limited.",
  type: "object",
  properties: {
    requests_per_minute: window_schema("requests", "minute"),
    requests_per_hour: window_schema("requests", "hour"),
    requests_per_day: window_schema("requests", "24 hours"),
    tokens_per_minute: window_schema("tokens", "minute"),
    tokens_per_hour: window_schema("tokens", "hour"),
    tokens_per_day: window_schema("tokens", "24 hours"),
    concurrent_requests: {
      description: "The most requests under way at a time.",
      type: "integer",
      minimum: 1,
      maximum: 1000000,
    },
  },
};

/** `budget`, of a tenant. */
const BUDGET_SCHEMA: Schema = {
  description: "The money that may be spent in each period, which begins at midnight UTC (a week on Monday).",
  type: "object",
  required: ["usd"],
  properties: {
    usd: { description: "US dollars.", type: "number", minimum: 0, maximum: 1000000 },
    period: { description: "How long it has to last.", type: "string", enum: ["day", "week", "month"], default: "month" },
    alert_at: {
      description: "Shares of the budget at which the webhook of `alerts` is told, once each a period.",
      type: "array",
      maxItems: 16,
      items: { description: "A share, such as 0.8.", type: "number", minimum: 0, maximum: 10 },
      default: [],
    },
  },
};

function price_schema(what: string): Schema {
  return { description: `US dollars for a million ${what}.`, type: "number", minimum: 0, maximum: 1000000 };
}

/** `free`, of a price. */
const FREE_SCHEMA: Schema = {
  description: "What each tenant has free of the model in each period, which begins at midnight UTC (a week on Monday); what is beyond it is paid.",
  type: "object",
  oneOf: [{ required: ["tokens"] }, { required: ["requests"] }],
  properties: {
    tokens: { description: "Tokens, of input and of output.", type: "integer", minimum: 1, maximum: 1000000000000 },
    requests: { description: "Requests that are charged for anything.", type: "integer", minimum: 1, maximum: 1000000000000 },
    period: { description: "How long it has to last.", type: "string", enum: ["day", "week", "month"], default: "month" },
  },
};

/** `price`, of a model. */
const PRICE_SCHEMA: Schema = {
  description: "What the model's tokens cost.",
  type: "object",
  required: ["input", "output"],
  properties: {
    input: price_schema("tokens of input"),
    output: price_schema("tokens of output"),
    cached_input: price_schema("tokens of input that the upstream had in its cache; without it they cost as much as others"),
    free: FREE_SCHEMA,
  },
};

interface RedisConfiguration {
  /** Of these two exactly one is there. */
  url?: string;
  sentinels?: string[];
  master?: string;
  user?: string;
  password?: string;
  database?: number;
  sentinel_password?: string;
  timeout_ms: number;
  on_loss: "local" | "allow" | "deny";
  nodes?: number;
  lease_seconds: number;
}

interface StoreConfiguration {
  kind: "memory" | "redis";
  redis?: RedisConfiguration;
}

const REDIS_SCHEMA: Schema = {
  description: "The Redis that several gateways share. Only read when `kind` is redis.",
  type: "object",
  oneOf: [{ required: ["url"] }, { required: ["sentinels"] }],
  properties: {
    url: {
      description: "Where it is: redis://[user][:password@]host:port/database; rediss:// for TLS, verified.",
      type: "string",
      format: "redis_url",
      writeOnly: true,
    },
    sentinels: {
      description: "The Sentinels that know the master, asked in turn.",
      type: "array",
      minItems: 1,
      maxItems: 16,
      items: { description: "A Sentinel.", type: "string", format: "host_port" },
      examples: [["10.0.0.21:26379", "10.0.0.22:26379", "10.0.0.23:26379"]],
    },
    master: { description: "What the Sentinels call the master.", type: "string", format: "identifier" },
    user: { description: "The user to log in as, at a master that Sentinels name.", type: "string", minLength: 1, maxLength: 256 },
    password: { description: "The password of the master that Sentinels name.", type: "string", minLength: 1, maxLength: 4096, writeOnly: true },
    database: { description: "The number of the database, at a master that Sentinels name.", type: "integer", minimum: 0, maximum: 99999 },
    sentinel_password: { description: "The password of the Sentinels themselves.", type: "string", minLength: 1, maxLength: 4096, writeOnly: true },
    timeout_ms: {
      description: "The longest that a request waits for Redis, in milliseconds: connecting, password and answer together.",
      type: "integer",
      minimum: 5,
      maximum: 5000,
      default: 50,
    },
    on_loss: {
      description:
        "What to do while Redis can't be reached: go by this node's share of the limits (local), admit everything (allow), or refuse everything that has limits (deny).",
      type: "string",
      enum: ["local", "allow", "deny"],
      default: "local",
    },
    nodes: { description: "How many gateways share the limits; `on_loss: local` divides by it.", type: "integer", minimum: 1, maximum: 1000 },
    lease_seconds: {
      description:
        "The longest that a request may take, in seconds. What a gateway had under way when it was killed counts for so long among the concurrent requests.",
      type: "integer",
      minimum: 1,
      maximum: 86400,
      default: 900,
    },
  },
};

/** The `store` section. */
const STORE_SCHEMA: Schema = {
  description: "Where what was used of limits and budgets is counted. A change is taken up by a restart.",
  type: "object",
  properties: {
    kind: { description: "In this node's memory, or in a Redis that several nodes share.", type: "string", enum: ["memory", "redis"], default: "memory" },
    redis: REDIS_SCHEMA,
  },
  default: {},
};

export { BUDGET_SCHEMA, COMMON_LIMITS_SCHEMA, LIMITS_SCHEMA, PRICE_SCHEMA, STORE_SCHEMA };
export type { CommonLimits, RedisConfiguration, StoreConfiguration };
