/** A PostgreSQL server of a test's own: in a temporary directory, on a free port, gone when the tests end. */

import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, freePorts, removeDirectory, start, type Started, temporaryDirectory } from "./processes.ts";

interface Postgresql {
  /** Without the password, which is in `environment`. */
  url: string;
  /** What a client needs besides the URL. */
  environment: Record<string, string>;
  /** Runs a statement, and returns what psql prints of it. */
  query(sql: string): string;
  /** Ends the server, with its clients' connections. */
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

const PASSWORD = "a pass/word%20'";

/** Where Debian keeps the newest server's programs; else they are in the path. */
function programs(): string {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).filter((version) => existsSync(join(root, version, "bin/initdb"))) : [];
  versions.sort((left, right) => Number(right) - Number(left));
  return versions[0] === undefined ? "" : `${join(root, versions[0], "bin")}/`;
}

/** PostgreSQL refuses to run as root: then it runs as the user that its package has made. */
function unprivileged(): string[] {
  if (process.getuid?.() !== 0) return [];
  return ["--reuid=postgres", "--regid=postgres", "--clear-groups"];
}

async function startPostgresql(): Promise<Postgresql> {
  const directory = temporaryDirectory("sluice-postgresql");
  const data = join(directory, "data");
  const environment = { PATH: process.env.PATH ?? "", LC_ALL: "C.UTF-8", PGPASSWORD: PASSWORD };
  const user = unprivileged();
  const passwordFile = join(directory, "password");
  writeFileSync(passwordFile, PASSWORD);
  if (user.length > 0) execFileSync("chown", ["-R", "postgres:", directory]);
  else chmodSync(passwordFile, 0o600);
  const options = ["-D", data, "-U", "sluice", "-E", "UTF8", "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "--no-sync"];
  execFileSync("setpriv", [...user, `${programs()}initdb`, ...options], { cwd: directory, env: environment, stdio: "pipe" });

  let server: Started | undefined;
  let port = 0;

  function query(sql: string): string {
    const url = `postgresql://sluice@127.0.0.1:${port}/postgres`;
    return execFileSync(`${programs()}psql`, ["-X", "-A", "-t", "-q", "-c", sql, url], { env: environment, encoding: "utf8", stdio: "pipe" }).trim();
  }

  function isUp(): boolean {
    try {
      return query("SELECT 1") === "1";
    } catch {
      return false;
    }
  }

  async function up(): Promise<void> {
    const settings = ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=16MB", "max_connections=20", "dynamic_shared_memory_type=mmap"];
    const args = ["-D", data, "-k", directory, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
    server = start("setpriv", [...user, "--pdeathsig", "QUIT", `${programs()}postgres`, ...args], environment);
    await eventually("the database answers, or has ended", () => isUp() || !server!.isRunning());
    if (!server.isRunning()) throw new Error(`PostgreSQL did not start: ${server.output()}`);
  }

  async function down(): Promise<void> {
    if (server === undefined) return;
    // SIGINT: without waiting for the clients to leave.
    if (server.isRunning()) process.kill(server.pid, "SIGINT");
    await server.ended;
    await server.stop();
    server = undefined;
  }

  for (let tries = 1; server === undefined; tries += 1) {
    [port = 0] = await freePorts(1);
    try {
      await up();
    } catch (error) {
      await down();
      if (tries === 3) throw error;
    }
  }

  async function stop(): Promise<void> {
    await down();
    removeDirectory(directory);
  }

  return { url: `postgresql://sluice@127.0.0.1:${port}/postgres`, environment: { PGPASSWORD: PASSWORD }, query, down, up, stop };
}

export { PASSWORD, startPostgresql };
export type { Postgresql };
