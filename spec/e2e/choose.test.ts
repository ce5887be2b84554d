import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";

const KEYS = { acme: "sk-sluice-client-key-of-acme-0123456789", beta: "sk-sluice-client-key-of-beta-0123456789" };
const MODELS = ["tools", "gold", "short", "stream", "usual", "spare"];

let mock: Mock;
let gateway: Gateway;

beforeAll(async () => {
  mock = await startMock();
  gateway = await startGateway({
    workers: 2,
    config: JSON.stringify({
      tenants: [
        { id: "acme", api_keys: [{ id: "web", secret: KEYS.acme }], models: ["auto"], limits: { requests_per_day: 1000 } },
        { id: "beta", api_keys: [{ id: "web", secret: KEYS.beta }], models: ["usual"] },
      ],
      models: [
        ...MODELS.map((name) => ({ name, pool: "gpu", upstream_model: `mock;tag=${name}`, ...(name === "usual" && { pool: "dead", fallback: ["spare"] }) })),
        {
          name: "auto",
          choose: [
            { when: { tools: true }, use: "tools" },
            { when: { header: { name: "X-Tier", values: ["gold"] }, tenants: ["ac*"] }, use: "gold" },
            { when: { stream: true }, use: "stream" },
            { when: { prompt_tokens_below: 20, days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], hours: "00:00-24:00" }, use: "short" },
            { use: "usual" },
          ],
        },
      ],
      pools: [
        { name: "gpu", endpoints: [{ url: mock.url }] },
        { name: "dead", endpoints: [{ url: "http://127.0.0.1:9" }], retries: { attempts: 1 } },
      ],
    }),
  });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

function ask(more: Record<string, unknown> = {}, headers: Record<string, string> = {}, key = KEYS.acme): Promise<Answer> {
  const body = JSON.stringify({ model: "auto", messages: [{ role: "user", content: "Hello" }], ...more });
  return send(gateway.port, { body, key, headers });
}

const LONG = { messages: [{ role: "user", content: "a long story ".repeat(50) }] };
const TOOL = [{ type: "function", function: { name: "look", parameters: {} } }];

it.each([
  ["short", {}, {}],
  ["usual", LONG, {}],
  ["stream", { ...LONG, stream: true }, {}],
  ["gold", { ...LONG, stream: true }, { "x-tier": "gold" }],
  ["stream", { stream: true }, { "x-tier": "golden" }],
  ["tools", { ...LONG, tools: TOOL }, { "x-tier": "gold" }],
  ["tools", { functions: [{ name: "look" }] }, {}],
  ["short", { tools: [] }, {}],
  ["short", { tools: null }, {}],
] as const)("takes %s for %j with %j", async (expected, more, headers) => {
  const answer = await ask(more, headers);
  // The one for all others has nobody to serve it, and a model in its place.
  const model = expected === "usual" ? "spare" : expected;
  expect(answer.status).toBe(200);
  expect(answer.headers["x-sluice-model"]).toBe(model);
  expect((await mock.lastRequest()).model).toBe(`mock;tag=${model}`);
  const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
  expect(line).toMatchObject({ model, pool: "gpu", ending: "finished", attempts: expected === "usual" ? 2 : 1 });
});

it("is what a tenant must be allowed to ask for, and is in the list of models", async () => {
  expect((await ask({ model: "gold" })).status).toBe(403);
  expect((await ask({}, {}, KEYS.beta)).status).toBe(403);
  const list = await send(gateway.port, { method: "GET", path: "/v1/models", key: KEYS.acme });
  expect((JSON.parse(list.text) as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual(["auto"]);
  expect((await send(gateway.port, { method: "GET", path: "/v1/models/auto", key: KEYS.acme })).status).toBe(200);
  expect((await send(gateway.port, { method: "GET", path: "/v1/models/auto", key: KEYS.beta })).status).toBe(404);
});
