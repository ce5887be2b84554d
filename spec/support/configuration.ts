/** The configurations that tests start from. JSON is YAML, so they are written as objects. */

/** The API key of tenant `acme`. */
const CLIENT_KEY = "sk-sluice-client-key-of-acme-0123456789";
/** The API key of tenant `umbrella`, which may use models named `chat*` only. */
const NARROW_KEY = "sk-sluice-client-key-of-umbrella-01234";
/** The account that the pool `mock` has with its upstream. */
const ACCOUNT_KEY = "sk-account-key-of-the-pool-9876543210";

interface PoolDescription {
  name: string;
  api?: "openai" | "anthropic";
  endpoints: { url: string }[];
  keys?: { id: string; secret: string }[];
  timeouts?: { connect?: string; send?: string; read?: string };
}

interface Description {
  /** Where the pool `mock` is. */
  upstream: string;
  /** Models of that pool: what clients call them, and what the mock is to do. */
  models?: Record<string, string>;
  /** More pools, and the models that they serve. */
  pools?: PoolDescription[];
  poolModels?: { name: string; pool: string; upstream_model?: string }[];
  timeouts?: PoolDescription["timeouts"];
  /** More top-level sections. */
  more?: Record<string, unknown>;
}

/** Writes a configuration: two tenants, a pool `mock` and its models. */
function configuration(description: Description): string {
  const models = Object.entries({ chat: "mock", ...description.models });
  const document = {
    tenants: [
      { id: "acme", api_keys: [{ id: "web", secret: CLIENT_KEY }] },
      { id: "umbrella", api_keys: [{ id: "narrow", secret: NARROW_KEY }], models: ["chat*"] },
    ],
    models: [
      ...models.map(([name, behaviour]) => ({ name, pool: "mock", upstream_model: behaviour })),
      ...(description.poolModels ?? []),
    ],
    pools: [
      {
        name: "mock",
        endpoints: [{ url: description.upstream }],
        keys: [{ id: "account", secret: ACCOUNT_KEY }],
        ...(description.timeouts && { timeouts: description.timeouts }),
      },
      ...(description.pools ?? []),
    ],
    ...description.more,
  };
  return JSON.stringify(document, undefined, 2);
}

export { ACCOUNT_KEY, CLIENT_KEY, configuration, NARROW_KEY };
