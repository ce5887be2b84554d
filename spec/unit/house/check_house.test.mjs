// Shows that each rule of the house fires, and that it doesn't fire on what it allows.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, before, beforeEach, describe, it } from "node:test";

import { ESLint } from "eslint";

import { checkHouse } from "../../../tools/check_house.mjs";

const SPEC = 'local json = require("sluice.wire.json")\nrequire("sluice.route.table")\n';

const SOUND = {
  "src/sluice/wire/json.ts": "function walk(): void {}\nexport { walk };\n",
  "src/sluice/route/table.ts": 'import { walk } from "../wire/json";\nimport type { Pick } from "../pool/pick";\n'
    + 'import { type Pick as Other } from "../pool/pick";\nimport * as ffi from "ffi";\nfunction f(p: Pick | Other): void { walk(); ffi.errno(); }\nexport { f };\n',
  "src/sluice/pool/pick.ts": "interface Pick { ngx_version: string }\nexport type { Pick };\n",
  "src/sluice/edge/clock.ts": 'import { walk } from "../wire/json";\nimport type { Pick } from "../pool/pick";\nfunction now(p: Pick): number { walk(); return ngx.now(); }\nexport { now };\n',
  "src/sluice/phases/access.ts": 'import { f } from "../route/table";\nimport { now } from "../edge/clock";\nimport { walk } from "../wire/json";\n'
    + 'import * as balancer from "ngx.balancer";\nfunction run(): void { ngx.exit(f(now(walk(balancer)))); }\nexport { run };\n',
  "src/sluice/config/load.ts": 'import { f } from "../route/table";\nf();\n',
  "src/sluice/cli/check.ts": 'import { f } from "../route/table";\nimport { now } from "../edge/clock";\nf(now());\n',
  "dist/lua/sluice/wire/json.lua": "return {}\n",
  "dist/lua/sluice/config/load.lua": 'local ____lualib = require("lualib_bundle")\n',
  "spec/unit/wire/json_spec.lua": SPEC,
  "tools/covered_by_e2e.txt": "# why\nedge/clock\nphases/access # here too\n\nconfig/load\ncli/check\n",
};

describe("house rules", () => {
  let root;

  function write(files) {
    for (const [name, text] of Object.entries(files)) {
      const path = join(root, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "sluice-house-"));
    write(SOUND);
  });

  afterEach(() => rmSync(root, { recursive: true }));

  function expectViolations(files, expected) {
    write(files);
    const found = checkHouse(root);
    assert.equal(found.length, expected.length, found.join("\n"));
    expected.forEach((pattern, index) => assert.match(found[index], pattern));
  }

  it("accept a sound tree", () => expectViolations({}, []));

  it("see a search path that leads to the current directory", () => expectViolations(
    { "nginx/sluice/http.conf": 'lua_package_path "/usr/share/lua/5.1/?.lua;@HERE@/?.lua";\nlua_package_path "/a/?.lua;;";\nlua_package_cpath "./?.so;/a/?.so";\nlua_package_cpath \'?.so\';\n' },
    [/^nginx\/sluice\/http\.conf:2: a search path for Lua's modules holds "", which/, /^nginx\/sluice\/http\.conf:3: .* holds "\.\/\?\.so"/, /^nginx\/sluice\/http\.conf:4: .* holds "\?\.so"/]));

  it("see nothing where a lasting record has nothing", () => expectViolations(
    { "src/sluice/wire/json.ts": 'const made = lasting({\n  a: ABSENT,\n  b: undefined,\n  c: undefined as unknown as number,\n});\nfunction walk(): void {}\nexport { made, walk };\n' },
    [/^src\/sluice\/wire\/json\.ts:3: a record that lasts has ABSENT/, /^src\/sluice\/wire\/json\.ts:4: a record that lasts has ABSENT/]));

  it("see ngx where a room names it, but not in text", () => expectViolations(
    { "src/sluice/wire/json.ts": '// ngx\nconst text = "ngx";\nfunction walk(): void {\n  ngx.say(text);\n}\nexport { walk };\n' },
    [/^src\/sluice\/wire\/json\.ts:4: only phases and edge may name ngx$/]));

  it("see ngx also when only its type is taken", () => expectViolations(
    { "src/sluice/wire/json.ts": "type Own = typeof ngx;\nfunction walk(o?: Own): void { return; }\nexport { walk };\n" },
    [/^src\/sluice\/wire\/json\.ts:1: only phases and edge may name ngx$/]));

  for (const module of ["ngx.semaphore", "resty.core", "nginx.redis"]) {
    it(`see ${module} imported by a room`, () => expectViolations(
      { "src/sluice/wire/json.ts": `import "${module}";\nfunction walk(): void {}\nexport { walk };\n` },
      [/^src\/sluice\/wire\/json\.ts:1: only phases and edge may import/]));
  }

  const imports = [
    ["route/table", "../pool/pick", "import", /a room imports another only as types/],
    ["route/table", "../edge/clock", "import", /a room never imports edge/],
    ["route/table", "../edge/clock", "import type", /a room never imports edge/],
    ["route/table", "../phases/access", "import type", /nobody imports phases/],
    ["route/table", "../cli/check", "import", /nobody imports the command line/],
    ["wire/json", "../route/table", "import type", /wire imports nothing but wire/],
    ["edge/clock", "../route/table", "import", /edge imports rooms only as types/],
    ["edge/clock", "../phases/access", "import type", /nobody imports phases/],
    ["config/load", "../edge/clock", "import", /a room never imports edge/],
    ["phases/access", "../cli/check", "import", /nobody imports the command line/],
    ["route/table", "../../types/other", "import type", /imports stay inside src\/sluice/],
  ];
  for (const [from, to, how, message] of imports) {
    it(`refuse ${how} of ${to} in ${from}`, () => expectViolations(
      { [`src/sluice/${from}.ts`]: `\n${how} { thing } from "${to}";\nfunction g(t: typeof thing): void {}\nexport { g };\n` },
      [new RegExp(`^src/sluice/${from}\\.ts:2: ${message.source}`)]));
  }

  for (const [name, text] of Object.entries({
    "a bare import": 'import "../pool/pick";',
    "a mixed import": 'import { type Pick, other } from "../pool/pick";',
    "a default import beside types": 'import other, { type Pick } from "../pool/pick";',
    "a namespace import": 'import * as pick from "../pool/pick";',
    "an export from": 'export { other } from "../pool/pick";',
    "an export of all": 'export * from "../pool/pick";',
    "a dynamic import": 'void import("../pool/pick");',
    "a require": 'require("../pool/pick");',
  })) {
    it(`see ${name} as more than types`, () => expectViolations(
      { "src/sluice/route/table.ts": `${text}\nfunction f(): void {}\nexport { f };\n` },
      [/^src\/sluice\/route\/table\.ts:1: a room imports another only as types/]));
  }

  for (const line of ['local ____lualib = require("lualib_bundle")', "return __TS__ArrayMap(a, f)"]) {
    it(`see the library in emitted Lua: ${line}`, () => expectViolations(
      { "dist/lua/sluice/wire/json.lua": `local a = {}\n${line}\n` },
      [/^dist\/lua\/sluice\/wire\/json\.lua:2: leans on TypeScriptToLua's library/]));
  }

  it("want a spec for a module that runs", () => expectViolations(
    { "src/sluice/wire/sse.ts": "function read(): void {}\nexport { read };\n" },
    [/^src\/sluice\/wire\/sse\.ts:1: no spec reaches sluice\.wire\.sse/]));

  it("take a module as tested that a tested one of its room imports", () => expectViolations(
    {
      "src/sluice/wire/sse.ts": 'import { walk } from "./json";\nfunction read(): void { walk(); }\nexport { read };\n',
      "src/sluice/wire/json.ts": 'import { fold } from "./inner";\nfunction walk(): void { fold(); }\nexport { walk };\n',
      "src/sluice/wire/inner.ts": 'import { last } from "./last";\nfunction fold(): void { last(); }\nexport { fold };\n',
      "src/sluice/wire/last.ts": "function last(): void {}\nexport { last };\n",
    },
    [/^src\/sluice\/wire\/sse\.ts:1: no spec reaches sluice\.wire\.sse/]));

  it("take a room's section of the configuration as tested by the specs of the configuration", () => expectViolations(
    {
      "src/sluice/route/config.ts": "const SECTION = 1;\nexport { SECTION };\n",
      "src/sluice/pool/other.ts": "const OTHER = 1;\nexport { OTHER };\n",
      "src/sluice/config/check.ts": 'import { SECTION } from "../route/config";\nimport { OTHER } from "../pool/other";\nconst SUM = SECTION + OTHER;\nexport { SUM };\n',
      "spec/unit/config/check_spec.lua": 'require("sluice.config.check")\n',
    },
    [/^src\/sluice\/pool\/other\.ts:1: no spec reaches sluice\.pool\.other/]));

  it("take the command's modules as tested by a spec that runs the command", () => expectViolations(
    {
      "src/sluice/cli/start.ts": 'import "./main";\n',
      "src/sluice/cli/main.ts": "print(1);\n",
      "spec/unit/cli/command_spec.lua": 'run("bin/sluice check")\n',
    }, []));

  it("want no spec for types and constant enumerations", () => expectViolations(
    { "src/sluice/wire/sse.ts": 'import type { A } from "./json";\nconst enum Kind { One }\ntype B = A | Kind;\nexport type { B };\n' }, []));

  it("keep the list of modules covered elsewhere short and true", () => expectViolations(
    { "tools/covered_by_e2e.txt": "edge/clock\nphases/access\nconfig/load\ncli/check\nwire/gone\nwire/json\n" },
    [/^tools\/covered_by_e2e\.txt:5: there is no module wire\/gone$/, /^tools\/covered_by_e2e\.txt:6: wire\/json is reached by a spec/]));

  it("see a spec that would not run", () => expectViolations(
    { "spec/unit/wire/sse.lua": 'describe("sse", function() end)\n' },
    [/^spec\/unit\/wire\/sse\.lua:1: a spec's name ends with _spec\.lua/]));

  for (const name of ["Token.ts", "token-cache.ts", "tokenCache.ts"]) {
    it(`refuse the file name ${name}`, () => expectViolations(
      { [`src/sluice/wire/${name}`]: "interface A { b: string }\nexport type { A };\n" },
      [/file names are snake_case$/]));
  }

  it("refuse a module beside the rooms", () => expectViolations(
    { "src/sluice/loose.ts": "interface A { b: string }\nexport type { A };\n" }, [/^src\/sluice\/loose\.ts:1: a module belongs into a room/]));

  function command(text) {
    write({ "bin/sluice": `#!/bin/sh\n${text}\n` });
    chmodSync(join(root, "bin/sluice"), 0o755);
  }

  it("accept a schema file that is up to date", () => {
    command('printf "{\\n}\\n"');
    expectViolations({ "nginx/sluice.schema.json": "{\n}\n" }, []);
  });

  it("see a schema file that is out of date, or missing, or can't be made", () => {
    command('printf "{\\n}\\n"');
    write({ "nginx/sluice.schema.json": "{\nold\n}\n" });
    assert.match(checkHouse(root).join("\n"), /^nginx\/sluice\.schema\.json:2: .*make schema writes it$/);
    rmSync(join(root, "nginx/sluice.schema.json"));
    assert.match(checkHouse(root).join("\n"), /^nginx\/sluice\.schema\.json:1: .*make schema writes it$/);
    command("echo broken >&2; exit 1");
    expectViolations({}, [/^bin\/sluice:1: sluice schema failed: broken$/]);
  });
});

describe("lint of what becomes Lua", () => {
  let eslint;

  before(() => {
    eslint = new ESLint({ cwd: join(import.meta.dirname, "../../..") });
  });

  async function messages(code, file) {
    const [result] = await eslint.lintText(code, { filePath: join(import.meta.dirname, "../../..", file) });
    assert.equal(result.fatalErrorCount, 0, JSON.stringify(result.messages));
    return result.messages.filter((each) => each.ruleId?.startsWith("no-restricted-") || each.ruleId === "max-lines");
  }

  const HOT = "src/sluice/wire/refusal.ts";
  const refused = {
    "JSON": "JSON.parse('1');",
    "Date": "new Date();",
    "RegExp": "new RegExp('a');",
    "Promise": "void Promise.resolve();",
    "Map": "new Map();",
    "Set": "new Set();",
    "ffi without import": "ffi.errno();",
    "a regular expression": "const a = /b/; export { a };",
    "spread": "const a = [1]; const b = [...a]; export { b };",
    "spread of an object": "const a = { b: 1 }; const c = { ...a }; export { c };",
    "rest": "function f(...a: number[]): number { return a.length; } export { f };",
    "rest in a pattern": "const [a, ...b] = [1, 2]; export { a, b };",
    "delete": "const a: { b?: number } = {}; delete a.b;",
    "for-in": "for (const a in [1]) { export_(a); }",
    "a class": "class A {} export { A };",
    "a plain enum": "enum A { B } export { A };",
    "null": "const a = null; export { a };",
    "null as a type": "let a: string | null; export { a };",
    "try": "try { f(); } catch { g(); }",
    "throw": "throw 1;",
    "Object.keys": "Object.keys({});",
    "Number()": "Number('1');",
    "charCodeAt": "'a'.charCodeAt(0);",
    "slice": "'a'.slice(1);",
    "split": "'a'.split('b');",
    "includes": "'a'.includes('b');",
    "startsWith": "'a'.startsWith('b');",
    "trim": "'a'.trim();",
    "replace": "'a'.replace('a', 'b');",
    "map": "[1].map(f);",
    "optional length": "function f(a?: string): number | undefined { return a?.length; } export { f };",
    "optional chain to length": "function f(a?: { b: string }): number | undefined { return a?.b.length; } export { f };",
    "three hundred lines and more": "f();\n".repeat(301),
  };
  for (const [name, code] of Object.entries(refused)) {
    it(`refuses ${name}`, async () => assert.notEqual((await messages(code, HOT)).length, 0));
  }

  const allowed = {
    "const enum": "const enum A { B } export { A };",
    "imported ffi": 'import * as ffi from "ffi";\nffi.errno();',
    "a type with rest": "type F = (this: void, ...values: unknown[]) => void; export type { F };",
    "Lua's own functions": "const a = string.sub('a', 1); table.sort([a]); export { a };",
  };
  for (const [name, code] of Object.entries(allowed)) {
    it(`allows ${name}`, async () => assert.deepEqual(await messages(code, HOT), []));
  }

  it("allows try and throw on the command line", async () =>
    assert.deepEqual(await messages("try { f(); } catch { throw 1; }", "src/sluice/cli/check.ts"), []));
});
