import { request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_KEY, configuration } from "../support/configuration.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";

const LIMIT = 65536;

let mock: Mock;
let gateway: Gateway;

function text(body: string | undefined): string {
  return configuration({
    upstream: mock.url,
    pools: [{ name: "claude", api: "anthropic", endpoints: [{ url: mock.url }] }],
    poolModels: [{ name: "claude", pool: "claude", upstream_model: "mock" }],
    ...(body !== undefined && { more: { limits: { body } } }),
  });
}

beforeAll(async () => {
  mock = await startMock();
  gateway = await startGateway({ config: text("64k") });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

/** A request of exactly that many bytes. */
function bodyOf(model: string, bytes: number): string {
  const empty = JSON.stringify({ model, max_tokens: 5, messages: [{ role: "user", content: "" }] });
  return empty.replace('"content":""', `"content":"${"a".repeat(bytes - empty.length)}"`);
}

/** The status, and the names that the API's error has. */
function told(answer: Answer): unknown[] {
  const { error, type } = JSON.parse(answer.text) as { type?: string; error: { type: string; code?: string } };
  return [answer.status, type, error.type, error.code];
}

const OPENAI = [413, undefined, "invalid_request_error", "body_too_large"];
const ANTHROPIC = [413, "error", "request_too_large", undefined];

describe("a request's body", () => {
  it("may have as many bytes as limits.body says", async () => {
    for (const chunked of [undefined, { size: 10000 }]) {
      const answer = await send(gateway.port, { body: bodyOf("chat", LIMIT), ...(chunked && { chunked }) });
      expect(answer.status).toBe(200);
    }
  });

  it.each([
    ["chat", "/v1/chat/completions", OPENAI], ["chat", "/v1/completions", OPENAI], ["chat", "/v1/embeddings", OPENAI],
    ["chat", "/v1/responses", OPENAI], ["claude", "/v1/messages", ANTHROPIC],
  ])("may not have one more, with a length or in chunks, and the API's shape says so: %s at %s", async (model, path, shape) => {
    const before = (await mock.counts()).started;
    for (const bytes of [LIMIT + 1, 2 * 1024 * 1024]) {
      for (const chunked of [undefined, { size: 30000 }]) {
        const answer = await send(gateway.port, { path, body: bodyOf(model, bytes), ...(chunked && { chunked }) });
        expect(told(answer)).toEqual(shape);
        expect(answer.text).toContain("The request body is larger than 64 KiB.");
        expect(answer.headers["x-should-retry"]).toBe("false");
      }
    }
    expect((await mock.counts()).started).toBe(before);
  });

  it("is counted over HTTP/2 too, where no length need be told", async () => {
    const session = connectHttp2(`https://127.0.0.1:${gateway.httpsPort}`, { rejectUnauthorized: false });
    for (const [bytes, status] of [[LIMIT, 200], [LIMIT + 1, 413]] as const) {
      const stream = session.request({ ":method": "POST", ":path": "/v1/chat/completions", authorization: `Bearer ${CLIENT_KEY}` });
      const answered = new Promise((resolve) => {
        stream.on("response", (headers) => { resolve(headers[":status"]); });
      });
      stream.resume();
      stream.end(bodyOf("chat", bytes));
      expect(await answered).toBe(status);
    }
    session.close();
  });

  it("is not waited for when its length is too large", async () => {
    const headers = { authorization: `Bearer ${CLIENT_KEY}`, "content-length": String(LIMIT + 1), expect: "100-continue" };
    const asked = request({ host: "127.0.0.1", port: gateway.port, method: "POST", path: "/v1/chat/completions", headers, agent: false });
    const first = new Promise((resolve, reject) => {
      asked.on("error", reject);
      asked.on("response", ({ statusCode }) => { resolve(statusCode); });
    });
    asked.flushHeaders();
    expect(await first).toBe(413);
    asked.destroy();
  });

  it("is refused to those who may not ask at all for that reason", async () => {
    const answer = await send(gateway.port, { body: bodyOf("chat", LIMIT + 1), key: null });
    expect(answer.status).toBe(401);
  });

  it("is told in the metrics", async () => {
    await eventually("the refusals", async () => ((await gateway.metrics()).get('sluice_refusals_total{tenant="acme",code="body_too_large"}') ?? 0) > 0);
  });
});

describe("nginx's own bound", () => {
  const MORE = 33 * 1024 * 1024;

  it.each([
    ["/v1/chat/completions", OPENAI], ["/v1/messages", ANTHROPIC],
  ])("is told in the API's shape: %s", async (path, shape) => {
    for (const chunked of [undefined, { size: 4 * 1024 * 1024 }]) {
      const answer = await send(gateway.port, { path, body: bodyOf("chat", MORE), ...(chunked && { chunked }) });
      expect(told(answer)).toEqual(shape);
      expect(answer.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
    }
  });
});

describe("the member", () => {
  it("is followed live, never raises nginx's bound, and needn't be there", async () => {
    const body = bodyOf("chat", LIMIT + 1);
    for (const limit of ["1g", undefined, "1k"]) {
      gateway.writeConfig(text(limit));
      const wanted = limit === "1k" ? 413 : 200;
      for (const _ of [1, 2, 3]) await eventually("the new limit", async () => (await send(gateway.port, { body })).status === wanted);
      if (limit === "1g") {
        const answer = await send(gateway.port, { body: bodyOf("chat", 33 * 1024 * 1024) });
        expect(errorOf(answer).message).toBe("The request body is too large.");
      }
    }
  });
});
