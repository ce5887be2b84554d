import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { bodyOf, headersOf, type Mock, startMock } from "../support/mock.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const SECRET = "azure-key-0123456789";
const PATHS = {
  chat: "/v1/chat/completions", completions: "/v1/completions", embeddings: "/v1/embeddings", responses: "/v1/responses", messages: "/v1/messages",
};
type Api = keyof typeof PATHS;

let mock: Mock;
let gateway: Gateway;

beforeAll(async () => {
  mock = await startMock();
  gateway = await startGateway({
    workers: 1,
    env: { ORGANIZATION: "org-from-the-environment", EMPTY: "" },
    config: JSON.stringify({
      tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
      models: [
        { name: "dated", pool: "dated", upstream_model: "gpt-4o_eu.1" },
        { name: "plain", pool: "plain", upstream_model: "gpt-4o" },
        { name: "headed", pool: "headed", upstream_model: "mock" },
        { name: "bare", pool: "bare", upstream_model: "mock" },
        { name: "failing", pool: "failing", upstream_model: "gpt-4o", fallback: ["bare"] },
        { name: "dead", pool: "dead", upstream_model: "mock", fallback: ["dated", "plain"] },
      ],
      pools: [
        { name: "dated", api: "azure", api_version: "2024-10-21", endpoints: [{ url: `${mock.url}/base` }], keys: [{ id: "one", secret: SECRET }] },
        { name: "plain", api: "azure", endpoints: [{ url: `${mock.url}/base` }], keys: [{ id: "one", secret: SECRET }] },
        {
          name: "headed", endpoints: [{ url: mock.url }],
          headers: { "OpenAI-Organization": "${ORGANIZATION}", "X-Two-Words": "a b: c", "X-Dollar": "$host ${EMPTY:-}x", "X-Gone": "${EMPTY}" },
        },
        { name: "bare", endpoints: [{ url: mock.url }] },
        {
          name: "failing", api: "azure", endpoints: [{ url: "http://127.0.0.1:9" }], keys: [{ id: "one", secret: SECRET }],
          headers: { "X-Of-The-Other": "1" }, retries: { attempts: 1 },
        },
        { name: "dead", endpoints: [{ url: "http://127.0.0.1:9" }], retries: { attempts: 1 } },
      ],
    }),
  });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

function ask(api: Api, model: string, stream = false): Promise<Answer> {
  const text = api === "chat" || api === "messages" ? { messages: [{ role: "user", content: "Hello" }] } : { prompt: "Hello", input: "Hello" };
  return send(gateway.port, { path: `${PATHS[api]}?api-version=of-the-client`, body: JSON.stringify({ model, stream, max_tokens: 9, ...text }), key: KEY });
}

describe("a pool of Azure's", () => {
  it.each(["chat", "completions", "embeddings"] as const)("with a dated version is asked for %s on the deployment's path", async (api) => {
    const answer = await ask(api, "dated");
    expect(answer.status).toBe(200);
    const request = await mock.lastRequest();
    expect(request.uri).toBe(`/base/openai/deployments/gpt-4o_eu.1/${PATHS[api].slice(4)}?api-version=2024-10-21`);
    expect(headersOf(request, "api-key")).toEqual([SECRET]);
    expect(headersOf(request, "authorization")).toEqual([]);
    expect(headersOf(request, "x-api-key")).toEqual([]);
    expect(JSON.parse(bodyOf(request).toString())).toMatchObject({ model: "gpt-4o_eu.1" });
  });

  it.each(["chat", "completions", "embeddings", "responses"] as const)("without one is asked for %s on the v1 path", async (api) => {
    for (const stream of api === "embeddings" ? [false] : [false, true]) {
      const answer = await ask(api, "plain", stream);
      expect(answer.status).toBe(200);
      expect(answer.complete).toBe(true);
      const request = await mock.lastRequest();
      expect(request.uri).toBe(`/base/openai${PATHS[api]}`);
      expect(headersOf(request, "api-key")).toEqual([SECRET]);
      expect(headersOf(request, "authorization")).toEqual([]);
    }
  });

  it("is not asked for what it does not have", async () => {
    for (const [api, model] of [["messages", "plain"], ["messages", "dated"], ["responses", "dated"]] as const) {
      const before = (await mock.counts()).started;
      const answer = await ask(api, model);
      expect(answer.status).toBe(404);
      expect(answer.text).toContain("This model is not served at this URL.");
      if (api === "responses") expect(errorOf(answer)).toMatchObject({ code: "unknown_url" });
      expect((await mock.counts()).started).toBe(before);
      const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
      expect(line).toMatchObject({ ending: "refused", attempts: 0 });
    }
    // Nor as a fallback: the next one that has it is taken.
    expect((await ask("responses", "dead")).headers["x-sluice-model"]).toBe("plain");
    expect((await ask("chat", "dead")).headers["x-sluice-model"]).toBe("dated");
  });

  it("leaves neither its key nor its headers to the pool that takes its place", async () => {
    const answer = await ask("chat", "failing");
    expect(answer.headers["x-sluice-pool"]).toBe("bare");
    const request = await mock.lastRequest();
    expect(headersOf(request, "api-key")).toEqual([]);
    expect(headersOf(request, "x-of-the-other")).toEqual([]);
    expect(headersOf(request, "user-agent")).toEqual(["sluice"]);
    expect(gateway.everythingWritten()).not.toContain(SECRET);
  });
});

describe("more headers of a pool", () => {
  it("are sent as they are written, each by itself, and no others", async () => {
    expect((await ask("chat", "headed")).status).toBe(200);
    const request = await mock.lastRequest();
    await ask("chat", "bare");
    const without = await mock.lastRequest();
    const names = (of: typeof request): string[] => of.headers.map(([name]) => name.toLowerCase()).sort();
    expect(names(request)).toEqual([...names(without), "openai-organization", "x-dollar", "x-two-words"].sort());
    expect(headersOf(request, "openai-organization")).toEqual(["org-from-the-environment"]);
    expect(headersOf(request, "x-two-words")).toEqual(["a b: c"]);
    expect(headersOf(request, "x-dollar")).toEqual(["$host x"]);
    expect(headersOf(request, "user-agent")).toEqual(["sluice"]);
  });

  it("can't bring in others, from the environment either: the configuration is refused", async () => {
    const config = JSON.stringify({
      tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
      models: [{ name: "chat", pool: "gpu" }],
      pools: [{ name: "gpu", endpoints: [{ url: mock.url }], headers: { "X-A": "${INJECTED}" } }],
    });
    for (const INJECTED of ["a\r\nAuthorization: b", "a\nb: c", "a\r", "a\r\n\r\nGET / HTTP/1.1"]) {
      await expect(startGateway({ config, env: { INJECTED } })).rejects.toThrow("pools[0].headers.X-A: expected a header's value");
    }
  });
});
