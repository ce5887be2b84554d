import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { APIS, chatChunk, chatFinish, DONE, guardedConfiguration, keyOf } from "../support/guarded.ts";
import { type Answer, post } from "../support/http_client.ts";
import { eventually, ROOT } from "../support/processes.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

/** A swap is noticed within a second or two; a busy machine gets more. */
const SWAP = 8000;
const WORKERS = 2;
/** Many words, so that a list takes a while to read, and one that tells which version it is. */
const MANY = Array.from({ length: 3000 }, (_, index) => `第${index.toString(36)}号词`).join("\n");
const GUARDS = [
  { name: "strict", lexicons: [{ file: "words.txt", action: "block" }, { file: "compiled.lex", action: "block" }] },
  { name: "other", lexicons: [{ file: "other.txt", action: "block" }] },
];

let upstream: ScriptedUpstream;
let gateway: Gateway;
let config: string;

function list(word: string): string {
  return `${MANY}\n${word}\n`;
}

/** A list of one word, as `sluice lexicon build` makes it. */
function compiled(word: string): Buffer {
  const folder = join(dirname(gateway.configFile), "building");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "list.txt"), `${word}\n`);
  execFileSync(join(ROOT, "bin/sluice"), ["lexicon", "build", join(folder, "list.txt"), "-o", join(folder, "list.lex")], { stdio: "pipe" });
  return readFileSync(join(folder, "list.lex"));
}

function fileOf(name: string): string {
  return join(dirname(gateway.configFile), name);
}

function chat(content: string, tenant = "strict"): Promise<Answer> {
  return post(gateway.port, APIS.chat.path, { model: "chat", messages: [{ role: "user", content }] }, { key: keyOf(tenant) });
}

/** Asks until every worker has answered so many times in a row. */
async function steady(what: string, check: () => Promise<boolean>): Promise<void> {
  let row = 0;
  await eventually(what, async () => (row = (await check()) ? row + 1 : 0) >= 12, SWAP);
}

const blocks = async (word: string, tenant?: string): Promise<boolean> => (await chat(`<${word}>`, tenant)).status === 403;
const passes = async (word: string, tenant?: string): Promise<boolean> => (await chat(`<${word}>`, tenant)).status === 200;

async function lastReload(): Promise<number | undefined> {
  return (await gateway.metrics()).get("sluice_config_last_reload_success");
}

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  config = guardedConfiguration(upstream.url, GUARDS);
  const files = { "words.txt": list("旧的词"), "compiled.lex": "已经编译\n", "other.txt": "别的词\n" };
  gateway = await startGateway({ config, files, workers: WORKERS });
  gateway.writeFile("compiled.lex", compiled("已经编译"));
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

beforeEach(async () => {
  rmSync(fileOf("words.txt"), { recursive: true, force: true });
  gateway.writeFile("words.txt", list("旧的词"));
  gateway.writeFile("compiled.lex", compiled("已经编译"));
  gateway.writeConfig(config);
  await eventually("a good configuration", async () => (await lastReload()) === 1, SWAP);
  await steady("the old lists", async () => (await blocks("旧的词")) && blocks("已经编译"));
});

describe("a list that is replaced", () => {
  it("is used by every worker soon, without a reload, and by the guard that names it", async () => {
    const workers = gateway.workers();
    gateway.writeFile("words.txt", list("新的词"));
    await steady("the new list", async () => (await blocks("新的词")) && passes("旧的词"));
    expect(await passes("新的词", "other")).toBe(true);
    expect(await blocks("别的词", "other")).toBe(true);
    gateway.writeFile("compiled.lex", compiled("新编译的"));
    await steady("the new compiled list", async () => (await blocks("新编译的")) && passes("已经编译"));
    expect(gateway.workers()).toEqual(workers);
  });

  it("is not used by streams that have begun", async () => {
    const pings = Array.from({ length: 20 }, () => ": still there\n\n");
    const name = upstream.prepare({ pieces: [chatChunk("a"), ...pings, chatChunk("旧的"), chatChunk("词"), chatFinish(), DONE], gap: 300 });
    let begun = false;
    const document = { model: "chat", stream: true, user: name, messages: [{ role: "user", content: "hello" }] };
    const answer = post(gateway.port, APIS.chat.path, document, { key: keyOf("strict"), onData: () => (begun = true) });
    await eventually("the stream's beginning", () => begun);
    gateway.writeFile("words.txt", list("新的词"));
    await steady("the new list", async () => (await blocks("新的词")) && passes("旧的词"));
    const { text, complete } = await answer;
    expect(complete).toBe(true);
    expect(text.startsWith(chatChunk("a"))).toBe(true);
    expect(text).toContain("content_filter");
    expect(text).not.toContain("旧的");
  });

  it("is used with another action as soon as the configuration says so", async () => {
    gateway.writeConfig(guardedConfiguration(upstream.url, [
      { name: "strict", lexicons: [{ file: "words.txt", action: "flag" }, { file: "compiled.lex", action: "block" }] },
      ...GUARDS.slice(1),
    ]));
    await steady("the new action", async () => (await passes("旧的词")) && blocks("已经编译"));
  });

  it("takes the guard of a tenant away, or gives it another", async () => {
    gateway.writeConfig(config.replaceAll('"guard": "strict"', '"guard": "other"'));
    await steady("the other guard", async () => (await passes("旧的词")) && blocks("别的词"));
  });
});

/** What may stand in the place of the list, and what is said of it. */
const BAD: [string, () => string | Buffer | undefined, RegExp][] = [
  ["empty", () => "", /expected words, one a line, found none/],
  ["only of comments", () => "# nothing\n\n", /expected words, one a line, found none/],
  ["in GBK", () => Buffer.from([0xce, 0xd2, 0xc3, 0xc7, 0x0a]), /not UTF-8, but probably GBK/],
  ["in UTF-16", () => Buffer.from("\ufeff旧的词\n", "utf16le"), /is UTF-16; expected UTF-8/],
  ["cut off inside a character", () => Buffer.from("好的\n旧的词").subarray(0, -1), /ends in the midst of a character/],
  ["of random bytes", () => Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 256)), /expected UTF-8/],
  ["a folder", () => undefined, /it is a folder/],
  ["a foreign file", () => Buffer.concat([Buffer.from("SLEX"), Buffer.alloc(500)]), /expected a compiled list that can be used/],
  ["a compiled list that was cut off", () => compiled("旧的词").subarray(0, 4096), /expected a compiled list that can be used/],
  ["a compiled list of which a byte was changed", () => {
    const image = compiled("旧的词");
    image[image.length >> 1] = (image[image.length >> 1] ?? 0) ^ 1;
    return image;
  }, /expected a compiled list that can be used/],
];

describe("a bad list", () => {
  it.each(BAD)("is refused, and the old one keeps serving: %s", async (_, content, said) => {
    const workers = gateway.workers();
    const before = gateway.errorLog().length;
    const bad = content();
    if (bad === undefined) {
      rmSync(fileOf("words.txt"));
      mkdirSync(fileOf("words.txt"));
    } else {
      gateway.writeFile("words.txt", bad);
    }
    await eventually("its refusal", async () => (await lastReload()) === 0, SWAP);
    const log = gateway.errorLog().slice(before);
    expect(log).toMatch(said);
    expect(log).toContain("guards[0].lexicons[0].file");
    for (let round = 0; round < 20; round++) expect(await blocks("旧的词")).toBe(true);
    expect(gateway.workers()).toEqual(workers);
    // A start refuses it too.
    expect(() => execFileSync(join(ROOT, "bin/sluice"), ["check", gateway.configFile], { stdio: "pipe" })).toThrow(said);
  });

  it("is no list at all: it was removed", async () => {
    renameSync(fileOf("words.txt"), fileOf("elsewhere.txt"));
    await eventually("its refusal", async () => (await lastReload()) === 0, SWAP);
    expect(await blocks("旧的词")).toBe(true);
    renameSync(fileOf("elsewhere.txt"), fileOf("words.txt"));
    await eventually("a good configuration", async () => (await lastReload()) === 1, SWAP);
  });
});

describe("a list that is cut short while it is in use", () => {
  it.each(["words.txt", "compiled.lex"])("ends no worker, and the old one keeps serving: %s", async (name) => {
    const workers = gateway.workers();
    let failed = 0;
    let done = false;
    const traffic = Array.from({ length: 8 }, async () => {
      while (!done) {
        const answers = await Promise.all([blocks("旧的词"), blocks("已经编译"), passes("好的")]);
        if (answers.includes(false)) failed += 1;
      }
    });
    // In its place, as an editor or a full disk would.
    for (const length of [100000, 4096, 10, 0]) {
      if (length < readFileSync(fileOf(name)).length) truncateSync(fileOf(name), length);
    }
    await eventually("its refusal", async () => (await lastReload()) === 0, SWAP);
    done = true;
    await Promise.all(traffic);
    expect(failed).toBe(0);
    expect(gateway.workers()).toEqual(workers);
    expect(gateway.errorLog()).not.toMatch(/signal 7|SIGBUS|exited on signal|runtime error|stack traceback/);
  });
});
