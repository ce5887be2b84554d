/** An upstream that answers each request as its test says: piece by piece, when the test lets it, and with any end. */

import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { listen } from "./listen.ts";

interface Script {
  /** Bytes, each written by itself; or what is awaited before the next. */
  pieces: (string | Buffer | Promise<unknown>)[];
  /** `text/event-stream` if left out; null: the answer has none. */
  type?: string | null;
  status?: number;
  headers?: Record<string, string | string[]>;
  /** Tell the length, if all pieces are bytes. Else the answer comes in chunks. */
  length?: boolean;
  /** How it ends: as HTTP says (if left out), with the connection broken, or not at all. */
  end?: "finished" | "broken" | "open";
  /** Milliseconds between two pieces (0: they may reach the gateway in one). */
  gap?: number;
}

interface Exchange {
  /** What the request asked for, with its query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** Resolves when the connection is closed or the answer is finished; true: the peer left before that. */
  left: Promise<boolean>;
}

interface ScriptedUpstream {
  url: string;
  /** Prepares an answer. A request asks for it with the name that is returned as its member `user`. */
  prepare(script: Script): string;
  /** The request that asked for it, as soon as it is there. */
  exchange(name: string): Promise<Exchange>;
  /** The requests that came, by order. */
  exchanges: Exchange[];
  /** How many connections there were. */
  connections(): number;
  stop(): Promise<void>;
}

/** What a request gets that asks for no script. */
const COMPLETION =
  '{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}';
const DEFAULT: Script = { pieces: [COMPLETION], type: "application/json", length: true };

async function play(response: ServerResponse, script: Script): Promise<void> {
  const bytes = script.pieces.filter((piece): piece is string | Buffer => !(piece instanceof Promise));
  const length = bytes.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
  response.writeHead(script.status ?? 200, {
    ...(script.type !== null && { "content-type": script.type ?? "text/event-stream" }),
    ...(script.length && { "content-length": String(length) }),
    ...script.headers,
  });
  response.flushHeaders();
  for (const piece of script.pieces) {
    if (piece instanceof Promise) await piece;
    else if (!response.destroyed) await new Promise<void>((written) => response.write(piece, () => { written(); }));
    if (script.gap !== undefined) await sleep(script.gap);
  }
  if (script.end === "broken") response.socket?.resetAndDestroy();
  else if (script.end !== "open") response.end();
}

/** Starts one on a free port of 127.0.0.1. */
async function startScriptedUpstream(): Promise<ScriptedUpstream> {
  const scripts = new Map<string, Script>();
  const exchanges: Exchange[] = [];
  const waiting = new Map<string, { promise: Promise<Exchange>; resolve: (exchange: Exchange) => void }>();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    // The peer may go whenever it likes.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    request.on("data", (data: Buffer) => parts.push(data));
    request.on("end", () => {
      const body = Buffer.concat(parts);
      const name = /"user":"(script-\d+)"/.exec(body.toString("latin1"))?.[1] ?? "";
      const left = new Promise<boolean>((resolve) => {
        response.on("close", () => { resolve(!response.writableFinished); });
      });
      const exchange = { path: request.url ?? "", headers: request.headers, body, left };
      exchanges.push(exchange);
      waiting.get(name)?.resolve(exchange);
      void play(response, scripts.get(name) ?? DEFAULT);
    });
  });
  server.keepAliveTimeout = 60000;
  let connections = 0;
  server.on("connection", () => (connections += 1));
  const port = await listen(server);

  return {
    url: `http://127.0.0.1:${port}`,
    prepare(script) {
      const name = `script-${scripts.size}`;
      scripts.set(name, script);
      let resolve: (exchange: Exchange) => void = () => undefined;
      const promise = new Promise<Exchange>((resolved) => (resolve = resolved));
      waiting.set(name, { promise, resolve });
      return name;
    },
    async exchange(name) {
      const found = waiting.get(name);
      if (found === undefined) throw new Error(`no script ${name}`);
      return found.promise;
    },
    exchanges,
    connections: () => connections,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export { startScriptedUpstream };
export type { Exchange, Script, ScriptedUpstream };
