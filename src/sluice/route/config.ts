import type { Schema } from "../config/schema";

/** The `models` section of the configuration. */

interface ModelConfiguration {
  /** What clients ask for. */
  name: string;
  /** The name of the pool that serves it. */
  pool: string;
  /** What the pool's endpoints call it; `name` unless told otherwise. */
  upstream_model: string;
}

const MODELS_SCHEMA: Schema = {
  description: "The models that clients can ask for.",
  type: "array",
  minItems: 1,
  items: {
    type: "object",
    required: ["name", "pool"],
    properties: {
      name: {
        description: "What clients write in `model`.",
        type: "string",
        format: "model_name",
        examples: ["chat"],
      },
      pool: {
        description: "The name of the pool that serves this model.",
        type: "string",
        format: "identifier",
        examples: ["gpu"],
      },
      upstream_model: {
        description: "What the pool's endpoints call this model. Without it they are asked for `name`.",
        type: "string",
        format: "model_name",
        examples: ["Qwen/Qwen2.5-72B-Instruct"],
      },
    },
  },
};

export { MODELS_SCHEMA };
export type { ModelConfiguration };
