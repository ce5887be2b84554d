import OpenAI, {
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
} from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_KEY, configuration, NARROW_KEY } from "../support/configuration.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";

const HELLO = [{ role: "user" as const, content: "Say hello." }];
const WEATHER = {
  type: "function" as const,
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city"] },
  },
};
const MODELS = {
  chinese: "mock;text=%E4%BD%A0%E5%A5%BD%EF%BC%8C%E4%B8%96%E7%95%8C%20%F0%9F%98%80",
  counted: "mock;prompt=21;cached=5;tokens=4",
  slow: "mock;tokens=1000;interval=20",
  stalled: "mock;stall=header",
  limited: "mock;status=429;retry_after=1",
  broken: "mock;status=500;body=html",
  bad: "mock;status=400;message=the%20upstream%20says%20no",
  recovers: "mock;status=500;times=1;tag=recovers",
  revoked: "mock;status=401;tag=revoked",
};

let mock: Mock;
let gateway: Gateway;
let client: OpenAI;

beforeAll(async () => {
  mock = await startMock();
  gateway = await startGateway({ config: configuration({ upstream: mock.url, models: MODELS }) });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: CLIENT_KEY, maxRetries: 0 });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

async function failure(promise: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error: unknown = await promise.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  if (error instanceof OpenAI.APIError) return error;
  throw error;
}

describe("the official openai client", () => {
  it("gets a whole answer, with the usage that the upstream counted", async () => {
    const { data, request_id: id } = await client.chat.completions.create({ model: "counted", messages: HELLO }).withResponse();
    expect(data.choices[0]?.message.content).toBe("Hello from the mock");
    expect(data.usage).toMatchObject({ prompt_tokens: 21, completion_tokens: 4, total_tokens: 25 });
    expect(id).toBeTruthy();
    expect(await gateway.journalLine(id ?? "")).toMatchObject({
      tenant: "acme",
      key: "web",
      model: "counted",
      pool: "mock",
      status: 200,
      ending: "finished",
      usage_from: "upstream",
      input_tokens: 21,
      cached_input_tokens: 5,
      output_tokens: 4,
    });
  });

  it("streams, and is not shown the usage that it didn't ask for", async () => {
    const { data: stream, request_id: id } = await client.chat.completions
      .create({ model: "chinese", messages: HELLO, stream: true })
      .withResponse();
    let content = "";
    for await (const chunk of stream) {
      expect(chunk.choices).toHaveLength(1);
      expect(chunk.usage ?? null).toBeNull();
      content += chunk.choices[0]?.delta.content ?? "";
    }
    expect(content).toBe("你好，世界 😀");
    expect(await gateway.journalLine(id ?? "")).toMatchObject({ ending: "finished", usage_from: "upstream", input_tokens: 11 });
  });

  it("streams, and is shown the usage that it asked for", async () => {
    const stream = await client.chat.completions.create({
      model: "counted",
      messages: HELLO,
      stream: true,
      stream_options: { include_usage: true },
    });
    const usages = [];
    for await (const chunk of stream) if (chunk.usage) usages.push(chunk);
    expect(usages).toHaveLength(1);
    expect(usages[0]?.choices).toEqual([]);
    expect(usages[0]?.usage).toMatchObject({ prompt_tokens: 21, completion_tokens: 4 });
  });

  it("calls a tool, in a stream and without one, and gets an answer to the result", async () => {
    const whole = await client.chat.completions.create({ model: "chat", messages: HELLO, tools: [WEATHER] });
    expect(whole.choices[0]?.finish_reason).toBe("tool_calls");
    const stream = client.chat.completions.stream({ model: "chat", messages: HELLO, tools: [WEATHER] });
    const message = (await stream.finalChatCompletion()).choices[0]?.message;
    const call = message?.tool_calls?.[0];
    if (call?.type !== "function" || !message) throw new Error("a function call was expected");
    expect(call.function.name).toBe("get_weather");
    expect(JSON.parse(call.function.arguments)).toEqual({ city: "Hangzhou", days: 7 });
    const answer = await client.chat.completions.create({
      model: "chat",
      tools: [WEATHER],
      messages: [...HELLO, message, { role: "tool", tool_call_id: call.id, content: "sunny" }],
    });
    expect(answer.choices[0]?.message.content).toMatch(/^Hello/);
  });

  it("embeds, and gets the numbers that the upstream gave", async () => {
    const input = ["one", "二"];
    const direct = new OpenAI({ baseURL: `${mock.url}/v1`, apiKey: "any" });
    const through = await client.embeddings.create({ model: "chat", input });
    expect(through.data).toEqual((await direct.embeddings.create({ model: "mock", input })).data);
    expect(through.data).toHaveLength(2);
  });

  it("completes a prompt, whole and streamed", async () => {
    const whole = await client.completions.create({ model: "chinese", prompt: "a" });
    expect(whole.choices[0]?.text).toBe("你好，世界 😀");
    const stream = await client.completions.create({ model: "chinese", prompt: "a", stream: true });
    let text = "";
    for await (const chunk of stream) {
      expect(chunk.choices).toHaveLength(1);
      text += chunk.choices[0]?.text ?? "";
    }
    expect(text).toBe("你好，世界 😀");
  });

  it("uses the Responses API, whole and streamed", async () => {
    const { data, request_id: id } = await client.responses.create({ model: "counted", input: "a" }).withResponse();
    expect(data.output_text).toBe("Hello from the mock");
    expect(await gateway.journalLine(id ?? "")).toMatchObject({ input_tokens: 21, cached_input_tokens: 5, output_tokens: 4 });
    const events: string[] = [];
    let text = "";
    for await (const event of await client.responses.create({ model: "chinese", input: "a", stream: true })) {
      events.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    expect(text).toBe("你好，世界 😀");
    expect(events[0]).toBe("response.created");
    expect(events.at(-1)).toBe("response.completed");
  });

  it("lists the models that its key may use, and retrieves one", async () => {
    const all = (await client.models.list()).data.map((model) => model.id);
    expect(all).toEqual(expect.arrayContaining(["chat", "chinese", "slow"]));
    expect((await client.models.retrieve("chinese")).id).toBe("chinese");
    const narrow = client.withOptions({ apiKey: NARROW_KEY });
    expect((await narrow.models.list()).data.map((model) => model.id)).toEqual(["chat"]);
    expect(await failure(client.models.retrieve("nothing"))).toBeInstanceOf(NotFoundError);
    expect(await failure(narrow.models.retrieve("chinese"))).toBeInstanceOf(OpenAI.APIError);
  });

  it("is told of a wrong key", async () => {
    const error = await failure(client.withOptions({ apiKey: "sk-wrong" }).chat.completions.create({ model: "chat", messages: HELLO }));
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({ status: 401, type: "authentication_error", code: "invalid_api_key" });
    expect(error.headers?.get("www-authenticate")).toMatch(/^Bearer/);
    expect(error.headers?.get("x-should-retry")).toBe("false");
    expect(error.requestID).toBeTruthy();
    expect(error.message).not.toContain("sk-wrong");
  });

  it("is told of an unknown model, and of one that is not for its key", async () => {
    const unknown = await failure(client.chat.completions.create({ model: "nothing", messages: HELLO }));
    expect(unknown).toBeInstanceOf(NotFoundError);
    expect(unknown).toMatchObject({ type: "invalid_request_error", code: "model_not_found", param: "model" });
    const narrow = client.withOptions({ apiKey: NARROW_KEY });
    const forbidden = await failure(narrow.chat.completions.create({ model: "chinese", messages: HELLO }));
    expect(forbidden).toBeInstanceOf(PermissionDeniedError);
    expect(forbidden).toMatchObject({ type: "permission_error", code: "model_not_allowed" });
  });

  it("is told of a body without a model", async () => {
    const error = await failure(client.chat.completions.create({ messages: HELLO } as never));
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ code: "missing_model", param: "model" });
  });

  it("is told what the upstream said to a bad request, a full one and a broken one", async () => {
    const bad = await failure(client.chat.completions.create({ model: "bad", messages: HELLO }));
    expect(bad).toBeInstanceOf(BadRequestError);
    expect(bad.message).toContain("the upstream says no");
    const limited = await failure(client.chat.completions.create({ model: "limited", messages: HELLO }));
    expect(limited).toBeInstanceOf(RateLimitError);
    expect(limited.headers?.get("retry-after")).toBe("1");
    const broken = await failure(client.chat.completions.create({ model: "broken", messages: HELLO }));
    expect(broken).toBeInstanceOf(InternalServerError);
    expect(broken.status).toBe(500);
  });

  it("retries what a retry can help, and only that", async () => {
    const retrying = client.withOptions({ maxRetries: 2 });
    const answer = await retrying.chat.completions.create({ model: "recovers", messages: HELLO });
    expect(answer.choices).toHaveLength(1);
    expect(await mock.requests({ tag: "recovers" })).toHaveLength(2);
    const error = await failure(retrying.chat.completions.create({ model: "revoked", messages: HELLO }));
    expect(error).toMatchObject({ status: 502, code: "upstream_credentials_exhausted" });
    expect(error.headers?.get("x-should-retry")).toBe("false");
    expect(await mock.requests({ tag: "revoked" })).toHaveLength(1);
  });

  it("leaves a stream, and the upstream is closed", async () => {
    const before = await mock.counts();
    const { data: stream, request_id: id } = await client.chat.completions
      .create({ model: "slow", messages: HELLO, stream: true })
      .withResponse();
    let chunks = 0;
    for await (const chunk of stream) {
      chunks += chunk.choices.length;
      if (chunks === 3) stream.controller.abort();
    }
    await eventually("the upstream's abort", async () => (await mock.counts()).aborted === before.aborted + 1);
    const line = await gateway.journalLine(id ?? "");
    expect(line).toMatchObject({ ending: "client_gone", status: 200, usage_from: "counted" });
    expect(line.output_tokens).toBeGreaterThan(0);
    expect(line.output_tokens).toBeLessThan(900);
  });

  it("leaves before the header, and the upstream is closed", async () => {
    const before = await mock.counts();
    const leave = new AbortController();
    const answer = client.chat.completions.create({ model: "stalled", messages: HELLO }, { signal: leave.signal });
    await eventually("the upstream's request", async () => (await mock.counts()).open > before.open);
    leave.abort();
    await expect(answer).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await eventually("the upstream's abort", async () => (await mock.counts()).aborted === before.aborted + 1);
    const line = await eventually("a line in the journal", () => gateway.journal().find(({ model }) => model === "stalled"));
    expect(line).toMatchObject({ ending: "client_gone", output_tokens: 0 });
  });
});
