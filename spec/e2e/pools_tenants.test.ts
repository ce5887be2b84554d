import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";

/** What an engine says to a request. */
interface Reply {
  status: number;
  type: string;
  body: string;
}

interface Engine {
  url: string;
  /** What it says to all; undefined: to requests that are mistaken, what their test says, to others an answer. */
  sick: Reply | undefined;
  /** How many requests came. */
  requests: number;
  stop(): Promise<void>;
}

const JSON_TYPE = "application/json";
const STREAM_TYPE = "text/event-stream";
const USAGE = '"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}';
const GOOD = `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],${USAGE}}`;
const CHUNK = '{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}';
const GOOD_STREAM = `data: ${CHUNK}\n\ndata: [DONE]\n\n`;

/** Of the tenants' keys. */
function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

const HONEST = Array.from({ length: 20 }, (_, index) => `honest-${index}`);
const TENANTS = [...HONEST, "hostile"].map((id) => ({ id, api_keys: [{ id: "web", secret: keyOf(id) }] }));

let mistake: Reply = { status: 500, type: JSON_TYPE, body: "{}" };
let gateway: Gateway | undefined;
let engines: Engine[] = [];
let mocks: Mock[] = [];

/** An engine that answers mistaken requests, which say so, with `mistake`. */
async function startEngine(): Promise<Engine> {
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    request.on("data", (data: Buffer) => parts.push(data));
    request.on("end", () => {
      engine.requests += 1;
      const text = Buffer.concat(parts).toString("utf8");
      const good = text.includes('"stream":true') ? { status: 200, type: STREAM_TYPE, body: GOOD_STREAM } : { status: 200, type: JSON_TYPE, body: GOOD };
      const { status, type, body } = engine.sick ?? (text.includes('"user":"mistaken"') ? mistake : good);
      if (status === 0) {
        response.socket?.resetAndDestroy();
        return;
      }
      response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
    });
  });
  server.keepAliveTimeout = 60000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const engine: Engine = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sick: undefined,
    requests: 0,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return engine;
}

beforeAll(async () => {
  mocks = await Promise.all([startMock(), startMock()]);
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  await Promise.all(engines.map((engine) => engine.stop()));
  engines = [];
  await Promise.all(mocks.flatMap((mock) => [mock.behave(""), mock.page("/health", {})]));
});

afterAll(async () => {
  await Promise.all(mocks.map((mock) => mock.stop()));
});

interface Begin {
  breaker?: Record<string, unknown>;
  pool?: Record<string, unknown>;
  workers?: number;
}

async function begin({ breaker, pool, workers }: Begin = {}): Promise<void> {
  engines = await Promise.all([startEngine(), startEngine()]);
  gateway = await startGateway({
    workers: workers ?? 2,
    config: JSON.stringify({
      tenants: TENANTS,
      models: [{ name: "chat", pool: "gpu" }],
      pools: [{
        name: "gpu",
        balance: "round_robin",
        endpoints: engines.map(({ url }) => ({ url })),
        retries: { attempts: 3, backoff: "1ms" },
        breaker: { failures: 4, window: "60s", open: "60s", ...breaker },
        ...pool,
      }],
    }),
  });
}

interface Ask {
  path?: string;
  stream?: boolean;
  mistaken?: boolean;
}

function ask(tenant: string, { path, stream, mistaken }: Ask = {}): Promise<Answer> {
  const asked = path ?? "/v1/chat/completions";
  const input = asked.endsWith("embeddings") ? { input: "Hello" } : { messages: [{ role: "user", content: "Hello" }] };
  const body = JSON.stringify({ model: "chat", ...input, ...(stream && { stream }), ...(mistaken && { user: "mistaken" }) });
  return send(gateway!.port, { path: asked, body, key: keyOf(tenant) });
}

async function opened(): Promise<number> {
  return sumOf(await gateway!.metrics(), "sluice_breaker_open");
}

/** How many requests the mocks have had. */
async function startedAll(): Promise<number> {
  const counts = await Promise.all(mocks.map((mock) => mock.counts()));
  return counts.reduce((sum, { started }) => sum + started, 0);
}

function attemptsOf(answer: Answer): number {
  return Number(answer.headers["x-sluice-attempts"]);
}

/** What counts of a reply: nothing, so much of one key's, or all. */
type Counts = "nothing" | "half" | "all";

const EVENT = (error: string): Reply => ({ status: 200, type: STREAM_TYPE, body: `data: ${error}\n\ndata: [DONE]\n\n` });
const ERROR = (status: number, body: string): Reply => ({ status, type: JSON_TYPE, body });

const REPLIES: Record<string, { reply: Reply; counts: Counts; attempts: number; ask?: Ask }> = {
  "llama.cpp's 501 to embeddings": {
    reply: ERROR(501, '{"error":{"code":501,"message":"This server does not support embeddings.","type":"not_supported_error"}}'),
    counts: "nothing", attempts: 1, ask: { path: "/v1/embeddings" },
  },
  "a 505": { reply: { status: 505, type: "text/html", body: "<h1>505</h1>" }, counts: "nothing", attempts: 1 },
  "vLLM's error event for a bad schema": {
    reply: EVENT('{"error":{"message":"Grammar error: unsupported","type":"BadRequestError","param":null,"code":400}}'),
    counts: "nothing", attempts: 1, ask: { stream: true },
  },
  "an error event that names its kind": {
    reply: EVENT('{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}'), counts: "nothing", attempts: 1, ask: { stream: true },
  },
  "llama.cpp's 500 to a grammar": {
    reply: ERROR(500, '{"error":{"code":500,"message":"failed to parse grammar","type":"server_error"}}'), counts: "half", attempts: 3,
  },
  "Ollama's 500 to a schema": {
    reply: { status: 500, type: "application/json; charset=utf-8", body: '{"error":{"message":"invalid JSON schema in format","type":"api_error","param":null,"code":null}}' },
    counts: "half", attempts: 3,
  },
  "LiteLLM's 500 to a number as input": {
    reply: ERROR(500, '{"error":{"message":"list index out of range","type":"None","param":"None","code":"500"}}'), counts: "half", attempts: 3, ask: { path: "/v1/embeddings" },
  },
  "llama.cpp's error event for a grammar": {
    reply: EVENT('{"error":{"code":500,"message":"failed to initialize samplers","type":"server_error"}}'), counts: "half", attempts: 1, ask: { stream: true },
  },
  "an error event that says nothing more": { reply: EVENT('{"error":"it went wrong"}'), counts: "half", attempts: 1, ask: { stream: true } },
  "a 500 that is a page": { reply: { status: 500, type: "text/html", body: "<h1>500</h1>" }, counts: "all", attempts: 3 },
  "a 500 without a body": { reply: { status: 500, type: JSON_TYPE, body: "" }, counts: "all", attempts: 3 },
  "a 502": { reply: ERROR(502, '{"error":{"message":"no"}}'), counts: "all", attempts: 3 },
  "a 503": { reply: ERROR(503, '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'), counts: "all", attempts: 3 },
  "a 504": { reply: ERROR(504, '{"error":{"message":"no"}}'), counts: "all", attempts: 3 },
  "a 529": { reply: ERROR(529, '{"type":"error","error":{"type":"overloaded_error","message":"no"}}'), counts: "all", attempts: 3 },
  "a reset": { reply: { status: 0, type: "", body: "" }, counts: "all", attempts: 3 },
};

describe("one tenant's requests to which engines answer with", () => {
  it.each(Object.entries(REPLIES))("%s", async (_, { reply, counts, attempts, ask: how }) => {
    await begin();
    mistake = reply;
    if (counts !== "nothing") {
      // Both have served somebody.
      for (let round = 0; round < 4; round++) expect((await ask(HONEST[round]!)).status).toBe(200);
    }
    for (let round = 0; round < 14; round++) {
      const answer = await ask("hostile", { ...how, mistaken: true });
      if (round === 0) expect(attemptsOf(answer), answer.text).toBe(attempts);
      if (counts === "nothing" && reply.status !== 200) expect(answer.text).toBe(reply.body);
    }
    expect(await opened()).toBe(counts === "all" ? 2 : 0);
    const answers = await Promise.all(HONEST.map((tenant) => ask(tenant)));
    expect(answers.map(({ status, text }) => (status === 200 ? 200 : text))).toEqual(HONEST.map(() => 200));
    expect(await opened()).toBe(0);
    for (const answer of answers) expect(attemptsOf(answer)).toBe(1);
  });
});

describe("many tenants", () => {
  it("lose nothing by one of them who shut both endpoints before they came, and goes on", async () => {
    await begin({ breaker: { failures: 5 } });
    mistake = REPLIES["Ollama's 500 to a schema"]!.reply;
    for (let round = 0; round < 10; round++) await ask("hostile", { mistaken: true });
    expect(await opened()).toBe(2);
    const refused = await ask("hostile", { mistaken: true });
    expect(refused.status).toBe(503);
    expect(errorOf(refused)).toMatchObject({ code: "no_healthy_endpoint" });
    let going = true;
    const hostile = (async () => {
      for (let round = 0; going && round < 300; round++) await ask("hostile", { mistaken: true });
    })();
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(HONEST.map((tenant, index) => ask(tenant, { stream: index % 2 === 0 })));
      expect(answers.map(({ status, text }) => (status === 200 ? 200 : text))).toEqual(HONEST.map(() => 200));
      for (const answer of answers) expect(attemptsOf(answer)).toBe(1);
    }
    going = false;
    await hostile;
    expect(await opened()).toBe(0);
  });

  it("lose nothing but retries by an endpoint that dies, which is left after as many failures as ever", async () => {
    await begin({ breaker: { failures: 5 }, workers: 2 });
    for (let round = 0; round < 10; round++) await Promise.all(HONEST.map((tenant) => ask(tenant)));
    // What ends well after the first failure would begin the count anew.
    await eventually("all have been counted", () => (gateway!.journal().length === 10 * HONEST.length ? true : undefined));
    await engines[0]!.stop();
    let attempts = 0;
    for (let round = 0; round < 60; round++) {
      const answer = await ask(HONEST[round % HONEST.length]!);
      expect(answer.status, answer.text).toBe(200);
      attempts += attemptsOf(answer) - 1;
    }
    expect(attempts).toBe(5);
    expect(await opened()).toBe(1);
  });
});

describe("a single key", () => {
  it("is not left with an endpoint that has become sick, whose errors could be its own", async () => {
    await begin({ breaker: { window: "1s" } });
    for (let round = 0; round < 4; round++) expect((await ask("honest-0")).status).toBe(200);
    engines[0]!.sick = REPLIES["llama.cpp's 500 to a grammar"]!.reply;
    await eventually("it is left", async () => {
      expect((await ask("honest-0")).status).toBe(200);
      return (await opened()) === 1 ? true : undefined;
    }, 20000);
    const before = engines[0]!.requests;
    for (let round = 0; round < 10; round++) expect(attemptsOf(await ask("honest-0"))).toBe(1);
    expect(engines[0]!.requests).toBe(before);
  });
});

describe("an endpoint that is asked whether it is well", () => {
  it("has its trial in that question, and no request is spent", async () => {
    engines = [];
    gateway = await startGateway({
      workers: 2,
      config: JSON.stringify({
        tenants: TENANTS,
        models: [{ name: "chat", pool: "gpu", upstream_model: "mock;tokens=2" }],
        pools: [{
          name: "gpu",
          balance: "round_robin",
          endpoints: mocks.map(({ url }) => ({ url })),
          retries: { attempts: 1 },
          breaker: { failures: 2, window: "10s", open: "500ms" },
          health: { path: "/health", interval: "100ms", timeout: "1s", healthy: 1, unhealthy: 100, slow_start: "0s" },
        }],
      }),
    });
    await Promise.all(mocks.flatMap((mock) => [mock.page("/health", { status: 503 }), mock.behave("mock;status=503")]));
    await eventually("both are shut", async () => {
      await ask("honest-0");
      return (await opened()) === 2 ? true : undefined;
    }, 20000);
    await Promise.all(mocks.map((mock) => mock.behave("")));
    const started = await startedAll();
    const { asked } = await mocks[0]!.asked("/health");
    // Bad answers open them anew: more of them than fit into the open time.
    await eventually("questions", async () => ((await mocks[0]!.asked("/health")).asked >= asked + 12 ? true : undefined), 20000);
    expect(await opened()).toBe(2);
    await Promise.all(mocks.map((mock) => mock.page("/health", {})));
    await eventually("both are back", async () => ((await opened()) === 0 ? true : undefined), 20000);
    expect(await startedAll()).toBe(started);
    expect((await ask("honest-0")).status).toBe(200);
  });
});
