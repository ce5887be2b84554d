/** Redis servers of a test's own: each in a temporary directory, on a free port, gone when the tests end. */

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, freePorts, removeDirectory, start, type Started, temporaryDirectory } from "./processes.ts";

interface RedisOptions {
  /** Lines of its configuration file. */
  settings?: string[];
  /** For the commands of the tests themselves. */
  password?: string;
  /** Serve TLS only, with this certificate, key and authority (paths of PEM files). */
  tls?: { certificate: string; key: string; authority: string };
  /** A Sentinel, whose port is put in the place of `PORT` in its settings. */
  sentinel?: boolean;
}

interface Redis {
  port: number;
  /** The process, while it is up. */
  pid(): number;
  /** Runs a command, and returns what redis-cli prints of it. */
  command(...parts: string[]): string;
  /** Ends the server at once, without saving anything that is not saved; and starts it again, with what was. */
  kill(): Promise<void>;
  up(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

async function startRedis(options: RedisOptions = {}): Promise<Redis> {
  const directory = temporaryDirectory("sluice-redis");
  const [port = 0] = await freePorts(1);
  const { tls } = options;
  const file = join(directory, "redis.conf");
  const listening = tls
    ? ["port 0", `tls-port ${port}`, `tls-cert-file ${tls.certificate}`, `tls-key-file ${tls.key}`, `tls-ca-cert-file ${tls.authority}`, "tls-auth-clients no"]
    : [`port ${port}`];
  // What is appended survives a kill of the process.
  const keeping = options.sentinel ? [] : ["save \"\"", "appendonly yes", "appendfsync no"];
  const settings = [...listening, "bind 127.0.0.1", `dir ${directory}`, "daemonize no", ...keeping, ...(options.settings ?? [])];
  writeFileSync(file, `${settings.join("\n")}\n`);
  const access = [
    "-h", tls ? "localhost" : "127.0.0.1", "-p", String(port), "--no-auth-warning",
    ...(options.password !== undefined ? ["-a", options.password] : []), ...(tls ? ["--tls", "--cacert", tls.authority] : []),
  ];
  let server: Started | undefined;

  function command(...parts: string[]): string {
    return execFileSync("redis-cli", [...access, ...parts], { encoding: "utf8", stdio: "pipe", timeout: 5000 }).trim();
  }

  function answers(): boolean {
    try {
      return command("PING") === "PONG";
    } catch {
      return false;
    }
  }

  async function up(): Promise<void> {
    server = start("redis-server", [file, ...(options.sentinel ? ["--sentinel"] : [])], { PATH: process.env.PATH });
    await eventually("Redis answers", () => !server!.isRunning() || answers());
    if (!server.isRunning()) throw new Error(`Redis did not start: ${server.output()}`);
  }

  async function kill(): Promise<void> {
    if (server === undefined) return;
    if (server.isRunning()) process.kill(server.pid, "SIGKILL");
    await server.ended;
    await server.stop();
    server = undefined;
  }

  await up();
  return {
    port,
    pid: () => server?.pid ?? -1,
    command,
    kill,
    up,
    signal: (signal) => {
      process.kill(server!.pid, signal);
    },
    async stop() {
      await kill();
      removeDirectory(directory);
    },
  };
}

export { startRedis };
export type { Redis };
