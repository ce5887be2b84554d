import OpenAI from "openai";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import {
  type Api, APIS, BLOCK_ENDINGS, BLOCKED, BLOCKED_ENGLISH, CHAT_HEAD, CHAT_USAGE, chatChunk, chatFinish, DONE, EARLY_ENDINGS, FLAGGED, FOUR,
  guardedConfiguration, GUARDS, HASTY, keyOf, LISTS, MASKED, MASKED_ENGLISH, signal, streamOf, textOf,
} from "../support/guarded.ts";
import { type Answer, post } from "../support/http_client.ts";
import { eventually, HANG_MS } from "../support/processes.ts";
import { type Script, type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const NAMES = Object.keys(APIS) as Api[];
const ASKED = { stream_options: { include_usage: true } };
/** What is missing of the word when this has come. */
const HALF = BLOCKED.slice(0, 2);
const REST = BLOCKED.slice(2);

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

interface Options {
  tenant?: string;
  more?: object;
  onData?: (data: Buffer) => void;
  signal?: AbortSignal;
  /** How the upstream sends it. */
  script?: Partial<Script>;
}

/** Sends a streamed request to an upstream that answers with these pieces. Returns the script's name too. */
function begin(api: Api, pieces: Script["pieces"], options: Options = {}): { name: string; answer: Promise<Answer> } {
  const { path, model, more } = APIS[api];
  const name = upstream.prepare({ pieces, ...options.script });
  const document = { model, stream: true, user: name, ...more, ...options.more };
  const { onData, signal: leave } = options;
  return { name, answer: post(gateway.port, path, document, { key: keyOf(options.tenant ?? "strict"), onData, signal: leave }) };
}

function stream(api: Api, pieces: Script["pieces"], options?: Options): Promise<Answer> {
  return begin(api, pieces, options).answer;
}

async function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway.journalLine(String(answer.headers["x-request-id"]));
}

/** Expects the answer to be exactly this, and to end as HTTP says. */
async function expectText(answer: Promise<Answer>, text: string): Promise<void> {
  const { status, complete, text: received, headers } = await answer;
  expect(received).toBe(text);
  expect(status).toBe(200);
  expect(complete).toBe(true);
  expect(headers["content-type"]).toBe("text/event-stream");
}

const finds = (flagged: number, masked: number, blocked: number): object => ({ flagged, masked, blocked });

/** Texts as a model may stream them, and what a client may see of each piece. */
const MASKINGS: [string, string[], string[]][] = [
  ["in one event", ["before ", `a ${MASKED} b`, " after"], ["before ", `a ${FOUR} b`, " after"]],
  ["in two events", ["before 玫瑰", "花园 after"], ["before ██", "██ after"]],
  ["a character an event", [..."前玫瑰花园后"], ["前", "█", "█", "█", "█", "后"]],
  ["at the beginning", ["玫", "瑰花园", "."], ["█", "███", "."]],
  ["at the end", ["see ", "玫瑰", "花园"], ["see ", "██", "██"]],
  ["twice, side by side", ["玫瑰花", "园玫瑰", "花园"], ["███", "███", "██"]],
  ["after a false beginning", ["玫瑰玫", "瑰花", "玫瑰花", "园"], ["玫瑰玫", "瑰花", "███", "█"]],
  ["with empty pieces between", ["玫瑰", "", "", "花园"], ["██", "", "", "██"]],
  ["with separators between", ["玫 ", " - ", "瑰\\n花", "*园"], ["█ ", " - ", "█\\n█", "*█"]],
  ["with what nobody sees between", ["玫\u200b", "\\u200d", "瑰花\ufe0f", "园"], ["█", "", "██", "█"]],
  ["in escapes", ["\\u73ab\\u7470", "\\u82b1\\u56ed!"], ["██", "██!"]],
  ["in English, with a word's end behind it", ["a holly", "hock", " b"], ["a █████", "████", " b"]],
  ["in English, at the end", ["a hol", "lyhock"], ["a ███", "██████"]],
  ["in capitals and full width", ["Hｏlly", "ＨOCK."], ["█████", "████."]],
  ["in traditional characters", ["玫瑰花", "園"], ["███", "█"]],
  ["beside an emoji in two escapes", ["\\ud83d\\ude00玫", "瑰花园\\ud83d\\ude00"], ["\\ud83d\\ude00█", "███\\ud83d\\ude00"]],
];

/** Texts that nothing is found in, though it looks so at first. */
const HARMLESS: [string, string[]][] = [
  ["a word that is not completed", ["a 机密", "的 b ", "玫瑰", "."]],
  ["one that the end cuts off", ["a 机密文"]],
  ["an English word that goes on", ["a night", "jar", "s b holly", "hocks"]],
  ["an English word that began before", ["a", "nightjar b"]],
  ["an English word in two", ["night", " jar"]],
  ["letters between", ["机密", "x", "文件"]],
];

describe("a word that a stream brings", () => {
  it.each(NAMES.flatMap((api) => MASKINGS.map((masking): [Api, ...typeof masking] => [api, ...masking])))(
    "is masked, and nothing else changes: %s, %s",
    async (api, _, pieces, masked) => {
      const sent = streamOf(api, pieces);
      const expected = textOf(streamOf(api, masked));
      // Each event by itself; and all at once.
      await expectText(stream(api, [...sent.before, ...sent.deltas, ...sent.after], { more: api === "messages" || api === "responses" ? {} : ASKED }), expected);
      await expectText(stream(api, [textOf(sent)]), expected);
    },
  );

  it.each(NAMES.flatMap((api) => HARMLESS.map((text): [Api, ...typeof text] => [api, ...text])))(
    "is no word, and every byte goes on: %s, %s",
    async (api, _, pieces) => {
      const sent = streamOf(api, pieces);
      const answer = stream(api, [...sent.before, ...sent.deltas, ...sent.after]);
      await expectText(answer, textOf(sent));
      expect((await lineOf(await answer)).guard).toBeNull();
    },
  );

  it.each(NAMES)("is masked wherever the bytes are cut: %s", async (api) => {
    const pieces = ["前 玫", "瑰\\u82b1", "园, hollyhock", ". 后"];
    const whole = Buffer.from(textOf(streamOf(api, pieces)));
    const expected = textOf(streamOf(api, ["前 █", "██", "█, █████████", ". 后"]));
    const from = Buffer.from([...streamOf(api, pieces).before, ""].join("")).length;
    const places = Array.from({ length: Math.min(whole.length - from, 700) }, (_, index) => from + index);
    // Every third place, another one in each API.
    const chosen = places.filter((place) => place % 4 === NAMES.indexOf(api));
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < chosen.length) {
        const place = chosen[next++] ?? 0;
        const answer = await stream(api, [whole.subarray(0, place), whole.subarray(place)], { script: { gap: 2 } });
        expect(answer.text, `${place}`).toBe(expected);
      }
    };
    await Promise.all(Array.from({ length: 16 }, work));
    for (const size of [1, 2, 3, 7, 64]) {
      const cut = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) => whole.subarray(index * size, (index + 1) * size));
      await expectText(stream(api, cut), expected);
    }
  });

  it.each([
    ["reasoning", (text: string) => `{"reasoning_content":"${text}"}`],
    ["a refusal", (text: string) => `{"refusal":"${text}"}`],
    ["the arguments of a tool call", (text: string) => `{"tool_calls":[{"index":0,"function":{"arguments":"${text}"}}]}`],
    ["the arguments of a second tool call", (text: string) => `{"tool_calls":[{"index":1,"function":{"arguments":"${text}"}}]}`],
    ["a function call", (text: string) => `{"function_call":{"arguments":"${text}"}}`],
    ["the input of a custom tool", (text: string) => `{"tool_calls":[{"index":0,"custom":{"input":"${text}"}}]}`],
  ])("is masked in %s", async (_, delta) => {
    const chunk = (text: string): string => `data: ${CHAT_HEAD},"choices":[{"index":0,"delta":${delta(text)},"finish_reason":null}]}\n\n`;
    const end = chatFinish() + DONE;
    await expectText(stream("chat", [...['\\"x', "玫瑰", "花园", 'y\\"'].map(chunk), end]), ['\\"x', "██", "██", 'y\\"'].map(chunk).join("") + end);
    const blocked = await stream("chat", [...['\\"x', BLOCKED].map(chunk), end]);
    expect(blocked.text.startsWith(chunk('\\"x'))).toBe(true);
    expect(blocked.text.slice(chunk('\\"x').length)).toMatch(BLOCK_ENDINGS.chat);
  });

  it.each([
    ["a tool's name", (text: string) => `{"tool_calls":[{"index":0,"function":{"name":"${text}","arguments":""}}]}`],
    ["a member that nobody knows", (text: string) => `{"new_in_2030":{"deep":["${text}"]}}`],
  ])("is masked in a string that comes whole: %s", async (_, delta) => {
    const chunk = (text: string): string => `data: ${CHAT_HEAD},"choices":[{"index":0,"delta":${delta(text)},"finish_reason":null}]}\n\n`;
    const end = chatFinish() + DONE;
    await expectText(stream("chat", [chunk("x"), chunk(`<${MASKED}>`), chunk("玫瑰"), chunk("花园"), end]),
      chunk("x") + chunk(`<${FOUR}>`) + chunk("玫瑰") + chunk("花园") + end);
  });

  it("is found in arguments that escape it a second time, wherever the events are cut", async () => {
    const inner = (text: string): string => `data: ${CHAT_HEAD},"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"${text}"}}]}}]}\n\n`;
    const sent = ['{\\"a\\":\\"<\\\\u73', "ab\\\\u7470\\\\", "u82b1园>", '\\"}'];
    const masked = ['{\\"a\\":\\"<█', "██", "█>", '\\"}'];
    const answer = await stream("chat", [...sent.map(inner), chatFinish(), DONE]);
    const text = (events: string): string =>
      [...events.matchAll(/^data: (\{.*)$/gm)]
        .map((match) => JSON.parse(match[1] ?? "") as { choices: { delta: { tool_calls?: { function: { arguments: string } }[] } }[] })
        .map(({ choices }) => choices[0]?.delta.tool_calls?.[0]?.function.arguments ?? "")
        .join("");
    expect(text(answer.text)).toBe(text(masked.map(inner).join("")));
    expect(JSON.parse(text(answer.text))).toEqual({ a: `<${FOUR}>` });
    expect(answer.text.split("\n\n").length).toBe(sent.length + 3);
  });

  it("is taken out of the log probabilities too, which repeat it", async () => {
    const chunk = (text: string, logprobs: string): string =>
      `data: ${CHAT_HEAD},"choices":[{"index":0,"delta":{"content":"${text}"},"logprobs":${logprobs},"finish_reason":null}]}\n\n`;
    const probabilities = (text: string): string => `{"content":[{"token":"${text}","logprob":-0.1,"bytes":[1],"top_logprobs":[]}],"refusal":null}`;
    const whole = (text: string): string => chunk(text, probabilities(text));
    await expectText(
      stream("chat", [whole("x"), whole("玫瑰"), whole("花园"), whole("y"), chatFinish(), DONE]),
      whole("x") + chunk("██", "null") + chunk("██", "null") + whole("y") + chatFinish() + DONE,
    );
  });

  it.each([
    ["of two choices", [chatChunk(HALF), chatChunk("x", 1), chatChunk(REST, 1), chatChunk("x")]],
    ["of reasoning and content", [chatChunk(HALF).replace('"content"', '"reasoning_content"'), chatChunk(REST)]],
    ["of two tool calls", [0, 1].map((index) =>
      `data: ${CHAT_HEAD},"choices":[{"index":0,"delta":{"tool_calls":[{"index":${index},"function":{"arguments":"${index === 0 ? HALF : REST}"}}]}}]}\n\n`)],
  ])("is not made of the texts %s", async (_, events) => {
    const all = [...events, chatFinish(), chatFinish(1), DONE];
    await expectText(stream("chat", all), all.join(""));
    await expectText(stream("chat", [all.join("")]), all.join(""));
  });

  it("is found in each of two choices that take turns", async () => {
    const events = (first: string, second: string): string[] =>
      [chatChunk(`a${first.slice(0, 2)}`), chatChunk(second.slice(0, 1), 1), chatChunk(first.slice(2)), chatChunk(`${second.slice(1)}b`, 1),
        chatFinish(1), chatFinish(), DONE];
    await expectText(stream("chat", events(MASKED, MASKED)), events(FOUR, FOUR).join(""));
    await expectText(stream("chat", events(MASKED, FLAGGED)), events(FOUR, FLAGGED).join(""));
    const blocked = await stream("chat", events(MASKED, BLOCKED));
    // What comes before the blocked word's beginning goes on, masked as it must be.
    expect(blocked.text).toBe(
      `${chatChunk("a██")}data: ${CHAT_HEAD},"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"},` +
        `{"index":1,"delta":{},"finish_reason":"content_filter"}]}\n\n${DONE}`,
    );
  });

  it("is found where an event says only at its end which choice it is of", async () => {
    const late = (content: string, index: number): string =>
      `data: {"choices":[{"finish_reason":null,"delta":{"content":"${content}"},"index":${index}}],"id":"c1"}\n\n`;
    const events = (pieces: [string, number][]): string => pieces.map(([text, index]) => late(text, index)).join("") + chatFinish() + DONE;
    const sent: [string, number][] = [["a玫", 0], ["机密", 1], ["瑰花", 0], ["文x件", 1], ["园b", 0]];
    const masked: [string, number][] = [["a█", 0], ["机密", 1], ["██", 0], ["文x件", 1], ["█b", 0]];
    await expectText(stream("chat", sent.map(([text, index]) => late(text, index)).concat(chatFinish(), DONE)), events(masked));
    await expectText(stream("chat", [events(sent)]), events(masked));
    const blocked = await stream("chat", [events([["a", 0], ["机密", 1], ["文件", 0], ["文件", 1]])]);
    expect(blocked.text.slice(0, late("a", 0).length)).toBe(late("a", 0));
    expect(blocked.text.slice(late("a", 0).length)).toMatch(/^data: \{[^\n]*"choices":\[(\{"index":[01],"delta":\{\},"finish_reason":"content_filter"\},?){2}\]\}\n\ndata: \[DONE\]\n\n$/);
  });

  it("is found in several choices of one event", async () => {
    const chunk = (first: string, second: string): string =>
      `data: ${CHAT_HEAD},"choices":[{"index":0,"delta":{"content":"${first}"}},{"index":1,"delta":{"content":"${second}"}}]}\n\n`;
    const end = chatFinish() + chatFinish(1) + DONE;
    await expectText(stream("chat", [chunk("玫瑰", "花园"), chunk("花", "玫瑰花园"), chunk("园", "."), end]),
      chunk("██", "花园") + chunk("█", FOUR) + chunk("█", ".") + end);
  });

  it("is found in each of a hundred choices", async () => {
    const all = (text: string): string => Array.from({ length: 100 }, (_, index) => chatChunk(text, index)).join("");
    await expectText(stream("chat", [all("a"), all(`<${MASKED}>`), all("b"), DONE]), all("a") + all(`<${FOUR}>`) + all("b") + DONE);
  });

  it("is found behind the marker too", async () => {
    const answer = await stream("chat", [chatChunk("a"), DONE, chatChunk(MASKED), chatChunk(`b${BLOCKED}`)]);
    expect(answer.complete).toBe(true);
    expect(answer.text.startsWith(chatChunk("a") + DONE)).toBe(true);
    expect(answer.text).not.toContain(MASKED);
    expect(answer.text).not.toContain(BLOCKED);
  });

  it("is only counted, where its list says so", async () => {
    const sent = streamOf("chat", ["晴空", "万里", " skylark"]);
    const answer = stream("chat", [...sent.deltas, ...sent.after]);
    await expectText(answer, textOf(sent));
    expect((await lineOf(await answer)).guard).toEqual({ name: "strict", blocked_by: null, prompt: null, completion: finds(2, 0, 0) });
  });

  it("keeps its place among comments, pings and other line ends", async () => {
    const events = (a: string, b: string, c: string): string =>
      `\ufeff: hello\r\n\r\n${chatChunk(`x${a}`).replaceAll("\n", "\r\n")}: ping\n\n:\n\nid: 7\nretry: 10\n${chatChunk(b)}` +
      `data: ${CHAT_HEAD},"choices":[\ndata: {"index":0,"delta":{"content":"${c}"},"finish_reason":null}]}\n\n${chatFinish().replaceAll("\n", "\r")}${DONE.trimEnd()}`;
    for (const tail of ["", "\n", "\n\n"]) {
      const sent = Buffer.from(events("玫", "瑰花", "园y") + tail);
      const expected = events("█", "██", "█y") + tail;
      await expectText(stream("chat", [sent]), expected);
      await expectText(stream("chat", [...sent].map((byte) => Buffer.from([byte]))), expected);
    }
  });
});

describe("text that may become a word", () => {
  it.each(NAMES)("is held back, and only that, until it is clear: %s", async (api) => {
    const { before, deltas, after } = streamOf(api, ["one ", "two 玫瑰", "花", "园 three"]);
    const masked = streamOf(api, ["one ", "two ██", "█", "█ three"]);
    let seen = "";
    const ready = [0, 1, 2].map(() => signal());
    const pieces = [...before, deltas[0] ?? "", ready[0]?.come, deltas[1] ?? "", deltas[2] ?? "", ready[1]?.come, deltas[3] ?? "", ready[2]?.come, ...after];
    const { answer } = begin(api, pieces as Script["pieces"], { onData: (data) => (seen += data.toString()) });
    const first = [...before, deltas[0]].join("");
    await eventually("what can't be a word's beginning", () => seen === first);
    ready[0]?.give();
    await sleep(60);
    expect(seen).toBe(first);
    ready[1]?.give();
    await eventually("the masked word", () => seen === first + masked.deltas.slice(1).join(""));
    ready[2]?.give();
    const expected = api === "responses" ? textOf(streamOf(api, ["one ", "two ██", "█", "█ three"])) : textOf(masked);
    await expectText(answer, expected);
    const line = await lineOf(await answer);
    expect(line).toMatchObject({ ending: "finished", guard: { completion: finds(0, 1, 0) } });
    expect(line.held_ms).toBeGreaterThan(0);
  });

  it("is not held when there is none", async () => {
    const line = await lineOf(await stream("chat", [chatChunk("x"), chatFinish(), DONE]));
    expect(line).toMatchObject({ held_ms: 0, guard: null });
  });

  it("goes on in order when the stream ends", async () => {
    const events = [chatChunk("a"), chatChunk(HALF), chatChunk("玫瑰", 1), chatChunk("hollyhock", 2), chatFinish(), chatFinish(1), chatFinish(2), CHAT_USAGE, DONE];
    const expected = events.join("").replace("hollyhock", "█".repeat(9));
    await expectText(stream("chat", events, { more: ASKED }), expected);
    await expectText(stream("chat", [events.join("")], { more: ASKED }), expected);
    // No choice says that it has finished.
    const unfinished = [chatChunk("a"), chatChunk(HALF), ": ping\n\n", DONE];
    await expectText(stream("chat", unfinished), unfinished.join(""));
  });

  it("leaves the usage that nobody asked for out, also between what is held", async () => {
    const events = (usage: string): string[] => [chatChunk("a"), chatChunk(HALF), chatChunk("玫瑰", 1), usage, chatChunk("花园", 1), chatFinish(), usage, DONE];
    const masked = (usage: string): string => events(usage).join("").replace("玫瑰", "██").replace("花园", "██");
    const hidden = stream("chat", events(CHAT_USAGE));
    await expectText(hidden, masked(""));
    await expectText(stream("chat", [events(CHAT_USAGE).join("")]), masked(""));
    await expectText(stream("chat", events(CHAT_USAGE), { more: ASKED }), masked(CHAT_USAGE));
    // Reports with choices between them are of one choice each: their outputs are added up.
    expect(await lineOf(await hidden)).toMatchObject({ input_tokens: 7, output_tokens: 10, usage_from: "upstream" });
  });

  it.each(NAMES)("goes on before the error, when the upstream dies or falls silent: %s", async (api) => {
    const { before, deltas } = streamOf(api, ["one ", HALF]);
    const sent = [...before, ...deltas];
    for (const [end, ending] of [["broken", "upstream_lost"], ["open", "timed_out"]] as const) {
      const answer = await stream(api, [...sent, sleep(30)], { script: { end }, more: { model: HASTY[api] } });
      expect(answer.complete).toBe(true);
      expect(answer.text.startsWith(sent.join(""))).toBe(true);
      const rest = answer.text.slice(sent.join("").length);
      expect(rest).toMatch(/^(event: error\n)?data: \{.*"error".*\}\n\n/);
      expect(rest).not.toMatch(/\[DONE\]|message_stop|response\.(completed|incomplete)/);
      expect(await lineOf(answer)).toMatchObject({ ending, status: 200, usage_from: "counted", guard: null });
    }
    const answer = await stream(api, sent);
    expect(answer.text.startsWith(sent.join(""))).toBe(true);
    expect(answer.text.slice(sent.join("").length)).toMatch(/"error"/);
    expect((await lineOf(answer)).ending).toBe("upstream_lost");
  });

  it("goes on before an error that the upstream tells", async () => {
    const failure = 'data: {"error":{"message":"in its own words","type":"server_error","code":null}}\n\n';
    const sent = [chatChunk("a"), chatChunk(HALF), failure];
    const answer = await stream("chat", sent);
    expect(answer.text).toBe(sent.join(""));
    const words = failure.replace("in its own words", `of ${MASKED}`);
    expect((await stream("chat", [chatChunk("a"), words])).text).toBe(chatChunk("a") + failure.replace("in its own words", `of ${FOUR}`));
  });

  it("that is complete when the upstream dies is dealt with as always", async () => {
    // A word of English letters is none until it is known what follows.
    for (const end of ["broken", "finished"] as const) {
      const masked = await stream("chat", [chatChunk("a "), chatChunk(MASKED_ENGLISH), sleep(30)], { script: { end }, more: { model: HASTY.chat } });
      expect(masked.text.startsWith(chatChunk("a ") + chatChunk("█".repeat(9)))).toBe(true);
      expect(masked.text).not.toContain(MASKED_ENGLISH);
      const blocked = await stream("chat", [chatChunk("a "), chatChunk(BLOCKED_ENGLISH), sleep(30)], { script: { end }, more: { model: HASTY.chat } });
      expect(blocked.text.slice(chatChunk("a ").length)).toMatch(BLOCK_ENDINGS.chat);
      expect((await lineOf(blocked)).ending).toBe("blocked");
    }
  });

  it("is forgotten with its client", async () => {
    const leave = new AbortController();
    const { name, answer } = begin("chat", [chatChunk("a"), chatChunk(HALF)], {
      signal: leave.signal,
      script: { end: "open" },
      onData: () => { setTimeout(() => { leave.abort(); }, 50); },
    });
    const { headers, text } = await answer;
    expect(text).toBe(chatChunk("a"));
    expect(await (await upstream.exchange(name)).left).toBe(true);
    const line = await gateway.journalLine(String(headers["x-request-id"]));
    expect(line).toMatchObject({ ending: "client_gone", status: 200, usage_from: "counted", guard: null });
    expect(line.output_tokens).toBeGreaterThan(0);
    // Nothing of it is left for whoever comes next.
    await expectText(stream("chat", [chatChunk(REST), chatFinish(), DONE]), chatChunk(REST) + chatFinish() + DONE);
  });

  it("is not held for ever, however many separators come", async () => {
    const spaces = Array.from({ length: 40 }, () => chatChunk(" ".repeat(10000)));
    const events = [chatChunk("机"), ...spaces, chatChunk("y"), chatFinish(), DONE];
    await expectText(stream("chat", events), events.join(""));
    const ready = signal();
    let seen = 0;
    const { answer } = begin("chat", [chatChunk("机"), ...spaces, ready.come, chatFinish(), DONE], { onData: (data) => (seen += data.length) });
    await eventually("what was held back", () => seen > 100_000);
    ready.give();
    await answer;
  });
});

describe("a stream in which a word is blocked", () => {
  const BLOCKINGS: [string, string[], number][] = [
    ["in one event", ["one ", `two ${BLOCKED}`, " three"], 1],
    ["in two events", ["one ", "two 机", "密文", "件 three"], 1],
    ["at once", [BLOCKED, "three"], 0],
    ["in English", ["one ", "night", "jar", ", three"], 1],
    ["at the end", ["one ", "two ", "nightjar"], 2],
    ["after a false beginning", ["机密", "的", "机密文", "件"], 2],
  ];

  it.each(NAMES.flatMap((api) => BLOCKINGS.map((blocking): [Api, ...typeof blocking] => [api, ...blocking])))(
    "ends there in the words of its API: %s, %s",
    async (api, _, pieces, good) => {
      const { before, deltas, after } = streamOf(api, pieces);
      const passed = [...before, ...deltas.slice(0, good)].join("");
      for (const sent of [[...before, ...deltas, ...after], [[...before, ...deltas, ...after].join("")]]) {
        const answer = await stream(api, sent);
        expect(answer.status).toBe(200);
        expect(answer.complete).toBe(true);
        expect(answer.text.slice(0, passed.length)).toBe(passed);
        expect(answer.text.slice(passed.length)).toMatch((passed === "" ? EARLY_ENDINGS : BLOCK_ENDINGS)[api]);
        const line = await lineOf(answer);
        expect(line).toMatchObject({
          ending: "blocked", status: 200, attempts: 1,
          guard: { name: "strict", blocked_by: "blocked.txt", prompt: null, completion: finds(0, 0, 1) },
        });
        expect(line.output_tokens).toBeGreaterThan(0);
        expect(line.input_tokens).toBeGreaterThan(0);
      }
    },
  );

  it.each(NAMES)("has a beginning of ours, if its own is not sent: %s", async (api) => {
    const { deltas, after } = streamOf(api, [BLOCKED]);
    const answer = await stream(api, [...deltas, ...after]);
    expect(answer.text).toMatch(EARLY_ENDINGS[api]);
  });

  it("repeats nothing in its ending that was masked in its first event", async () => {
    const created = streamOf("responses", [])
      .before.map((event) => event.replace('"output":[]}', `"output":[{"type":"message","content":[{"type":"output_text","text":"${MASKED}"}]}]}`));
    const answer = await stream("responses", [...created, ...streamOf("responses", ["x", BLOCKED]).deltas]);
    expect(answer.text).toContain("response.incomplete");
    expect(answer.text).toContain(FOUR);
    expect(answer.text).not.toContain(MASKED);
  });

  it.each(NAMES)("closes the connection to the upstream, and is charged for what was seen: %s", async (api) => {
    const { before, deltas } = streamOf(api, ["one two three ", "four five ", BLOCKED]);
    const { name, answer } = begin(api, [...before, ...deltas], { script: { end: "open" } });
    const passed = [...before, ...deltas.slice(0, 2)].join("");
    const { text } = await answer;
    expect(text.slice(passed.length)).toMatch(BLOCK_ENDINGS[api]);
    expect(await (await upstream.exchange(name)).left).toBe(true);
    const line = await lineOf(await answer);
    expect(line).toMatchObject({ ending: "blocked", usage_from: "counted" });
    expect(line.output_tokens).toBeGreaterThan(4);
  });

  it("ends before the first of several words, in whatever order they are completed", async () => {
    // English words are complete when their texts end: here all at once.
    const sent = [chatChunk("a"), chatChunk("b", 1), chatChunk(" nightjar", 1), chatChunk(" nightjar"), DONE];
    const answer = await stream("chat", sent);
    const passed = chatChunk("a") + chatChunk("b", 1);
    expect(answer.text.slice(0, passed.length)).toBe(passed);
    expect(answer.text.slice(passed.length)).toMatch(/^data: [^\n]*"choices":\[\{"index":0,"delta":\{\},"finish_reason":"content_filter"\},\{"index":1,[^\n]*\n\ndata: \[DONE\]\n\n$/);
  });

  it("ends the choices whose end was held back", async () => {
    const answer = await stream("chat", [chatChunk("a"), chatChunk("b", 1), chatChunk(HALF), chatFinish(1), chatChunk(REST), chatFinish(), DONE]);
    expect(answer.text).toBe(
      `${chatChunk("a")}${chatChunk("b", 1)}data: ${CHAT_HEAD},"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"},` +
        `{"index":1,"delta":{},"finish_reason":"content_filter"}]}\n\n${DONE}`,
    );
  });

  it("masks what comes before", async () => {
    const sent = streamOf("chat", ["a 玫瑰", "花园 b", " 机密", "文件"]);
    const passed = streamOf("chat", ["a ██", "██ b"]).deltas.join("");
    const answer = await stream("chat", [...sent.deltas, ...sent.after]);
    expect(answer.text.slice(0, passed.length)).toBe(passed);
    expect(answer.text.slice(passed.length)).toMatch(BLOCK_ENDINGS.chat);
    expect((await lineOf(answer)).guard?.completion).toEqual(finds(0, 1, 1));
  });

  it("tells the usage to a client that asked for it", async () => {
    const answer = await stream("chat", [chatChunk("one two"), chatChunk(BLOCKED), chatFinish(), CHAT_USAGE, DONE], { more: ASKED });
    const [, end, usage, done] = answer.text.split("\n\n");
    expect(end).toContain('"finish_reason":"content_filter"');
    const line = await lineOf(answer);
    const { input_tokens: input, output_tokens: output } = line;
    expect(usage).toBe(
      `data: ${CHAT_HEAD},"choices":[],"usage":{"prompt_tokens":${input},"completion_tokens":${output},"total_tokens":${input + output}}}`,
    );
    expect(done).toBe("data: [DONE]");
  });

  it("ends only the choices that have not ended", async () => {
    const answer = await stream("chat", [chatChunk("a"), chatChunk("b", 1), chatFinish(), chatChunk(BLOCKED, 1), chatFinish(1), DONE]);
    expect(answer.text).toBe(
      `${chatChunk("a")}${chatChunk("b", 1)}${chatFinish()}data: ${CHAT_HEAD},"choices":[{"index":1,"delta":{},"finish_reason":"content_filter"}]}\n\n${DONE}`,
    );
  });

  it("closes no block of a message whose beginning was not sent", async () => {
    const { before, deltas, after } = streamOf("messages", ["one"]);
    const second = '{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"机密文件","input":{}}}';
    const sent = [...before, ...deltas, after[0] ?? ""].join("");
    const answer = await stream("messages", [sent, `event: content_block_start\ndata: ${second}\n\n`, ...after.slice(1)]);
    expect(answer.text.slice(0, sent.length)).toBe(sent);
    expect(answer.text.slice(sent.length)).toMatch(/^event: message_delta\ndata: \{"type":"message_delta","delta":\{"stop_reason":"refusal"/);
  });

  it("leaves its connection usable", async () => {
    const line = (await gateway.metrics()).get("sluice_upstream_inflight") ?? 0;
    for (let round = 0; round < 5; round++) {
      const blocked = await stream("chat", [chatChunk(BLOCKED), chatFinish(), DONE]);
      expect(blocked.text).toMatch(EARLY_ENDINGS.chat);
      await expectText(stream("chat", [chatChunk("x"), chatFinish(), DONE]), chatChunk("x") + chatFinish() + DONE);
    }
    expect(line).toBe(0);
    await eventually("an end of all attempts", async () => sumOf(await gateway.metrics(), "sluice_upstream_inflight") === 0);
  });
});

describe("a stream that can't be read", () => {
  it.each([
    ["an event that isn't JSON", `data: {"choices":[{"index":0,"delta":{"content":"${MASKED}"\n\n`],
    ["an event that is no JSON at all", `data: ${BLOCKED}\n\n`],
    ["bytes that are not UTF-8", Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\n', "latin1")],
    ["a member twice", `data: {"choices":[{"index":0,"delta":{"content":"x","content":"${MASKED}"}}]}\n\n`],
  ])("ends in an error, and shows nothing of it: %s", async (_, event) => {
    const answer = await stream("chat", [chatChunk("a"), chatChunk(HALF), event, chatChunk("b"), chatFinish(), DONE]);
    const passed = chatChunk("a") + chatChunk(HALF);
    expect(answer.text.slice(0, passed.length)).toBe(passed);
    expect(answer.text.slice(passed.length)).toMatch(/^data: \{"error":\{[^\n]*\}\n\n$/);
    expect(await lineOf(answer)).toMatchObject({ ending: "upstream_lost", status: 200 });
  });
});

describe("the official openai client", () => {
  const client = (tenant: string): OpenAI => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: keyOf(tenant), maxRetries: 0 });

  it("never sees a masked word", async () => {
    const { deltas, after } = streamOf("chat", ["a 玫", "瑰花", "园 b"]);
    const user = upstream.prepare({ pieces: [...deltas, ...after], gap: 3 });
    const answer = await client("strict").chat.completions.create({ model: "chat", messages: [], user, stream: true });
    let text = "";
    let reason: string | null = null;
    for await (const chunk of answer) {
      text += chunk.choices[0]?.delta.content ?? "";
      reason = chunk.choices[0]?.finish_reason ?? reason;
    }
    expect(text).toBe("a ████ b");
    expect(reason).toBe("stop");
  });

  it("sees why a chat has ended", async () => {
    const { deltas, after } = streamOf("chat", ["a ", "机密", "文件 b"]);
    const user = upstream.prepare({ pieces: [...deltas, ...after], gap: 3 });
    const answer = await client("strict").chat.completions.create({ model: "chat", messages: [], user, stream: true });
    const choices = [];
    for await (const chunk of answer) choices.push(chunk.choices[0]);
    expect(choices.map((choice) => choice?.delta.content)).toEqual(["a ", undefined]);
    expect(choices.map((choice) => choice?.finish_reason)).toEqual([null, "content_filter"]);
  });

  it("sees why a response has ended", async () => {
    const { before, deltas, after } = streamOf("responses", ["a ", "机密", "文件 b"]);
    const user = upstream.prepare({ pieces: [...before, ...deltas, ...after], gap: 3 });
    const answer = await client("strict").responses.create({ model: "chat", input: "x", user, stream: true });
    const events = [];
    for await (const event of answer) events.push(event);
    expect(events.at(-1)).toMatchObject({
      type: "response.incomplete",
      response: { status: "incomplete", incomplete_details: { reason: "content_filter" } },
    });
    expect(JSON.stringify(events)).not.toMatch(/机密|文件/);
  });
});

describe("a tenant's guard", () => {
  it("reads its own answers only, and where it is told to", async () => {
    const { deltas, after } = streamOf("chat", [`${MASKED} `, BLOCKED]);
    const sent = [...deltas, ...after];
    for (const tenant of ["free", "prompts", "shadow"]) await expectText(stream("chat", sent, { tenant }), sent.join(""));
    for (const tenant of ["strict", "answers"]) {
      const answer = await stream("chat", sent, { tenant });
      expect(answer.text.slice(0, chatChunk("████ ").length)).toBe(chatChunk("████ "));
      expect(answer.text.slice(chatChunk("████ ").length)).toMatch(BLOCK_ENDINGS.chat);
    }
    expect((await lineOf(await stream("chat", sent, { tenant: "shadow" }))).guard?.completion).toEqual(finds(2, 0, 0));
    expect((await lineOf(await stream("chat", sent, { tenant: "prompts" }))).guard).toBeNull();
  });

  it("doesn't mix with another's in streams that run at once", async () => {
    const tenants = ["strict", "free", "shadow", "answers", "prompts"];
    await Promise.all(Array.from({ length: 60 }, async (_, index) => {
      const tenant = tenants[index % tenants.length] ?? "";
      const sent = streamOf("chat", [`${index} `, "玫瑰", "花", "园", " z"]);
      const seen = streamOf("chat", [`${index} `, "██", "█", "█", " z"]);
      const answer = await stream("chat", [...sent.deltas, ...sent.after], { tenant, script: { gap: 2 } });
      expect(answer.text, tenant).toBe(textOf(tenant === "strict" || tenant === "answers" ? seen : sent));
    }));
  });
});

describe("the metrics", () => {
  it("say what the journal says", async () => {
    let lines: JournalLine[] = [];
    const told = (action: "flagged" | "masked" | "blocked", guard: string): number =>
      lines.reduce((sum, line) => sum + (line.guard?.name === guard ? (line.guard.completion?.[action] ?? 0) : 0), 0);
    // The last requests may not have been logged yet when their clients have all of their answers: both are read anew each time.
    await expect
      .poll(async () => {
        const metrics = await gateway.metrics();
        lines = gateway.journal();
        const hits = (guard: string, action: string): number => sumOf(metrics, "sluice_guard_hits_total", { guard, action, where: "completion" });
        const guarded = lines.filter(({ tenant }) => ["strict", "answers", "shadow"].includes(tenant)).length;
        const held = lines.reduce((sum, line) => sum + line.held_ms, 0) / 1000;
        return {
          more_lines: guarded - sumOf(metrics, "sluice_guard_held_seconds_count"),
          more_hits: GUARDS.map(({ name }) =>
            [name, told("flagged", name) - hits(name, "flag"), told("masked", name) - hits(name, "mask"), told("blocked", name) - hits(name, "block")]),
          same_time: Math.abs(sumOf(metrics, "sluice_guard_held_seconds_sum") - held) < lines.length * 0.001,
          in_prompts: sumOf(metrics, "sluice_guard_hits_total", { where: "prompt" }),
        };
      }, { timeout: HANG_MS })
      .toEqual({ more_lines: 0, more_hits: GUARDS.map(({ name }) => [name, 0, 0, 0]), same_time: true, in_prompts: 0 });
    expect(told("blocked", "strict")).toBeGreaterThan(50);
    expect(gateway.errorLog()).not.toMatch(/runtime error|stack traceback|failed to run|\[(alert|crit|emerg)\]/);
  });
});
