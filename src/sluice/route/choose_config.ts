import type { Schema } from "../config/schema";

/** The rules of a model that is one of several, as the configuration has them. */

type Day = "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";

/** All that is there must hold. */
interface WhenConfiguration {
  prompt_tokens_below?: number;
  stream?: boolean;
  tools?: boolean;
  tenants?: string[];
  header?: { name: string; values: string[] };
  /** `22:00-06:00`, in UTC. */
  hours?: string;
  days?: Day[];
}

interface ChoiceConfiguration {
  /** Undefined: always. */
  when?: WhenConfiguration;
  /** The name of a model with a pool. */
  use: string;
}

const CONDITIONS_SCHEMA: Schema = {
  description: "All of these must hold. Without it, the rule holds always: only the last one is so.",
  type: "object",
  anyOf: [
    { required: ["prompt_tokens_below"] }, { required: ["stream"] }, { required: ["tools"] }, { required: ["tenants"] },
    { required: ["header"] }, { required: ["hours"] }, { required: ["days"] },
  ],
  properties: {
    prompt_tokens_below: {
      description: "The request has fewer tokens of input than so many, as the gateway estimates them.",
      type: "integer",
      minimum: 1,
      maximum: 100000000,
    },
    stream: { description: "Whether a stream is asked for.", type: "boolean" },
    tools: { description: "Whether tools are offered to the model.", type: "boolean" },
    tenants: {
      description: "The tenant is one of these: ids, or patterns in which * stands for anything.",
      type: "array",
      minItems: 1,
      items: { type: "string", format: "glob" },
      examples: [["acme", "team-*"]],
    },
    header: {
      description: "The request has a header with one of these values. Anybody can send one: it is no proof of anything.",
      type: "object",
      required: ["name", "values"],
      properties: {
        name: { description: "The header's name.", type: "string", format: "header_name", examples: ["X-Tier"] },
        values: {
          description: "Its values, letter for letter.",
          type: "array",
          minItems: 1,
          items: { type: "string", format: "header_value" },
          examples: [["gold"]],
        },
      },
    },
    hours: {
      description: "The time of day in UTC when the request arrives: from the first time on until just before the second one, which may be of the next day.",
      type: "string",
      format: "hours",
      examples: ["22:00-06:00"],
    },
    days: {
      description: "The day in UTC on which the request arrives.",
      type: "array",
      minItems: 1,
      items: { type: "string", enum: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] },
    },
  },
};

const CHOOSE_SCHEMA: Schema = {
  description: "Rules that say which model is used, in place of a pool. The first whose conditions hold is taken.",
  type: "array",
  minItems: 1,
  items: {
    type: "object",
    required: ["use"],
    properties: {
      when: CONDITIONS_SCHEMA,
      use: { description: "The name of a model that has a pool.", type: "string", format: "model_name", examples: ["chat"] },
    },
  },
};

export { CHOOSE_SCHEMA };
export type { ChoiceConfiguration, Day, WhenConfiguration };
