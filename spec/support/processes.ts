/** Processes, ports and directories that tests use, and that are gone when a test file ends. */

import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The top of the source tree. */
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

interface Started {
  pid: number;
  /** Resolves when the process has ended. */
  ended: Promise<number | null>;
  /** What it wrote so far, both streams. */
  output(): string;
  isRunning(): boolean;
  /** Ends the process and its children: politely, then not. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
const directories = new Set<string>();

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended already.
  }
}

// The last resort, should a test run end without its hooks.
process.on("exit", () => {
  for (const child of running) killGroup(child, "SIGKILL");
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/**
 * Starts a program as the head of a process group of its own, with nothing on its standard input. The kernel ends it
 * when this process ends, also by a signal that leaves no time to clean up. It runs in `cwd`, or where this process does.
 */
function start(command: string, args: string[], env: Record<string, string | undefined>, cwd?: string): Started {
  const child = spawn("setpriv", ["--pdeathsig", "TERM", command, ...args], { env, cwd, stdio: ["ignore", "pipe", "pipe"], detached: true });
  running.add(child);
  let output = "";
  child.stdout.on("data", (data: Buffer) => (output += data.toString()));
  child.stderr.on("data", (data: Buffer) => (output += data.toString()));
  const ended = new Promise<number | null>((resolve) => {
    child.on("error", (error) => {
      output += error.message;
      resolve(null);
    });
    child.on("exit", (code) => {
      resolve(code);
    });
  });
  const isRunning = (): boolean => child.pid !== undefined && child.exitCode === null && child.signalCode === null;

  async function stop(): Promise<void> {
    if (isRunning()) {
      child.kill("SIGTERM");
      await Promise.race([ended, sleep(5000, undefined, { ref: false })]);
    }
    killGroup(child, "SIGKILL");
    if (child.pid !== undefined) await ended;
    running.delete(child);
  }

  return { pid: child.pid ?? -1, ended, output: () => output, isRunning, stop };
}

/** Makes a directory that is removed when the tests end. */
function temporaryDirectory(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `${name}-`));
  directories.add(directory);
  return directory;
}

/** Removes a directory made by `temporaryDirectory`. */
function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  directories.delete(directory);
}

/** Finds ports of 127.0.0.1 that nobody listens on. Another program may take one before it is used: retry then. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => {
            resolve(server);
          });
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
    return address.port;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** What takes so many milliseconds has hung, on the busiest of machines. How fast something is is no matter of these tests. */
const HANG_MS = 30000;

/** Waits until `check` gives something; fails after `milliseconds`, saying `what` was awaited. */
async function eventually<T>(
  what: string,
  check: () => T | undefined | false | Promise<T | undefined | false>,
  milliseconds = HANG_MS,
): Promise<T> {
  const end = Date.now() + milliseconds;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`waited ${milliseconds} ms in vain: ${what}`);
    await sleep(20);
  }
}

export { eventually, freePorts, HANG_MS, removeDirectory, ROOT, start, temporaryDirectory };
export type { Started };
