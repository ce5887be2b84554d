/** Answers whose `Content-Type` does not say what they are: they are read by what they are. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway } from "../support/gateway.ts";
import { APIS, BLOCKED, chatChunk, DONE, FOUR, guardedConfiguration, HASTY, keyOf, LISTS, MASKED } from "../support/guarded.ts";
import { type Answer, errorOf, post } from "../support/http_client.ts";
import { type Script, type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

let upstream: ScriptedUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({ config: guardedConfiguration(upstream.url), files: LISTS });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

function ask(pieces: Script["pieces"], script: Partial<Script>, tenant: string, more: object = {}): Promise<Answer> {
  const user = upstream.prepare({ pieces, ...script });
  return post(gateway.port, APIS.chat.path, { model: APIS.chat.model, user, ...APIS.chat.more, ...more }, { key: keyOf(tenant) });
}

function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway.journalLine(String(answer.headers["x-request-id"]));
}

const TYPES = [null, "", "text/plain", "text/plain; charset=utf-8", "application/octet-stream", "Application/JSON", "application/vnd.api+json"];
const EVENT_TYPES = [null, "", "text/plain; charset=utf-8", "application/octet-stream", "Text/Event-Stream"];
const USAGE = '"usage":{"prompt_tokens":700,"completion_tokens":300}';
const body = (text: string): string => `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"${text}"},"finish_reason":"stop"}],${USAGE}}`;
const USAGE_CHUNK = `data: {"choices":[],${USAGE}}\n\n`;
const events = (text: string): string[] => [chatChunk(text), 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', USAGE_CHUNK, DONE];
const READ = { ending: "finished", usage_from: "upstream", input_tokens: 700, output_tokens: 300 };

/** The same bytes as one piece, with a length and without; and each by itself, behind blanks too. */
function cuts(text: string): [string[], Partial<Script>][] {
  return [[[text], { length: true }], [[text], {}], [[...text], {}], [["\n", "\n \n", text], {}]];
}

describe.each(TYPES)("a JSON answer of type %j", (type) => {
  it("is read, charged and guarded", async () => {
    for (const [pieces, script] of cuts(body(`a ${MASKED}`))) {
      const free = await ask(pieces, { ...script, type }, "free");
      expect([free.status, free.complete]).toEqual([200, true]);
      expect(free.text).toBe(pieces.join(""));
      expect(free.headers["content-type"] ?? null).toBe(type === "" ? null : type);
      expect(await lineOf(free)).toMatchObject(READ);
      const masked = await ask(pieces, { ...script, type }, "strict");
      expect(masked.text.trim()).toBe(body(`a ${FOUR}`));
      expect(await lineOf(masked)).toMatchObject({ ...READ, guard: { completion: { masked: 1 } } });
    }
    const blocked = await ask([body(BLOCKED)], { type }, "strict");
    expect(blocked.text).not.toContain(BLOCKED);
    expect(await lineOf(blocked)).toMatchObject({ ending: "blocked", guard: { blocked_by: "blocked.txt" } });
  });
});

describe.each(EVENT_TYPES)("an event stream of type %j", (type) => {
  it("is read, charged and guarded, and its usage is left out", async () => {
    const whole = events(`a ${MASKED}`);
    for (const [pieces, script] of [...cuts(whole.join("")), [whole, {}] as [string[], object], [["\ufeff", ...whole], {}] as [string[], object]]) {
      const free = await ask(pieces, { ...script, type }, "free", { stream: true });
      expect([free.status, free.complete]).toEqual([200, true]);
      expect(free.text).toBe(pieces.join("").replace(USAGE_CHUNK, ""));
      expect(await lineOf(free)).toMatchObject(READ);
      const masked = await ask(pieces, { ...script, type }, "strict", { stream: true });
      expect(masked.text).toContain(FOUR);
      expect(masked.text).not.toContain(MASKED);
      expect(await lineOf(masked)).toMatchObject({ ...READ, guard: { completion: { masked: 1 } } });
    }
    const lost = await ask([chatChunk("a"), chatChunk("b")], { type, end: "broken" }, "free", { stream: true });
    expect(lost.text).toContain("upstream_failed");
    expect((await lineOf(lost)).ending).toBe("upstream_lost");
  });
});

describe("an answer whose type is wrong", () => {
  it("is events all the same, where some were asked for", async () => {
    const whole = events(`a ${MASKED}`);
    for (const [pieces, script] of [...cuts(whole.join("")), [whole, {}] as [string[], object]]) {
      const free = await ask(pieces, { ...script, type: "application/json" }, "free", { stream: true });
      expect([free.complete, free.text]).toEqual([true, pieces.join("").replace(USAGE_CHUNK, "")]);
      expect(await lineOf(free)).toMatchObject(READ);
      const masked = await ask(pieces, { ...script, type: "application/json" }, "strict", { stream: true });
      expect(masked.text).toContain(FOUR);
      expect(await lineOf(masked)).toMatchObject({ ...READ, guard: { completion: { masked: 1 } } });
    }
  });

  it("is JSON where a stream was asked for, and read as such", async () => {
    for (const [pieces, script] of cuts(body(`a ${MASKED}`))) {
      const free = await ask(pieces, { ...script, type: "application/json" }, "free", { stream: true });
      expect([free.complete, free.text]).toEqual([true, pieces.join("")]);
      expect(await lineOf(free)).toMatchObject(READ);
      expect((await ask(pieces, { ...script, type: "application/json" }, "strict", { stream: true })).text.trim()).toBe(body(`a ${FOUR}`));
      // Nobody can tell before the end, and it goes on as it came.
      const named = await ask(pieces, { ...script, type: "text/event-stream" }, "free", { stream: true });
      expect([named.complete, named.text]).toEqual([true, pieces.join("")]);
      expect(await lineOf(named)).toMatchObject(READ);
    }
  });

  it("is an error, which is the client's mistake and no stream that broke off", async () => {
    for (const tenant of ["free", "strict"]) {
      for (const type of ["application/json", "text/event-stream"]) {
        const error = '{"error":{"message":"a","code":400}}';
        const answer = await ask([error], { type }, tenant, { stream: true });
        // Under a guard nothing of a stream goes on that is no event: the gateway says it in its own words.
        if (tenant === "free" || type === "application/json") expect(answer.text.trim()).toBe(error);
        else expect(answer.text).toMatch(/^data: \{"error":.*"upstream_failed"\}\}\n\n$/);
        expect(await lineOf(answer)).toMatchObject({ ending: "upstream_lost", usage_from: null, cost_nano_usd: 0 });
      }
      for (const text of ["", "not JSON", '{"choices":[']) {
        const answer = await ask([text], { type: "application/json" }, tenant, { stream: true });
        expect(await lineOf(answer)).toMatchObject({ ending: "upstream_lost", usage_from: null, cost_nano_usd: 0 });
        if (tenant === "free") expect(answer.text).toBe(text);
      }
    }
  });
});

describe("a JSON answer that is whole", () => {
  it("is charged what it reports, though its connection breaks behind it, or it came in place of events and is long", async () => {
    for (const script of [{ type: "application/json" }, { type: null }]) {
      const lost = await ask([body("a")], { ...script, end: "broken", gap: 50 }, "free");
      expect(await lineOf(lost)).toMatchObject({ ...READ, ending: "upstream_lost" });
    }
    const long = body("words of an answer ".repeat(30000));
    const named = await ask([long], { type: "text/event-stream" }, "free", { stream: true });
    expect(named.text === long).toBe(true);
    expect(await lineOf(named)).toMatchObject(READ);
  });
});

describe("an answer that is neither JSON nor events", () => {
  const PAGES = ["Internal Server Error", "database gone", "\u00ef\u00bc", "<html></html>", "dat", "eve"];

  it.each(TYPES.slice(0, 5))("passes as it is without a guard, and never under one: of type %j", async (type) => {
    for (const page of PAGES) {
      for (const pieces of [[page], [...page]]) {
        const free = await ask(pieces, { type }, "free");
        expect([free.status, free.complete, free.text]).toEqual([200, true, page]);
        expect(await lineOf(free)).toMatchObject({ ending: "finished", usage_from: null, cost_nano_usd: 0 });
        const guarded = await ask(pieces, { type }, "strict");
        expect(errorOf(guarded)).toMatchObject({ type: "upstream_error", code: "upstream_failed" });
        expect(guarded.complete).toBe(true);
        expect((await lineOf(guarded)).ending).toBe("upstream_lost");
      }
    }
  });

  it("keeps its type, and its length where no stream was asked for", async () => {
    const image = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3]);
    for (const type of ["image/png", "audio/mpeg", "application/octet-stream"]) {
      const answer = await ask([image], { type, length: true }, "free");
      expect(answer.headers).toMatchObject({ "content-type": type, "content-length": "8" });
      expect(answer.body.equals(image)).toBe(true);
    }
  });

  it.each([null, "text/plain", "application/octet-stream"])("and empty or blank is no answer: of type %j", async (type) => {
    for (const pieces of [[], [" "], ["\n", "\n"]]) {
      for (const tenant of ["free", "strict"]) {
        const answer = await ask(pieces, { type }, tenant);
        expect(answer.text).toBe(pieces.join(""));
        expect(await lineOf(answer)).toMatchObject({ ending: "upstream_lost", usage_from: null, cost_nano_usd: 0, input_tokens: 0 });
      }
    }
    const silent = await ask(["\n"], { type, end: "open" }, "free", { model: HASTY.chat });
    expect(silent.complete).toBe(false);
    expect(await lineOf(silent)).toMatchObject({ ending: "timed_out", timeout: "read", usage_from: null });
  });
});

describe("an error", () => {
  const failure = (words: string): string => `{"error":{"message":"${words}","type":"invalid_request_error","param":null,"code":null}}`;

  it.each([null, "text/plain", "application/octet-stream"])("is the upstream's own, guarded, and keeps its status: of type %j", async (type) => {
    for (const status of [400, 422, 500]) {
      expect((await ask([failure(MASKED)], { type, status }, "free")).text).toBe(failure(MASKED));
      const masked = await ask([failure(MASKED)], { type, status }, "strict");
      expect([masked.status, masked.text]).toEqual([status, failure(FOUR)]);
      expect(await lineOf(masked)).toMatchObject({ status, ending: "finished", usage_from: null });
      const text = await ask([`${BLOCKED} plainly`], { type, status }, "strict");
      expect(text.status).toBe(status);
      expect(errorOf(text).code).toBe("upstream_failed");
      const empty = await ask([], { type, status }, "strict");
      expect([empty.status, empty.text]).toEqual([status, ""]);
    }
  });

  it("of text in another encoding is told as UTF-8, under a guard", async () => {
    const answer = await ask([failure("x")], { type: "text/plain; charset=gbk", status: 400 }, "strict");
    expect(answer.headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect((await ask([failure("x")], { type: "text/plain", status: 400 }, "strict")).headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect((await ask([failure("x")], { type: "text/plain; charset=gbk", status: 400 }, "free")).headers["content-type"]).toBe("text/plain; charset=gbk");
  });
});
