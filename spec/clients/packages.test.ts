/** OpenAI's and Anthropic's packages for Node, through a gateway: what programs get that are built on them. */

import OpenAI, { APIError, AzureOpenAI } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AgentUpstream, startAgentUpstream } from "../support/agent_upstream.ts";
import { AGENTS_KEY, CLAUDE_MODEL, GPT_MODEL, loadPackage, startAgentGateway } from "../support/clients.ts";
import type { Gateway } from "../support/gateway.ts";

/** What is used of Anthropic's package, which only `make test-clients` installs. */
interface Anthropic {
  messages: {
    create(body: object): Promise<MessageOf>;
    stream(body: object): { on(event: "text", listener: (delta: string) => void): unknown; finalMessage(): Promise<MessageOf> };
    countTokens(body: object): Promise<{ input_tokens: number }>;
  };
  models: { list(): AsyncIterable<{ id: string; type: string; display_name: string }> };
}
interface MessageOf {
  _request_id?: string | null;
  content: { type: string; text?: string; id?: string; name?: string; input?: unknown }[];
  stop_reason: string;
}
type NewAnthropic = new (options: { apiKey: string; baseURL: string; maxRetries?: number }) => Anthropic;

let upstream: AgentUpstream;
let gateway: Gateway;
let NewAnthropicClient: NewAnthropic;
let openai: OpenAI;
let anthropic: Anthropic;

const TOOL = { name: "run", description: "Runs a command.", parameters: { type: "object", properties: { command: { type: "string" } } } };
/** A tenant who may ask twice a minute. */
const SLOW_KEY = "sk-sluice-client-key-of-the-slow-0123456";

beforeAll(async () => {
  upstream = await startAgentUpstream();
  gateway = await startAgentGateway(upstream, {
    tenants: [
      { id: "agents", api_keys: [{ id: "key", secret: AGENTS_KEY }] },
      { id: "slow", api_keys: [{ id: "key", secret: SLOW_KEY }], limits: { requests_per_minute: 2 } },
    ],
  });
  NewAnthropicClient = (await loadPackage<{ default: NewAnthropic }>("@anthropic-ai/sdk/index.mjs")).default;
  openai = new OpenAI({ apiKey: AGENTS_KEY, baseURL: `${gateway.url}/v1` });
  anthropic = new NewAnthropicClient({ apiKey: AGENTS_KEY, baseURL: gateway.url });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

function user(content: string): { role: "user"; content: string } {
  return { role: "user", content };
}

/** The text of an answer of Anthropic's. */
function said(message: MessageOf): string | undefined {
  return message.content.find((part) => part.type === "text")?.text;
}

describe("the package openai", () => {
  it("gets an answer, and a second one that follows it", async () => {
    const messages: OpenAI.Chat.ChatCompletionMessageParam[] = [user("say the first words")];
    const first = await openai.chat.completions.create({ model: GPT_MODEL, messages });
    messages.push(first.choices[0]!.message, user("say the second words"));
    const second = await openai.chat.completions.create({ model: GPT_MODEL, messages });
    expect([first, second].map((each) => each.choices[0]?.message.content)).toEqual(["the first words", "the second words"]);
    expect(upstream.requests.at(-1)?.body.messages).toHaveLength(3);
  });

  it("calls a tool, and hands in what it gave", async () => {
    const tools = [{ type: "function" as const, function: TOOL }];
    const messages: OpenAI.Chat.ChatCompletionMessageParam[] = [user("run date")];
    const stream = openai.chat.completions.stream({ model: GPT_MODEL, messages, tools });
    const { message } = (await stream.finalChatCompletion()).choices[0]!;
    const call = message.tool_calls?.[0];
    expect(call).toMatchObject({ function: { name: "run", arguments: '{"command":"date"}' } });
    messages.push(message, { role: "tool", tool_call_id: call?.id ?? "", content: "a Tuesday" });
    const last = await openai.chat.completions.create({ model: GPT_MODEL, messages, tools });
    expect(last.choices[0]?.message.content).toBe("it printed: a Tuesday");
  });

  it("throws at a stream that is cut in the middle, behind what came of it", async () => {
    const texts: string[] = [];
    const ask = async (): Promise<void> => {
      texts.length = 0;
      const stream = await openai.chat.completions.create({ model: GPT_MODEL, messages: [user("cut chat in two")], stream: true });
      for await (const chunk of stream) texts.push(chunk.choices[0]?.delta.content ?? "");
    };
    await expect(ask()).rejects.toBeInstanceOf(APIError);
    expect(texts.join("")).toBe("chat i");
    await ask();
    expect(texts.join("")).toBe("chat in two");
  });

  it("asks again after a 429, and tells of the gateway's own", async () => {
    const answer = await openai.responses.create({ model: GPT_MODEL, input: "wait for an answer" });
    expect(answer.output_text).toBe("for an answer");
    const slow = new OpenAI({ apiKey: SLOW_KEY, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
    const ask = (): Promise<unknown> => slow.responses.create({ model: GPT_MODEL, input: "say it" });
    await ask();
    await ask();
    await expect(ask()).rejects.toMatchObject({ status: 429, code: "rate_limit_exceeded", type: "rate_limit_error" });
  });

  it("gets an estimate of a request's tokens from an upstream that can't count", async () => {
    const count = await openai.responses.inputTokens.count({ model: GPT_MODEL, input: "How many are these?" });
    expect(count.object).toBe("response.input_tokens");
    expect(count.input_tokens).toBeGreaterThan(3);
  });

  it("speaks as Azure's too, with nothing changed but the endpoint", async () => {
    const azure = new AzureOpenAI({ endpoint: gateway.url, apiKey: AGENTS_KEY, apiVersion: "2024-10-21", deployment: GPT_MODEL });
    const chat = await azure.chat.completions.create({ model: GPT_MODEL, messages: [user("say hello from afar")] });
    expect(chat.choices[0]?.message.content).toBe("hello from afar");
    const response = await new AzureOpenAI({ endpoint: gateway.url, apiKey: AGENTS_KEY, apiVersion: "2025-03-01-preview" })
      .responses.create({ model: GPT_MODEL, input: "say hello again" });
    expect(response.output_text).toBe("hello again");
    const newer = new OpenAI({ apiKey: AGENTS_KEY, baseURL: `${gateway.url}/openai/v1/` });
    expect((await newer.models.list()).data.map((model) => model.id)).toEqual([CLAUDE_MODEL, GPT_MODEL]);
  });
});

describe("the package @anthropic-ai/sdk", () => {
  const ask = { model: CLAUDE_MODEL, max_tokens: 100 };

  it("gets an answer, and a second one that follows it", async () => {
    const first = await anthropic.messages.create({ ...ask, messages: [user("say the first words")] });
    const messages = [user("say the first words"), { role: "assistant", content: first.content }, user("say the second words")];
    const second = await anthropic.messages.stream({ ...ask, messages }).finalMessage();
    expect([said(first), said(second)]).toEqual(["the first words", "the second words"]);
    expect(first._request_id).toMatch(/^[0-9a-f]{32}$/);
    expect(upstream.requests.at(-1)?.body.messages).toHaveLength(3);
  });

  it("calls a tool, and hands in what it gave", async () => {
    const tools = [{ name: "run", description: "Runs a command.", input_schema: TOOL.parameters }];
    const first = await anthropic.messages.stream({ ...ask, tools, messages: [user("run date")] }).finalMessage();
    const call = first.content.find((part) => part.type === "tool_use");
    expect(call).toMatchObject({ name: "run", input: { command: "date" } });
    const result = { type: "tool_result", tool_use_id: call?.id, content: "a Tuesday" };
    const messages = [user("run date"), { role: "assistant", content: first.content }, { role: "user", content: [result] }];
    expect(said(await anthropic.messages.create({ ...ask, tools, messages }))).toBe("it printed: a Tuesday");
  });

  it("throws at a stream that is cut in the middle, behind what came of it", async () => {
    const texts: string[] = [];
    const stream = async (): Promise<MessageOf> => {
      texts.length = 0;
      const begun = anthropic.messages.stream({ ...ask, messages: [user("cut messages in two")] });
      begun.on("text", (delta) => texts.push(delta));
      return begun.finalMessage();
    };
    await expect(stream()).rejects.toMatchObject({ error: { type: "error", error: { type: "api_error" } } });
    expect(texts.join("")).toBe("messages");
    expect(said(await stream())).toBe("messages in two");
  });

  it("asks again after a 429, and tells of the gateway's own", async () => {
    expect(said(await anthropic.messages.create({ ...ask, messages: [user("wait for a message")] }))).toBe("for a message");
    const options = { apiKey: SLOW_KEY, baseURL: gateway.url, maxRetries: 0 };
    const slow = new NewAnthropicClient(options);
    const once = (): Promise<MessageOf> => slow.messages.create({ ...ask, messages: [user("say it")] });
    // The tenant has asked twice as an OpenAI client, in the same minute or not.
    await once().catch(() => undefined);
    await once().catch(() => undefined);
    await expect(once()).rejects.toMatchObject({ status: 429, type: "rate_limit_error", requestID: expect.stringMatching(/^[0-9a-f]{32}$/) as string });
  });

  it("gets an estimate of a request's tokens from an upstream that can't count", async () => {
    const count = await anthropic.messages.countTokens({ model: CLAUDE_MODEL, messages: [user("How many are these?")] });
    expect(count.input_tokens).toBeGreaterThan(3);
  });

  it("lists the models", async () => {
    const models = [];
    for await (const model of anthropic.models.list()) models.push(model);
    expect(models.map(({ display_name, id, type }) => [display_name, id, type])).toEqual(
      [CLAUDE_MODEL, GPT_MODEL].map((name) => [name, name, "model"]),
    );
  });
});
