import { Agent } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway } from "../support/gateway.ts";
import { guardedConfiguration, keyOf, LISTS, MASKED } from "../support/guarded.ts";
import { type Answer, post } from "../support/http_client.ts";
import { type Script, type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

let upstream: ScriptedUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({ config: guardedConfiguration(upstream.url), files: LISTS, workers: 1 });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

const HELLO = [{ role: "user", content: "hello" }];
const DONE = "data: [DONE]\n\n";
const USAGE = 'data: {"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n';
/** Tenants: one whose answers nobody reads, and one whose answers are guarded. */
const TENANTS = ["free", "answers"];

function delta(content: string, more = "", choice = 0): string {
  return `data: {"id":"c","choices":[{"index":${choice},"delta":{"content":"${content}"}${more}}]}\n\n`;
}

function finish(choice = 0): string {
  return `data: {"id":"c","choices":[{"index":${choice},"delta":{},"finish_reason":"stop"}]}\n\n`;
}

/** A streamed request that is answered as the script says. */
function ask(tenant: string, script: Script, more: object = {}, options: Parameters<typeof post>[3] = {}): Promise<Answer> {
  const user = upstream.prepare(script);
  return post(gateway.port, "/v1/chat/completions", { model: "chat", stream: true, messages: HELLO, user, ...more }, { key: keyOf(tenant), ...options });
}

function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway.journalLine(String(answer.headers["x-request-id"]));
}

describe.each(TENANTS)("a stream without the API's marker (%s)", (tenant) => {
  it("is whole if it ends in good order behind a reason", async () => {
    const pieces = [delta("Hi"), finish(), USAGE];
    const answer = await ask(tenant, { pieces }, { stream_options: { include_usage: true } });
    expect(answer.text).toBe(pieces.join(""));
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", input_tokens: 7, output_tokens: 3, usage_from: "upstream" });
  });

  it("is whole only if each choice has one", async () => {
    const both = [delta("Hi"), delta("Ho", "", 1), finish(1), finish(0)];
    const whole = await ask(tenant, { pieces: both }, { n: 2 });
    expect(whole.text).toBe(both.join(""));
    expect(await lineOf(whole)).toMatchObject({ ending: "finished" });
    const half = await ask(tenant, { pieces: both.slice(0, 3) }, { n: 2 });
    expect(half.text).toContain('"error"');
    expect(await lineOf(half)).toMatchObject({ ending: "upstream_lost" });
  });

  it("is a completion's too, for each of its prompts", async () => {
    const piece = (choice: number): string => `data: {"id":"c","choices":[{"index":${choice},"text":"Hi","finish_reason":"length"}]}\n\n`;
    const completion = (pieces: string[]): Promise<Answer> =>
      post(
        gateway.port, "/v1/completions", { model: "chat", stream: true, prompt: ["a", "b"], user: upstream.prepare({ pieces }) }, { key: keyOf(tenant) },
      );
    expect((await completion([piece(0), piece(1)])).text).toBe(piece(0) + piece(1));
    expect((await completion([piece(0), piece(0)])).text).toContain('"error"');
    // Of the best of several, only so many are sent; and what ends a text is no prompt.
    const user = upstream.prepare({ pieces: [piece(0)] });
    const best = await post(
      gateway.port, "/v1/completions", { model: "chat", stream: true, prompt: ["a"], stop: ["b", "c"], n: 1, best_of: 3, user }, { key: keyOf(tenant) },
    );
    expect(best.text).toBe(piece(0));
  });

  it.each([
    ["without a reason", [delta("Hi")]],
    ["with an error", [delta("Hi"), finish(), 'data: {"error":{"message":"x"}}\n\n']],
    ["with nothing", [": x\n\n"]],
  ])("is an error %s", async (_name, pieces) => {
    const answer = await ask(tenant, { pieces });
    expect(answer.text).toContain('"error"');
    expect(await lineOf(answer)).toMatchObject({ ending: "upstream_lost" });
  });

  it("is an error if its connection breaks, reason or not", async () => {
    const answer = await ask(tenant, { pieces: [delta("Hi"), finish()], end: "broken", gap: 50 });
    expect(answer.text).toContain('"error"');
    expect(await lineOf(answer)).toMatchObject({ ending: "upstream_lost" });
  });
});

describe.each(TENANTS)("a stream whose upstream does not end it (%s)", (tenant) => {
  it("ends for the client behind the marker", async () => {
    const pieces = [delta("Hi"), finish(), DONE];
    // The upstream would be waited for as long as `timeouts.read` says: a minute.
    const answer = await ask(tenant, { pieces, end: "open" });
    expect(answer.text).toBe(pieces.join(""));
    expect(answer.complete).toBe(true);
    expect(await lineOf(answer)).toMatchObject({ ending: "finished" });
  });

  it("ends for a client of Anthropic's API, whose marker is the event's name", async () => {
    const pieces = [
      'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":5}}}\n\n',
      'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\n',
      "event: message_stop\ndata: {}\n\n",
    ];
    const user = upstream.prepare({ pieces, end: "open" });
    const answer = await post(
      gateway.port, "/v1/messages", { model: "claude", stream: true, max_tokens: 9, messages: HELLO, user, metadata: { user_id: user } }, { key: keyOf(tenant) },
    );
    expect(answer.text).toBe(pieces.join(""));
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", input_tokens: 5, output_tokens: 2 });
  });
});

describe("streams whose upstream ends them", () => {
  it("leave its connection for the next, whatever time it takes behind the marker", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await ask("free", { pieces: [DONE] }, {}, { agent });
    const before = upstream.connections();
    for (let count = 0; count < 1000; count++) {
      // Some end a little later than their marker.
      const pause = count % 100 === 0 ? [new Promise((resolve) => setTimeout(resolve, 50))] : [];
      const answer = await ask("free", { pieces: [delta("Hi"), DONE, ...pause] }, {}, { agent });
      expect(answer.complete).toBe(true);
    }
    expect(upstream.connections()).toBe(before);
    agent.destroy();
  }, 60000);
});

describe.each(TENANTS)("events of a stream (%s)", (tenant) => {
  it("are asked to go on at once by whatever stands before the gateway", async () => {
    const answer = await ask(tenant, { pieces: [DONE] });
    expect(answer.headers["x-accel-buffering"]).toBe("no");
    const json = await post(gateway.port, "/v1/chat/completions", { model: "chat", messages: HELLO }, { key: keyOf(tenant) });
    expect(json.headers["x-accel-buffering"]).toBeUndefined();
  });

  it("may be preceded by comment lines, which go on before the event has come", async () => {
    let seen = "";
    let pinged: () => void = () => undefined;
    // The upstream sends the event only when the client has the comment.
    const ping = new Promise<void>((resolve) => (pinged = resolve));
    const pieces = [": ping\n", ping, `${delta("Hi")}${finish()}${DONE}`];
    const answer = await ask(tenant, { pieces }, {}, {
      onData: (data) => {
        seen += data.toString();
        if (seen === ": ping\n") pinged();
      },
    });
    expect(answer.text).toBe(`: ping\n${delta("Hi")}${finish()}${DONE}`);
  });

  it("may hold halves of an emoji, and usage beside them", async () => {
    const usage = delta("\\ude00").replace("]}\n", '],"usage":{"prompt_tokens":7,"completion_tokens":9}}\n');
    const pieces = [delta("nice \\ud83d"), usage, finish(), DONE];
    const answer = await ask(tenant, { pieces }, { stream_options: { include_usage: true } });
    expect(answer.text).toBe(pieces.join(""));
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", input_tokens: 7, output_tokens: 9 });
  });

  it("that only report usage don't reach a client that did not ask for it", async () => {
    for (const choices of ['"choices":[],', "", '"choices":null,', '"choices":[{"index":0,"delta":{}}],']) {
      const usage = `data: {"id":"c",${choices}"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n`;
      const answer = await ask(tenant, { pieces: [delta("Hi"), finish(), usage, DONE] });
      expect(answer.text).toBe(delta("Hi") + finish() + DONE);
      expect(await lineOf(answer)).toMatchObject({ ending: "finished", input_tokens: 7, output_tokens: 3 });
    }
  });

  it("may have pictures of many megabytes", async () => {
    const image = "iVBORw0KGgo".repeat(1000000);
    const picture = delta("Here.").replace("}}]", `,"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,${image}"}}]}}]`);
    const pieces = [": x\n\n", picture, finish(), USAGE, DONE];
    const answer = await ask(tenant, { pieces });
    expect(answer.text === [": x\n\n", picture, finish(), DONE].join("")).toBe(true);
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", input_tokens: 7, output_tokens: 3 });
  });

  it("may be one picture, which is an answer though it is the first event and no text", async () => {
    const url = `data:image/png;base64,${"iVBORw0KGgo".repeat(40000)}`;
    const pieces = [`data: {"id":"c","choices":[{"index":0,"delta":{"images":[{"type":"image_url","image_url":{"url":"${url}"}}]},"finish_reason":"stop"}]}\n\n`, DONE];
    const answer = await ask(tenant, { pieces });
    expect(answer.text === pieces.join("")).toBe(true);
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", usage_from: "counted", output_tokens: 0 });
  });

  it("are refused beyond 32 MiB", async () => {
    const answer = await ask(tenant, { pieces: [delta("Hi"), `data: {"x":"${"iVBORw0KGgo".repeat(3200000)}`, '"}\n\n', DONE] });
    expect(answer.text.startsWith(delta("Hi"))).toBe(true);
    expect(answer.text.slice(-300)).toContain("an event that is too long");
    expect(await lineOf(answer)).toMatchObject({ ending: "upstream_lost" });
  });
});

describe("a long event without a guard", () => {
  it("goes on as it comes, and breaks off with an error of its own", async () => {
    const image = "iVBORw0KGgo".repeat(100000);
    let seen = 0;
    let most: () => void = () => undefined;
    const come = new Promise<void>((resolve) => (most = resolve));
    // The upstream sends the second half only when the client has most of the first.
    const answer = await ask("free", { pieces: [`data: {"x":"${image}`, come, image], end: "broken", gap: 50 }, {}, {
      onData: (data) => {
        seen += data.length;
        if (seen > 1000000) most();
      },
    });
    expect(answer.complete).toBe(true);
    expect(answer.text.slice(-300)).toMatch(/KGgo\n\ndata: \{"error":/);
  });
});

describe("under a guard", () => {
  it("words in an event with a picture are found, and so is text in the picture's place", async () => {
    const event = (url: string): string => `data: {"id":"c","choices":[{"index":0,"delta":{"content":"${MASKED}","images":[{"image_url":{"url":"${url}"}}]}}]}\n\n`;
    const answer = await ask("answers", { pieces: [event(`data:image/png;base64,${"iVBO".repeat(100000)}`), event(`https://x.test/${MASKED}`), finish(), DONE] });
    expect(answer.text).not.toContain(MASKED);
    expect(answer.text).toContain(`data:image/png;base64,${"iVBO".repeat(100000)}"`);
    expect(await lineOf(answer)).toMatchObject({ ending: "finished" });
  });

  it("an event has 4 MiB of text at most", async () => {
    const answer = await ask("answers", { pieces: [delta("a word ".repeat(700000)), DONE] });
    expect(answer.text).toContain("an event that is too long");
    const free = await ask("free", { pieces: [delta("a word ".repeat(700000)), DONE] });
    expect(free.text.endsWith(DONE)).toBe(true);
  });
});
