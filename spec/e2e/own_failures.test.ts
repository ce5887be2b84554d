/** Attempts that fail of something of the gateway's own: its buffers, its connections, its file descriptors. No endpoint is blamed for them. */

import { execFileSync } from "node:child_process";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_KEY } from "../support/configuration.ts";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, post } from "../support/http_client.ts";
import { editNginx } from "../support/nginx_configuration.ts";
import { eventually } from "../support/processes.ts";
import { type RawUpstream, startRawUpstream } from "../support/raw_upstream.ts";
import { type Script, type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const CHAT = "/v1/chat/completions";
const MESSAGES = "/v1/messages";
const HELLO = [{ role: "user", content: "hello" }];
/** So many failures shut an endpoint of these pools. */
const FAILURES = 3;
const COMPLETION =
  '{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}';
const EVENT = 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n';
const END = 'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

/** The pair that most pools have, another one, and one that is asked whether it is well. */
let upstreams: ScriptedUpstream[];
/** Breaks off in the middle of a header that would not be too large. */
let breaking: RawUpstream;
let gateway: Gateway;
const sockets: Socket[] = [];

/** Pools that are as eager to blame their endpoints as can be. */
function configuration(): string {
  const endpoints = upstreams.slice(0, 2).map(({ url }) => ({ url }));
  const pool = { endpoints, retries: { backoff: "1ms" }, breaker: { failures: FAILURES, window: "600s", open: "600s" } };
  return JSON.stringify({
    tenants: [{ id: "acme", api_keys: [{ id: "web", secret: CLIENT_KEY }] }],
    models: [
      { name: "chat", pool: "pair" },
      { name: "once", pool: "once" },
      { name: "claude", pool: "claude" },
      { name: "either", pool: "once", fallback: ["other"] },
      { name: "other", pool: "other", upstream_model: "other" },
      { name: "watched", pool: "watched" },
      { name: "breaking", pool: "breaking" },
    ],
    pools: [
      { name: "pair", ...pool },
      { name: "once", ...pool, retries: { attempts: 1 } },
      { name: "claude", api: "anthropic", ...pool },
      { name: "other", endpoints: [{ url: upstreams[2]!.url }] },
      { name: "breaking", ...pool, endpoints: [{ url: breaking.url }, { url: breaking.url.replace("127.0.0.1", "127.0.0.2") }] },
      { name: "watched", ...pool, endpoints: [{ url: upstreams[3]!.url }, { url: upstreams[3]!.url.replace("127.0.0.1", "localhost") }], health: { path: "/health", interval: "100ms", timeout: "10s", unhealthy: 2 } },
    ],
  });
}

beforeAll(async () => {
  upstreams = await Promise.all([startScriptedUpstream(), startScriptedUpstream(), startScriptedUpstream(), startScriptedUpstream()]);
  breaking = await startRawUpstream(`HTTP/1.1 200 OK\r\nX-Policy: ${"p".repeat(20_000)}`, true);
  gateway = await startGateway({ config: configuration(), workers: 1 });
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

afterAll(async () => {
  await gateway?.stop();
  await breaking?.stop();
  await Promise.all((upstreams ?? []).map((upstream) => upstream.stop()));
});

/** Both upstreams of the pair will answer so whoever asks with the name that is returned. */
function prepare(script: Script): string {
  const names = upstreams.slice(0, 2).map((upstream) => upstream.prepare(script));
  expect(new Set(names).size).toBe(1);
  return names[0]!;
}

function asked(): number {
  return upstreams.slice(0, 2).reduce((sum, { exchanges }) => sum + exchanges.length, 0);
}

interface Status {
  pools: { name: string; endpoints: { breaker: string }[] }[];
}

/** No endpoint of any pool is shut, and none is counted as one that failed. */
async function expectNobodyBlamed(): Promise<void> {
  const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as Status;
  for (const { name, endpoints } of status.pools.filter((pool) => pool.name !== "breaking")) expect([name, ...endpoints.map(({ breaker }) => breaker)]).toEqual([name, ...endpoints.map(() => "closed")]);
  const metrics = await gateway.metrics();
  const blamed = [...metrics].filter(([name, value]) => /^sluice_(breaker_open|upstream_requests_total\{.*code="0")/.test(name) && !name.includes('"breaking"') && value > 0);
  expect(blamed).toEqual([]);
}

describe("an answer's header", () => {
  /** Node adds some headers of its own. */
  const OF_NODE = 250;

  /** A script whose answer has a header of about so many bytes. */
  function withHeader(bytes: number, streams: boolean): Script {
    const headers: Record<string, string> = {};
    for (let left = bytes - OF_NODE, index = 0; left > 0; left -= 1000, index++) headers[`x-policy-${index}`] = "p".repeat(Math.max(1, Math.min(1000, left) - 16));
    return streams ? { pieces: [EVENT, END], headers } : { pieces: [COMPLETION], type: "application/json", length: true, headers };
  }

  it.each([
    [6_000, false, "chat"],
    [6_000, true, "chat"],
    [15_000, true, "chat"],
    [32_300, false, "chat"],
    [32_300, true, "chat"],
    [32_300, false, "once"],
  ])("of %i bytes reaches the client whole (a stream: %s, model %s)", async (bytes, stream, model) => {
    const answer = await post(gateway.port, CHAT, { model, stream, messages: HELLO, user: prepare(withHeader(bytes, stream)) });
    expect([answer.status, answer.complete]).toEqual([200, true]);
    expect(answer.headers["x-sluice-attempts"]).toBe("1");
    const policies = Object.entries(answer.headers).filter(([name]) => name.startsWith("x-policy-"));
    expect(policies.length).toBe(Math.ceil((bytes - OF_NODE) / 1000));
    expect(answer.text).toContain('"hi"');
  });

  it.each([
    [33_200, false, "chat"],
    [33_200, true, "chat"],
    [150_000, false, "chat"],
    [33_200, false, "once"],
  ])("of %i bytes is refused, asked for once, and nobody's failure (a stream: %s, model %s)", async (bytes, stream, model) => {
    const user = prepare(withHeader(bytes, stream));
    const before = asked();
    // Often enough to shut both endpoints, if they were blamed.
    for (let count = 1; count <= FAILURES * 2 + 1; count++) {
      const answer = await post(gateway.port, CHAT, { model, stream, messages: HELLO, user });
      expect(answer.status).toBe(502);
      expect(errorOf(answer)).toMatchObject({ type: "upstream_error", code: "upstream_failed" });
      expect(errorOf(answer).message).toContain("32 KB");
      expect(answer.headers["x-sluice-attempts"]).toBe("1");
      expect(answer.headers["x-should-retry"]).toBe("false");
      expect(asked() - before).toBe(count);
      expect(await gateway.journalLine(String(answer.headers["x-request-id"]))).toMatchObject({ status: 502, ending: "refused", attempts: 1, cost_nano_usd: 0 });
    }
    await expectNobodyBlamed();
    expect((await post(gateway.port, CHAT, { model, messages: HELLO })).status).toBe(200);
  });

  it("that is too large leaves the request to another model", async () => {
    const before = asked();
    const answer = await post(gateway.port, CHAT, { model: "either", messages: HELLO, user: prepare(withHeader(40_000, false)) });
    expect([answer.status, answer.headers["x-sluice-model"], answer.headers["x-sluice-attempts"]]).toEqual([200, "other", "2"]);
    expect(asked() - before).toBe(1);
  });

  it("that breaks off before it is too large is the endpoint's failure", async () => {
    for (let count = 1; count <= FAILURES; count++) {
      const answer = await post(gateway.port, CHAT, { model: "breaking", messages: HELLO });
      if (count === 1) expect([answer.status, answer.headers["x-sluice-attempts"]]).toEqual([502, "3"]);
    }
    expect(sumOf(await gateway.metrics(), "sluice_breaker_open", { pool: "breaking" })).toBeGreaterThan(0);
  });
});

/** What has come over a socket so far, from its status line on. */
function statusOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const done = (): void => {
      resolve(text);
    };
    socket.on("close", done);
    socket.on("error", done);
    socket.on("data", (data: Buffer) => {
      text += data.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (end >= 0 && text.length >= end + 4 + length) done();
    });
  });
}

/** A connection of a client that has begun its request, so that nginx can't take it back. */
async function begin(path: string): Promise<Socket> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const made = connect(gateway.port, "127.0.0.1", () => {
      resolve(made);
    });
    made.on("error", reject);
  });
  sockets.push(socket);
  socket.write(`POST ${path} HTTP/1.1\r\nHost: a\r\n`);
  return socket;
}

/** Ends the request, and returns what comes: a whole answer, or the beginning of a stream. */
function finish(socket: Socket, document: object): Promise<string> {
  const body = JSON.stringify(document);
  const come = statusOf(socket);
  socket.write(`Authorization: Bearer ${CLIENT_KEY}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  return come;
}

function expectBusy(text: string, path: string): void {
  const [head, body] = text.split("\r\n\r\n") as [string, string];
  expect(head).toMatch(/^HTTP\/1\.1 503 /);
  expect(head).toMatch(/\r\nretry-after: [1-9]\d*(\r|$)/i);
  expect(head).not.toMatch(/x-should-retry: false/i);
  const document = JSON.parse(body) as { type?: string; error: { type: string; code?: string } };
  expect(document.error.type).toBe("overloaded_error");
  if (path === MESSAGES) expect(document.type).toBe("error");
  else expect(document.error.code).toBe("server_busy");
}

async function expectServed(model: string): Promise<void> {
  await eventually("requests are served again", async () => {
    const answer: Answer | undefined = await post(gateway.port, CHAT, { model, messages: HELLO }).catch(() => undefined);
    return answer?.status === 200;
  });
}

describe("when the worker's connections are used up", () => {
  // With room for connections that the tests before have not closed yet: a client that is not accepted would wait for ever.
  const CLIENTS = 26;

  beforeAll(async () => {
    await editNginx(gateway, "nginx.conf", /worker_connections \d+/, "worker_connections 44");
  });

  afterAll(async () => {
    await editNginx(gateway, "nginx.conf", /worker_connections \d+/, "worker_connections 16384");
  });

  it.each([
    [CHAT, "chat"],
    [CHAT, "once"],
    [CHAT, "either"],
    [MESSAGES, "claude"],
  ])("%s with the model %s is refused with 503, and nobody is blamed", async (path, model) => {
    const user = prepare({ pieces: [EVENT], end: "open" });
    const before = asked() + upstreams[2]!.exchanges.length;
    const clients: Socket[] = [];
    for (let count = 0; count < CLIENTS; count++) clients.push(await begin(path));
    let served = 0;
    let refused = 0;
    for (const client of clients) {
      const text = await finish(client, { model, stream: true, max_tokens: 10, messages: HELLO, user });
      if (text.startsWith("HTTP/1.1 200 ")) {
        served += 1;
      } else {
        expectBusy(text, path);
        refused += 1;
        expect(text).toMatch(/x-sluice-attempts: 1\r/i);
      }
    }
    expect(served).toBeGreaterThan(0);
    // Often enough to shut both endpoints, if they were blamed.
    expect(refused).toBeGreaterThan(FAILURES * 2);
    expect(asked() + upstreams[2]!.exchanges.length - before).toBe(served);
    for (const socket of sockets.splice(0)) socket.destroy();
    await expectServed("chat");
    await expectNobodyBlamed();
    const lines = await eventually("the refusals are in the journal", () => {
      const found = gateway.journal().filter((line) => line.status === 503 && line.model === model);
      return found.length >= refused ? found : undefined;
    });
    for (const line of lines) expect(line).toMatchObject({ ending: "refused", attempts: 1, cost_nano_usd: 0 });
  });
});

describe("when the worker's file descriptors are used up", () => {
  it("requests are refused with 503, and neither they nor health checks blame anybody", async () => {
    const [worker] = gateway.workers();
    const clients: Socket[] = [];
    for (let count = 0; count < FAILURES * 2 + 1; count++) clients.push(await begin(CHAT));
    // They are accepted in order.
    await fetch(`${gateway.url}/healthz`, { headers: { connection: "close" } });
    const checks = upstreams[3]!.exchanges.length;
    await eventually("endpoints are asked whether they are well", () => upstreams[3]!.exchanges.length > checks);
    // The numbers below this one are in use for as long as it runs.
    execFileSync("prlimit", ["--pid", String(worker), "--nofile=3:"]);
    try {
      for (const client of clients) expectBusy(await finish(client, { model: "watched", messages: HELLO }), CHAT);
      const before = (gateway.errorLog().match(/Too many open files/g) ?? []).length;
      await eventually("health checks had no descriptor", () => (gateway.errorLog().match(/Too many open files/g) ?? []).length > before + 6);
    } finally {
      execFileSync("prlimit", ["--pid", String(worker), "--nofile=4096:"]);
    }
    expect(gateway.errorLog()).not.toContain("is not well");
    await expectServed("watched");
    await expectNobodyBlamed();
  });
});
