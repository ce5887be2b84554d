/** Clients of Azure's, which name the model in the path. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Exchange, type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const SLASHED = "org/model:tag@1";

let upstream: ScriptedUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: JSON.stringify({
      tenants: [{ id: "acme", api_keys: [{ id: "key", secret: KEY }], models: ["chat", "renamed", "falls", "strict", SLASHED] }],
      models: [
        { name: "chat", pool: "own" },
        { name: "renamed", pool: "own", upstream_model: "deep/one" },
        { name: SLASHED, pool: "own", upstream_model: "slashed" },
        { name: "falls", pool: "dead", upstream_model: "never-seen", fallback: ["renamed"] },
        { name: "strict", pool: "strict", fallback: ["renamed"] },
        { name: "forbidden", pool: "own" },
      ],
      pools: [
        { name: "own", endpoints: [{ url: upstream.url }] },
        { name: "strict", endpoints: [{ url: upstream.url }], stream_options: "never", retries: { attempts: 1 } },
        { name: "dead", endpoints: [{ url: "http://127.0.0.1:9" }], retries: { attempts: 1 } },
      ],
    }),
  });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** Sends as Azure's clients do. Returns what the upstream got, if it got anything. */
async function ask(path: string, body: string, options: object = {}): Promise<{ answer: Answer; sent: Exchange | undefined }> {
  const before = upstream.exchanges.length;
  const answer = await send(gateway.port, { path: `/openai/${path}?api-version=2024-10-21`, key: null, headers: { "api-key": KEY }, body, ...options });
  return { answer, sent: upstream.exchanges[before] };
}

function deployment(model: string, api = "chat/completions"): string {
  return `deployments/${model}/${api}`;
}

describe("a deployment's path", () => {
  it.each([["chat/completions", '"messages":[]'], ["completions", '"prompt":"x"'], ["embeddings", '"input":"x"']])("names the model for %s", async (api, members) => {
    const { answer, sent } = await ask(deployment("renamed", api), `{${members}}`);
    expect([answer.status, answer.headers["x-sluice-model"]]).toEqual([200, "renamed"]);
    expect([sent?.path, String(sent?.body)]).toEqual([`/v1/${api}`, `{${members},"model":"deep/one"}`]);
    expect((await gateway.journalLine(String(answer.headers["x-request-id"]))).model).toBe("renamed");
  });

  it("leaves a body as it is that names the same model, by whatever bytes", async () => {
    const body = '{ "model" : "ch\\u0061t", "n":1.0 }';
    expect(String((await ask(deployment("chat"), body)).sent?.body)).toBe(body);
    expect(String((await ask(deployment("renamed"), '{"model":"renamed"}')).sent?.body)).toBe('{"model":"deep/one"}');
  });

  it("does not go with a body that names another", async () => {
    for (const model of ['"renamed"', '"deep/one"', '"Chat"', "null", "1", '""']) {
      const { answer, sent } = await ask(deployment("chat"), `{"model":${model},"messages":[]}`);
      expect([answer.status, errorOf(answer).param, sent]).toEqual([400, "model", undefined]);
    }
    const { answer } = await ask(deployment("chat"), '{"model":"renamed"}');
    expect(errorOf(answer).code).toBe("model_mismatch");
    expect((await ask(deployment("chat"), '{"Model":"renamed"}')).answer.status).toBe(400);
  });

  it("may have a name that has to be encoded", async () => {
    for (const [name, upstreamName] of [["org%2Fmodel%3Atag%401", "slashed"], ["org%2fmodel:tag@1", "slashed"], ["ch%61t", "chat"]]) {
      const { answer, sent } = await ask(deployment(name ?? ""), "{}");
      expect([answer.status, String(sent?.body)]).toEqual([200, `{"model":"${upstreamName}"}`]);
    }
  });

  it.each(["%FF", "%E4%BD%A0", "a%0Ab", "%22", "m".repeat(129), "unknown", "..%2F..", "a%2F..%2Fb"])("must have a name that a model has: %s", async (name) => {
    const { answer, sent } = await ask(deployment(name), "{}");
    expect([answer.status, sent]).toEqual([404, undefined]);
    expect(() => JSON.parse(answer.text) as unknown).not.toThrow();
  });

  it("lets nobody past what the caller may use", async () => {
    const { answer, sent } = await ask(deployment("forbidden"), "{}");
    expect([answer.status, errorOf(answer).code, sent]).toEqual([403, "model_not_allowed", undefined]);
    expect((await ask(deployment("chat"), "{}", { headers: {} })).answer.status).toBe(401);
    expect((await ask("deployments/chat/responses", "{}")).answer.status).toBe(404);
  });

  it("asks for a stream's usage, and takes it out again", async () => {
    const user = upstream.prepare({
      pieces: [
        'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n',
        'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n', "data: [DONE]\n\n",
      ],
    });
    const { answer, sent } = await ask(deployment("chat"), `{"stream":true,"user":"${user}"}`);
    expect(String(sent?.body)).toBe(`{"stream_options":{"include_usage":true},"stream":true,"user":"${user}","model":"chat"}`);
    expect(answer.text).not.toContain("usage");
    expect(await gateway.journalLine(String(answer.headers["x-request-id"]))).toMatchObject({ input_tokens: 3, output_tokens: 1 });
  });

  it("goes well with what else is taken out", async () => {
    const whole = upstream.prepare({ pieces: ['{"usage":{"prompt_tokens":1,"completion_tokens":1}}'], type: "application/json" });
    const fails = upstream.prepare({ pieces: ["{}"], type: "application/json", status: 503 });
    const options = '"stream_options":{"include_usage":false}';
    for (const [user, members, last] of [
      [whole, [options, '"stream":true'], '{"stream":true,"user":"USER","model":"strict"}'],
      [whole, ['"stream":true', options], '{"stream":true,"user":"USER","model":"strict"}'],
      [fails, [options, '"stream":true'], '{"stream_options":{"include_usage":true},"stream":true,"user":"USER","model":"deep/one"}'],
      [fails, ['"stream":true', options], '{"stream":true,"stream_options":{"include_usage":true},"user":"USER","model":"deep/one"}'],
    ] as const) {
      await ask(deployment("strict"), `{${members.join(",")},"user":"${user}"}`);
      expect(String(upstream.exchanges.at(-1)?.body)).toBe(last.replace("USER", user));
    }
  });

  it("stands alone where nothing else is left", async () => {
    for (const blank of ["", " "]) {
      await ask(deployment("strict"), `{${blank}"stream_options":{"include_usage":false}${blank}}`);
      expect(JSON.parse(String(upstream.exchanges.at(-1)?.body))).toEqual({ model: "strict" });
    }
  });

  it("goes on to another model by that one's name", async () => {
    const { answer, sent } = await ask(deployment("falls"), '{"messages":[]}');
    expect([answer.status, String(sent?.body)]).toEqual([200, '{"messages":[],"model":"deep/one"}']);
  });
});

describe("other paths of Azure's", () => {
  it("are OpenAI's, behind /openai", async () => {
    for (const [path, upstreamPath] of [
      ["v1/chat/completions", "/v1/chat/completions"], ["v1/responses", "/v1/responses"], ["v1/embeddings/", "/v1/embeddings"],
      ["responses", "/v1/responses"], ["v1/responses/input_tokens", "/v1/responses/input_tokens"],
    ]) {
      const { answer, sent } = await ask(path ?? "", '{"model":"chat","input":"x"}');
      expect([answer.status, sent?.path]).toEqual([200, upstreamPath]);
    }
    expect(errorOf((await ask("v1/chat/completions", "{}")).answer).code).toBe("missing_model");
  });

  it("list the models", async () => {
    for (const path of ["models", "v1/models", "v1/models/"]) {
      const { answer } = await ask(path, "", { method: "GET" });
      const { data } = JSON.parse(answer.text) as { data: { id: string }[] };
      expect(data.map(({ id }) => id)).toEqual(["chat", "renamed", SLASHED, "falls", "strict"]);
    }
    const one = await ask("v1/models/chat", "", { method: "GET" });
    expect(JSON.parse(one.answer.text)).toMatchObject({ id: "chat", object: "model" });
  });
});
