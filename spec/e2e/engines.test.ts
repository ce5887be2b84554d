/** What engines and other gateways do as upstreams: headers of their own, and answers that they give up. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Provider, startProvider } from "../support/provider.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const GUARDED_KEY = "sk-sluice-client-key-of-guarded-0123456789";

let provider: Provider;
let gateway: Gateway;

beforeAll(async () => {
  provider = await startProvider();
  gateway = await startGateway({
    workers: 1,
    config: JSON.stringify({
      tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }, { id: "guarded", api_keys: [{ id: "web", secret: GUARDED_KEY }], guard: "strict" }],
      guards: [{ name: "strict", patterns: { email: "mask" } }],
      models: [{ name: "chat", pool: "gpu" }, { name: "keyed", pool: "keyed" }],
      pools: [{ name: "gpu", endpoints: [{ url: provider.url }] }, { name: "keyed", endpoints: [{ url: provider.url }], keys: [{ id: "a", secret: "s" }] }],
    }),
  });
});

beforeEach(() => {
  provider.answer(() => ({}));
});

afterAll(async () => {
  await gateway?.stop();
  await provider?.stop();
});

function ask(model: string, stream = false, key = KEY): Promise<Answer> {
  return send(gateway.port, { path: "/v1/chat/completions", body: JSON.stringify({ model, stream, messages: [{ role: "user", content: "Hello" }] }), key });
}

/** Those that a LiteLLM sends, and some of other gateways. */
const FOREIGN = {
  "x-litellm-call-id": "0198", "x-litellm-model-id": "4f", "x-litellm-model-api-base": "http://10.1.2.3:8000/v1", "x-litellm-version": "1.108.7",
  "x-litellm-response-cost": "0.0001", "x-litellm-response-cost-original": "0.0001", "x-litellm-response-cost-discount-amount": "0",
  "x-litellm-response-cost-margin-amount": "0", "x-litellm-response-cost-margin-percent": "0", "x-litellm-key-spend": "12.5",
  "x-litellm-key-tpm-limit": "1000", "x-litellm-key-rpm-limit": "10", "x-litellm-key-max-budget": "100", "x-litellm-model-group": "gpt",
  "x-litellm-attempted-retries": "0", "x-litellm-attempted-fallbacks": "0", "x-litellm-response-duration-ms": "12", "x-litellm-overhead-duration-ms": "1",
  "x-litellm-timeout": "600", "X-LiteLLM-Anything-New": "1", "llm_provider-server": "uvicorn", "llm_provider-x-internal": "http://10.1.2.3",
  "X-Portkey-Trace-Id": "1", "Helicone-Id": "1", "X-Kong-Upstream-Latency": "1", "X-Envoy-Upstream-Service-Time": "1", "cf-aig-log-id": "1",
  "X-Oneapi-Request-Id": "1", "X-New-Api-Version": "1", "X-Sluice-Model": "another",
};
/** Those that only look a little like them. */
const OTHERS = { "x-lite": "1", "x-litellm": "1", "x-li": "1", "x-liter-a": "1", "llm-answer": "1", "cf-ray": "1", "heli": "1", x: "1", "x-slu": "1", "x-generation-id": "1" };

describe("headers of other gateways", () => {
  it.each([["chat", false], ["chat", true], ["keyed", false], ["keyed", true]] as const)("stop here: %s, stream %s", async (model, stream) => {
    const events = ['data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n', "data: [DONE]\n\n"];
    provider.answer(() => ({ headers: { ...FOREIGN, ...OTHERS }, ...(stream && { events }) }));
    const answer = await ask(model, stream);
    expect(answer.status).toBe(200);
    for (const name of Object.keys(FOREIGN)) {
      expect(answer.headers[name.toLowerCase()], name).toBe(name === "X-Sluice-Model" ? model : undefined);
    }
    expect(answer.headers).toMatchObject(OTHERS);
    expect(JSON.stringify(answer.headers)).not.toContain("10.1.2.3");
  });

  it("stop here with errors too", async () => {
    provider.answer(() => ({ status: 400, json: { error: { message: "no" } }, headers: FOREIGN }));
    const answer = await ask("chat");
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.headers).filter((name) => /litellm|llm_provider/.test(name))).toEqual([]);
  });
});

describe("an answer that the engine gives up", () => {
  const series = 'sluice_streams_truncated_total{pool="gpu",cause="abort"}';
  const usage = { prompt_tokens: 7, completion_tokens: 130, total_tokens: 137 };

  it.each([[false, KEY], [true, KEY], [false, GUARDED_KEY], [true, GUARDED_KEY]])("is counted, and charged by its usage: stream %s", async (stream, key) => {
    const before = (await gateway.metrics()).get(series) ?? 0;
    for (const reason of ["abort", "stop", "length"]) {
      const choice = { index: 0, finish_reason: reason };
      provider.answer(() => (stream
        ? { events: [{ choices: [{ ...choice, delta: { content: "hi" } }] }, { choices: [], usage }].map((event) => `data: ${JSON.stringify(event)}\n\n`).concat("data: [DONE]\n\n") }
        : { json: { id: "c", object: "chat.completion", choices: [{ ...choice, message: { role: "assistant", content: "hi" } }], usage } }));
      const answer = await ask("chat", stream, key);
      expect(answer.text).toContain(`"finish_reason":"${reason}"`);
      expect(answer.complete).toBe(true);
      const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
      expect(line).toMatchObject({ ending: "finished", input_tokens: 7, output_tokens: 130, usage_from: "upstream" });
    }
    expect((await gateway.metrics()).get(series)).toBe(before + 1);
  });
});
