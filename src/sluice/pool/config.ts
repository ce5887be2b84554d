import type { Schema } from "../config/schema";

/** The `pools` section of the configuration. */

/** The API that a pool's endpoints speak. */
type PoolApi = "openai" | "anthropic";

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
}

/** An account with the upstream. */
interface AccountKeyConfiguration {
  id: string;
  secret: string;
}

/** In milliseconds. */
interface TimeoutConfiguration {
  connect: number;
  send: number;
  read: number;
}

interface PoolConfiguration {
  name: string;
  api: PoolApi;
  endpoints: EndpointConfiguration[];
  keys: AccountKeyConfiguration[];
  timeouts: TimeoutConfiguration;
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
        enum: ["openai", "anthropic"],
        default: "openai",
      },
      endpoints: {
        description: "The model servers. All of one pool use the same scheme.",
        type: "array",
        minItems: 1,
        items: {
          type: "object",
          required: ["url"],
          properties: {
            url: {
              description: "Where the server is, with its base path if it has one. The API's path (/v1/…) is added to it.",
              type: "string",
              format: "url",
              examples: ["http://10.0.0.11:8000", "https://api.example.com/openai"],
            },
          },
        },
      },
      keys: {
        description: "Accounts with the upstream, put in place of the client's credential. None: no credential is sent.",
        type: "array",
        default: [],
        items: {
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
          },
        },
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
        },
      },
    },
  },
};

export { POOLS_SCHEMA };
export type { AccountKeyConfiguration, EndpointConfiguration, PoolApi, PoolConfiguration, TimeoutConfiguration };
