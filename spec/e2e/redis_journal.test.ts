import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, statSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Gateway, journalIn, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually, removeDirectory, temporaryDirectory } from "../support/processes.ts";
import { type Redis, startRedis } from "../support/redis.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
/** What each request costs, in nano-dollars. */
const COST = 48000;

let mock: Mock;
let server: Redis;
let directory: string;
const gateways = new Set<Gateway>();

beforeAll(async () => {
  mock = await startMock();
});

beforeEach(async () => {
  server = await startRedis();
  directory = temporaryDirectory("sluice-redis-journal");
});

async function stop(gateway: Gateway): Promise<void> {
  await gateway.stop();
  gateways.delete(gateway);
}

afterEach(async () => {
  await Promise.all([...gateways].map(stop));
  await server.stop();
  removeDirectory(directory);
});

afterAll(async () => {
  await mock?.stop();
});

async function begin(workers = 2): Promise<Gateway> {
  const config = JSON.stringify({
    store: { kind: "redis", redis: { url: `redis://127.0.0.1:${server.port}`, on_loss: "allow", lease_seconds: 3 } },
    tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }], limits: { requests_per_day: 1000000 }, budget: { usd: 1000, period: "month" } }],
    models: [{ name: "chat", pool: "mock", upstream_model: "mock;prompt=10;completion=20;cached=4", price: { input: 1, output: 2, cached_input: 0.5 } }],
    pools: [{ name: "mock", endpoints: [{ url: mock.url }] }],
  });
  const gateway = await startGateway({ config, workers, directory });
  gateways.add(gateway);
  return gateway;
}

/** Ends a gateway as a loss of power would. */
async function kill(gateway: Gateway): Promise<void> {
  const workers = gateway.workers();
  process.kill(gateway.pid, "SIGKILL");
  for (const worker of workers) process.kill(worker, "SIGKILL");
  await stop(gateway);
}

function ask(gateway: Gateway): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }] });
  return send(gateway.port, { path: "/v1/chat/completions", body, key: KEY });
}

async function askTimes(gateway: Gateway, times: number): Promise<void> {
  const before = lines().length;
  for (let count = 0; count < times; count++) expect((await ask(gateway)).status).toBe(200);
  // A client has the last byte a moment before its request's line is written.
  await eventually("the journal has them", () => lines().length === before + times);
}

function logs(name: string): string {
  return join(directory, "run/logs", name);
}

function settledFile(): string {
  return join(directory, "run/state/settled");
}

/** What Redis has as spent, in nano-dollars. */
function spent(): number {
  const key = server.command("KEYS", "sluice:{acme}:budget:*");
  return key === "" ? 0 : Number(server.command("HGET", key, "spent"));
}

/** The lines of all files of the journal. */
function lines(): JournalLine[] {
  return journalIn(logs(""));
}

function charged(): number {
  return lines().reduce((sum, line) => sum + line.cost_nano_usd, 0);
}

async function spends(amount: () => number, gateway: Gateway): Promise<void> {
  await eventually("Redis has what was charged", () => spent() === amount()).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${spent()} instead of ${amount()}\n${gateway.errorLog().split("\n").slice(-20).join("\n")}`);
  });
}

/** Reloads with a list that has room for its own numbers, and for no settlement. */
async function leaveNoRoom(gateway: Gateway): Promise<void> {
  const conf = logs("../conf/http.conf");
  const fill = `for number = 1, 9999 do
    for _, length in ipairs({ 100, 300 }) do ngx.shared.sluice_settlements:safe_set(number .. "of" .. length, ("x"):rep(length)) end
  end`;
  const start = /init_by_lua_block \{ sluice = require\("sluice\.phases\.init"\)\.start\([^)]*\)/;
  writeFileSync(conf, readFileSync(conf, "utf8")
    .replace("lua_shared_dict sluice_settlements 16m", "lua_shared_dict sluice_settlements 64k")
    .replace(start, `$& ${fill}`));
  const before = gateway.workers();
  gateway.reload();
  await eventually("new workers are there", () =>
    gateway.workers().length === before.length && !gateway.workers().some((worker) => before.includes(worker)));
}

/** Requests, again and again, until told to stop. */
function load(gateway: Gateway, clients: number): () => Promise<unknown> {
  let going = true;
  const done = Promise.all(Array.from({ length: clients }, async () => {
    while (going) {
      await ask(gateway).catch(() => undefined);
      await sleep(5);
    }
  }));
  return () => {
    going = false;
    return done;
  };
}

function countOf(text: string, part: string): number {
  return text.split(part).length - 1;
}

describe("a journal that is rotated", () => {
  it("loses no settlement when the gateway is killed while some workers have its new file and others have not", async () => {
    let gateway = await begin(8);
    for (let round = 1; round <= 3; round++) {
      await askTimes(gateway, 5);
      await spends(charged, gateway);
      const finish = load(gateway, 16);
      const first = lines().length;
      await eventually("requests are on their way", () => lines().length > first + 50);
      const journal = logs("usage.jsonl");
      renameSync(journal, logs(`usage.jsonl.${round}`));
      await eventually("a worker has noticed, and Redis has what it wrote", () =>
        existsSync(journal) && statSync(journal).size > 0 && readFileSync(settledFile(), "utf8").split(" ")[3] === String(statSync(journal).ino));
      server.signal("SIGSTOP");
      const before = lines().length;
      await eventually("more requests end", () => lines().length > before + 50);
      await kill(gateway);
      await finish();
      server.signal("SIGCONT");
      gateway = await begin(8);
      await spends(charged, gateway);
    }
  });

  it("loses none that found no room in memory, though the old file is written to after the new one is there", async () => {
    const gateway = await begin(4);
    await askTimes(gateway, 5);
    await spends(charged, gateway);
    await leaveNoRoom(gateway);
    const finish = load(gateway, 8);
    for (let round = 1; round <= 3; round++) {
      const first = lines().length;
      await eventually("requests are on their way", () => lines().length > first + 50);
      const journal = logs("usage.jsonl");
      renameSync(journal, logs(`usage.jsonl.${round}`));
      writeFileSync(journal, "", { mode: 0o666, flag: "a" });
      await eventually("it is noticed", () => statSync(journal).size > 0);
    }
    await finish();
    await spends(charged, gateway);
  });

  it("says so if what is missing in Redis has been compressed meanwhile", async () => {
    let gateway = await begin();
    await askTimes(gateway, 3);
    await spends(charged, gateway);
    await server.kill();
    await askTimes(gateway, 5);
    await kill(gateway);
    renameSync(logs("usage.jsonl"), logs("usage.jsonl.1"));
    execFileSync("gzip", [logs("usage.jsonl.1")]);
    gateway = await begin();
    await askTimes(gateway, 2);
    await server.up();
    await eventually("it is counted", async () => sumOf(await gateway.metrics(), "sluice_journal_passed_over_total") === 1);
    expect(countOf(gateway.errorLog(), "compressed ones are passed over")).toBe(1);
    await spends(() => 5 * COST, gateway);
    await askTimes(gateway, 1);
    await spends(() => 6 * COST, gateway);
  });

  it("is read from the place that is known, whatever the clock said then", async () => {
    let gateway = await begin();
    await askTimes(gateway, 3);
    await spends(charged, gateway);
    await server.kill();
    await askTimes(gateway, 5);
    await kill(gateway);
    renameSync(logs("usage.jsonl"), logs("usage.jsonl.1"));
    // The clock was an hour ahead, and has been set right.
    const [, , , file, offset, time] = readFileSync(settledFile(), "utf8").trim().split(" ");
    expect(file).toBe(String(statSync(logs("usage.jsonl.1")).ino));
    writeFileSync(settledFile(), `sluice settled 1 ${file} ${offset} ${(Number(time) + 3600).toFixed(3)}\n`);
    await server.up();
    gateway = await begin();
    await askTimes(gateway, 2);
    await spends(() => 10 * COST, gateway);
  });
});

describe("a journal that can't be read", () => {
  it("is read later, and the log says it once", async () => {
    let gateway = await begin();
    await askTimes(gateway, 3);
    await spends(charged, gateway);
    await server.kill();
    await askTimes(gateway, 5);
    await kill(gateway);
    renameSync(logs("usage.jsonl"), logs("usage.jsonl.1"));
    // What it leads to can't be found out: it may be a file of the journal.
    symlinkSync("usage.jsonl.2", logs("usage.jsonl.2"));
    renameSync(logs("usage.jsonl.1"), join(directory, "away"));
    await server.up();
    gateway = await begin();
    await askTimes(gateway, 2);
    // What is on the list does not wait for it.
    await spends(() => 5 * COST, gateway);
    await eventually("the log says so", () => gateway.errorLog().includes("which can't be read"));
    // It is tried again every second.
    await sleep(2500);
    await askTimes(gateway, 1);
    await spends(() => 6 * COST, gateway);
    expect(countOf(gateway.errorLog(), "which can't be read")).toBe(1);
    renameSync(join(directory, "away"), logs("usage.jsonl.1"));
    unlinkSync(logs("usage.jsonl.2"));
    await spends(() => 11 * COST, gateway);
    expect(countOf(gateway.errorLog(), "can be read again")).toBe(1);
  });
});

describe("a Redis that is new", () => {
  it("is told nothing of what was in the journal before, though nothing finds room in memory", async () => {
    const gateway = await begin();
    await askTimes(gateway, 3);
    await spends(charged, gateway);
    server.command("FLUSHALL");
    unlinkSync(settledFile());
    await leaveNoRoom(gateway);
    await askTimes(gateway, 20);
    await spends(() => 20 * COST, gateway);
    await eventually("none found room", async () => sumOf(await gateway.metrics(), "sluice_settlements_dropped_total") === 20);
  });
});
