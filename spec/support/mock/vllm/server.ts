/** A simulated vLLM server: an engine behind the HTTP interface of a real one, at real time. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { answerTokens, renderConversation, type Message } from "./conversation.ts";
import { advance, cacheUsage, cancel, newEngine, nextTime, running, submit } from "./engine.ts";
import type { Engine, EngineOptions, Said, Totals } from "./engine.ts";

interface SimulatedServer {
  port: number;
  url: string;
  /** The engine's sums until now. */
  totals(): Totals;
  /** Ends all connections and listens no more, as if the process had been killed. */
  kill(): Promise<void>;
}

/** What a request asks for, as far as it matters here. */
interface Asked {
  model?: string;
  messages?: Message[];
  stream?: boolean;
  max_tokens?: number;
  stream_options?: { include_usage?: boolean };
}

interface Pending {
  response: ServerResponse;
  asked: Asked;
  text: string;
}

const DEFAULT_TOKENS = 16;

function usageOf({ promptTokens, cachedTokens, outputTokens }: Said): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: outputTokens,
    total_tokens: promptTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

function envelope(id: number, asked: Asked, object: string): object {
  return { id: `chatcmpl-${id}`, object, created: Math.floor(Date.now() / 1000), model: asked.model ?? "simulated" };
}

function event(id: number, asked: Asked, more: object): string {
  return `data: ${JSON.stringify({ ...envelope(id, asked, "chat.completion.chunk"), ...more })}\n\n`;
}

function sendError(response: ServerResponse, status: number, message: string): void {
  const body = JSON.stringify({ error: { message, type: "BadRequestError", param: null, code: status } });
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
}

/** Writes a token to the client that waits for it. */
function writeToken(said: Said, pending: Pending): void {
  const { asked, response } = pending;
  const first = pending.text === "";
  pending.text += said.token;
  if (asked.stream === true) {
    const delta = { ...(first && { role: "assistant" }), content: said.token };
    let text = event(said.id, asked, { choices: [{ index: 0, delta, finish_reason: null }] });
    if (said.last) {
      text += event(said.id, asked, { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
      if (asked.stream_options?.include_usage === true) text += event(said.id, asked, { choices: [], usage: usageOf(said) });
      text += "data: [DONE]\n\n";
    }
    response.write(text);
    if (said.last) response.end();
  } else if (said.last) {
    const choices = [{ index: 0, message: { role: "assistant", content: pending.text }, finish_reason: "stop" }];
    const body = JSON.stringify({ ...envelope(said.id, asked, "chat.completion"), choices, usage: usageOf(said) });
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
  }
}

/** What `/metrics` says, in the form and with the names of vLLM. */
function metricsOf(engine: Engine): string {
  const gauge = (name: string, help: string, value: number): string =>
    `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name}{engine="0",model_name="simulated"} ${value}\n`;
  return (
    gauge("vllm:num_requests_running", "Number of requests in model execution batches.", running(engine)) +
    gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", engine.waiting.length) +
    gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", cacheUsage(engine))
  );
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

/** Reads a chat request; undefined if it is none. */
function read(body: string): Asked | undefined {
  try {
    const asked = JSON.parse(body) as Asked;
    return Array.isArray(asked.messages) ? asked : undefined;
  } catch {
    return undefined;
  }
}

/** Starts one on a port of 127.0.0.1; 0: any. */
async function startSimulatedServer(options: EngineOptions, port = 0): Promise<SimulatedServer> {
  const engine = newEngine(options, performance.now());
  const pending = new Map<number, Pending>();
  let newest = 0;
  let timer: NodeJS.Timeout | undefined;
  let dead = false;

  function wake(): void {
    for (const said of advance(engine, performance.now())) {
      const waits = pending.get(said.id);
      // Before the response ends, so that its end isn't taken for the client's leaving.
      if (said.last) pending.delete(said.id);
      if (waits !== undefined) writeToken(said, waits);
    }
    clearTimeout(timer);
    const next = nextTime(engine);
    if (next !== undefined && !dead) timer = setTimeout(wake, Math.max(0, next - performance.now()));
  }

  function chat(asked: Asked, response: ServerResponse): void {
    newest += 1;
    const id = newest;
    const prompt = renderConversation(asked.messages ?? []);
    const output = answerTokens(prompt, Math.max(1, asked.max_tokens ?? DEFAULT_TOKENS));
    wake();
    if (!submit(engine, { id, prompt, output }, performance.now())) {
      sendError(response, 400, "The conversation is longer than the model's context.");
      return;
    }
    pending.set(id, { response, asked, text: "" });
    response.on("close", () => {
      if (pending.delete(id)) {
        cancel(engine, id, performance.now());
        wake();
      }
    });
    if (asked.stream === true) {
      // As vLLM does, before anything is known of the answer.
      response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
      response.flushHeaders();
    }
    wake();
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === "/health") {
      response.writeHead(200, { "content-length": 0 }).end();
    } else if (request.url === "/metrics") {
      wake();
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(metricsOf(engine));
    } else if (request.url === "/v1/chat/completions" && request.method === "POST") {
      const asked = read(await bodyOf(request));
      if (asked === undefined) sendError(response, 400, "The body is no chat request.");
      else chat(asked, response);
    } else {
      sendError(response, 404, "Not Found");
    }
  }

  const server: Server = createServer((request, response) => {
    response.socket?.setNoDelay(true);
    // The peer may go whenever it likes.
    answer(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 75000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", 1024, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    totals() {
      if (!dead) wake();
      return engine.totals;
    },
    async kill() {
      if (dead) return;
      dead = true;
      clearTimeout(timer);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

export { startSimulatedServer };
export type { SimulatedServer };
