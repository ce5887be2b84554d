/** Starts the mock model server, and asks it what happened. */

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, freePorts, removeDirectory, ROOT, start, temporaryDirectory } from "./processes.ts";

interface MockRequest {
  sequence: number;
  id: string | null;
  method: string;
  /** As it came, not decoded. */
  uri: string;
  protocol: string;
  tls: string | null;
  server_name: string | null;
  connection: number;
  /** In the order in which they came. */
  headers: [string, string][];
  model: string | null;
  tag: string | null;
  /** In base64; `null` above 1 MiB. */
  body: string | null;
  body_length: number;
  body_sha1: string;
  state: "open" | "finished" | "aborted" | "died";
}

interface MockCounts {
  started: number;
  finished: number;
  aborted: number;
  died: number;
  open: number;
  /** How many were open at a time, at most. */
  most_open: number;
}

/** What a page answers, where that is not the usual. */
interface MockPage {
  status?: number;
  /** A wait before the answer, in milliseconds. */
  delay?: number;
  body?: string;
  /** So many bytes of lines behind it. */
  huge?: number;
}

interface MockOptions {
  workers?: number;
  env?: Record<string, string>;
  /** The current directory of its processes. */
  cwd?: string;
  /** Also serve HTTPS with this certificate and key (paths of PEM files). */
  tls?: { certificate: string; key: string };
}

interface Mock {
  port: number;
  url: string;
  /** `https://localhost:port`, when it serves HTTPS. */
  tlsUrl: string;
  pid: number;
  requests(query?: { id?: string; tag?: string; since?: number; last?: number }): Promise<MockRequest[]>;
  /** The newest request. */
  lastRequest(): Promise<MockRequest>;
  counts(): Promise<MockCounts>;
  /** Makes every request behave as that model name says; an empty one ends it. */
  behave(name: string): Promise<void>;
  /** Sets what `/health` or `/metrics` answers; an empty one ends it. */
  page(path: string, answer: MockPage): Promise<void>;
  /** How often such a page was asked for, and with which headers last. */
  asked(path: string): Promise<{ asked: number; headers: Record<string, string> | null }>;
  stop(): Promise<void>;
}

/** The exact bytes of a request's body. */
function bodyOf(request: MockRequest): Buffer {
  if (request.body === null) throw new Error("the mock keeps no body above 1 MiB");
  return Buffer.from(request.body, "base64");
}

/** The values of a header, whatever the case of its name. */
function headersOf(request: MockRequest, name: string): string[] {
  return request.headers.filter(([header]) => header.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

async function attempt(options: MockOptions, directory: string): Promise<Mock | string> {
  const [port = 0, tlsPort = 0] = await freePorts(2);
  const tls = options.tls && {
    MOCK_TLS_PORT: String(tlsPort),
    MOCK_TLS_CERT: options.tls.certificate,
    MOCK_TLS_KEY: options.tls.key,
  };
  const server = start(join(ROOT, "spec/support/mock/launch"), [], {
    ...process.env,
    MOCK_PORT: String(port),
    RUN_DIR: directory,
    WORKERS: String(options.workers ?? 1),
    ...tls,
    ...options.env,
  }, options.cwd);
  const url = `http://127.0.0.1:${port}`;
  const ready = await eventually(
    "the mock's first answer",
    async () => {
      if (!server.isRunning()) return "ended";
      // nginx writes it when it has its ports. Before, another program that has taken one of them may answer in its place.
      const pidFile = join(directory, "nginx.pid");
      if (!existsSync(pidFile) || readFileSync(pidFile, "utf8").trim() !== String(server.pid)) return undefined;
      const answer = await fetch(`${url}/health`).catch(() => undefined);
      return answer?.ok === true ? "ready" : undefined;
    },
  ).catch(() => "silent");
  if (ready !== "ready") {
    await server.stop();
    return server.output();
  }

  async function ask(path: string): Promise<unknown> {
    const answer = await fetch(url + path);
    if (!answer.ok) throw new Error(`the mock answers ${answer.status} to ${path}`);
    return answer.json();
  }

  async function requests(query: { id?: string; tag?: string; since?: number; last?: number } = {}): Promise<MockRequest[]> {
    const fields = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
    return (await ask(`/mock/requests?${new URLSearchParams(fields).toString()}`)) as MockRequest[];
  }

  return {
    port,
    url,
    tlsUrl: `https://localhost:${tlsPort}`,
    pid: server.pid,
    requests,
    async lastRequest() {
      const [last] = await requests({ last: 1 });
      if (last === undefined) throw new Error("the mock has received nothing");
      return last;
    },
    counts: async () => (await ask("/mock/streams")) as MockCounts,
    async behave(name) {
      await fetch(`${url}/mock/behaviour`, { method: "POST", body: name });
    },
    async page(path, answer) {
      const set = await fetch(`${url}/mock/page?path=${path}`, { method: "POST", body: JSON.stringify(answer) });
      if (!set.ok) throw new Error(`the mock answers ${set.status} to a page`);
    },
    asked: async (path) => (await ask(`/mock/page?path=${path}`)) as { asked: number; headers: Record<string, string> | null },
    async stop() {
      await server.stop();
      removeDirectory(directory);
    },
  };
}

/** Starts a mock on a free port. Stop it in `afterAll`. */
async function startMock(options: MockOptions = {}): Promise<Mock> {
  let output = "";
  for (let tries = 0; tries < 3; tries++) {
    const directory = temporaryDirectory("sluice-mock");
    mkdirSync(directory, { recursive: true });
    const mock = await attempt(options, directory);
    if (typeof mock !== "string") return mock;
    output = mock;
    removeDirectory(directory);
    await sleep(50);
  }
  throw new Error(`the mock doesn't start:\n${output}`);
}

export { bodyOf, headersOf, startMock };
export type { Mock, MockCounts, MockPage, MockRequest };
