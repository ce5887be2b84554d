/** Nothing of Sluice runs Lua from the current directory, where LuaJIT looks first of all unless it is told otherwise. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_KEY, configuration } from "../support/configuration.ts";
import { startGateway } from "../support/gateway.ts";
import { post } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { editNginx } from "../support/nginx_configuration.ts";
import { ROOT, temporaryDirectory } from "../support/processes.ts";

const CODE = process.env.SLUICE_LUA ?? join(ROOT, "dist/lua");
const COMMAND = join(ROOT, "bin/sluice");
/** What a shell may have set for other programs, each in its worst form. */
const INHERITED = {
  LUA_PATH: "./?.lua;?.lua;./?/init.lua;../lua/?.lua;;",
  LUA_CPATH: "./?.so;?.so;;",
  LUA_INIT: "@cjson/safe.lua",
};

/** The modules below a directory, as paths without their ending. */
function modulesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".lua"))
    .map((name) => name.replace(/(\/init)?\.lua$/, ""));
}

/** Every module that Sluice, its libraries or the mock could ask for, and one that nobody has. */
const MODULES = [
  "x", "bit", "ffi", "jit/opt", "string/buffer", "table/new", "table/clear", "table/nkeys", "table/isempty", "table/clone", "thread/exdata",
  "cjson", "cjson/safe", "yaml", "_openssl", "dbd/sqlite3", "dbd/postgresql", "resty/redis", "resty/dns/resolver",
  ...modulesBelow(CODE), ...modulesBelow("/usr/share/lua/5.1"), ...modulesBelow(join(ROOT, "spec/support/mock/lua")),
];

let top: string;
/** Every hostile module leaves its name here. */
let mark: string;
/** A directory with every module as Lua, and one with every module as a library that can't be loaded. */
let hostile: Record<"lua" | "so", string>;
let mock: Mock;

beforeAll(async () => {
  top = temporaryDirectory("sluice-search-paths");
  mark = join(top, "mark");
  hostile = { lua: join(top, "lua"), so: join(top, "so") };
  for (const module of MODULES) {
    const files: [string, string][] = [
      [join(hostile.lua, `${module}.lua`), module],
      [join(hostile.lua, module, "init.lua"), `${module}/init`],
    ];
    for (const [file, name] of files) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `local f = io.open("${mark}", "a") f:write("${name}\\n") f:close() return {}`);
    }
    const library = join(hostile.so, `${module}.so`);
    mkdirSync(dirname(library), { recursive: true });
    writeFileSync(library, "no library");
  }
  mock = await startMock({ cwd: hostile.lua, env: INHERITED });
});

afterAll(async () => {
  await mock?.stop();
});

function marks(): string {
  return existsSync(mark) ? readFileSync(mark, "utf8") : "";
}

function run(command: string, args: string[], cwd: string, env: Record<string, string> = {}): { status: number | null; output: string } {
  const clean = { ...process.env, LUA_PATH: undefined, LUA_CPATH: undefined, LUA_INIT: undefined };
  const ended = spawnSync(command, args, { cwd, env: { ...clean, ...env }, encoding: "utf8" });
  return { status: ended.status, output: ended.stdout + ended.stderr };
}

/** The entries of `package.path` and `package.cpath`, which a program printed with a line between. */
function entriesOf(text: string): string[][] {
  return text.trim().split("\n").map((line) => line.split(";"));
}

const PRINT_PATHS = 'package.path .. "\\n" .. package.cpath';

describe("a current directory full of modules", () => {
  it("is one that LuaJIT runs", () => {
    run("luajit", ["-e", 'require("cjson.safe")'], hostile.lua);
    expect(marks()).toBe("cjson/safe\n");
    writeFileSync(mark, "");
    expect(run("luajit", ["-e", 'require("yaml")'], hostile.so).output).toContain("./yaml.so");
  });

  for (const kind of ["lua", "so"] as const) {
    for (const [how, env] of [["", {}], [" with variables that lead there", INHERITED]] as const) {
      it(`gives the command nothing to run (${kind})${how}`, () => {
        const config = join(top, "sluice.yaml");
        writeFileSync(config, configuration({ upstream: mock.url }));
        const journal = join(top, "usage.jsonl");
        writeFileSync(journal, "");
        for (const args of [
          ["check", config], ["schema"], ["key", "new", "--tenant", "acme", "--id", "web"],
          ["usage", "load", "--journal", journal, "--database", `sqlite:${join(top, "usage.db")}`],
        ]) {
          const ended = run(COMMAND, args, hostile[kind], env);
          expect(ended.status, ended.output).toBe(0);
        }
        expect(marks()).toBe("");
      });
    }
  }

  for (const kind of ["lua", "so"] as const) {
    it(`gives nginx's master and workers nothing to run (${kind})`, async () => {
      const gateway = await startGateway({ config: configuration({ upstream: mock.url }), cwd: hostile[kind], env: INHERITED });
      try {
        const answer = await post(gateway.port, "/v1/chat/completions", { model: "chat", messages: [{ role: "user", content: "hello" }] }, { key: CLIENT_KEY });
        expect(answer.status).toBe(200);
        expect(marks()).toBe("");
        for (const place of ["init", "init_worker"]) {
          const file = join(gateway.runDir, place);
          await editNginx(gateway, "http.conf", new RegExp(`(${place}_by_lua_block \\{ [^\\n]*) \\}\\n`),
            `$1 local f = io.open("${file}", "w") f:write(${PRINT_PATHS}) f:close() }\n`);
          const entries = entriesOf(readFileSync(file, "utf8"));
          expect(entries).toHaveLength(2);
          expect(entries.flat().filter((entry) => !entry.startsWith("/"))).toEqual([]);
        }
        expect(marks()).toBe("");
        expect(gateway.errorLog()).not.toContain(hostile[kind]);
      } finally {
        await gateway.stop();
      }
    });
  }
});

describe("the command", () => {
  /** The search paths of a command whose code prints them. */
  function searched(env: Record<string, string>): string[][] {
    const code = join(top, "printing");
    mkdirSync(join(code, "sluice/cli"), { recursive: true });
    writeFileSync(join(code, "sluice/cli/start.lua"), `print(${PRINT_PATHS})`);
    const ended = run(COMMAND, [], top, { ...env, SLUICE_LUA: "printing" });
    expect(ended.status, ended.output).toBe(0);
    return entriesOf(ended.output);
  }

  function shipped(directive: string): string[] {
    const file = readFileSync(join(ROOT, "nginx/sluice/http.conf"), "utf8");
    return new RegExp(`^${directive} "(.*)";$`, "m").exec(file)?.[1]?.split(";") ?? [];
  }

  it("looks for its code, though it was named by a relative path, and then where nginx does", () => {
    const [path, cpath] = searched({});
    expect(path).toEqual([join(top, "printing/?.lua"), ...shipped("lua_package_path").slice(1)]);
    expect(cpath).toEqual(shipped("lua_package_cpath"));
    expect(cpath?.length).toBeGreaterThan(2);
  });

  it("takes absolute directories from LUA_PATH and LUA_CPATH, and no others", () => {
    const [path, cpath] = searched({ LUA_PATH: "/a/?.lua;;b/?.lua;./?.lua;/c/?.lua", LUA_CPATH: "?.so;/d/?.so;" });
    expect(path?.slice(0, 4)).toEqual([join(top, "printing/?.lua"), "/a/?.lua", "/c/?.lua", shipped("lua_package_path")[1]]);
    expect(cpath?.slice(0, 2)).toEqual(["/d/?.so", shipped("lua_package_cpath")[0]]);
  });

  it.each(["a;b", "a?b"])("refuses code in a directory named %s, which would be read as something else", (name) => {
    mkdirSync(join(top, name, "sluice/cli"), { recursive: true });
    writeFileSync(join(top, name, "sluice/cli/start.lua"), "");
    const ended = run(COMMAND, [], top, { SLUICE_LUA: join(top, name) });
    expect(ended.status).toBe(2);
    expect(ended.output).toContain("by which Lua tells search paths apart");
  });
});

describe("the launcher", () => {
  it("puts OpenResty's directories where that OpenResty is, and leaves them out for another nginx", () => {
    const paths = '"/s/?.lua;/usr/local/openresty/lualib/?.lua;/usr/share/lua/5.1/?.lua"';
    const cases: [string, string][] = [
      ["nginx version: openresty/1.27.1.2\nconfigure arguments: --prefix=/opt/resty/nginx --with-x", '"/s/?.lua;/opt/resty/lualib/?.lua;/usr/share/lua/5.1/?.lua"'],
      ["nginx version: openresty/1.27.1.2\nconfigure arguments: --with-x", paths],
      ["nginx version: nginx/1.26.3\nconfigure arguments: --prefix=/usr/share/nginx", '"/s/?.lua;/usr/share/lua/5.1/?.lua"'],
    ];
    for (const [says, expected] of cases) {
      const nginx = join(top, "nginx");
      writeFileSync(nginx, `#!/bin/sh\ncat >&2 <<X\n${says}\nX\n`, { mode: 0o755 });
      const script = run(join(ROOT, "nginx/lua_directories"), [nginx], top).output;
      expect(spawnSync("sed", ["-e", script], { input: paths, encoding: "utf8" }).stdout).toBe(expected);
    }
  });
});

