import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Redis, startRedis } from "../support/redis.ts";
import { type ResponsesUpstream, startResponsesUpstream } from "../support/responses_upstream.ts";

const KEYS = { acme: "sk-sluice-acme-web-0123456789abcdef", other: "sk-sluice-other-web-0123456789abcde" };

let redis: Redis;
let upstream: ResponsesUpstream;
let first: Gateway;
let second: Gateway;

beforeAll(async () => {
  [redis, upstream] = await Promise.all([startRedis(), startResponsesUpstream("one")]);
  const config = JSON.stringify({
    store: { kind: "redis", redis: { url: `redis://127.0.0.1:${redis.port}/0`, on_loss: "allow", timeout_ms: 1000 } },
    tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEYS.acme }] }, { id: "other", api_keys: [{ id: "web", secret: KEYS.other }] }],
    models: [{ name: "m", pool: "p" }],
    pools: [{ name: "p", endpoints: [{ url: upstream.url }], keys: [{ id: "a", secret: "account-a" }] }],
  });
  [first, second] = await Promise.all([startGateway({ config, workers: 2 }), startGateway({ config })]);
});

afterAll(async () => {
  await Promise.all([first?.stop(), second?.stop(), upstream?.stop(), redis?.stop()]);
});

function ask(gateway: Gateway, method: string, path: string, body?: object, key = KEYS.acme): Promise<Answer> {
  return send(gateway.port, { method, path, key, ...(body && { body: JSON.stringify({ model: "m", input: "x", ...body }) }) });
}

async function create(gateway: Gateway, body: object = {}): Promise<string> {
  const answer = await ask(gateway, "POST", "/v1/responses", body);
  const [, id] = /"id":"(resp_\w+)"/.exec(answer.text) ?? [];
  if (id === undefined) throw new Error(`no id in ${answer.status} ${answer.text}`);
  return id;
}

const status = async (gateway: Gateway, id: string, key?: string): Promise<number> => (await ask(gateway, "GET", `/v1/responses/${id}`, undefined, key)).status;

it("a response is known to all gateways, to its tenant alone, until one of them has deleted it", async () => {
  for (const stream of [false, true]) {
    const id = await create(first, { stream });
    await expect.poll(() => status(second, id)).toBe(200);
    const before = upstream.seen.length;
    expect(await status(second, id, KEYS.other)).toBe(404);
    expect((await ask(second, "POST", "/v1/responses", { input: [{ id: id.replace("resp_", "msg_") }] }, KEYS.other)).status).toBe(404);
    expect(upstream.seen.length).toBe(before);
    expect((await ask(second, "POST", "/v1/responses", { previous_response_id: id, input: [{ id: id.replace("resp_", "msg_") }] })).status).toBe(200);
    expect((await ask(second, "DELETE", `/v1/responses/${id}`)).status).toBe(200);
    await expect.poll(() => status(first, id)).toBe(404);
    expect(await status(second, id)).toBe(404);
  }
  expect(redis.command("TTL", "sluice:{acme}:responses")).toMatch(/^\d+$/);
  expect(redis.command("EXISTS", "sluice:{other}:responses")).toBe("0");
});

it("while Redis is lost, a gateway knows what it has made, nobody gets at more, and others hear of it later", async () => {
  const before = await create(second);
  await expect.poll(() => status(first, before)).toBe(200);
  await redis.kill();
  const id = await create(first);
  expect(await status(first, id)).toBe(200);
  expect((await ask(first, "POST", "/v1/responses", { previous_response_id: id })).status).toBe(200);
  const seen = upstream.seen.length;
  for (const [gateway, key] of [[second, KEYS.acme], [first, KEYS.other]] as const) {
    const answer = await ask(gateway, "GET", `/v1/responses/${id}`, undefined, key);
    expect([answer.status, errorOf(answer).code]).toEqual([503, "store_unavailable"]);
  }
  expect(upstream.seen.length).toBe(seen);
  await redis.up();
  await expect.poll(() => status(second, id), { timeout: 20000 }).toBe(200);
  expect(await status(second, id, KEYS.other)).toBe(404);
});
