/**
 * The processes of one run: each is started on one core, with its output in a directory of its own below one
 * temporary directory, and exactly those that were started are ended.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { descendants, OTHER_CORE } from "./machine.ts";

const START_SECONDS = 20;

const children: ChildProcess[] = [];
let directory = "";
let stopping = false;

/** The temporary directory of this run; made on first use. */
function working_directory(): string {
  directory ||= mkdtempSync(join(tmpdir(), "sluice-bench-"));
  return directory;
}

function own_directory(name: string): string {
  const path = join(working_directory(), name);
  mkdirSync(path, { recursive: true });
  return path;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** Ports that were free a moment ago, all different. */
async function free_ports(count: number): Promise<number[]> {
  const listeners = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((done, failed) => {
          const listener = createServer();
          listener.once("error", failed);
          listener.listen(0, "127.0.0.1", () => {
            done(listener);
          });
        }),
    ),
  );
  const ports = listeners.map((listener) => {
    const address = listener.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(listeners.map((listener) => new Promise((done) => listener.close(done))));
  return ports;
}

/**
 * A command confined to one core. Those on the client's core run in the kernel's batch class: waking one of them
 * interrupts nobody, so it costs a gateway no more than handing the bytes over.
 */
function on_core(core: number, command: string[]): string[] {
  const confined = ["taskset", "-c", String(core), ...command];
  return core === OTHER_CORE ? ["chrt", "-b", "0", ...confined] : confined;
}

/** Starts what keeps the client's core awake; awake.lua says why. Returns its pid. */
function keep_awake(): number {
  return start("awake", OTHER_CORE, ["nice", "-n", "19", "luajit", resolve("bench/awake.lua")], {}).pid ?? 0;
}

/** Starts a command on one core, its output in a file of its own directory. */
function start(name: string, core: number, command: string[], environment: Record<string, string>): ChildProcess {
  if (stopping) {
    throw new Error("this run is being ended");
  }
  const log = join(own_directory(name), "output.log");
  const [program = "", ...parameters] = on_core(core, command);
  const child = spawn("sh", ["-c", 'exec "$0" "$@" >"$BENCH_LOG" 2>&1', program, ...parameters], {
    stdio: "ignore",
    env: { ...process.env, ...environment, BENCH_LOG: log },
  });
  children.push(child);
  return child;
}

/** Waits until the URL answers 200, and returns what it said. */
async function wait_for(name: string, child: ChildProcess, url: string): Promise<string> {
  let last = "no answer";
  for (let waited = 0; waited < START_SECONDS * 10; waited++) {
    if (child.exitCode !== null) {
      break;
    }
    try {
      const response = await fetch(url);
      if (response.ok) {
        return await response.text();
      }
      last = `status ${response.status}`;
    } catch {
      last = "no answer";
    }
    await sleep(100);
  }
  const log = join(own_directory(name), "output.log");
  const output = existsSync(log) ? readFileSync(log, "utf8").slice(-2000) : "";
  throw new Error(`${name} did not start: ${last} from ${url}\n${output}`);
}

/** Ends every process that was started, politely first, and removes the temporary directory. */
async function stop_all(): Promise<void> {
  const running = children.filter((child) => child.exitCode === null && child.signalCode === null);
  const pids = running.flatMap((child) => descendants(child.pid ?? 0).slice(1));
  for (const child of running) {
    child.kill("SIGTERM");
  }
  const alive = (): boolean => running.some((child) => child.exitCode === null && child.signalCode === null);
  for (let waited = 0; waited < 30 && alive(); waited++) {
    await sleep(100);
  }
  if (alive()) {
    for (const pid of [...running.map((child) => child.pid ?? 0), ...pids]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It is gone already.
      }
    }
  }
  children.length = 0;
  if (directory !== "" && process.env.BENCH_KEEP === undefined) {
    rmSync(directory, { recursive: true, force: true });
  }
  directory = "";
}

/**
 * Runs a whole program and ends what it started, also if it fails, is interrupted, or nobody reads what it
 * prints any more. `most_seconds`: after that it is ended before its time.
 */
async function run_program(name: string, most_seconds: number, program: () => Promise<void>): Promise<void> {
  const stop = (why: string): void => {
    if (!stopping) {
      stopping = true;
      process.stderr.write(`${name}: ${why}\n`);
      void stop_all()
        .catch((error: unknown) => {
          process.stderr.write(`${name}: ${String(error)}\n`);
        })
        .finally(() => process.exit(1));
    }
  };
  const limit = setTimeout(() => {
    stop(`stopped after ${most_seconds} seconds`);
  }, most_seconds * 1000);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      stop("interrupted");
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    // The reader of a pipe is gone: what is still to be printed is lost, what was started must end all the same.
    stream.on("error", () => undefined);
  }
  try {
    await program();
  } catch (error) {
    if (!stopping) {
      process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  } finally {
    clearTimeout(limit);
    if (!stopping) {
      await stop_all();
    }
  }
}

/** Whether this run is being ended before its time. */
function is_stopping(): boolean {
  return stopping;
}

export { free_ports, is_stopping, keep_awake, on_core, run_program, own_directory, start, wait_for, working_directory };
