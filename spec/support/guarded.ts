/** Tenants with guards, the lists of those, and the streams that go through them. */

import { ACCOUNT_KEY, configuration } from "./configuration.ts";

/** A word of each list in Chinese, and one in English. The lists have more. */
const BLOCKED = "机密文件";
const BLOCKED_ENGLISH = "nightjar";
const MASKED = "玫瑰花园";
const MASKED_ENGLISH = "hollyhock";
const FLAGGED = "晴空万里";
const FLAGGED_ENGLISH = "skylark";
/** What stands in the place of a masked word of four characters. */
const FOUR = "████";

/** Files beside the configuration. */
const LISTS = {
  "blocked.txt": `# a comment\n${BLOCKED}\n${BLOCKED_ENGLISH}\n机密通道\n`,
  "masked.txt": `${MASKED}\r\n${MASKED_ENGLISH}\r\n`,
  "flagged.txt": `\ufeff${FLAGGED}\n${FLAGGED_ENGLISH}\n`,
};

const BOTH = ["prompt", "completion"];
const THREE = [
  { file: "blocked.txt", action: "block" },
  { file: "masked.txt", action: "mask" },
  { file: "flagged.txt", action: "flag" },
];
const GUARDS = [
  { name: "strict", on: BOTH, lexicons: THREE },
  { name: "prompts", on: ["prompt"], lexicons: THREE },
  { name: "answers", on: ["completion"], lexicons: THREE },
  { name: "shadow", on: BOTH, lexicons: Object.keys(LISTS).map((file) => ({ file, action: "flag" })) },
];

/** The API key of a tenant of `guardedConfiguration`. */
function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

interface GuardDescription {
  name: string;
  on?: string[];
  lexicons?: { file: string; action?: string; name?: string; whole_words?: string; separators?: string }[];
  patterns?: Record<string, string>;
}

/**
 * Two pools with one upstream, one for each kind of API, and two that do not wait long for what an upstream that has fallen silent has yet
 * to say; a tenant for each guard, and `free` without one.
 */
function guardedConfiguration(upstream: string, guards: GuardDescription[] = GUARDS): string {
  const tenants = guards.map(({ name }) => ({ id: name, api_keys: [{ id: "web", secret: keyOf(name) }], guard: name }));
  const claude = {
    name: "claude",
    api: "anthropic" as const,
    endpoints: [{ url: upstream }],
    keys: [{ id: "account", secret: ACCOUNT_KEY }],
  };
  const timeouts = { read: "2s" };
  return configuration({
    upstream,
    pools: [claude, { ...claude, name: "hasty_claude", timeouts }, { name: "hasty", endpoints: claude.endpoints, timeouts }],
    poolModels: [
      { name: "claude", pool: "claude", upstream_model: "mock" },
      { name: "hasty_claude", pool: "hasty_claude", upstream_model: "mock" },
      { name: "hasty", pool: "hasty", upstream_model: "mock" },
    ],
    more: { guards, tenants: [...tenants, { id: "free", api_keys: [{ id: "web", secret: keyOf("free") }] }] },
  });
}

/** Each API's path, the model that serves it, and what a request needs besides. */
const HELLO = [{ role: "user", content: "hello" }];
const APIS = {
  chat: { path: "/v1/chat/completions", model: "chat", more: { messages: HELLO } },
  completions: { path: "/v1/completions", model: "chat", more: { prompt: "hello" } },
  responses: { path: "/v1/responses", model: "chat", more: { input: "hello" } },
  messages: { path: "/v1/messages", model: "claude", more: { messages: HELLO, max_tokens: 100 } },
} as const;
type Api = keyof typeof APIS;

/** The models of an API's that do not wait long. */
const HASTY: Record<Api, string> = { chat: "hasty", completions: "hasty", responses: "hasty", messages: "hasty_claude" };

const CHAT_HEAD = '{"id":"c1","object":"chat.completion.chunk","created":17,"model":"m"';
const COMPLETIONS_HEAD = '{"id":"c1","object":"text_completion","created":17,"model":"m"';

/** A chunk of a chat; `content` is written into the JSON as it is. */
function chatChunk(content: string, index = 0): string {
  return `data: ${CHAT_HEAD},"choices":[{"index":${index},"delta":{"content":"${content}"},"finish_reason":null}]}\n\n`;
}

function chatFinish(index = 0, reason = "stop"): string {
  return `data: ${CHAT_HEAD},"choices":[{"index":${index},"delta":{},"finish_reason":"${reason}"}]}\n\n`;
}

const CHAT_USAGE = `data: ${CHAT_HEAD},"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}\n\n`;
const DONE = "data: [DONE]\n\n";

function typed(type: string, members: string): string {
  return `event: ${type}\ndata: {"type":"${type}"${members}}\n\n`;
}

/** The parts of a stream: what comes before the text, an event for each piece of it, and what comes after. */
interface Stream {
  before: string[];
  deltas: string[];
  after: string[];
}

const RESPONSE = '{"id":"resp_1","object":"response","created_at":17,"status":"in_progress","incomplete_details":null,"model":"m","output":[]}';

function responsesStream(pieces: string[]): Stream {
  const part = (text: string): string => `{"type":"output_text","text":"${text}","annotations":[]}`;
  const item = (status: string, content: string): string =>
    `{"id":"msg_1","type":"message","status":"${status}","role":"assistant","content":[${content}]}`;
  const at = ',"item_id":"msg_1","output_index":0,"content_index":0';
  const text = pieces.join("");
  let sequence = 2;
  const deltas = pieces.map((piece) => typed("response.output_text.delta", `,"sequence_number":${++sequence}${at},"delta":"${piece}"`));
  return {
    before: [
      typed("response.created", `,"sequence_number":0,"response":${RESPONSE}`),
      typed("response.output_item.added", `,"sequence_number":1,"output_index":0,"item":${item("in_progress", "")}`),
      typed("response.content_part.added", `,"sequence_number":2${at},"part":${part("")}`),
    ],
    deltas,
    after: [
      typed("response.output_text.done", `,"sequence_number":${++sequence}${at},"text":"${text}"`),
      typed("response.content_part.done", `,"sequence_number":${++sequence}${at},"part":${part(text)}`),
      typed("response.output_item.done", `,"sequence_number":${++sequence},"output_index":0,"item":${item("completed", part(text))}`),
      typed(
        "response.completed",
        `,"sequence_number":${++sequence},"response":{"id":"resp_1","object":"response","created_at":17,"status":"completed","model":"m",` +
          `"output":[${item("completed", part(text))}],"usage":{"input_tokens":7,"output_tokens":5,"total_tokens":12}}`,
      ),
    ],
  };
}

function messagesStream(pieces: string[]): Stream {
  return {
    before: [
      typed("message_start", ',"message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":7,"output_tokens":1}}'),
      typed("content_block_start", ',"index":0,"content_block":{"type":"text","text":""}'),
    ],
    deltas: pieces.map((piece) => typed("content_block_delta", `,"index":0,"delta":{"type":"text_delta","text":"${piece}"}`)),
    after: [
      typed("content_block_stop", ',"index":0'),
      typed("message_delta", ',"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}'),
      typed("message_stop", ""),
    ],
  };
}

/** A whole stream whose text comes in these pieces, which are written into the JSON as they are. */
function streamOf(api: Api, pieces: string[]): Stream {
  if (api === "responses") return responsesStream(pieces);
  if (api === "messages") return messagesStream(pieces);
  if (api === "completions") {
    const chunk = (text: string, reason: string): string =>
      `data: ${COMPLETIONS_HEAD},"choices":[{"index":0,"text":"${text}","logprobs":null,"finish_reason":${reason}}]}\n\n`;
    return { before: [], deltas: pieces.map((piece) => chunk(piece, "null")), after: [chunk("", '"stop"'), DONE] };
  }
  return { before: [], deltas: pieces.map((piece) => chatChunk(piece)), after: [chatFinish(), DONE] };
}

/** All of a stream, as one text. */
function textOf(stream: Stream): string {
  return [...stream.before, ...stream.deltas, ...stream.after].join("");
}

/** The events that end a stream in which a guard found something, in each API's words. */
const BLOCK_ENDINGS: Record<Api, RegExp> = {
  chat: /^data: \{"id":"c1","object":"chat\.completion\.chunk","created":17,"model":"m","choices":\[\{"index":0,"delta":\{\},"finish_reason":"content_filter"\}\]\}\n\ndata: \[DONE\]\n\n$/,
  completions: /^data: \{"id":"c1","object":"text_completion","created":17,"model":"m","choices":\[\{"index":0,"text":"","logprobs":null,"finish_reason":"content_filter"\}\]\}\n\ndata: \[DONE\]\n\n$/,
  responses: /^event: response\.incomplete\ndata: \{"type":"response\.incomplete","sequence_number":\d+,"response":\{"id":"resp_1","object":"response","created_at":17,"status":"incomplete","incomplete_details":\{"reason":"content_filter"\},"model":"m","output":\[\]\}\}\n\n$/,
  messages: /^event: content_block_stop\ndata: \{"type":"content_block_stop","index":0\}\n\nevent: message_delta\ndata: \{"type":"message_delta","delta":\{"stop_reason":"refusal","stop_sequence":null\},"usage":\{"output_tokens":\d+\}\}\n\nevent: message_stop\ndata: \{"type":"message_stop"\}\n\n$/,
};

/** The same of streams whose first event is not sent: then they have the gateway's names. */
const EARLY_ENDINGS = {
  chat: /^data: \{"id":"[0-9a-f]{32}","object":"chat\.completion\.chunk","created":\d{10},"model":"chat","choices":\[\{"index":0,"delta":\{\},"finish_reason":"content_filter"\}\]\}\n\ndata: \[DONE\]\n\n$/,
  completions: /^data: \{"id":"[0-9a-f]{32}","object":"text_completion","created":\d{10},"model":"chat","choices":\[\{"index":0,"text":"","logprobs":null,"finish_reason":"content_filter"\}\]\}\n\ndata: \[DONE\]\n\n$/,
  responses: /^event: response\.created\ndata: \{"type":"response\.created","sequence_number":0,"response":(\{"id":"[0-9a-f]{32}","object":"response","created_at":\d{10},"status":)"in_progress","incomplete_details":null(,"error":null,"model":"chat","output":\[\]\})\}\n\nevent: response\.incomplete\ndata: \{"type":"response\.incomplete","sequence_number":1,"response":\1"incomplete","incomplete_details":\{"reason":"content_filter"\}\2\}\n\n$/,
  messages: /^event: message_start\ndata: \{"type":"message_start","message":\{"id":"[0-9a-f]{32}","type":"message","role":"assistant","model":"claude","content":\[\],"stop_reason":null,"stop_sequence":null,"usage":\{"input_tokens":\d+,"output_tokens":0\}\}\}\n\nevent: message_delta\ndata: \{"type":"message_delta","delta":\{"stop_reason":"refusal","stop_sequence":null\},"usage":\{"output_tokens":\d+\}\}\n\nevent: message_stop\ndata: \{"type":"message_stop"\}\n\n$/,
} as const satisfies Record<Api, RegExp>;

/** A promise, and what keeps it. */
function signal(): { come: Promise<void>; give: () => void } {
  let give: () => void = () => undefined;
  const come = new Promise<void>((resolve) => (give = resolve));
  return { come, give };
}

export {
  APIS, BLOCK_ENDINGS, BLOCKED, BLOCKED_ENGLISH, CHAT_HEAD, CHAT_USAGE, chatChunk, chatFinish, DONE, EARLY_ENDINGS, FLAGGED, FLAGGED_ENGLISH, FOUR,
  guardedConfiguration, GUARDS, HASTY, HELLO, keyOf, LISTS, MASKED, MASKED_ENGLISH, signal, streamOf, textOf,
};
export type { Api, GuardDescription, Stream };
