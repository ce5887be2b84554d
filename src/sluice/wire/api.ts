/** The APIs Sluice speaks. */

type ApiName = "chat" | "completions" | "embeddings" | "responses" | "messages";

interface Api {
  name: ApiName;
  /** The public path. */
  path: string;
  /** The path below the endpoint's base path, which ends before `/v1`. */
  upstream_path: string;
  /** How OpenTelemetry names the operation (semantic conventions for generative AI, gen_ai.operation.name). */
  operation: string;
  /** What follows the upstream path, where the API is a page below another one's. */
  suffix?: string;
}

const APIS: Api[] = [
  { name: "chat", path: "/v1/chat/completions", upstream_path: "/v1/chat/completions", operation: "chat" },
  { name: "completions", path: "/v1/completions", upstream_path: "/v1/completions", operation: "text_completion" },
  { name: "embeddings", path: "/v1/embeddings", upstream_path: "/v1/embeddings", operation: "embeddings" },
  { name: "responses", path: "/v1/responses", upstream_path: "/v1/responses", operation: "chat" },
  { name: "messages", path: "/v1/messages", upstream_path: "/v1/messages", operation: "chat" },
];

const BY_PATH = new LuaTable<string, Api>();
for (const api of APIS) {
  BY_PATH.set(api.path, api);
}

// It has the bodies of the API above it, in both directions, and its answer is never a stream.
BY_PATH.set("/v1/responses/compact", { name: "responses", path: "/v1/responses/compact", upstream_path: "/v1/responses", operation: "chat", suffix: "/compact" });

export { APIS, BY_PATH };
export type { Api, ApiName };
