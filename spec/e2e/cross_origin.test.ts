import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_KEY, configuration } from "../support/configuration.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, post, send, sendBytes } from "../support/http_client.ts";
import { eventually } from "../support/processes.ts";
import { type RawUpstream, startRawUpstream } from "../support/raw_upstream.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const APP = "https://app.example.com";
const ELSEWHERE = "https://elsewhere.example.com";
const CHAT = "/v1/chat/completions";
const HELLO = [{ role: "user", content: "hello" }];
const EVENTS = ['data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n', "data: [DONE]\n\n"];

/** What an upstream says about pages of its own. */
const UPSTREAM_WORDS = {
  "access-control-allow-origin": ELSEWHERE,
  "access-control-allow-credentials": "true",
  "access-control-expose-headers": "x-of-the-upstream",
  "access-control-allow-private-network": "true",
  vary: "Accept-Encoding",
};

let upstream: ScriptedUpstream;
let dead: RawUpstream;
let gateway: Gateway;

function text(more: Record<string, unknown>): string {
  return configuration({
    upstream: upstream.url,
    pools: [{ name: "dead", endpoints: [{ url: dead.url }] }],
    poolModels: [{ name: "dead", pool: "dead" }],
    more: {
      tenants: [
        { id: "acme", api_keys: [{ id: "web", secret: CLIENT_KEY }] },
        { id: "once", api_keys: [{ id: "web", secret: "sk-sluice-key-for-one-request" }], limits: { requests_per_day: 1 } },
      ],
      ...more,
    },
  });
}

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  dead = await startRawUpstream("no HTTP at all\r\n\r\n", true);
  gateway = await startGateway({ config: text({ cors: { origins: [APP, "http://localhost:5173"] } }) });
});

afterAll(async () => {
  await gateway?.stop();
  await dead?.stop();
  await upstream?.stop();
});

function preflight(path: string, headers: Record<string, string> = {}): Promise<Answer> {
  return send(gateway.port, {
    method: "OPTIONS", path, key: null,
    headers: { origin: APP, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type,x-stainless-lang", ...headers },
  });
}

/** The headers of an answer that are about other origins. */
function wordsOf(answer: Answer): string[] {
  return Object.keys(answer.headers).filter((name) => name.startsWith("access-control-"));
}

/** A page of `APP` may read the answer, in a browser that sends no credentials by itself. */
function expectReadable(answer: Answer): void {
  expect(answer.headers["access-control-allow-origin"]).toBe(APP);
  expect(answer.headers.vary).toMatch(/(^|, )Origin$/);
  expect(answer.headers["access-control-expose-headers"]).toMatch(/^\*, x-request-id/);
  expect(answer.headers["access-control-allow-credentials"]).toBeUndefined();
}

function expectUnreadable(answer: Answer): void {
  expect(wordsOf(answer)).toEqual([]);
  expect(answer.headers.vary).toMatch(/(^|, )Origin$/);
}

describe("a preflight", () => {
  it.each([CHAT, "/v1/messages", "/v1/models", "/v1/models/chat", "/chat/completions", `${CHAT}?api-version=1`])(
    "is answered at %s, without a credential and without an upstream",
    async (path) => {
      const before = upstream.exchanges.length;
      const answer = await preflight(path);
      expect(answer.status).toBe(204);
      expectReadable(answer);
      expect(answer.headers["access-control-allow-methods"]).toBe("GET, HEAD, POST, DELETE");
      expect(answer.headers["access-control-allow-headers"]).toBe("authorization,content-type,x-stainless-lang");
      expect(answer.headers["access-control-max-age"]).toBe("600");
      expect(answer.headers.vary).toBe("Access-Control-Request-Method, Access-Control-Request-Headers, Origin");
      expect(answer.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
      expect(answer.text).toBe("");
      expect(upstream.exchanges.length).toBe(before);
    },
  );

  it.each([
    ["another origin", { origin: ELSEWHERE }],
    ["another port", { origin: `${APP}:8443` }],
    ["another scheme", { origin: "http://app.example.com" }],
    ["no origin of its own", { origin: "null" }],
    ["a header's name that is none", { "access-control-request-headers": "x: y" }],
  ])("gets no leave: %s", async (what, headers) => {
    const answer = await preflight(CHAT, headers);
    expect(answer.headers["access-control-allow-headers"]).toBeUndefined();
    if (what.startsWith("a header")) {
      expectReadable(answer);
    } else {
      expect(answer.status).toBe(405);
      expectUnreadable(answer);
    }
  });

  it("is no request: nothing of it is in the journal or the metrics of requests", async () => {
    const { "x-request-id": id } = (await preflight(CHAT)).headers;
    const answer = await post(gateway.port, CHAT, { model: "chat", messages: HELLO });
    await gateway.journalLine(String(answer.headers["x-request-id"]));
    expect(gateway.journal().map((line) => line.id)).not.toContain(id);
    expect([...(await gateway.metrics()).keys()].filter((series) => series.includes('code="204"'))).toEqual([]);
    await eventually("its line in the access log", () => gateway.accessLog().includes(String(id)));
  });

  it("leaves the connection open for the request", async () => {
    const head = `OPTIONS ${CHAT} HTTP/1.1\r\nHost: a\r\nOrigin: ${APP}\r\nAccess-Control-Request-Method: POST\r\n`;
    const received = await sendBytes(gateway.port, `${head}\r\n${head}Connection: close\r\n\r\n`);
    expect(received.match(/^HTTP\/1\.1 204 /gm)).toHaveLength(2);
  });

  it("is none without a method that it asks for", async () => {
    const answer = await send(gateway.port, { method: "OPTIONS", path: CHAT, headers: { origin: APP } });
    expect(answer.status).toBe(405);
    expectReadable(answer);
  });
});

describe("a page that is let in can read", () => {
  const origin = { origin: APP };

  it("an answer, a stream and an upstream's own error; what the upstream says of pages is gone", async () => {
    const error = '{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}';
    for (const script of [
      { pieces: ['{"id":"c","choices":[]}'], type: "application/json", length: true },
      { pieces: EVENTS },
      { pieces: [error], type: "application/json", status: 400, length: true },
    ]) {
      const user = upstream.prepare({ ...script, headers: UPSTREAM_WORDS });
      const answer = await post(gateway.port, CHAT, { model: "chat", stream: script.type === undefined, messages: HELLO, user }, { headers: origin });
      expect(answer.text).toBe(script.pieces.join(""));
      expectReadable(answer);
      expect(answer.headers.vary).toBe("Accept-Encoding, Origin");
      expect(wordsOf(answer)).toEqual(["access-control-allow-origin", "access-control-expose-headers"]);
    }
  });

  it.each<[string, number, () => Promise<Answer>]>([
    ["no credential", 401, () => post(gateway.port, CHAT, { model: "chat", messages: HELLO }, { key: null, headers: origin })],
    ["an unknown model", 404, () => post(gateway.port, CHAT, { model: "none", messages: HELLO }, { headers: origin })],
    ["an unknown path", 404, () => post(gateway.port, "/chat/completions", { model: "chat" }, { headers: origin })],
    ["a method that is not allowed", 405, () => send(gateway.port, { method: "PUT", headers: origin })],
    ["a body that is no JSON", 400, () => send(gateway.port, { body: "{", headers: origin })],
    ["a compressed body", 415, () => post(gateway.port, CHAT, { model: "chat" }, { headers: { ...origin, "content-encoding": "gzip" } })],
    ["an upstream that speaks no HTTP", 502, () => post(gateway.port, CHAT, { model: "dead", messages: HELLO }, { headers: origin })],
    ["a list of models that is refused", 401, () => send(gateway.port, { method: "GET", path: "/v1/models", key: "sk-wrong", headers: origin })],
    ["the list of models", 200, () => send(gateway.port, { method: "GET", path: "/v1/models", headers: origin })],
    ["health", 200, () => send(gateway.port, { method: "GET", path: "/healthz", key: null, headers: origin })],
  ])("what it is told: %s", async (_, status, act) => {
    const answer = await act();
    expect(answer.status).toBe(status);
    expectReadable(answer);
  });

  it("that its body is larger than nginx lets in", async () => {
    const answer = await send(gateway.port, { path: "/v1/messages", body: Buffer.alloc(33 * 1024 * 1024, "a"), headers: origin });
    expect(answer.status).toBe(413);
    expect(answer.text).toMatch(/^\{"type":"error","error":\{"type":"request_too_large"/);
    expectReadable(answer);
  });

  it("that it has reached a limit", async () => {
    const options = { key: "sk-sluice-key-for-one-request", headers: origin };
    await post(gateway.port, CHAT, { model: "chat", messages: HELLO }, options);
    const answer = await post(gateway.port, CHAT, { model: "chat", messages: HELLO }, options);
    expect(answer.status).toBe(429);
    expect(answer.headers["retry-after"]).toBeTruthy();
    expectReadable(answer);
  });

  it.each([
    ["a header that is too long", 400, `POST ${CHAT} HTTP/1.1\r\nHost: a\r\nOrigin: ${APP}\r\nX-Long: ${"a".repeat(40000)}\r\n\r\n`],
    ["a coding that nginx doesn't know", 501, `POST ${CHAT} HTTP/1.1\r\nHost: a\r\nOrigin: ${APP}\r\nTransfer-Encoding: other\r\n\r\n`],
  ])("what nginx itself refuses: %s", async (_, status, bytes) => {
    const received = await sendBytes(gateway.port, bytes);
    expect(received).toMatch(new RegExp(`^HTTP/1.1 (${status}|431) `));
    expect(received.toLowerCase()).toContain(`\r\naccess-control-allow-origin: ${APP}\r\n`);
    expect(received).toMatch(/\r\nvary: Origin\r\n/i);
  });
});

describe("a page that is not let in", () => {
  it.each([ELSEWHERE, "null", "http://localhost", undefined])("can't read what it is told: %s", async (origin) => {
    const headers = origin === undefined ? {} : { origin };
    for (const key of [CLIENT_KEY, null]) {
      const answer = await post(gateway.port, CHAT, { model: "chat", messages: HELLO }, { key, headers });
      expect(answer.status).toBe(key === null ? 401 : 200);
      expectUnreadable(answer);
    }
  });
});

describe("the admin listener", () => {
  it.each(["/metrics", "/status", "/readyz", "/healthz", "/nothing"])("is for no page: %s", async (path) => {
    for (const method of ["GET", "OPTIONS"]) {
      const response = await fetch(`${gateway.adminUrl}${path}`, { method, headers: { origin: APP, "access-control-request-method": "GET" } });
      expect([...response.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
    }
  });
});

describe("the section", () => {
  /** Writes a configuration and waits until a preflight of `APP` is answered by it. */
  async function change(more: Record<string, unknown>, taken: (answer: Answer) => boolean): Promise<void> {
    gateway.writeConfig(text(more));
    for (const _ of [1, 2, 3]) await eventually("the new configuration", async () => taken(await preflight(CHAT)));
  }

  it("is followed live, and without it everything is as if there were no origins", async () => {
    await change({ cors: { origins: ["*"], max_age: "1h" } }, (answer) => answer.headers["access-control-max-age"] === "3600");
    const answer = await post(gateway.port, CHAT, { model: "chat", messages: HELLO }, { headers: { origin: ELSEWHERE } });
    expect(answer.headers["access-control-allow-origin"]).toBe("*");
    expect(answer.headers["access-control-allow-credentials"]).toBeUndefined();
    expectUnreadable(await post(gateway.port, CHAT, { model: "chat", messages: HELLO }, { headers: { origin: "null" } }));

    await change({}, ({ status }) => status === 405);
    for (const refused of [await preflight(CHAT), await preflight("/v1/models")]) {
      expect(refused.status).toBe(405);
      expect(errorOf(refused).code).toBe("method_not_allowed");
      expect(wordsOf(refused)).toEqual([]);
      expect(refused.headers.vary).toBeUndefined();
    }
    const user = upstream.prepare({ pieces: EVENTS, headers: UPSTREAM_WORDS });
    const plain = await post(gateway.port, CHAT, { model: "chat", stream: true, messages: HELLO, user }, { headers: { origin: APP } });
    expect(wordsOf(plain)).toEqual([]);
    expect(plain.headers.vary).toBe("Accept-Encoding");
  });
});
