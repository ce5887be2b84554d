import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const KILLS = 100;
const WORKERS = 3;
/** How many requests each endpoint may have under way, and how many clients ask: more than there is room for. */
const MOST = 3;
const CLIENTS = 14;

let mocks: Mock[] = [];
let gateway: Gateway;

beforeAll(async () => {
  mocks = await Promise.all([startMock(), startMock(), startMock()]);
  gateway = await startGateway({
    config: JSON.stringify({
      tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
      models: [{ name: "slow", pool: "gpu", upstream_model: "mock;tokens=6;interval=50" }],
      pools: [{
        name: "gpu",
        endpoints: mocks.map(({ url }) => ({ url, max_concurrent: MOST })),
        timeouts: { connect: "2s", read: "10s" },
      }],
    }),
    workers: WORKERS,
  });
});

afterAll(async () => {
  await gateway.stop();
  await Promise.all(mocks.map((mock) => mock.stop()));
});

function ask(): Promise<Answer | undefined> {
  const body = JSON.stringify({ model: "slow", stream: true, messages: [{ role: "user", content: "Hello" }] });
  return send(gateway.port, { path: "/v1/chat/completions", body, key: KEY }).catch(() => undefined);
}

interface Seen {
  whole: number;
  /** Their worker was killed. */
  broken: number;
  saturated: number;
  /** Whatever a client should not see. */
  others: string[];
}

function note(seen: Seen, answer: Answer | undefined): void {
  if (answer === undefined || !answer.complete) seen.broken += 1;
  else if (answer.status === 200 && answer.text.endsWith("data: [DONE]\n\n")) seen.whole += 1;
  else if (answer.status === 503 && errorOf(answer).code === "pool_saturated") seen.saturated += 1;
  else seen.others.push(`${answer.status} ${answer.text}`);
}

interface Status {
  pools: { endpoints: { in_flight: number }[] }[];
}

async function inFlight(): Promise<number[]> {
  const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as Status;
  return status.pools.flatMap(({ endpoints }) => endpoints).map(({ in_flight }) => in_flight);
}

describe("a pool whose workers are killed under load", () => {
  it("never sends an endpoint more than it may have, and loses no place", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    let state = seed;
    const seen: Seen = { whole: 0, broken: 0, saturated: 0, others: [] };
    let loaded = true;
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (loaded) {
        const answer = await ask();
        note(seen, answer);
        if (answer?.status !== 200) await sleep(40);
      }
    });
    for (let kill = 0; kill < KILLS; kill++) {
      state = (state * 48271) % 2147483647;
      await sleep(100 + (state % 150));
      await eventually("some have been served", () => seen.whole > kill);
      const workers = await eventually("workers", () => {
        const running = gateway.workers();
        return running.length >= WORKERS ? running : undefined;
      });
      process.kill(workers[state % workers.length]!, "SIGKILL");
    }
    loaded = false;
    await Promise.all(clients);

    const counts = await Promise.all(mocks.map((mock) => mock.counts()));
    expect(seen.others).toEqual([]);
    // There was work all the time, and kills met it.
    expect(seen.broken).toBeGreaterThan(KILLS / 4);
    expect(counts.map(({ most_open }) => most_open)).toEqual(mocks.map(() => MOST));
    await eventually("nothing is under way", async () => {
      const measured = sumOf(await gateway.metrics(), "sluice_upstream_inflight");
      return (await inFlight()).every((count) => count === 0) && measured === 0;
    });
    const again = await Promise.all(Array.from({ length: MOST * mocks.length }, ask));
    expect(again.map((answer) => answer?.status)).toEqual(again.map(() => 200));
    const after = await Promise.all(mocks.map((mock) => mock.counts()));
    expect(after.map(({ most_open }) => most_open)).toEqual(mocks.map(() => MOST));
  });
});
