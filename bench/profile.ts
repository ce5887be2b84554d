/**
 * Runs the gateway under the load of one row and shows where its worker spends CPU time, in one of three ways:
 * perf for everything below Lua (kernel, nginx, LuaJIT, compiled code), LuaJIT's sampling profiler for Lua
 * functions and lines, and LuaJIT's trace log for what could not be compiled.
 *
 * The two profilers of LuaJIT run inside the worker. They get there through a copy of the compiled Lua whose
 * module for the start is wrapped by profiler.lua; nothing in the gateway knows about it.
 */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { make_issuer } from "./issuer.ts";
import { sample } from "./load.ts";
import { run_program, working_directory } from "./processes.ts";
import { REQUESTS } from "./requests.ts";
import { start_gateway, start_mock } from "./servers.ts";
import { make_word_files } from "./words.ts";

const MOST_SECONDS = 120;
const WARM_SECONDS = 3;
const SHOWN_LINES = 45;

function help(): string {
  return `bench/profile [--row ROW] [--seconds 5] [--native | --lua MODE | --traces]

  --row        ${Object.keys(REQUESTS).join(", ")}; without it: api-key
  --native     perf: shares of the kernel, nginx, LuaJIT and compiled code, then the busiest symbols (default)
  --lua MODE   LuaJIT's profiler (jit.p); MODE as its documentation has it: Fi1 by function, li1 by line,
               vi1 by what the machine was doing, zero or more of F f l v z, -s3 for stacks
  --traces     what the JIT compiler gave up on while warming up and under load (jit.v), counted

Time in nginx itself is charged by jit.p to the Lua that runs next: read its shares beside perf's.
`;
}

/** Copies the compiled Lua and wraps its start. Returns the copy and where the profiler writes. */
function instrument(kind: "lua" | "traces", mode: string, seconds: number): { lua: string; output: string } {
  const lua = join(working_directory(), "profiled");
  const output = join(working_directory(), "profile.txt");
  const phases = join(lua, "sluice/phases");
  cpSync(process.env.SLUICE_LUA ?? resolve("dist/lua"), lua, { recursive: true });
  renameSync(join(phases, "init.lua"), join(phases, "init_unprofiled.lua"));
  const values: Record<string, string> = {
    // Without its first entry, which is the current directory.
    LUAJIT_PATH: execFileSync("luajit", ["-e", "io.write(package.path)"], { encoding: "utf8" }).split(";").filter((entry) => entry.startsWith("/")).join(";"),
    WARM_SECONDS: String(WARM_SECONDS),
    SECONDS: String(seconds),
    KIND: kind,
    MODE: mode,
    OUTPUT: output,
  };
  const text = readFileSync(resolve("bench/profiler.lua"), "utf8");
  const filled = text.replace(/@([A-Z_]+)@/g, (_, name: string) => values[name] ?? "");
  writeFileSync(join(phases, "init.lua"), filled);
  return { lua, output };
}

function first_lines(text: string, count: number): string {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"))
    .slice(0, count)
    .join("\n");
}

/** Records with perf while the load runs and prints shares by object, then the busiest symbols. */
async function record(pid: number, seconds: number, load: () => Promise<unknown>): Promise<void> {
  const data = join(working_directory(), "perf.data");
  const recorder = spawn(
    "perf",
    ["record", "-F", "4999", "-e", "cpu-clock", "-o", data, "-p", String(pid), "--", "sleep", String(seconds)],
    { stdio: "ignore" },
  );
  const ended = new Promise<void>((done, failed) => {
    recorder.once("error", () => {
      failed(new Error("perf is missing (on Debian: linux-perf)"));
    });
    recorder.once("exit", () => {
      done();
    });
  });
  await Promise.all([load(), ended]);
  const report = (...keys: string[]): string =>
    execFileSync("perf", ["report", "-i", data, "--stdio", "--no-children", ...keys], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  process.stdout.write(`By object\n${first_lines(report("--sort", "dso"), 12)}\n\n`);
  process.stdout.write(`By symbol\n${first_lines(report("--sort", "dso,symbol"), SHOWN_LINES).replace(/[ -]+$/gm, "")}\n`);
}

/** Counts equal lines about aborted traces, most frequent first. */
function count_aborts(log: string): string {
  const counts = new Map<string, number>();
  for (const line of log.split("\n").filter((one) => one.startsWith("[TRACE ---"))) {
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  const compiled = log.split("\n").filter((one) => /^\[TRACE +\d/.test(one)).length;
  const aborts = [...counts].sort((left, right) => right[1] - left[1]);
  const lines = aborts.slice(0, SHOWN_LINES).map(([line, count]) => `${String(count).padStart(6)} ${line}`);
  return `${compiled} traces compiled; aborted:\n${lines.join("\n")}\n`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      row: { type: "string", default: "api-key" },
      seconds: { type: "string", default: "5" },
      native: { type: "boolean" },
      lua: { type: "string" },
      traces: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  const requested = REQUESTS[values.row];
  const seconds = Number(values.seconds);
  if (values.help || requested === undefined || !(seconds >= 1 && seconds <= 60)) {
    process.stdout.write(help());
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const kind = values.traces ? "traces" : values.lua !== undefined ? "lua" : "native";
  let output = "";
  if (kind !== "native") {
    const instrumented = instrument(kind, values.lua ?? "", seconds);
    process.env.SLUICE_LUA = instrumented.lua;
    output = instrumented.output;
  }
  const mock = await start_mock();
  const issuer = make_issuer();
  const gateway = await start_gateway(mock, { public_key_file: issuer.public_key_file, words_file: make_word_files().many });
  const { request, where, connections } = requested(issuer.tokens);
  const load = (duration: number): Promise<unknown> => sample(gateway, gateway[where], request, connections, duration);
  if (kind === "native") {
    await load(WARM_SECONDS);
    await record(gateway.pid, seconds, () => load(seconds + 1));
  } else {
    await load(WARM_SECONDS + seconds + 2);
    const text = existsSync(output) ? readFileSync(output, "utf8") : "the profiler wrote nothing\n";
    process.stdout.write(kind === "traces" ? count_aborts(text) : `${first_lines(text, 200)}\n`);
  }
}

await run_program("profile", MOST_SECONDS, main);
