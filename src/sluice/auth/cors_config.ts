import type { Schema } from "../config/schema";

/** The `cors` section of the configuration: pages of which other origins may use the gateway from a browser. */

interface CorsConfiguration {
  /** Origins as browsers write them; or `*` among them, for any. */
  origins: string[];
  /** Milliseconds. */
  max_age: number;
}

const CORS_SCHEMA: Schema = {
  description: "Web pages of other origins that may use the gateway from a browser. Without it none may.",
  type: "object",
  required: ["origins"],
  properties: {
    origins: {
      description: "Whole origins: scheme, host, and the port if it is not the scheme's own. Or * for any.",
      type: "array",
      minItems: 1,
      maxItems: 1000,
      items: { description: "An origin.", type: "string", format: "origin" },
      examples: [["https://app.example.com", "http://localhost:5173"]],
    },
    max_age: {
      description: "How long a browser may remember that it may ask. Browsers have bounds of their own: two hours in Chromium, a day in Firefox.",
      type: "string",
      format: "duration",
      minimum: 0,
      maximum: 86400000,
      default: "10m",
    },
  },
};

export { CORS_SCHEMA };
export type { CorsConfiguration };
