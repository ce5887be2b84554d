import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import { BLOCKED_ENGLISH } from "../support/guarded.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const PRICE = { input: 3, output: 11, cached_input: 0.7 };

const PATHS = {
  chat: "/v1/chat/completions",
  completions: "/v1/completions",
  responses: "/v1/responses",
  messages: "/v1/messages",
};
type Api = keyof typeof PATHS;
const APIS = Object.keys(PATHS) as Api[];

/**
 * What the model server is made to do, and how the request must then have ended. `reasoned`: in the APIs whose choices say why they ended. `hasty`:
 * the gateway does not wait long.
 */
const CASES: Record<string, { behaviour: string; endings: string[]; reasoned?: string[]; streams?: boolean; charged?: boolean; hasty?: boolean }> = {
  whole: { behaviour: "mock;prompt=10;completion=20;cached=4", endings: ["finished"], charged: true },
  uncounted: { behaviour: "mock;usage=none", endings: ["finished"], charged: true },
  dead: { behaviour: "mock;close=header", endings: ["upstream_lost"], charged: false },
  reset: { behaviour: "mock;reset=header", endings: ["upstream_lost"], charged: false },
  garbage: { behaviour: "mock;garbage=header", endings: ["upstream_lost"], charged: false },
  late: { behaviour: "mock;stall=header", endings: ["timed_out"], charged: false, hasty: true },
  failing: { behaviour: "mock;status=500", endings: ["finished"], charged: false },
  denied: { behaviour: "mock;status=401", endings: ["upstream_lost"], charged: false },
  dies: { behaviour: "mock;close=3", endings: ["upstream_lost"], streams: true, charged: true },
  resets: { behaviour: "mock;reset=3;interval=5", endings: ["upstream_lost"], streams: true, charged: true },
  stalls: { behaviour: "mock;stall=4", endings: ["timed_out"], streams: true, charged: true, hasty: true },
  endless: { behaviour: "mock;done=no", endings: ["upstream_lost"], reasoned: ["finished"], streams: true, charged: true },
  erring: { behaviour: "mock;error=3", endings: ["upstream_lost"], streams: true, charged: true },
  blocked: { behaviour: `mock;text=some%20${BLOCKED_ENGLISH}%20here`, endings: ["blocked"], charged: true },
};

/** Requests that the client leaves: when it has seen so many bytes of the answer (0: none has come). */
const LEFT: Record<string, { behaviour: string; bytes: number; endings: string[] }> = {
  unbegun: { behaviour: "mock;delay=600000", bytes: 0, endings: ["client_gone"] },
  midway: { behaviour: "mock;tokens=5000;interval=20", bytes: 600, endings: ["client_gone"] },
  last: { behaviour: "mock;tokens=5;interval=5", bytes: 1, endings: ["client_gone", "finished"] },
};

let mock: Mock;
let gateway: Gateway;
let requests = 0;

function configuration(): string {
  const models = Object.entries<{ behaviour: string; hasty?: boolean }>({ ...CASES, ...LEFT }).flatMap(([name, { behaviour, hasty }]) =>
    [["", "mock"], ["claude-", "claude"]].map(([prefix = "", pool = ""]) => ({
      name: prefix + name, pool: hasty === true ? `hasty-${pool}` : pool, upstream_model: behaviour, price: PRICE, max_output_tokens: 500,
    })),
  );
  return JSON.stringify({
    tenants: [
      {
        id: "acme",
        api_keys: [{ id: "web", secret: KEY, limits: { concurrent_requests: 1000 } }],
        limits: { requests_per_day: 100000, tokens_per_day: 1000000000 },
        budget: { usd: 10000, period: "month" },
        guard: "words",
      },
    ],
    models,
    pools: [
      { name: "mock", endpoints: [{ url: mock.url }] },
      { name: "claude", api: "anthropic", endpoints: [{ url: mock.url }] },
      { name: "hasty-mock", endpoints: [{ url: mock.url }], timeouts: { read: "400ms" } },
      { name: "hasty-claude", api: "anthropic", endpoints: [{ url: mock.url }], timeouts: { read: "400ms" } },
    ],
    guards: [{ name: "words", on: ["prompt", "completion"], lexicons: [{ file: "words.txt", action: "block" }] }],
  });
}

beforeAll(async () => {
  mock = await startMock();
  gateway = await startGateway({ config: configuration(), workers: 2, files: { "words.txt": `${BLOCKED_ENGLISH}\n` } });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

function bodyOf(api: Api, name: string, stream: boolean, text = "Hello"): string {
  const model = api === "messages" ? `claude-${name}` : name;
  if (api === "completions") return JSON.stringify({ model, stream, prompt: text });
  if (api === "responses") return JSON.stringify({ model, stream, input: text });
  return JSON.stringify({ model, stream, max_tokens: 100, messages: [{ role: "user", content: text }] });
}

function ask(api: Api, body: string, more: Parameters<typeof send>[1] = {}): Promise<Answer> {
  requests += 1;
  return send(gateway.port, { path: PATHS[api], body, key: KEY, ...more });
}

function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway.journalLine(String(answer.headers["x-request-id"]));
}

function costOf({ input_tokens, cached_input_tokens, output_tokens }: JournalLine): number {
  const nano = (input_tokens - cached_input_tokens) * PRICE.input + cached_input_tokens * PRICE.cached_input + output_tokens * PRICE.output;
  return Math.round(nano * 1000);
}

/** Asks until so many bytes have come, and leaves. Nobody can ask for the id of a request that was not answered. */
async function leave(api: Api, name: string, bytes: number): Promise<void> {
  const gone = new AbortController();
  const { started } = await mock.counts();
  let seen = 0;
  const answer = ask(api, bodyOf(api, name, true), {
    signal: gone.signal,
    onData: (data) => {
      seen += data.length;
      const atEnd = /\[DONE\]|message_stop|response\.completed/.test(data.toString());
      if (name === "last" ? atEnd : seen >= bytes) gone.abort();
    },
  });
  const ended = answer.catch(() => undefined);
  if (bytes === 0) {
    await eventually("the upstream has it", async () => (await mock.counts()).started > started);
    gone.abort();
  }
  await ended;
}

describe("one line in the journal, by the rule, for a request of", () => {
  for (const api of APIS) {
    for (const [name, { behaviour, endings, reasoned, streams, charged }] of Object.entries(CASES)) {
      for (const stream of streams === true ? [true] : [true, false]) {
        it(`${api}, ${stream ? "a stream" : "one body"}: ${name}`, async () => {
          const before = gateway.journal().length;
          // What is no HTTP reaches the client without a header.
          await ask(api, bodyOf(api, name, stream)).catch(() => undefined);
          const line = await eventually("its line", () => gateway.journal()[before]);
          const expected = api === "chat" || api === "completions" ? (reasoned ?? endings) : endings;
          expect(expected, behaviour).toContain(line.ending);
          expect(line.cost_nano_usd).toBe(costOf(line));
          expect(line.cost_nano_usd > 0).toBe(charged);
          expect(line.usage_from === null).toBe(!charged);
          expect(line.reserved_tokens).toBeGreaterThan(0);
        });
      }
    }

    for (const [name, { bytes, endings }] of Object.entries(LEFT)) {
      it(`${api}, which the client leaves: ${name}`, async () => {
        const before = gateway.journal().length;
        await leave(api, name, bytes);
        const line = await eventually("its line", () => gateway.journal()[before]);
        expect(endings).toContain(line.ending);
        expect(line.cost_nano_usd).toBe(costOf(line));
        expect(line.cost_nano_usd).toBeGreaterThan(0);
      });
    }

    it(`${api}, that is refused`, async () => {
      const blocked = await lineOf(await ask(api, bodyOf(api, "whole", true, `a ${BLOCKED_ENGLISH}`)));
      expect(blocked).toMatchObject({ ending: "refused", status: 403, reserved_tokens: null, cost_nano_usd: 0 });
      const unknown = await lineOf(await ask(api, bodyOf(api, "nobody", true)));
      expect(unknown).toMatchObject({ ending: "refused", status: 404, reserved_tokens: null, cost_nano_usd: 0 });
    });
  }
});

describe("after all of them", () => {
  it("counters, metrics and the journal say the same, and nothing is reserved", async () => {
    const lines = await eventually("a line for each", () => gateway.journal().length >= requests && gateway.journal());
    expect(lines).toHaveLength(requests);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(requests);
    const spent = lines.reduce((sum, line) => sum + line.cost_nano_usd, 0);
    const status = async (): Promise<Record<string, number>> =>
      ((await (await fetch(`${gateway.adminUrl}/status`)).json()) as { limits: Record<string, number>[] }).limits[0]!;
    await eventually("nothing is under way", async () => (await status()).running === 0);
    expect(await status()).toMatchObject({ running: 0, reserved_nano_usd: 0, spent_nano_usd: spent });
    await eventually("the metrics", async () => {
      const cost = sumOf(await gateway.metrics(), "sluice_cost_usd_total", { tenant: "acme" });
      return Math.abs(cost * 1e9 - spent) < 1;
    });
    // What the windows of a day have, told by the headers of one more request.
    const used = lines.reduce((sum, line) => sum + (line.reserved_tokens === null ? 0 : line.input_tokens + line.output_tokens), 0);
    const admitted = lines.filter(({ reserved_tokens }) => reserved_tokens !== null).length;
    const { headers } = await ask("chat", bodyOf("chat", "whole", false));
    const line = await gateway.journalLine(String(headers["x-request-id"]));
    expect(Number(headers["x-ratelimit-remaining-requests"])).toBe(100000 - admitted - 1);
    expect(Number(headers["x-ratelimit-remaining-tokens"])).toBe(1000000000 - used - line.reserved_tokens!);
  });
});
