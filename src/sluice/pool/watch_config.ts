import type { Schema } from "../config/schema";

/** What a pool's configuration says of how its endpoints are watched. All times are in milliseconds. */

/** A page of each endpoint that says whether it is well. */
interface HealthConfiguration {
  /** Below the endpoint's URL. */
  path: string;
  interval: number;
  timeout: number;
  /** So many good answers in a row bring an endpoint back; so many bad ones take it away. */
  healthy: number;
  unhealthy: number;
  slow_start: number;
}

/** A request that must have succeeded before an endpoint takes any other. */
interface WarmupConfiguration {
  /** Below the endpoint's URL; that of chat completions unless told otherwise. */
  path: string;
  body_file: string;
  timeout: number;
  /** What is in the file; filled in when it has been read. */
  body?: string;
}

/** Whose names the figures of an endpoint's metrics page have. */
type Engine = "vllm" | "sglang";

interface ScrapeConfiguration {
  engine: Engine | "none";
  path: string;
  interval: number;
}

const HEALTH_SCHEMA: Schema = {
  description: "Asks each endpoint again and again whether it is well, and sends requests to those that are. Without it, nobody asks.",
  type: "object",
  properties: {
    path: { description: "The page that is asked for, below the endpoint's URL: any status from 200 to 299 is good.", type: "string", format: "url_path", default: "/health" },
    interval: { description: "From one question to the next.", type: "string", format: "duration", minimum: 100, maximum: 3600000, default: "2s" },
    timeout: { description: "The longest that an answer may take.", type: "string", format: "duration", minimum: 10, maximum: 60000, default: "1s" },
    healthy: { description: "So many good answers in a row bring an endpoint back.", type: "integer", minimum: 1, maximum: 100, default: 2 },
    unhealthy: { description: "So many bad answers in a row take an endpoint away.", type: "integer", minimum: 1, maximum: 100, default: 3 },
    slow_start: {
      description: "For so long an endpoint that has come back gets fewer requests than its share: a tenth at first, then more and more. 0s: all at once.",
      type: "string",
      format: "duration",
      minimum: 0,
      maximum: 3600000,
      default: "30s",
    },
  },
};

const WARMUP_SCHEMA: Schema = {
  description: "A request that an endpoint must have answered before it gets any other. Without it, it gets requests at once.",
  type: "object",
  required: ["body_file"],
  properties: {
    path: { description: "Where the request goes, below the endpoint's URL. Without it, to /v1/chat/completions, or to /chat/completions below the pool's base_path.", type: "string", format: "url_path", examples: ["/v1/chat/completions"] },
    body_file: { description: "A file with the request's body, JSON, sent as it is: the model's name in it is the endpoint's own.", type: "string", format: "path", examples: ["warmup.json"] },
    timeout: { description: "The longest that an answer may take, such as a model takes to load.", type: "string", format: "duration", minimum: 10, maximum: 86400000, default: "600s" },
  },
};

const SCRAPE_SCHEMA: Schema = {
  description: "Reads from each endpoint's metrics how many requests wait in its queue and how full its KV cache is; least_load goes by that. Without it, nothing is read.",
  type: "object",
  required: ["engine"],
  properties: {
    engine: { description: "Whose metrics they are. none: nothing is read.", type: "string", enum: ["vllm", "sglang", "none"] },
    path: { description: "The page that has them, below the endpoint's URL.", type: "string", format: "url_path", default: "/metrics" },
    interval: { description: "From one reading to the next.", type: "string", format: "duration", minimum: 100, maximum: 3600000, default: "500ms" },
  },
};

export { HEALTH_SCHEMA, SCRAPE_SCHEMA, WARMUP_SCHEMA };
export type { Engine, HealthConfiguration, ScrapeConfiguration, WarmupConfiguration };
