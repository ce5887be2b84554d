import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ACCOUNT_KEY, configuration } from "../support/configuration.ts";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, post } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually, ROOT } from "../support/processes.ts";

const STREAMS = join(ROOT, "spec/support/streams");
const RECORDINGS = readdirSync(STREAMS)
  .filter((file) => file.endsWith(".sse"))
  .map((file) => file.replace(".sse", ""));
const HELLO = [{ role: "user", content: "hello" }];
const ASKED = { stream_options: { include_usage: true } };
/** Requests that are under way at once. */
const AT_ONCE = 16;

/** Each API's path, the model that serves it, and what a request needs besides. */
const APIS = {
  chat: { path: "/v1/chat/completions", model: "chat", more: { messages: HELLO } },
  completions: { path: "/v1/completions", model: "chat", more: { prompt: "hello" } },
  responses: { path: "/v1/responses", model: "chat", more: { input: "hello" } },
  messages: { path: "/v1/messages", model: "claude", more: { messages: HELLO, max_tokens: 100 } },
} as const;
type Api = keyof typeof APIS;

let mock: Mock;
let gateway: Gateway;

beforeAll(async () => {
  mock = await startMock();
  const claude = {
    api: "anthropic" as const,
    endpoints: [{ url: mock.url }],
    keys: [{ id: "account", secret: ACCOUNT_KEY }],
  };
  const timeouts = { read: "2s" };
  gateway = await startGateway({
    config: configuration({
      upstream: mock.url,
      pools: [
        { ...claude, name: "claude" },
        { ...claude, name: "hasty_claude", timeouts },
        { name: "hasty", endpoints: claude.endpoints, timeouts },
        { ...claude, name: "claude_erring" },
        { name: "erring", endpoints: claude.endpoints },
      ],
      poolModels: [
        { name: "claude", pool: "claude", upstream_model: "mock" },
        { name: "hasty_claude", pool: "hasty_claude", upstream_model: "mock" },
        { name: "hasty", pool: "hasty", upstream_model: "mock" },
        { name: "claude_erring", pool: "claude_erring", upstream_model: "mock;error=2" },
        { name: "erring", pool: "erring", upstream_model: "mock;error=2" },
      ],
    }),
  });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

/** A streamed request of an API; `behaviour` is what the mock shall do. */
function stream(api: Api, behaviour: string, more: object = {}, onData?: (data: Buffer) => void): Promise<Answer> {
  const { path, model, more: needed } = APIS[api];
  return post(gateway.port, path, { model, stream: true, mock: behaviour, ...needed, ...more }, { onData });
}

function apiOf(recording: string): Api {
  return recording.split("_")[0] as Api;
}

function recorded(name: string): Buffer {
  return readFileSync(join(STREAMS, `${name}.sse`));
}

async function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway.journalLine(String(answer.headers["x-request-id"]));
}

/** The streams that were made to fail, by pool. The metrics are compared with it at the end. */
const provoked: Record<string, number> = {};

/** A stream that fails in the middle. `hasty`: of a model whose pool does not wait long. */
function failing(api: Api, behaviour: string, { hasty = false, onData }: { hasty?: boolean; onData?: (data: Buffer) => void } = {}): Promise<Answer> {
  const claude = api === "messages";
  const pool = hasty ? (claude ? "hasty_claude" : "hasty") : claude ? "claude" : "mock";
  provoked[pool] = (provoked[pool] ?? 0) + 1;
  return stream(api, behaviour, hasty ? { model: pool } : {}, onData);
}

/** Does something with each of a list, some at once. */
async function each<T>(list: T[], act: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < list.length) await act(list[next++] as T);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Cuts into equal pieces, then two pieces that meet at many places: other ones in each recording, and within a CRLF. */
function cutsOf(recording: string, offset: number): string[] {
  const { length } = Buffer.from(recording);
  const cuts = [1, 2, 3, 4, 5, 7, 11, 16, 31, 64, 255, 1000].map((size) => `cut=${size}`);
  for (let place = 1 + offset; place < length; place += 11) cuts.push(`split=${place}`);
  // Recordings with CRLF are ASCII: a character is a byte.
  for (const { index } of recording.matchAll(/\r\n/g)) cuts.push(`split=${index + 1}`);
  return cuts;
}

/** The same, without the event whose `choices` are empty and whose `usage` is not null. */
function withoutUsageChunk(text: string, lineEnd: string): string {
  return text
    .split(lineEnd + lineEnd)
    .filter((event) => !/"choices":\[\].*"usage":\{/.test(event.replaceAll(lineEnd, "")))
    .join(lineEnd + lineEnd);
}

describe("a recorded stream", () => {
  it.each(RECORDINGS)("reaches the client byte for byte: %s", async (name) => {
    const answer = await stream(apiOf(name), `file=${name}`, apiOf(name) === "chat" || apiOf(name) === "completions" ? ASKED : {});
    expect(answer.headers["content-type"]).toMatch(/^text\/event-stream/);
    expect(answer.complete).toBe(true);
    expect(answer.text).toBe(recorded(name).toString());
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", status: 200 });
  });

  it.each(RECORDINGS)("is the same for the client however it is cut: %s", async (name) => {
    const whole = await stream(apiOf(name), `file=${name}`);
    await each(cutsOf(recorded(name).toString(), RECORDINGS.indexOf(name) % 11), async (cut) => {
      const answer = await stream(apiOf(name), `file=${name};${cut}`);
      expect(answer.text, cut).toBe(whole.text);
      expect(answer.complete, cut).toBe(true);
    });
  });

  it.each([
    ["chat_basic", { input_tokens: 19, output_tokens: 9, cached_input_tokens: 0 }],
    ["chat_tools", { input_tokens: 142, output_tokens: 49, cached_input_tokens: 128 }],
    ["chat_azure", { input_tokens: 27, output_tokens: 8, cached_input_tokens: 0 }],
    ["chat_crlf", { input_tokens: 19, output_tokens: 7, cached_input_tokens: 0 }],
    ["chat_comments_multiline", { input_tokens: 10, output_tokens: 6, cached_input_tokens: 0 }],
    ["chat_vllm_reasoning", { input_tokens: 24, output_tokens: 29, cached_input_tokens: 0 }],
    ["chat_usage_with_last_choice", { input_tokens: 12, output_tokens: 8, cached_input_tokens: 0 }],
    ["completions_basic", { input_tokens: 5, output_tokens: 11, cached_input_tokens: 0 }],
    ["responses_text", { input_tokens: 37, output_tokens: 11, cached_input_tokens: 0 }],
    ["responses_tool_call", { input_tokens: 61, output_tokens: 87, cached_input_tokens: 0 }],
    ["messages_text", { input_tokens: 25, output_tokens: 21, cached_input_tokens: 0 }],
  ])("is counted from the usage in it: %s", async (name, usage) => {
    const answer = await stream(apiOf(name), `file=${name}`);
    expect(await lineOf(answer)).toMatchObject({ ...usage, usage_from: "upstream", ending: "finished" });
  });

  it("is counted from its text when it tells no usage", async () => {
    const line = await lineOf(await stream("chat", "file=chat_no_usage"));
    expect(line.usage_from).toBe("counted");
    expect(line.output_tokens).toBeGreaterThan(3);
    expect(line.output_tokens).toBeLessThan(40);
    expect(line.input_tokens).toBeGreaterThan(0);
  });
});

describe("the usage that the gateway asks for", () => {
  it.each(RECORDINGS.filter((name) => name.startsWith("chat_") || name.startsWith("completions_")))(
    "is not seen by a client that didn't ask: %s",
    async (name) => {
      const original = recorded(name).toString();
      const lineEnd = name === "chat_crlf" ? "\r\n" : name === "chat_cr" ? "\r" : "\n";
      const answer = await stream(apiOf(name), `file=${name}`);
      expect(answer.text).toBe(withoutUsageChunk(original, lineEnd));
    },
  );

  it("is not seen either when the client says that it wants none", async () => {
    const answer = await stream("chat", "prompt=33", { stream_options: { include_usage: false } });
    expect(answer.text).not.toContain('"choices":[]');
    expect(answer.text).toMatch(/data: \[DONE\]\n\n$/);
    expect(await lineOf(answer)).toMatchObject({ input_tokens: 33, usage_from: "upstream" });
  });
});

/** What the client must see at the end of a stream that failed in the middle. */
const FAILURES: Record<Api, RegExp> = {
  chat: /(?:^|\n\n)data: \{"error":\{[^\n]*\}\n\n$/,
  completions: /(?:^|\n\n)data: \{"error":\{[^\n]*\}\n\n$/,
  responses: /(?:^|\n\n)event: error\ndata: \{[^\n]*\}\n\nevent: response\.failed\ndata: \{[^\n]*\}\n\n$/,
  messages: /(?:^|\n\n)event: error\ndata: \{"type":"error","error":\{[^\n]*\}\n\n$/,
};
const TERMINALS = /\[DONE\]|"type":"response\.completed"|"type":"message_stop"/;

describe.each(Object.keys(APIS) as Api[])("a stream of %s", (api) => {
  // Without its marker a stream whose choices have ended is whole.
  const has_reasons = api === "chat" || api === "completions";
  const unmarked = ["done=no", "done=no;cut=7", "done=no;last_line=no"];

  it.each(has_reasons ? unmarked : [])("without its marker (%s) is whole", async (behaviour) => {
    const answer = await stream(api, `tokens=5;${behaviour}`);
    expect(answer.text).toMatch(/"finish_reason":"stop"/);
    expect(answer.text).not.toMatch(/"error"|\[DONE\]/);
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", status: 200 });
  });

  it.each(["close=3", "reset=3", "close=3;cut=1", "close=1", ...(has_reasons ? [] : unmarked)])(
    "that doesn't end as it should (%s) ends in an error event, honestly",
    async (behaviour) => {
      const answer = await failing(api, `tokens=5;${behaviour}`);
      expect(answer.status).toBe(200);
      expect(answer.complete).toBe(true);
      expect(answer.text).toMatch(FAILURES[api]);
      expect(answer.text).not.toMatch(TERMINALS);
      for (const data of answer.text.match(/^data: .*$/gm) ?? []) expect(() => JSON.parse(data.slice(6)) as unknown).not.toThrow();
      expect(await lineOf(answer)).toMatchObject({ ending: "upstream_lost", status: 200 });
    },
  );

  it("that falls silent ends in an error event, as timed out", async () => {
    const answer = await failing(api, "stall=3", { hasty: true });
    expect(answer.complete).toBe(true);
    expect(answer.text).toMatch(FAILURES[api]);
    expect(await lineOf(answer)).toMatchObject({ ending: "timed_out", status: 200 });
  });

  it("that breaks off inside an event shows no broken event", async () => {
    const recording = { chat: "chat_basic", completions: "completions_basic", responses: "responses_text", messages: "messages_text" }[api];
    for (const bytes of [300, 301, 302, 303, 900]) {
      const answer = await failing(api, `file=${recording};close=${bytes}`);
      expect(answer.text).toMatch(FAILURES[api]);
      for (const data of answer.text.match(/^data: .*$/gm) ?? []) expect(() => JSON.parse(data.slice(6)) as unknown).not.toThrow();
    }
  });

  it("that dies before its first event ends in an error", async () => {
    const answer = await failing(api, "close=0");
    expect(answer.complete).toBe(true);
    expect(answer.text).toMatch(/"error"/);
    expect(answer.text).not.toMatch(TERMINALS);
    expect(await lineOf(answer)).toMatchObject({ ending: "upstream_lost" });
  });

  it("with a line of 40 MB is refused, in little memory", async () => {
    const [worker = 0] = gateway.workers();
    const resident = (): number =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${worker}/status`, "utf8"))?.[1]) / 1024;
    const before = resident();
    let most = 0;
    const answer = await failing(api, "huge=40000000", { onData: () => (most = Math.max(most, resident())) });
    expect(answer.body.length).toBeLessThan(36_000_000);
    expect(answer.text.slice(-2000)).toMatch(/"error"/);
    expect(answer.text).not.toMatch(TERMINALS);
    expect(Math.max(most, resident()) - before).toBeLessThan(48);
  });

  it("passes an error that the upstream tells in it, and adds no good end", async () => {
    const { path, more } = APIS[api];
    const model = api === "messages" ? "claude_erring" : "erring";
    const answer = await post(gateway.port, path, { model, stream: true, ...more });
    expect(answer.text).toContain("the mock was asked to fail");
    expect(answer.text).not.toMatch(TERMINALS);
    expect((await lineOf(answer)).ending).not.toBe("finished");
  });

  it("passes an event that isn't JSON, and goes on", async () => {
    const answer = await stream(api, "tokens=5;garbage=3");
    expect(answer.complete).toBe(true);
    expect(answer.text).toContain("data: {oops, this is not JSON\n\n");
    expect(answer.text).toMatch(TERMINALS);
    expect(await lineOf(answer)).toMatchObject({ ending: "finished" });
  });

  it("is written in the upstream's own pace, not at its end", async () => {
    const sizes: number[] = [];
    await stream(api, "tokens=10;interval=30", {}, (data) => sizes.push(data.length));
    expect(sizes.length).toBeGreaterThan(5);
  });
});

describe("streams that failed", () => {
  it("are all counted", async () => {
    expect(Object.keys(provoked).sort()).toEqual(["claude", "hasty", "hasty_claude", "mock"]);
    await eventually("the metric", async () => {
      const metrics = await gateway.metrics();
      return Object.entries(provoked).every(([pool, count]) => sumOf(metrics, "sluice_streams_truncated_total", { pool }) === count);
    });
  });
});

describe("many streams at once", () => {
  it("don't mix", async () => {
    await each(Array.from({ length: 200 }, (_, index) => index), async (index) => {
      const answer = await stream("chat", `text=stream%20number%20${index}%20of%20many;cut=5;tag=mix`);
      const words = [...answer.text.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1]).join("");
      expect(words).toBe(`stream number ${index} of many`);
    });
  });
});

describe("the journal", () => {
  it("tells who left from who stayed to the end", async () => {
    const leave = new AbortController();
    const { path, model, more } = APIS.chat;
    const before = await mock.counts();
    const answer = await post(
      gateway.port,
      path,
      { model, stream: true, mock: "tokens=500;interval=20", ...more },
      { signal: leave.signal, onData: () => { leave.abort(); } },
    ).catch(() => undefined);
    await eventually("the upstream's abort", async () => (await mock.counts()).aborted === before.aborted + 1);
    expect(await gateway.journalLine(String(answer?.headers["x-request-id"]))).toMatchObject({ ending: "client_gone", status: 200, usage_from: "counted" });
    expect(await lineOf(await stream("chat", "tokens=3"))).toMatchObject({ ending: "finished" });
  });

  it("has one line for each request", async () => {
    const ids = gateway.journal().map((line) => line.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(0);
  });
});
