/** What providers want that do not do as OpenAI does: their paths, the client's headers. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Asked, type Provider, type Reply, startProvider } from "../support/provider.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const PATHS = {
  chat: "/v1/chat/completions", completions: "/v1/completions", embeddings: "/v1/embeddings", responses: "/v1/responses", messages: "/v1/messages",
};
const BASES = { ark: "/api/v3", gemini: "/v1beta/openai", perplexity: "" };

const FALLBACKS = { failing: { fallback: ["plain"] }, never_first: { fallback: ["plain", "mistral"] }, never_last: { fallback: ["mistral"] } };

let provider: Provider;
let gateway: Gateway;

beforeAll(async () => {
  provider = await startProvider();
  const dead = { endpoints: [{ url: "http://127.0.0.1:9" }], retries: { attempts: 1 } };
  const own = { endpoints: [{ url: provider.url }] };
  const pools = {
    ...Object.fromEntries(Object.entries(BASES).map(([name, base_path]) => [name, { base_path, endpoints: [{ url: `${provider.url}/base` }] }])),
    plain: { endpoints: [{ url: provider.url }] },
    session: { ...own, forward_headers: ["X-OpenCode-Session", "HTTP-Referer"], headers: { "X-Own": "1" }, session_header: "X-OpenCode-Session" },
    address: { ...own, forward_client_ip: true },
    failing: { ...dead, forward_headers: ["X-OpenCode-Session"], forward_client_ip: true, api: "openai" },
    claude: { ...own, api: "anthropic" },
    mistral: { endpoints: [{ url: `${provider.url}/mistral` }], stream_options: "never" },
    never_first: { endpoints: [{ url: `${provider.url}/mistral-down` }], stream_options: "never", retries: { attempts: 1 } },
    never_last: { endpoints: [{ url: `${provider.url}/usual-down` }], retries: { attempts: 1 } },
  };
  gateway = await startGateway({
    workers: 1,
    config: JSON.stringify({
      trusted_proxies: ["127.0.0.1"],
      tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
      models: [
        ...Object.keys(pools).map((name) => ({ name, pool: name, ...FALLBACKS[name as keyof typeof FALLBACKS] })),
        { name: "tiered", choose: [{ when: { header: { name: "X-Tier", values: ["a, b"] } }, use: "session" }, { use: "plain" }] },
      ],
      pools: Object.entries(pools).map(([name, pool]) => ({ name, ...pool })),
    }),
  });
});

beforeEach(() => {
  provider.taken();
  provider.answer(() => ({}));
});

afterAll(async () => {
  await gateway?.stop();
  await provider?.stop();
});

async function ask(model: string, headers: Record<string, string | string[]> = {}, api: keyof typeof PATHS = "chat"): Promise<[Answer, Asked]> {
  const body = { model, max_tokens: 9, messages: [{ role: "user", content: "Hello" }], prompt: "Hello", input: "Hello" };
  const answer = await send(gateway.port, { path: PATHS[api], body: JSON.stringify(body), key: KEY, headers });
  const [asked] = provider.taken();
  return [answer, asked!];
}

function valuesOf(asked: Asked, name: string): string[] {
  return asked.lines.filter(([other]) => other === name).map(([, value]) => value);
}

describe("a pool's base path", () => {
  it.each(Object.keys(BASES) as (keyof typeof BASES)[])("stands in place of /v1 for each API: %s", async (name) => {
    for (const [api, path] of Object.entries(PATHS)) {
      const [answer, asked] = await ask(name, {}, api as keyof typeof PATHS);
      expect(answer.status).toBe(200);
      expect(asked.path).toBe(`/base${BASES[name]}${path.slice(3)}`);
    }
    expect((await ask("plain"))[1].path).toBe(PATHS.chat);
  });
});

describe("the client's headers", () => {
  const SENT = { "x-opencode-session": "3f0c", "http-referer": "https://a.example", "x-other": "1", cookie: "a=b" };

  it("go on where the pool names them, with its own, and nowhere else", async () => {
    const [, asked] = await ask("session", SENT);
    const [, plain] = await ask("plain", SENT);
    const names = (of: Asked): string[] => of.lines.map(([name]) => name).sort();
    expect(names(asked)).toEqual([...names(plain), "x-opencode-session", "http-referer", "x-own"].sort());
    expect(asked.headers).toMatchObject({ "x-opencode-session": "3f0c", "http-referer": "https://a.example", "x-own": "1", "user-agent": "sluice" });
  });

  it("go on as one line if there are several", async () => {
    const [, asked] = await ask("session", { "x-opencode-session": ["a", "b", "c"] });
    expect(valuesOf(asked, "x-opencode-session")).toEqual(["a, b, c"]);
  });

  it("are left out where they are too long, or not visible ASCII", async () => {
    const [, long] = await ask("session", { "x-opencode-session": "s".repeat(1025), "http-referer": "r".repeat(1024) });
    expect(valuesOf(long, "x-opencode-session")).toEqual([]);
    expect(valuesOf(long, "http-referer")).toEqual(["r".repeat(1024)]);
    for (const value of ["caf\u00e9", "a\tb"]) {
      const [answer, odd] = await ask("session", { "x-opencode-session": value });
      expect(answer.status).toBe(200);
      expect(valuesOf(odd, "x-opencode-session")).toEqual([]);
      expect(valuesOf(odd, "x-own")).toEqual(["1"]);
    }
  });

  it("do not reach the pool that takes another's place", async () => {
    const [answer, asked] = await ask("failing", SENT);
    expect(answer.headers["x-sluice-pool"]).toBe("plain");
    expect(valuesOf(asked, "x-opencode-session")).toEqual([]);
    expect(valuesOf(asked, "x-real-ip")).toEqual([]);
    expect(valuesOf(asked, "user-agent")).toEqual(["sluice"]);
  });

  it("choose a model by all of their lines", async () => {
    expect((await ask("tiered", { "x-tier": ["a", "b"] }))[0].headers["x-sluice-pool"]).toBe("session");
    expect((await ask("tiered", { "x-tier": "a" }))[0].headers["x-sluice-pool"]).toBe("plain");
  });
});

describe("the client's address", () => {
  it("is told where the pool says so: the client's as far as proxies are trusted, and never what it says itself", async () => {
    for (const [forwarded, address] of [[undefined, "127.0.0.1"], ["203.0.113.7", "203.0.113.7"], ["1.2.3.4, 2001:db8::1", "2001:db8::1"]] as const) {
      const headers = { "x-real-ip": "9.9.9.9", ...(forwarded && { "x-forwarded-for": forwarded }) };
      const [, asked] = await ask("address", headers);
      expect(valuesOf(asked, "x-real-ip")).toEqual([address]);
      expect(valuesOf(asked, "x-forwarded-for")).toEqual([address]);
      const [, plain] = await ask("plain", headers);
      expect([...valuesOf(plain, "x-real-ip"), ...valuesOf(plain, "x-forwarded-for")]).toEqual([]);
    }
  });
});

describe("anthropic-beta", () => {
  it.each([
    [["claude-code-20250219"], ["claude-code-20250219"]],
    [["claude-code-20250219", "context-1m-2025-08-07"], ["claude-code-20250219, context-1m-2025-08-07"]],
    [["a", "", "b,c"], ["a, b,c"]],
    [["a", "b\"c"], []],
    [[], []],
  ])("on lines %j reaches the upstream as %j", async (sent, expected) => {
    const [answer, asked] = await ask("claude", { "anthropic-version": "2023-06-01", ...(sent.length > 0 && { "anthropic-beta": sent }) }, "messages");
    expect(answer.status).toBe(200);
    expect(valuesOf(asked, "anthropic-beta")).toEqual(expected);
    expect(valuesOf(asked, "anthropic-version")).toEqual(["2023-06-01"]);
  });
});

/** Mistral's API: it knows no stream_options, and tells the usage in the last chunk all the same. */
function mistral({ body, path }: Asked): Reply {
  if (path.includes("down")) return { status: 500, json: "no" };
  if (body.includes("stream_options") || body.includes("stream_\\u006f")) {
    return { status: 422, json: { object: "error", message: { detail: [{ type: "extra_forbidden", loc: ["body", "stream_options"] }] } } };
  }
  return body.includes('"stream":true') ? { events: [...CHUNKS, "data: [DONE]\n\n"] } : {};
}

const CHUNKS = [
  'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"},"finish_reason":null}]}\n\n',
  'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n',
];

describe("an upstream that knows no stream_options", () => {
  const MESSAGES = [{ role: "user", content: "Hello" }];

  async function stream(body: string): Promise<[Answer, Asked[]]> {
    provider.answer(mistral);
    const answer = await send(gateway.port, { path: PATHS.chat, body, key: KEY });
    return [answer, provider.taken()];
  }

  it("gets none, and what it tells of the usage is counted", async () => {
    const body = JSON.stringify({ model: "mistral", stream: true, messages: MESSAGES });
    const [answer, [asked]] = await stream(body);
    expect(answer.status).toBe(200);
    expect(answer.text).toBe([...CHUNKS, "data: [DONE]\n\n"].join(""));
    expect(asked!.body).toBe(body);
    const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
    expect(line).toMatchObject({ ending: "finished", input_tokens: 5, output_tokens: 2, usage_from: "upstream" });
  });

  it("does not get the client's own, wherever they stand; all else stays as it was", async () => {
    for (const options of ['{"include_usage":true}', "{}", "null", '{"include_usage":false,"x":[1, 2]}']) {
      for (const streams of [true, false]) {
        const rest = `"stream":${streams}, "messages": [{"role":"user","content":"Hello"}],"n" :1`;
        for (const [sent, expected] of [
          [`{"stream_options":${options},"model":"mistral",${rest}}`, `{"model":"mistral",${rest}}`],
          [`{"model":"mistral",${rest},"stream_options" : ${options} }`, `{"model":"mistral",${rest} }`],
          [`{"model":"mistral","stream_\\u006fptions":${options},${rest}}`, `{"model":"mistral",${rest}}`],
        ]) {
          const [answer, [asked]] = await stream(sent!);
          expect(asked!.body).toBe(expected);
          expect(answer.status).toBe(200);
        }
      }
    }
  });

  it("counts the output of a stream that tells no usage", async () => {
    provider.answer(() => ({ events: [CHUNKS[0]!, CHUNKS[1]!.replace(/,"usage":.*\}\}/, "}"), "data: [DONE]\n\n"] }));
    const answer = await send(gateway.port, { path: PATHS.chat, body: JSON.stringify({ model: "mistral", stream: true, messages: MESSAGES }), key: KEY });
    const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
    expect(line).toMatchObject({ ending: "finished", usage_from: "counted" });
    expect(line.output_tokens).toBeGreaterThan(0);
  });

  it("leaves them to the models that take its place, and takes the place of others without them", async () => {
    for (const options of [undefined, "null", "{}", '{"include_usage":false}', '{"include_usage":true,"x":1}']) {
      const member = options === undefined ? "" : `,"stream_options":${options}`;
      const [, first] = await stream(`{"model":"never_first","stream":true,"messages":[]${member}}`);
      expect(first.map(({ path }) => path.split("/")[1])).toEqual(["mistral-down", "v1"]);
      expect(first[0]!.body).toBe('{"model":"never_first","stream":true,"messages":[]}');
      const at_plain = JSON.parse(first[1]!.body) as { model: string; stream_options: { include_usage: boolean; x?: number } };
      expect(at_plain.model).toBe("plain");
      expect(at_plain.stream_options).toEqual({ include_usage: true, ...(options?.includes("x") && { x: 1 }) });
      const [answer, last] = await stream(`{"model":"never_last","stream":true,"messages":[]${member}}`);
      expect(answer.status).toBe(200);
      expect((JSON.parse(last[0]!.body) as { stream_options: object }).stream_options).toMatchObject({ include_usage: true });
      expect(last[1]!.body).toBe('{"model":"mistral","stream":true,"messages":[]}');
    }
  });
});
