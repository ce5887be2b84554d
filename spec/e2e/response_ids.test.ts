import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";

const KEYS = { acme: "sk-sluice-acme-web-0123456789abcdef", batch: "sk-sluice-acme-batch-0123456789abcd", other: "sk-sluice-other-web-0123456789abcde" };
type Caller = keyof typeof KEYS;
type Item = Record<string, unknown>;
interface Asked { request_id?: string; background?: unknown; input?: string | Item[]; stream?: boolean }

let gateway: Gateway;
let count = 0;
let asked = 0;
const servers: Server[] = [];

/** A server that names a response as it is asked to, as vLLM and SGLang do, and gives the ids of items back that it was sent. */
async function startServer(fixed?: string): Promise<string> {
  const kept = new Map<string, { answer: Item; input: Item[] }>();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      asked += 1;
      const json = (document: unknown): void => void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(document));
      const [, id, rest] = /\/responses\/([^/?]+)([^?]*)/.exec(request.url ?? "") ?? [];
      if (id !== undefined && id !== "compact") {
        const { answer, input } = kept.get(id)!;
        json(rest === "/input_items" ? { object: "list", data: input, has_more: false } : answer);
        return;
      }
      const body = JSON.parse(Buffer.concat(parts).toString()) as Asked;
      count += 1;
      const input = Array.isArray(body.input) ? body.input : [];
      const own = { id: `msg_${count}`, type: "message", role: "assistant", status: "completed", content: [{ type: "output_text", text: "secret" }] };
      const answer = {
        id: body.request_id ?? fixed ?? `resp_${count}`, object: "response", status: "completed", output: id === "compact" ? [...input, { id: `cmp_${count}`, type: "compaction", encrypted_content: "x" }] : [own],
        usage: { input_tokens: 10, output_tokens: 500, total_tokens: 510 },
      };
      kept.set(answer.id, { answer, input });
      json(body.background === true || body.background === "true" || body.background === 1 ? { ...answer, status: "queued", output: [], usage: null } : answer);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

beforeAll(async () => {
  const [url, alike, alike_too] = await Promise.all([startServer(), startServer("resp_1000"), startServer("resp_1000")]);
  gateway = await startGateway({
    workers: 2,
    config: JSON.stringify({
      limits: { reserve: "typical" },
      tenants: [
        { id: "acme", api_keys: [{ id: "web", secret: KEYS.acme }, { id: "batch", secret: KEYS.batch }], limits: { tokens_per_minute: 10000000 } },
        { id: "other", api_keys: [{ id: "web", secret: KEYS.other }] },
      ],
      models: [{ name: "m", pool: "p" }, { name: "one", pool: "one" }, { name: "two", pool: "two" }],
      pools: [{ name: "p", endpoints: [{ url }] }, { name: "one", endpoints: [{ url: alike }] }, { name: "two", endpoints: [{ url: alike_too }] }],
    }),
  });
});

afterAll(async () => {
  await gateway?.stop();
  for (const server of servers) server.closeAllConnections();
  for (const server of servers) server.close();
});

function create(caller: Caller, document: object = {}, path = "/v1/responses"): Promise<Answer> {
  return send(gateway.port, { path, key: KEYS[caller], body: JSON.stringify({ model: "m", input: "hi", ...document }) });
}

function get(caller: Caller, path: string): Promise<Answer> {
  return send(gateway.port, { method: "GET", path: `/v1/responses/${path}`, key: KEYS[caller] });
}

const made = (answer: Answer): { id: string; output: { id: string }[] } => JSON.parse(answer.text) as { id: string; output: { id: string }[] };

it("learns no id that a client may have put there itself", async () => {
  const item = made(await create("acme")).output[0]!.id;
  for (const path of ["/v1/responses", "/v1/responses/compact"]) {
    const echoing = await create("other", { input: [{ type: "message", id: item, role: "user", content: "x" }] }, path);
    expect(echoing.status).toBe(200);
    if (path === "/v1/responses") expect((await get("other", `${made(echoing).id}/input_items`)).text).toContain(item);
    const before = asked;
    expect((await create("other", { input: [{ type: "item_reference", id: item }] })).status).toBe(404);
    expect(asked).toBe(before);
  }
  const compacted = made(await create("acme", {}, "/v1/responses/compact")).output[0]!;
  expect((await create("acme", { input: [{ ...compacted }, { type: "item_reference", id: item }] })).status).toBe(200);
});

it("lets no client name its response", async () => {
  const { id } = made(await create("acme"));
  const before = asked;
  for (const request_id of [id, "resp_new", 7, ["x"], "resp\u005fx"]) {
    const answer = await create("other", { request_id });
    expect(answer.status).toBe(400);
    expect(errorOf(answer)).toMatchObject({ type: "invalid_request_error", code: "unsupported_parameter", param: "request_id" });
  }
  expect(asked).toBe(before);
  expect((await get("other", id)).status).toBe(404);
  expect((await get("acme", id)).status).toBe(200);
});

it("gives nobody what two tenants know by one id of one server, and each its own of two servers", async () => {
  expect((await create("acme", { model: "one" })).status).toBe(200);
  expect((await create("other", { model: "two" })).status).toBe(200);
  expect((await get("acme", "resp_1000")).headers["x-sluice-model"]).toBe("one");
  expect((await get("other", "resp_1000")).headers["x-sluice-model"]).toBe("two");
  expect((await create("other", { model: "one" })).status).toBe(200);
  const before = asked;
  expect((await get("acme", "resp_1000")).status).toBe(404);
  expect((await get("other", "resp_1000")).status).toBe(404);
  expect(asked).toBe(before);
});

it("takes nothing but true and false for whether an answer is made in the background", async () => {
  for (const background of ["true", 1, {}, "yes"]) {
    const answer = await create("acme", { background });
    expect(answer.status).toBe(400);
    expect(errorOf(answer)).toMatchObject({ code: "invalid_type", param: "background" });
  }
  for (const background of [null, false]) expect((await create("acme", { background })).status).toBe(200);
});

it("takes what is usual of answers that were made in the background as of others", async () => {
  for (let round = 0; round < 6; round++) {
    const { id } = made(await create("acme", { model: "m", background: true }));
    expect((await get("acme", id)).status).toBe(200);
  }
  const answer = await create("acme", { model: "m", max_output_tokens: 100000 });
  expect(await gateway.journalLine(String(answer.headers["x-request-id"]))).toMatchObject({ output_tokens: 500 });
  const line = await gateway.journalLine(String(answer.headers["x-request-id"])) as unknown as { reserved_tokens: number };
  expect(line.reserved_tokens).toBeLessThan(1000);
});

it("looks up no more items than a conversation has, and lets others be served meanwhile", async () => {
  const many = (count: number): Promise<Answer> => create("other", { input: Array.from({ length: count }, (_, index) => ({ id: `msg_${index}x` })) });
  expect(errorOf(await many(4097))).toMatchObject({ code: "too_many_references", param: "input" });
  expect((await many(4096)).status).toBe(404);
});

it("refuses an item whose members are there twice, and one that hides what it is", async () => {
  const item = made(await create("acme")).output[0]!.id;
  const before = asked;
  for (const input of [
    `[{"type":"item_reference","id":"${item}","type":"message"}]`, `[{"id":"x","type":"message","i\\u0064":"${item}"}]`, `[{"type":"item\\u005freference","\\u0069d":"${item}"}]`,
    `{"type":"item_reference","id":"${item}"}`,
    `[{"type":"item_reference","ID":"${item}"}]`,
  ]) {
    const answer = await send(gateway.port, { path: "/v1/responses", key: KEYS.other, body: `{"model":"m","input":${input}}` });
    expect([input, answer.status >= 400]).toEqual([input, true]);
  }
  for (const member of [`"previous\\u005fresponse_id":"resp_1"`, `"previous_response_id":["resp_1"]`, `"Previous_Response_Id":"resp_1"`, `"conversation":[{"id":"resp_1"}]`, `"conversation":{"ID":"resp_1"}`]) {
    const answer = await send(gateway.port, { path: "/v1/responses", key: KEYS.other, body: `{"model":"m","input":"x",${member}}` });
    expect([member, answer.status >= 400]).toEqual([member, true]);
  }
  expect(asked).toBe(before);
});
