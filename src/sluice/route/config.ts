import type { Schema } from "../config/schema";
import type { PriceConfiguration } from "../ledger/price";

/** The `models` section of the configuration. */

interface ModelConfiguration {
  /** What clients ask for. */
  name: string;
  /** The name of the pool that serves it. */
  pool: string;
  /** What the pool's endpoints call it; `name` unless told otherwise. */
  upstream_model: string;
  max_output_tokens?: number;
  price?: PriceConfiguration;
}

/** The `models` section, with what the schema of `price` is. */
function models_schema(price: Schema): Schema {
  return {
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
        max_output_tokens: {
          description: "The most tokens of output for each answer: reserved when the client names no number; a larger one is cut down to it.",
          type: "integer",
          minimum: 1,
          maximum: 100000000,
        },
        price,
      },
    },
  };
}

export { models_schema };
export type { ModelConfiguration };
