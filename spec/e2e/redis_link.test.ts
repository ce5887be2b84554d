/** What a bad way to Redis, or a Redis that can't do all that it should, costs: no request more than its moment, and no settlement. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { startNameServer } from "../support/name_server.ts";
import { askNames } from "../support/nginx_configuration.ts";
import { eventually } from "../support/processes.ts";
import { type Redis, startRedis } from "../support/redis.ts";
import { type RedisProxy, startRedisProxy } from "../support/redis_proxy.ts";

/** A request costs 10 tokens of input and 20 of output: 50,000 nano-dollars. */
const PRICE = { input: 1, output: 2 };
const COST = 50000;
/**
 * Less than the name server or Redis take here to answer, six seconds and half a minute, and far more than a request that does not wait for
 * them takes on the busiest of machines.
 */
const SOON_MS = 5000;
/** What docs/redis_store.md says that a user of its own needs. */
const COMMANDS = "evalsha script|load set select role time expire hget hmget hset hdel hincrby zadd zrem zcard zrangebyscore zremrangebyscore sadd scard sismember";

let mock: Mock;
const stopping: { stop(): Promise<void> }[] = [];

function stopped<T extends { stop(): Promise<void> }>(started: T): T {
  stopping.push(started);
  return started;
}

beforeAll(async () => {
  mock = await startMock();
});

afterEach(async () => {
  // Gateways were started last.
  for (const each of stopping.splice(0).reverse()) await each.stop();
});

afterAll(async () => {
  await mock?.stop();
});

interface Begin {
  store: Record<string, unknown>;
  budget?: Record<string, unknown>;
  webhook?: string;
}

async function begin({ store, budget, webhook }: Begin): Promise<Gateway> {
  const config = {
    store: { kind: "redis", redis: { nodes: 2, lease_seconds: 60, on_loss: "allow", ...store } },
    tenants: ["acme", "umbrella"].map((id) => ({
      id,
      api_keys: [{ id: "web", secret: keyOf(id) }],
      limits: { concurrent_requests: 300, tokens_per_day: 1000000000 },
      budget: { usd: 1000, period: "month", ...budget },
    })),
    models: [{ name: "chat", pool: "mock", upstream_model: "mock;prompt=10;completion=20", max_output_tokens: 100, price: PRICE }],
    pools: [{ name: "mock", endpoints: [{ url: mock.url }] }],
    ...(webhook !== undefined && { alerts: { webhook } }),
  };
  return stopped(await startGateway({ config: JSON.stringify(config), workers: 1 }));
}

async function redis(options: Parameters<typeof startRedis>[0] = {}): Promise<Redis> {
  return stopped(await startRedis(options));
}

async function proxyTo(server: Redis): Promise<RedisProxy> {
  return stopped(await startRedisProxy(server.port));
}

function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

function ask(gateway: Gateway, tenant = "acme"): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }] });
  return send(gateway.port, { path: "/v1/chat/completions", body, key: keyOf(tenant) });
}

/** Asks, and expects an answer soon. */
async function askSoon(gateway: Gateway, tenant = "acme"): Promise<void> {
  const began = Date.now();
  expect((await ask(gateway, tenant)).status).toBe(200);
  expect(Date.now() - began).toBeLessThan(SOON_MS);
}

interface Status {
  store: { up: boolean; settlements_waiting: number };
}

async function status(gateway: Gateway): Promise<Status> {
  return (await (await fetch(`${gateway.adminUrl}/status`)).json()) as Status;
}

async function isUp(gateway: Gateway): Promise<boolean> {
  return (await status(gateway)).store.up;
}

async function waiting(gateway: Gateway): Promise<number> {
  return (await status(gateway)).store.settlements_waiting;
}

function budgetKey(server: Redis, tenant = "acme"): string {
  return server.command("KEYS", `sluice:{${tenant}}:budget:*`);
}

/** Redis has so many requests as spent, and none under way. */
async function settled(server: Redis, requests: number, tenant = "acme"): Promise<void> {
  await eventually(`${requests} requests are settled`, () =>
    server.command("HGET", budgetKey(server, tenant) || "none", "spent") === String(requests * COST)
    && server.command("ZCARD", `sluice:{${tenant}}:running`) === "0");
}

function said(gateway: Gateway, text: string): number {
  return gateway.errorLog().split(text).length - 1;
}

/** Asks until Redis is known to be lost. Returns how many requests that took. */
async function askUntilLost(gateway: Gateway): Promise<number> {
  let asked = 0;
  await eventually("the loss is noticed", async () => {
    await askSoon(gateway);
    asked += 1;
    return !(await isUp(gateway));
  });
  return asked;
}

describe("a Redis that can't settle", () => {
  it("because its user may not, gets what waits when the user may", async () => {
    const may = COMMANDS.split(" ").map((name) => `+${name}`).join(" ");
    // Admissions don't need this one.
    const server = await redis({ settings: [`user gateway on >secret ~sluice:* -@all ${may} -sadd`] });
    const gateway = await begin({ store: { url: `redis://gateway:secret@127.0.0.1:${server.port}`, timeout_ms: 1000 } });
    for (let count = 0; count < 3; count++) await askSoon(gateway);
    await eventually("Redis refuses", () => said(gateway, "can't run this command") > 0);
    await eventually("they wait", async () => (await waiting(gateway)) === 3);
    expect(said(gateway, "can't settle")).toBe(0);
    server.command("ACL", "SETUSER", "gateway", "+sadd");
    await settled(server, 3);
  });

  it("because a tenant's keys are not what they should be, settles everybody else's, and is not lost", async () => {
    const server = await redis();
    const gateway = await begin({ store: { url: `redis://127.0.0.1:${server.port}`, timeout_ms: 1000 } });
    await askSoon(gateway);
    await settled(server, 1);
    const key = budgetKey(server);
    server.command("DEL", key);
    server.command("SET", key, "something else");
    for (let count = 0; count < 5; count++) await askSoon(gateway);
    for (let count = 0; count < 5; count++) await askSoon(gateway, "umbrella");
    await settled(server, 5, "umbrella");
    await eventually("nothing waits", async () => (await waiting(gateway)) === 0);
    expect(said(gateway, "can't settle")).toBe(5);
    expect(said(gateway, "[alert]")).toBe(5);
    await eventually("they are counted", async () => sumOf(await gateway.metrics(), "sluice_settlements_dropped_total") === 5);
    expect(said(gateway, "Redis is lost")).toBe(0);
  });
});

describe("a Redis that is too slow for requests", () => {
  it("is lost, and stays it until it is fast enough, though settlements and probes could wait", async () => {
    const server = await redis();
    const proxy = await proxyTo(server);
    const gateway = await begin({ store: { url: `redis://127.0.0.1:${proxy.port}`, timeout_ms: 100 } });
    proxy.way.lateMs = 300;
    const asked = await askUntilLost(gateway);
    // Several probes.
    await sleep(4000);
    expect(await isUp(gateway)).toBe(false);
    expect([said(gateway, "Redis is lost"), said(gateway, "Redis is back")]).toEqual([1, 0]);
    expect(await waiting(gateway)).toBeGreaterThan(0);
    proxy.way.lateMs = 0;
    await eventually("Redis is back", () => isUp(gateway));
    await settled(server, asked);
  });

  it("by a byte at a time, costs a request no more than one that is silent", async () => {
    const server = await redis();
    const proxy = await proxyTo(server);
    const gateway = await begin({ store: { url: `redis://127.0.0.1:${proxy.port}`, timeout_ms: 1000 } });
    await askSoon(gateway);
    await settled(server, 1);
    // An answer of some fifty bytes takes half a minute; no rest is as long as the timeout.
    proxy.way.dripMs = 600;
    const asked = await askUntilLost(gateway);
    proxy.way.dripMs = 0;
    await eventually("Redis is back", () => isUp(gateway));
    await settled(server, asked + 1);
  });
});

describe("answers that came before the connection broke", () => {
  it("count: their settlements are done with, and their alerts are given", async () => {
    const alerts: string[] = [];
    const hook = createServer((request, response) => {
      request.on("data", (data: Buffer) => alerts.push((JSON.parse(data.toString()) as { tenant: string }).tenant));
      request.on("end", () => response.end());
    });
    await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
    const server = await redis();
    const proxy = await proxyTo(server);
    const gateway = await begin({
      store: { url: `redis://127.0.0.1:${proxy.port}`, timeout_ms: 500 },
      // Two requests of twelve.
      budget: { usd: 0.001, alert_at: [0.1] },
      webhook: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`,
    });
    await askSoon(gateway, "umbrella");
    await settled(server, 1, "umbrella");
    await server.kill();
    let asked = await askUntilLost(gateway);
    for (; asked < 12; asked++) await askSoon(gateway);
    await eventually("they wait", async () => (await waiting(gateway)) === asked);
    // No connection lives for longer than three answers.
    proxy.way.answers = 3;
    await server.up();
    await settled(server, asked);
    await eventually("nothing waits", async () => (await waiting(gateway)) === 0);
    expect(proxy.cuts()).toBeGreaterThanOrEqual(Math.floor(asked / 3) - 1);
    await eventually("the alert comes", () => alerts.length > 0);
    expect(new Set(alerts)).toEqual(new Set(["acme"]));
    await new Promise((resolve) => hook.close(resolve));
  });
});

describe("a Redis that has a name", () => {
  it("does not cost a request anything while the name server is silent", async () => {
    const server = await redis();
    const names = stopped(await startNameServer());
    const gateway = await begin({ store: { url: `redis://redis.sluice.test:${server.port}`, timeout_ms: 500 } });
    await askNames(gateway, names);

    // Nothing is known: requests go without Redis.
    await Promise.all(Array.from({ length: 10 }, () => askSoon(gateway)));
    const asked = 10 + await askUntilLost(gateway);
    expect(names.questions()).toBeGreaterThan(0);

    names.silent = false;
    await eventually("Redis is found", () => isUp(gateway));
    await settled(server, asked);

    // What is known serves on, over the second that it was to be known for; also for workers that come later.
    names.silent = true;
    const questions = names.questions();
    let more = 0;
    const until = Date.now() + 4000;
    while (Date.now() < until) {
      await askSoon(gateway);
      more += 1;
      await sleep(20);
    }
    expect(names.questions()).toBeGreaterThan(questions);
    const lost = said(gateway, "Redis is lost");
    await askNames(gateway, names);
    await askSoon(gateway);
    expect(await isUp(gateway)).toBe(true);
    expect(said(gateway, "Redis is lost")).toBe(lost);
    await settled(server, asked + more + 1);
  });
});
