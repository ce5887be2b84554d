/** The queue of a pool whose endpoints have as much to do as they may have. */

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, post, sendAndLeave } from "../support/http_client.ts";
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

/** A pool whose one endpoint takes few requests at a time. "quick" takes 100 ms, "endless" lasts until its client leaves. */
async function begin({ most, queue, workers }: Begin = {}): Promise<Gateway> {
  const config = JSON.stringify({
    tenants: TENANTS.map((id) => ({ id, api_keys: [{ id: "web", secret: keyOf(id) }] })),
    models: [
      { name: "quick", pool: "gpu", upstream_model: "mock;tokens=4;interval=25" },
      { name: "endless", pool: "gpu", upstream_model: "mock;tokens=100000;interval=100" },
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

const CHAT = "/v1/chat/completions";

function requestFor(model: string): object {
  return { model, stream: true, messages: [{ role: "user", content: "Hello" }] };
}

function ask({ tenant = "acme", model = "quick", signal }: Ask = {}): Promise<Answer> {
  return post(gateway!.port, CHAT, requestFor(model), { key: keyOf(tenant), ...(signal && { signal }) });
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

interface Occupied {
  /** How many requests the endpoint has had, those that occupy it included. */
  started: number;
  /** Leaves the places, and waits until the clients of those requests have seen the end of their connections. */
  release(): Promise<void>;
}

/**
 * Takes all places of the endpoint, until they are released: nobody who comes in between can get one, however slow the machine is. The
 * gateway counts a request as under way before the endpoint has it, so the endpoint is asked.
 */
async function occupy(places: number): Promise<Occupied> {
  const before = await started();
  const leaving = new AbortController();
  const requests = Array.from({ length: places }, () => ask({ model: "endless", signal: leaving.signal }).catch(() => undefined));
  await eventually("the endpoint has them", async () => (await started()) === before + places);
  return {
    started: before + places,
    async release() {
      leaving.abort();
      await Promise.all(requests);
    },
  };
}

/** Nothing is under way, and nobody waits. */
async function idle(): Promise<void> {
  await eventually("nothing is under way or waits", async () => {
    const metrics = await gateway!.metrics();
    return sumOf(metrics, "sluice_upstream_inflight", {}) === 0 && sumOf(metrics, "sluice_pool_queue_depth", {}) === 0;
  });
}

describe("a pool whose endpoints are full", () => {
  it("has requests wait, and serves them all, never more at a time than it may", async () => {
    await begin({ most: 3 });
    const occupied = await occupy(3);
    const began = Date.now();
    const all = together(30);
    await eventually("they wait", async () => (await depth()) === 30);
    await sleep(1000);
    expect(await started()).toBe(occupied.started);
    const held = Date.now() - began;
    await occupied.release();
    const answers = await all;
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(answers.map(({ headers }) => headers["x-sluice-attempts"])).toEqual(answers.map(() => "1"));
    // What a request waits is not the gateway's own time.
    const overheads = answers.map(({ headers }) => Number(headers["x-sluice-overhead-ms"]));
    expect(Math.min(...overheads)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...overheads)).toBeLessThan(held);
    await idle();
  });

  it("refuses what would wait too long", async () => {
    await begin({ most: 1, queue: { timeout: "300ms" } });
    const occupied = await occupy(1);
    const refused = await ask();
    expect([refused.status, errorOf(refused).code]).toEqual([503, "pool_saturated"]);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect(await started()).toBe(occupied.started);
    await occupied.release();
    await idle();
  });

  it("refuses at once who comes when as many wait as may, over all workers", async () => {
    await begin({ most: 1, queue: { max_waiting: 4, timeout: "60s" } });
    const occupied = await occupy(1);
    const refused: Answer[] = [];
    const note = (answer: Answer): Answer => {
      if (answer.status !== 200) refused.push(answer);
      return answer;
    };
    const all = Array.from({ length: 14 }, (_, index) => ask({ tenant: index % 2 === 0 ? "acme" : "bob" }).then(note));
    await eventually("the others are refused", () => refused.length === 10);
    expect(await depth()).toBe(4);
    await occupied.release();
    const statuses = (await Promise.all(all)).map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array.from({ length: 4 }, () => 200), ...Array.from({ length: 10 }, () => 503)]);
    expect(refused.map((answer) => errorOf(answer).code)).toEqual(refused.map(() => "pool_saturated"));
    await idle();
  });

  it("refuses at once who finds no place, if none may wait", async () => {
    await begin({ most: 1, queue: { max_waiting: 0 } });
    const occupied = await occupy(1);
    const refused = await ask();
    expect([refused.status, errorOf(refused).code]).toEqual([503, "pool_saturated"]);
    await occupied.release();
  });

  it("serves tenants in turns, however many requests one of them has waiting", async () => {
    await begin({ most: 1, queue: { timeout: "60s" }, workers: 1 });
    const occupied = await occupy(1);
    const ended: string[] = [];
    const track = async (tenant: string): Promise<void> => {
      expect((await ask({ tenant })).status).toBe(200);
      ended.push(tenant);
    };
    const many = Array.from({ length: 12 }, () => track("acme"));
    await eventually("they wait", async () => (await depth()) === 12);
    const others = [track("bob"), track("carol"), track("bob")];
    await eventually("the others wait too", async () => (await depth()) === 15);
    await occupied.release();
    await Promise.all([...many, ...others]);
    // Without turns they would come last.
    expect(ended.indexOf("bob")).toBeLessThan(5);
    expect(ended.indexOf("carol")).toBeLessThan(5);
    expect(ended.lastIndexOf("bob")).toBeLessThan(8);
  });

  it("keeps places for others than the tenant that waits most", async () => {
    await begin({ most: 1, queue: { max_waiting: 8, timeout: "60s" } });
    const occupied = await occupy(1);
    const many = together(12);
    await eventually("as many wait as may of one", async () => (await depth()) === 6);
    const other = ask({ tenant: "bob" });
    await eventually("another one's waits too", async () => (await depth()) === 7);
    await occupied.release();
    expect((await other).status).toBe(200);
    expect((await many).filter(({ status }) => status === 200)).toHaveLength(6);
    expect((await many).filter(({ status }) => status === 503)).toHaveLength(6);
    await idle();
  });

  it("lets requests of all workers have their turns", async () => {
    // Who is forgotten waits for as long as the queue lets, and is refused then: the others go on until each has had so many turns.
    const TURNS = 5;
    await begin({ most: 2, queue: { timeout: "20s" } });
    const turns = Array.from({ length: 12 }, () => 0);
    await Promise.all(turns.map(async (_, client) => {
      while (Math.min(...turns) < TURNS) {
        expect((await ask()).status).toBe(200);
        turns[client]! += 1;
      }
    }));
    await idle();
  });

  it("forgets a request whose client leaves, and asks nobody for it", async () => {
    await begin({ most: 1, queue: { max_waiting: 3, timeout: "60s" } });
    const occupied = await occupy(1);
    const gone = new AbortController();
    const waiting = Array.from({ length: 3 }, () => ask({ signal: gone.signal }).catch(() => "gone"));
    await eventually("they wait", async () => (await depth()) === 3);
    gone.abort();
    expect(await Promise.all(waiting)).toEqual(["gone", "gone", "gone"]);
    await eventually("their places are free", async () => (await depth()) === 0);
    const last = ask();
    await occupied.release();
    expect((await last).status).toBe(200);
    expect(await started()).toBe(occupied.started + 1);
    const lines = await eventually("all are in the journal", () => gateway!.journal().length === 5 && gateway!.journal());
    const left = lines.filter(({ attempts }) => attempts === 0);
    expect(left.map(({ ending, cost_nano_usd, input_tokens }) => [ending, cost_nano_usd, input_tokens])).toEqual(left.map(() => ["client_gone", 0, 0]));
    expect(left).toHaveLength(3);
    await idle();
  });

  it("asks nobody for clients that left in the moment they had sent their requests", async () => {
    await begin({ most: 1, queue: { max_waiting: 100, timeout: "60s" } });
    const occupied = await occupy(1);
    const tenants = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? "acme" : "bob"));
    await Promise.all(tenants.map((tenant) => sendAndLeave(gateway!.port, CHAT, requestFor("quick"), keyOf(tenant))));
    await eventually("they wait, or have been seen to leave", async () => {
      // The journal first: one that leaves in between must not be counted twice.
      const left = gateway!.journal().length;
      return left + (await depth()) === 40;
    });
    await occupied.release();
    expect((await ask({ tenant: "carol" })).status).toBe(200);
    await idle();
    expect(await started()).toBe(occupied.started + 1);
    const lines = await eventually("all are in the journal", () => gateway!.journal().length === 42 && gateway!.journal());
    const left = lines.filter(({ attempts }) => attempts === 0);
    expect(left.map(({ ending, input_tokens }) => [ending, input_tokens])).toEqual(Array.from({ length: 40 }, () => ["client_gone", 0]));
  });

  it("loses no place when a worker is killed in which requests wait", async () => {
    await begin({ most: 2, queue: { max_waiting: 50, timeout: "10s" } });
    const occupied = await occupy(2);
    const answers = Promise.allSettled(Array.from({ length: 30 }, () => ask()));
    await eventually("requests wait", async () => (await depth()) === 30);
    for (let round = 0; round < 3; round++) {
      const victim = gateway!.workers()[round % 2];
      if (victim !== undefined) process.kill(victim, "SIGKILL");
      await sleep(150);
    }
    await occupied.release();
    await answers;
    await idle();
    expect((await together(6)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    await idle();
  });
});
