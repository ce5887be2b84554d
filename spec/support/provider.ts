/** A provider with rules of its own: each request is answered by a function that sees its path, headers and body. */

import { createServer, type IncomingHttpHeaders } from "node:http";
import { listen } from "./listen.ts";

interface Asked {
  path: string;
  headers: IncomingHttpHeaders;
  /** The names and values as they came, line by line. */
  lines: [string, string][];
  body: string;
}

interface Reply {
  status?: number;
  headers?: Record<string, string>;
  /** A JSON body, or the events of a stream. */
  json?: unknown;
  events?: string[];
}

interface Provider {
  url: string;
  port: number;
  /** The requests that came since the last call. */
  taken(): Asked[];
  /** Answers from now on. */
  answer(reply: (asked: Asked) => Reply): void;
  stop(): Promise<void>;
}

const COMPLETION = {
  id: "c", object: "chat.completion", choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
};

/** Starts one that gives everybody a completion until told otherwise. */
async function startProvider(): Promise<Provider> {
  let asked: Asked[] = [];
  let reply: (asked: Asked) => Reply = () => ({});
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const lines: [string, string][] = [];
      for (let at = 0; at < request.rawHeaders.length; at += 2) lines.push([request.rawHeaders[at]!.toLowerCase(), request.rawHeaders[at + 1]!]);
      const one: Asked = { path: request.url ?? "", headers: request.headers, lines, body: Buffer.concat(parts).toString() };
      asked.push(one);
      const { status = 200, headers, json, events } = reply(one);
      response.writeHead(status, { "content-type": events ? "text/event-stream" : "application/json", ...headers });
      response.end(events ? events.join("") : JSON.stringify(json ?? COMPLETION));
    });
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    taken: () => {
      const before = asked;
      asked = [];
      return before;
    },
    answer: (next) => {
      reply = next;
    },
    stop: () => new Promise((stopped) => {
      server.close(() => { stopped(); });
      server.closeAllConnections();
    }),
  };
}

export { COMPLETION, startProvider };
export type { Asked, Provider, Reply };
