/** What is sent, and over how many connections. */
import { make_request, type Request } from "./load.ts";
import { API_KEY } from "./servers.ts";

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

function stream_request(name: string): Request {
  const body = chat_body(name, { stream: true, stream_options: { include_usage: true } });
  return make_request(name, bearer_headers(API_KEY), body);
}

/** What the rows that compare CPU time send, by the row's name. */
const REQUESTS: Record<string, (token: string) => Requested> = {
  "api-key": () => ({
    request: make_request("api-key", bearer_headers(API_KEY), chat_body("bench")),
    where: "answers",
    connections: CONNECTIONS,
  }),
  jwt: (token) => ({
    request: make_request("jwt", bearer_headers(token), chat_body("bench")),
    where: "answers",
    connections: CONNECTIONS,
  }),
  stream: () => ({ request: stream_request("bench-stream"), where: "streams", connections: STREAMS }),
};

export { bearer_headers, chat_body, CONNECTIONS, REQUESTS, STREAMS, stream_request, type Requested };
