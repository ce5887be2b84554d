import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway } from "../support/gateway.ts";
import {
  type Api, APIS, BLOCKED, BLOCKED_ENGLISH, BLOCK_ENDINGS, chatChunk, chatFinish, DONE, FOUR, guardedConfiguration, HASTY, keyOf, LISTS, MASKED, streamOf,
} from "../support/guarded.ts";
import { type Answer, errorOf, post, sendBytes } from "../support/http_client.ts";
import { eventually } from "../support/processes.ts";
import { type RawScript, type RawScripts, startRawScripts } from "../support/raw_scripts.ts";
import { type Script, type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const NAMES = Object.keys(APIS) as Api[];

let upstream: ScriptedUpstream;
let raw: RawScripts;
let gateway: Gateway;
let behindRaw: Gateway;

beforeAll(async () => {
  [upstream, raw] = await Promise.all([startScriptedUpstream(), startRawScripts()]);
  // The roles and types of every request, which must not be found in one.
  const api = { name: "api", on: ["prompt"], lexicons: [{ file: "api.txt", action: "block" }] };
  const guards = [
    { name: "strict", on: ["prompt", "completion"], lexicons: [{ file: "blocked.txt" }, { file: "masked.txt", action: "mask" }] },
    { name: "answers", on: ["completion"], lexicons: [{ file: "blocked.txt" }] },
    api,
  ];
  const files = { ...LISTS, "api.txt": "user\nassistant\nsystem\ndeveloper\ntool\nfunction\ntext\nauto\nhigh\njson_object\n" };
  const start = (url: string): Promise<Gateway> => startGateway({ config: guardedConfiguration(url, guards), files });
  [gateway, behindRaw] = await Promise.all([start(upstream.url), start(raw.url)]);
});

afterAll(async () => {
  await gateway?.stop();
  await behindRaw?.stop();
  await upstream?.stop();
  await raw?.stop();
});

function ask(api: Api, document: object, tenant = "strict"): Promise<Answer> {
  const { path, model, more } = APIS[api];
  return post(gateway.port, path, { model, ...more, ...document }, { key: keyOf(tenant) });
}

async function lineOf(answer: Answer, of = gateway): Promise<JournalLine> {
  return of.journalLine(String(answer.headers["x-request-id"]));
}

/** Places that a chat template may print, besides the content of messages, by API; ◊ stands for a text. */
const PLACES: [Api, string, string][] = [
  ["chat", "a role", '{"messages":[{"role":"◊","content":"x"}]}'],
  ["chat", "an id that a tool's result names", '{"messages":[{"role":"tool","tool_call_id":"◊","content":"x"}]}'],
  ["chat", "the id of a tool call", '{"messages":[{"role":"assistant","tool_calls":[{"id":"◊","type":"function","function":{"name":"f","arguments":"{}"}}]}]}'],
  ["chat", "the id of sound", '{"messages":[{"role":"assistant","audio":{"id":"◊"}}]}'],
  ["chat", "a tool's type", '{"tools":[{"type":"◊","function":{"name":"f"}}]}'],
  ["chat", "a tool's description", '{"tools":[{"type":"function","function":{"name":"f","description":"◊"}}]}'],
  ["chat", "the name of a tool's property", '{"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"◊":{}}}}}]}'],
  ["chat", "how much it is to think", '{"reasoning_effort":"◊"}'],
  ["chat", "what the template is given", '{"chat_template_kwargs":{"◊":"x"}}'],
  ["completions", "a seed", '{"seed":"◊"}'],
  ["responses", "a role", '{"input":[{"role":"◊","content":"x"}]}'],
  ["responses", "the id of a tool call", '{"input":[{"type":"function_call_output","call_id":"◊","output":"x"}]}'],
  ["responses", "a variable's name", '{"prompt":{"id":"p","variables":{"◊":"x"}}}'],
  ["messages", "a role", '{"messages":[{"role":"◊","content":"x"}]}'],
  ["messages", "the id of a tool call", '{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"◊","content":"x"}]}]}'],
  ["messages", "the name of a tool's input", '{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"◊":1}}]}]}'],
];

describe("a prompt in a place that a model server may print", () => {
  it.each(PLACES)("is blocked, and masked: %s, %s", async (api, _, form) => {
    const before = upstream.exchanges.length;
    const blocked = await ask(api, JSON.parse(form.replace("◊", `user ${BLOCKED}`)) as object);
    expect(blocked.status).toBe(403);
    expect(await lineOf(blocked)).toMatchObject({ ending: "refused", guard: { blocked_by: "blocked.txt", prompt: { blocked: 1 } } });
    expect(upstream.exchanges.length).toBe(before);
    const masked = await ask(api, JSON.parse(form.replace("◊", `user ${MASKED}`)) as object);
    expect(masked.status).toBe(200);
    const sent = upstream.exchanges.at(-1)?.body.toString() ?? "";
    expect(sent).toContain(`"user ${FOUR}"`);
    expect(sent).not.toContain(MASKED);
  });

  it("is none if it has what the API names", async () => {
    const tools = [{ type: "function", function: { name: "f", strict: true } }];
    const messages = [
      ...["system", "developer", "user", "assistant", "tool", "function"].map((role) => ({ role, content: [{ type: "text", text: "x" }] })),
      { role: "assistant", tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }] },
    ];
    const more = { tools, tool_choice: "auto", response_format: { type: "json_object" }, reasoning_effort: "high", modalities: ["text"], user: "user" };
    const received = await ask("chat", { messages, ...more }, "api");
    expect(received.status).toBe(200);
    expect((await lineOf(received)).guard).toBeNull();
    expect((await ask("chat", { messages: [{ role: "user ", content: "x" }] }, "api")).status).toBe(403);
  });
});

interface Sent {
  pieces: Script["pieces"];
  more?: Partial<Script>;
  tenant?: string;
  onData?: (data: Buffer) => void;
}

function stream(api: Api, { pieces, more, tenant, onData }: Sent): Promise<Answer> {
  const { path, model, more: needed } = APIS[api];
  const user = upstream.prepare({ pieces, gap: 3, ...more });
  return post(gateway.port, path, { model, stream: true, user, ...needed }, { key: keyOf(tenant ?? "strict"), onData });
}

describe("a line of a stream that is no data", () => {
  it.each(NAMES.flatMap((api) => [": ", "id: ", "event: "].map((name): [Api, string] => [api, name])))(
    "is scanned like text, however it is cut: %s, %s",
    async (api, name) => {
      const { before, deltas, after } = streamOf(api, ["a", "b"]);
      const line = (text: string): string => `${name}x ${text} y\n\n`;
      const whole = (text: string): string => [...before, line(text), ...deltas, line(text), ...after].join("");
      const bytes = Buffer.from(whole(MASKED));
      for (const size of api === "chat" ? [1, 5, bytes.length] : [9, bytes.length]) {
        const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
        const received = await stream(api, { pieces, more: { gap: 0 } });
        expect(received.text).toBe(whole(FOUR));
        expect(received.complete).toBe(true);
      }
      const first = (deltas[0] ?? "").length;
      const blocked = await stream(api, { pieces: [...before, deltas[0] ?? "", line(BLOCKED.slice(0, 1)), line(BLOCKED), ...deltas.slice(1), ...after] });
      const kept = before.join("").length + first + line(BLOCKED.slice(0, 1)).length;
      expect(blocked.text.slice(0, kept)).toBe([...before, deltas[0] ?? "", line(BLOCKED.slice(0, 1))].join(""));
      expect(blocked.text.slice(kept)).toMatch(BLOCK_ENDINGS[api]);
      expect(await lineOf(blocked)).toMatchObject({ ending: "blocked", guard: { blocked_by: "blocked.txt" } });
    },
  );

  it("is left out if it is no field, and stays where nothing is guarded", async () => {
    const pieces = [`${BLOCKED}\n\n`, `: ping\n${MASKED}: x\n${chatChunk("a")}`, chatChunk("b").replace("\n\n", `\n{"error":1}\n\n`), chatFinish(), DONE];
    const received = await stream("chat", { pieces });
    expect(received.text).toBe(`\n: ping\n${chatChunk("a")}${chatChunk("b")}${chatFinish()}${DONE}`);
    expect((await lineOf(received)).ending).toBe("finished");
    expect((await stream("chat", { pieces, tenant: "free" })).text).toBe(pieces.join(""));
  });

  it("goes on at once if it is a comment that keeps the connection", async () => {
    let seen = "";
    let isSeen: (value: boolean) => void = () => undefined;
    const came = new Promise((resolve) => (isSeen = resolve));
    const comments = ": ping\n\n: OPENROUTER PROCESSING\n\n";
    const received = await stream("chat", {
      pieces: [comments, came, chatChunk("a"), chatFinish(), DONE],
      onData: (data) => {
        seen += data.toString();
        if (seen === comments) isSeen(true);
      },
    });
    expect(received.text).toBe(comments + chatChunk("a") + chatFinish() + DONE);
  });
});

describe("the charset of an answer", () => {
  const body = '{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}';

  it.each([
    ["charset=gbk", undefined], ['charset="GB18030"', undefined], ["CharSet=UTF-7", undefined], ["x=y; charset=utf-16le", undefined],
    ["charset=utf-8; charset=gbk", undefined], ["charset=big5;charset=utf-8", undefined], ["charset=utf-8", "charset=utf-8"], ["charset=UTF-8", "charset=UTF-8"],
    ['charset="utf-8"', 'charset="utf-8"'], ["profile=x", "profile=x"],
  ])("is the one in which it was scanned: %s", async (parameters, sent) => {
    for (const [media, pieces] of [["application/json", [body]], ["text/event-stream", [chatChunk("a"), chatFinish(), DONE]]] as const) {
      const type = `${media}; ${parameters}`;
      const received = await stream("chat", { pieces: [...pieces], more: { type } });
      expect(received.headers["content-type"]).toBe(`${media}; ${sent ?? "charset=utf-8"}`);
      expect(received.text).toBe(pieces.join(""));
      const free = await stream("chat", { pieces: [...pieces], more: { type }, tenant: "free" });
      expect(free.headers["content-type"]).toBe(type);
      expect(free.text).toBe(pieces.join(""));
    }
  });
});

/** Answers whose bytes are no answer; their status and their body come from us. */
const HEAD = (more: string, type = "application/json"): string => `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n${more}\r\n`;
const LENGTH = HEAD("Content-Length: 5000\r\n");
const CHUNKED = HEAD("Transfer-Encoding: chunked\r\n");
const NEITHER = HEAD("Connection: close\r\n");
const BODY = `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a ${BLOCKED} ${MASKED}"},"finish_reason":"stop"}]}`;
const HALF = BODY.slice(0, BODY.indexOf(MASKED) + 2);
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const EVENTS = HEAD("Transfer-Encoding: chunked\r\n", "text/event-stream");
const EVENT = chatChunk("hello ");

/** Asks for raw bytes. Returns the answer's bytes, and the request's line in the journal. */
async function askRaw(script: RawScript, tenant: string): Promise<{ answer: string; line: JournalLine }> {
  const user = raw.prepare(script);
  const body = JSON.stringify({ model: script.end === "open" ? HASTY.chat : "chat", messages: APIS.chat.more.messages, user });
  const head = ["POST /v1/chat/completions HTTP/1.1", "Host: x", `Authorization: Bearer ${keyOf(tenant)}`, "Connection: close", `Content-Length: ${Buffer.byteLength(body)}`];
  const before = new Set(behindRaw.journal().map((line) => line.id));
  const answer = Buffer.from(await sendBytes(behindRaw.port, `${head.join("\r\n")}\r\n\r\n${body}`, 20000), "latin1").toString();
  const id = /\r\nx-request-id: (\S+)/i.exec(answer)?.[1];
  const line = await eventually(`the line of ${user}`, () => behindRaw.journal().find((each) => (id === undefined ? !before.has(each.id) : each.id === id)));
  return { answer, line };
}

function parts(answer: string): { status: number; text: string } {
  const at = answer.indexOf("\r\n\r\n");
  const [head, text] = [answer.slice(0, at), answer.slice(at + 4)];
  const whole = /transfer-encoding: chunked/i.test(head) ? text.replace(/^[0-9a-f]+\r\n|\r\n[0-9a-f]+\r\n(?:\r\n)?/g, "") : text;
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), text: whole };
}

describe("an answer under a guard", () => {
  const ends = ["closed", "reset", "open"] as const;
  const cut: [string, (string | Buffer)[]][] = [
    ["with a length, in its body", [LENGTH, HALF]],
    ["with a length, all at once", [LENGTH + HALF]],
    ["in chunks, between two", [CHUNKED, chunk(HALF)]],
    ["in chunks, within one", [CHUNKED, `fff\r\n${HALF}`]],
    ["with neither", [NEITHER, HALF]],
    ["behind its head, with a length", [LENGTH]],
    ["behind its head, in chunks", [CHUNKED]],
    ["behind its head, with neither", [NEITHER]],
  ];
  const broken = cut.flatMap(([where, pieces]) => ends.map((end): [string, RawScript["end"], RawScript["pieces"]] => [where, end, pieces]));

  it.each(broken)("ends as an error object if it breaks off: %s, %s", async (_, end, pieces) => {
    for (const { answer, line } of await Promise.all(["strict", "answers"].map((tenant) => askRaw({ pieces, end }, tenant)))) {
      const { status, text } = parts(answer);
      expect(status).toBe(200);
      expect(answer.endsWith("\r\n0\r\n\r\n")).toBe(true);
      expect(errorOf({ text } as Answer)).toMatchObject({ type: "upstream_error", code: "upstream_failed" });
      expect(answer).not.toContain(BLOCKED.slice(0, 2));
      expect(line.ending).toBe(end === "open" ? "timed_out" : "upstream_lost");
    }
  });

  it.each(ends)("ends with an error event if it is a stream that breaks off: %s", async (end) => {
    const all = [[EVENTS, chunk(EVENT), chunk(chatChunk(BLOCKED.slice(0, 2)))], [EVENTS, chunk(EVENT), chunk(EVENT.slice(0, 40))], [EVENTS]];
    for (const { answer, line } of await Promise.all(all.map((pieces) => askRaw({ pieces, end }, "strict")))) {
      const { status, text } = parts(answer);
      expect(status).toBe(200);
      expect(text).toMatch(/data: \{"error":\{"message":"[^"]+","type":"upstream_error","param":null,"code":"upstream_failed"\}\}\n\n$/);
      expect(text).not.toContain("[DONE]");
      expect(line.ending).toBe(end === "open" ? "timed_out" : "upstream_lost");
    }
  });

  it.each([
    ["a line", ["hello\r\n"]],
    ["JSON", [BODY]],
    ["events", [EVENT, EVENT]],
    ["much", [BODY + " ".repeat(9000)]],
    ["a TLS alert", [Buffer.from([0x15, 3, 1, 0, 2, 2, 0x50])]],
    ["a status line without a status", [`HTTP/1.1 abc\r\n\r\n${BODY}`]],
  ] as [string, (string | Buffer)[]][])("is a 502 if it is no HTTP: %s", async (_, pieces) => {
    const asked = ends.flatMap((end) => ["strict", "free"].map((tenant) => askRaw({ pieces, end }, tenant)));
    for (const { answer, line } of await Promise.all(asked)) {
      const { status, text } = parts(answer);
      expect(status).toBe(502);
      expect(errorOf({ text } as Answer)).toMatchObject({ type: "upstream_error", code: "upstream_failed" });
      expect(answer).not.toContain(BLOCKED);
      expect(line).toMatchObject({ ending: "upstream_lost", status: 502 });
    }
  });

  // As docs/guard.md says: nginx gives up without another call of any filter.
  it("has no end if its chunks are none", async () => {
    for (const [pieces, ending] of [
      [[`${CHUNKED}zz\r\nhello\r\n`], "upstream_lost"], [[`${EVENTS}zz\r\nhello\r\n`], "upstream_lost"],
      [[CHUNKED, chunk(BODY), "zz\r\nhello\r\n"], "client_gone"], [[EVENTS, chunk(EVENT), chunk(chatChunk(BLOCKED)), "zz\r\n"], "blocked"],
    ] as [string[], string][]) {
      const { answer, line } = await askRaw({ pieces, end: "closed" }, "strict");
      expect(answer).not.toContain(BLOCKED);
      expect(line.ending).toBe(ending);
      if (ending === "upstream_lost") expect(answer).toBe("");
    }
  });
});

describe("after all of this", () => {
  it("the logs tell of no mistake in the gateway", () => {
    for (const each of [gateway, behindRaw]) {
      expect(each.errorLog()).not.toMatch(/runtime error|stack traceback|failed to run|\[(alert|crit|emerg)\]/);
      for (const word of [BLOCKED, MASKED, BLOCKED_ENGLISH]) expect(each.errorLog()).not.toContain(word);
    }
  });
});
