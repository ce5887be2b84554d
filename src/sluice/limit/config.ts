/** What tenants, API keys and models say of limits, budgets and prices. */

import type { Schema } from "../config/schema";

function window_schema(what: string, span: string): Schema {
  return {
    description: `The most ${what} in any ${span}, counted by a window that slides.`,
    type: "integer",
    minimum: 1,
    maximum: 1000000000000,
  };
}

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

/** `price`, of a model. */
const PRICE_SCHEMA: Schema = {
  description: "What the model's tokens cost.",
  type: "object",
  required: ["input", "output"],
  properties: {
    input: price_schema("tokens of input"),
    output: price_schema("tokens of output"),
    cached_input: price_schema("tokens of input that the upstream had in its cache; without it they cost as much as others"),
  },
};

export { BUDGET_SCHEMA, LIMITS_SCHEMA, PRICE_SCHEMA };
