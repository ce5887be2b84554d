/**
 * Runs real clients, which `make test-clients` installs below dist/clients, against a real gateway. Each has a home of its own, and a proxy
 * that lets nothing through: whatever would leave this machine ends there, and is noted.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { ROOT, start } from "./processes.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import type { AgentUpstream } from "./agent_upstream.ts";

/** The API key of the tenant whose clients these are. */
const AGENTS_KEY = "sk-sluice-client-key-of-the-agents-012345";
/** What the clients call their models: names that they know. */
const CLAUDE_MODEL = "claude-sonnet-4-5";
const GPT_MODEL = "gpt-5-codex";
const PACKAGES = join(ROOT, "dist/clients/node_modules");
/** No client takes so long over one turn, on the busiest of machines. */
const TURN_MS = 90000;

/** The one path below `folder` that a pattern of names leads to: a program that npm has installed for this machine. */
function installed(folder: string, ...names: RegExp[]): string {
  const [name, ...rest] = names;
  if (name === undefined) return folder;
  const found = existsSync(folder) ? readdirSync(folder).find((each) => name.test(each)) : undefined;
  if (found === undefined) throw new Error(`nothing like ${name.source} in ${folder}: run make test-clients`);
  return installed(join(folder, found), ...rest);
}

/** Loads a package for Node. What it exports is told by `T`. */
async function loadPackage<T>(entry: string): Promise<T> {
  return (await import(pathToFileURL(join(PACKAGES, entry)).href)) as T;
}

/** A gateway with one model for each of the two APIs. */
function startAgentGateway(upstream: AgentUpstream, more: Record<string, unknown> = {}): Promise<Gateway> {
  const keys = [{ id: "account", secret: "sk-account-of-the-agents" }];
  // Else the gateway itself would ask again, and no client would have to.
  const retries = { attempts: 1 };
  return startGateway({
    config: JSON.stringify({
      tenants: [{ id: "agents", api_keys: [{ id: "key", secret: AGENTS_KEY }] }],
      models: [{ name: CLAUDE_MODEL, pool: "anthropic" }, { name: GPT_MODEL, pool: "openai" }],
      pools: [
        { name: "anthropic", api: "anthropic", endpoints: [{ url: upstream.url }], keys, retries },
        { name: "openai", endpoints: [{ url: upstream.url }], keys, retries },
      ],
      ...more,
    }),
  });
}

interface NoWayOut {
  /** What a client's environment needs, for nothing but this machine to be reached. */
  env: Record<string, string>;
  /** The first line of whatever was to leave this machine. */
  attempts: string[];
  stop(): Promise<void>;
}

/** A proxy that only notes what it is asked for. */
async function startNoWayOut(): Promise<NoWayOut> {
  const attempts: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (data: Buffer) => {
      attempts.push(data.toString("latin1").split("\r\n")[0] ?? "");
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  const proxy = `http://127.0.0.1:${address.port}`;
  const local = "127.0.0.1,localhost";
  return {
    env: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, ALL_PROXY: proxy, http_proxy: proxy, https_proxy: proxy, all_proxy: proxy, NO_PROXY: local, no_proxy: local },
    attempts,
    async stop() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Turn {
  status: number | null;
  output: string;
  /** The lines of its output that are JSON objects. */
  events: Record<string, unknown>[];
}

/** Runs a client's program for one turn, in a folder below its home. Ends it if it takes too long. */
async function runTurn(program: string, args: string[], home: string, env: Record<string, string>): Promise<Turn> {
  const folder = join(home, "work");
  mkdirSync(folder, { recursive: true });
  const client = start(program, args, { PATH: process.env.PATH, HOME: home, ...env }, folder);
  const ended = await Promise.race([client.ended, sleep(TURN_MS, "late" as const, { ref: false })]);
  await client.stop();
  const output = client.output();
  if (ended === "late") throw new Error(`${program} took longer than ${TURN_MS} ms:\n${output}`);
  const events = output.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as Record<string, unknown>);
  return { status: ended, output, events };
}

/** The lines of all transcripts below a folder. A home has one of them for each conversation. */
function transcript<Line>(folder: string): Line[] {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".jsonl"))
    .map((entry) => join(entry.parentPath, entry.name));
  return files.flatMap((file) => readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line) as Line));
}

export { AGENTS_KEY, CLAUDE_MODEL, GPT_MODEL, PACKAGES, installed, loadPackage, runTurn, startAgentGateway, startNoWayOut, transcript };
export type { NoWayOut, Turn };
