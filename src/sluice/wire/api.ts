/**
 * The APIs Sluice speaks, by their paths.
 *
 * Two things are told apart. An API's `name` says how its requests and answers are written. Its `service` says what is wanted
 * of the upstream: counting the tokens of a request (`/v1/messages/count_tokens`) is written like the request itself, and is
 * another service.
 */

type ApiName = "chat" | "completions" | "embeddings" | "responses" | "messages";

/** What an upstream is asked for: pools keep a path for each. */
type Service = ApiName | "count_messages" | "count_responses";

interface Api {
  name: ApiName;
  service: Service;
  /** The public path. */
  path: string;
  /** The path below the endpoint's base path, which ends before `/v1`. */
  upstream_path: string;
  /**
   * How OpenTelemetry names the operation (semantic conventions for generative AI, gen_ai.operation.name); it has no name for
   * counting.
   */
  operation: string;
  /** What follows the upstream path, where the API is a page below another one's. */
  suffix?: string;
  /** Only the tokens of the request are counted: nothing is written by a model, and nothing is charged. */
  counts: boolean;
}

function answering(name: ApiName, path: string, operation: string): Api {
  return { name, service: name, path, upstream_path: path, operation, counts: false };
}

function counting(name: ApiName, service: Service, path: string): Api {
  return { name, service, path, upstream_path: path, operation: "count_tokens", counts: true };
}

const APIS: Api[] = [
  answering("chat", "/v1/chat/completions", "chat"),
  answering("completions", "/v1/completions", "text_completion"),
  answering("embeddings", "/v1/embeddings", "embeddings"),
  answering("responses", "/v1/responses", "chat"),
  answering("messages", "/v1/messages", "chat"),
  // OpenAI's reference, "Get input token counts", and Anthropic's, "Count tokens in a Message".
  counting("responses", "count_responses", "/v1/responses/input_tokens"),
  counting("messages", "count_messages", "/v1/messages/count_tokens"),
];

const BY_PATH = new LuaTable<string, Api>();
for (const api of APIS) {
  BY_PATH.set(api.path, api);
}

// It has the bodies of the API above it, in both directions, and its answer is never a stream.
BY_PATH.set("/v1/responses/compact", {
  name: "responses", service: "responses", path: "/v1/responses/compact", upstream_path: "/v1/responses", operation: "chat", suffix: "/compact", counts: false,
});

export { APIS, BY_PATH };
export type { Api, ApiName, Service };
