import { Agent, request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { BLOCKED_ENGLISH } from "../support/guarded.ts";
import { errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { editNginx } from "../support/nginx_configuration.ts";
import { eventually, freePorts } from "../support/processes.ts";
import { type Redis, startRedis } from "../support/redis.ts";
import { startScriptedUpstream, type ScriptedUpstream } from "../support/scripted_upstream.ts";

/**
 * How long nginx's last steps take here, in milliseconds: calls of the body filter without bytes, and the log phase. That is much
 * longer than a client needs for its next request, which the other worker takes meanwhile. So what is given back only then comes too late.
 */
const STEP_MS = 4;
const BUSY = `local till = os.clock() + ${STEP_MS / 1000}; repeat until os.clock() > till;`;

/** Where a tenant is bounded to one request at a time: as a whole, by its key, or by both. */
const TENANTS: Record<string, { limits?: object; keyLimits?: object; guard?: string; budget?: object }> = {
  whole: { limits: { concurrent_requests: 1 } },
  key: { keyLimits: { concurrent_requests: 1 } },
  both: { limits: { concurrent_requests: 1, tokens_per_day: 1e12 }, keyLimits: { concurrent_requests: 1 }, budget: { usd: 100000, period: "month" } },
  guarded: { limits: { concurrent_requests: 1 }, guard: "words" },
  ...Object.fromEntries(["1", "2", "3", "4", "5", "6"].map((number) =>
    [`poor-${number}`, { limits: { concurrent_requests: 1 }, budget: { usd: 0.0004, period: "day" } }])),
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
let scripted: ScriptedUpstream;
let closedPort = 0;

beforeAll(async () => {
  mock = await startMock();
  scripted = await startScriptedUpstream();
  [closedPort = 0] = await freePorts(1);
});

afterAll(async () => {
  await mock?.stop();
  await scripted?.stop();
});

function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

function configuration(store: object, upstream = mock.url): string {
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
      { name: "long", pool: "mock", upstream_model: "mock;tokens=400;piece=4;interval=1", max_output_tokens: 100, price: { input: 1, output: 20 } },
      { name: "free", pool: "mock", upstream_model: "mock;tokens=3" },
      { name: "narrow", pool: "narrow", upstream_model: "mock;tokens=3" },
      { name: "narrow-pieces", pool: "narrow", upstream_model: "mock;tokens=3;cut=200" },
      { name: "narrow-mistaken", pool: "narrow", upstream_model: "mock;status=400" },
      { name: "narrow-failing", pool: "narrow", upstream_model: "mock;status=503" },
      { name: "narrow-resets", pool: "narrow", upstream_model: "mock;reset=3" },
      { name: "replaced", pool: "closed", fallback: ["free"] },
      { name: "closed", pool: "closed" },
      { name: "scripted", pool: "scripted" },
    ],
    pools: [
      { name: "mock", endpoints: [{ url: upstream }], timeouts: { read: "200ms" }, retries: { attempts: 2, backoff: "1ms" }, breaker: { failures: 0 } },
      { name: "claude", api: "anthropic", endpoints: [{ url: upstream }], timeouts: { read: "200ms" }, retries: { attempts: 2, backoff: "1ms" }, breaker: { failures: 0 } },
      { name: "narrow", endpoints: [{ url: upstream, max_concurrent: 1 }], queue: { max_waiting: 0 }, retries: { attempts: 1 }, breaker: { failures: 0 } },
      { name: "closed", endpoints: [{ url: `http://127.0.0.1:${closedPort}` }], retries: { attempts: 2, backoff: "1ms" }, breaker: { failures: 0 } },
      { name: "scripted", endpoints: [{ url: scripted.url }] },
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

interface Asked {
  status: number;
  id: string;
  text: string;
}

/** Whether it was refused because another request of the same client is said to be under way. */
function isRefused({ status, text }: Asked): boolean {
  return status === 429 && / are under way, which is its limit\./.test(text);
}

/** Asks on a connection of its own. Undefined: what came was no answer. */
async function askOnce(gateway: Gateway, tenant: string, path: string, body: string): Promise<Asked | undefined> {
  const answer = await send(gateway.port, { path, body, key: keyOf(tenant) }).catch(() => undefined);
  return answer && { status: answer.status, id: String(answer.headers["x-request-id"]), text: answer.text };
}

/** Asks again and again, one request after the other. Returns how many were refused because of another one. */
async function refusedOf(count: number, ask: (turn: number) => Promise<Asked | undefined>): Promise<number> {
  let refused = 0;
  for (let turn = 0; turn < count; turn++) {
    const answer = await ask(turn);
    if (answer && isRefused(answer)) refused += 1;
  }
  return refused;
}

/** A request on an agent's one connection, which stays open. */
function askOn(agent: Agent, gateway: Gateway, tenant: string, path: string, body: string): Promise<Asked> {
  const headers = { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)), authorization: `Bearer ${keyOf(tenant)}` };
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port: gateway.port, method: "POST", path, headers, agent }, (response) => {
      let text = "";
      response.on("data", (data: Buffer) => (text += data.toString()));
      response.on("end", () => { resolve({ status: response.statusCode ?? 0, id: String(response.headers["x-request-id"]), text }); });
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** Opens connections until two of them are in different workers: a worker begins all its ids with the same 24 digits. */
async function onBothWorkers<Connection>(
  open: () => Connection, ask: (connection: Connection) => Promise<Asked>, close: (connection: Connection) => void,
): Promise<[Connection, Connection]> {
  const first = open();
  const worker = (await ask(first)).id.slice(0, 24);
  for (let tries = 0; tries < 200; tries++) {
    const second = open();
    if ((await ask(second)).id.slice(0, 24) !== worker) return [first, second];
    close(second);
  }
  throw new Error("all connections are in one worker");
}

describe.each(["memory", "redis"])("a client with one request at a time, and the store %s,", (kind) => {
  let gateway: Gateway;
  let redis: Redis | undefined;

  beforeAll(async () => {
    redis = kind === "redis" ? await startRedis() : undefined;
    const store = redis ? { kind, redis: { url: `redis://127.0.0.1:${redis.port}/0`, timeout_ms: 1000, nodes: 1 } } : { kind };
    gateway = await startGateway({ config: configuration(store), workers: 2, files: { "words.txt": `${BLOCKED_ENGLISH}\n` } });
    await editNginx(gateway, "server.conf", /log_by_lua_block \{/, `$& ${BUSY}`);
    await editNginx(gateway, "server.conf", /body_filter_by_lua_block \{/, `$& if ngx.arg[1] == "" then ${BUSY} end`);
  });

  afterAll(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  // The store knows nothing of APIs: two will do for the second one.
  for (const api of kind === "memory" ? APIS : (["chat", "messages"] as const)) {
    for (const [name, { as, slow, tenant }] of Object.entries(ENDINGS)) {
      for (const stream of as ? [as === "stream"] : [true, false]) {
        if (api === "embeddings" && stream) continue;
        it(`is never refused: ${api}, ${stream ? "a stream" : "one body"}, ${name}`, async () => {
          const body = bodyOf(api, name, stream);
          expect(await refusedOf(slow ? 3 : 8, () => askOnce(gateway, tenant ?? "both", PATHS[api], body))).toBe(0);
        });
      }
    }
  }

  it.each(Object.keys(TENANTS).slice(0, 3))("is never refused where the bound is that of: %s", async (tenant) => {
    for (const stream of [true, false]) {
      expect(await refusedOf(60, () => askOnce(gateway, tenant, PATHS.chat, bodyOf("chat", "free", stream)))).toBe(0);
    }
  });

  it("is never refused for requests that are refused after they were let in, or taken over by another model", async () => {
    for (const model of ["closed", "replaced"]) {
      for (const stream of [true, false]) {
        expect(await refusedOf(12, () => askOnce(gateway, "both", PATHS.chat, bodyOf("chat", model, stream)))).toBe(0);
      }
    }
  });

  it("is never refused after a stream that was cut at the budget", async () => {
    for (const tenant of Object.keys(TENANTS).filter((name) => name.startsWith("poor"))) {
      const cut = await askOnce(gateway, tenant, PATHS.chat, bodyOf("chat", "long", true));
      expect(cut?.text).toContain('"finish_reason":"length"');
      const next = await askOnce(gateway, tenant, PATHS.chat, bodyOf("chat", "free", true));
      expect(next?.status, next?.text).toBe(200);
    }
  });

  it("is never refused on two connections that stay open, one in each worker", async () => {
    const close = (agent: Agent): void => { agent.destroy(); };
    const agents = await onBothWorkers(
      () => new Agent({ keepAlive: true, maxSockets: 1 }), (agent) => askOn(agent, gateway, "both", PATHS.chat, bodyOf("chat", "free", true)), close);
    for (const name of ["whole", "pieces", "mistaken", "blocked"]) {
      for (const stream of [true, false]) {
        const tenant = name === "blocked" ? "guarded" : "both";
        const refused = await refusedOf(40, (turn) => askOn(agents[turn % 2]!, gateway, tenant, PATHS.chat, bodyOf("chat", name, stream)));
        expect(refused, name).toBe(0);
      }
    }
    agents.forEach(close);
  });

  it("is never refused over HTTP/2, with a connection to each worker", async () => {
    const open = (): ReturnType<typeof connectHttp2> => connectHttp2(`https://127.0.0.1:${gateway.httpsPort}`, { rejectUnauthorized: false });
    const ask = (session: ReturnType<typeof connectHttp2>, tenant: string, body: string): Promise<Asked> =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ":method": "POST", ":path": PATHS.chat, authorization: `Bearer ${keyOf(tenant)}`, "content-type": "application/json" });
        const asked: Asked = { status: 0, id: "", text: "" };
        stream.on("response", (headers) => {
          asked.status = Number(headers[":status"]);
          asked.id = String(headers["x-request-id"]);
        });
        stream.on("data", (data: Buffer) => (asked.text += data.toString()));
        stream.on("end", () => { resolve(asked); });
        stream.on("error", reject);
        stream.end(body);
      });
    const sessions = await onBothWorkers(open, (session) => ask(session, "both", bodyOf("chat", "free", false)), (session) => { session.destroy(); });
    for (const name of ["whole", "mistaken", "empty", "nothing", "blocked"]) {
      for (const stream of [true, false]) {
        const tenant = name === "blocked" ? "guarded" : "both";
        const refused = await refusedOf(30, (turn) => ask(sessions[turn % 2]!, tenant, bodyOf("chat", name, stream)));
        expect(refused, name).toBe(0);
      }
    }
    sessions.forEach((session) => { session.destroy(); });
  });

  it("is not refused when it has read the terminal marker, though the answer's end has not come", async () => {
    let end: (value?: unknown) => void = () => undefined;
    const ended = new Promise((resolve) => (end = resolve));
    const user = scripted.prepare({ pieces: ['data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n', "data: [DONE]\n\n", ended] });
    let seen = "";
    const first = new Promise<void>((resolve, reject) => {
      const onData = (data: Buffer): void => {
        seen += data.toString();
        if (seen.includes("[DONE]")) resolve();
      };
      send(gateway.port, { body: bodyOf("chat", "scripted", true, { user }), key: keyOf("both"), onData }).catch(reject);
    });
    await first;
    const next = await askOnce(gateway, "both", PATHS.chat, bodyOf("chat", "free", false));
    end();
    expect(next?.status).toBe(200);
  });

  it("is refused while an answer is under way, to its last byte", async () => {
    let go: (value?: unknown) => void = () => undefined;
    const held = new Promise((resolve) => (go = resolve));
    const body = '{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}';
    const pieces = [body.slice(0, -1), held, body.slice(-1)];
    const user = scripted.prepare({ pieces, type: "application/json", headers: { "content-length": String(body.length) } });
    let seen = 0;
    const whole = send(gateway.port, { body: bodyOf("chat", "scripted", false, { user }), key: keyOf("both"), onData: (data) => (seen += data.length) });
    await eventually("all but the last byte", () => seen === body.length - 1);
    for (let turn = 0; turn < 4; turn++) {
      expect(isRefused((await askOnce(gateway, "both", PATHS.chat, bodyOf("chat", "free", false)))!)).toBe(true);
    }
    go();
    expect((await whole).status).toBe(200);
    expect((await askOnce(gateway, "both", PATHS.chat, bodyOf("chat", "free", false)))?.status).toBe(200);
  });

  if (kind === "memory") it("finds an endpoint free that takes one request at a time", async () => {
    for (const name of ["narrow", "narrow-pieces", "narrow-mistaken", "narrow-failing", "narrow-resets"]) {
      for (const [tenant, stream] of [["both", true], ["both", false], ["guarded", true], ["guarded", false]] as const) {
        for (let turn = 0; turn < 10; turn++) {
          const answer = await askOnce(gateway, tenant, PATHS.chat, bodyOf("chat", name, stream));
          if (!answer) continue;
          expect(answer.text, name).not.toContain("pool_saturated");
          expect(isRefused(answer), name).toBe(false);
        }
      }
    }
  });

  it("leaves nothing taken behind", async () => {
    await eventually("nothing is under way", async () => {
      const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as { limits: { running: number; reserved_nano_usd: number }[] };
      return status.limits.every(({ running, reserved_nano_usd }) => running === 0 && reserved_nano_usd === 0);
    });
    if (redis) {
      // What is settled is not told again.
      await eventually("nothing waits", async () => (await (await fetch(`${gateway.adminUrl}/status`)).text()).includes('"settlements_waiting":0'));
      redis.command("CONFIG", "SET", "slowlog-log-slower-than", "0");
      await askOnce(gateway, "both", PATHS.chat, bodyOf("chat", "free", false));
      redis.command("CONFIG", "SET", "slowlog-log-slower-than", "-1");
      const told = redis.command("SLOWLOG", "GET", "100").split("\n").filter((line) => /^[^|]*(\|[^|]*){9}$/.test(line));
      expect(told.length).toBeGreaterThan(0);
      for (const line of told) expect(line.split("|")[7], line).toBe("");
    }
    // Whatever a worker was still owed would let more in than one: so a request must be refused while another is under way.
    for (const tenant of Object.keys(TENANTS).slice(0, 3)) {
      let end: (value?: unknown) => void = () => undefined;
      const ended = new Promise((resolve) => (end = resolve));
      const user = scripted.prepare({ pieces: ["data: {}\n\n", ended, "data: [DONE]\n\n"] });
      const first = send(gateway.port, { body: bodyOf("chat", "scripted", true, { user }), key: keyOf(tenant) });
      await scripted.exchange(user);
      for (let turn = 0; turn < 10; turn++) {
        expect(isRefused((await askOnce(gateway, tenant, PATHS.chat, bodyOf("chat", "free", false)))!), tenant).toBe(true);
      }
      end();
      await first;
    }
  });

  if (kind === "redis") it("is never refused while Redis is lost either", async () => {
    await redis!.kill();
    expect(await refusedOf(60, () => askOnce(gateway, "both", PATHS.chat, bodyOf("chat", "whole", false)))).toBe(0);
    await redis!.up();
    await eventually("Redis is back", async () => [...(await gateway.metrics())].some(([name, value]) => name.startsWith("sluice_store_up") && value === 1));
    expect(await refusedOf(60, () => askOnce(gateway, "both", PATHS.chat, bodyOf("chat", "whole", true)))).toBe(0);
  });
});

describe.each(["memory", "redis"])("many clients of a tenant with one request at a time, and the store %s,", (kind) => {
  it("never have two at the model server, and all get their turn", async () => {
    const own = await startMock();
    const redis = kind === "redis" ? await startRedis() : undefined;
    const store = redis ? { kind, redis: { url: `redis://127.0.0.1:${redis.port}/0`, timeout_ms: 1000, nodes: 2 } } : { kind };
    const gateways: Gateway[] = [];
    // Several gateways share one Redis, and no memory.
    for (let number = 0; number < (redis ? 2 : 1); number++) gateways.push(await startGateway({ config: configuration(store, own.url), workers: 2 , files: { "words.txt": `${BLOCKED_ENGLISH}\n` } }));
    try {
      let passed = 0;
      let refused = 0;
      const client = async (number: number): Promise<void> => {
        for (let turn = 0; turn < 25; ) {
          const stream = turn % 2 === 0;
          const answer = await askOnce(gateways[number % gateways.length]!, "both", PATHS.chat, bodyOf("chat", stream ? "whole" : "pieces", stream));
          if (answer?.status === 200) {
            turn += 1;
            passed += 1;
          } else {
            expect(errorOf({ text: answer!.text } as Parameters<typeof errorOf>[0])).toMatchObject({ code: "concurrency_exceeded" });
            refused += 1;
          }
        }
      };
      await Promise.all(Array.from({ length: 6 }, (_, number) => client(number)));
      expect(passed).toBe(150);
      expect(refused).toBeGreaterThan(0);
      expect((await own.counts()).most_open).toBe(1);
    } finally {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await redis?.stop();
      await own.stop();
    }
  });
});

describe("workers that are killed between an answer's last byte and its line in the journal", () => {
  it("leave neither a place taken nor one too many", async () => {
    const gateway = await startGateway({ config: configuration({ kind: "memory" }), workers: 2, files: { "words.txt": `${BLOCKED_ENGLISH}\n` } });
    try {
      await editNginx(gateway, "server.conf", /log_by_lua_block \{/, `$& ${BUSY.replace(String(STEP_MS / 1000), "0.05")}`);
      for (let turn = 0; turn < 6; turn++) {
        const before = gateway.workers();
        await askOnce(gateway, "both", PATHS.chat, bodyOf("chat", "free", false));
        for (const worker of before) process.kill(worker, "SIGKILL");
        await eventually("other workers", () => {
          const now = gateway.workers();
          return now.length === 2 && !now.some((worker) => before.includes(worker));
        });
        const user = scripted.prepare({ pieces: ["data: {}\n\n", new Promise((resolve) => setTimeout(resolve, 300)), "data: [DONE]\n\n"] });
        await eventually("nothing is under way", async () => {
          const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as { limits: { running: number }[] };
          return status.limits.every(({ running }) => running === 0);
        }, 10000);
        const first = send(gateway.port, { body: bodyOf("chat", "scripted", true, { user }), key: keyOf("both") });
        await scripted.exchange(user);
        expect(isRefused((await askOnce(gateway, "both", PATHS.chat, bodyOf("chat", "free", false)))!)).toBe(true);
        expect((await first).status).toBe(200);
      }
    } finally {
      await gateway.stop();
    }
  });
});
