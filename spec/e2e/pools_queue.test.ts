/** The queue of a pool whose endpoints have as much to do as they may have. */

import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";

const TENANTS = ["acme", "bob", "carol"];

let mock: Mock;
let gateway: Gateway | undefined;

beforeAll(async () => {
  mock = await startMock();
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});

afterAll(async () => {
  await mock?.stop();
});

function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

interface Begin {
  most?: number;
  queue?: Record<string, unknown>;
  workers?: number;
}

/** A pool whose one endpoint takes few requests at a time. "quick" takes 100 ms, "slow" 600. */
async function begin({ most, queue, workers }: Begin = {}): Promise<Gateway> {
  const config = JSON.stringify({
    tenants: TENANTS.map((id) => ({ id, api_keys: [{ id: "web", secret: keyOf(id) }] })),
    models: [
      { name: "quick", pool: "gpu", upstream_model: "mock;tokens=4;interval=25" },
      { name: "slow", pool: "gpu", upstream_model: "mock;tokens=6;interval=100" },
      { name: "endless", pool: "gpu", upstream_model: "mock;tokens=100;interval=100" },
    ],
    pools: [{ name: "gpu", endpoints: [{ url: mock.url, max_concurrent: most ?? 2 }], queue: queue ?? {} }],
  });
  gateway = await startGateway({ config, workers: workers ?? 2 });
  return gateway;
}

interface Ask {
  tenant?: string;
  model?: string;
  signal?: AbortSignal;
}

function ask({ tenant = "acme", model = "quick", signal }: Ask = {}): Promise<Answer> {
  const body = JSON.stringify({ model, stream: true, messages: [{ role: "user", content: "Hello" }] });
  return send(gateway!.port, { path: "/v1/chat/completions", body, key: keyOf(tenant), ...(signal && { signal }) });
}

/** Sends a request, and closes the connection at once. */
function sendAndLeave(tenant: string): Promise<void> {
  const body = JSON.stringify({ model: "quick", stream: true, messages: [{ role: "user", content: "Hello" }] });
  return new Promise((resolve, reject) => {
    const socket = connect(gateway!.port, "127.0.0.1", () => {
      socket.end(
        `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${keyOf(tenant)}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        () => socket.destroy(),
      );
    });
    socket.on("error", reject);
    socket.on("close", () => {
      resolve();
    });
  });
}

function together(count: number, options: Ask = {}): Promise<Answer[]> {
  return Promise.all(Array.from({ length: count }, () => ask(options)));
}

async function depth(): Promise<number> {
  return sumOf(await gateway!.metrics(), "sluice_pool_queue_depth", { pool: "gpu" });
}

async function started(): Promise<number> {
  return (await mock.counts()).started;
}

/** Nothing is under way, and nobody waits. */
async function idle(): Promise<void> {
  await eventually("nothing is under way or waits", async () => {
    const metrics = await gateway!.metrics();
    return sumOf(metrics, "sluice_upstream_inflight", {}) === 0 && sumOf(metrics, "sluice_pool_queue_depth", {}) === 0;
  }, 10000);
}

describe("a pool whose endpoints are full", () => {
  it("has requests wait, and serves them all, never more at a time than it may", async () => {
    await begin({ most: 3 });
    await mock.behave("");
    const answers = await together(30);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(answers.map(({ headers }) => headers["x-sluice-attempts"])).toEqual(answers.map(() => "1"));
    // What a request waits is not the gateway's own time.
    const overheads = answers.map(({ headers }) => Number(headers["x-sluice-overhead-ms"]));
    expect(Math.min(...overheads)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...overheads)).toBeLessThan(100);
    await idle();
  });

  it("refuses what would wait too long", async () => {
    await begin({ most: 1, queue: { timeout: "300ms" } });
    const first = ask({ model: "slow" });
    await sleep(100);
    const before = await started();
    const refused = await ask();
    expect([refused.status, errorOf(refused).code]).toEqual([503, "pool_saturated"]);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect(await started()).toBe(before);
    expect((await first).status).toBe(200);
    await idle();
  });

  it("refuses at once who comes when as many wait as may, over all workers", async () => {
    await begin({ most: 1, queue: { max_waiting: 4, timeout: "20s" } });
    const first = ask({ model: "slow" });
    await eventually("it is under way", async () => sumOf(await gateway!.metrics(), "sluice_upstream_inflight", {}) === 1);
    const answers = Promise.all([together(7), together(7, { tenant: "bob" })]).then((both) => both.flat());
    await eventually("four wait", async () => (await depth()) === 4);
    const all = await answers;
    expect((await first).status).toBe(200);
    expect(all.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(4);
    expect(all.filter(({ status }) => status === 503).length).toBeGreaterThanOrEqual(1);
    expect(all.filter(({ status }) => status !== 200 && status !== 503)).toEqual([]);
    await idle();
  });

  it("refuses at once who finds no place, if none may wait", async () => {
    await begin({ most: 1, queue: { max_waiting: 0 } });
    const first = ask({ model: "slow" });
    await eventually("it is under way", async () => sumOf(await gateway!.metrics(), "sluice_upstream_inflight", {}) === 1);
    const refused = await ask();
    expect([refused.status, errorOf(refused).code]).toEqual([503, "pool_saturated"]);
    expect((await first).status).toBe(200);
  });

  it("serves tenants in turns, however many requests one of them has waiting", async () => {
    await begin({ most: 1, workers: 1 });
    const ended: string[] = [];
    const track = async (tenant: string): Promise<void> => {
      expect((await ask({ tenant })).status).toBe(200);
      ended.push(tenant);
    };
    const many = Array.from({ length: 12 }, () => track("acme"));
    await eventually("they wait", async () => (await depth()) === 11);
    await Promise.all([...many, track("bob"), track("carol"), track("bob")]);
    // Without turns they would come last.
    expect(ended.indexOf("bob")).toBeLessThan(5);
    expect(ended.indexOf("carol")).toBeLessThan(5);
    expect(ended.lastIndexOf("bob")).toBeLessThan(8);
  });

  it("keeps places for others than the tenant that waits most", async () => {
    await begin({ most: 1, queue: { max_waiting: 8, timeout: "20s" } });
    const leaving = new AbortController();
    const first = ask({ model: "endless", signal: leaving.signal }).catch(() => undefined);
    await eventually("it is under way", async () => sumOf(await gateway!.metrics(), "sluice_upstream_inflight", {}) === 1);
    const many = together(12);
    await eventually("as many wait as may of one", async () => (await depth()) === 6);
    const other = ask({ tenant: "bob" });
    await eventually("another one's waits too", async () => (await depth()) === 7);
    leaving.abort();
    await first;
    expect((await other).status).toBe(200);
    expect((await many).filter(({ status }) => status === 200)).toHaveLength(6);
    expect((await many).filter(({ status }) => status === 503)).toHaveLength(6);
    await idle();
  });

  it("lets requests of all workers have their turns", async () => {
    // Twelve at two places of 100 ms: some 600 ms each. Who is forgotten waits for as long as the queue lets.
    await begin({ most: 2, queue: { timeout: "6s" } });
    const until = Date.now() + 7000;
    await Promise.all(Array.from({ length: 12 }, async () => {
      while (Date.now() < until) expect((await ask()).status).toBe(200);
    }));
    await idle();
  });

  it("forgets a request whose client leaves, and asks nobody for it", async () => {
    await begin({ most: 1, queue: { max_waiting: 3, timeout: "20s" } });
    const leaving = new AbortController();
    const first = ask({ model: "endless", signal: leaving.signal }).catch(() => undefined);
    await eventually("it is under way", async () => sumOf(await gateway!.metrics(), "sluice_upstream_inflight", {}) === 1);
    const gone = new AbortController();
    const waiting = Array.from({ length: 3 }, () => ask({ signal: gone.signal }).catch(() => "gone"));
    await eventually("they wait", async () => (await depth()) === 3);
    const before = await started();
    gone.abort();
    expect(await Promise.all(waiting)).toEqual(["gone", "gone", "gone"]);
    await eventually("their places are free", async () => (await depth()) === 0, 10000);
    const last = ask();
    leaving.abort();
    await first;
    expect((await last).status).toBe(200);
    expect(await started()).toBe(before + 1);
    const lines = await eventually("all are in the journal", () => gateway!.journal().length === 5 && gateway!.journal());
    const left = lines.filter(({ attempts }) => attempts === 0);
    expect(left.map(({ ending, cost_nano_usd, input_tokens }) => [ending, cost_nano_usd, input_tokens])).toEqual(left.map(() => ["client_gone", 0, 0]));
    expect(left).toHaveLength(3);
    await idle();
  });

  it("asks nobody for clients that left in the moment they had sent their requests", async () => {
    await begin({ most: 1, queue: { max_waiting: 100, timeout: "20s" } });
    const leaving = new AbortController();
    const first = ask({ model: "endless", signal: leaving.signal }).catch(() => undefined);
    await eventually("it is under way", async () => sumOf(await gateway!.metrics(), "sluice_upstream_inflight", {}) === 1);
    const before = await started();
    await Promise.all(Array.from({ length: 40 }, (_, index) => sendAndLeave(index % 2 === 0 ? "acme" : "bob")));
    await eventually("they wait, or have been seen to leave", async () => (await depth()) + gateway!.journal().length === 40);
    leaving.abort();
    await first;
    expect((await ask({ tenant: "carol" })).status).toBe(200);
    await idle();
    expect(await started()).toBe(before + 1);
    const lines = await eventually("all are in the journal", () => gateway!.journal().length === 42 && gateway!.journal());
    const left = lines.filter(({ attempts }) => attempts === 0);
    expect(left.map(({ ending, input_tokens }) => [ending, input_tokens])).toEqual(Array.from({ length: 40 }, () => ["client_gone", 0]));
  });

  it("loses no place when a worker is killed in which requests wait", async () => {
    await begin({ most: 2, queue: { max_waiting: 50, timeout: "10s" } });
    const answers = Promise.allSettled(Array.from({ length: 30 }, () => ask()));
    await eventually("requests wait", async () => (await depth()) > 5);
    for (let round = 0; round < 3; round++) {
      const victim = gateway!.workers()[round % 2];
      if (victim !== undefined) process.kill(victim, "SIGKILL");
      await sleep(150);
    }
    await answers;
    await idle();
    expect((await together(6)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    await idle();
  });
});
