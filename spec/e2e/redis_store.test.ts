import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { makeAuthority, makeCertificate } from "../support/certificates.ts";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually, freePorts, removeDirectory, temporaryDirectory } from "../support/processes.ts";
import { type Redis, startRedis } from "../support/redis.ts";

/** US dollars for a million tokens: a token of output is 2,000 nano-dollars. */
const PRICE = { input: 1, output: 2, cached_input: 0.5 };

interface Limited {
  limits?: Record<string, number>;
  budget?: Record<string, unknown>;
  keyLimits?: Record<string, number>;
}

const BEHAVIOURS: Record<string, string> = {
  chat: "mock;prompt=10;completion=20;cached=4",
  slow: "mock;tokens=10;interval=100;prompt=10;completion=20",
  held: "mock;delay=600000",
  brisk: "mock;tokens=20;interval=10;prompt=10;completion=20",
  uncounted: "mock;tokens=50;usage=none",
  long: "mock;tokens=400;piece=4;interval=1",
  dies: "mock;tokens=8;close=3",
  failing: "mock;status=500",
  stalls: "mock;stall=2",
};

const WIDE: Record<string, Limited> = {
  acme: { limits: { concurrent_requests: 300, tokens_per_day: 1000000000 }, budget: { usd: 1000, period: "month" }, keyLimits: { requests_per_day: 1000000 } },
};

let mock: Mock;
const gateways = new Set<Gateway>();
const servers = new Set<Redis>();

beforeAll(async () => {
  mock = await startMock();
});

async function stopAll(): Promise<void> {
  await Promise.all([...gateways].map((gateway) => gateway.stop()));
  gateways.clear();
  await Promise.all([...servers].map((server) => server.stop()));
  servers.clear();
}

afterEach(stopAll);

afterAll(async () => {
  await stopAll();
  await mock?.stop();
});

async function redis(options: Parameters<typeof startRedis>[0] = {}): Promise<Redis> {
  const server = await startRedis(options);
  servers.add(server);
  return server;
}

function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

function configuration(store: Record<string, unknown>, tenants: Record<string, Limited>): string {
  return JSON.stringify({
    store: { kind: "redis", redis: { nodes: 2, lease_seconds: 3, ...store } },
    tenants: Object.entries(tenants).map(([id, { limits, budget, keyLimits }]) => ({
      id,
      api_keys: [{ id: "web", secret: keyOf(id), ...(keyLimits && { limits: keyLimits }) }],
      ...(limits && { limits }),
      ...(budget && { budget }),
    })),
    models: Object.entries(BEHAVIOURS).map(([name, upstream_model]) => ({
      name, pool: name === "stalls" ? "hasty" : "mock", upstream_model, max_output_tokens: 100, price: PRICE,
    })),
    pools: [{ name: "mock", endpoints: [{ url: mock.url }] }, { name: "hasty", endpoints: [{ url: mock.url }], timeouts: { read: "1s" } }],
  });
}

interface Begin {
  store?: Record<string, unknown>;
  tenants?: Record<string, Limited>;
  workers?: number;
  directory?: string;
  env?: Record<string, string>;
}

async function begin(server: Redis | undefined, { store, tenants, workers, directory, env }: Begin = {}): Promise<Gateway> {
  const where = server ? { url: `redis://127.0.0.1:${server.port}` } : {};
  const config = configuration({ ...where, ...store }, tenants ?? WIDE);
  const gateway = await startGateway({ config, workers: workers ?? 2, ...(directory && { directory }), ...(env && { env }) });
  gateways.add(gateway);
  return gateway;
}

function ask(gateway: Gateway, tenant = "acme", more: Record<string, unknown> = {}, signal?: AbortSignal): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }], ...more });
  return send(gateway.port, { path: "/v1/chat/completions", body, key: keyOf(tenant), ...(signal && { signal }) });
}

/**
 * Sends requests that are not answered, through gateways in turn, until some are refused because of those that hold what there is. Then
 * their clients leave. Gives the refusals.
 */
async function hold(through: Gateway[], tenant: string, count: number, most: number, more: Record<string, unknown> = {}): Promise<Answer[]> {
  const leaving = new AbortController();
  const refused: Answer[] = [];
  const asked = together(count, async (index) => {
    const answer = await ask(through[index % through.length]!, tenant, { ...more, model: "held" }, leaving.signal).catch(() => undefined);
    if (answer !== undefined) refused.push(answer);
  });
  await eventually(`${count - most} are refused`, () => refused.length >= count - most);
  leaving.abort();
  await asked;
  expect(refused).toHaveLength(count - most);
  return refused;
}

/** Does something `count` times at once. */
function together<T>(count: number, what: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => what(index)));
}

function passed(answers: (Answer | undefined)[]): number {
  return answers.filter((answer) => answer?.status === 200).length;
}

interface Standing {
  tenant: string;
  running: number | null;
  reserved_nano_usd: number | null;
  spent_nano_usd: number | null;
}

interface Status {
  store: { kind: string; up: boolean; settlements_waiting: number };
  limits: Standing[];
}

async function status(gateway: Gateway): Promise<Status> {
  return (await (await fetch(`${gateway.adminUrl}/status`)).json()) as Status;
}

async function standing(gateway: Gateway, tenant = "acme"): Promise<Standing> {
  return (await status(gateway)).limits.find((each) => each.tenant === tenant)!;
}

function charged(of: Gateway[], tenant = "acme"): number {
  return of.flatMap((gateway) => gateway.journal()).filter((line) => line.tenant === tenant).reduce((sum, line) => sum + line.cost_nano_usd, 0);
}

/** Nothing is under way, and Redis has as spent what the journals of these gateways say. */
async function agree(of: Gateway[], tenant = "acme"): Promise<void> {
  let last: unknown;
  await eventually("Redis agrees with the journal", async () => {
    const now = await standing(of[0]!, tenant);
    last = { now, charged: charged(of, tenant) };
    return now.running === 0 && now.reserved_nano_usd === 0 && now.spent_nano_usd === charged(of, tenant);
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(last)}\n${of[0]!.errorLog().split("\n").slice(-20).join("\n")}`);
  });
}

/** Requests of several kinds, again and again, until told to stop. Returns the answers; failures to connect are left out. */
function load(to: () => Gateway, clients = 8): () => Promise<Answer[]> {
  let going = true;
  const answers: Answer[] = [];
  const done = together(clients, async (number) => {
    while (going) {
      const began = Date.now();
      const answer = await ask(to(), "acme", number % 2 === 0 ? {} : { model: "brisk", stream: number % 4 === 1 }).catch(() => undefined);
      if (answer === undefined) await sleep(5);
      else if (answer.status !== 0) answers.push(answer);
      // A refusal costs little: let the machine breathe.
      if (Date.now() - began < 5) await sleep(5);
    }
  });
  return async () => {
    going = false;
    await done;
    return answers;
  };
}

async function lineOf(gateway: Gateway, answer: Answer): Promise<JournalLine> {
  return gateway.journalLine(String(answer.headers["x-request-id"]));
}

describe("limits that nodes share", () => {
  const TENANTS: Record<string, Limited> = {
    requests: { limits: { requests_per_minute: 100 } },
    tokens: { limits: { tokens_per_minute: 2000 } },
    reserved: { limits: { tokens_per_minute: 2000 } },
    concurrent: { limits: { concurrent_requests: 5 } },
    both: { limits: { requests_per_minute: 1000, tokens_per_minute: 100000, concurrent_requests: 50 }, keyLimits: { requests_per_minute: 3 } },
    headers: { limits: { requests_per_minute: 10, tokens_per_minute: 100000 } },
    huge: { limits: { tokens_per_minute: 50 } },
    spent: { budget: { usd: 0.00002, period: "day" } },
    cut: { budget: { usd: 0.00004, period: "day" } },
    endings: { limits: { concurrent_requests: 100, tokens_per_minute: 10000000 }, budget: { usd: 1000, period: "month" } },
  };

  it("let exactly 100 of 200 requests pass that come at once, through two workers", async () => {
    const server = await redis();
    const gateway = await begin(server, { tenants: TENANTS, store: { timeout_ms: 2000 } });
    const answers = await together(200, () => ask(gateway, "requests"));
    expect(passed(answers)).toBe(100);
    for (const answer of answers.filter(({ status: code }) => code !== 200)) {
      expect(errorOf(answer)).toMatchObject({ type: "rate_limit_error", code: "rate_limit_exceeded" });
      expect(Number(answer.headers["retry-after-ms"])).toBeGreaterThan(0);
      expect(Number(answer.headers["retry-after-ms"])).toBeLessThanOrEqual(120000);
    }
  });

  it("are those of one for two gateways: requests, tokens, requests at a time", async () => {
    const server = await redis();
    const options = { tenants: TENANTS, store: { timeout_ms: 2000 } };
    const two = [await begin(server, options), await begin(server, options)];
    expect(passed(await together(200, (index) => ask(two[index % 2]!, "requests")))).toBe(100);
    const first = await lineOf(two[0]!, await ask(two[0]!, "reserved", { max_tokens: 100 }));
    const full = await hold(two, "tokens", 100, Math.floor(2000 / first.reserved_tokens!), { max_tokens: 100 });
    expect(full.map((answer) => errorOf(answer).code)).toEqual(full.map(() => "tokens_exceeded"));
    const crowded = await hold(two, "concurrent", 20, 5);
    expect(crowded.map((answer) => errorOf(answer).code)).toEqual(crowded.map(() => "concurrency_exceeded"));
    await eventually("a place is free again", async () => (await ask(two[0]!, "concurrent")).status === 200);
    // Nobody used more than a few tokens, so that there is room for more.
    await eventually("what was not used is given back", async () => (await ask(two[1]!, "tokens", { max_tokens: 100 })).status === 200);
  });

  it("hold for keys and tenants, and are told in headers", async () => {
    const server = await redis();
    const gateway = await begin(server, { tenants: TENANTS, store: { timeout_ms: 2000 } });
    const answers = await together(10, () => ask(gateway, "both"));
    expect(passed(answers)).toBe(3);
    expect(answers.find(({ status: code }) => code === 429)!.text).toContain("API key web");
    const first = await ask(gateway, "headers", { max_tokens: 100 });
    expect(first.headers).toMatchObject({ "x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "9", "x-ratelimit-limit-tokens": "100000" });
    expect(first.headers["x-ratelimit-reset-requests"]).toMatch(/^(1m\d+s|2m0s)$/);
    const line = await lineOf(gateway, first);
    expect(first.headers["x-ratelimit-remaining-tokens"]).toBe(String(100000 - line.reserved_tokens!));
    const huge = await ask(gateway, "huge", { max_tokens: 100 });
    expect(errorOf(huge)).toMatchObject({ code: "tokens_exceeded" });
    expect(huge.headers["x-should-retry"]).toBe("false");
    expect((await ask(gateway, "huge", { max_tokens: 20 })).status).toBe(200);
  });

  it("refuse when the budget is spent, and cut the stream that crosses it", async () => {
    const server = await redis();
    const gateway = await begin(server, { tenants: TENANTS, store: { timeout_ms: 2000 } });
    expect(await lineOf(gateway, await ask(gateway, "spent"))).toMatchObject({ cost_nano_usd: 48000, ending: "finished" });
    await agree([gateway], "spent");
    const refused = await ask(gateway, "spent");
    expect(errorOf(refused)).toMatchObject({ type: "insufficient_quota", code: "budget_exceeded" });
    expect(await lineOf(gateway, refused)).toMatchObject({ cost_nano_usd: 0, ending: "refused", reserved_tokens: null });

    const cut = await ask(gateway, "cut", { model: "long", stream: true, stream_options: { include_usage: true } });
    expect(cut.status).toBe(200);
    expect(cut.text.trim().endsWith("data: [DONE]")).toBe(true);
    const line = await lineOf(gateway, cut);
    expect(line).toMatchObject({ ending: "budget_cut", usage_from: "counted" });
    expect(line.cost_nano_usd).toBeGreaterThan(40000);
    expect(line.cost_nano_usd).toBeLessThan(40000 + 10 * 2000);
    await agree([gateway], "cut");
  });

  it("give back everything in every ending, and charge what the journal says", async () => {
    const server = await redis();
    const gateway = await begin(server, { tenants: TENANTS });
    for (const model of ["chat", "uncounted", "dies", "failing", "stalls", "nobody"]) await ask(gateway, "endings", { model, stream: model !== "chat" });
    const leaving = new AbortController();
    const left = send(gateway.port, {
      path: "/v1/chat/completions", key: keyOf("endings"), signal: leaving.signal, onData: () => { leaving.abort(); },
      body: JSON.stringify({ model: "slow", stream: true, messages: [{ role: "user", content: "Hello" }] }),
    }).catch(() => undefined);
    await left;
    await eventually("the client that left is charged", () => gateway.journal().some((line) => line.ending === "client_gone"));
    await agree([gateway], "endings");
    expect(charged([gateway], "endings")).toBeGreaterThan(0);
    expect(sumOf(await gateway.metrics(), "sluice_store_up")).toBe(1);
    expect(sumOf(await gateway.metrics(), "sluice_store_duration_seconds_count")).toBeGreaterThan(5);
  });

  it("leave nothing in Redis without an end to its life", async () => {
    const server = await redis();
    const gateway = await begin(server);
    await together(20, () => ask(gateway));
    await agree([gateway]);
    const keys = server.command("KEYS", "*").split("\n");
    expect(keys.length).toBeGreaterThan(3);
    for (const key of keys) expect([key, Number(server.command("TTL", key)) > 0]).toEqual([key, true]);
    for (const key of keys.filter((name) => name !== "sluice:probe")) expect(key).toMatch(/^sluice:\{acme\}:/);
  });
});

/** Ways in which Redis can be lost, and how it comes back. */
interface Loss {
  lose(server: Redis): Promise<void> | void;
  back(server: Redis): Promise<void> | void;
}

const LOSSES: Record<string, Loss> = {
  "is killed": { lose: (server) => server.kill(), back: (server) => server.up() },
  "does not answer": {
    lose: (server) => { server.signal("SIGSTOP"); },
    back: (server) => { server.signal("SIGCONT"); },
  },
  "has become a replica": {
    lose: (server) => { server.command("REPLICAOF", "127.0.0.1", "1"); },
    back: (server) => { server.command("REPLICAOF", "NO", "ONE"); },
  },
  "has no memory left": {
    lose: (server) => { server.command("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1"); },
    back: (server) => { server.command("CONFIG", "SET", "maxmemory", "0"); },
  },
  "has another password": {
    lose: (server) => {
      server.command("CONFIG", "SET", "requirepass", "another");
      server.command("-a", "another", "CLIENT", "KILL", "TYPE", "normal");
    },
    back: (server) => { server.command("-a", "another", "CONFIG", "SET", "requirepass", ""); },
  },
};

describe("a Redis that is lost under load", () => {
  for (const [name, loss] of Object.entries(LOSSES)) {
    for (const onLoss of ["local", "allow", "deny"]) {
      it(`because it ${name}, with on_loss: ${onLoss}, costs no client more than a moment, and no settlement`, async () => {
        const server = await redis();
        const gateway = await begin(server, { store: { on_loss: onLoss } });
        await ask(gateway);
        const stop = load(() => gateway);
        await sleep(300);
        await loss.lose(server);
        await eventually("the loss is noticed", async () => sumOf(await gateway.metrics(), "sluice_store_up") === 0);
        // They are answered while Redis is away: who waited for it would wait for ever.
        const meanwhile = await together(10, () => ask(gateway));
        expect(meanwhile.map((answer) => answer.status)).toEqual(meanwhile.map(() => (onLoss === "deny" ? 503 : 200)));
        if (onLoss === "deny") expect(errorOf(meanwhile[0]!)).toMatchObject({ code: "store_unavailable" });
        await sleep(300);
        await loss.back(server);
        await eventually("Redis is used again", async () => (await status(gateway)).store.up);
        await sleep(300);
        const answers = await stop();
        const codes = new Set(answers.map((answer) => answer.status));
        expect([...codes].filter((code) => code !== 200)).toEqual(onLoss === "deny" ? [503] : []);
        expect(answers.every((answer) => answer.complete)).toBe(true);
        await agree([gateway]);
        expect(charged([gateway])).toBeGreaterThan(0);
      });
    }
  }

  it("leaves each node its share of the limits, and of what is left of the budget", async () => {
    const server = await redis();
    const tenants: Record<string, Limited> = {
      acme: { limits: { requests_per_hour: 20 } },
      umbrella: { budget: { usd: 0.000296, period: "month" } },
    };
    const gateway = await begin(server, { tenants, store: { on_loss: "local", nodes: 2, timeout_ms: 500 } });
    // Two of 48,000 nano-dollars each; 200,000 are left, of which half is this node's.
    for (let count = 0; count < 2; count++) expect((await ask(gateway, "umbrella")).status).toBe(200);
    await agree([gateway], "umbrella");
    await server.kill();
    await eventually("the loss is noticed", async () => {
      await ask(gateway, "acme", { model: "nobody" });
      return !(await Promise.all([status(gateway), status(gateway)])).some(({ store }) => store.up) || undefined;
    });
    const answers = await together(30, () => ask(gateway));
    expect(passed(answers)).toBe(10);
    expect(errorOf(answers.find(({ status: code }) => code !== 200)!)).toMatchObject({ code: "rate_limit_exceeded" });
    const spending: Answer[] = [];
    for (let count = 0; count < 6; count++) {
      const answer = await ask(gateway, "umbrella");
      spending.push(answer);
      // A client has the last byte a moment before its request is settled.
      await gateway.journalLine(String(answer.headers["x-request-id"]));
      await sleep(20);
    }
    expect(spending.map((answer) => answer.status)).toEqual([200, 200, 200, 429, 429, 429]);
    await server.up();
    await agree([gateway], "umbrella");
  });

  it("does not mind that its scripts are forgotten", async () => {
    const server = await redis();
    const gateway = await begin(server, { store: { on_loss: "deny", timeout_ms: 2000 } });
    const stop = load(() => gateway);
    for (let count = 0; count < 10; count++) {
      await sleep(50);
      server.command("SCRIPT", "FLUSH");
    }
    const answers = await stop();
    expect(answers.filter((answer) => answer.status !== 200)).toEqual([]);
    await agree([gateway]);
  });

  it("answers nobody with what was meant for somebody else", async () => {
    const server = await redis();
    const names = Array.from({ length: 8 }, (_, index) => `tenant-${index}`);
    // Each has limits of its own, which every answer tells.
    const tenants = Object.fromEntries(names.map((name, index) => [name, { limits: { requests_per_day: 100000 + index, tokens_per_day: 100000000 + index } }]));
    const gateway = await begin(server, { tenants, store: { on_loss: "allow", timeout_ms: 20, lease_seconds: 60 } });
    let going = true;
    let told = 0;
    const clients = together(16, async (index) => {
      const number = index % names.length;
      const ids = new Set<string>();
      while (going) {
        const answer = await ask(gateway, names[number]);
        expect(answer.status).toBe(200);
        if (answer.headers["x-ratelimit-limit-requests"] !== undefined) {
          told += 1;
          expect(answer.headers["x-ratelimit-limit-requests"]).toBe(String(100000 + number));
          const remaining = Number(answer.headers["x-ratelimit-remaining-requests"]);
          // Two clients a tenant: nobody else's requests count.
          expect(remaining).toBeGreaterThan(100000 + number - 20000);
          ids.add(String(remaining));
        }
      }
    });
    for (let round = 1; round <= 30 || told <= 20; round++) {
      server.signal("SIGSTOP");
      await sleep(10 + Math.random() * 60);
      server.signal("SIGCONT");
      // Now and then long enough for a gateway that takes it for lost to find that it is back.
      await sleep(round % 6 === 0 ? 1500 : 20 + Math.random() * 60);
    }
    going = false;
    await clients;
    await eventually("all is settled", async () => (await status(gateway)).store.settlements_waiting === 0);
    await eventually("nothing is under way", async () => (await status(gateway)).limits.every(({ running }) => running === 0));
    const lines = gateway.journal();
    for (const name of names) {
      // When the window began, how many requests came in it, and how many in the one before.
      const [, current, previous] = server.command("HGET", `sluice:{${name}}:tenant`, "r86400").split(" ").map(Number);
      expect([name, current! + previous!]).toEqual([name, lines.filter((line) => line.tenant === name && line.status === 200).length]);
    }
  });
});

describe("a gateway that is killed", () => {
  it("loses no settlement, whether one worker dies or another", async () => {
    const server = await redis();
    const gateway = await begin(server);
    const stop = load(() => gateway);
    for (let round = 0; round < 20; round++) {
      await sleep(20 + Math.random() * 100);
      const workers = gateway.workers();
      const victim = workers[Math.floor(Math.random() * workers.length)];
      if (victim !== undefined) process.kill(victim, "SIGKILL");
    }
    await stop();
    expect(charged([gateway])).toBeGreaterThan(0);
    await agree([gateway]);
  });

  it("loses none when workers die while Redis is lost", async () => {
    const server = await redis();
    const gateway = await begin(server, { store: { on_loss: "allow" } });
    const stop = load(() => gateway);
    await sleep(200);
    await server.kill();
    for (let round = 0; round < 10; round++) {
      await sleep(20 + Math.random() * 100);
      const workers = gateway.workers();
      const victim = workers[Math.floor(Math.random() * workers.length)];
      if (victim !== undefined) process.kill(victim, "SIGKILL");
    }
    await server.up();
    await stop();
    await agree([gateway]);
  });

  it("takes the tail of its journal to Redis when it is started again", async () => {
    const server = await redis();
    const directory = temporaryDirectory("sluice-redis-killed");
    for (let round = 0; round < 4; round++) {
      const gateway = await begin(server, { directory });
      const stop = load(() => gateway);
      await sleep(300 + Math.random() * 300);
      if (round === 2) await server.kill();
      if (round === 2) await sleep(300);
      const workers = gateway.workers();
      process.kill(gateway.pid, "SIGKILL");
      for (const worker of workers) process.kill(worker, "SIGKILL");
      await stop();
      await gateway.stop();
      gateways.delete(gateway);
      if (round === 2) await server.up();
    }
    const gateway = await begin(server, { directory });
    expect(charged([gateway])).toBeGreaterThan(0);
    await agree([gateway]);
    await gateway.stop();
    gateways.delete(gateway);
    const again = await begin(server, { directory });
    await agree([again]);
    expect(existsSync(join(again.runDir, "state/settled"))).toBe(true);
    expect(readFileSync(join(again.runDir, "state/settled"), "utf8")).toMatch(/^sluice settled 1 /);
    await stopAll();
    removeDirectory(directory);
  });

  it("settles what ends while it is being stopped", async () => {
    const server = await redis();
    const directory = temporaryDirectory("sluice-redis-stopped");
    const gateway = await begin(server, { directory });
    const streams = together(5, () => ask(gateway, "acme", { model: "slow", stream: true }));
    await sleep(300);
    process.kill(gateway.pid, "SIGQUIT");
    expect(passed(await streams)).toBe(5);
    await eventually("it has ended", () => gateway.workers().length === 0);
    await gateway.stop();
    gateways.delete(gateway);
    const key = server.command("KEYS", "sluice:{acme}:budget:*");
    expect(Number(server.command("HGET", key, "spent"))).toBe(charged([gateway]));
    expect(server.command("ZCARD", "sluice:{acme}:running")).toBe("0");
    removeDirectory(directory);
  });

  it("settles what ends while it is being reloaded", async () => {
    const server = await redis();
    const gateway = await begin(server);
    const stop = load(() => gateway);
    for (let round = 0; round < 3; round++) {
      await sleep(300);
      gateway.reload();
    }
    await sleep(500);
    const answers = await stop();
    expect(answers.filter((answer) => answer.status !== 200)).toEqual([]);
    await agree([gateway]);
  });
});

describe("a list of settlements that is full", () => {
  it("is made up for from the journal when Redis is back", async () => {
    const server = await redis();
    const gateway = await begin(server, { store: { on_loss: "allow" } });
    await ask(gateway);
    await agree([gateway]);
    const conf = join(gateway.runDir, "conf/http.conf");
    writeFileSync(conf, readFileSync(conf, "utf8").replace("lua_shared_dict sluice_settlements 16m", "lua_shared_dict sluice_settlements 64k"));
    const before = gateway.workers();
    gateway.reload();
    await eventually("new workers are there", () => gateway.workers().length === 2 && !gateway.workers().some((worker) => before.includes(worker)));
    await server.kill();
    for (let round = 0; round < 10; round++) await together(60, () => ask(gateway));
    await eventually("some found no room", async () => sumOf(await gateway.metrics(), "sluice_settlements_dropped_total") > 0);
    expect(gateway.errorLog()).toContain("sluice_settlements is full");
    await server.up();
    await agree([gateway]);
    expect(gateway.journal().filter((line) => line.status === 200).length).toBe(601);
  });
});

const COMMANDS = "evalsha script|load set select role time expire hget hmget hset hdel hincrby zadd zrem zcard zrangebyscore zremrangebyscore sadd scard sismember";

describe("the way to Redis", () => {
  it("leads through TLS, verified, with user and password", async () => {
    const directory = temporaryDirectory("sluice-redis-tls");
    const authority = makeAuthority(directory, "authority");
    const certificate = makeCertificate(directory, "redis", ["DNS:localhost"], authority);
    const other = makeAuthority(directory, "other");
    const server = await redis({
      tls: { ...certificate, authority: authority.certificate },
      // What docs/redis_store.md says that it needs.
      settings: [`user gateway on >p%40ss:w/rd ~sluice:* -@all ${COMMANDS.split(" ").map((name) => `+${name}`).join(" ")}`, "user default on nopass ~* +@all"],
    });
    const url = `rediss://gateway:p%2540ss%3Aw%2Frd@localhost:${server.port}/3`;
    const good = await begin(undefined, { store: { url, on_loss: "deny", timeout_ms: 2000 }, env: { CA_FILE: authority.certificate } });
    expect((await ask(good)).status).toBe(200);
    await agree([good]);
    expect(server.command("INFO", "keyspace")).toContain("db3:");
    expect(good.everythingWritten()).not.toContain("p%40ss");
    expect(good.everythingWritten()).not.toContain("p%2540ss");
    const distrustful = await begin(undefined, { store: { url, on_loss: "deny", timeout_ms: 2000 }, env: { CA_FILE: other.certificate } });
    expect((await ask(distrustful)).status).toBe(503);
    await stopAll();
    removeDirectory(directory);
  });

  it("is told by Sentinels, also when the master fails", async () => {
    const master = await redis();
    const replica = await redis({ settings: [`replicaof 127.0.0.1 ${master.port}`] });
    await eventually("the replica follows", () => replica.command("INFO", "replication").includes("master_link_status:up"));
    const sentinel = await redis({
      sentinel: true,
      settings: [
        `sentinel monitor main 127.0.0.1 ${master.port} 1`, "sentinel down-after-milliseconds main 500",
        "sentinel failover-timeout main 2000", "sentinel parallel-syncs main 1",
      ],
    });
    const [nobody = 0] = await freePorts(1);
    await eventually("the Sentinel knows the replica", () => sentinel.command("SENTINEL", "REPLICAS", "main").includes(String(replica.port)));
    const gateway = await begin(undefined, {
      store: { sentinels: [`127.0.0.1:${nobody}`, `127.0.0.1:${sentinel.port}`], master: "main", on_loss: "allow" },
    });
    const stop = load(() => gateway, 4);
    await sleep(300);
    expect((await status(gateway)).store.up).toBe(true);
    await agreeOnMaster(gateway, master);
    await master.kill();
    await eventually("the replica has become the master", () => replica.command("ROLE").startsWith("master"));
    await eventually("it is used", async () => (await status(gateway)).store.up && Number(replica.command("ZCARD", "sluice:{acme}:running")) > 0);
    const answers = await stop();
    expect(answers.filter((answer) => answer.status !== 200)).toEqual([]);
    await agree([gateway]);
    await stopAll();
  });
});

/** The master has been asked. */
async function agreeOnMaster(gateway: Gateway, master: Redis): Promise<void> {
  await eventually("the master counts", async () => (await ask(gateway)).status === 200 && master.command("KEYS", "sluice:*").includes("leases"));
}
