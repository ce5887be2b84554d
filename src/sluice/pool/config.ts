import { ENDPOINTS_SCHEMA, KEY_SCHEMA } from "./endpoint_config";
import { HEALTH_SCHEMA, SCRAPE_SCHEMA, WARMUP_SCHEMA } from "./watch_config";
import type { Schema } from "../config/schema";
import { MOST_ATTEMPTS } from "./retry";
import type { AccountKeyConfiguration, EndpointConfiguration } from "./endpoint_config";
import type { HealthConfiguration, ScrapeConfiguration, WarmupConfiguration } from "./watch_config";

/** The `pools` section of the configuration. */

/** The API that a pool's endpoints speak. */
type PoolApi = "openai" | "azure" | "anthropic";

/** Which endpoint takes a request. */
type Balance = "round_robin" | "least_load" | "prefix";

interface RetryConfiguration {
  /** How often an endpoint may be asked in all. */
  attempts: number;
  /** After which failures another attempt is made: `connect`, `timeout`, or an upstream's status. */
  on: (string | number)[];
  /** The longest pause before the second attempt, in milliseconds; doubled for each further one. */
  backoff: number;
}

/** `window` and `open` in milliseconds. */
interface BreakerConfiguration {
  failures: number;
  window: number;
  open: number;
  share: number;
}

/** `timeout` in milliseconds. */
interface QueueConfiguration {
  max_waiting: number;
  timeout: number;
}

/** In milliseconds. */
interface TimeoutConfiguration {
  connect: number;
  send: number;
  read: number;
  total: number;
}

interface PoolConfiguration {
  name: string;
  api: PoolApi;
  endpoints: EndpointConfiguration[];
  /** Whether streams are asked for their usage. */
  stream_options?: "include_usage" | "never";
  keys: AccountKeyConfiguration[];
  /** What stands in place of `/v1` in the paths of its APIs; undefined: `/v1`. */
  base_path?: string;
  /** Azure's dated form of the paths; undefined: the v1 form. */
  api_version?: string;
  /** More headers for the endpoints, by name. */
  headers: Record<string, string>;
  /** The names of the client's headers that go on to the endpoints. */
  forward_headers?: string[];
  /** Whether the endpoints are told the client's address. */
  forward_client_ip?: boolean;
  timeouts: TimeoutConfiguration;
  balance: Balance;
  /** The header in which clients name a session; undefined: none. */
  session_header?: string;
  retries: RetryConfiguration;
  breaker: BreakerConfiguration;
  queue: QueueConfiguration;
  health?: HealthConfiguration;
  warmup?: WarmupConfiguration;
  scrape?: ScrapeConfiguration;
}

const POOLS_SCHEMA: Schema = {
  description: "Groups of endpoints that serve the same models.",
  type: "array",
  minItems: 1,
  items: {
    type: "object",
    required: ["name", "endpoints"],
    properties: {
      name: {
        description: "What models refer to, and what metrics call the pool.",
        type: "string",
        format: "identifier",
        examples: ["gpu"],
      },
      api: {
        description: "The API that the endpoints speak: it decides the paths and the header that carries the account key.",
        type: "string",
        enum: ["openai", "azure", "anthropic"],
        default: "openai",
      },
      api_version: {
        description: "For azure: the dated version of the API, in whose paths upstream_model is the deployment. Without it, the paths of the v1 API.",
        type: "string",
        format: "identifier",
        examples: ["2024-10-21"],
      },
      base_path: {
        description: "What stands in place of /v1 in the API's paths, behind the path of the endpoint's URL. An empty text: nothing does. Not for azure.",
        type: "string",
        format: "base_path",
        examples: ["/api/v3", "/v1beta/openai", ""],
      },
      headers: {
        description: "More headers for the endpoints, by their names. Not those that Sluice sets itself.",
        type: "object",
        default: {},
        additionalProperties: { description: "The header's value.", type: "string", format: "header_value", writeOnly: true },
        examples: [{ "OpenAI-Organization": "org-1234" }],
      },
      forward_headers: {
        description: "The client's own headers that go on to the endpoints, such as a session that the provider wants. None that carries a credential or an address. Values of more than 1 KB, or 4 KB together, and such that are not visible ASCII are left out.",
        type: "array",
        maxItems: 32,
        default: [],
        items: { description: "A header's name.", type: "string", format: "header_name" },
        examples: [["X-Session-Id"]],
      },
      forward_client_ip: {
        description: "Tells the endpoints the client's address, in X-Real-IP and X-Forwarded-For: for engines of one's own.",
        type: "boolean",
        default: false,
      },
      endpoints: ENDPOINTS_SCHEMA,
      stream_options: {
        description: "Whether a stream is asked for its usage (stream_options.include_usage), or stream_options is never sent, not the client's own either: for upstreams that refuse members they don't know.",
        type: "string",
        enum: ["include_usage", "never"],
        default: "include_usage",
      },
      keys: {
        description: "Accounts with the upstream, put in place of the client's credential. None: no credential is sent.",
        type: "array",
        default: [],
        items: KEY_SCHEMA,
      },
      timeouts: {
        description: "How long to wait for an endpoint.",
        type: "object",
        default: {},
        properties: {
          connect: {
            description: "For the connection, TLS included.",
            type: "string",
            format: "duration",
            minimum: 1,
            maximum: 60000,
            default: "2s",
          },
          send: {
            description: "Between two writes of the request.",
            type: "string",
            format: "duration",
            minimum: 1,
            maximum: 3600000,
            default: "10s",
          },
          read: {
            description: "For the longest silence of the endpoint; the wait for the first token counts.",
            type: "string",
            format: "duration",
            minimum: 1,
            maximum: 86400000,
            default: "60s",
          },
          total: {
            description: "From a request's arrival to the end of its answer, over all attempts and all that it waits. A stream that takes longer is ended with an error.",
            type: "string",
            format: "duration",
            minimum: 1,
            maximum: 86400000,
            default: "600s",
          },
        },
      },
      balance: {
        description: "Which endpoint takes a request: each in its turn, by weight; of two the one that has less to do; or the one that has met the conversation before, unless it is much busier than others.",
        type: "string",
        enum: ["round_robin", "least_load", "prefix"],
        default: "least_load",
      },
      session_header: {
        description: "A header in which clients name a session: its requests go to one endpoint as long as that can take any.",
        type: "string",
        format: "header_name",
        examples: ["X-Session-Id"],
      },
      retries: {
        description: "Other attempts when one has failed and nothing of an answer has reached the client.",
        type: "object",
        default: {},
        properties: {
          attempts: {
            description: "How often an endpoint is asked for a request, in all. 1: never again.",
            type: "integer",
            minimum: 1,
            maximum: MOST_ATTEMPTS,
            default: 3,
          },
          on: {
            description: "After which failures: `connect` (no connection, or it broke off before the answer), `timeout` (no answer in time), or these statuses of an endpoint.",
            type: "array",
            items: { description: "A failure.", type: ["string", "integer"], enum: ["connect", "timeout", 429, 500, 502, 503, 504, 529] },
            default: ["connect", "timeout", 429, 500, 502, 503, 504, 529],
          },
          backoff: {
            description: "The longest pause before the second attempt; twice as long before each further one. The pauses are random.",
            type: "string",
            format: "duration",
            minimum: 0,
            maximum: 5000,
            default: "200ms",
          },
        },
      },
      breaker: {
        description: "Keeps requests away from an endpoint that fails.",
        type: "object",
        default: {},
        properties: {
          failures: {
            description: "After so many failures within `window` it gets no requests for `open`; then one, and all if that succeeds. 0: never.",
            type: "integer",
            minimum: 0,
            maximum: 1000,
            default: 5,
          },
          window: { description: "How long a failure counts.", type: "string", format: "duration", minimum: 100, maximum: 3600000, default: "10s" },
          open: { description: "How long it gets no requests.", type: "string", format: "duration", minimum: 100, maximum: 3600000, default: "15s" },
          share: {
            description: "The failures must be this share of the attempts that ended within `window`; not where nobody is there any more.",
            type: "number",
            minimum: 0.01,
            maximum: 1,
            default: 0.5,
          },
        },
      },
      queue: {
        description: "Where requests wait while all endpoints have as many as `max_concurrent` says.",
        type: "object",
        default: {},
        properties: {
          max_waiting: {
            description: "So many wait at a time, from all workers of this gateway; further ones are refused. 0: none waits.",
            type: "integer",
            minimum: 0,
            maximum: 1000000,
            default: 100,
          },
          timeout: { description: "How long one waits.", type: "string", format: "duration", minimum: 1, maximum: 3600000, default: "10s" },
        },
      },
      health: HEALTH_SCHEMA,
      warmup: WARMUP_SCHEMA,
      scrape: SCRAPE_SCHEMA,
    },
  },
};

export { POOLS_SCHEMA };
export type { AccountKeyConfiguration, Balance, BreakerConfiguration, EndpointConfiguration, QueueConfiguration, RetryConfiguration, PoolApi, PoolConfiguration, TimeoutConfiguration };
