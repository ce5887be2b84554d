import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { CLIENT_KEY, configuration } from "../support/configuration.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";

const MODELS = {
  chinese: "mock;text=%E6%B5%81%E5%BC%8F%20%E8%BE%93%E5%87%BA%20%F0%9F%98%80;reasoning=3",
  slow: "mock;tokens=1000;interval=20",
  broken: "mock;reset=4",
};

let mock: Mock;
let gateway: Gateway;
let provider: ReturnType<typeof createOpenAICompatible>;

beforeAll(async () => {
  mock = await startMock();
  gateway = await startGateway({ config: configuration({ upstream: mock.url, models: MODELS }) });
  provider = createOpenAICompatible({ name: "sluice", baseURL: `${gateway.url}/v1`, apiKey: CLIENT_KEY, includeUsage: true });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

describe("the Vercel AI SDK", () => {
  it("generates text, with its reasoning and usage", async () => {
    const result = await generateText({ model: provider("chinese"), prompt: "a", maxRetries: 0 });
    expect(result.text).toBe("流式 输出 😀");
    expect(result.reasoningText).toBe("Hello from the");
    expect(result.usage.inputTokens).toBe(11);
  });

  it("streams text, with its reasoning and usage", async () => {
    const result = streamText({ model: provider("chinese"), prompt: "a", maxRetries: 0 });
    const pieces = [];
    for await (const piece of result.textStream) pieces.push(piece);
    expect(pieces).toEqual(["流式", " 输出", " 😀"]);
    expect(await result.reasoningText).toBe("Hello from the");
    expect((await result.usage).outputTokens).toBe(6);
    expect(await result.finishReason).toBe("stop");
  });

  it("calls a tool and goes on with its result", async () => {
    const asked: unknown[] = [];
    const weather = tool({
      description: "The weather of a city",
      inputSchema: z.object({ city: z.string(), days: z.number().int() }),
      execute: (input) => {
        asked.push(input);
        return "sunny";
      },
    });
    const result = streamText({
      model: provider("chat"),
      prompt: "What is the weather?",
      tools: { weather },
      stopWhen: stepCountIs(3),
      maxRetries: 0,
    });
    expect(await result.text).toMatch(/^Hello/);
    expect(asked).toEqual([{ city: "Hangzhou", days: 7 }]);
    expect(await result.steps).toHaveLength(2);
  });

  it("embeds", async () => {
    const { embeddings } = await embedMany({ model: provider.embeddingModel("chat"), values: ["a", "b"], maxRetries: 0 });
    expect(embeddings).toHaveLength(2);
    expect(embeddings[0]).toHaveLength(8);
  });

  it("is told of an unknown model", async () => {
    const error: unknown = await generateText({ model: provider("nothing"), prompt: "a" }).catch((reason: unknown) => reason);
    expect(APICallError.isInstance(error)).toBe(true);
    if (!APICallError.isInstance(error)) return;
    expect(error.statusCode).toBe(404);
    expect(error.responseBody).toContain("model_not_found");
    expect(error.message).not.toBe("");
  });

  it("sees the error when the upstream dies in the middle of a stream", async () => {
    const parts: string[] = [];
    const result = streamText({ model: provider("broken"), prompt: "a", maxRetries: 0, onError: () => undefined });
    for await (const part of result.fullStream) parts.push(part.type);
    expect(parts).toContain("text-delta");
    expect(parts).toContain("error");
  });

  it("leaves a stream, and the upstream is closed", async () => {
    const before = await mock.counts();
    const leave = new AbortController();
    const result = streamText({ model: provider("slow"), prompt: "a", abortSignal: leave.signal, maxRetries: 0 });
    let pieces = 0;
    for await (const part of result.fullStream) {
      if (part.type === "text-delta" && ++pieces === 3) leave.abort();
    }
    await eventually("the upstream's abort", async () => (await mock.counts()).aborted === before.aborted + 1);
    await eventually("a line in the journal", () => gateway.journal().some((line) => line.ending === "client_gone"));
  });
});
