/** What coding agents ask for besides answers, and the shapes of Anthropic's API. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Exchange, type Script, type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

/** One tenant for each test that uses something up. */
const TENANTS: Record<string, { limits?: Record<string, number>; budget?: Record<string, unknown>; guard?: string; models?: string[] }> = {
  agents: {},
  few: { limits: { requests_per_minute: 3, tokens_per_minute: 1000 } },
  shown: { limits: { requests_per_minute: 10, tokens_per_minute: 100000 } },
  spent: { limits: { tokens_per_minute: 100 }, budget: { usd: 0.0001, period: "day" } },
  guarded: { guard: "watchful" },
  narrow: { models: ["claude"] },
};
const PRICE = { input: 1, output: 2 };
const MESSAGES = "/v1/messages";
const COUNTS = { messages: `${MESSAGES}/count_tokens`, responses: "/v1/responses/input_tokens" };
const SECRET = "sk-account-of-the-pool-0123456789";

let upstream: ScriptedUpstream;
let gateway: Gateway;

function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  const keys = [{ id: "one", secret: SECRET }];
  gateway = await startGateway({
    config: JSON.stringify({
      tenants: Object.entries(TENANTS).map(([id, more]) => ({ id, api_keys: [{ id: "key", secret: keyOf(id) }], ...more })),
      guards: [{ name: "watchful", on: ["prompt", "completion"], lexicons: [{ file: "words.txt", action: "block" }] }],
      models: [
        { name: "claude", pool: "anthropic", upstream_model: "claude-next", price: PRICE, max_output_tokens: 8192 },
        { name: "gpt", pool: "openai", price: PRICE },
        { name: "twice", pool: "dead", fallback: ["claude"] },
        { name: "cloud", pool: "azure" },
        { name: "patient", pool: "patient" },
      ],
      pools: [
        { name: "anthropic", api: "anthropic", endpoints: [{ url: upstream.url }], keys, retries: { attempts: 1 } },
        // More attempts are allowed than there are endpoints: what comes in the end is told in the gateway's words.
        { name: "patient", api: "anthropic", endpoints: [{ url: upstream.url }], keys },
        { name: "openai", endpoints: [{ url: upstream.url }], keys, retries: { attempts: 1 } },
        { name: "dead", api: "anthropic", endpoints: [{ url: "http://127.0.0.1:9" }], retries: { attempts: 1 } },
        { name: "azure", api: "azure", endpoints: [{ url: upstream.url }], keys },
      ],
    }),
    files: { "words.txt": "nightjar\n" },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

type Body = Record<string, unknown>;
const HELLO = { messages: [{ role: "user", content: "How many tokens have these words?" }] };

function post(path: string, body: Body, tenant = "agents", headers: Record<string, string> = {}): Promise<Answer> {
  return send(gateway.port, { path, body: JSON.stringify(body), key: keyOf(tenant), headers });
}

/** Asks for a count with a prepared answer. */
async function count(api: keyof typeof COUNTS, script: Script, body: Body = {}, tenant = "agents"): Promise<{ answer: Answer; exchange: Exchange | undefined }> {
  const user = upstream.prepare(script);
  const before = upstream.exchanges.length;
  const asked = api === "messages" ? { model: "claude", ...HELLO } : { model: "gpt", input: "How many tokens have these words?" };
  const answer = await post(`${COUNTS[api]}?beta=true`, { ...asked, ...body, user }, tenant);
  return { answer, exchange: upstream.exchanges[before] };
}

function json(text: string, status = 200): Script {
  return { pieces: [text], type: "application/json", length: true, status };
}

function typeOf(answer: Answer): unknown {
  const body = JSON.parse(answer.text) as { type?: string; error?: { type?: string } };
  return [body.type, body.error?.type];
}

async function chargeOf(answer: Answer): Promise<unknown[]> {
  const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
  return [line.ending, line.input_tokens, line.output_tokens, line.usage_from, line.cost_nano_usd];
}

describe("counting tokens", () => {
  it("is done by an upstream that can, and costs nothing", async () => {
    const tokensBefore = sumOf(await gateway.metrics(), "sluice_tokens_total");
    const { answer, exchange } = await count("messages", json('{"input_tokens": 4711 }'), { tools: [] });
    expect([answer.status, answer.text, answer.headers["x-sluice-estimate"]]).toEqual([200, '{"input_tokens": 4711 }', undefined]);
    expect(exchange?.path).toBe("/v1/messages/count_tokens");
    expect(exchange?.headers["x-api-key"]).toBe(SECRET);
    expect(JSON.parse(String(exchange?.body))).toMatchObject({ model: "claude-next", tools: [], ...HELLO });
    expect(await chargeOf(answer)).toEqual(["finished", 0, 0, null, 0]);
    const other = await count("responses", json('{"object":"response.input_tokens","input_tokens":11}'));
    expect([other.answer.status, other.exchange?.path]).toEqual([200, "/v1/responses/input_tokens"]);
    expect(other.answer.text).toBe('{"object":"response.input_tokens","input_tokens":11}');
    expect(await chargeOf(other.answer)).toEqual(["finished", 0, 0, null, 0]);
    expect(sumOf(await gateway.metrics(), "sluice_tokens_total")).toBe(tokensBefore);
  });

  it.each([404, 405, 501])("is an estimate, marked as one, where the upstream says %i", async (status) => {
    const text = { pieces: ["404 page not found\n"], type: "text/plain", length: true, status, headers: { allow: "GET", "x-sluice-estimate": "no" } };
    for (const api of ["messages", "responses"] as const) {
      const { answer } = await count(api, text);
      expect([answer.status, answer.headers["x-sluice-estimate"], answer.headers["content-type"]]).toEqual([200, "true", "application/json"]);
      const body = JSON.parse(answer.text) as { object?: string; input_tokens: number };
      expect(body.object).toBe(api === "responses" ? "response.input_tokens" : undefined);
      expect(body.input_tokens).toBeGreaterThan(4);
      expect(body.input_tokens).toBeLessThan(20);
      expect(await chargeOf(answer)).toEqual(["finished", 0, 0, null, 0]);
    }
  });

  it("tells of the upstream's errors, and of none that there is", async () => {
    const wrong = '{"type":"error","error":{"type":"invalid_request_error","message":"no"}}';
    const { answer } = await count("messages", json(wrong, 400));
    expect([answer.status, answer.text]).toEqual([400, wrong]);
    const busy = await count("messages", { ...json("{}", 529), headers: { "retry-after": "30" } });
    expect([busy.answer.status, busy.answer.headers["x-sluice-estimate"]]).toEqual([529, undefined]);
    const invalid = await post(COUNTS.messages, { messages: [] });
    expect([invalid.status, typeOf(invalid)]).toEqual([400, ["error", "invalid_request_error"]]);
    const nowhere = await post(COUNTS.messages, { model: "cloud", ...HELLO });
    expect([nowhere.status, typeOf(nowhere)]).toEqual([404, ["error", "not_found_error"]]);
  });

  it("goes to another model's pool where one can't be reached", async () => {
    const { answer } = await count("messages", json('{"input_tokens":5}'), { model: "twice" });
    expect([answer.status, answer.text, answer.headers["x-sluice-model"]]).toEqual([200, '{"input_tokens":5}', "claude"]);
  });

  it("counts as a request and not as tokens, whatever caps it names", async () => {
    const one = (): Promise<{ answer: Answer }> => count("messages", json('{"input_tokens":5}'), { max_tokens: "many" }, "few");
    const { answer } = await one();
    expect([answer.status, answer.headers["x-ratelimit-remaining-tokens"], answer.headers["x-ratelimit-remaining-requests"]]).toEqual([200, "1000", "2"]);
    await one();
    await one();
    const refused = (await one()).answer;
    expect([refused.status, typeOf(refused)]).toEqual([429, ["error", "rate_limit_error"]]);
  });

  it("goes on when the tokens and the budget are used up", async () => {
    const user = upstream.prepare(json('{"type":"message","role":"assistant","content":[],"usage":{"input_tokens":90,"output_tokens":5000}}'));
    const used = await post(MESSAGES, { model: "claude", max_tokens: 1, user, ...HELLO }, "spent");
    expect(used.status).toBe(200);
    await gateway.journalLine(String(used.headers["x-request-id"]));
    expect((await post(MESSAGES, { model: "claude", max_tokens: 1, user, ...HELLO }, "spent")).status).toBe(429);
    expect((await count("messages", json('{"input_tokens":5}'), {}, "spent")).answer.status).toBe(200);
  });

  it("comes after the guard on prompts, and the guard on answers reads what comes", async () => {
    const blocked = await count("messages", json('{"input_tokens":5}'), { system: "a nightjar" }, "guarded");
    expect([blocked.answer.status, typeOf(blocked.answer), blocked.exchange]).toEqual([403, ["error", "permission_error"], undefined]);
    const whole = await count("messages", json('{"input_tokens":5}'), {}, "guarded");
    expect([whole.answer.status, whole.answer.text]).toEqual([200, '{"input_tokens":5}']);
    const estimate = await count("responses", { pieces: ["nightjar"], type: "text/plain", status: 404 }, {}, "guarded");
    expect([estimate.answer.status, estimate.answer.headers["x-sluice-estimate"]]).toEqual([200, "true"]);
    const told = await count("messages", json('{"type":"error","error":{"type":"invalid_request_error","message":"a nightjar"}}', 400), {}, "guarded");
    expect(told.answer.text).not.toContain("nightjar");
  });
});

describe("below /v1/messages", () => {
  it.each([
    ["no credential", { key: null }, 401, "authentication_error"],
    ["another method", { method: "GET", body: "" }, 405, "invalid_request_error"],
    ["a path that is not there", { path: `${MESSAGES}/batches` }, 404, "not_found_error"],
    ["a compressed body", { headers: { "content-encoding": "gzip" } }, 415, "invalid_request_error"],
    ["an unknown model", { body: '{"model":"unknown"}' }, 404, "not_found_error"],
    ["a model that is not for this caller", { body: '{"model":"gpt"}', key: keyOf("narrow") }, 403, "permission_error"],
  ])("an error is Anthropic's: %s", async (_, options, status, type) => {
    const answer = await send(gateway.port, { path: MESSAGES, key: keyOf("agents"), ...options });
    expect([answer.status, typeOf(answer)]).toEqual([status, ["error", type]]);
    expect(answer.headers["request-id"]).toBe(answer.headers["x-request-id"]);
    expect(JSON.parse(answer.text)).toMatchObject({ request_id: answer.headers["x-request-id"] });
  });

  it("so is that of a body which nginx itself refuses", async () => {
    const announced = { "content-length": String(40 * 1024 * 1024), connection: "close" };
    for (const [path, shape] of [[MESSAGES, ["error", "request_too_large"]], ["/v1/responses", [undefined, "invalid_request_error"]]] as const) {
      const answer = await send(gateway.port, { path, key: keyOf("agents"), headers: announced, method: "GET" });
      expect([answer.status, typeOf(answer)]).toEqual([413, shape]);
      expect(answer.headers["request-id"]).toBe(path === MESSAGES ? answer.headers["x-request-id"] : undefined);
    }
  });

  it.each([[529, "overloaded_error"], [503, "overloaded_error"], [500, "api_error"]])("an upstream's %i is %s in the gateway's words", async (status, type) => {
    const user = upstream.prepare({ pieces: ["busy"], type: "text/plain", status, headers: { "retry-after": "30" } });
    const answer = await post(MESSAGES, { model: "patient", max_tokens: 9, user, ...HELLO });
    expect([answer.status, typeOf(answer), answer.headers["retry-after"]]).toEqual([status, ["error", type], "30"]);
  });

  it("an answer has the request's id and the limits by Anthropic's names", async () => {
    const before = Date.now();
    const user = upstream.prepare({
      ...json('{"type":"message","content":[],"usage":{"input_tokens":9,"output_tokens":1}}'),
      headers: { "request-id": "req_of_the_account", "anthropic-ratelimit-tokens-limit": "7", "anthropic-organization-id": "secret" },
    });
    const answer = await post(MESSAGES, { model: "claude", max_tokens: 90, user, ...HELLO }, "shown");
    const { headers } = answer;
    expect(headers["request-id"]).toBe(headers["x-request-id"]);
    expect([headers["anthropic-ratelimit-requests-limit"], headers["anthropic-ratelimit-requests-remaining"]]).toEqual(["10", "9"]);
    expect(headers["anthropic-ratelimit-tokens-limit"]).toBe("100000");
    expect(headers["anthropic-ratelimit-tokens-remaining"]).toBe(headers["x-ratelimit-remaining-tokens"]);
    expect(headers["anthropic-organization-id"]).toBeUndefined();
    for (const measure of ["requests", "tokens"]) {
      const reset = String(headers[`anthropic-ratelimit-${measure}-reset`]);
      expect(reset).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(Date.parse(reset)).toBeGreaterThan(before);
      expect(Date.parse(reset)).toBeLessThan(before + 300000);
    }
  });

  it("no other API has them", async () => {
    const { headers } = await post("/v1/chat/completions", { model: "gpt", ...HELLO }, "shown");
    expect(Object.keys(headers).filter((name) => name.startsWith("anthropic-") || name === "request-id")).toEqual([]);
    expect(headers["x-ratelimit-limit-requests"]).toBe("10");
  });

  it("the cap leaves room for the thinking that is asked for", async () => {
    const user = upstream.prepare(json('{"type":"message","content":[],"usage":{"input_tokens":9,"output_tokens":1}}'));
    const thinking = { type: "enabled", budget_tokens: 31999 };
    const answer = await post(MESSAGES, { model: "claude", max_tokens: 64000, thinking, user, ...HELLO }, "shown");
    const { body } = await upstream.exchange(user);
    expect(JSON.parse(String(body))).toMatchObject({ max_tokens: 32000, thinking });
    const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
    expect(line.reserved_tokens).toBeGreaterThan(32000);
    expect(line.reserved_tokens).toBeLessThan(32100);
  });
});

describe("the list of models", () => {
  const ANTHROPIC = { "anthropic-version": "2023-06-01" };
  const get = (path: string, tenant = "agents", headers: Record<string, string> = ANTHROPIC): Promise<Answer> =>
    send(gateway.port, { method: "GET", path, key: keyOf(tenant), headers });
  const model = (id: string): object => ({ type: "model", id, display_name: id, created_at: "1970-01-01T00:00:00Z" });

  it("is Anthropic's for clients of Anthropic's", async () => {
    const answer = await get("/v1/models?limit=1000");
    expect(JSON.parse(answer.text)).toEqual({
      data: ["claude", "gpt", "twice", "cloud", "patient"].map(model), has_more: false, first_id: "claude", last_id: "patient",
    });
    expect(answer.headers["request-id"]).toBe(answer.headers["x-request-id"]);
    expect(JSON.parse((await get("/v1/models", "narrow")).text)).toMatchObject({ data: [model("claude")], first_id: "claude", last_id: "claude" });
    expect(JSON.parse((await get("/v1/models/gpt")).text)).toEqual(model("gpt"));
    const unknown = await get("/v1/models/gpt", "narrow");
    expect([unknown.status, typeOf(unknown)]).toEqual([404, ["error", "not_found_error"]]);
    const stranger = await send(gateway.port, { method: "GET", path: "/v1/models", key: null, headers: ANTHROPIC });
    expect([stranger.status, typeOf(stranger)]).toEqual([401, ["error", "authentication_error"]]);
  });

  it("is OpenAI's for others", async () => {
    const answer = await get("/v1/models/", "narrow", {});
    expect(JSON.parse(answer.text)).toMatchObject({ object: "list", data: [{ id: "claude", object: "model" }] });
    expect(answer.headers["request-id"]).toBeUndefined();
  });
});

describe("a path", () => {
  it("may end with a slash", async () => {
    for (const path of ["/v1/chat/completions/", "/v1/responses/", "//v1//chat/completions/"]) {
      expect((await post(path, { model: "gpt", ...HELLO, input: "x" })).status).toBe(200);
    }
    expect((await count("messages", json("{}"))).answer.status).toBe(200);
    expect((await post(`${COUNTS.messages}/`, { model: "claude", ...HELLO })).status).toBe(200);
    expect((await post("/v1/chat/completions//x", { model: "gpt" })).status).toBe(404);
  });

  it("of nothing says that somebody is there, and nothing more", async () => {
    const answer = await send(gateway.port, { method: "HEAD", path: "/", key: null });
    expect([answer.status, answer.text]).toEqual([200, ""]);
    expect(answer.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
    for (const [method, path] of [["GET", "/"], ["POST", "/"], ["HEAD", "/v1"]] as const) {
      expect((await send(gateway.port, { method, path, key: null })).status).toBe(404);
    }
  });
});
