/** What is sent, and over how many connections. */
import { make_request, type Request } from "./load.ts";
import { API_KEY, GUARDED_API_KEY, LIMITED_API_KEY } from "./servers.ts";
import type { Tokens } from "./issuer.ts";

/** Connections that wrk keeps open: enough to keep the gateway's core busy, below the upstream connections kept. */
const CONNECTIONS = 32;
/** Streams at a time; each sends an event in about every millisecond. */
const STREAMS = 80;

const PROMPT =
  "Please explain to somebody who has never run a server why a gateway should read a request once, " +
  "change only what it has to change, and pass everything else on exactly as it came. Use short sentences.";

function chat_body(model: string, more: object = {}): string {
  return JSON.stringify({ model, messages: [{ role: "user", content: PROMPT }], ...more });
}

function bearer_headers(credential: string): Record<string, string> {
  return {
    Authorization: `Bearer ${credential}`,
    "Content-Type": "application/json",
    Accept: "application/json",
    "User-Agent": "bench",
  };
}

/** A request of a row, and how to send it. */
interface Requested {
  request: Request;
  where: "answers" | "streams";
  connections: number;
}

function stream_request(name: string, model: string, credential: string): Request {
  const body = chat_body(model, { stream: true, stream_options: { include_usage: true } });
  return make_request(name, bearer_headers(credential), body);
}

function answer_requested(name: string, credential: string): Requested {
  const request = make_request(name, bearer_headers(credential), chat_body("bench"));
  return { request, where: "answers", connections: CONNECTIONS };
}

function stream_requested(name: string, credential: string): Requested {
  return { request: stream_request(name, "bench-stream", credential), where: "streams", connections: STREAMS };
}

/** What the rows that compare CPU time send, by the row's name. */
const REQUESTS: Record<string, (tokens: Tokens) => Requested> = {
  "api-key": () => answer_requested("api-key", API_KEY),
  "api-key-limits": () => answer_requested("api-key-limits", LIMITED_API_KEY),
  "api-key-guard": () => answer_requested("api-key-guard", GUARDED_API_KEY),
  jwt: (tokens) => answer_requested("jwt", tokens.plain),
  "jwt-guard": (tokens) => answer_requested("jwt-guard", tokens.guarded),
  stream: () => stream_requested("stream", API_KEY),
  "stream-guard": () => stream_requested("stream-guard", GUARDED_API_KEY),
};

export { bearer_headers, chat_body, CONNECTIONS, REQUESTS, STREAMS, stream_request, type Requested };
