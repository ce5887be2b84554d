import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import {
  APIS, BLOCKED, BLOCKED_ENGLISH, FLAGGED, FLAGGED_ENGLISH, FOUR, guardedConfiguration, GUARDS, keyOf, LISTS, MASKED, MASKED_ENGLISH,
} from "../support/guarded.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { HANG_MS } from "../support/processes.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const CHAT = APIS.chat.path;

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

function ask(body: string | Buffer, path: string = CHAT, tenant = "strict", chunked?: { size: number }): Promise<Answer> {
  return send(gateway.port, { path, body, key: keyOf(tenant), chunked });
}

async function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway.journalLine(String(answer.headers["x-request-id"]));
}

/** What the upstream got of the newest request. */
function received(): string {
  return upstream.exchanges.at(-1)?.body.toString() ?? "";
}

/** Sends a body that passes. Returns what the upstream got. */
async function relayed(body: string, path?: string, tenant?: string): Promise<string> {
  const before = upstream.exchanges.length;
  const answer = await ask(body, path, tenant);
  expect(answer.status, answer.text).toBe(200);
  expect(upstream.exchanges.length).toBe(before + 1);
  return received();
}

/** Sends a body that is refused. */
async function refused(body: string, path?: string, tenant?: string): Promise<Answer> {
  const before = upstream.exchanges.length;
  const answer = await ask(body, path, tenant);
  expect(answer.status, answer.text).toBe(403);
  expect(upstream.exchanges.length).toBe(before);
  return answer;
}

/** The body as it should be upstream but for the guard. */
function renamed(body: string): string {
  return body.replace(/"model":"(chat|claude)"/, '"model":"mock"');
}

/** A chat whose message holds this, written into the JSON as it is. */
function saying(text: string): string {
  return `{"model":"chat","messages":[{"role":"user","content":"${text}"}]}`;
}


const PATHS = {
  chat: CHAT,
  completions: APIS.completions.path,
  responses: APIS.responses.path,
  messages: APIS.messages.path,
  embeddings: "/v1/embeddings",
};

/** Everywhere a model could read a word, with the word's place marked by ◊. */
const PLACES: [string, keyof typeof PATHS, string][] = [
  ["a system message", "chat", '{"model":"chat","messages":[{"role":"system","content":"a ◊ b"},{"role":"user","content":"hi"}]}'],
  ["a user's message", "chat", '{"model":"chat","messages":[{"role":"user","content":"a ◊ b"}]}'],
  ["an assistant's message", "chat", '{"model":"chat","messages":[{"role":"assistant","content":"◊"}]}'],
  ["a developer's message", "chat", '{"model":"chat","messages":[{"content":"◊","role":"developer"}]}'],
  ["an early message of many", "chat", `{"model":"chat","messages":[{"role":"user","content":"◊"}${',{"role":"user","content":"x"}'.repeat(50)}]}`],
  ["a part of a content", "chat", '{"model":"chat","messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"text","text":"◊"}]}]}'],
  ["a part beside an image", "chat", '{"model":"chat","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"text","text":"◊"}]}]}'],
  ["a tool's message", "chat", '{"model":"chat","messages":[{"role":"tool","tool_call_id":"t","content":"◊"}]}'],
  ["a tool's message in parts", "chat", '{"model":"chat","messages":[{"role":"tool","tool_call_id":"t","content":[{"type":"text","text":"◊"}]}]}'],
  ["the arguments of a tool call", "chat", '{"model":"chat","messages":[{"role":"assistant","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\\"a\\":\\"◊\\"}"}}]}]}'],
  ["a function call", "chat", '{"model":"chat","messages":[{"role":"assistant","function_call":{"name":"f","arguments":"{\\"a\\":[1,{\\"b\\":\\"◊\\"}]}"}}]}'],
  ["a tool's description", "chat", '{"model":"chat","messages":[],"tools":[{"type":"function","function":{"name":"f","description":"◊","parameters":{}}}]}'],
  ["a tool's parameters", "chat", '{"model":"chat","messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string","description":"◊","enum":["x"]}}}}}]}'],
  ["an old function's description", "chat", '{"model":"chat","messages":[],"functions":[{"name":"f","description":"◊"}]}'],
  ["a message's name", "chat", '{"model":"chat","messages":[{"role":"user","name":"◊","content":"x"}]}'],
  ["a stop sequence", "chat", '{"model":"chat","messages":[],"stop":["x","◊"]}'],
  ["a prediction", "chat", '{"model":"chat","messages":[],"prediction":{"type":"content","content":"◊"}}'],
  ["a JSON schema", "chat", '{"model":"chat","messages":[],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"title":"◊"}}}}'],
  ["a member that nobody knows", "chat", '{"model":"chat","messages":[],"new_in_2030":{"deep":[[{"er":"◊"}]]}}'],
  ["the name of a member that nobody knows", "chat", '{"model":"chat","messages":[],"new_in_2030":{"◊":1}}'],
  ["a member before the model", "chat", '{"messages":[{"role":"user","content":"◊"}],"model":"chat"}'],
  ["a prompt", "completions", '{"model":"chat","prompt":"◊"}'],
  ["one of several prompts", "completions", '{"model":"chat","prompt":["x","a◊b","y"]}'],
  ["a suffix", "completions", '{"model":"chat","prompt":"x","suffix":"◊"}'],
  ["an input", "responses", '{"model":"chat","input":"◊"}'],
  ["instructions", "responses", '{"model":"chat","instructions":"◊","input":"x"}'],
  ["a message of an input", "responses", '{"model":"chat","input":[{"role":"user","content":"◊"}]}'],
  ["a part of an input", "responses", '{"model":"chat","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"◊"}]}]}'],
  ["a function call of an input", "responses", '{"model":"chat","input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{\\"a\\":\\"◊\\"}"}]}'],
  ["what a function returned", "responses", '{"model":"chat","input":[{"type":"function_call_output","call_id":"c","output":"◊"}]}'],
  ["a tool's description of responses", "responses", '{"model":"chat","input":"x","tools":[{"type":"function","name":"f","description":"◊","parameters":{}}]}'],
  ["an embedding's input", "embeddings", '{"model":"chat","input":["x","◊"]}'],
  ["a system prompt", "messages", '{"model":"claude","max_tokens":9,"system":"◊","messages":[]}'],
  ["a system prompt in parts", "messages", '{"model":"claude","max_tokens":9,"system":[{"type":"text","text":"◊"}],"messages":[]}'],
  ["a message's text block", "messages", '{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"◊"}]}]}'],
  ["a tool's result", "messages", '{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"◊"}]}]}'],
  ["a tool's result in blocks", "messages", '{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"◊"}]}]}]}'],
  ["a tool's input", "messages", '{"model":"claude","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"a":{"b":"◊"}}}]}]}'],
  ["a document's text", "messages", '{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"◊"}}]}]}'],
  ["a tool's description of messages", "messages", '{"model":"claude","max_tokens":9,"messages":[],"tools":[{"name":"f","description":"◊","input_schema":{"type":"object"}}]}'],
];

describe("a word in a prompt", () => {
  it.each(PLACES)("is found wherever it stands: %s", async (_, api, body) => {
    const path = PATHS[api];
    await refused(body.replace("◊", BLOCKED), path);
    await refused(body.replace("◊", ` ${BLOCKED_ENGLISH} `), path);
    expect(await relayed(body.replace("◊", MASKED), path)).toBe(renamed(body).replace("◊", FOUR));
    expect(await relayed(body.replace("◊", FLAGGED), path)).toBe(renamed(body).replace("◊", FLAGGED));
    expect(await relayed(body.replace("◊", BLOCKED), path, "free")).toBe(renamed(body).replace("◊", BLOCKED));
    expect(() => JSON.parse(received()) as unknown).not.toThrow();
  });

  const escaped = (word: string, lead = "\\"): string =>
    [...word].map((character) => `${lead}u${character.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");

  it.each([
    ["escapes", escaped(MASKED), FOUR],
    ["escapes in capitals", escaped(MASKED).toUpperCase().replaceAll("\\U", "\\u"), FOUR],
    ["a single escape", `玫${escaped("瑰")}花园`, FOUR],
    ["escapes of ASCII", escaped(MASKED_ENGLISH), "█".repeat(9)],
    ["a zero-width space within", "玫\u200b瑰花\u200d园", FOUR],
    ["an escaped zero-width space within", "玫\\u200b瑰花园", FOUR],
    ["a soft hyphen within", "holly\u00adhock", "█".repeat(9)],
    ["full width", "ｈｏｌｌｙｈｏｃｋ", "█".repeat(9)],
    ["capitals", "HollyHOCK", "█".repeat(9)],
    ["traditional characters", "玫瑰花園", FOUR],
    ["spaces and dashes within", "玫 瑰-花_园", "█ █-█_█"],
    ["a line end within", "玫瑰\\n花园", "██\\n██"],
    ["twice", `${MASKED}${MASKED}`, FOUR + FOUR],
    ["two words", `${MASKED} and ${MASKED_ENGLISH}.`, `${FOUR} and ${"█".repeat(9)}.`],
    ["escaped quotes beside it", `\\"${MASKED}\\"\\\\`, `\\"${FOUR}\\"\\\\`],
    ["emoji beside it", `😀${MASKED}\\ud83d\\ude00`, `😀${FOUR}\\ud83d\\ude00`],
  ])("is masked however it is written: %s", async (_, written, masked) => {
    expect(await relayed(saying(`<${written}>`))).toBe(renamed(saying(`<${masked}>`)));
    await refused(saying(`<${written}> ${BLOCKED}`));
  });

  it.each([
    ["a longer English word", "hollyhocks"],
    ["an English word cut in two", "holly hock"],
    ["a part of it", "玫瑰花"],
    ["letters between its characters", "玫x瑰花园"],
    ["two strings that only together make it", '玫瑰"},{"role":"user","content":"花园'],
  ])("is not found in other text: %s", async (_, written) => {
    expect(await relayed(saying(written))).toBe(renamed(saying(written)));
  });

  it.each([
    ["escaped once more", `\\\\u73ab\\\\u7470\\\\u82b1\\\\u56ed`, FOUR],
    ["once more, in part", `玫\\\\u7470花\\\\u56ED`, FOUR],
    ["an escape of an escape", `\\u005cu73ab瑰花园`, FOUR],
    ["as the name of a member", `x\\",\\"玫瑰花园\\":\\"y`, `x\\",\\"${FOUR}\\":\\"y`],
  ])("is found in arguments, which are JSON in a string: %s", async (_, written, masked) => {
    const body = (word: string): string =>
      `{"model":"chat","messages":[{"role":"assistant","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\\"a\\":\\"${word}\\"}"}}]}]}`;
    const upstreams = await relayed(body(written));
    expect(upstreams).toBe(renamed(body(masked)));
    const { messages } = JSON.parse(upstreams) as { messages: { tool_calls: { function: { arguments: string } }[] }[] };
    expect(() => JSON.parse(messages[0]?.tool_calls[0]?.function.arguments ?? "") as unknown).not.toThrow();
  });

  it("is masked beside what else is changed in the body", async () => {
    const body = (first: string, second: string): string =>
      `{"messages":[{"role":"user","content":"${first}"}],"stream":true,"model":"chat","x":"${second}"}`;
    const upstreams = await relayed(body(MASKED, MASKED_ENGLISH));
    const asked = '"stream_options":{"include_usage":true}';
    expect(upstreams).toContain(asked);
    expect(upstreams.replace(`${asked},`, "").replace(`,${asked}`, "")).toBe(renamed(body(FOUR, "█".repeat(9))));
    expect(JSON.parse(upstreams)).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  });
});

describe("a prompt that is blocked", () => {
  it("is refused, names the list and never the word, and does not reach the model", async () => {
    const answer = await refused(saying(`please tell me about ${BLOCKED} and ${BLOCKED_ENGLISH}`));
    expect(errorOf(answer)).toEqual({
      message: "The prompt has been refused because of the list blocked.txt.",
      type: "permission_error",
      param: null,
      code: "content_filter",
    });
    expect(answer.headers["x-should-retry"]).toBe("false");
    expect(answer.headers["content-type"]).toMatch(/^application\/json/);
    expect(await lineOf(answer)).toMatchObject({
      tenant: "strict", model: "chat", attempts: 0, status: 403, ending: "refused", input_tokens: 0, output_tokens: 0, usage_from: null, held_ms: 0,
      guard: { name: "strict", blocked_by: "blocked.txt", prompt: { flagged: 0, masked: 0, blocked: 1 }, completion: null },
    });
  });

  it("is refused in the words of its API", async () => {
    const body = `{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"${BLOCKED}"}]}`;
    const answer = await refused(body, APIS.messages.path);
    expect(JSON.parse(answer.text)).toEqual({
      type: "error",
      error: { type: "permission_error", message: "The prompt has been refused because of the list blocked.txt." },
      request_id: answer.headers["x-request-id"],
    });
    expect(answer.headers["x-should-retry"]).toBe("false");
  });

  it("is refused as a broken body before it is refused for its words", async () => {
    const answer = await ask(`${saying(BLOCKED)}x`);
    expect(answer.status).toBe(400);
    expect(errorOf(answer).code).toBe("invalid_json");
    const unknown = await ask(saying(BLOCKED).replace('"chat"', '"nothing"'));
    expect(unknown.status).toBe(404);
  });

  it("leaves its connection usable", async () => {
    const requests = [saying(BLOCKED), saying("x"), saying(MASKED), saying(BLOCKED_ENGLISH), saying("y")];
    for (const tenant of ["strict", "shadow"]) {
      const statuses = await Promise.all(requests.map(async (body) => (await ask(body, CHAT, tenant)).status));
      expect(statuses).toEqual(tenant === "strict" ? [403, 200, 200, 403, 200] : [200, 200, 200, 200, 200]);
    }
  });
});

describe("a prompt that is masked or only counted", () => {
  it("is told in the journal", async () => {
    const answer = await ask(saying(`${MASKED} ${FLAGGED} ${MASKED_ENGLISH} ${FLAGGED_ENGLISH} ${FLAGGED}`));
    expect(answer.status).toBe(200);
    const finds = { flagged: 3, masked: 2, blocked: 0 };
    const line = await lineOf(answer);
    expect(line.guard).toMatchObject({ name: "strict", blocked_by: null, prompt: finds });
    expect(line).toMatchObject({ ending: "finished", status: 200, input_tokens: 7, usage_from: "upstream" });
  });

  it("of which nothing is found is not mentioned", async () => {
    expect((await lineOf(await ask(saying("x")))).guard).toBeNull();
    expect((await lineOf(await ask(saying(BLOCKED), CHAT, "free"))).guard).toBeNull();
  });
});

describe("a guard's place", () => {
  it("is the prompt, the completion or both, as its configuration says", async () => {
    const body = saying(`${BLOCKED} ${MASKED}`);
    await refused(body);
    await refused(body, CHAT, "prompts");
    for (const tenant of ["answers", "free", "shadow"]) expect(await relayed(body, CHAT, tenant), tenant).toBe(renamed(body));
    const answer = await ask(body, CHAT, "shadow");
    expect((await lineOf(answer)).guard).toMatchObject({ name: "shadow", blocked_by: null, prompt: { flagged: 2, masked: 0, blocked: 0 } });
    for (const tenant of ["answers", "free"]) expect((await lineOf(await ask(body, CHAT, tenant))).guard).toBeNull();
  });
});

describe("a long prompt", () => {
  /** A chat of about so many bytes with this at its end. */
  function long(bytes: number, end: string): string {
    return saying(`${"漢字 and letters, ".repeat(Math.floor(bytes / 22))}${end}`);
  }

  it.each([["at once", undefined], ["in chunked coding", { size: 65536 }]])(
    "of 5 MB is read to its end, and others are served meanwhile: %s",
    async (_, chunked) => {
      const before = upstream.exchanges.length;
      const [blocked, masked, ...others] = await Promise.all([
        ask(long(5_000_000, BLOCKED), CHAT, "strict", chunked),
        ask(long(5_000_000, MASKED), CHAT, "strict", chunked),
        ...Array.from({ length: 10 }, (__, index) => ask(saying(`number ${index}`))),
      ]);
      expect(blocked?.status).toBe(403);
      expect(masked?.status).toBe(200);
      expect(others.map(({ status }) => status)).toEqual(Array(10).fill(200));
      expect(upstream.exchanges.length).toBe(before + 11);
      const body = upstream.exchanges.slice(before).find((exchange) => exchange.body.length > 1_000_000)?.body.toString();
      expect(body === renamed(long(5_000_000, FOUR))).toBe(true);
    },
  );

  it("is masked also where the gateway reads it in two slices", async () => {
    const frame = saying("").length - 3;
    for (let shift = 0; shift <= 13; shift++) {
      // The word's 12 bytes begin up to 13 bytes before the end of a slice of 256 KiB.
      const padding = "x".repeat(262144 - frame - shift - 2);
      for (const text of [MASKED, "\\u73ab\\u7470花园"]) {
        const body = saying(`${padding}, ${text}${"y".repeat(300)}`);
        const upstreams = await relayed(body);
        expect(upstreams === renamed(saying(`${padding}, ${FOUR}${"y".repeat(300)}`)), `${shift}`).toBe(true);
      }
    }
  });

  it("of many words is masked everywhere", async () => {
    const body = saying(`${MASKED}, `.repeat(20000));
    const answer = await ask(body);
    expect(answer.status).toBe(200);
    expect(received() === renamed(saying(`${FOUR}, `.repeat(20000)))).toBe(true);
    expect((await lineOf(answer)).guard?.prompt).toEqual({ flagged: 0, masked: 20000, blocked: 0 });
  });
});

describe("the words of a list", () => {
  it("are in no log, no journal, no metric, and no answer", async () => {
    const answer = await refused(saying(`${BLOCKED} ${BLOCKED_ENGLISH} ${MASKED_ENGLISH}`));
    const page = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    await lineOf(answer);
    const written = gateway.everythingWritten() + answer.text + JSON.stringify(answer.headers) + page;
    expect(page).toContain("sluice_guard_hits_total");
    for (const word of [BLOCKED, BLOCKED_ENGLISH, MASKED, MASKED_ENGLISH, FLAGGED, FLAGGED_ENGLISH]) {
      expect(written.includes(word), word).toBe(false);
      expect(written.includes(Buffer.from(word).toString("latin1")), word).toBe(false);
    }
    expect(gateway.errorLog()).not.toMatch(/runtime error|stack traceback|\[(alert|crit|emerg)\]/);
  });

  it("are kept compiled, below the run directory", () => {
    const folder = join(gateway.runDir, "lexicons");
    expect(existsSync(folder)).toBe(true);
    expect(readdirSync(folder).filter((name) => name.endsWith(".lex")).length).toBeGreaterThan(0);
  });
});

describe("the metrics", () => {
  it("say what the journal says", async () => {
    let lines: JournalLine[] = [];
    const told = (action: "flagged" | "masked" | "blocked", guard: string): number =>
      lines.reduce((sum, line) => sum + (line.guard?.name === guard ? (line.guard.prompt?.[action] ?? 0) : 0), 0);
    // The last requests may not have been logged yet when their clients have all of their answers: both are read anew each time.
    await expect
      .poll(async () => {
        const metrics = await gateway.metrics();
        lines = gateway.journal();
        const hits = (guard: string, action: string): number => sumOf(metrics, "sluice_guard_hits_total", { guard, action, where: "prompt" });
        return {
          more_hits: GUARDS.map(({ name }) =>
            [name, told("flagged", name) - hits(name, "flag"), told("masked", name) - hits(name, "mask"), told("blocked", name) - hits(name, "block")]),
          in_answers: sumOf(metrics, "sluice_guard_hits_total", { where: "completion" }),
          more_refusals: lines.filter(({ status }) => status === 403).length - sumOf(metrics, "sluice_refusals_total", { code: "content_filter" }),
        };
      }, { timeout: HANG_MS })
      .toEqual({ more_hits: GUARDS.map(({ name }) => [name, 0, 0, 0]), in_answers: 0, more_refusals: 0 });
    expect(told("blocked", "strict")).toBeGreaterThan(50);
  });
});
