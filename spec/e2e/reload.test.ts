import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CLIENT_KEY, configuration } from "../support/configuration.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, post } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";

const HELLO = [{ role: "user", content: "hello" }];

let mock: Mock;
let gateway: Gateway;

beforeAll(async () => {
  mock = await startMock();
  gateway = await startGateway({ config: configuration({ upstream: mock.url }), workers: 2 });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

function chat(document: object, key = CLIENT_KEY): Promise<Answer> {
  return post(gateway.port, "/v1/chat/completions", { model: "chat", messages: HELLO, ...document }, { key });
}

/** A stream of two seconds and more, that begins at once. */
function longStream(): Promise<Answer> {
  return chat({ stream: true, mock: "tokens=60;interval=40" });
}

function expectWhole(answer: Answer): void {
  expect(answer.status).toBe(200);
  expect(answer.complete).toBe(true);
  expect(answer.text.match(/"content":"[^"]+"/g)).toHaveLength(60);
  expect(answer.text).toMatch(/data: \[DONE\]\n\n$/);
}

async function lastReload(): Promise<number | undefined> {
  return (await gateway.metrics()).get("sluice_config_last_reload_success");
}

/** Asks until every worker has answered alike many times in a row. */
async function steady(what: string, check: () => Promise<boolean>): Promise<void> {
  let row = 0;
  await eventually(
    what,
    async () => {
      row = (await check()) ? row + 1 : 0;
      return row >= 30;
    },
  );
}

const BROKEN: [string, () => string][] = [
  ["that is not YAML", () => "tenants: [\n  - id: acme"],
  ["that is empty", () => ""],
  ["with an unknown key", () => configuration({ upstream: mock.url, more: { surprise: 1 } })],
  ["with a model of no pool", () => configuration({ upstream: mock.url, poolModels: [{ name: "lost", pool: "nowhere" }] })],
  ["with an unset variable", () => configuration({ upstream: "http://${NO_SUCH_VARIABLE_IS_SET}" })],
];

describe("a live swap", () => {
  beforeEach(async () => {
    gateway.writeConfig(configuration({ upstream: mock.url }));
    await eventually("a good configuration", async () => (await lastReload()) === 1);
  });

  it("brings a new model and takes an old one, without a reload, and ends no stream", async () => {
    const workers = gateway.workers();
    const stream = longStream();
    await eventually("the stream's beginning", async () => (await mock.counts()).open >= 1);
    gateway.writeConfig(configuration({ upstream: mock.url, models: { fresh: "mock" } }));
    await steady("the new model", async () => (await chat({ model: "fresh" })).status === 200);
    gateway.writeConfig(configuration({ upstream: mock.url }));
    await steady("its end", async () => (await chat({ model: "fresh" })).status === 404);
    expectWhole(await stream);
    expect(gateway.workers()).toEqual(workers);
  });

  it("revokes an API key", async () => {
    const other = "sk-sluice-a-key-that-comes-and-goes-123";
    const tenants = [
      { id: "acme", api_keys: [{ id: "web", secret: CLIENT_KEY }] },
      { id: "other", api_keys: [{ id: "other", secret: other }] },
    ];
    gateway.writeConfig(configuration({ upstream: mock.url, more: { tenants } }));
    await steady("the key", async () => (await chat({}, other)).status === 200);
    gateway.writeConfig(configuration({ upstream: mock.url }));
    await steady("its end", async () => (await chat({}, other)).status === 401);
  });

  it("with a broken file is refused, loudly, and the old one serves on", async () => {
    const stream = longStream();
    for (const [what, text] of BROKEN) {
      const logged = gateway.errorLog().length;
      gateway.writeConfig(text());
      await eventually(`a complaint about a file ${what}`, () => /sluice\.yaml/.test(gateway.errorLog().slice(logged)));
      for (let round = 0; round < 10; round++) expect((await chat({})).status).toBe(200);
    }
    await eventually("the metric", async () => (await lastReload()) === 0);
    expectWhole(await stream);
  });

  it("says what is wrong once, not every second", async () => {
    const logged = gateway.errorLog().length;
    gateway.writeConfig(configuration({ upstream: mock.url, more: { a_key_nobody_knows: 1 } }));
    await eventually("the rejection", async () => (await lastReload()) === 0);
    await sleep(3500);
    const complaints = gateway.errorLog().slice(logged).match(/a_key_nobody_knows/g) ?? [];
    expect(complaints.length).toBeGreaterThanOrEqual(1);
    expect(complaints.length).toBeLessThanOrEqual(gateway.workers().length);
  });
});

describe("a SIGHUP", () => {
  it.each(BROKEN.slice(0, 3))("with a file %s keeps the streams, the workers and the old configuration", async (_, text) => {
    gateway.writeConfig(configuration({ upstream: mock.url }));
    await eventually("a good configuration", async () => (await lastReload()) === 1);
    const workers = gateway.workers();
    const stream = longStream();
    await eventually("the stream's beginning", async () => (await mock.counts()).open >= 1);
    const logged = gateway.errorLog().length;
    gateway.writeConfig(text());
    gateway.reload();
    await eventually("a complaint", () => /sluice\.yaml/.test(gateway.errorLog().slice(logged)));
    await sleep(500);
    expect((await chat({})).status).toBe(200);
    expectWhole(await stream);
    expect(gateway.workers(), gateway.errorLog().slice(logged)).toEqual(workers);
  });

  it("under load loses no stream and no request", async () => {
    gateway.writeConfig(configuration({ upstream: mock.url }));
    await eventually("a good configuration", async () => (await lastReload()) === 1);
    const first = gateway.workers();
    const { started } = await mock.counts();
    const streams = Array.from({ length: 30 }, longStream);
    await eventually("the streams' beginning", async () => (await mock.counts()).started >= started + 30);
    let loading = true;
    const statuses: number[] = [];
    const load = Array.from({ length: 4 }, async () => {
      while (loading) statuses.push((await chat({}).catch(() => ({ status: 0 }))).status);
    });
    for (let round = 0; round < 3; round++) {
      gateway.reload();
      await sleep(500);
    }
    for (const stream of streams) expectWhole(await stream);
    loading = false;
    await Promise.all(load);
    expect(statuses.length).toBeGreaterThan(50);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    await eventually(
      "the old workers' end",
      () => gateway.workers().length === 2 && gateway.workers().every((worker) => !first.includes(worker)),
    );
    const ids = gateway.journal().map((line) => line.id);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
