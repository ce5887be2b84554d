import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { post, send } from "../support/http_client.ts";
import { bodyOf, headersOf, type Mock, startMock } from "../support/mock.ts";
import { eventually, ROOT } from "../support/processes.ts";

const STREAMS = join(ROOT, "spec/support/streams");
const HELLO = [{ role: "user" as const, content: "hello" }];
let mock: Mock;

beforeAll(async () => {
  mock = await startMock();
});

afterAll(async () => {
  await mock.stop();
});

function stream(model: string, more: object = {}): Promise<Awaited<ReturnType<typeof send>>> {
  return post(mock.port, "/v1/chat/completions", { model, stream: true, messages: HELLO, ...more });
}

describe("the mock model server", () => {
  it("refuses a behaviour it doesn't know, and a body that isn't JSON", async () => {
    expect((await stream("mock;tokenz=3")).status).toBe(400);
    expect((await send(mock.port, { body: "{" })).status).toBe(400);
  });

  it("breaks off a stream where it was told, by a close or a reset", async () => {
    for (const how of ["close", "reset"]) {
      const answer = await stream(`mock;${how}=3`);
      expect(answer.status).toBe(200);
      expect(answer.complete).toBe(false);
      expect(answer.text.match(/^data: /gm)).toHaveLength(3);
      await expect(stream(`mock;${how}=header`)).rejects.toThrow();
    }
  });

  it("breaks off a JSON answer after so many bytes", async () => {
    const answer = await post(mock.port, "/v1/chat/completions", { model: "mock;close=20", messages: HELLO });
    expect(answer.body).toHaveLength(20);
    expect(answer.complete).toBe(false);
  });

  it("answers something that isn't HTTP", async () => {
    await expect(stream("mock;garbage=header")).rejects.toThrow(/Parse Error/);
  });

  it("lets the header drip in, for a stream and for JSON", async () => {
    const streamed = await stream("mock;tokens=3;drip=1");
    expect(streamed.headers["content-type"]).toBe("text/event-stream");
    expect(streamed.complete).toBe(true);
    expect(streamed.text).toMatch(/data: \[DONE\]\n\n$/);
    const whole = await post(mock.port, "/v1/chat/completions", { model: "mock;tokens=3;drip=1", messages: HELLO });
    expect(JSON.parse(whole.text)).toMatchObject({ object: "chat.completion" });
  });

  it("counts how many requests were open at a time, at most", async () => {
    const before = (await mock.counts()).most_open;
    await Promise.all(Array.from({ length: before + 2 }, () => stream("mock;delay=300")));
    expect((await mock.counts()).most_open).toBe(before + 2);
  });

  it("leaves out the terminal marker, and ends cleanly", async () => {
    const answer = await stream("mock;done=no");
    expect(answer.complete).toBe(true);
    expect(answer.text).not.toContain("[DONE]");
    expect((await stream("mock")).text).toMatch(/data: \[DONE\]\n\n$/);
  });

  it("gives usage when asked, always, or never", async () => {
    const asked = { stream_options: { include_usage: true } };
    expect((await stream("mock;prompt=7;cached=2;tokens=3", asked)).text).toContain(
      '"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2',
    );
    expect((await stream("mock")).text).not.toContain('"usage"');
    expect((await stream("mock;usage=always")).text).toContain('"choices":[],"usage":{');
    expect((await stream("mock;usage=none", asked)).text).not.toContain('"usage"');
  });

  it("answers with a status, its headers and a repeat of the credential", async () => {
    const limited = await stream("mock;status=429;retry_after=7;retry_after_ms=6500");
    expect(limited.status).toBe(429);
    expect(limited.headers["retry-after"]).toBe("7");
    expect(limited.headers["retry-after-ms"]).toBe("6500");
    const refused = await send(mock.port, { key: "sk-told-again", body: '{"model":"mock;status=401"}' });
    expect(refused.status).toBe(401);
    expect(refused.text).toContain("sk-told-again");
    expect(refused.headers["openai-organization"]).toBe("org-of-the-account");
  });

  it("takes more of a behaviour from the body and from a header", async () => {
    expect((await stream("mock", { mock: "status=404" })).status).toBe(404);
    const body = JSON.stringify({ model: "mock;tokens=1", messages: HELLO });
    expect((await send(mock.port, { body, headers: { "x-mock": "status=422" } })).status).toBe(422);
  });

  it("misbehaves so many times, then no more", async () => {
    const model = "mock;status=500;times=2";
    const statuses = [];
    for (let round = 0; round < 3; round++) statuses.push((await stream(model)).status);
    expect(statuses).toEqual([500, 500, 200]);
  });

  it("misbehaves in every request while it is told to", async () => {
    await mock.behave("mock;status=503");
    expect((await stream("mock")).status).toBe(503);
    await mock.behave("");
    expect((await stream("mock")).status).toBe(200);
  });

  it("compresses", async () => {
    const answer = await fetch(`${mock.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "mock;gzip;text=squeezed", messages: HELLO, stream: true }),
    });
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(await answer.text()).toContain("squeezed");
  });

  it("writes a line as long as it was told", async () => {
    const answer = await stream("mock;huge=1000000");
    expect(Math.max(...answer.text.split("\n").map((line) => line.length))).toBeGreaterThan(1000000);
  });

  it("writes other line ends, comments, and data over two lines", async () => {
    expect((await stream("mock;lines=crlf")).text).not.toMatch(/[^\r]\n/);
    expect((await stream("mock;lines=cr")).text).not.toContain("\n");
    const answer = await stream("mock;comments;multiline;bare;last_line=no");
    expect(answer.text).toMatch(/^: a comment\ndata:\{"id":"chatcmpl-mock0001",\ndata:"object"/);
    expect(answer.text).toMatch(/data:\[DONE\]$/);
  });

  it("replays recorded streams byte for byte, however they are cut", async () => {
    const files = readdirSync(STREAMS).filter((file) => file.endsWith(".sse"));
    expect(files.length).toBeGreaterThanOrEqual(12);
    for (const file of files) {
      const recorded = readFileSync(join(STREAMS, file));
      const name = file.replace(".sse", "");
      for (const cut of ["", ";cut=1", ";cut=7", ";split=100"]) {
        const answer = await stream(`mock;file=${name}${cut}`);
        expect(answer.body.equals(recorded), name + cut).toBe(true);
      }
    }
  });

  it("writes a cut as pieces of their own", async () => {
    const sizes: number[] = [];
    await send(mock.port, {
      body: JSON.stringify({ model: "mock;file=chat_basic;cut=700;gap=5" }),
      onData: (data) => sizes.push(data.length),
    });
    expect(sizes.length).toBeGreaterThan(3);
  });

  it("tells exactly what it received", async () => {
    const body = '{ "model" : "mock;tag=told", "x": 9223372036854775807, "e": [] }';
    await send(mock.port, { path: "/v1/chat/completions?a=%2f", body, headers: { "X-Request-Id": "r-1", Cookie: "c" } });
    const [request] = await mock.requests({ id: "r-1" });
    expect(request).toBeDefined();
    if (!request) return;
    expect(request.uri).toBe("/v1/chat/completions?a=%2f");
    expect(bodyOf(request).toString()).toBe(body);
    expect(request.body_sha1).toBe(createHash("sha1").update(body).digest("hex"));
    expect(headersOf(request, "cookie")).toEqual(["c"]);
    expect(request.state).toBe("finished");
    expect(await mock.requests({ tag: "told" })).toHaveLength(1);
    expect(await mock.requests({ tag: "never told" })).toEqual([]);
  });

  it("keeps the digest of a body of 31 MB", async () => {
    const body = JSON.stringify({ model: "mock", messages: [{ role: "user", content: "x".repeat(31_000_000) }] });
    await send(mock.port, { body });
    const request = await mock.lastRequest();
    expect(request.body_length).toBe(body.length);
    expect(request.body_sha1).toBe(createHash("sha1").update(body).digest("hex"));
    expect(request.body).toBeNull();
  });

  it("sees that the peer left a stalled stream, a slow one, and one without a header", async () => {
    for (const model of ["mock;stall=2", "mock;tokens=1000;interval=20", "mock;stall=header"]) {
      const before = await mock.counts();
      const leave = new AbortController();
      const answer = stream(model).catch(() => undefined);
      const left = send(mock.port, { body: JSON.stringify({ model, stream: true }), signal: leave.signal }).catch(() => "left");
      await eventually("both to begin", async () => (await mock.counts()).open >= before.open + 2);
      leave.abort();
      expect(await left).not.toBeUndefined();
      await eventually("an abort", async () => (await mock.counts()).aborted === before.aborted + 1);
      void answer;
    }
  });

  it("answers in the ways the official client reads", async () => {
    const client = new OpenAI({ baseURL: `${mock.url}/v1`, apiKey: "any" });
    const tools = [
      {
        type: "function" as const,
        function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } } },
      },
    ];
    const chat = await client.chat.completions.create({ model: "mock;text=你好;reasoning=2", messages: HELLO, n: 2, logprobs: true });
    expect(chat.choices.map((choice) => choice.message.content)).toEqual(["你好", "你好"]);
    expect(chat.choices[0]?.logprobs?.content?.[0]?.bytes).toHaveLength(6);
    const streamed = client.chat.completions.stream({ model: "mock;calls=2", messages: HELLO, tools });
    const final = await streamed.finalChatCompletion();
    expect(final.choices[0]?.message.tool_calls?.map((call) => call.type === "function" && call.function.arguments)).toEqual([
      '{"city":"Hangzhou","days":7}',
      '{"city":"Hangzhou","days":7}',
    ]);
    const vector = await client.embeddings.create({ model: "mock", input: "a", dimensions: 3 });
    const numbers = await client.embeddings.create({ model: "mock", input: "a", dimensions: 3, encoding_format: "float" });
    expect(vector.data[0]?.embedding).toHaveLength(3);
    numbers.data[0]?.embedding.forEach((value, index) => {
      expect(value).toBeCloseTo(vector.data[0]?.embedding[index] ?? NaN, 5);
    });
    const response = await client.responses.create({ model: "mock;escape;text=%F0%9F%98%80%20x", input: "a" });
    expect(response.output_text).toBe("😀 x");
    const events = [];
    for await (const event of await client.responses.create({ model: "mock", input: "a", stream: true })) events.push(event.type);
    expect(events[0]).toBe("response.created");
    expect(events.at(-1)).toBe("response.completed");
    const completion = await client.completions.create({ model: "mock;echo", prompt: "said back" });
    expect(completion.choices[0]?.text).toBe("said back");
    expect((await client.models.list()).data[0]?.id).toBe("mock");
  });

  it("speaks Anthropic's messages", async () => {
    const whole = await post(mock.port, "/v1/messages", { model: "mock;text=hi", messages: HELLO, max_tokens: 5 });
    expect(JSON.parse(whole.text)).toMatchObject({ type: "message", content: [{ type: "text", text: "hi" }], usage: { output_tokens: 1 } });
    const streamed = await post(mock.port, "/v1/messages", { model: "mock;text=hi", messages: HELLO, stream: true });
    expect(streamed.text).toMatch(/^event: message_start\n/);
    expect(streamed.text).toMatch(/event: message_stop\ndata: \{"type":"message_stop"\}\n\n$/);
  });

  it("answers measurements with fixed bytes, and below a base path", async () => {
    const body = '{"model":"bench","messages":[]}';
    expect((await send(mock.port, { body })).body.length).toBeGreaterThan(500);
    const streamed = await send(mock.port, { body: '{"model":"bench-stream","messages":[]}' });
    expect(streamed.text.match(/^data: /gm)).toHaveLength(202);
    expect((await post(mock.port, "/base/path/v1/chat/completions", { model: "mock" })).status).toBe(200);
  });
});
