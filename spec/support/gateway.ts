/** Starts a real gateway for a test, and reads what it writes. */

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, freePorts, removeDirectory, ROOT, start, temporaryDirectory } from "./processes.ts";

/** A line of the usage journal, as far as it has a meaning now. */
interface JournalLine {
  id: string;
  time: string;
  tenant: string;
  key: string;
  model: string;
  pool: string;
  endpoint: string;
  attempts: number;
  status: number;
  ending: string;
  input_tokens: number;
  cached_input_tokens: number;
  output_tokens: number;
  usage_from: string;
  reserved_tokens: number | null;
  cost_nano_usd: number;
  free_units: number;
  first_token_ms: number | null;
  duration_ms: number;
  held_ms: number;
  /** Which time ran out, if one did. */
  timeout: "connect" | "read" | "total" | null;
  /** What the tenant's guard found. */
  guard: null | {
    name: string;
    blocked_by: string | null;
    prompt: Finds | null;
    completion: Finds | null;
  };
}

interface Finds {
  flagged: number;
  masked: number;
  blocked: number;
}

interface GatewayOptions {
  /** The YAML file's text. */
  config: string;
  env?: Record<string, string>;
  workers?: number;
  /** Where it runs, and what it leaves stays there; without it a directory is made, and removed at the end. */
  directory?: string;
  /** The current directory of its processes. */
  cwd?: string;
  /** More files beside the YAML, by relative name. */
  files?: Record<string, string | Buffer>;
}

interface Gateway {
  url: string;
  httpsUrl: string;
  adminUrl: string;
  port: number;
  httpsPort: number;
  runDir: string;
  configFile: string;
  /** nginx's master. */
  pid: number;
  /** Replaces the YAML file, in one step. */
  writeConfig(text: string): void;
  /** Replaces a file beside it, in one step. */
  writeFile(name: string, content: string | Buffer): void;
  /** SIGHUP. */
  reload(): void;
  /** The worker processes, those that drain included. */
  workers(): number[];
  journal(): JournalLine[];
  /** The journal's line for a request, as soon as it is there. */
  journalLine(id: string): Promise<JournalLine>;
  accessLog(): string;
  accessLogBytes(): Buffer;
  errorLog(): string;
  /** Everything that was written below the run directory, as one text, and what was printed. */
  everythingWritten(): string;
  /** What `/metrics` says: the value of each series, by its name and labels as they are written. */
  metrics(): Promise<Map<string, number>>;
  stop(): Promise<void>;
}

function replaceFile(path: string, content: string | Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** What the lines of a log say that are whole. The last one may be read while it is written. */
function readLines<Line>(text: string): Line[] {
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Line);
}

/** What all files of a journal say that are in that directory, those that were rotated away included; not those that were compressed. */
function journalIn(logs: string): JournalLine[] {
  return readdirSync(logs, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.startsWith("usage.jsonl") && !entry.name.endsWith(".gz"))
    .flatMap((entry) => readLines<JournalLine>(readFileSync(join(logs, entry.name), "utf8")));
}

/** Every file below a directory. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Reads Prometheus' text format: one entry a series. */
function parseMetrics(text: string): Map<string, number> {
  const series = new Map<string, number>();
  for (const line of text.split("\n")) {
    const parts = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$/.exec(line);
    if (parts?.[1] !== undefined) series.set(parts[1], Number(parts[2]));
  }
  return series;
}

/** The sum of a metric's series that carry all these labels. */
function sumOf(metrics: Map<string, number>, name: string, labels: Record<string, string> = {}): number {
  let sum = 0;
  for (const [series, value] of metrics) {
    const fits = Object.entries(labels).every(([label, wanted]) => series.includes(`${label}="${wanted}"`));
    if ((series === name || series.startsWith(`${name}{`)) && fits) sum += value;
  }
  return sum;
}

function workersOf(master: number): number[] {
  return textOf(`/proc/${master}/task/${master}/children`).split(" ").filter(Boolean).map(Number);
}

async function attempt(options: GatewayOptions, directory: string): Promise<Gateway | string> {
  const [port = 0, httpsPort = 0, adminPort = 0] = await freePorts(3);
  const runDir = options.env?.RUN_DIR ?? join(directory, "run");
  const configFile = join(directory, "sluice.yaml");
  mkdirSync(runDir, { recursive: true });
  replaceFile(configFile, options.config);
  for (const [name, content] of Object.entries(options.files ?? {})) replaceFile(join(directory, name), content);
  const server = start(join(ROOT, "nginx/launch"), [], {
    ...process.env,
    CONFIG: configFile,
    HTTP_PORT: String(port),
    HTTPS_PORT: String(httpsPort),
    ADMIN_PORT: String(adminPort),
    RUN_DIR: runDir,
    WORKERS: String(options.workers ?? 1),
    ...options.env,
  }, options.cwd);
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  const ready = await eventually(
    "the gateway's first answer",
    async () => {
      if (!server.isRunning()) return "ended";
      // nginx writes it when it has its ports. Before, another program that has taken one of them may answer in its place.
      if (textOf(join(runDir, "nginx.pid")).trim() !== String(server.pid)) return undefined;
      const answer = await fetch(`${adminUrl}/healthz`).catch(() => undefined);
      return answer?.ok === true ? "ready" : undefined;
    },
  ).catch(() => "silent");
  const errorLog = (): string => textOf(join(runDir, "logs/error.log"));
  if (ready !== "ready") {
    await server.stop();
    return server.output() + errorLog();
  }

  const journal = (): JournalLine[] => readLines(textOf(join(runDir, "logs/usage.jsonl")));

  return {
    url: `http://127.0.0.1:${port}`,
    httpsUrl: `https://localhost:${httpsPort}`,
    adminUrl,
    port,
    httpsPort,
    runDir,
    configFile,
    pid: server.pid,
    writeConfig: (text) => {
      replaceFile(configFile, text);
    },
    writeFile: (name, content) => {
      replaceFile(join(directory, name), content);
    },
    reload: () => {
      process.kill(server.pid, "SIGHUP");
    },
    workers: () => workersOf(server.pid),
    journal,
    journalLine: (id) =>
      eventually(`the journal's line for ${id}`, () => journal().find((line) => line.id === id)),
    accessLog: () => textOf(join(runDir, "logs/access.log")),
    accessLogBytes: () => (existsSync(join(runDir, "logs/access.log")) ? readFileSync(join(runDir, "logs/access.log")) : Buffer.alloc(0)),
    errorLog,
    everythingWritten: () =>
      filesBelow(runDir)
        .filter((file) => !file.includes("/tls/"))
        .map((file) => `== ${file}\n${readFileSync(file, "latin1")}`)
        .join("\n") + server.output(),
    metrics: async () => parseMetrics(await (await fetch(`${adminUrl}/metrics`)).text()),
    async stop() {
      await server.stop();
      if (options.directory === undefined) removeDirectory(directory);
    },
  };
}

/** Starts a gateway on free ports. Stop it in `afterAll`. Fails with what it said if it doesn't start. */
async function startGateway(options: GatewayOptions): Promise<Gateway> {
  let output = "";
  for (let tries = 0; tries < 3; tries++) {
    const directory = options.directory ?? temporaryDirectory("sluice-gateway");
    const gateway = await attempt(options, directory);
    if (typeof gateway !== "string") return gateway;
    output = gateway;
    if (options.directory === undefined) removeDirectory(directory);
    if (!/Address already in use/i.test(output)) break;
    await sleep(50);
  }
  // What it is about comes last: logs of test runs are read from their end.
  const told = output.split("\n").filter((line) => /\[(emerg|alert|crit|error)\]|sluice: /.test(line));
  throw new Error(`the gateway doesn't start:\n${output}\n${told.slice(0, 5).join("\n")}`);
}

export { journalIn, parseMetrics, readLines, startGateway, sumOf };
export type { Gateway, GatewayOptions, JournalLine };
