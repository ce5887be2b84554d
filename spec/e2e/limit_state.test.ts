import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, journalIn, type JournalLine, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually, removeDirectory, temporaryDirectory } from "../support/processes.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";

interface Standing {
  tenant: string;
  running: number;
  reserved_nano_usd: number;
  spent_nano_usd: number;
  budget_nano_usd: number | null;
}

let mock: Mock;
let directory: string;
let gateway: Gateway | undefined;

beforeAll(async () => {
  mock = await startMock();
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

function configuration(limits: Record<string, number>, usd = 1000): string {
  return JSON.stringify({
    tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY, limits: { tokens_per_day: 1000000000 } }], limits, budget: { usd, period: "month" } }],
    models: [
      { name: "chat", pool: "mock", upstream_model: "mock;prompt=10;completion=20", price: { input: 1, output: 2 }, max_output_tokens: 100 },
      { name: "slow", pool: "mock", upstream_model: "mock;tokens=20;interval=20", price: { input: 1, output: 2 }, max_output_tokens: 100 },
    ],
    pools: [{ name: "mock", endpoints: [{ url: mock.url }] }],
  });
}

async function begin(config: string): Promise<Gateway> {
  gateway = await startGateway({ config, workers: 2, directory });
  return gateway;
}

function ask(model = "chat", stream = false): Promise<Answer> {
  const body = JSON.stringify({ model, stream, messages: [{ role: "user", content: "Hello" }] });
  return send(gateway!.port, { path: "/v1/chat/completions", body, key: KEY });
}

/** What all files of the journal say. */
function journal(): JournalLine[] {
  return journalIn(join(directory, "run/logs"));
}

function charged(): number {
  return journal().reduce((sum, line) => sum + line.cost_nano_usd, 0);
}

async function standing(): Promise<Standing> {
  const answer = await fetch(`${gateway!.adminUrl}/status`);
  const status = (await answer.json()) as { limits: Standing[] };
  return status.limits[0]!;
}

/** Nothing is under way, and what was spent is what the journal says. */
async function agrees(): Promise<void> {
  await eventually("nothing is under way", async () => {
    const { running, reserved_nano_usd } = await standing();
    return running === 0 && reserved_nano_usd === 0;
  });
  expect((await standing()).spent_nano_usd).toBe(charged());
}

/** Requests of both kinds, again and again, until told to stop. Failures don't matter. */
function load(): () => Promise<void> {
  let going = true;
  const clients = Array.from({ length: 8 }, async (_, number) => {
    while (going) {
      await ask(number % 2 === 0 ? "chat" : "slow", number % 4 === 1).catch(() => sleep(5));
    }
  });
  return async () => {
    going = false;
    await Promise.all(clients);
  };
}

describe("what was used", () => {
  it("is known after a restart, limits and budget alike", async () => {
    directory = temporaryDirectory("sluice-state");
    const config = configuration({ requests_per_hour: 7 }, 0.0003);
    let running = await begin(config);
    for (let count = 1; count <= 5; count++) {
      expect((await ask()).status).toBe(200);
      // What it had reserved is free when it has been settled, a moment after its last byte.
      await eventually("its line", () => journal().length === count);
    }
    await agrees();
    await running.stop();
    running = await begin(config);
    await agrees();
    expect((await standing()).spent_nano_usd).toBe(5 * 50000);
    expect((await ask()).status).toBe(200);
    await eventually("its line", () => journal().length === 6);
    const refused = await ask();
    expect(errorOf(refused)).toMatchObject({ code: "budget_exceeded" });
    await running.stop();
    running = await begin(configuration({ requests_per_hour: 7 }));
    expect((await ask()).status).toBe(200);
    expect(errorOf(await ask())).toMatchObject({ code: "rate_limit_exceeded" });
    await running.stop();
    removeDirectory(directory);
  });

  it("is taken from the journal where the state is older, also through a rotation", async () => {
    directory = temporaryDirectory("sluice-state");
    const config = configuration({ requests_per_hour: 1000 });
    let running = await begin(config);
    await ask();
    await agrees();
    await running.stop();
    const state = join(directory, "run/state/limits");
    const old = readFileSync(state);
    running = await begin(config);
    for (let count = 0; count < 20; count++) await ask();
    await agrees();
    const path = join(directory, "run/logs/usage.jsonl");
    renameSync(path, `${path}.1`);
    await eventually("the journal is opened anew", () => readdirSync(join(directory, "run/logs")).includes("usage.jsonl"));
    await sleep(1500);
    for (let count = 0; count < 20; count++) await ask();
    await agrees();
    await running.stop();
    writeFileSync(state, old);
    running = await begin(config);
    await agrees();
    expect((await standing()).spent_nano_usd).toBe(41 * 50000);
    await running.stop();
    removeDirectory(directory);
  });

  it("is taken from the journal if its file is gone, cut short or something else", async () => {
    directory = temporaryDirectory("sluice-state");
    const config = configuration({ requests_per_hour: 1000 });
    let running = await begin(config);
    await ask();
    await agrees();
    await running.stop();
    const state = join(directory, "run/state/limits");
    const whole = readFileSync(state, "utf8");
    for (const broken of [whole.slice(0, -3), whole.slice(0, 40), "", "something else\n", `${whole}more\n`, whole.replace(/ /g, "  x")]) {
      writeFileSync(state, broken);
      running = await begin(config);
      await agrees();
      expect((await ask()).status).toBe(200);
      await running.stop();
    }
    rmSync(state);
    running = await begin(config);
    await agrees();
    expect(running.errorLog()).toContain("is taken from the journal");
    await running.stop();
    removeDirectory(directory);
  });

  it("agrees with the journal after workers were killed again and again under load", async () => {
    directory = temporaryDirectory("sluice-state");
    const running = await begin(configuration({ concurrent_requests: 100 }));
    const stop = load();
    for (let round = 0; round < 25; round++) {
      await sleep(20 + Math.random() * 100);
      const workers = running.workers();
      const victim = workers[Math.floor(Math.random() * workers.length)];
      if (victim !== undefined) process.kill(victim, "SIGKILL");
    }
    await stop();
    expect(charged()).toBeGreaterThan(0);
    await agrees();
    await running.stop();
    removeDirectory(directory);
  });

  it("agrees with the journal after the whole gateway was killed under load", async () => {
    directory = temporaryDirectory("sluice-state");
    const config = configuration({ concurrent_requests: 100 });
    for (let round = 0; round < 4; round++) {
      const running = await begin(config);
      await agrees();
      const stop = load();
      await sleep(300 + Math.random() * 300);
      const workers = running.workers();
      process.kill(running.pid, "SIGKILL");
      for (const worker of workers) process.kill(worker, "SIGKILL");
      await stop();
      await running.stop();
    }
    const running = await begin(config);
    expect(charged()).toBeGreaterThan(0);
    await agrees();
    await running.stop();
    removeDirectory(directory);
  });
});
