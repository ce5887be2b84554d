import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import { BLOCKED_ENGLISH, chatChunk } from "../support/guarded.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";
import { startScriptedUpstream } from "../support/scripted_upstream.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";

let mocks: Mock[] = [];
let gateway: Gateway | undefined;

beforeAll(async () => {
  mocks = await Promise.all([startMock(), startMock()]);
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  await Promise.all(mocks.map((mock) => mock.behave("")));
});

afterAll(async () => {
  await Promise.all(mocks.map((mock) => mock.stop()));
});

interface Begin {
  timeouts: Record<string, string>;
  retries?: Record<string, unknown>;
  guarded?: boolean;
  url?: string;
  fallback?: string;
  /** Another endpoint, and when the endpoints' breakers open. */
  second?: string;
  breaker?: Record<string, unknown>;
}

async function begin({ timeouts, retries, guarded, url, fallback, second, breaker }: Begin): Promise<void> {
  const limits = { concurrent_requests: 100 };
  gateway = await startGateway({
    workers: 1,
    files: { "words.txt": `${BLOCKED_ENGLISH}\n` },
    config: JSON.stringify({
      tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY, limits }], ...(guarded === true && { guard: "words" }) }],
      models: [
        { name: "chat", pool: "gpu", upstream_model: "mock", price: { input: 1, output: 1 }, ...(fallback !== undefined && { fallback: ["other"] }) },
        { name: "other", pool: "other", upstream_model: "mock" },
      ],
      pools: [
        { name: "gpu", endpoints: [{ url: url ?? mocks[0]!.url }, ...(second !== undefined ? [{ url: second }] : [])], timeouts, retries, breaker },
        { name: "other", endpoints: [{ url: mocks[1]!.url }], timeouts: { total: fallback ?? "600s" } },
      ],
      guards: [{ name: "words", on: ["completion"], lexicons: [{ file: "words.txt", action: "block" }] }],
    }),
  });
}

function ask(more: Record<string, unknown> = {}): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }], ...more });
  return send(gateway!.port, { path: "/v1/chat/completions", body, key: KEY });
}

function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway!.journalLine(String(answer.headers["x-request-id"]));
}

describe("a stream that takes longer than it may", () => {
  it.each([false, true])("ends with an error in the API's words, though it is never silent (guarded: %s)", async (guarded) => {
    await begin({ timeouts: { read: "20s", total: "700ms" }, guarded });
    await mocks[0]!.behave("mock;tokens=100;interval=100");
    const answer = await ask({ stream: true });
    expect(answer.status).toBe(200);
    expect(answer.complete).toBe(true);
    expect(answer.text).toContain('"content"');
    expect(answer.text).toContain('data: {"error":{"message":"The answer took longer than it may."');
    expect(answer.text).not.toContain("[DONE]");
    const line = await lineOf(answer);
    expect(line).toMatchObject({ ending: "timed_out", timeout: "total", status: 200, usage_from: "counted" });
    expect(line.first_token_ms).not.toBeNull();
    expect(line.output_tokens).toBeGreaterThan(0);
    const metrics = await gateway!.metrics();
    expect(sumOf(metrics, "sluice_streams_truncated_total", { cause: "total_timeout" })).toBe(1);
    await eventually("the upstream's connection is closed", async () => ((await mocks[0]!.counts()).open === 0 ? true : undefined));
  });

  it("is told apart from one that falls silent, also if its time is over meanwhile", async () => {
    await begin({ timeouts: { read: "400ms", total: "20s" } });
    await mocks[0]!.behave("mock;stall=3");
    expect(await lineOf(await ask({ stream: true }))).toMatchObject({ ending: "timed_out", timeout: "read" });
    await gateway!.stop();
    await begin({ timeouts: { read: "20s", total: "600ms" } });
    const answer = await ask({ stream: true });
    expect(answer.text).toContain("The answer took longer than it may.");
    expect(await lineOf(answer)).toMatchObject({ ending: "timed_out", timeout: "total" });
  });

  it.each([
    ["open", "timed_out", "read"],
    ["broken", "upstream_lost", null],
  ] as const)("is told apart from one whose connection breaks, also when bytes came shortly before (%s)", async (end, ending, timeout) => {
    // nginx does not set its timer anew for bytes that come within 0.3 seconds: it runs out so much sooner.
    const upstream = await startScriptedUpstream();
    try {
      const user = upstream.prepare({ pieces: [chatChunk("one"), chatChunk(" two")], gap: 200, end });
      await begin({ timeouts: { read: "1s", total: "60s" }, url: upstream.url });
      const answer = await ask({ stream: true, user });
      expect(answer.text).toContain("two");
      expect(await lineOf(answer)).toMatchObject({ ending, timeout });
    } finally {
      await gateway?.stop();
      await upstream.stop();
    }
  });

  it("is not cut if it ends in time, or has ended", async () => {
    await begin({ timeouts: { read: "20s", total: "20s" } });
    await mocks[0]!.behave("mock;tokens=3");
    const answer = await ask({ stream: true });
    expect(answer.text).toContain("[DONE]");
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", timeout: null });
  });
});

describe("an answer that is one body", () => {
  it.each([false, true])("is broken off too while nothing but blanks has come, which keep on coming (guarded: %s)", async (guarded) => {
    const upstream = await startScriptedUpstream();
    try {
      const user = upstream.prepare({ pieces: Array.from({ length: 40 }, () => "\n"), type: "application/json", gap: 100 });
      await begin({ timeouts: { read: "20s", total: "600ms" }, url: upstream.url, guarded });
      const began = performance.now();
      const answer = await ask({ stream: true, user }).catch(() => undefined);
      expect(performance.now() - began).toBeLessThan(3000);
      expect(answer?.complete ?? false).toBe(false);
      const line = await eventually("its line", () => gateway!.journal()[0]);
      expect(line).toMatchObject({ ending: "timed_out", timeout: "total", cost_nano_usd: 0 });
    } finally {
      await gateway?.stop();
      await upstream.stop();
    }
  });

  it.each([false, true])("is broken off when its time is over (guarded: %s)", async (guarded) => {
    await begin({ timeouts: { read: "20s", total: "600ms" }, guarded });
    await mocks[0]!.behave("mock;tokens=30;cut=10;gap=100");
    const before = gateway!.journal().length;
    const answer = await ask().catch(() => undefined);
    expect(answer?.complete ?? false).toBe(guarded);
    if (guarded) expect(answer!.text).toContain('"code":"upstream_failed"');
    const line = await eventually("its line", () => gateway!.journal()[before]);
    expect(line).toMatchObject({ ending: "timed_out", timeout: "total" });
    await eventually("nothing is under way", async () => (sumOf(await gateway!.metrics(), "sluice_upstream_inflight", {}) === 0 ? true : undefined));
  });
});

describe("attempts", () => {
  it("are not made when time is over, nor waited for when it will be", async () => {
    await begin({ timeouts: { read: "20s", total: "700ms" }, retries: { attempts: 5 } });
    await mocks[0]!.behave("mock;stall=header");
    const silent = await ask();
    expect(silent.status).toBe(504);
    expect(errorOf(silent)).toMatchObject({ code: "upstream_timeout" });
    expect(await lineOf(silent)).toMatchObject({ ending: "timed_out", timeout: "total", attempts: 1, first_token_ms: null, cost_nano_usd: 0 });
    // The endpoint asks for a pause that is longer than what is left.
    await mocks[0]!.behave("mock;status=503;retry_after=4");
    const asked = await ask();
    expect(asked.status).toBe(503);
    expect(asked.headers["x-sluice-attempts"]).toBe("1");
  });

  it("that ran out of time say whether there was a connection", async () => {
    await begin({ timeouts: { read: "300ms", total: "20s" }, retries: { attempts: 2, backoff: "1ms" } });
    await mocks[0]!.behave("mock;stall=header");
    for (const stream of [false, true]) {
      const silent = await ask({ stream });
      expect(silent.status).toBe(504);
      expect(await lineOf(silent)).toMatchObject({ ending: "timed_out", timeout: "read", attempts: stream ? 2 : 1 });
    }
    await gateway!.stop();
    // An address that answers nobody (RFC 5737), or has no route, as some machines say at once.
    await begin({ timeouts: { connect: "200ms" }, retries: { attempts: 1 }, url: "http://192.0.2.1:8000" });
    const unreached = await ask();
    const line = await lineOf(unreached);
    expect(line.timeout).toBe(unreached.status === 504 ? "connect" : null);
  });

  it("say nothing of their endpoint when the request had no time left", async () => {
    await begin({ timeouts: { read: "60s", total: "600ms" }, retries: { attempts: 1 }, url: mocks[0]!.url, breaker: { failures: 2 }, second: mocks[1]!.url });
    await Promise.all(mocks.map((mock) => mock.behave("mock;delay=1500")));
    for (let round = 0; round < 6; round++) expect((await ask()).status).toBe(504);
    await Promise.all(mocks.map((mock) => mock.behave("")));
    expect((await ask()).status).toBe(200);
    expect(sumOf(await gateway!.metrics(), "sluice_breaker_open", {})).toBe(0);
  });

  it("go to another model that has more time, and to none that has not", async () => {
    await begin({ timeouts: { read: "20s", total: "500ms" }, fallback: "20s" });
    await mocks[0]!.behave("mock;stall=header");
    const answer = await ask();
    expect(answer.headers["x-sluice-model"]).toBe("other");
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", timeout: null, attempts: 2 });
    await gateway!.stop();
    await begin({ timeouts: { read: "20s", total: "500ms" }, fallback: "400ms" });
    const late = await ask();
    expect(late.status).toBe(504);
    expect(await lineOf(late)).toMatchObject({ model: "chat", ending: "timed_out", timeout: "total", attempts: 1 });
  });
});
