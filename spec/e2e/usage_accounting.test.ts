import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import { send } from "../support/http_client.ts";
import { sqliteLedger, usage } from "../support/ledger.ts";
import { eventually, removeDirectory, temporaryDirectory } from "../support/processes.ts";
import { type Redis, startRedis } from "../support/redis.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

/** Whatever upstreams report, and however their answers end: what is charged, and that all who count it agree. */

const KEYS = { acme: "sk-sluice-client-key-of-acme-0123456789", guarded: "sk-sluice-client-key-of-guarded-01234567" };
const PRICE = { input: 3, cached_input: 0.3, cache_write: 3.75, cache_write_1h: 6, output: 15 };

/** Texts that are counted as whole tokens, with nothing left over; the second has a word that is blocked. */
const TEXT = "theriverwindsthroughthevalleyslowly";
const BLOCKED = " zqx 5";
const BLOCKED_TOKENS = 2;

type Figures = Pick<
  JournalLine,
  "input_tokens" | "cached_input_tokens" | "cache_write_tokens" | "cache_write_1h_tokens" | "output_tokens" | "reasoning_tokens" | "usage_from"
>;
type Endings = "finished" | "left" | "lost" | "blocked";

interface Shape {
  api: "chat" | "completions" | "responses" | "messages";
  /** What the request has besides. */
  more?: object;
  /** The data of the events that come in any case; the last one has text. */
  events: object[];
  /** Those that come if the stream ends well, without the marker. */
  last: object[];
  /** What is charged if it ends before those; of the input null: the estimate. */
  early: Partial<Figures>;
  /** And if it ends well. */
  whole: Partial<Figures>;
}

const delta = (content: string, more: object = {}, index = 0): object => ({ choices: [{ index, delta: { content } }], ...more });
const stop = (more: object = {}, index = 0, choice: object = {}): object =>
  ({ choices: [{ index, delta: {}, finish_reason: "stop", ...choice }], ...more });
const only = (figures: object, choices: null | [] | undefined = []): object => ({ choices, usage: figures });
const counted = { usage_from: "counted" };
const reported = { usage_from: "upstream" };

const STARTED = {
  type: "message_start",
  message: {
    usage: {
      input_tokens: 10, cache_read_input_tokens: 150000, cache_creation_input_tokens: 700, output_tokens: 1,
      cache_creation: { ephemeral_5m_input_tokens: 500, ephemeral_1h_input_tokens: 200 },
    },
  },
};
const BLOCK = { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: TEXT } };
const FROM_CACHE = { input_tokens: 150710, cached_input_tokens: 150000, cache_write_tokens: 700, cache_write_1h_tokens: 200 };

const SHAPES: Record<string, Shape> = {
  "no usage": { api: "chat", events: [delta(TEXT)], last: [stop()], early: { ...counted, output_tokens: 4 }, whole: { ...counted, output_tokens: 4 } },
  "usage at the end": {
    api: "chat", events: [delta(TEXT)], last: [stop(), only({ prompt_tokens: 9, completion_tokens: 7 })],
    early: { ...counted, output_tokens: 4 }, whole: { ...reported, input_tokens: 9, output_tokens: 7 },
  },
  "usage of zeros at the end": {
    api: "chat", events: [delta(TEXT)], last: [stop(), only({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 })],
    early: { ...counted, output_tokens: 4 }, whole: { ...counted, output_tokens: 4 },
  },
  "the prompt only, at the beginning": {
    api: "chat", events: [delta("", { usage: { prompt_tokens: 31, completion_tokens: 0, total_tokens: 31 } }), delta(TEXT), delta(TEXT)], last: [stop()],
    early: { ...counted, input_tokens: 31, output_tokens: 8 }, whole: { ...counted, input_tokens: 31, output_tokens: 8 },
  },
  "running usage with a cache, and text behind it": {
    api: "chat",
    events: [delta(TEXT, { usage: { prompt_tokens: 31, completion_tokens: 100, prompt_tokens_details: { cached_tokens: 16 } } }), delta(TEXT)],
    last: [stop({ usage: { prompt_tokens: 0, completion_tokens: 120, prompt_tokens_details: null } })],
    early: { ...counted, input_tokens: 31, cached_input_tokens: 16, output_tokens: 104 },
    whole: { ...reported, input_tokens: 31, cached_input_tokens: 16, output_tokens: 120 },
  },
  "usage in the choice": {
    api: "chat", events: [delta(TEXT)],
    last: [stop({}, 0, { usage: { prompt_tokens: 2989, completion_tokens: 12, total_tokens: 3001, cached_tokens: 2816 } })],
    early: { ...counted, output_tokens: 4 }, whole: { ...reported, input_tokens: 2989, cached_input_tokens: 2816, output_tokens: 12 },
  },
  "usage of x_groq": {
    api: "chat", events: [delta(TEXT)], last: [stop({ x_groq: { id: "r", usage: { queue_time: 0.01, prompt_tokens: 5003, completion_tokens: 359 } } })],
    early: { ...counted, output_tokens: 4 }, whole: { ...reported, input_tokens: 5003, output_tokens: 359 },
  },
  "DeepSeek's cache": {
    api: "chat", events: [delta(TEXT)],
    last: [stop(), only({ prompt_tokens: 2000, completion_tokens: 10, total_tokens: 2010, prompt_cache_hit_tokens: 1920, prompt_cache_miss_tokens: 80 })],
    early: { ...counted, output_tokens: 4 }, whole: { ...reported, input_tokens: 2000, cached_input_tokens: 1920, output_tokens: 10 },
  },
  "reasoning that only the total has": {
    api: "chat", events: [delta(TEXT)],
    last: [stop(), only({ prompt_tokens: 32, completion_tokens: 9, total_tokens: 135, completion_tokens_details: { reasoning_tokens: 94 } }, undefined)],
    early: { ...counted, output_tokens: 4 }, whole: { ...reported, input_tokens: 32, output_tokens: 103, reasoning_tokens: 94 },
  },
  "reasoning within the output": {
    api: "chat", events: [delta(TEXT)],
    last: [stop(), only({ prompt_tokens: 32, completion_tokens: 90, total_tokens: 122, completion_tokens_details: { reasoning_tokens: 80 } })],
    early: { ...counted, output_tokens: 4 }, whole: { ...reported, input_tokens: 32, output_tokens: 90, reasoning_tokens: 80 },
  },
  "reasoning told twice": {
    api: "chat",
    events: [1, 2].map(() => ({ choices: [{ index: 0, delta: { reasoning: TEXT, reasoning_content: TEXT } }] })), last: [stop()],
    early: { ...counted, output_tokens: 8 }, whole: { ...counted, output_tokens: 8 },
  },
  "a choice at a time": {
    api: "chat", more: { n: 2 },
    events: [delta(TEXT), delta(TEXT, {}, 1), stop(), only({ prompt_tokens: 12, completion_tokens: 20 }), delta(TEXT, {}, 1)],
    last: [stop({}, 1), only({ prompt_tokens: 12, completion_tokens: 30 })],
    early: { ...counted, input_tokens: 12, output_tokens: 24 }, whole: { ...reported, input_tokens: 12, output_tokens: 50 },
  },
  "one choice of four": {
    api: "chat", more: { n: 4 }, events: [0, 1, 2, 3].map((index) => delta(TEXT, {}, index)),
    last: [...[0, 1, 2, 3].map((index) => stop({}, index)), only({ prompt_tokens: 12, completion_tokens: 5 })],
    early: { ...counted, output_tokens: 16 }, whole: { ...counted, input_tokens: 12, output_tokens: 16 },
  },
  "a prompt at a time": {
    api: "completions", more: { prompt: ["Hello", "there"] },
    events: [
      { choices: [{ index: 0, text: TEXT, finish_reason: "stop" }] }, only({ prompt_tokens: 5, completion_tokens: 20 }, null),
      { choices: [{ index: 1, text: TEXT, finish_reason: null }] },
    ],
    last: [{ choices: [{ index: 1, text: "", finish_reason: "stop" }] }, only({ prompt_tokens: 6, completion_tokens: 30 }, null)],
    early: { ...counted, input_tokens: 5, output_tokens: 24 }, whole: { ...reported, input_tokens: 11, output_tokens: 50 },
  },
  "a response": {
    api: "responses", events: [{ type: "response.output_text.delta", delta: TEXT }],
    last: [{
      type: "response.completed",
      response: {
        usage: {
          input_tokens: 64, input_tokens_details: { cached_tokens: 32 }, output_tokens: 1500, output_tokens_details: { reasoning_tokens: 1490 },
          total_tokens: 1564,
        },
      },
    }],
    early: { ...counted, output_tokens: 4 },
    whole: { ...reported, input_tokens: 64, cached_input_tokens: 32, output_tokens: 1500, reasoning_tokens: 1490 },
  },
  "a message with a cache": {
    api: "messages", events: [STARTED, BLOCK],
    last: [
      { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { input_tokens: 10, cache_creation_input_tokens: 0, output_tokens: 47 } },
      { type: "message_stop" },
    ],
    early: { ...counted, ...FROM_CACHE, output_tokens: 4 }, whole: { ...reported, ...FROM_CACHE, output_tokens: 47 },
  },
  "a message whose input is all in the cache": {
    api: "messages",
    events: [{ type: "message_start", message: { usage: { input_tokens: 0, cache_read_input_tokens: 2000, output_tokens: 1 } } }, BLOCK],
    last: [{ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { input_tokens: 0, output_tokens: 47 } }, { type: "message_stop" }],
    early: { ...counted, input_tokens: 2000, cached_input_tokens: 2000, output_tokens: 4 },
    whole: { ...reported, input_tokens: 2000, cached_input_tokens: 2000, output_tokens: 47 },
  },
};

/** One event more, with a word that a guard blocks. */
const WITH_BLOCKED: Record<Shape["api"], object> = {
  chat: delta(BLOCKED),
  completions: { choices: [{ index: 1, text: BLOCKED, finish_reason: null }] },
  responses: { type: "response.output_text.delta", delta: BLOCKED },
  messages: { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: BLOCKED } },
};

const PATHS = { chat: "/v1/chat/completions", completions: "/v1/completions", responses: "/v1/responses", messages: "/v1/messages" };
const REQUESTS = {
  chat: { messages: [{ role: "user", content: "Hello" }] }, completions: { prompt: "Hello" }, responses: { input: "Hello" },
  messages: { max_tokens: 100, messages: [{ role: "user", content: "Hello" }] },
};

/** Bodies with usage, and what they come to. */
const BODIES: Record<string, { api: Shape["api"]; more?: object; body: string; charged: Partial<Figures> }> = {
  "floats that are whole": {
    api: "chat", body: `{"choices":[],"usage":{"prompt_tokens":120.0,"completion_tokens":30.0,"total_tokens":150.0}}`,
    charged: { ...reported, input_tokens: 120, output_tokens: 30 },
  },
  "one choice of four": {
    api: "chat", more: { n: 4 },
    body: JSON.stringify({ choices: [0, 1, 2, 3].map((index) => ({ index, message: { content: TEXT } })), usage: { prompt_tokens: 12, completion_tokens: 5 } }),
    charged: { ...counted, input_tokens: 12, output_tokens: 16 },
  },
  "all of two choices, with their probabilities": {
    api: "chat", more: { n: 2 },
    body: JSON.stringify({
      choices: [0, 1].map((index) => ({ index, message: { content: TEXT }, logprobs: { content: [{ token: TEXT, logprob: 0, top_logprobs: [] }] } })),
      usage: { prompt_tokens: 12, completion_tokens: 8 },
    }),
    charged: { ...reported, input_tokens: 12, output_tokens: 8 },
  },
  "writes for an hour": {
    api: "messages",
    body: JSON.stringify({
      type: "message", content: [{ type: "text", text: TEXT }],
      usage: {
        input_tokens: 10, cache_creation_input_tokens: 20000, cache_read_input_tokens: 0, output_tokens: 5,
        cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 20000 },
      },
    }),
    charged: { ...reported, input_tokens: 20010, cache_write_tokens: 20000, cache_write_1h_tokens: 20000, output_tokens: 5 },
  },
  "OpenRouter's writes": {
    api: "chat",
    body: '{"choices":[],"usage":{"prompt_tokens":300,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":100,"cache_write_tokens":150}}}',
    charged: { ...reported, input_tokens: 300, cached_input_tokens: 100, cache_write_tokens: 150, output_tokens: 2 },
  },
};

/** What a line costs, by a plain computation. */
function costOf(line: JournalLine): number {
  const { input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens } = line;
  const plain = input_tokens - cached_input_tokens - cache_write_tokens;
  const minutes = cache_write_tokens - cache_write_1h_tokens;
  return plain * 3000 + cached_input_tokens * 300 + minutes * 3750 + cache_write_1h_tokens * 6000 + output_tokens * 15000;
}

for (const store of ["memory", "redis"]) {
  describe(`with limits in ${store}`, () => {
    let upstream: ScriptedUpstream;
    let gateway: Gateway;
    let server: Redis | undefined;
    let directory: string;
    let estimates: Record<string, number>;

    beforeAll(async () => {
      directory = temporaryDirectory("sluice-usage-accounting");
      upstream = await startScriptedUpstream();
      if (store === "redis") server = await startRedis();
      const tenant = (id: keyof typeof KEYS, more: object = {}): object =>
        ({ id, api_keys: [{ id: "web", secret: KEYS[id] }], limits: { tokens_per_day: 1000000000 }, budget: { usd: 1000000, period: "month" }, ...more });
      gateway = await startGateway({
        config: JSON.stringify({
          ...(server && { store: { kind: "redis", redis: { url: `redis://127.0.0.1:${server.port}`, nodes: 1, timeout_ms: 500 } } }),
          tenants: [tenant("acme"), tenant("guarded", { guard: "words" })],
          models: [
            { name: "chat", pool: "openai", price: PRICE, max_output_tokens: 100 },
            { name: "claude", pool: "anthropic", price: PRICE, max_output_tokens: 100 },
          ],
          pools: [
            { name: "openai", endpoints: [{ url: upstream.url }], retries: { attempts: 1 }, breaker: { failures: 1000 } },
            { name: "anthropic", api: "anthropic", endpoints: [{ url: upstream.url }], retries: { attempts: 1 }, breaker: { failures: 1000 } },
          ],
          guards: [{ name: "words", on: ["completion"], lexicons: [{ file: "words.txt", action: "block" }] }],
        }),
        files: { "words.txt": "zqx\n" },
        workers: 2,
      });
      estimates = {};
    });

    afterAll(async () => {
      await gateway?.stop();
      await server?.stop();
      await upstream?.stop();
      removeDirectory(directory);
    });

    /** Asks for a stream; leaves it when all events that come in any case are there, if that is how it ends. Returns its line. */
    async function ask(shape: Shape, ending: Endings): Promise<JournalLine> {
      const { api, more, events, last } = shape;
      const sse = (event: object): string => `${"type" in event ? `event: ${String(event.type)}\n` : ""}data: ${JSON.stringify(event)}\n\n`;
      const marker = api === "chat" || api === "completions" ? ["data: [DONE]\n\n"] : [];
      const pieces = [...events, ...(ending === "finished" ? last : ending === "blocked" ? [WITH_BLOCKED[api]] : [])].map(sse);
      let go!: () => void;
      const seen = new Promise<void>((resolve) => (go = resolve));
      const user = upstream.prepare({
        pieces: [pieces.join(""), ...(ending === "finished" ? marker : ending === "lost" ? [seen] : [])],
        end: ending === "lost" ? "broken" : ending === "finished" ? "finished" : "open",
      });
      const before = gateway.journal().length;
      const gone = new AbortController();
      const texts = JSON.stringify(events).split(TEXT).length - 1;
      let text = "";
      const answer = send(gateway.port, {
        path: PATHS[api], key: KEYS[ending === "blocked" ? "guarded" : "acme"], signal: gone.signal,
        body: JSON.stringify({ model: api === "messages" ? "claude" : "chat", stream: true, user, ...REQUESTS[api], ...more }),
        onData: (data) => {
          text += data.toString();
          if (text.split(TEXT).length > texts) {
            go();
            if (ending === "left") gone.abort();
          }
        },
      });
      await (ending === "left" ? answer.catch(() => undefined) : answer);
      return eventually("its line", () => gateway.journal()[before]);
    }

    const NAMES = { finished: "finished", left: "client_gone", lost: "upstream_lost", blocked: "blocked" };
    for (const [name, shape] of Object.entries(SHAPES)) {
      for (const ending of Object.keys(NAMES) as Endings[]) {
        it(`a stream that is ${ending}: ${name}`, async () => {
          const line = await ask(shape, ending);
          const wanted = ending === "finished" ? shape.whole : shape.early;
          const nothing = { cached_input_tokens: 0, cache_write_tokens: 0, cache_write_1h_tokens: 0, reasoning_tokens: 0 };
          const more = ending === "blocked" ? BLOCKED_TOKENS : 0;
          const kind = JSON.stringify([shape.api, shape.more]);
          if (wanted.input_tokens === undefined) estimates[kind] ??= line.input_tokens;
          expect(line).toMatchObject({
            ...nothing, ending: NAMES[ending], ...wanted, input_tokens: wanted.input_tokens ?? estimates[kind], output_tokens: wanted.output_tokens! + more,
          });
          expect(line.input_tokens).toBeGreaterThan(0);
          expect(line.cost_nano_usd).toBe(costOf(line));
        });
      }
    }

    for (const [name, { api, more, body, charged }] of Object.entries(BODIES)) {
      it(`one body: ${name}`, async () => {
        const user = upstream.prepare({ pieces: [body], type: "application/json", length: true });
        const { headers } = await send(gateway.port, {
          path: PATHS[api], key: KEYS.acme, body: JSON.stringify({ model: api === "messages" ? "claude" : "chat", user, ...REQUESTS[api], ...more }),
        });
        const line = await gateway.journalLine(String(headers["x-request-id"]));
        expect(line).toMatchObject({ ending: "finished", ...charged });
        expect(line.cost_nano_usd).toBe(costOf(line));
      });
    }

    it("the journal, the store, the ledger and the metrics say the same", async () => {
      const lines = gateway.journal();
      expect(lines).toHaveLength(Object.keys(SHAPES).length * 4 + Object.keys(BODIES).length);
      const sum = (of: JournalLine[], figure: keyof JournalLine): number => of.reduce((total, line) => total + Number(line[figure]), 0);
      for (const tenant of Object.keys(KEYS)) {
        const own = lines.filter((line) => line.tenant === tenant);
        await eventually(`the store has what ${tenant} has spent`, async () => {
          const { limits } = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as { limits: Record<string, number | string>[] };
          const found = limits.find((limit) => limit.tenant === tenant)!;
          return found.running === 0 && found.reserved_nano_usd === 0 && found.spent_nano_usd === sum(own, "cost_nano_usd");
        });
      }
      const ledger = sqliteLedger(join(directory, "ledger.db"));
      expect(usage(ledger, "load", "--journal", join(gateway.runDir, "logs/usage.jsonl"))).toMatchObject({ status: 0, errors: "" });
      const figures = [
        "cost_nano_usd", "input_tokens", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens", "reasoning_tokens",
      ] as const;
      for (const figure of figures) {
        expect(Number(ledger.query(`SELECT SUM(${figure}) FROM usage_requests`)), figure).toBe(sum(lines, figure));
      }
      const [report] = JSON.parse(usage(ledger, "report", "--by", "tenant", "--tenant", "acme", "--format", "json").output) as Record<string, number>[];
      const own = lines.filter((line) => line.tenant === "acme");
      for (const figure of ["cost_nano_usd", "cache_write_tokens", "cache_write_1h_tokens"] as const) {
        expect(report![figure], figure).toBe(sum(own, figure));
      }
      await eventually("the metrics", async () => {
        const metrics = await gateway.metrics();
        return ["input", "cached_input", "cache_write", "cache_write_1h", "output"].every(
          (type) => sumOf(metrics, "sluice_tokens_total", { type }) === sum(lines, `${type}_tokens` as keyof JournalLine));
      });
    });
  });
}
