import type { Schema } from "../config/schema";
import type { PriceConfiguration } from "../ledger/price";
import { CHOOSE_SCHEMA } from "./choose_config";
import type { ChoiceConfiguration } from "./choose_config";

/** The `models` section of the configuration. */

interface ModelConfiguration {
  /** What clients ask for. */
  name: string;
  /** The name of the pool that serves it; undefined: `choose` says which model is used. One of the two is there. */
  pool?: string;
  choose?: ChoiceConfiguration[];
  /** What the pool's endpoints call it; `name` unless told otherwise. */
  upstream_model: string;
  /** The names of the models that are tried when its pool can't serve a request. */
  fallback?: string[];
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
      required: ["name"],
      oneOf: [{ required: ["pool"] }, { required: ["choose"] }],
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
        choose: CHOOSE_SCHEMA,
        fallback: {
          description: "Other models that are tried, in this order, when the pool can't serve a request and nothing of an answer has reached the client. Their own fallbacks are not.",
          type: "array",
          maxItems: 7,
          items: { type: "string", format: "model_name" },
          examples: [["chat-cloud"]],
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
