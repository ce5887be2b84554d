import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, post } from "../support/http_client.ts";
import { eventually } from "../support/processes.ts";
import { type Redis, startRedis } from "../support/redis.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const CHAT = "/v1/chat/completions";
const PRICE = { input: 1, output: 2 };
const TYPICAL = { reserve: "typical" };

/** What each tenant has, one for each test. */
const TENANTS: Record<string, { limits?: Record<string, unknown>; budget?: Record<string, unknown>; guard?: string }> = {
  burst: { limits: { tokens_per_minute: 100000 } },
  capped: { limits: { tokens_per_minute: 100000, reserve: "cap" } },
  unknown: { limits: { tokens_per_minute: 100000 } },
  other: { limits: { tokens_per_minute: 1000000 } },
  stream: { limits: { tokens_per_minute: 2000 } },
  guarded: { limits: { tokens_per_minute: 2000 }, guard: "watchful" },
  json: { limits: { tokens_per_minute: 2000 } },
  "guarded-json": { limits: { tokens_per_minute: 2000 }, guard: "watchful" },
  crowd: { limits: { tokens_per_minute: 3000 } },
  rich: { limits: { tokens_per_minute: 100000 }, budget: { usd: 1, period: "day" } },
  reloaded: { limits: { tokens_per_minute: 2000 } },
  key: {},
};

function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

function configuration(store: Record<string, unknown>, upstream: string, limits: Record<string, unknown> = TYPICAL): string {
  return JSON.stringify({
    store,
    limits,
    tenants: Object.entries(TENANTS).map(([id, more]) => ({
      id, api_keys: [{ id: "web", secret: keyOf(id), ...(id === "key" && { limits: { tokens_per_minute: 2000 } }) }], ...more,
    })),
    guards: [{ name: "watchful", on: ["completion"], patterns: { email: "flag" } }],
    models: [{ name: "chat", pool: "scripted", price: PRICE }, { name: "second", pool: "scripted", price: PRICE }],
    pools: [{ name: "scripted", endpoints: [{ url: upstream }] }],
  });
}

function json(completion: number): string {
  const choice = { index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" };
  return JSON.stringify({ id: "c", object: "chat.completion", choices: [choice], usage: { prompt_tokens: 10, completion_tokens: completion } });
}

/** About so many tokens of text, in one event of a stream. */
function words(tokens: number): string {
  return `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta: { content: "hello ".repeat(tokens) } }] })}\n\n`;
}

function ending(completion: number): string {
  const finish = { id: "c", choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };
  const usage = { id: "c", choices: [], usage: { prompt_tokens: 10, completion_tokens: completion } };
  return `data: ${JSON.stringify(finish)}\n\ndata: ${JSON.stringify(usage)}\n\ndata: [DONE]\n\n`;
}

describe.each(["memory", "redis"])("windows that reserve what is usual, in the store %s", (kind) => {
  let upstream: ScriptedUpstream;
  let redis: Redis | undefined;
  let gateway: Gateway;
  let store: Record<string, unknown>;

  beforeAll(async () => {
    [upstream, redis] = await Promise.all([startScriptedUpstream(), kind === "redis" ? startRedis() : undefined]);
    store = redis ? { kind, redis: { url: `redis://127.0.0.1:${redis.port}`, nodes: 1, timeout_ms: 2000 } } : { kind };
    gateway = await startGateway({ config: configuration(store, upstream.url), workers: 2 });
  });

  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
    await redis?.stop();
  });

  function ask(tenant: string, user: string, more: Record<string, unknown> = {}): Promise<Answer> {
    const body = { model: "chat", max_tokens: 32000, user, messages: [{ role: "user", content: "Hello" }], ...more };
    return post(gateway.port, CHAT, body, { key: keyOf(tenant) });
  }

  function answerOf(completion: number): string {
    return upstream.prepare({ pieces: [json(completion)], type: "application/json", length: true });
  }

  async function lineOf(answer: Answer): Promise<JournalLine> {
    return gateway.journalLine(String(answer.headers["x-request-id"]));
  }

  /** Has a tenant's model known for outputs of about so many tokens. */
  async function teach(tenant: string, tokens: number, more: Record<string, unknown> = {}): Promise<JournalLine> {
    const answer = await ask(tenant, answerOf(tokens), { max_tokens: tokens, ...more });
    expect(answer.status, answer.text).toBe(200);
    return lineOf(answer);
  }

  /** Sends so many at once, of which none is answered before all are there or refused. */
  async function together(tenant: string, count: number, more: Record<string, unknown> = {}): Promise<number[]> {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const before = upstream.exchanges.length;
    let refused = 0;
    const asked = Array.from({ length: count }, async () => {
      const answer = await ask(tenant, upstream.prepare({ pieces: [gate, json(320)], type: "application/json" }), more);
      if (answer.status !== 200) refused += 1;
      return answer.status;
    });
    await eventually("all are there or refused", () => upstream.exchanges.length - before + refused === count);
    open();
    return Promise.all(asked);
  }

  function refusedOf(statuses: number[]): number {
    return statuses.filter((status) => status === 429).length;
  }

  it("let five of Claude Code's requests in, of which those that reserve the cap refuse the fourth", async () => {
    await teach("burst", 320);
    await teach("capped", 320);
    expect(refusedOf(await together("burst", 5))).toBe(0);
    expect(refusedOf(await together("capped", 5))).toBe(2);
  });

  it("reserve the cap while nothing is known, for that tenant and that model", async () => {
    await teach("other", 320);
    expect(refusedOf(await together("unknown", 5))).toBe(2);
    await eventually("what was not used is given back", async () => (await ask("unknown", answerOf(320))).status === 200);
    expect((await lineOf(await ask("unknown", answerOf(320)))).reserved_tokens).toBeLessThan(500);
    expect((await lineOf(await ask("unknown", answerOf(320), { model: "second" }))).reserved_tokens).toBeGreaterThan(32000);
  });

  it("reserve 256 tokens at least and the cap at most, for each answer that is asked for", async () => {
    await teach("other", 5);
    const prompt = (await lineOf(await ask("other", answerOf(5), { max_tokens: 20 }))).reserved_tokens! - 20;
    expect((await lineOf(await ask("other", answerOf(5), { n: 2, max_tokens: 20 }))).reserved_tokens).toBe(prompt + 40);
    // 320 was written before.
    const usual = (await lineOf(await ask("other", answerOf(5)))).reserved_tokens! - prompt;
    expect(usual).toBeGreaterThanOrEqual(256);
    expect(usual).toBeLessThanOrEqual(384);
    expect((await lineOf(await ask("other", answerOf(5), { n: 3 }))).reserved_tokens).toBe(prompt + 3 * usual);
  });

  it.each(["stream", "guarded", "key"])("take what passes it of the window while the stream goes on (%s)", async (tenant) => {
    await teach(tenant, 20);
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const long = upstream.prepare({ pieces: [words(500), words(1900), gate, ending(2600)] });
    const streaming = ask(tenant, long, { stream: true, stream_options: { include_usage: true } });
    await upstream.exchange(long);
    // It has written more than the whole limit, of which it had reserved a little.
    let refusal: Answer | undefined;
    await eventually("the next one is refused", async () => {
      const answer = await ask(tenant, answerOf(5), { max_tokens: 10 });
      refusal = answer.status === 429 ? answer : undefined;
      return refusal !== undefined;
    });
    expect(errorOf(refusal!)).toMatchObject({ code: "tokens_exceeded" });
    expect(refusal!.headers["x-ratelimit-remaining-tokens"]).toBe("0");
    expect(Number(refusal!.headers["retry-after"])).toBeGreaterThan(0);
    expect(Number(refusal!.headers["retry-after"])).toBeLessThanOrEqual(60);
    go();
    const answer = await streaming;
    expect(answer.text).toContain("[DONE]");
    const line = await lineOf(answer);
    expect(line).toMatchObject({ ending: "finished", output_tokens: 2600 });
    // The debt stays when the stream has ended.
    expect((await ask(tenant, answerOf(5), { max_tokens: 10 })).status).toBe(429);
  });

  it.each(["json", "guarded-json"])("take it of an answer in JSON at its end (%s)", async (tenant) => {
    await teach(tenant, 20);
    const answer = await ask(tenant, answerOf(2500), { max_tokens: 3000 });
    expect((await lineOf(answer)).reserved_tokens).toBeLessThan(300);
    // With one node nothing is between: Redis is told behind the client's back.
    if (kind === "memory") expect((await ask(tenant, answerOf(5), { max_tokens: 10 })).status).toBe(429);
    await eventually("the next one is refused", async () => (await ask(tenant, answerOf(5), { max_tokens: 10 })).status === 429);
  });

  it("are passed by a cap at most for each request under way", async () => {
    await teach("crowd", 20);
    const cap = 600;
    let under_way = 0;
    const script = (): string => upstream.prepare({ pieces: [words(200), words(200), words(190), ending(cap)], gap: 5 });
    const clients = Array.from({ length: 30 }, async () => {
      const answer = await ask("crowd", script(), { stream: true, max_tokens: cap });
      if (answer.status === 200) under_way += 1;
      return answer;
    });
    const answers = await Promise.all(clients);
    for (const { status } of answers) expect([200, 429]).toContain(status);
    const lines = await Promise.all(answers.filter(({ status }) => status === 200).map(lineOf));
    const used = lines.reduce((sum, line) => sum + line.input_tokens + line.output_tokens, 0);
    expect(lines.length).toBeGreaterThan(3);
    expect(used).toBeLessThanOrEqual(3000 + under_way * cap);
    // All of it is waited for.
    expect((await ask("crowd", answerOf(5), { max_tokens: 10 })).status).toBe(429);
  });

  it("reserve the cap of a budget in any case", async () => {
    await teach("rich", 20);
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const user = upstream.prepare({ pieces: [gate, json(20)], type: "application/json" });
    const asked = ask("rich", user);
    await upstream.exchange(user);
    const { limits } = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as { limits: { tenant: string; reserved_nano_usd: number }[] };
    expect(limits.find((each) => each.tenant === "rich")!.reserved_nano_usd).toBeGreaterThanOrEqual(32000 * 2000);
    go();
    expect((await lineOf(await asked)).reserved_tokens).toBeLessThan(300);
  });

  it("know what they knew, and have their debts, after a reload and another configuration", async () => {
    await teach("reloaded", 20);
    gateway.writeConfig(configuration(store, upstream.url, { reserve: "cap" }));
    await eventually("the cap is reserved", async () => (await ask("reloaded", answerOf(5))).status === 429);
    gateway.writeConfig(configuration(store, upstream.url));
    await eventually("what is usual is reserved again, by what was known", async () => {
      const answer = await ask("reloaded", answerOf(5));
      return answer.status === 200 && (await lineOf(answer)).reserved_tokens! < 300;
    });
    const old = gateway.workers();
    gateway.reload();
    await eventually("there are new workers", () => !gateway.workers().some((worker) => old.includes(worker)));
    const answer = await ask("reloaded", answerOf(2500), { max_tokens: 3000 });
    expect((await lineOf(answer)).reserved_tokens).toBeLessThan(300);
    await eventually("there is a debt", async () => (await ask("reloaded", answerOf(5), { max_tokens: 10 })).status === 429);
    const workers = gateway.workers();
    gateway.reload();
    await eventually("there are new workers again", () => !gateway.workers().some((worker) => workers.includes(worker)));
    expect((await ask("reloaded", answerOf(5), { max_tokens: 10 })).status).toBe(429);
  });
});
