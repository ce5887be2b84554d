/** A 403 of an upstream: the request's fault or the account's, who is asked next, who rests for it, and what the client learns. */

import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, post } from "../support/http_client.ts";
import { eventually } from "../support/processes.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const COMPLETION = '{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}';
/** What no client may read. */
const CANARY = "org-4711";
const FLAGGED = `{"code":"permission-denied","error":"Content violates usage guidelines. Team: ${CANARY}"}`;
const REVOKED = `{"error":{"message":"The key of ${CANARY} is blocked.","type":"permission_error","code":null}}`;

interface Reply {
  status: number;
  body?: string;
  type?: string;
  /** Milliseconds between two bytes. */
  slowly?: boolean;
  end?: "broken" | "open";
}

const FINE: Reply = { status: 200, body: COMPLETION };
/** What each account, by its key, gets; and who came, in order. */
let replies: (key: string, body: string) => Reply = () => FINE;
let seen: string[] = [];
let url = "";
let gateway: Gateway | undefined;

function reply(response: ServerResponse, { status, body = "", type = "application/json", slowly, end }: Reply): void {
  response.writeHead(status, { "content-type": type, "x-request-id": CANARY });
  if (slowly === true || end !== undefined) {
    response.flushHeaders();
    const bytes = [...body];
    const next = (): void => {
      const byte = bytes.shift();
      if (byte !== undefined) response.write(byte, () => setTimeout(next, 1));
      else if (end === "broken") response.socket?.resetAndDestroy();
      else if (end === undefined) response.end();
    };
    next();
    return;
  }
  response.end(body);
}

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  response.on("error", () => undefined);
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    const key = String(request.headers.authorization ?? request.headers["x-api-key"] ?? "").replace("Bearer sk-upstream-", "").replace("sk-upstream-", "");
    seen.push(key);
    reply(response, replies(key, Buffer.concat(parts).toString()));
  });
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  seen = [];
  replies = () => FINE;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

interface Begin {
  accounts: string[];
  fallback?: string[];
  api?: string;
  attempts?: number;
  read?: string;
}

async function begin({ accounts, fallback, api, attempts, read }: Begin): Promise<void> {
  const keysOf = (names: string[]): object[] => names.map((id) => ({ id, secret: `sk-upstream-${id}` }));
  gateway = await startGateway({
    workers: 1,
    config: JSON.stringify({
      tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
      models: [
        { name: "chat", pool: "gpu", price: { input: 1, output: 1 }, ...(fallback && { fallback: ["other"] }) },
        { name: "other", pool: "other" },
      ],
      pools: [
        {
          name: "gpu", endpoints: [{ url }, { url: url.replace("127.0.0.1", "localhost") }], keys: keysOf(accounts), ...(api && { api }),
          retries: { backoff: "1ms", ...(attempts && { attempts }) }, ...(read && { timeouts: { read } }), breaker: { failures: 2, window: "600s", open: "600s" },
        },
        { name: "other", endpoints: [{ url }], keys: keysOf(fallback ?? ["other"]), ...(api && { api }) },
      ],
    }),
  });
}

function ask(content = "hello", more: object = {}, path = "/v1/chat/completions"): Promise<Answer> {
  return post(gateway!.port, path, { model: "chat", messages: [{ role: "user", content }], ...more }, { key: KEY });
}

function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway!.journalLine(String(answer.headers["x-request-id"]));
}

interface Status {
  pools: { name: string; keys?: { id: string; state: string }[]; endpoints: { breaker: string }[] }[];
}

async function resting(): Promise<string[]> {
  const status = (await (await fetch(`${gateway!.adminUrl}/status`)).json()) as Status;
  for (const { endpoints } of status.pools) for (const { breaker } of endpoints) expect(breaker).toBe("closed");
  return status.pools.flatMap(({ keys }) => keys ?? []).filter(({ state }) => state === "resting").map(({ id }) => id);
}

function expectContentFilter(answer: Answer, attempts: number): void {
  expect(answer.status).toBe(403);
  expect(answer.complete).toBe(true);
  expect(errorOf(answer)).toMatchObject({ type: "permission_error", code: "content_filter", param: null });
  expectOwnWords(answer);
  expect(answer.headers["x-sluice-attempts"]).toBe(String(attempts));
}

function expectOwnWords(answer: Answer): void {
  expect(answer.headers).toMatchObject({ "x-should-retry": "false", "cache-control": "no-store", "content-type": "application/json" });
  expect(answer.text + JSON.stringify(answer.headers)).not.toContain(CANARY);
  expect(answer.text).not.toContain("usage guidelines");
}

describe("a prompt that every account refuses for what it says", () => {
  it.each([
    [["one", "two", "three"], 2],
    [["one"], 2],
    [[], 2],
  ])("is sent to one other account at most, and nobody rests or fails for it (accounts %j)", async (accounts, sent) => {
    replies = (_, body) => (body.includes("flagged") ? { status: 403, body: FLAGGED } : FINE);
    await begin({ accounts });
    for (let round = 0; round < 4; round++) {
      seen = [];
      const answer = await ask("flagged", { stream: round % 2 === 0 });
      expectContentFilter(answer, sent);
      expect(seen).toHaveLength(sent);
      expect(new Set(seen).size).toBe(accounts.length > 1 ? 2 : 1);
      expect(await lineOf(answer)).toMatchObject({ status: 403, ending: "refused", attempts: sent, usage_from: null, cost_nano_usd: 0 });
    }
    expect(await resting()).toEqual([]);
    for (let round = 0; round < 6; round++) expect((await ask()).status).toBe(200);
    expect(sumOf(await gateway!.metrics(), "sluice_refusals_total", { code: "content_filter" })).toBe(4);
    expect(gateway!.everythingWritten()).not.toContain(CANARY);
  });

  it("is sent once where there is one attempt only", async () => {
    replies = () => ({ status: 403, body: FLAGGED });
    await begin({ accounts: ["one"], attempts: 1 });
    expectContentFilter(await ask(), 1);
    expect(seen).toHaveLength(1);
  });

  it("is told in its API's words", async () => {
    replies = () => ({ status: 403, body: '{"type":"error","error":{"type":"content_policy_violation","message":"a"}}' });
    await begin({ accounts: ["one"], api: "anthropic" });
    const answer = await ask("a", { max_tokens: 5 }, "/v1/messages");
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.text)).toMatchObject({ type: "error", error: { type: "permission_error" } });
    expect(await lineOf(answer)).toMatchObject({ ending: "refused" });
  });

  it("is read whatever its type and however its bytes come", async () => {
    await begin({ accounts: ["one", "two"] });
    for (const type of ["text/plain", "application/octet-stream", "application/problem+json"]) {
      replies = () => ({ status: 403, body: FLAGGED, type });
      expectContentFilter(await ask(), 2);
    }
    replies = () => ({ status: 403, body: FLAGGED, slowly: true });
    expectContentFilter(await ask(), 2);
    replies = () => ({ status: 403, body: `${FLAGGED}${" ".repeat(16384 - FLAGGED.length)}` });
    expectContentFilter(await ask(), 2);
  });
});

describe("a 403 that is about the account, or tells nothing", () => {
  const REPLIES: Record<string, [Reply, number]> = {
    "a blocked key": [{ status: 403, body: REVOKED }, 403],
    "words that come slowly": [{ status: 403, body: REVOKED, slowly: true }, 403],
    "words that break off": [{ status: 403, body: FLAGGED.slice(0, 40), end: "broken" }, 403],
    "words that never end": [{ status: 403, body: FLAGGED.slice(0, 40), end: "open" }, 403],
    "more than an error needs": [{ status: 403, body: `${FLAGGED}${" ".repeat(16384)}` }, 403],
    "a page": [{ status: 403, body: `<html>${CANARY} content_filter</html>`, type: "text/html" }, 502],
  };

  it.each(Object.entries(REPLIES))("of all accounts is the gateway's, in its own words: %s", async (_, [forbidden, status]) => {
    replies = () => forbidden;
    await begin({ accounts: ["one", "two", "three"], read: "700ms" });
    const answer = await ask();
    expect(answer.status).toBe(status);
    expect(answer.complete).toBe(true);
    expect(errorOf(answer)).toMatchObject({ type: "upstream_error", code: "upstream_credentials_exhausted" });
    expectOwnWords(answer);
    expect(seen).toHaveLength(2);
    expect(await lineOf(answer)).toMatchObject({ status, ending: "upstream_lost", attempts: 2, cost_nano_usd: 0 });
    expect(await resting()).toEqual([]);
  });

  it.each([false, true])("rests the account as soon as another one has served what it refused (a stream: %s)", async (stream) => {
    replies = (key) => (key === "one" ? { status: 403, body: REVOKED }
      : stream ? { status: 200, type: "text/event-stream", body: 'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n' } : FINE);
    await begin({ accounts: ["one", "two", "three"] });
    const answer = await ask("hello", { stream });
    expect([answer.status, answer.headers["x-sluice-attempts"]]).toEqual([200, "2"]);
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", status: 200, attempts: 2 });
    await eventually("it rests", async () => ((await resting()).includes("one") ? true : undefined));
    seen = [];
    for (let round = 0; round < 6; round++) expect((await ask("hello", { stream })).headers["x-sluice-attempts"]).toBe("1");
    expect(seen).not.toContain("one");
    expect(gateway!.errorLog()).toContain("account one refuses (403) what another one serves, and rests");
  });

  it.each([
    ["400", { status: 400, body: REVOKED }],
    ["an error under 200", { status: 200, body: REVOKED }],
    ["429", { status: 429, body: REVOKED }],
    ["500", { status: 500, body: REVOKED }],
  ] as [string, Reply][])("rests nobody if the other one does not serve it either: %s", async (_, second) => {
    replies = (key) => (key === "one" ? { status: 403, body: REVOKED } : second);
    await begin({ accounts: ["one", "two"] });
    const answer = await ask();
    // It is the last attempt: the answer is that endpoint's own.
    expect([answer.status, answer.text]).toEqual([second.status, second.body]);
    expect(seen).toEqual(["one", "two"]);
    expect(await resting()).toEqual([]);
  });

  it("leaves the request to another model, which has the last word", async () => {
    replies = (key, body) => (body.includes("flagged") ? { status: 403, body: FLAGGED } : key === "other" ? FINE : { status: 403, body: REVOKED });
    await begin({ accounts: ["one", "two", "three"], fallback: ["other"] });
    const served = await ask();
    expect([served.status, served.headers["x-sluice-model"]]).toEqual([200, "other"]);
    expect(seen).toEqual(["one", "two", "other"]);
    expect(await resting()).toEqual([]);
    seen = [];
    const refused = await ask("flagged");
    expectContentFilter(refused, 4);
    expect(seen.slice(2)).toEqual(["other", "other"]);
  });

  it("of the only account that does not rest is asked once more for its words", async () => {
    replies = (key) => (key === "one" ? { status: 401 } : FINE);
    await begin({ accounts: ["one", "two"] });
    expect((await ask()).status).toBe(200);
    expect(await resting()).toEqual(["one"]);
    // The one that is left refuses too, and is asked once more for its words.
    replies = (_, body) => (body.includes("flagged") ? { status: 403, body: FLAGGED } : FINE);
    seen = [];
    expectContentFilter(await ask("flagged"), 2);
    expect(seen).toEqual(["two", "two"]);
    expect(await resting()).toEqual(["one"]);
  });
});
