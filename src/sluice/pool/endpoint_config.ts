import type { Schema } from "../config/schema";

/** The endpoints of a pool, and the accounts with which they are asked, in the configuration. */

interface EndpointConfiguration {
  /** As it is written in the file. */
  url: string;
  /**
   * The parts of `url`: `host` in lower case and an IPv6 address without brackets, `path` empty or beginning
   * with a slash and not ending with one.
   */
  scheme: "http" | "https";
  host: string;
  port: number;
  path: string;
  weight: number;
  /** Requests under way at a time; undefined: any number. */
  max_concurrent?: number;
  /** What it calls the models that are asked of it; undefined: as the model says. */
  upstream_model?: string;
  /** Its own accounts, in place of the pool's. */
  keys?: AccountKeyConfiguration[];
}

/** An account with the upstream. */
interface AccountKeyConfiguration {
  id: string;
  secret: string;
  weight: number;
}

const KEY_SCHEMA: Schema = {
  type: "object",
  required: ["id", "secret"],
  properties: {
    id: {
      description: "What the account is called in /status and in logs.",
      type: "string",
      format: "identifier",
    },
    secret: {
      description: "The account's API key. Best from the environment.",
      type: "string",
      format: "credential",
      writeOnly: true,
      examples: ["${UPSTREAM_KEY}"],
    },
    weight: {
      description: "How many requests it gets, beside the pool's other accounts.",
      type: "integer",
      minimum: 1,
      maximum: 1000,
      default: 1,
    },
  },
};

const ENDPOINTS_SCHEMA: Schema = {
  description: "The model servers. All of one pool use the same scheme.",
  type: "array",
  minItems: 1,
  items: {
    type: "object",
    required: ["url"],
    properties: {
      url: {
        description: "Where the server is, with its base path if it has one. The API's path (/v1/…, or base_path in place of /v1) is added to it.",
        type: "string",
        format: "url",
        examples: ["http://10.0.0.11:8000", "https://api.example.com/openai"],
      },
      weight: {
        description: "How much it can do, beside the pool's other endpoints.",
        type: "integer",
        minimum: 1,
        maximum: 1000,
        default: 1,
      },
      max_concurrent: {
        description: "The most requests that it has under way at a time, from all workers of this gateway. Without it, any number.",
        type: "integer",
        minimum: 1,
        maximum: 1000000,
      },
      upstream_model: {
        description: "What this endpoint calls the models that are asked of it, whatever the model's own upstream_model says.",
        type: "string",
        format: "model_name",
        examples: ["gpt-4o-eu"],
      },
      keys: {
        description: "Accounts with this endpoint alone, in place of the pool's.",
        type: "array",
        minItems: 1,
        items: KEY_SCHEMA,
      },
    },
  },
};

export { ENDPOINTS_SCHEMA, KEY_SCHEMA };
export type { AccountKeyConfiguration, EndpointConfiguration };
