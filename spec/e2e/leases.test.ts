import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { Agent, request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { BLOCKED_ENGLISH } from "../support/guarded.ts";
import { send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { editNginx } from "../support/nginx_configuration.ts";
import { type Redis, startRedis } from "../support/redis.ts";

/**
 * How long each log phase takes, in milliseconds: much longer than a client needs for its next request. The other worker takes that
 * one meanwhile. What is given back in the log phase only comes too late every time.
 */
const LOG_MS = 6;

/** Where a tenant is bounded to one request at a time: as a whole, by its key, or by both. */
const TENANTS: Record<string, { limits?: object; keyLimits?: object; guard?: string; budget?: object }> = {
  whole: { limits: { concurrent_requests: 1 } },
  key: { keyLimits: { concurrent_requests: 1 } },
  both: { limits: { concurrent_requests: 1, tokens_per_day: 1e12 }, keyLimits: { concurrent_requests: 1 }, budget: { usd: 100000, period: "month" } },
  guarded: { limits: { concurrent_requests: 1 }, guard: "words" },
  poor: { limits: { concurrent_requests: 1 }, budget: { usd: 0.0004, period: "day" } },
};

const PATHS = {
  chat: "/v1/chat/completions",
  completions: "/v1/completions",
  responses: "/v1/responses",
  messages: "/v1/messages",
  embeddings: "/v1/embeddings",
};
type Api = keyof typeof PATHS;
const APIS = Object.keys(PATHS) as Api[];

interface Ending {
  behaviour: string;
  /** Only as a stream, or only as one body; both, if left out. */
  as?: "stream" | "body";
  tenant?: string;
  /** Seconds that each of them takes: then there are fewer. */
  slow?: boolean;
}

/** What the model server is made to do. */
const ENDINGS: Record<string, Ending> = {
  whole: { behaviour: "mock;tokens=3" },
  pieces: { behaviour: "mock;tokens=3;cut=200" },
  failing: { behaviour: "mock;status=500" },
  mistaken: { behaviour: "mock;status=400" },
  empty: { behaviour: "mock;status=404;body=empty" },
  nothing: { behaviour: "mock;status=204;body=empty" },
  page: { behaviour: "mock;status=422;body=html" },
  denied: { behaviour: "mock;status=401" },
  limited: { behaviour: "mock;status=429" },
  dead: { behaviour: "mock;close=header" },
  reset: { behaviour: "mock;reset=header" },
  late: { behaviour: "mock;stall=header", slow: true },
  dies: { behaviour: "mock;close=3", as: "stream" },
  resets: { behaviour: "mock;reset=3", as: "stream" },
  stalls: { behaviour: "mock;stall=3", as: "stream", slow: true },
  endless: { behaviour: "mock;done=no", as: "stream" },
  erring: { behaviour: "mock;error=3", as: "stream" },
  guarded: { behaviour: "mock;tokens=3", tenant: "guarded" },
  chunked: { behaviour: "mock;tokens=3;cut=200", tenant: "guarded" },
  unreadable: { behaviour: "mock;type=text/plain", tenant: "guarded" },
  blocked: { behaviour: `mock;text=some%20${BLOCKED_ENGLISH}%20here`, tenant: "guarded" },
  unsaid: { behaviour: "mock;close=100", as: "body", tenant: "guarded" },
};

let mock: Mock;

beforeAll(async () => {
  mock = await startMock();
});

afterAll(async () => {
  await mock?.stop();
});

function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

function configuration(store: object): string {
  const models = Object.entries(ENDINGS).map(([name, { behaviour }]) => [name, behaviour] as const);
  return JSON.stringify({
    store,
    tenants: Object.entries(TENANTS).map(([id, { limits, keyLimits, guard, budget }]) => ({
      id, api_keys: [{ id: "web", secret: keyOf(id), ...(keyLimits && { limits: keyLimits }) }],
      ...(limits && { limits }), ...(guard && { guard }), ...(budget && { budget }),
    })),
    models: [
      ...models.flatMap(([name, upstream_model]) => [["", "mock"], ["claude-", "claude"]].map(([prefix = "", pool]) => ({
        name: prefix + name, pool, upstream_model, max_output_tokens: 500, price: { input: 3, output: 11 },
      }))),
      { name: "narrow", pool: "narrow", upstream_model: "mock;tokens=3" },
    ],
    pools: [
      { name: "mock", endpoints: [{ url: mock.url }], timeouts: { read: "200ms" }, retries: { attempts: 2, backoff: "1ms" }, breaker: { failures: 0 } },
      { name: "claude", api: "anthropic", endpoints: [{ url: mock.url }], timeouts: { read: "200ms" }, retries: { attempts: 2, backoff: "1ms" }, breaker: { failures: 0 } },
      { name: "narrow", endpoints: [{ url: mock.url, max_concurrent: 1 }] },
    ],
    guards: [{ name: "words", on: ["prompt", "completion"], lexicons: [{ file: "words.txt", action: "block" }] }],
  });
}

function bodyOf(api: Api, name: string, stream: boolean, more: object = {}): string {
  const model = api === "messages" ? `claude-${name}` : name;
  if (api === "embeddings") return JSON.stringify({ model, input: "Hello", ...more });
  if (api === "completions") return JSON.stringify({ model, stream, prompt: "Hello", ...more });
  if (api === "responses") return JSON.stringify({ model, stream, input: "Hello", ...more });
  return JSON.stringify({ model, stream, max_tokens: 100, messages: [{ role: "user", content: "Hello" }], ...more });
}

/** One request after the other, each on a connection of its own. Returns how many were refused because of another one. */
async function refusedOf(gateway: Gateway, count: number, tenant: string, path: string, body: string): Promise<number> {
  let refused = 0;
  for (let turn = 0; turn < count; turn++) {
    const answer = await send(gateway.port, { path, body, key: keyOf(tenant) }).catch(() => undefined);
    if (answer?.status === 429 && / are under way, which is its limit\./.test(answer.text)) refused += 1;
  }
  return refused;
}

describe.each(["memory", "redis"])("a client with one request at a time, and the store %s", (kind) => {
  let gateway: Gateway;
  let redis: Redis | undefined;

  beforeAll(async () => {
    redis = kind === "redis" ? await startRedis() : undefined;
    const store = redis ? { kind, redis: { url: `redis://127.0.0.1:${redis.port}/0`, timeout_ms: 1000, nodes: 1 } } : { kind };
    gateway = await startGateway({ config: configuration(store), workers: 2, files: { "words.txt": `${BLOCKED_ENGLISH}\n` } });
    const busy = `local till = os.clock() + ${LOG_MS / 1000}; repeat until os.clock() > till;`;
    await editNginx(gateway, "server.conf", /log_by_lua_block \{/, `$& ${busy}`);
  });

  afterAll(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  for (const api of APIS) {
    for (const [name, { as, slow, tenant }] of Object.entries(ENDINGS)) {
      for (const stream of as ? [as === "stream"] : [true, false]) {
        if (api === "embeddings" && stream) continue;
        it(`is never refused: ${api}, ${stream ? "a stream" : "one body"}, ${name}`, async () => {
          const path = PATHS[api];
          const body = bodyOf(api, name, stream);
          expect(await refusedOf(gateway, slow ? 2 : 8, tenant ?? "both", path, body)).toBe(0);
        });
      }
    }
  }
});
