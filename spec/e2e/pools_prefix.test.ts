import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const OTHER_KEY = "sk-sluice-client-key-of-other-987654321";

let mocks: Mock[] = [];
let gateway: Gateway | undefined;

beforeAll(async () => {
  mocks = await Promise.all([startMock(), startMock(), startMock()]);
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  await Promise.all(mocks.map((mock) => mock.behave("")));
});

afterAll(async () => {
  await Promise.all(mocks.map((mock) => mock.stop()));
});

function configOf(pool: Record<string, unknown> = {}, model = "another"): string {
  return JSON.stringify({
    tenants: [
      { id: "acme", api_keys: [{ id: "web", secret: KEY }] },
      { id: "other", api_keys: [{ id: "web", secret: OTHER_KEY }] },
    ],
    models: [
      { name: "chat", pool: "gpu", upstream_model: "mock;tokens=2" },
      { name: model, pool: "gpu", upstream_model: "mock;tokens=3" },
      { name: "slow", pool: "gpu", upstream_model: "mock;tokens=4;interval=100" },
      { name: "claude", pool: "gpu", upstream_model: "mock;tokens=2" },
    ],
    pools: [{ name: "gpu", balance: "prefix", endpoints: mocks.map(({ url }) => ({ url })), ...pool }],
  });
}

async function begin(pool: Record<string, unknown> = {}, workers = 2): Promise<Gateway> {
  gateway = await startGateway({ config: configOf(pool), workers });
  return gateway;
}

interface Ask {
  path?: string;
  key?: string;
  headers?: Record<string, string>;
}

function ask(body: unknown, { path, key, headers }: Ask = {}): Promise<Answer> {
  return send(gateway!.port, { path: path ?? "/v1/chat/completions", body: JSON.stringify(body), key: key ?? KEY, ...(headers && { headers }) });
}

/** Asks, and waits until the request has ended in the gateway too. Returns the endpoint that answered. */
async function served(body: unknown, how: Ask = {}): Promise<string> {
  const answer = await ask(body, how);
  expect(answer.status).toBe(200);
  const line = await gateway!.journalLine(String(answer.headers["x-request-id"]));
  await eventually("nothing is under way", async () => {
    const metrics = await gateway!.metrics();
    return sumOf(metrics, "sluice_upstream_inflight", {}) === 0 ? true : undefined;
  });
  return String((line as { endpoint: unknown }).endpoint);
}

/** Some text of that length which is like no other of another name. */
function words(name: string, length: number): string {
  let text = "";
  for (let number = 0; text.length < length; number++) text += `${name} says ${number * 7919 % 1009}, `;
  return text.slice(0, length);
}

const SYSTEM = { role: "system", content: words("the operator", 2000) };

/** The messages of a conversation up to that turn, from 1. */
function messagesOf(name: string, turn: number, length = 150): { role: string; content: string }[] {
  const messages = [SYSTEM, { role: "user", content: words(`${name} 1`, length) }];
  for (let number = 2; number <= turn; number++) {
    messages.push({ role: "assistant", content: words(`model ${name} ${number}`, length * 3) }, { role: "user", content: words(`${name} ${number}`, length) });
  }
  return messages;
}

const APIS: Record<string, { path: string; body: (name: string, turn: number) => unknown }> = {
  chat: { path: "/v1/chat/completions", body: (name, turn) => ({ messages: messagesOf(name, turn), tools: [{ type: "function", function: { name: "f", parameters: {} } }], model: "chat" }) },
  completions: { path: "/v1/completions", body: (name, turn) => ({ model: "chat", prompt: messagesOf(name, turn).map(({ content }) => content).join("\n") }) },
  responses: { path: "/v1/responses", body: (name, turn) => ({ input: messagesOf(name, turn), model: "chat", instructions: "Be kind." }) },
  messages: { path: "/v1/messages", body: (name, turn) => ({ model: "claude", max_tokens: 100, messages: messagesOf(name, turn).slice(1), system: SYSTEM.content }) },
};

describe("a pool that follows conversations", () => {
  it.each(Object.entries(APIS))("keeps the turns of each at one endpoint, and spreads them, with the API %s", async (_, { path, body }) => {
    await begin();
    const places = new Map<string, string>();
    for (let turn = 1; turn <= 4; turn++) {
      for (let number = 0; number < 12; number++) {
        const place = await served(body(`caller ${number}`, turn), { path });
        if (turn > 1) expect(place).toBe(places.get(`caller ${number}`));
        places.set(`caller ${number}`, place);
      }
    }
    // All twelve at one endpoint by chance: once in 177,147 times.
    expect(new Set(places.values()).size).toBeGreaterThan(1);
  });

  it("finds a conversation whose bodies come in slices, or lie on disk, wherever it stands in them", async () => {
    await begin();
    // 300 KB lie on disk; 200 KB in memory.
    for (const length of [20000, 40000]) {
      for (const name of ["one", "two", "three", "four"]) {
        const first = messagesOf(name, 3, length);
        const second = messagesOf(name, 4, length);
        const place = await served({ model: "chat", messages: first });
        expect(await served({ stream: false, messages: second, model: "chat" })).toBe(place);
        expect(await served({ messages: second, temperature: 0.5, model: "chat" })).toBe(place);
      }
    }
  });

  it("moves conversations of an endpoint that fails, and leaves them where they are then", async () => {
    await begin({ breaker: { failures: 2, window: "10s", open: "60s" } });
    const before = new Map<string, string>();
    for (let number = 0; number < 9; number++) before.set(`${number}`, await served(APIS.chat!.body(`${number}`, 1)));
    const [lost = ""] = before.values();
    await mocks.find(({ url }) => url === lost)!.behave("mock;status=500");
    const after = new Map<string, string>();
    for (const [name, place] of before) {
      after.set(name, await served(APIS.chat!.body(name, 2)));
      if (place === lost) expect(after.get(name)).not.toBe(lost);
      else expect(after.get(name)).toBe(place);
    }
    await mocks.find(({ url }) => url === lost)!.behave("");
    for (const [name, place] of after) expect(await served(APIS.chat!.body(name, 3))).toBe(place);
  });

  it("lets no endpoint have much more under way than the others, though all go on with one conversation", async () => {
    await begin();
    const body = { ...(APIS.chat!.body("all", 3) as object), model: "slow", stream: true };
    await served(body);
    const before = await Promise.all(mocks.map((mock) => mock.counts()));
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask(body)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const counts = await Promise.all(mocks.map((mock) => mock.counts()));
    for (const [index, { started }] of counts.entries()) expect(started - before[index]!.started).toBeGreaterThan(0);
  });

  it("goes on following over a change of its configuration", async () => {
    await begin();
    const places = new Map<string, string>();
    for (let number = 0; number < 6; number++) places.set(`${number}`, await served(APIS.chat!.body(`${number}`, 1)));
    gateway!.writeConfig(configOf({ endpoints: [...mocks].reverse().map(({ url }) => ({ url })) }, "fresh"));
    await eventually("every worker has the new configuration", async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask({ model: "fresh", messages: [] })));
      return answers.every(({ status }) => status === 200) ? true : undefined;
    });
    for (const [name, place] of places) expect(await served(APIS.chat!.body(name, 2))).toBe(place);
  });
});

describe("a session's header", () => {
  it.each(["prefix", "round_robin", "least_load"])("keeps what a tenant sends with it at one endpoint, with %s", async (balance) => {
    await begin({ balance, session_header: "X-Session-Id" });
    const places = new Map<string, string>();
    for (let turn = 1; turn <= 3; turn++) {
      for (let number = 0; number < 10; number++) {
        const place = await served({ model: "chat", messages: [{ role: "user", content: `${turn} ${Math.random()}` }] }, { headers: { "X-Session-Id": `session ${number}` } });
        if (turn > 1) expect(place).toBe(places.get(`${number}`));
        places.set(`${number}`, place);
      }
    }
    expect(new Set(places.values()).size).toBeGreaterThan(1);
    const others = new Set<string>();
    for (let number = 0; number < 10; number++) {
      others.add(`${places.get(`${number}`)} ${await served({ model: "chat", messages: [] }, { key: OTHER_KEY, headers: { "X-Session-Id": `session ${number}` } })}`);
    }
    // Another tenant's sessions of the same names are others.
    expect([...others].some((pair) => pair.split(" ")[0] !== pair.split(" ")[1])).toBe(true);
  });

  it("pins also while others have less to do, up to max_concurrent", async () => {
    await begin({ session_header: "X-Session-Id", endpoints: mocks.map(({ url }) => ({ url, max_concurrent: 6 })) });
    const headers = { "X-Session-Id": "busy" };
    const body = { model: "slow", stream: true, messages: [{ role: "user", content: "Hello" }] };
    const place = await served(body, { headers });
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(body, { headers })));
    for (const answer of answers) {
      const line = await gateway!.journalLine(String(answer.headers["x-request-id"]));
      expect(line).toMatchObject({ endpoint: place, status: 200 });
    }
    const more = await Promise.all(Array.from({ length: 9 }, () => ask(body, { headers })));
    expect(more.map(({ status }) => status)).toEqual(more.map(() => 200));
  });

  it("is none if it is empty or very long", async () => {
    await begin({ balance: "round_robin", session_header: "X-Session-Id" }, 1);
    for (const name of ["", "s".repeat(257)]) {
      const places = new Set<string>();
      for (let number = 0; number < 3; number++) {
        places.add(await served({ model: "chat", messages: [] }, { headers: { "X-Session-Id": name } }));
      }
      expect(places.size).toBe(3);
    }
  });
});
