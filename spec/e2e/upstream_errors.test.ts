/** Errors that an upstream sends under a good status, and answers that are none: whose failure they are, and what they cost. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway } from "../support/gateway.ts";
import { chatChunk, DONE } from "../support/guarded.ts";
import { type Answer, post } from "../support/http_client.ts";
import { eventually } from "../support/processes.ts";
import { type Script, type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const HELLO = [{ role: "user", content: "hello ".repeat(200) }];
const KEYS = { free: "sk-sluice-client-key-of-free-0123456789", guarded: "sk-sluice-client-key-of-guarded-0123456789" };
/** So many failures open a breaker. */
const FAILURES = 2;

let upstream: ScriptedUpstream;
let gateway: Gateway;

async function begin(): Promise<void> {
  const pool = { endpoints: [{ url: upstream.url }, { url: upstream.url.replace("127.0.0.1", "localhost") }], balance: "round_robin", breaker: { failures: FAILURES, window: "600s", open: "600s" } };
  gateway = await startGateway({
    workers: 1,
    files: { "words.txt": "nightjar\n" },
    config: JSON.stringify({
      tenants: Object.entries(KEYS).map(([id, secret]) => ({ id, api_keys: [{ id: "web", secret }], ...(id === "guarded" && { guard: "words" }) })),
      guards: [{ name: "words", on: ["completion"], lexicons: [{ file: "words.txt", action: "block" }] }],
      models: [
        { name: "chat", pool: "gpu", price: { input: 1, output: 1 } },
        { name: "claude", pool: "claude", price: { input: 1, output: 1 } },
        { name: "judged", pool: "judged", price: { input: 1, output: 1 } },
      ],
      pools: [
        { name: "gpu", endpoints: [{ url: upstream.url }] },
        { name: "claude", api: "anthropic", endpoints: [{ url: upstream.url }] },
        { name: "judged", ...pool },
      ],
    }),
  });
}

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  await begin();
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

const PATHS = { chat: "/v1/chat/completions", judged: "/v1/chat/completions", responses: "/v1/responses", claude: "/v1/messages", embeddings: "/v1/embeddings" };

function ask(kind: keyof typeof PATHS, script: Script, tenant: keyof typeof KEYS, stream: boolean): Promise<Answer> {
  const user = upstream.prepare(script);
  const model = kind === "responses" || kind === "embeddings" ? "chat" : kind;
  const text = kind === "responses" || kind === "embeddings" ? { input: "hello ".repeat(200) } : { messages: HELLO };
  return post(gateway.port, PATHS[kind], { model, stream, user, ...(kind === "claude" && { max_tokens: 9 }), ...text }, { key: KEYS[tenant] });
}

function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway.journalLine(String(answer.headers["x-request-id"]));
}

const event = (data: string): string => `data: ${data}\n\n`;
const ERROR = '{"error":{"message":"too long","type":"invalid_request_error","code":400}}';
const USAGE = '"usage":{"prompt_tokens":70,"completion_tokens":3}';

/** What comes as a stream, and how much of it is charged: nothing, what the upstream says, or what was seen. */
const STREAMS: Record<string, { kind?: keyof typeof PATHS; pieces: string[]; charged: "nothing" | "upstream" | "counted" }> = {
  "an error, then the marker": { pieces: [event(ERROR), DONE], charged: "nothing" },
  "an error and nothing else": { pieces: [event(ERROR)], charged: "nothing" },
  "an error that is the whole object": { pieces: [event('{"object":"error","message":"a","code":400}'), DONE], charged: "nothing" },
  "an error that is a string": { pieces: [event('{"error":"it went wrong"}'), DONE], charged: "nothing" },
  "some text, an error, the marker": { pieces: [chatChunk("Hal"), event(ERROR), DONE], charged: "counted" },
  "an error beside choices and usage": {
    pieces: [chatChunk("Hal"), event(`{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"a"},${USAGE}}`), DONE],
    charged: "upstream",
  },
  "an error in a chunk that else only reports usage": { pieces: [chatChunk("Hal"), event(`{"choices":[],"error":{"code":502,"message":"a"},${USAGE}}`), DONE], charged: "upstream" },
  "the marker alone": { pieces: [DONE], charged: "nothing" },
  "nothing": { pieces: [], charged: "nothing" },
  "blank lines and comments": { pieces: ["\n\n", ": ping\n\n"], charged: "nothing" },
  "a response that failed": {
    kind: "responses", pieces: [event('{"type":"response.failed","sequence_number":0,"response":{"id":"r","status":"failed","error":{"code":"server_error","message":"a"}}}')], charged: "nothing",
  },
  "a message's error": { kind: "claude", pieces: ['event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"a"}}\n\n'], charged: "nothing" },
};

describe("a stream of status 200 that is", () => {
  it.each(Object.entries(STREAMS))("%s, is no finished answer", async (_, { kind = "chat", pieces, charged }) => {
    for (const tenant of ["free", "guarded"] as const) {
      const answer = await ask(kind, { pieces }, tenant, true);
      expect([answer.status, answer.complete]).toEqual([200, true]);
      // The upstream's own error reaches the client, and no other.
      if (pieces.some((piece) => piece.includes('"error"'))) expect(answer.text.match(/^data: .*"error"/gm)).toHaveLength(1);
      const line = await lineOf(answer);
      expect(line).toMatchObject({ ending: "upstream_lost", status: 200, usage_from: charged === "nothing" ? null : charged });
      if (charged === "nothing") expect([line.input_tokens, line.output_tokens, line.cost_nano_usd]).toEqual([0, 0, 0]);
      if (charged === "upstream") expect([line.input_tokens, line.output_tokens]).toEqual([70, 3]);
      if (charged === "counted") expect(line.cost_nano_usd).toBeGreaterThan(0);
    }
  });
});

const BODIES: Record<string, { kind?: keyof typeof PATHS; body: string; charged?: [number, number] }> = {
  "an error object": { body: ERROR },
  "an error object as older vLLM writes it": { body: '{"object":"error","message":"a","type":"BadRequestError","param":null,"code":400}' },
  "an error that is a string": { body: '{"error":"it went wrong"}' },
  "an error with usage": { body: `{"error":{"message":"a","code":500},${USAGE}}`, charged: [70, 3] },
  "a response that failed": { kind: "responses", body: '{"id":"r","object":"response","status":"failed","error":{"code":"server_error","message":"a"},"output":[],"usage":null}' },
  "a message's error": { kind: "claude", body: '{"type":"error","error":{"type":"overloaded_error","message":"a"}}' },
  "embeddings' error": { kind: "embeddings", body: ERROR },
  "empty": { body: "" },
  "blank": { body: "\n \n" },
};

describe("a body of status 200 that is", () => {
  it.each(Object.entries(BODIES))("%s, is no finished answer", async (_, { kind = "chat", body, charged = [0, 0] }) => {
    for (const tenant of ["free", "guarded"] as const) {
      for (const [pieces, length] of [[[body], true], [[...body], false]] as const) {
        const answer = await ask(kind, { pieces: [...pieces], type: "application/json", length }, tenant, false);
        expect([answer.status, answer.complete]).toEqual([200, true]);
        if (body.trim() !== "") expect(answer.text).toBe(body);
        else if (tenant === "guarded" && kind !== "embeddings") expect(answer.text).toContain("upstream_failed");
        const line = await lineOf(answer);
        expect(line).toMatchObject({ ending: "upstream_lost", input_tokens: charged[0], output_tokens: charged[1] });
        if (charged[0] === 0) expect(line).toMatchObject({ usage_from: null, cost_nano_usd: 0 });
      }
    }
  });

  it("an answer with an empty error in it, is one", async () => {
    for (const error of ["null", '""', "{}"]) {
      const body = `{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}],"error":${error},${USAGE}}`;
      const answer = await ask("chat", { pieces: [body], type: "application/json" }, "free", false);
      expect(await lineOf(answer)).toMatchObject({ ending: "finished", input_tokens: 70, output_tokens: 3 });
    }
  });
});

describe("an endpoint", () => {
  const of = (code: number): string => `{"error":{"message":"a","code":${code}}}`;

  async function opened(): Promise<string[]> {
    const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as { pools: { name: string; endpoints: { breaker: string }[] }[] };
    return status.pools.find(({ name }) => name === "judged")!.endpoints.map(({ breaker }) => breaker);
  }

  it.each([
    ["a stream's error of 400", of(400), true, false],
    ["a body's error of 400", of(400), false, false],
    ["an error of 400 where a stream was due", of(400), "body", false],
    ["a body's error of 429", of(429), false, false],
    ["a stream's error of 500", of(500), true, true],
    ["a body's error of 500", of(500), false, true],
    ["a body's error that says nothing more", '{"error":"a"}', false, true],
    ["an empty body", "", false, true],
  ] as [string, string, boolean | "body", boolean][])("is left because of %s, unless it is the client's mistake", async (_, error, stream, counts) => {
    await gateway.stop();
    await begin();
    // Nobody has been served here, so all failures of one key count.
    const script: Script = stream === "body" ? { pieces: [error] } : stream ? { pieces: [event(error), DONE] } : { pieces: [error], type: "application/json" };
    for (let round = 0; round < FAILURES * 2; round++) {
      const before = gateway.journal().length;
      await ask("judged", script, round < FAILURES ? "free" : "guarded", stream !== false);
      await eventually("it has been judged", () => (gateway.journal().length > before ? true : undefined));
    }
    expect(await opened()).toEqual(counts ? ["open", "open"] : ["closed", "closed"]);
  });
});
