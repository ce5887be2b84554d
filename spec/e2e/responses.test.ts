import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type ResponsesUpstream, startResponsesUpstream } from "../support/responses_upstream.ts";

const KEYS = {
  acme: "sk-sluice-acme-web-0123456789abcdef", batch: "sk-sluice-acme-batch-0123456789abcd", other: "sk-sluice-other-web-0123456789abcde",
  guarded: "sk-sluice-guarded-web-0123456789abc", usual: "sk-sluice-usual-web-0123456789abcde",
};
type Caller = keyof typeof KEYS;

let one: ResponsesUpstream;
let two: ResponsesUpstream;
let gateway: Gateway;

function configuration(more: object = {}, endpoints = [{ url: one.url }, { url: two.url }], accounts = ["a", "b"]): string {
  return JSON.stringify({
    tenants: [
      { id: "acme", api_keys: [{ id: "web", secret: KEYS.acme }, { id: "batch", secret: KEYS.batch }], limits: { requests_per_minute: 10000, tokens_per_minute: 1000000 }, budget: { usd: 1000, period: "month" } },
      { id: "other", api_keys: [{ id: "web", secret: KEYS.other }] },
      { id: "usual", api_keys: [{ id: "web", secret: KEYS.usual }], limits: { tokens_per_minute: 1000000, reserve: "typical" } },
      { id: "guarded", api_keys: [{ id: "web", secret: KEYS.guarded }], guard: "strict" },
    ],
    models: [
      { name: "m", pool: "p", price: { input: 1, output: 2 }, fallback: ["spare"] },
      { name: "n", pool: "p" },
      { name: "spare", pool: "spare" },
      { name: "azure", pool: "azure" },
      { name: "named", pool: "named" },
    ],
    pools: [
      { name: "p", balance: "round_robin", endpoints, keys: accounts.map((id) => ({ id, secret: `account-${id}` })), retries: { attempts: 3, backoff: "10ms" }, breaker: { open: "1s" } },
      { name: "spare", endpoints: [{ url: two.url }] },
      {
        name: "named", balance: "round_robin",
        endpoints: [
          { url: one.url, upstream_model: "east", keys: [{ id: "east", secret: "account-east" }] }, { url: one.url, upstream_model: "west", keys: [{ id: "west", secret: "account-west" }] },
        ],
      },
      { name: "azure", api: "azure", endpoints: [{ url: `${one.url}/base` }], keys: [{ id: "z", secret: "azure-account" }] },
    ],
    guards: [{ name: "strict", on: ["prompt", "completion"], lexicons: [{ file: "words.txt", action: "block" }] }],
    ...more,
  });
}

beforeAll(async () => {
  [one, two] = await Promise.all([startResponsesUpstream("one"), startResponsesUpstream("two")]);
  gateway = await startGateway({ workers: 2, config: configuration(), files: { "words.txt": "forbidden\n" } });
});

beforeEach(() => {
  for (const upstream of [one, two]) Object.assign(upstream.says, { text: "hello", conversation: undefined, status: "completed", failing: 0, piece: undefined, linger: undefined, error: undefined });
});

afterAll(async () => {
  await gateway?.stop();
  await Promise.all([one?.stop(), two?.stop()]);
});

function create(caller: Caller, document: object = {}, path = "/v1/responses"): Promise<Answer> {
  return send(gateway.port, { path, key: KEYS[caller], body: JSON.stringify({ model: "m", input: "hi", ...document }) });
}

function ask(caller: Caller, method: string, path: string, more: object = {}): Promise<Answer> {
  return send(gateway.port, { method, path, key: KEYS[caller], ...more });
}

function idOf(answer: Answer): string {
  const [, id] = /"id":"(resp_\w+)"/.exec(answer.text) ?? [];
  if (id === undefined) throw new Error(`no id in ${answer.status} ${answer.text}`);
  return id;
}

const upstreamOf = (id: string): ResponsesUpstream => (id.startsWith("resp_one") ? one : two);
const itemOf = (id: string): string => id.replace("resp_", "msg_");

/** How many requests both have had. */
const asked = (): number => one.seen.length + two.seen.length;

/** Where a response was made, and with which account. */
function madeBy(id: string): { upstream: ResponsesUpstream; authorization: string } {
  const upstream = upstreamOf(id);
  return { upstream, authorization: upstream.makers.get(id)! };
}

describe("a response that was made before", () => {
  it.each([false, true])("is got, listed, cancelled and deleted where it was made, with the account that made it (streamed: %s)", async (stream) => {
    for (let round = 0; round < 6; round++) {
      const id = idOf(await create("acme", { stream }));
      const { authorization, upstream } = madeBy(id);
      for (const [method, end] of [["GET", ""], ["GET", "/input_items"], ["POST", "/cancel"], ["DELETE", ""]] as const) {
        const answer = await ask("acme", method, `/v1/responses/${id}${end}`);
        expect(answer.status).toBe(200);
        expect(upstream.seen.at(-1)).toMatchObject({ method, url: `/v1/responses/${id}${end}`, authorization, body: "" });
        const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
        expect(line).toMatchObject({ tenant: "acme", model: "m", pool: "p", endpoint: upstream.url, status: 200, cost_nano_usd: 0, input_tokens: 0, output_tokens: 0 });
      }
      const before = asked();
      expect((await ask("acme", "GET", `/v1/responses/${id}`)).status).toBe(404);
      expect(asked()).toBe(before);
    }
  });

  it("is as unknown to another tenant as one that never was, by every id of it", async () => {
    Object.assign(one.says, { conversation: "conv_one" });
    Object.assign(two.says, { conversation: "conv_one" });
    const own = idOf(await create("other"));
    for (const stream of [false, true]) {
      const id = idOf(await create("acme", { stream }));
      const before = asked();
      const answers: Answer[] = [];
      for (const strange of [id, "resp_never"]) {
        for (const [method, end] of [["GET", ""], ["GET", "?stream=true"], ["GET", "/input_items"], ["POST", "/cancel"], ["DELETE", ""]] as const) {
          answers.push(await ask("other", method, `/v1/responses/${strange}${end}`));
        }
        for (const path of ["/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens", "/openai/v1/responses", "/openai/responses/"]) {
          for (const body of [
            { previous_response_id: strange },
            { input: [{ type: "item_reference", id: itemOf(strange) }] },
            { input: [{ role: "user", content: "x" }, { id: itemOf(strange) }] },
            { input: [{ type: null, id: itemOf(strange) }] },
            { input: [{ type: "reasoning", id: itemOf(strange), summary: [] }] },
            { input: [{ type: "image_generation_call", id: itemOf(strange) }] },
            { previous_response_id: own, input: [{ type: "item_reference", id: itemOf(strange) }] },
          ]) {
            answers.push(await create("other", body, path));
          }
        }
      }
      expect(asked()).toBe(before);
      for (const answer of answers) {
        expect(answer.status).toBe(404);
        expect(errorOf(answer)).toMatchObject({ type: "invalid_request_error", code: "not_found" });
        expect(answer.text).not.toContain("hello");
      }
    }
  });

  it("lets nobody into a conversation but those that have been in it", async () => {
    expect((await create("acme", { conversation: "conv_shared" })).status).toBe(404);
    Object.assign(one.says, { conversation: "conv_shared" });
    Object.assign(two.says, { conversation: "conv_shared" });
    for (const stream of [false, true]) {
      await create("acme", { stream });
      const before = asked();
      for (const conversation of ["conv_shared", { id: "conv_shared" }, { id: "conv_shared", more: 1 }, {}, 7, ["conv_shared"], "conv_\u0073hared"]) {
        expect((await create("other", { conversation })).status).toBe(404);
      }
      expect(asked()).toBe(before);
      expect((await create("acme", { conversation: "conv_shared" })).status).toBe(200);
      expect((await create("acme", { conversation: { id: "conv_shared" } })).status).toBe(200);
    }
  });

  it.each([
    ['{"model":"m","input":"x","previous_response_id":"ID","Previous_response_id":null}', 400],
    ['{"model":"m","input":[{"type":"item_reference","Id":"ID"}]}', 400],
    ['{"model":"m","input":"x","previous_response_\\u0069d":"ID"}', 404],
    ['{"model":"m","input":"x","previous_response_id":"\\u0072ID"}', 404],
    ['{"model":"m","input":[{"\\u0069d":"ID","typ\\u0065":"item_reference"}]}', 404],
    ['{"model":"m","input":[{"id":"ID"},{"id":null}]}', 404],
    ['{"model":"m","input":{"id":"ID"}}', 404],
    ['{"model":"m","input":"x","previous_response_id":"../ID"}', 404],
    ['{"model":"m","input":"x","previous_response_id":""}', 404],
    ['{"model":"m","input":"x","previous_response_id":{"id":"ID"}}', 404],
  ])("can't be reached by another spelling: %s", async (body, status) => {
    const id = idOf(await create("acme"));
    const before = asked();
    const answer = await send(gateway.port, { path: "/v1/responses", key: KEYS.other, body: body.replace("ID", body.includes("input\":[") || body.includes("input\":{") ? itemOf(id) : id) });
    expect(answer.status).toBe(status);
    expect(asked()).toBe(before);
  });

  it("is gone on from at its endpoint, with its account, by any key of the tenant", async () => {
    for (let round = 0; round < 8; round++) {
      const id = idOf(await create("acme"));
      const { authorization, upstream } = madeBy(id);
      for (const body of [
        { previous_response_id: id }, { previous_response_id: id, stream: true }, { model: "n", previous_response_id: id },
        { input: [{ role: "user", content: "x" }, { type: "item_reference", id: itemOf(id) }] },
      ]) {
        const before = upstream.seen.length;
        expect((await create("batch", body)).status).toBe(200);
        expect(upstream.seen.slice(before)).toMatchObject([{ authorization }]);
      }
    }
  });

  it.each([401, 403, 429, 500, 503])("is asked for nowhere else, and with no other account, if that answers with %s", async (failing) => {
    const id = idOf(await create("acme"));
    const { authorization, upstream } = madeBy(id);
    upstream.says.failing = failing;
    const before = [one.seen.length, two.seen.length];
    const answers = [
      await ask("acme", "GET", `/v1/responses/${id}`), await ask("acme", "DELETE", `/v1/responses/${id}`), await create("acme", { previous_response_id: id }),
      await create("acme", { input: [{ type: "item_reference", id: itemOf(id) }] }),
    ];
    for (const { status } of answers) expect(status).toBeGreaterThanOrEqual(400);
    const [index, other] = upstream === one ? [0, 1] : [1, 0];
    const seen = [one.seen.slice(before[0]), two.seen.slice(before[1])];
    expect(seen[other]).toEqual([]);
    expect(new Set(seen[index]!.map((each) => each.authorization))).toEqual(new Set([authorization]));
    upstream.says.failing = 0;
    // It may rest until its breaker lets it be tried.
    await expect.poll(async () => (await ask("acme", "GET", `/v1/responses/${id}`)).status, { timeout: 20000 }).toBe(200);
  });

  it.each([1, 7, 100])("is learnt from a JSON answer that comes in pieces of %s bytes", async (piece) => {
    for (const caller of ["acme", "guarded"] as const) {
      for (const upstream of [one, two]) upstream.says.piece = piece;
      const id = idOf(await create(caller));
      expect((await create(caller, { previous_response_id: id, input: [{ type: "item_reference", id: itemOf(id) }] })).status).toBe(200);
    }
  });

  it("is learnt from a long answer", async () => {
    for (const upstream of [one, two]) upstream.says.text = "long ".repeat(1200000);
    const id = idOf(await create("acme"));
    expect((await ask("acme", "DELETE", `/v1/responses/${id}`)).status).toBe(200);
  });

  it("is gone if its client left before its end, or its budget has cut it", async () => {
    const controller = new AbortController();
    let text = "";
    for (const upstream of [one, two]) upstream.says.hold = true;
    await expect(send(gateway.port, {
      path: "/v1/responses", key: KEYS.acme, body: JSON.stringify({ model: "m", input: "x", stream: true }), signal: controller.signal,
      onData: (data) => {
        text += data.toString();
        if (text.includes("response.output_item.done")) controller.abort();
      },
    }).then((answer) => answer.complete)).resolves.toBe(false);
    for (const upstream of [one, two]) upstream.says.hold = false;
    const [, id = ""] = /"id":"(resp_\w+)"/.exec(text) ?? [];
    await expect.poll(async () => (await ask("acme", "GET", `/v1/responses/${id}`)).status, { timeout: 10000 }).toBe(404);
    expect((await create("acme", { input: [{ type: "item_reference", id: itemOf(id) }] })).status).toBe(404);
  });

  it("goes on at once from one that is still on its way", async () => {
    const streamed = await create("acme", { stream: true });
    expect((await create("acme", { previous_response_id: idOf(streamed) })).status).toBe(200);
  });

  it("is no reference where it is null, nor where an item says everything itself", async () => {
    for (const body of [
      { previous_response_id: null, conversation: null },
      { input: [{ type: "message", role: "assistant", id: "msg_elsewhere", content: [] }, { role: "assistant", id: "x", content: "y" }] },
      { input: [{ type: "function_call", id: "fc_elsewhere", call_id: "c", name: "f", arguments: "{}" }, { type: "function_call_output", id: null, call_id: "c", output: "x" }] },
      { input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "x", id: "y" }] }] },
    ]) {
      expect((await create("acme", body)).status).toBe(200);
    }
  });

  it("refuses what was made in two places", async () => {
    const ids = new Map<string, string>();
    for (let round = 0; round < 8; round++) {
      const id = idOf(await create("acme"));
      ids.set(upstreamOf(id).url, id);
    }
    const [first = "", second = ""] = [...ids.values()];
    const answer = await create("acme", { previous_response_id: first, input: [{ type: "item_reference", id: itemOf(second) }] });
    expect(answer.status).toBe(400);
    expect(errorOf(answer).code).toBe("references_apart");
  });

  it("takes of a query what the API has, and refuses what can't be its values", async () => {
    const id = idOf(await create("acme"));
    const { upstream } = madeBy(id);
    await ask("acme", "GET", `/v1/responses/${id}?include[]=reasoning.encrypted_content&include%5B%5D=a.b&key=secret&starting_after=3&stream=true&api-version=x`);
    expect(upstream.seen.at(-1)!.url).toBe(`/v1/responses/${id}?include%5B%5D=reasoning.encrypted_content&include%5B%5D=a.b&starting_after=3&stream=true`);
    await ask("acme", "GET", `/v1/responses/${id}/input_items?limit=5&order=asc&after=a&before=b&include_obfuscation=false&x=1`);
    expect(upstream.seen.at(-1)!.url).toBe(`/v1/responses/${id}/input_items?limit=5&order=asc&after=a&before=b&include_obfuscation=false`);
    const before = asked();
    for (const query of ["limit=1%0d%0a", "stream=a/b", "after=", `order=${"a".repeat(200)}`]) {
      expect((await ask("acme", "GET", `/v1/responses/${id}?${query}`)).status).toBe(400);
    }
    expect(asked()).toBe(before);
  });

  it("is the same below the paths of Azure's clients, and with a slash at the end", async () => {
    const id = idOf(await create("acme"));
    for (const path of [`/openai/v1/responses/${id}?api-version=x`, `/openai/responses/${id}`, `/v1/responses/${id}/`, `/openai/responses/${id}/input_items/`]) {
      expect([path, (await ask("acme", "GET", path)).status]).toEqual([path, 200]);
      expect([path, (await ask("other", "GET", path)).status]).toEqual([path, 404]);
    }
  });

  it("has no other methods and pages", async () => {
    const id = idOf(await create("acme"));
    for (const [method, path, status, allow] of [
      ["PUT", id, 405, "GET, DELETE"], ["POST", id, 405, "GET, DELETE"], ["HEAD", id, 405, "GET, DELETE"], ["GET", `${id}/cancel`, 405, "POST"],
      ["POST", `${id}/input_items`, 405, "GET"], ["GET", `${id}/more`, 404, undefined], ["GET", "a.b", 404, undefined],
      ["GET", "a".repeat(129), 404, undefined], ["GET", "a%2Fb", 404, undefined],
    ] as const) {
      const answer = await ask("acme", method, `/v1/responses/${path}`);
      expect([method, path, answer.status, answer.headers.allow]).toEqual([method, path, status, allow]);
    }
  });

  it("does not send on a body with a request that has none", async () => {
    const id = idOf(await create("acme"));
    const { upstream } = madeBy(id);
    await ask("acme", "POST", `/v1/responses/${id}/cancel`, { body: '{"model":"x"}' });
    expect(upstream.seen.at(-1)).toMatchObject({ method: "POST", body: "" });
  });

  it("lies below Azure's path in a pool of Azure's", async () => {
    const id = idOf(await create("acme", { model: "azure" }));
    for (const [method, end] of [["GET", ""], ["GET", "/input_items"], ["POST", "/cancel"], ["DELETE", ""]] as const) {
      expect((await ask("acme", method, `/v1/responses/${id}${end}`)).status).toBe(200);
      expect(one.seen.at(-1)!.url).toBe(`/base/openai/v1/responses/${id}${end}`);
    }
    expect((await create("acme", { model: "azure" }, "/v1/responses/compact")).status).toBe(200);
    expect(one.seen.at(-1)!.url).toBe("/base/openai/v1/responses/compact");
  });

  it("stays with a deployment that has a name and a key of its own beside others at one address", async () => {
    const accounts = new Set<string>();
    for (let round = 0; round < 4; round++) {
      const id = idOf(await create("acme", { model: "named" }));
      const { authorization } = madeBy(id);
      accounts.add(authorization);
      expect((await ask("acme", "GET", `/v1/responses/${id}`)).status).toBe(200);
      expect(one.seen.at(-1)).toMatchObject({ method: "GET", authorization, body: "" });
      expect((await create("acme", { model: "named", previous_response_id: id })).status).toBe(200);
      expect(one.seen.at(-1)!.authorization).toBe(authorization);
      expect(one.seen.at(-1)!.body).toContain(authorization.replace("Bearer account-", '"model":"'));
    }
    expect(accounts.size).toBe(2);
  });

  it("is not let in without a key, and counts as a request", async () => {
    const id = idOf(await create("acme"));
    expect((await ask("acme", "GET", `/v1/responses/${id}`, { key: null })).status).toBe(401);
    const answer = await ask("acme", "GET", `/v1/responses/${id}`);
    const again = await ask("acme", "GET", `/v1/responses/${id}`);
    expect(Number(answer.headers["x-ratelimit-remaining-requests"]) - Number(again.headers["x-ratelimit-remaining-requests"])).toBe(1);
    expect(again.headers["x-ratelimit-remaining-tokens"]).toBe(answer.headers["x-ratelimit-remaining-tokens"]);
  });
});

describe("a guard", () => {
  it.each([false, true])("reads what is got later, and nobody comes back to what it has blocked (streamed: %s)", async (stream) => {
    const id = idOf(await create("guarded", { stream }));
    expect((await ask("guarded", "GET", `/v1/responses/${id}`)).text).toContain("hello");
    for (const path of [`/v1/responses/${id}`, `/v1/responses/${id}?stream=true`, `/v1/responses/${id}/input_items`]) {
      expect((await ask("guarded", "GET", path)).status).toBe(200);
    }
    for (const upstream of [one, two]) upstream.says.text = "this is forbidden here";
    const blocked = await create("guarded", { stream });
    expect(blocked.status).toBe(200);
    expect(blocked.text).not.toContain("forbidden");
    const gone = idOf(blocked);
    const before = asked();
    for (const path of [`/v1/responses/${gone}`, `/v1/responses/${gone}?stream=true`, `/v1/responses/${gone}/input_items`]) {
      expect((await ask("guarded", "GET", path)).status).toBe(404);
    }
    for (const body of [{ previous_response_id: gone }, { input: [{ type: "item_reference", id: itemOf(gone) }] }]) {
      expect((await create("guarded", body)).status).toBe(404);
    }
    expect(asked()).toBe(before);
  });

  it.each(["", "?stream=true"])("blocks what was made in the background when it is got (%s)", async (query) => {
    for (const upstream of [one, two]) upstream.says.text = "this is forbidden here";
    const id = idOf(await create("guarded", { background: true }));
    const got = await ask("guarded", "GET", `/v1/responses/${id}${query}`);
    expect(got.status).toBe(200);
    expect(got.text).not.toContain("forbidden");
    expect((await gateway.journalLine(String(got.headers["x-request-id"]))).ending).toBe("blocked");
    expect((await ask("guarded", "GET", `/v1/responses/${id}`)).status).toBe(404);
    expect((await create("guarded", { input: [{ type: "item_reference", id: itemOf(id) }] })).status).toBe(404);
  });

  it("reads the items of an input", async () => {
    const id = idOf(await create("guarded"));
    for (const upstream of [one, two]) upstream.says.text = "this is forbidden here";
    const list = await ask("guarded", "GET", `/v1/responses/${id}/input_items`);
    expect(list.text).not.toContain("forbidden");
  });

  it("reads prompts and answers of a compaction", async () => {
    const refused = await create("guarded", { input: "forbidden" }, "/v1/responses/compact");
    expect([refused.status, errorOf(refused).code]).toEqual([403, "content_filter"]);
    for (const upstream of [one, two]) upstream.says.text = "this is forbidden here";
    expect((await create("guarded", {}, "/v1/responses/compact")).text).not.toContain("forbidden");
  });
});

describe("a compaction", () => {
  it("is limited, reserved and charged by its usage, and made where its input is", async () => {
    const id = idOf(await create("acme"));
    const { authorization, upstream } = madeBy(id);
    const answer = await create("acme", { previous_response_id: id }, "/v1/responses/compact");
    expect(answer.status).toBe(200);
    expect(upstream.seen.at(-1)).toMatchObject({ method: "POST", url: "/v1/responses/compact", authorization });
    const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
    expect(line).toMatchObject({ input_tokens: 10, output_tokens: 5, cost_nano_usd: 20000, usage_from: "upstream", ending: "finished" });
    expect(line.reserved_tokens).toBeGreaterThan(10);
  });
});

describe("an answer made in the background", () => {
  it("is charged once, with the first GET that has its usage, also of many at the same time", async () => {
    for (const upstream of [one, two]) upstream.says.status = "in_progress";
    const created = await create("acme", { background: true });
    const id = idOf(created);
    const lines = async (answers: Answer[]) => Promise.all(answers.map((answer) => gateway.journalLine(String(answer.headers["x-request-id"]))));
    const early = await ask("acme", "GET", `/v1/responses/${id}`);
    for (const line of await lines([created, early])) expect(line).toMatchObject({ cost_nano_usd: 0, output_tokens: 0, ending: "finished" });
    for (const upstream of [one, two]) upstream.says.status = "completed";
    const many = await Promise.all(Array.from({ length: 12 }, (_, index) => ask("acme", "GET", `/v1/responses/${id}${index % 2 ? "?stream=true" : ""}`)));
    const costs = (await lines(many)).map((line) => [line.input_tokens, line.output_tokens, line.cost_nano_usd]);
    expect(costs.filter(([, , cost]) => cost !== 0)).toEqual([[10, 5, 20000]]);
    expect(await lines([await ask("acme", "GET", `/v1/responses/${id}`)])).toMatchObject([{ cost_nano_usd: 0 }]);
  });

  it.each(["GET", "DELETE"])("is reserved until its %s", async (method) => {
    const acme = async (): Promise<{ reserved_nano_usd: number; spent_nano_usd: number }> => {
      const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as { tenants?: unknown; limits?: unknown };
      const found = Object.values(status).flat().find((each) => (each as { tenant?: string } | null)?.tenant === "acme");
      return found as { reserved_nano_usd: number; spent_nano_usd: number };
    };
    await expect.poll(async () => (await acme()).reserved_nano_usd, { timeout: 10000 }).toBe(0);
    const before = await acme();
    const created = await create("acme", { background: true, max_output_tokens: 1000 });
    await gateway.journalLine(String(created.headers["x-request-id"]));
    const held = await acme();
    expect(held.reserved_nano_usd).toBeGreaterThanOrEqual(2000000);
    expect(held.spent_nano_usd).toBe(before.spent_nano_usd);
    expect((await ask("acme", method, `/v1/responses/${idOf(created)}`)).status).toBe(200);
    await expect.poll(async () => (await acme()).reserved_nano_usd, { timeout: 10000 }).toBe(0);
    expect((await acme()).spent_nano_usd - before.spent_nano_usd).toBe(method === "GET" ? 20000 : 0);
  });

  it("is charged as it is seen, where its stream is left, and the rest with its usage", async () => {
    const id = idOf(await create("acme", { background: true }));
    for (const upstream of [one, two]) upstream.says.hold = true;
    const charged: [number, number][] = [];
    for (let round = 0; round < 2; round++) {
      const controller = new AbortController();
      const left = await send(gateway.port, {
        method: "GET", path: `/v1/responses/${id}?stream=true`, key: KEYS.acme, signal: controller.signal, onData: (data) => data.includes("output_item.done") && controller.abort(),
      });
      const line = await gateway.journalLine(String(left.headers["x-request-id"]));
      expect(line).toMatchObject({ ending: "client_gone" });
      charged.push([line.input_tokens, line.output_tokens]);
    }
    for (const upstream of [one, two]) upstream.says.hold = false;
    expect(charged).toEqual([[0, expect.toSatisfy((output: number) => output > 0 && output < 5)], [0, 0]]);
    const got = await ask("acme", "GET", `/v1/responses/${id}`);
    expect(await gateway.journalLine(String(got.headers["x-request-id"]))).toMatchObject({ input_tokens: 10, output_tokens: 5 - charged[0]![1] });
    const again = await ask("acme", "GET", `/v1/responses/${id}`);
    expect(await gateway.journalLine(String(again.headers["x-request-id"]))).toMatchObject({ cost_nano_usd: 0 });
  });

  it("that was streamed to its end is charged then, and not again", async () => {
    const streamed = await create("acme", { background: true, stream: true });
    expect(await gateway.journalLine(String(streamed.headers["x-request-id"]))).toMatchObject({ cost_nano_usd: 20000 });
    const got = await ask("acme", "GET", `/v1/responses/${idOf(streamed)}`);
    expect(await gateway.journalLine(String(got.headers["x-request-id"]))).toMatchObject({ cost_nano_usd: 0 });
  });
});

describe("an answer made in the background that goes wrong, or is asked for early", () => {
  it("is charged once, though it is got before its stream has ended", async () => {
    for (const upstream of [one, two]) upstream.says.linger = 300;
    const before = new Set([...one.makers.keys(), ...two.makers.keys()]);
    const streamed = create("acme", { background: true, stream: true });
    const made = (): string | undefined => [...one.makers.keys(), ...two.makers.keys()].find((id) => !before.has(id));
    await expect.poll(made).toBeDefined();
    await expect.poll(async () => (await ask("acme", "GET", `/v1/responses/${made()!}/input_items`)).status).toBe(200);
    const got = await ask("acme", "GET", `/v1/responses/${made()!}`);
    const lines = await Promise.all([got, await streamed].map((answer) => gateway.journalLine(String(answer.headers["x-request-id"]))));
    expect(lines.reduce((sum, { cost_nano_usd }) => sum + cost_nano_usd, 0)).toBe(20000);
  });

  it("is as much as others by what is usual of the limits, when it is charged, and takes nothing of them by being got", async () => {
    const lineOf = (answer: Answer) => gateway.journalLine(String(answer.headers["x-request-id"]));
    const id = idOf(await create("usual", { background: true, max_output_tokens: 90000 }));
    expect(await lineOf(await ask("usual", "GET", `/v1/responses/${id}`))).toMatchObject({ output_tokens: 5 });
    expect((await lineOf(await create("usual", { max_output_tokens: 90000 }))).reserved_tokens).toBeLessThan(1000);
  });

  it("is a page like any when it has failed, which says nothing of who serves it", async () => {
    const error = { code: "server_error", message: "it broke" };
    for (const upstream of [one, two]) Object.assign(upstream.says, { status: "failed", error });
    const id = idOf(await create("acme", { background: true }));
    for (let round = 0; round < 12; round++) {
      const got = await ask("acme", "GET", `/v1/responses/${id}`);
      expect([got.status, got.text.includes("it broke")]).toEqual([200, true]);
      expect(await gateway.journalLine(String(got.headers["x-request-id"]))).toMatchObject({ ending: "finished", cost_nano_usd: 0 });
    }
  });
});

it("answers a WebSocket's upgrade with 426, so that a client goes on without", async () => {
  const answer = await ask("acme", "GET", "/v1/responses", { headers: { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "eA==" } });
  expect(answer.status).toBe(426);
  expect(errorOf(answer).code).toBe("upgrade_not_supported");
  expect((await ask("acme", "GET", "/v1/responses")).status).toBe(405);
});

describe("another configuration", () => {
  it("keeps responses to the keys that made them, and refuses those whose endpoint or account is gone", async () => {
    const ids: string[] = [];
    for (let round = 0; round < 8; round++) ids.push(idOf(await create("acme")));
    const ofTwo = ids.find((id) => upstreamOf(id) === two)!;
    const ofB = ids.find((id) => upstreamOf(id) === one && madeBy(id).authorization === "Bearer account-b");
    const ofA = ids.find((id) => upstreamOf(id) === one && madeBy(id).authorization === "Bearer account-a");
    const second = await startGateway({ workers: 1, config: configuration({ responses: { scope: "key" } }), files: { "words.txt": "forbidden\n" } });
    try {
      const made = await send(second.port, { path: "/v1/responses", key: KEYS.acme, body: JSON.stringify({ model: "m", input: "x" }) });
      const id = idOf(made);
      for (const [key, status] of [[KEYS.batch, 404], [KEYS.acme, 200]] as const) {
        expect((await send(second.port, { method: "GET", path: `/v1/responses/${id}`, key })).status).toBe(status);
        expect((await send(second.port, { path: "/v1/responses", key, body: JSON.stringify({ model: "m", input: "x", previous_response_id: id }) })).status).toBe(status);
      }
    } finally {
      await second.stop();
    }
    gateway.writeConfig(configuration({}, [{ url: one.url }], ["a"]));
    gateway.reload();
    for (const gone of [ofTwo, ofB]) {
      if (gone === undefined) continue;
      await expect.poll(async () => (await ask("acme", "GET", `/v1/responses/${gone}`)).status, { timeout: 10000 }).toBe(503);
      const before = asked();
      expect((await create("acme", { previous_response_id: gone })).status).toBe(503);
      expect((await create("acme", { input: [{ type: "item_reference", id: itemOf(gone) }] })).status).toBe(503);
      expect(asked()).toBe(before);
    }
    if (ofA !== undefined) expect((await ask("acme", "GET", `/v1/responses/${ofA}`)).status).toBe(200);
  });
});
