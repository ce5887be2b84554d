import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, journalIn, type JournalLine, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually, removeDirectory, temporaryDirectory } from "../support/processes.ts";
import { type Redis, startRedis } from "../support/redis.ts";

/** US dollars for a million tokens, which is nano-dollars for a thousandth of a token. */
const PRICE = { input: 1, output: 2, cached_input: 0.5 };
const TENANTS = ["acme", "globex"];

let mock: Mock;
let gateway: Gateway | undefined;
let server: Redis | undefined;
let directory = "";

beforeAll(async () => {
  mock = await startMock();
});

afterEach(async () => {
  await gateway?.stop();
  await server?.stop();
  gateway = undefined;
  server = undefined;
  if (directory !== "") removeDirectory(directory);
  directory = "";
});

afterAll(async () => {
  await mock?.stop();
});

interface Begin {
  /** What is free of each model. */
  free: Record<string, number | string>;
  usd?: number;
  tokensPerDay?: number;
}

async function begin(kind: string, { free, usd, tokensPerDay }: Begin): Promise<Gateway> {
  if (kind === "redis") server ??= await startRedis();
  if (directory === "") directory = temporaryDirectory("sluice-free");
  const models = {
    chat: "mock;prompt=10;completion=20;cached=4", failing: "mock;status=500", long: "mock;tokens=400;piece=4;interval=1;usage=none",
    slow: "mock;tokens=40;interval=50;usage=none",
  };
  const config = JSON.stringify({
    ...(server && { store: { kind: "redis", redis: { url: `redis://127.0.0.1:${server.port}`, nodes: 1, lease_seconds: 3, timeout_ms: 500 } } }),
    tenants: TENANTS.map((id) => ({
      id,
      api_keys: [{ id: "web", secret: keyOf(id) }],
      ...(usd !== undefined && { budget: { usd, period: "month" } }),
      ...(tokensPerDay !== undefined && { limits: { tokens_per_day: tokensPerDay } }),
    })),
    models: Object.entries(models).map(([name, upstream_model]) => ({
      name, pool: "mock", upstream_model, max_output_tokens: 100, price: { ...PRICE, free },
    })),
    pools: [{ name: "mock", endpoints: [{ url: mock.url }] }],
  });
  gateway = await startGateway({ config, workers: 2, directory });
  return gateway;
}

function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

function ask(more: Record<string, unknown> = {}, tenant = "acme"): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }], ...more });
  return send(gateway!.port, { path: "/v1/chat/completions", body, key: keyOf(tenant) });
}

function together(count: number, more: Record<string, unknown> = {}): Promise<Answer[]> {
  return Promise.all(Array.from({ length: count }, () => ask(more)));
}

/** All lines of the journal, when there are so many. */
async function linesOf(count: number): Promise<JournalLine[]> {
  return eventually(`${count} lines in the journal`, () => {
    const lines = journalIn(join(directory, "run/logs"));
    return lines.length >= count ? lines : undefined;
  });
}

function freeUnits(lines: JournalLine[]): number {
  return lines.reduce((sum, line) => sum + line.free_units, 0);
}

/** What a line must have cost, token by token: those that are free come first. */
function costOf(line: JournalLine, free: number): number {
  const tokens = [
    ...Array.from({ length: line.cached_input_tokens }, () => 500),
    ...Array.from({ length: line.input_tokens - line.cached_input_tokens }, () => 1000),
    ...Array.from({ length: line.output_tokens }, () => 2000),
  ];
  return tokens.slice(free).reduce((sum, price) => sum + price, 0);
}

/** Until Redis, if there is one, knows of everything that has ended. */
async function settled(): Promise<void> {
  await eventually("nothing waits to be settled", async () => {
    const { store, limits } = (await (await fetch(`${gateway!.adminUrl}/status`)).json()) as {
      store: { settlements_waiting?: number };
      limits: { running: number }[];
    };
    return (store.settlements_waiting ?? 0) === 0 && limits.every(({ running }) => running === 0) ? true : undefined;
  });
}

describe.each(["memory", "redis"])("a price with something free, counted in %s,", (kind) => {
  it("is not asked of so many requests, however many come at once", async () => {
    await begin(kind, { free: { requests: 7 } });
    const answers = await together(40, { max_tokens: 50 });
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const lines = await linesOf(40);
    expect(freeUnits(lines)).toBe(7);
    for (const line of lines) {
      expect(line.cost_nano_usd).toBe(line.free_units === 1 ? 0 : costOf(line, 0));
    }
    // Another tenant has its own.
    await ask({}, "globex");
    expect((await linesOf(41)).at(-1)).toMatchObject({ tenant: "globex", free_units: 1, cost_nano_usd: 0 });
  });

  it("is asked for the tokens beyond those that are free, and for all of those", async () => {
    await begin(kind, { free: { tokens: 100, period: "day" }, tokensPerDay: 100000 });
    for (let sent = 1; sent <= 6; sent += 1) {
      expect((await ask({ max_tokens: 20 })).status).toBe(200);
      await linesOf(sent);
      await settled();
    }
    const lines = await linesOf(6);
    // 30 tokens each.
    expect(lines.map((line) => line.free_units)).toEqual([30, 30, 30, 10, 0, 0]);
    for (const line of lines) expect(line.cost_nano_usd).toBe(costOf(line, line.free_units));
    expect(lines.map((line) => line.cost_nano_usd)).toEqual([0, 0, 0, 40000, 48000, 48000]);
    expect((await gateway!.metrics()).get('sluice_free_used_ratio{tenant="acme",model="chat"}')).toBe(1);
  });

  it("is never given away beyond what is free, whatever comes at once", async () => {
    await begin(kind, { free: { tokens: 500 } });
    for (let round = 1; round <= 3; round += 1) {
      await together(15, { max_tokens: 20, stream: round === 2 });
      await linesOf(15 * round);
      await settled();
    }
    // What those that came together held and did not use came back, and is used by the next.
    for (let sent = 46; sent <= 65; sent += 1) {
      await ask({ max_tokens: 20 });
      await linesOf(sent);
      await settled();
    }
    const lines = await linesOf(65);
    expect(freeUnits(lines)).toBe(500);
    for (const line of lines) expect(line.cost_nano_usd).toBe(costOf(line, line.free_units));
  });

  it("has nothing used of what is free by a request that is not charged", async () => {
    await begin(kind, { free: { requests: 1 } });
    for (let sent = 1; sent <= 3; sent += 1) {
      expect((await ask({ model: "failing" })).status).toBe(500);
      await linesOf(sent);
      await settled();
    }
    expect(freeUnits(await linesOf(3))).toBe(0);
  });

  it("lets what is free pass without a budget, and cuts what runs beyond it", async () => {
    await begin(kind, { free: { tokens: 150 }, usd: 0 });
    const stream = await ask({ model: "long", stream: true });
    expect(stream.status).toBe(200);
    expect(String(stream.body)).toContain('"finish_reason":"length"');
    const [cut] = await linesOf(1);
    expect(cut).toMatchObject({ ending: "budget_cut", free_units: 150, cost_nano_usd: costOf(cut!, 150) });
    // What had come when it was cut: one chunk at most beyond what was free.
    expect(cut!.cost_nano_usd).toBeLessThan(20 * 2000);
    await settled();
    const refused = await ask({ model: "long" });
    expect(refused.status).toBe(429);
    expect(errorOf(refused)).toMatchObject({ code: "budget_exceeded" });
    expect((await linesOf(2)).at(-1)).toMatchObject({ ending: "refused", free_units: 0 });
    // What is free of another model is another matter.
    expect((await ask({ max_tokens: 20 })).status).toBe(200);
  });

  it("remembers what is used over a restart and a kill", async () => {
    await begin(kind, { free: { requests: 5 } });
    await together(2);
    await linesOf(2);
    await settled();
    await gateway!.stop();
    await begin(kind, { free: { requests: 5 } });
    await together(2);
    await linesOf(4);
    const held = ask({ model: "slow", stream: true }).catch(() => undefined);
    await sleep(300);
    for (const pid of [gateway!.pid, ...gateway!.workers()]) process.kill(pid, "SIGKILL");
    await held;
    await gateway!.stop();
    await begin(kind, { free: { requests: 5 } });
    // In Redis the killed one's lease, which is of another model, has to end first; in memory nothing of it is left.
    await together(4);
    const lines = await linesOf(8);
    expect(lines.filter(({ model }) => model === "chat").map((line) => line.free_units).sort()).toEqual([0, 0, 0, 1, 1, 1, 1, 1]);
  });
});
