/** Endpoints of one pool that have names for the model and accounts of their own. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Asked, type Provider, startProvider } from "../support/provider.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";

const WARM = '{"model":"the-file-s","max_tokens":1,"messages":[]}';

let provider: Provider;
let gateway: Gateway;
let configText: string;

beforeAll(async () => {
  provider = await startProvider();
  const deployment = (name: string, more: object = {}): object => ({
    url: `${provider.url}/${name}`, upstream_model: `model-of-${name}`, keys: [{ id: name, secret: `key-of-${name}` }], ...more,
  });
  const pools = {
    two: { endpoints: [deployment("east"), deployment("west")], balance: "round_robin" },
    one_url: {
      endpoints: [{ url: provider.url, upstream_model: "a", keys: [{ id: "a", secret: "key-of-a" }] },
        { url: provider.url, upstream_model: "b", keys: [{ id: "b", secret: "key-of-b" }] }],
      balance: "round_robin",
    },
    mixed: { endpoints: [deployment("north"), { url: `${provider.url}/plain` }], keys: [{ id: "shared", secret: "key-shared" }], balance: "round_robin" },
    several: {
      endpoints: [deployment("south", { keys: [{ id: "south-1", secret: "key-south-1" }, { id: "south-2", secret: "key-south-2" }] })],
    },
    unnamed: { endpoints: [{ url: `${provider.url}/unnamed` }] },
    leaving: { endpoints: [deployment("left")], retries: { attempts: 1 } },
    azure: {
      api: "azure", api_version: "v1", balance: "round_robin",
      endpoints: [deployment("azure-a", { upstream_model: "deployment-a" }), deployment("azure-b", { upstream_model: "deployment-b" })],
    },
    cooling: { endpoints: [deployment("cool-a"), deployment("cool-b")], balance: "round_robin" },
    resting: { endpoints: [deployment("rest-a"), deployment("rest-b")], balance: "round_robin" },
    watched: { endpoints: [deployment("watched-a"), deployment("watched-b")], health: { path: "/health", interval: "100ms" }, warmup: { body_file: "warm.json" } },
  };
  configText = JSON.stringify({
    tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
    models: Object.keys(pools).map((name) => ({ name, pool: name, upstream_model: "usual", ...(name === "leaving" && { fallback: ["unnamed", "two"] }) })),
    pools: Object.entries(pools).map(([name, pool]) => ({ name, ...pool })),
  });
  gateway = await startGateway({ workers: 1, files: { "warm.json": WARM }, config: configText });
});

beforeEach(() => {
  provider.answer(() => ({}));
  provider.taken();
});

afterAll(async () => {
  await gateway?.stop();
  await provider?.stop();
});

/** What an upstream was asked, in short: the first part of the path, the model, the key. */
function seen(asked: Asked): [string, string, string] {
  const { model } = JSON.parse(asked.body) as { model: string };
  return [asked.path.split("/")[1]!, model, String(asked.headers.authorization ?? asked.headers["api-key"] ?? "").replace("Bearer ", "")];
}

async function ask(model: string, content = "Hello"): Promise<[Answer, [string, string, string][]]> {
  provider.taken();
  const answer = await send(gateway.port, { path: "/v1/chat/completions", body: JSON.stringify({ model, messages: [{ role: "user", content }] }), key: KEY });
  return [answer, provider.taken().filter((asked) => asked.body.includes("Hello") || asked.body.includes(content)).map(seen)];
}

interface Status {
  pools: { name: string; keys: { id: string; state: string }[]; endpoints: { url: string; upstream_model?: string; keys?: { id: string; state: string }[] }[] }[];
}

async function statusOf(name: string): Promise<Status["pools"][number]> {
  const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as Status;
  return status.pools.find((pool) => pool.name === name)!;
}

const EAST: [string, string, string] = ["east", "model-of-east", "key-of-east"];
const WEST: [string, string, string] = ["west", "model-of-west", "key-of-west"];

describe("two deployments under one model", () => {
  it("are each asked by their own name and with their own key, in turn", async () => {
    const all: string[] = [];
    for (let turn = 0; turn < 4; turn++) {
      const [answer, [one]] = await ask("two");
      expect(answer.status).toBe(200);
      all.push(one!.join(" "));
    }
    expect(all.sort()).toEqual([EAST, EAST, WEST, WEST].map((one) => one.join(" ")));
  });

  it("take each other's place when one fails: with the other's name and key, once each", async () => {
    for (const status of [500, 429]) {
      for (const failing of ["east", "west"]) {
        provider.answer((asked) => (asked.path.startsWith(`/${failing}/`) ? { status, json: { error: {} }, headers: { "retry-after": "0" } } : {}));
        const requests = [];
        for (let turn = 0; turn < 2; turn++) {
          const [answer, asked] = await ask("two");
          expect(answer.status).toBe(200);
          requests.push(asked);
        }
        const other = failing === "east" ? WEST : EAST;
        for (const asked of requests) {
          expect(asked.at(-1)).toEqual(other);
          expect(asked.length).toBeLessThanOrEqual(2);
          if (asked.length === 2) expect(asked[0]).toEqual(failing === "east" ? EAST : WEST);
        }
      }
    }
  });

  it("may be at one URL, and are told apart in the journal, the metrics and the status", async () => {
    const endpoints = new Set<string>();
    for (let turn = 0; turn < 4; turn++) {
      const [answer, [one]] = await ask("one_url");
      const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
      expect(line.endpoint).toBe(`${provider.url}#${one![1]}`);
      expect(one![2]).toBe(`key-of-${one![1]}`);
      endpoints.add(line.endpoint);
    }
    expect(endpoints.size).toBe(2);
    const metrics = await gateway.metrics();
    expect(metrics.get(`sluice_upstream_requests_total{pool="one_url",endpoint="${provider.url}#a",code="200"}`)).toBe(2);
    expect((await statusOf("one_url")).endpoints).toMatchObject([
      { url: `${provider.url}#a`, upstream_model: "a", keys: [{ id: "a", state: "free" }] },
      { url: `${provider.url}#b`, upstream_model: "b", keys: [{ id: "b", state: "free" }] },
    ]);
    expect(gateway.everythingWritten()).not.toContain("key-of-a");
  });

  it("leave the pool's keys and the model's own name to the others", async () => {
    const all: string[] = [];
    for (let turn = 0; turn < 4; turn++) all.push((await ask("mixed"))[1][0]!.join(" "));
    expect(new Set(all)).toEqual(new Set(["north model-of-north key-of-north", "plain usual key-shared"]));
    expect(await statusOf("mixed")).toMatchObject({ keys: [{ id: "shared" }], endpoints: [{ keys: [{ id: "north" }] }, {}] });
    expect((await statusOf("mixed")).endpoints[1]!.keys).toBeUndefined();
  });

  it("have several keys that take turns, and each other's place", async () => {
    const keys: string[] = [];
    for (let turn = 0; turn < 4; turn++) keys.push((await ask("several"))[1][0]![2]);
    expect(keys.sort()).toEqual(["key-south-1", "key-south-1", "key-south-2", "key-south-2"]);
    provider.answer((asked) => (String(asked.headers.authorization).includes("south-1") ? { status: 401, json: {} } : {}));
    for (let turn = 0; turn < 2; turn++) {
      const [answer, asked] = await ask("several");
      expect(answer.status).toBe(200);
      expect(asked.at(-1)![2]).toBe("key-south-2");
    }
    expect((await statusOf("several")).endpoints[0]!.keys).toMatchObject([{ id: "south-1", state: "resting" }, { id: "south-2", state: "free" }]);
  });

  it("are called by their names in large bodies on disk too", async () => {
    const content = "Hello ".repeat(150_000);
    for (let turn = 0; turn < 2; turn++) {
      provider.taken();
      const body = { model: "two", messages: [{ role: "user", content }] };
      const answer = await send(gateway.port, { path: "/v1/chat/completions", body: JSON.stringify(body), key: KEY });
      expect(answer.status).toBe(200);
      const [asked] = provider.taken().filter(({ path }) => !path.includes("watched"));
      expect(asked!.body).toBe(JSON.stringify({ ...body, model: seen(asked!)[1] }));
    }
  });

  it("give way to a fallback whose endpoints have other names, or none", async () => {
    provider.answer((asked) => (asked.path.startsWith("/left") ? { status: 500, json: "no" } : {}));
    const [answer, asked] = await ask("leaving");
    expect(answer.status).toBe(200);
    expect(asked).toEqual([["left", "model-of-left", "key-of-left"], ["unnamed", "usual", ""]]);
    provider.answer((request) => (/^\/(left|unnamed)/.test(request.path) ? { status: 501, json: "no" } : {}));
    expect((await ask("leaving"))[0].status).toBe(501);
    provider.answer((request) => (/^\/(left|unnamed)/.test(request.path) ? { status: 503, json: "no" } : {}));
    const [last, all] = await ask("leaving");
    expect(last.status).toBe(200);
    expect(["east", "west"]).toContain(all.at(-1)![0]);
    expect(all.at(-1)![1]).toBe(`model-of-${all.at(-1)![0]}`);
  });

  it("have each its own deployment in Azure's paths", async () => {
    const paths = new Set<string>();
    for (let turn = 0; turn < 4; turn++) {
      provider.taken();
      await send(gateway.port, { path: "/v1/chat/completions", body: JSON.stringify({ model: "azure", messages: [] }), key: KEY });
      const [asked] = provider.taken().filter(({ path }) => !path.includes("watched"));
      paths.add(`${asked!.path} ${seen(asked!).slice(1).join(" ")}`);
    }
    expect(paths).toEqual(new Set([
      "/azure-a/openai/deployments/deployment-a/chat/completions?api-version=v1 deployment-a key-of-azure-a",
      "/azure-b/openai/deployments/deployment-b/chat/completions?api-version=v1 deployment-b key-of-azure-b",
    ]));
  });

  it("are passed over while their only key cools down; refused when that takes too long for all", async () => {
    provider.answer((asked) => (asked.path.startsWith("/cool-a") ? { status: 429, json: {}, headers: { "retry-after": "60" } } : {}));
    for (let turn = 0; turn < 3; turn++) expect((await ask("cooling"))[0].status).toBe(200);
    for (let turn = 0; turn < 3; turn++) expect((await ask("cooling"))[1]).toEqual([["cool-b", "model-of-cool-b", "key-of-cool-b"]]);
    provider.answer(() => ({ status: 429, json: {}, headers: { "retry-after": "60" } }));
    await ask("cooling");
    const [refused, asked] = await ask("cooling");
    expect(refused.status).toBe(503);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(50);
    expect(asked).toEqual([]);
  });

  it("rest when their only key is refused, and one is asked all the same when all rest", async () => {
    provider.answer((asked) => (asked.path.startsWith("/rest-a") ? { status: 401, json: {} } : {}));
    for (let turn = 0; turn < 3; turn++) expect((await ask("resting"))[0].status).toBe(200);
    expect((await statusOf("resting")).endpoints.map(({ keys }) => keys![0]!.state)).toEqual(["resting", "free"]);
    provider.answer(() => ({ status: 401, json: {} }));
    expect((await ask("resting"))[0].status).toBe(502);
    const [answer, asked] = await ask("resting");
    expect(answer.status).toBe(502);
    expect(asked.length).toBe(1);
    provider.answer(() => ({}));
    expect((await ask("resting"))[0].status).toBe(200);
  });

  it("are asked how they are with their own key, and warmed up by their own name", async () => {
    const wanted = new Map<string, Asked>();
    await expect.poll(() => {
      for (const asked of provider.taken()) wanted.set(asked.path, asked);
      return wanted.size >= 2 && wanted.has("/watched-a/health") && wanted.has("/watched-b/health");
    }).toBe(true);
    for (const name of ["watched-a", "watched-b"]) {
      expect(wanted.get(`/${name}/health`)!.headers.authorization).toBe(`Bearer key-of-${name}`);
    }
    // A gateway that starts now warms them up.
    const other = await startGateway({ workers: 1, files: { "warm.json": WARM }, config: configText });
    try {
      await expect.poll(() => {
        for (const asked of provider.taken()) wanted.set(asked.path, asked);
        return ["a", "b"].map((name) => wanted.get(`/watched-${name}/v1/chat/completions`)?.body);
      }).toEqual(["a", "b"].map((name) => WARM.replace("the-file-s", `model-of-watched-${name}`)));
    } finally {
      await other.stop();
    }
  });
});

describe("the status", () => {
  it("lists the pools in the configuration's order, after each start", async () => {
    const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as Status;
    const { pools } = JSON.parse(configText) as { pools: { name: string }[] };
    expect(status.pools.map(({ name }) => name)).toEqual(pools.map(({ name }) => name));
  });
});
