import { readdirSync, readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import {
  type Api, APIS, BLOCKED, BLOCKED_ENGLISH, chatChunk, DONE, FLAGGED, FOUR, guardedConfiguration, GUARDS, HASTY, keyOf, LISTS, MASKED, MASKED_ENGLISH,
} from "../support/guarded.ts";
import { type Answer, errorOf, post } from "../support/http_client.ts";
import { HANG_MS, ROOT } from "../support/processes.ts";
import { type Script, type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const STREAMS = join(ROOT, "spec/support/streams");
const RECORDINGS = readdirSync(STREAMS).filter((file) => file.endsWith(".sse"));

/** Words that the recorded streams begin and don't complete, so that they are held back again and again. */
const ALMOST = [
  "The capital of France is not", "Hello! 我是一个助手吗", "It's \"fine\" or", "从前有座山里没有庙", "尾巴长", "Heads and tails", "No space left",
  "Many lines more", "get_weather_of", "Paris, Texas", "celsiusly", "你好世界和平", "the user asks about nothing", "asks about the weather of",
].join("\n");

let upstream: ScriptedUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  const patterns = { cn_mobile: "mask", cn_id_card: "block", payment_card: "mask", us_ssn: "mask", email: "block" };
  const letters = { name: "letters", on: ["completion"], lexicons: [{ file: "letters.txt", action: "flag" }] };
  const almost = { name: "almost", on: ["prompt", "completion"], lexicons: [{ file: "almost.txt" }, { file: "blocked.txt" }, { file: "masked.txt", action: "mask" }], patterns };
  gateway = await startGateway({
    config: guardedConfiguration(upstream.url, [...GUARDS, almost, letters]),
    files: { ...LISTS, "almost.txt": ALMOST, "letters.txt": "a\tpart\ne\tpart\n我\n的\n日\n用\n" },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** A request whose answer is this. */
function answer(api: Api, body: Script["pieces"], script: Partial<Script> = {}, tenant = "strict", more: object = {}): Promise<Answer> {
  const { path, model, more: needed } = APIS[api];
  const user = upstream.prepare({ pieces: body, type: "application/json", length: script.end === undefined, ...script });
  return post(gateway.port, path, { model, user, ...needed, ...more }, { key: keyOf(tenant) });
}

async function lineOf(received: Answer): Promise<JournalLine> {
  return gateway.journalLine(String(received.headers["x-request-id"]));
}

function expectJson(received: Answer, text: string): void {
  expect(received.text).toBe(text);
  expect(received.status).toBe(200);
  expect(received.complete).toBe(true);
  expect(received.headers["content-type"]).toBe("application/json");
  const length = received.headers["content-length"];
  if (length !== undefined) expect(Number(length)).toBe(received.body.length);
}

const USAGE = '"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}';
/** Answers of each API with two texts in them, and why it ended. Written with odd spaces, which stay. */
const BODIES: Record<Api, (first: string, second: string, ends?: [string, string]) => string> = {
  chat: (first, second, ends = ["stop", "length"]) =>
    `{ "id":"c","object":"chat.completion" ,"choices":[{"index":0,"message":{"role":"assistant","content":"${first}"},"finish_reason":"${ends[0]}"},\n` +
    ` {"index":1,"message":{"role":"assistant","content":"${second}","refusal":null},"logprobs":null,"finish_reason":"${ends[1]}"}],${USAGE}}\n`,
  completions: (first, second, ends = ["stop", "length"]) =>
    `{"id":"c","object":"text_completion","choices":[{"text":"${first}","index":0,"finish_reason":"${ends[0]}"},` +
    `{"text":"${second}","index":1,"logprobs":null,"finish_reason":"${ends[1]}"}],${USAGE}}`,
  responses: (first, second, ends = ["completed", "null"]) =>
    `{"id":"resp_1","object":"response","status":"${ends[0]}","incomplete_details":${ends[1]},"instructions":"x","output":[` +
    `{"type":"message","id":"m","status":"completed","role":"assistant","content":[{"type":"output_text","text":"${first}","annotations":[]}]},` +
    `{"type":"message","id":"n","status":"completed","role":"assistant","content":[{"type":"output_text","text":"${second}","annotations":[]}]}],` +
    '"usage":{"input_tokens":7,"output_tokens":5,"total_tokens":12}}',
  messages: (first, second, ends = ["end_turn", ""]) =>
    `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"${first}"},{"type":"text","text":"${second}"}],` +
    `"stop_reason":"${ends[0]}","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":5}}`,
};
const NAMES = Object.keys(BODIES) as Api[];

describe("an answer that is one JSON body", () => {
  it.each(NAMES)("goes on byte for byte when nothing is found: %s", async (api) => {
    const body = BODIES[api](`x ${FLAGGED.slice(0, 3)}`, "hollyhocks 机密");
    const received = await answer(api, [body]);
    expectJson(received, body);
    expect(await lineOf(received)).toMatchObject({ ending: "finished", guard: null, input_tokens: 7, output_tokens: 5, usage_from: "upstream", held_ms: 0 });
  });

  it.each(NAMES)("is masked, and nothing else changes: %s", async (api) => {
    const body = BODIES[api](`a ${MASKED} \\u73ab瑰花园`, `b ${MASKED_ENGLISH} ${FLAGGED}`);
    const received = await answer(api, [body]);
    expectJson(received, BODIES[api](`a ${FOUR} ${FOUR}`, `b ${"█".repeat(9)} ${FLAGGED}`));
    expect(await lineOf(received)).toMatchObject({
      ending: "finished", output_tokens: 5, guard: { name: "strict", blocked_by: null, prompt: null, completion: { flagged: 1, masked: 3, blocked: 0 } },
    });
  });

  it.each(["chat", "completions"] as const)("loses the text of the choice in which a word is blocked, and only that: %s", async (api) => {
    const received = await answer(api, [BODIES[api](`a ${BLOCKED}`, `b ${MASKED}`)]);
    expectJson(received, BODIES[api]("", `b ${FOUR}`, ["content_filter", "length"]));
    expect(await lineOf(received)).toMatchObject({
      ending: "blocked", status: 200, input_tokens: 7, output_tokens: 5, usage_from: "upstream", guard: { blocked_by: "blocked.txt", completion: { masked: 1, blocked: 1 } },
    });
    expectJson(await answer(api, [BODIES[api]("a", BLOCKED_ENGLISH)]), BODIES[api]("a", "", ["stop", "content_filter"]));
    expectJson(await answer(api, [BODIES[api](BLOCKED, BLOCKED)]), BODIES[api]("", "", ["content_filter", "content_filter"]));
  });

  it.each([["responses", ["incomplete", '{"reason":"content_filter"}']], ["messages", ["refusal", ""]]] as [Api, [string, string]][])(
    "says in its API's words that a word is blocked: %s",
    async (api, ends) => {
      const received = await answer(api, [BODIES[api](`a ${BLOCKED}`, "b")]);
      expectJson(received, BODIES[api]("", "", ends));
      expect(await lineOf(received)).toMatchObject({ ending: "blocked", status: 200, output_tokens: 5, usage_from: "upstream" });
    },
  );

  it("is guarded however its bytes come, with and without a length", async () => {
    const whole = Buffer.from(BODIES.chat(`a ${MASKED}`, "\\u73ab\\u7470花园"));
    const expected = BODIES.chat(`a ${FOUR}`, FOUR);
    for (const size of [1, 2, 3, 50, 1000]) {
      const cut = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) => whole.subarray(index * size, (index + 1) * size));
      expectJson(await answer("chat", cut), expected);
      expectJson(await answer("chat", cut, { length: false }), expected);
    }
  });

  it("is guarded in all its texts", async () => {
    const message = (members: string, more = ""): string =>
      `{"id":"c","choices":[{"index":0,"message":{"role":"assistant",${members}}${more},"finish_reason":"stop"}],${USAGE}}`;
    for (const members of [
      '"content":"◊"', '"content":null,"refusal":"◊"', '"content":"x","reasoning_content":"◊"', '"content":[{"type":"text","text":"◊"}]',
      '"content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\\"a\\":\\"◊\\"}"}}]',
      '"content":null,"function_call":{"name":"f","arguments":"{\\"a\\":\\"◊\\"}"}', '"content":"x","new_in_2030":[{"deep":"◊"}]',
      '"content":"x","annotations":[{"type":"url_citation","url_citation":{"title":"◊"}}]',
    ]) {
      expectJson(await answer("chat", [message(members.replace("◊", MASKED))]), message(members.replace("◊", FOUR)));
      const blocked = await answer("chat", [message(members.replace("◊", BLOCKED))]);
      expect(blocked.text, members).not.toContain(BLOCKED);
      expect(JSON.parse(blocked.text), members).toMatchObject({ choices: [{ index: 0, finish_reason: "content_filter" }] });
      expect((await lineOf(blocked)).ending).toBe("blocked");
    }
  });

  it("takes the log probabilities out, which repeat it", async () => {
    const choice = (text: string, logprobs: string, reason = "stop", index = 0): string =>
      `{"index":${index},"message":{"role":"assistant","content":"${text}"},"logprobs":${logprobs},"finish_reason":"${reason}"}`;
    const tokens = (...texts: string[]): string =>
      `{"content":[${texts.map((text) => `{"token":"${text}","logprob":-1,"bytes":[${[...Buffer.from(text)].join(",")}],"top_logprobs":[]}`).join(",")}]}`;
    const whole = (...choices: string[]): string => `{"id":"c","choices":[${choices.join(",")}],${USAGE}}`;
    for (const texts of [[MASKED], ["玫瑰", "花园"]]) {
      expectJson(await answer("chat", [whole(choice(MASKED, tokens(...texts)))]), whole(choice(FOUR, "null")));
    }
    expectJson(await answer("chat", [whole(choice("x", tokens("x")))]), whole(choice("x", tokens("x"))));
    const blocked = await answer("chat", [whole(choice(BLOCKED, tokens("机", "密", "文件")), choice("x", "null", "length", 1))]);
    expectJson(blocked, whole(choice("", "null", "content_filter"), choice("x", "null", "length", 1)));
  });

  it("is found though it was to be a stream", async () => {
    const body = BODIES.chat(MASKED, "x");
    expectJson(await answer("chat", [body], {}, "strict", { stream: true }), BODIES.chat(FOUR, "x"));
    const events = await answer("chat", [chatChunk("玫瑰"), chatChunk("花园"), DONE], { type: "text/event-stream", length: false });
    expect(events.text).toBe(chatChunk("██") + chatChunk("██") + DONE);
  });

  it("leaves its connection usable, and has the length that it says", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<unknown>();
    const ask = (text: string): Promise<{ status: number; body: string }> =>
      new Promise((resolve, reject) => {
        const user = upstream.prepare({ pieces: [BODIES.chat(text, "x")], type: "application/json", length: true });
        const headers = { authorization: `Bearer ${keyOf("strict")}`, "content-type": "application/json" };
        const sent = request({ host: "127.0.0.1", port: gateway.port, method: "POST", path: APIS.chat.path, headers, agent }, (response) => {
          const parts: Buffer[] = [];
          response.on("data", (data: Buffer) => parts.push(data));
          response.on("end", () => { resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }); });
        });
        sent.on("socket", (socket) => sockets.add(socket));
        sent.on("error", reject);
        sent.end(JSON.stringify({ model: "chat", messages: [], user }));
      });
    for (const text of ["a", BLOCKED, "b", MASKED, BLOCKED, "c"]) {
      const expected = text === BLOCKED ? BODIES.chat("", "x", ["content_filter", "length"]) : BODIES.chat(text === MASKED ? FOUR : text, "x");
      expect(await ask(text)).toEqual({ status: 200, body: expected });
    }
    expect(sockets.size).toBe(1);
    agent.destroy();
  });

  it("leaves the upstream's connection usable", async () => {
    await answer("chat", [BODIES.chat("a", "x")]);
    const before = upstream.connections();
    for (const text of ["a", BLOCKED, MASKED, "b"]) {
      expect((await answer("chat", [BODIES.chat(text, "x")])).status).toBe(200);
    }
    expect(upstream.connections()).toBe(before);
  });

  it("of 5 MB is guarded to its end", async () => {
    const long = "漢字 and letters, ".repeat(220_000);
    const received = await answer("chat", [BODIES.chat(`${long}${MASKED}`, "x")]);
    expect(received.text === BODIES.chat(`${long}${FOUR}`, "x")).toBe(true);
    const blocked = await answer("chat", [BODIES.chat(`${long}${BLOCKED}`, "x")]);
    expectJson(blocked, BODIES.chat("", "x", ["content_filter", "length"]));
  });

  it("goes on untouched for tenants whose guards don't read it", async () => {
    const body = BODIES.chat(`${BLOCKED} ${MASKED}`, "x");
    for (const tenant of ["free", "prompts", "shadow"]) expectJson(await answer("chat", [body], {}, tenant), body);
    expectJson(await answer("chat", [body], {}, "answers"), BODIES.chat("", "x", ["content_filter", "length"]));
  });
});

describe("an answer that can't be guarded", () => {
  const body = BODIES.chat(BLOCKED, MASKED);

  it.each([
    ["HTML", { type: "text/html; charset=utf-8" }],
    ["an image's type", { type: "image/png" }],
  ])("is refused: of %s", async (_, script) => {
    const received = await answer("chat", [body], script);
    expect(received.status).toBe(502);
    expect(errorOf(received)).toMatchObject({ type: "upstream_error", code: "upstream_failed" });
    expect(await lineOf(received)).toMatchObject({ ending: "upstream_lost", status: 502, output_tokens: 0 });
    expect(Number(received.headers["content-length"])).toBe(received.body.length);
  });

  it("is refused: compressed", async () => {
    const zipped = gzipSync(body);
    const received = await answer("chat", [zipped], { headers: { "content-encoding": "gzip" } });
    expect(received.status).toBe(502);
    expect(errorOf(received).code).toBe("upstream_failed");
  });

  it.each([
    ["that is cut off", [body.slice(0, -30)]],
    ["that is no JSON", [`${BLOCKED} ${MASKED}`]],
    ["with something behind it", [`${body}${BLOCKED}`]],
    ["with a member twice", [body.replace('"id":"c"', `"id":"c","id":"${MASKED}"`)]],
    ["that is not UTF-8", [Buffer.from('{"choices":[{"index":0,"message":{"content":"\xff nightjar"}}]}', "latin1")]],
    ["that is empty", [""]],
  ])("never passes: one %s", async (_, pieces) => {
    const received = await answer("chat", pieces, { length: false });
    expect(received.complete).toBe(true);
    for (const word of [BLOCKED, MASKED, BLOCKED_ENGLISH, HALF_WORD]) expect(received.text).not.toContain(word);
    expect(errorOf(received)).toMatchObject({ type: "upstream_error", code: "upstream_failed" });
    expect((await lineOf(received)).ending).toBe("upstream_lost");
  });

  it("never passes: one that breaks off", async () => {
    const received = await answer("chat", [body.slice(0, 200)], { end: "broken" });
    expect(received.text).not.toContain(HALF_WORD);
    expect(errorOf(received).code).toBe("upstream_failed");
    expect((await lineOf(received)).ending).toBe("upstream_lost");
    const silent = await answer("chat", [body.slice(0, 200)], { end: "open" }, "strict", { model: HASTY.chat });
    expect(silent.text).not.toContain(HALF_WORD);
    expect((await lineOf(silent)).ending).toBe("timed_out");
  });

  it("is guarded too if it is an error", async () => {
    const failure = (words: string): string => `{"error":{"message":"what is ${words}","type":"invalid_request_error","param":null,"code":null}}`;
    for (const status of [400, 422, 500]) {
      const received = await answer("chat", [failure(MASKED)], { status });
      expect(received.status).toBe(status);
      expect(received.text).toBe(failure(FOUR));
      expect((await answer("chat", [failure("x")], { status })).text).toBe(failure("x"));
      expect((await answer("chat", [failure(BLOCKED)], { status })).text).not.toContain(BLOCKED);
      const page = await answer("chat", [`<html>${BLOCKED}`], { status, type: "text/html" });
      expect(page.text).not.toContain(BLOCKED);
    }
  });
});

const HALF_WORD = BLOCKED.slice(0, 2);

describe("a recorded stream", () => {
  const send = (name: string, tenant: string, pieces: Script["pieces"], asked: boolean): Promise<Answer> => {
    const api = name.split("_")[0] as Api;
    const more = { stream: true, ...(asked && (api === "chat" || api === "completions") && { stream_options: { include_usage: true } }) };
    return answer(api, pieces, { type: "text/event-stream", length: false }, tenant, more);
  };

  it.each(RECORDINGS)("is the same under a guard that finds nothing, or only counts: %s", async (name) => {
    const whole = readFileSync(join(STREAMS, name));
    const events = whole.toString().split(/(?<=\n\n|\r\n\r\n|\r\r)/);
    const bytes = [...whole].map((byte) => Buffer.from([byte]));
    for (const asked of [true, false]) {
      const expected = await send(name, "free", [whole], asked);
      if (asked) expect(expected.text).toBe(whole.toString());
      for (const tenant of ["almost", "letters", "strict", "shadow"]) {
        for (const pieces of [[whole], events, tenant === "almost" ? bytes : [whole.subarray(0, 700), whole.subarray(700)]]) {
          const received = await send(name, tenant, pieces, asked);
          expect(received.text, tenant).toBe(expected.text);
          expect(received.complete).toBe(true);
          expect(received.headers["content-type"]).toBe(expected.headers["content-type"]);
          const [line, free] = [await lineOf(received), await lineOf(expected)];
          if (tenant === "letters") expect(line.guard?.completion?.flagged).toBeGreaterThan(0);
          else expect(line.guard).toBeNull();
          const { ending, input_tokens, output_tokens, cached_input_tokens, usage_from } = free;
          expect(line).toMatchObject({ ending, input_tokens, output_tokens, cached_input_tokens, usage_from });
        }
      }
    }
  });
});

describe("the metrics", () => {
  it("say what the journal says, and the log tells of no mistake", async () => {
    let lines: JournalLine[] = [];
    const told = (action: "flagged" | "masked" | "blocked", guard: string): number =>
      lines.reduce((sum, line) => sum + (line.guard?.name === guard ? (line.guard.completion?.[action] ?? 0) : 0), 0);
    const names = [...GUARDS.map(({ name }) => name), "almost", "letters"];
    // The last requests may not have been logged yet when their clients have all of their answers: both are read anew each time.
    await expect
      .poll(async () => {
        const metrics = await gateway.metrics();
        lines = gateway.journal();
        const hits = (guard: string, action: string): number => sumOf(metrics, "sluice_guard_hits_total", { guard, action, where: "completion" });
        return names.map((name) =>
          [name, told("flagged", name) - hits(name, "flag"), told("masked", name) - hits(name, "mask"), told("blocked", name) - hits(name, "block")]);
      }, { timeout: HANG_MS })
      .toEqual(names.map((name) => [name, 0, 0, 0]));
    expect(told("blocked", "strict")).toBeGreaterThan(10);
    expect(gateway.errorLog()).not.toMatch(/runtime error|stack traceback|failed to run|\[(alert|crit|emerg)\]/);
    for (const word of [BLOCKED, MASKED, BLOCKED_ENGLISH, MASKED_ENGLISH]) {
      expect(gateway.everythingWritten().includes(Buffer.from(word).toString("latin1")), word).toBe(false);
    }
  });
});
