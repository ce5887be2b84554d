import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { bodyOf, headersOf, type Mock, startMock } from "../support/mock.ts";
import { eventually, freePorts } from "../support/processes.ts";
import { type Redis, startRedis } from "../support/redis.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";

/** One upstream for each pool. */
let mocks: Record<"first" | "second" | "third", Mock>;
let gateway: Gateway | undefined;

beforeAll(async () => {
  const [first, second, third] = await Promise.all([startMock(), startMock(), startMock()]);
  mocks = { first, second, third };
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  await Promise.all(Object.values(mocks).map((mock) => mock.behave("")));
});

afterAll(async () => {
  await Promise.all(Object.values(mocks).map((mock) => mock.stop()));
});

interface Begin {
  model?: Record<string, unknown>;
  others?: Record<string, Record<string, unknown>>;
  pools?: Partial<Record<keyof typeof mocks, Record<string, unknown>>>;
  tenant?: Record<string, unknown>;
  files?: Record<string, string>;
  guards?: unknown[];
  store?: unknown;
}

function configuration({ model, others, pools, tenant, guards, store }: Begin): string {
  return JSON.stringify({
    tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }], models: ["chat"], ...tenant }],
    models: [
      { name: "chat", pool: "first", upstream_model: "mock;tokens=5", fallback: ["second", "third"], ...model },
      { name: "second", pool: "second", upstream_model: "mock;tokens=6", ...others?.second },
      { name: "third", pool: "third", upstream_model: "mock;tokens=7", ...others?.third },
    ],
    pools: (Object.keys(mocks) as (keyof typeof mocks)[]).map((name) => ({
      name,
      endpoints: [{ url: mocks[name].url }],
      keys: [{ id: "one", secret: `sk-upstream-${name}` }],
      timeouts: { connect: "500ms", read: "500ms" },
      retries: { attempts: 2, backoff: "10ms", on: ["connect", "timeout", "read_timeout", 429, 500, 502, 503, 504, 529] },
      ...pools?.[name],
    })),
    ...(guards && { guards }),
    ...(store !== undefined && { store }),
  });
}

async function begin(options: Begin = {}): Promise<void> {
  gateway = await startGateway({ config: configuration(options), workers: 2, files: options.files });
}

function ask(more: Record<string, unknown> = {}, signal?: AbortSignal): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }], ...more });
  return send(gateway!.port, { body, key: KEY, ...(signal && { signal }) });
}

function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway!.journalLine(String(answer.headers["x-request-id"]));
}

/** Sends the first endpoint a request that is not answered. Gives what makes its client leave. */
async function occupyFirst(): Promise<() => Promise<void>> {
  const leaving = new AbortController();
  const { started } = await mocks.first.counts();
  const asked = ask({}, leaving.signal).catch(() => undefined);
  await eventually("the endpoint has it", async () => (await mocks.first.counts()).started > started);
  return async () => {
    leaving.abort();
    await asked;
  };
}

function servedBy(answer: Answer): [unknown, unknown, number] {
  const { headers } = answer;
  return [headers["x-sluice-model"], headers["x-sluice-pool"], Number(headers["x-sluice-attempts"])];
}

const FAULTS: Record<string, string> = {
  "an error of 500": "mock;status=500",
  "an error of 529": "mock;status=529",
  "a limit of its only account": "mock;status=429",
  "a refusal of its only account": "mock;status=401",
  "a connection that ends before the answer": "mock;close=header",
  "silence": "mock;stall=header",
};

describe("a model whose pool fails", () => {
  it.each(Object.entries(FAULTS))("with %s has the next one in its place, with its own body and account", async (_, behaviour) => {
    await begin();
    await mocks.first.behave(behaviour);
    for (const stream of [false, true]) {
      const answer = await ask({ stream });
      expect(answer.status).toBe(200);
      expect(answer.complete).toBe(true);
      // One account alone, or an endpoint that is asked again: two attempts there.
      expect(servedBy(answer)).toEqual(["second", "second", expect.any(Number)]);
      const request = await mocks.second.lastRequest();
      expect(request.id).toBe(answer.headers["x-request-id"]);
      expect(request.model).toBe("mock;tokens=6");
      expect(headersOf(request, "authorization")).toEqual(["Bearer sk-upstream-second"]);
      const line = await lineOf(answer);
      expect(line).toMatchObject({ model: "second", pool: "second", endpoint: mocks.second.url, ending: "finished", status: 200, timeout: null });
      expect(line.attempts).toBe(Number(answer.headers["x-sluice-attempts"]));
    }
    await eventually("nothing is under way", async () => (sumOf(await gateway!.metrics(), "sluice_upstream_inflight", {}) === 0 ? true : undefined));
  });

  it("because nobody listens there, or all have enough to do and nobody may wait, has the next one at once", async () => {
    const [port = 0] = await freePorts(1);
    await begin({ pools: { first: { endpoints: [{ url: `http://127.0.0.1:${port}` }] } } });
    expect(servedBy(await ask())).toEqual(["second", "second", 3]);
    await gateway!.stop();
    await begin({ model: { upstream_model: "mock;delay=600000" }, pools: { first: { endpoints: [{ url: mocks.first.url, max_concurrent: 1 }], timeouts: {}, queue: { max_waiting: 0 } } } });
    const leave = await occupyFirst();
    const { started } = await mocks.first.counts();
    expect(servedBy(await ask())).toEqual(["second", "second", 1]);
    expect((await mocks.first.counts()).started).toBe(started);
    await leave();
  });

  it("waits in the queue first, where there is one", async () => {
    await begin({ model: { upstream_model: "mock;delay=600000" }, pools: { first: { endpoints: [{ url: mocks.first.url, max_concurrent: 1 }], timeouts: {}, queue: { timeout: "300ms" } } } });
    const leave = await occupyFirst();
    const began = Date.now();
    expect(servedBy(await ask())).toEqual(["second", "second", 1]);
    expect(Date.now() - began).toBeGreaterThanOrEqual(280);
    await leave();
  });

  it("has those after the next one too, and the last one's own error reaches the client", async () => {
    await begin();
    await Promise.all([mocks.first.behave("mock;status=500"), mocks.second.behave("mock;status=503")]);
    expect(servedBy(await ask())).toEqual(["third", "third", 5]);
    await mocks.third.behave("mock;status=503;message=in%20its%20own%20words");
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(errorOf(answer).message).toBe("in its own words");
    expect(servedBy(answer)).toEqual(["third", "third", 6]);
    expect(await lineOf(answer)).toMatchObject({ model: "third", attempts: 6, status: 503, cost_nano_usd: 0 });
  });

  it("has no other for what is the request's own fault, nor for what its pool does not retry, nor once an answer has begun", async () => {
    await begin({ pools: { first: { retries: { attempts: 2, on: [500] } } } });
    for (const status of [400, 404, 413, 422]) {
      await mocks.first.behave(`mock;status=${status}`);
      const answer = await ask();
      expect(answer.status).toBe(status);
      expect(servedBy(answer)).toEqual(["chat", "first", 1]);
    }
    await mocks.first.behave("mock;status=503");
    expect((await ask()).status).toBe(503);
    await mocks.first.behave("mock;tokens=8;close=3");
    const answer = await ask({ stream: true });
    expect(servedBy(answer)).toEqual(["chat", "first", 1]);
    expect(answer.text).toContain('data: {"error":');
    expect((await mocks.second.counts()).open).toBe(0);
  });

  it("has eight attempts with all models together, and one of them is kept for the next model", async () => {
    const retries = { attempts: 8, backoff: "1ms" };
    await begin({ pools: { first: { retries }, second: { retries }, third: { retries } } });
    await Promise.all(Object.values(mocks).map((mock) => mock.behave("mock;status=500;message=own")));
    const before = await Promise.all(Object.values(mocks).map(async (mock) => (await mock.counts()).started));
    const answer = await ask();
    const made = await Promise.all(Object.values(mocks).map(async (mock, index) => (await mock.counts()).started - before[index]!));
    expect(made).toEqual([7, 1, 0]);
    expect(answer.status).toBe(500);
    expect(errorOf(answer).message).toBe("own");
    await mocks.second.behave("");
    expect(servedBy(await ask())).toEqual(["second", "second", 8]);
  });

  it("does not go on to the fallbacks of a fallback, nor need the tenant be allowed to ask for them", async () => {
    await begin({ model: { fallback: ["second"] }, others: { second: { fallback: ["third"] } } });
    await Promise.all([mocks.first.behave("mock;status=500"), mocks.second.behave("mock;status=500")]);
    expect(servedBy(await ask())).toEqual(["second", "second", 4]);
    const body = JSON.stringify({ model: "second", messages: [] });
    expect((await send(gateway!.port, { body, key: KEY })).status).toBe(403);
  });

  it("follows a new configuration from the next request on, also with more models", async () => {
    await begin({ model: { fallback: [] } });
    await mocks.first.behave("mock;status=500");
    expect((await ask()).status).toBe(500);
    gateway!.writeConfig(configuration({ model: { fallback: ["third"] } }));
    await eventually("the new one is in force", async () => ((await ask()).status === 200 ? true : undefined));
    await eventually("in all workers", async () => {
      const answers = await Promise.all(Array.from({ length: 12 }, () => ask()));
      return answers.every((answer) => servedBy(answer)[0] === "third") ? true : undefined;
    });
  });
});

describe("the body of another model", () => {
  const WORD = "forbidden";

  it("is the client's own, edited afresh, also a large one on disk", async () => {
    await begin({
      model: { upstream_model: "mock;tag=a-long-name-of-the-first", max_output_tokens: 50 },
      others: { second: { upstream_model: "mock;tag=b", max_output_tokens: 7 }, third: { upstream_model: "chat" } },
      tenant: { guard: "words" },
      guards: [{ name: "words", on: ["prompt"], lexicons: [{ file: "words.txt", action: "mask" }] }],
      files: { "words.txt": `${WORD}\n` },
    });
    const masked = "\u2588".repeat(WORD.length);
    for (const size of [0, 300000, 3000000]) {
      const text = (word: string): string => `a ${word} ${"x".repeat(size)} ${word} z`;
      const client = (word: string): string =>
        `{"max_tokens" : 100 , "max_completion_tokens":6e1,"model" : "ch\\u0061t","stream":true, "messages":[{"role":"user","content":"${text(word)}"}] }`;
      const edited = (model: string, caps: [string, string]): string => client(masked)
        .replace('"ch\\u0061t"', `"${model}"`).replace("100 ,", `${caps[0]} ,`).replace("6e1", caps[1])
        .replace("{", '{"stream_options":{"include_usage":true},');
      const expected = {
        first: edited("mock;tag=a-long-name-of-the-first", ["50", "50"]),
        second: edited("mock;tag=b", ["7", "7"]),
        third: edited("ch\\u0061t", ["100", "6e1"]),
      };
      await Promise.all([mocks.first.behave("mock;status=500"), mocks.second.behave("mock;status=500")]);
      await mocks.third.behave("mock;tokens=3");
      const answer = await send(gateway!.port, { body: client(WORD), key: KEY });
      expect(answer.status).toBe(200);
      expect(servedBy(answer)).toEqual(["third", "third", 5]);
      for (const name of ["first", "second", "third"] as const) {
        const request = await mocks[name].lastRequest();
        expect(request.id).toBe(answer.headers["x-request-id"]);
        if (size === 0) expect(bodyOf(request).toString()).toBe(expected[name]);
        expect(request.body_sha1).toBe(createHash("sha1").update(expected[name]).digest("hex"));
      }
    }
  });
});

describe.each(["memory", "redis"])("accounting in %s", (kind) => {
  let server: Redis | undefined;

  beforeEach(async () => {
    if (kind === "redis") server = await startRedis();
  });

  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });

  const PRICES = { first: { input: 3, output: 11 }, second: { input: 50, output: 400, cached_input: 20 }, third: { input: 1, output: 2 } };
  const limits = { requests_per_day: 100000, tokens_per_day: 1000000000 };

  function store(): Begin {
    return server ? { store: { kind: "redis", redis: { url: `redis://127.0.0.1:${server.port}`, nodes: 1, timeout_ms: 500 } } } : {};
  }

  function models(more: Record<string, unknown> = {}): Begin {
    return {
      ...store(),
      model: { price: PRICES.first, max_output_tokens: 100, upstream_model: "mock;prompt=10;completion=20;cached=4", ...more },
      others: {
        second: { price: PRICES.second, max_output_tokens: 300, upstream_model: "mock;prompt=10;completion=20;cached=4" },
        third: { price: PRICES.third, upstream_model: "mock;prompt=10;completion=20;cached=4" },
      },
    };
  }

  async function standing(): Promise<Record<string, number>> {
    const status = (await (await fetch(`${gateway!.adminUrl}/status`)).json()) as { limits: Record<string, number>[] };
    return status.limits[0]!;
  }

  /** All is settled, and comes to that. */
  async function settled(spent: number): Promise<void> {
    await eventually("nothing is reserved", async () => {
      const { running, reserved_nano_usd, spent_nano_usd } = await standing();
      return running === 0 && reserved_nano_usd === 0 && spent_nano_usd === spent ? true : undefined;
    });
  }

  it("is by the price of the model that served, whatever came before; counters, metrics and the journal say the same", async () => {
    await begin({ ...models(), tenant: { limits, budget: { usd: 10, period: "month" } } });
    const behaviours = ["", "mock;status=500", "mock;status=401", "mock;close=header", "mock;status=400"];
    for (const first of behaviours) {
      for (const second of behaviours) {
        await Promise.all([mocks.first.behave(first), mocks.second.behave(second)]);
        await Promise.all([ask({ stream: true }), ask({ stream: false })]);
      }
    }
    await mocks.third.behave("mock;status=503");
    await mocks.second.behave("mock;status=503");
    await mocks.first.behave("mock;status=503");
    await ask();
    const count = behaviours.length ** 2 * 2 + 1;
    const lines = await eventually("all lines", () => (gateway!.journal().length === count ? gateway!.journal() : undefined));
    const served = new Set(lines.filter(({ cost_nano_usd }) => cost_nano_usd > 0).map(({ model }) => model));
    expect(served).toEqual(new Set(["chat", "second", "third"]));
    for (const line of lines) {
      const price = { chat: PRICES.first, second: PRICES.second, third: PRICES.third }[line.model]!;
      const cached = "cached_input" in price ? price.cached_input : price.input;
      const nano = (line.input_tokens - line.cached_input_tokens) * price.input + line.cached_input_tokens * cached + line.output_tokens * price.output;
      expect(line.cost_nano_usd).toBe(Math.round(nano * 1000));
    }
    const spent = lines.reduce((sum, line) => sum + line.cost_nano_usd, 0);
    await settled(spent);
    await eventually("the metrics", async () => {
      const cost = sumOf(await gateway!.metrics(), "sluice_cost_usd_total", { tenant: "acme" });
      return Math.abs(cost * 1e9 - spent) < 1 ? true : undefined;
    });
    const used = lines.reduce((sum, line) => sum + line.input_tokens + line.output_tokens, 0);
    await Promise.all(Object.values(mocks).map((mock) => mock.behave("")));
    const answer = await ask();
    const line = await lineOf(answer);
    expect(Number(answer.headers["x-ratelimit-remaining-requests"])).toBe(limits.requests_per_day - count - 1);
    expect(Number(answer.headers["x-ratelimit-remaining-tokens"])).toBe(limits.tokens_per_day - used - line.reserved_tokens!);
  });

  it("cuts a stream at the budget by the price of the model that serves it", async () => {
    const upstream_model = "mock;tokens=3000;usage=none;prompt=10";
    // Enough for thousands of tokens of the first model's, and for about a hundred of the second one's.
    await begin({
      ...store(),
      model: { fallback: ["second"], upstream_model, price: { input: 0, output: 1 } },
      others: { second: { upstream_model, price: { input: 0, output: 1000 } } },
      tenant: { budget: { usd: 0.1, period: "month" } },
    });
    await mocks.first.behave("mock;status=500");
    const answer = await ask({ stream: true });
    const line = await lineOf(answer);
    expect(line).toMatchObject({ model: "second", ending: "budget_cut" });
    expect(answer.text).toContain('"finish_reason":"length"');
    expect(line.cost_nano_usd).toBeGreaterThan(0.09e9);
    expect(line.cost_nano_usd).toBeLessThan(0.13e9);
    await settled(line.cost_nano_usd);
  });

  it("does not try a model whose input alone the budget is not enough for", async () => {
    await begin({
      ...store(),
      model: { price: { input: 0, output: 0.001 } },
      others: { second: { price: { input: 1000000, output: 1 } }, third: { price: { input: 0, output: 0 } } },
      tenant: { budget: { usd: 1, period: "month" } },
    });
    await mocks.first.behave("mock;status=500");
    const before = (await mocks.second.counts()).started;
    expect(servedBy(await ask())[0]).toBe("third");
    expect((await mocks.second.counts()).started).toBe(before);
    await eventually("nothing is reserved", async () => ((await standing()).reserved_nano_usd === 0 ? true : undefined));
  });

  it.each([{ tokens: 1000, period: "month" }, { requests: 2, period: "month" }])("leaves what is free of the first model to requests that it serves (%j)", async (free) => {
    await begin({ ...models({ price: { ...PRICES.first, free } }), tenant: { budget: { usd: 10, period: "month" } } });
    await mocks.first.behave("mock;status=500");
    for (let round = 0; round < 3; round++) {
      const line = await lineOf(await ask({ stream: round === 1 }));
      expect(line).toMatchObject({ model: "second", free_units: 0, cost_nano_usd: (6 * 50 + 4 * 20 + 20 * 400) * 1000 });
    }
    await mocks.first.behave("");
    expect(await lineOf(await ask())).toMatchObject({ model: "chat", free_units: "requests" in free ? 1 : 30, cost_nano_usd: 0 });
    // From Redis a gateway hears it with the next request; what that one finds to be free says it exactly.
    if (kind === "memory") await eventually("what is used of it", async () => {
      const used = sumOf(await gateway!.metrics(), "sluice_free_used_ratio", { model: "chat" });
      return Math.abs(used - ("requests" in free ? 0.5 : 0.03)) < 0.001 ? true : undefined;
    });
    const more = [await lineOf(await ask()), await lineOf(await ask())];
    expect(more.map(({ free_units }) => free_units)).toEqual("requests" in free ? [1, 0] : [30, 30]);
  });
});
