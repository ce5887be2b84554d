/**
 * Sends requests and measures: CPU time under load with wrk, and latency one request at a time. Both clients
 * run on the core that the mock is on, so that the gateway has its core to itself.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { busy_percent, core_times, cpu_nanoseconds, GATEWAY_CORE, OTHER_CORE } from "./machine.ts";
import { keep_awake, on_core, working_directory } from "./processes.ts";
import type { Server } from "./servers.ts";

const run = promisify(execFile);

/** The process that keeps the client's core awake; started before the first load. */
let awake = 0;

interface Request {
  /** The file that both clients read: header lines, an empty line, the body. */
  file: string;
  headers: Record<string, string>;
  body: string;
}

/** Counts what one run handles, where that is not wrk's number of requests. */
interface Counter {
  read: () => Promise<number>;
}

/** What one run of wrk showed. A unit is a request, or what the counter counts. */
interface Sample {
  /** CPU time of the gateway's process for each unit, in microseconds. */
  microseconds: number;
  units: number;
  units_per_second: number;
  /** Bytes that all answers took on the wire. */
  bytes: number;
  /** How busy both cores were (what keeps the second awake left out), and the gateway's own share of the first, in per cent. */
  gateway_core: number;
  other_core: number;
  gateway_share: number;
}

/** Percentiles of one round on both servers, in nanoseconds. */
interface Round {
  floor_p50: number;
  floor_p99: number;
  ours_p50: number;
  ours_p99: number;
}

/** Runs a command on the client's core and returns what it printed. */
async function run_beside(command: string[]): Promise<string> {
  const [program = "", ...parameters] = on_core(OTHER_CORE, command);
  const { stdout } = await run(program, parameters);
  return stdout;
}

function make_request(name: string, headers: Record<string, string>, body: string): Request {
  const file = join(working_directory(), `${name}.request`);
  const lines = Object.entries(headers).map(([key, value]) => `${key}: ${value}`);
  writeFileSync(file, `${lines.join("\n")}\n\n${body}`);
  return { file, headers, body };
}

/** Headers as the first of several requests has them: `load.lua` tells. */
function first_headers(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replace(/<1-\d+>/, "1")]));
}

/** One request; its whole answer, or an error that shows what came instead. */
async function answer_of(server: Server, base: string, request: Request): Promise<string> {
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: first_headers(request.headers),
    body: request.body,
  });
  const text = await response.text();
  if (response.status !== 200) {
    throw new Error(`${server.name} answered ${response.status}: ${text.slice(0, 500)}`);
  }
  return text;
}

/**
 * Runs wrk against one server and reads the CPU time of its process before and after.
 *
 * @param seconds whole seconds
 */
async function sample(
  server: Server,
  base: string,
  request: Request,
  connections: number,
  seconds: number,
  counter?: Counter,
): Promise<Sample> {
  awake ||= keep_awake();
  const counted_before = (await counter?.read()) ?? 0;
  const began = performance.now();
  const cores_before = core_times();
  const cpu_before = cpu_nanoseconds(server.pid);
  const awake_before = cpu_nanoseconds(awake);
  const stdout = await run_beside([
    ...["wrk", "-t", "1", "-c", String(connections), "-d", `${seconds}s`],
    ...["-s", resolve("bench/load.lua"), `${base}/v1/chat/completions`, "--", request.file],
  ]);
  const awake_share = (cpu_nanoseconds(awake) - awake_before) / 1e4 / (performance.now() - began);
  const cpu = cpu_nanoseconds(server.pid) - cpu_before;
  const cores_after = core_times();
  const took = performance.now() - began;
  const counted_after = await counter?.read();
  const line = stdout.slice(stdout.indexOf('{"requests"'));
  const result = JSON.parse(line) as Record<"requests" | "bytes" | "microseconds" | "failed" | "refused", number>;
  const units = counted_after === undefined ? result.requests : counted_after - counted_before;
  if (units === 0 || result.failed > 0 || result.refused > 0) {
    throw new Error(`${server.name} did not answer every request well: ${line}`);
  }
  server.empty_logs();
  return {
    microseconds: cpu / 1000 / units,
    units,
    units_per_second: (units / result.microseconds) * 1e6,
    bytes: result.bytes,
    gateway_core: busy_percent(cores_before, cores_after, GATEWAY_CORE),
    other_core: busy_percent(cores_before, cores_after, OTHER_CORE) - awake_share,
    gateway_share: cpu / 1e4 / took,
  };
}

/** Rounds of single requests, in turns on the floor and on ours. `what`: until the last byte, or the body's first. */
async function latency(
  floor: string,
  ours: string,
  request: Request,
  what: "answer" | "first",
  rounds: number,
  requests: number,
): Promise<Round[]> {
  awake ||= keep_awake();
  const stdout = await run_beside([
    ...["luajit", resolve("bench/latency.lua"), new URL(floor).port, new URL(ours).port],
    ...[request.file, what, String(rounds), String(requests)],
  ]);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Round);
}

export { answer_of, latency, make_request, sample, type Counter, type Request, type Round, type Sample };
