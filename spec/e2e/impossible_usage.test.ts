import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { send } from "../support/http_client.ts";
import { rows, sqliteLedger, usage } from "../support/ledger.ts";
import { eventually, removeDirectory, temporaryDirectory } from "../support/processes.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
// The dearest that the schema allows: a dollar a token.
const PRICES = { cheap: { input: 3, output: 11, cached_input: 0.7 }, dear: { input: 1e6, output: 1e6 } };

const APIS = {
  chat: {
    path: "/v1/chat/completions",
    body: { messages: [{ role: "user", content: "Hello" }] },
    answer: (usage: string) => `{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}],"usage":${usage}}`,
    events: (usage: string) =>
      `data: {"choices":[{"index":0,"delta":{"content":"Hello there"},"finish_reason":"stop"}]}\n\ndata: {"choices":[],"usage":${usage}}\n\ndata: [DONE]\n\n`,
    usage: (input: string, cached: string, output: string) =>
      `{"prompt_tokens":${input},"prompt_tokens_details":{"cached_tokens":${cached}},"completion_tokens":${output}}`,
  },
  responses: {
    path: "/v1/responses",
    body: { input: "Hello" },
    answer: (usage: string) => `{"output":[{"type":"message","content":[{"type":"output_text","text":"Hello there"}]}],"usage":${usage}}`,
    events: (usage: string) =>
      `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hello there"}\n\n` +
      `event: response.completed\ndata: {"type":"response.completed","response":{"usage":${usage}}}\n\n`,
    usage: (input: string, cached: string, output: string) =>
      `{"input_tokens":${input},"input_tokens_details":{"cached_tokens":${cached}},"output_tokens":${output}}`,
  },
  messages: {
    path: "/v1/messages",
    body: { max_tokens: 100, messages: [{ role: "user", content: "Hello" }] },
    answer: (usage: string) => `{"type":"message","content":[{"type":"text","text":"Hello there"}],"usage":${usage}}`,
    events: (usage: string) =>
      `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello there"}}\n\n` +
      `event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":${usage}}\n\n` +
      `event: message_stop\ndata: {"type":"message_stop"}\n\n`,
    usage: (input: string, cached: string, output: string) =>
      `{"input_tokens":${input},"cache_read_input_tokens":${cached},"output_tokens":${output}}`,
  },
};
type Api = keyof typeof APIS;

/** Input, cached input, output. */
const IMPOSSIBLE: [name: string, api: Api[], ...figures: [string, string, string]][] = [
  ["2^53 tokens of output", ["chat", "responses", "messages"], "10", "2", "9007199254740992"],
  ["2^53 tokens of input", ["chat", "responses", "messages"], "9007199254740992", "2", "5"],
  ["a number without end", ["chat", "responses", "messages"], "10", "2", "1e999"],
  ["a negative one", ["chat", "responses", "messages"], "-10", "2", "5"],
  ["a broken one", ["chat", "responses", "messages"], "10", "2", "5.5"],
  ["more cached input than input", ["chat", "responses"], "10", "11", "5"],
];

let upstream: ScriptedUpstream;
let gateway: Gateway;
let directory: string;

beforeAll(async () => {
  directory = temporaryDirectory("sluice-impossible-usage");
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: JSON.stringify({
      tenants: [{
        id: "acme",
        api_keys: [{ id: "web", secret: KEY }],
        limits: { tokens_per_day: 1000000000 },
        budget: { usd: 1000000, period: "month" },
      }],
      models: Object.entries(PRICES).flatMap(([name, price]) =>
        [["", "openai"], ["claude-", "claude"]].map(([prefix = "", pool]) => ({ name: prefix + name, pool, price, max_output_tokens: 100 }))),
      pools: [
        { name: "openai", endpoints: [{ url: upstream.url }] },
        { name: "claude", api: "anthropic", endpoints: [{ url: upstream.url }] },
      ],
    }),
    workers: 2,
  });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  removeDirectory(directory);
});

async function ask(api: Api, price: keyof typeof PRICES, stream: boolean, said: string): ReturnType<Gateway["journalLine"]> {
  const { path, body, answer, events } = APIS[api];
  const user = upstream.prepare(stream ? { pieces: [events(said)] } : { pieces: [answer(said)], type: "application/json", length: true });
  const model = (api === "messages" ? "claude-" : "") + price;
  const { status, headers } = await send(gateway.port, { path, key: KEY, body: JSON.stringify({ model, stream, user, ...body }) });
  expect(status).toBe(200);
  return gateway.journalLine(String(headers["x-request-id"]));
}

describe("usage that can't be is counted instead:", () => {
  for (const [name, apis, ...figures] of IMPOSSIBLE) {
    for (const api of apis) {
      for (const stream of [true, false]) {
        it(`${name}, ${api}, ${stream ? "a stream" : "one body"}`, async () => {
          const counted = await ask(api, "cheap", stream, "null");
          expect(counted).toMatchObject({ usage_from: "counted", cached_input_tokens: 0, ending: "finished" });
          expect(counted.output_tokens).toBeGreaterThan(0);
          expect(await ask(api, "cheap", stream, APIS[api].usage(...figures))).toMatchObject({
            usage_from: "counted", cached_input_tokens: 0, ending: "finished",
            input_tokens: counted.input_tokens, output_tokens: counted.output_tokens, cost_nano_usd: counted.cost_nano_usd,
          });
        });
      }
    }
  }
});

describe("afterwards", () => {
  it("the tenant is still served, and a bill larger than any number that is exact is one that all agree on", async () => {
    const line = await ask("chat", "dear", false, APIS.chat.usage("1000000000", "0", "1000000000"));
    expect(line).toMatchObject({ usage_from: "upstream", input_tokens: 1e9, output_tokens: 1e9, cost_nano_usd: Number.MAX_SAFE_INTEGER });
  });

  it("the journal, the budget, the ledger and the metrics say the same", async () => {
    const lines = gateway.journal();
    for (const line of lines) {
      expect(Number.isSafeInteger(line.cost_nano_usd) && Number.isSafeInteger(line.input_tokens) && Number.isSafeInteger(line.output_tokens)).toBe(true);
    }
    const spent = lines.reduce((sum, { cost_nano_usd }) => sum + BigInt(cost_nano_usd), 0n);
    const { limits } = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as { limits: Record<string, number>[] };
    // Two sums of more than 2^53 nano-dollars are the same to 2 of them.
    expect(Math.abs(limits[0]!.spent_nano_usd! - Number(spent))).toBeLessThanOrEqual(2 * lines.length);
    expect(limits[0]).toMatchObject({ running: 0, reserved_nano_usd: 0 });
    const ledger = sqliteLedger(join(directory, "ledger.db"));
    expect(usage(ledger, "load", "--journal", join(gateway.runDir, "logs/usage.jsonl"))).toMatchObject({ status: 0, errors: "" });
    expect(ledger.query("SELECT SUM(cost_nano_usd) FROM usage_requests")).toBe(String(spent));
    expect(rows(usage(ledger, "report", "--by", "tenant", "--format", "csv"))).toHaveLength(1);
    const tokens = lines.reduce((sum, { input_tokens, output_tokens }) => sum + input_tokens + output_tokens, 0);
    await eventually("the metrics", async () => {
      const metrics = await gateway.metrics();
      return sumOf(metrics, "sluice_tokens_total", { type: "input" }) + sumOf(metrics, "sluice_tokens_total", { type: "output" }) === tokens;
    });
  });
});
