import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const WORD = "nightjar";
/** 400 KB in base64, with a listed word between two characters that end words. */
const BYTES = `${"iVBORw0KGgoAAAANSUhEUgAA".repeat(8000)}+${WORD}+${"QUJD".repeat(50000)}`;
const FRAME = `data:image/png;base64,${BYTES}`;

/** What each API takes; `part` stands in its place. */
const APIS: Record<string, { path: string; model: string; body: (part: object) => object }> = {
  chat: { path: "/v1/chat/completions", model: "chat", body: (part) => ({ max_tokens: 10, messages: [{ role: "user", content: [part] }] }) },
  completions: { path: "/v1/completions", model: "chat", body: (part) => ({ max_tokens: 10, prompt: "What is it?", multi_modal_data: part }) },
  embeddings: { path: "/v1/embeddings", model: "chat", body: (part) => ({ input: [part] }) },
  responses: { path: "/v1/responses", model: "chat", body: (part) => ({ max_output_tokens: 10, input: [{ role: "user", content: [part] }] }) },
  messages: { path: "/v1/messages", model: "claude", body: (part) => ({ max_tokens: 10, messages: [{ role: "user", content: [part] }] }) },
};

/** Parts of media, with their types first; the members of some have names that Sluice doesn't know. */
const PARTS: Record<string, object[]> = {
  chat: [
    { type: "image_url", image_url: { url: FRAME } }, { type: "image_embeds", image_embeds: BYTES }, { type: "video", video: [FRAME, FRAME] },
    { type: "document_url", document_url: FRAME }, { type: "file", file: { filename: "a.pdf", file_data: FRAME } },
    { type: "input_audio", input_audio: { data: BYTES, format: "wav" } }, { type: "image_embeds", image_embeds: { embeds: BYTES, grid: BYTES } },
  ],
  completions: [],
  embeddings: [{ type: "image_url", image_url: { url: FRAME } }, { type: "video", video: [FRAME] }, { type: "image_embeds", image_embeds: BYTES }],
  responses: [
    { type: "input_image", image_url: FRAME }, { type: "input_file", filename: "a.pdf", file_data: FRAME }, { type: "image_generation_call", result: BYTES },
  ],
  messages: [
    { type: "image", source: { type: "base64", media_type: "image/png", data: BYTES } },
    { type: "document", source: { type: "base64", media_type: "application/pdf", data: BYTES } }, { type: "document_url", document_url: FRAME },
  ],
};

function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

/** The same with all types behind the rest, as clients for Go send it. */
function typesLast(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(typesLast);
  if (typeof value !== "object" || value === null) return value;
  const { type, ...rest } = value as Record<string, unknown>;
  return { ...Object.fromEntries(Object.entries(rest).map(([name, member]) => [name, typesLast(member)])), ...(type !== undefined && { type }) };
}

describe("media in a request", () => {
  let upstream: ScriptedUpstream;
  let gateway: Gateway;

  beforeAll(async () => {
    upstream = await startScriptedUpstream();
    const limits = { tokens_per_minute: 5000 };
    const config = {
      tenants: [
        ...Object.keys(APIS).map((api) => ({ id: api, api_keys: [{ id: "web", secret: keyOf(api) }], limits })),
        { id: "guarded", api_keys: [{ id: "web", secret: keyOf("guarded") }], guard: "strict" },
      ],
      guards: [{ name: "strict", on: ["prompt"], lexicons: [{ file: "words.txt" }] }],
      models: [{ name: "chat", pool: "open" }, { name: "claude", pool: "anthropic" }],
      pools: [
        { name: "open", endpoints: [{ url: upstream.url }] },
        { name: "anthropic", api: "anthropic", endpoints: [{ url: upstream.url }], keys: [{ id: "account", secret: "sk-ant-account-key" }] },
      ],
    };
    gateway = await startGateway({ config: JSON.stringify(config), files: { "words.txt": `${WORD}\n` } });
  });

  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  function ask(api: string, part: unknown, tenant: string): Promise<{ answer: Answer; body: string }> {
    const { path, model, body } = APIS[api]!;
    const text = JSON.stringify({ model, ...body(part as object) });
    return send(gateway.port, { path, body: text, key: keyOf(tenant) }).then((answer) => ({ answer, body: text }));
  }

  /** It went upstream as it came. */
  async function expectPassed(api: string, part: unknown, tenant: string): Promise<Answer> {
    const { answer, body } = await ask(api, part, tenant);
    expect(answer.status, `${body.slice(0, 200)}: ${answer.text}`).toBe(200);
    expect(upstream.exchanges.at(-1)!.body.equals(Buffer.from(body))).toBe(true);
    return answer;
  }

  it.each(Object.keys(APIS))("counts for no text: %s", async (api) => {
    const unknown = [{ type: "novel", novel: BYTES }, { novel: { frames: [FRAME, FRAME] } }];
    for (const part of [...PARTS[api]!, ...PARTS[api]!.map(typesLast), ...unknown]) {
      const answer = await expectPassed(api, part, api);
      const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
      expect(line.reserved_tokens).toBeLessThan(100);
    }
    // What is called a text is one.
    const { answer } = await ask(api, { type: "image_url", text: BYTES }, api);
    expect(answer.status).toBe(429);
    if (api !== "messages") expect(errorOf(answer)).toMatchObject({ code: "tokens_exceeded" });
  });

  it.each(Object.keys(APIS))("is read by a guard unless its part's type is one of media: %s", async (api) => {
    for (const part of [...PARTS[api]!, ...PARTS[api]!.map(typesLast)]) {
      await expectPassed(api, part, "guarded");
    }
    const types: Record<string, unknown>[] = [{ type: "text" }, { type: "novel" }, {}];
    for (const type of types) {
      for (const media of [{ image_embeds: BYTES }, { video: [FRAME] }, { document_url: FRAME }, { file: { file_data: FRAME } }, { image_url: { url: FRAME } }]) {
        for (const part of [{ ...type, ...media }, { ...media, ...type }]) {
          expect((await ask(api, part, "guarded")).answer.status, JSON.stringify(part).slice(0, 80)).toBe(403);
        }
      }
    }
    for (const part of [{ type: "image_url", text: `a ${WORD}` }, { text: BYTES, type: "document" }, { type: "image", novel: BYTES }]) {
      expect((await ask(api, part, "guarded")).answer.status).toBe(403);
    }
    expect((await ask(api, { type: "text", text: "nothing listed" }, "guarded")).answer.status).toBe(200);
  });
});
