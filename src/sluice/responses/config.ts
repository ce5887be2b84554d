/** What the configuration says of responses that were made before. */

import type { Schema } from "../config/schema";

interface ResponsesConfiguration {
  scope: "tenant" | "key";
}

const RESPONSES_SCHEMA: Schema = {
  description: "Who may come back to a response of /v1/responses.",
  type: "object",
  properties: {
    scope: {
      description: "tenant: all API keys of the tenant that made it. key: the API key that made it, or the user, where the caller has a JWT.",
      type: "string",
      enum: ["tenant", "key"],
      default: "tenant",
    },
  },
};

export { RESPONSES_SCHEMA };
export type { ResponsesConfiguration };
