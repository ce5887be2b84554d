/**
 * The table that compares ways of choosing an endpoint: simulated vLLM servers, conversations that grow, and in the middle of it one
 * of the servers is killed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { EngineOptions } from "../spec/support/mock/vllm/engine.ts";
import type { ServerTotals } from "../spec/support/mock/vllm/main.ts";
import { NGINX_BALANCES, start_balancer, start_endpoints } from "./balancing_servers.ts";
import { begin_traffic, type Asked, type Shape } from "./conversations.ts";
import { is_stopping } from "./processes.ts";
import type { Setting, Table } from "./row.ts";
import { API_KEY } from "./servers.ts";

const BALANCES = ["round_robin", "least_load", "prefix", ...Object.keys(NGINX_BALANCES)];

const ENDPOINTS = 8;
const SEED = 20251;
/** A tenth of a millisecond for a token read: a small model on a small GPU. The cache has room for about eight conversations. */
const ENGINE: EngineOptions = { mostRunning: 16, blockTokens: 16, cacheBlocks: 1600, prefillMs: 0.1, stepMs: 8, sequenceMs: 1 };
/** Keeps the endpoints 80 to 90 % busy with reading where a conversation goes to any of them in turn. */
const SHAPE: Shape = {
  conversations: 50,
  shared_tokens: 1000,
  question_tokens: [100, 400],
  answer_tokens: [16, 48],
  most_turns: 12,
  think_ms: 260,
};
const WARM_SECONDS = 10;
const HEALTHY_SECONDS = 14;
const KILLED_SECONDS = 13;
const QUICK = 0.4;
/** The server that is killed. */
const VICTIM = 3;

const HEADINGS = [
  "balance", "first token p50", "p90", "prompt tokens cached", "greatest load ÷ mean", "errors", "requests", "busy reading",
];

/** What one part of a run showed. */
interface Part {
  asked: Asked[];
  before: ServerTotals[];
  after: ServerTotals[];
  milliseconds: number;
}

interface Run {
  balance: string;
  healthy: Part;
  killed: Part;
}

function percentile(sorted: number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

function sum_of(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** By server that lives at the end, how much a sum has grown. */
function growth(part: Part, of: (totals: ServerTotals) => number): number[] {
  return part.after.flatMap((totals, number) => {
    const before = part.before[number];
    return totals.alive && before !== undefined ? [of(totals) - of(before)] : [];
  });
}

function cells_of(balance: string, part: Part): string[] {
  const answered = part.asked.filter(({ failure }) => failure === undefined);
  const first = answered.flatMap(({ first_ms }) => (first_ms === undefined ? [] : [first_ms])).sort((left, right) => left - right);
  const cached = sum_of(answered.map(({ cached_tokens }) => cached_tokens)) / sum_of(answered.map(({ prompt_tokens }) => prompt_tokens));
  const loads = growth(part, ({ loadMs }) => loadMs);
  const busy = sum_of(growth(part, ({ prefillMs }) => prefillMs)) / (part.milliseconds * loads.length);
  return [
    balance in NGINX_BALANCES ? `nginx: ${balance.replace("nginx_", "")}` : balance,
    `${percentile(first, 0.5).toFixed(0)} ms`,
    `${percentile(first, 0.9).toFixed(0)} ms`,
    `${(cached * 100).toFixed(0)} %`,
    (Math.max(...loads) / (sum_of(loads) / loads.length)).toFixed(2),
    String(part.asked.length - answered.length),
    String(part.asked.length),
    `${(busy * 100).toFixed(0)} %`,
  ];
}

/** Says what went wrong, and how often. */
function tell_failures(balance: string, asked: Asked[]): void {
  const counts = new Map<string, number>();
  for (const { failure } of asked) {
    if (failure !== undefined) {
      counts.set(failure, (counts.get(failure) ?? 0) + 1);
    }
  }
  for (const [failure, count] of counts) {
    process.stderr.write(`bench: ${balance}: ${count} times ${failure}\n`);
  }
}

async function run_once(balance: string, scale: number): Promise<Run> {
  const endpoints = await start_endpoints(`endpoints-of-${balance}`, ENDPOINTS, ENGINE);
  try {
    const balancer = await start_balancer(balance, endpoints.ports);
    try {
      const traffic = begin_traffic(balancer.base, API_KEY, SEED, SHAPE);
      await sleep(WARM_SECONDS * scale * 1000);
      const marks: { at: number; totals: ServerTotals[] }[] = [{ at: performance.now(), totals: await endpoints.totals() }];
      await sleep(HEALTHY_SECONDS * scale * 1000);
      marks.push({ at: performance.now(), totals: await endpoints.totals() });
      await endpoints.kill(VICTIM);
      await sleep(KILLED_SECONDS * scale * 1000);
      marks.push({ at: performance.now(), totals: await endpoints.totals() });
      await traffic.stop();
      const part = (number: number): Part => {
        const from = marks[number]?.at ?? NaN;
        const to = marks[number + 1]?.at ?? NaN;
        return {
          // A request that the killing met had begun before it.
          asked: traffic.asked.filter(({ ended }) => ended >= from && ended < to),
          before: marks[number]?.totals ?? [],
          after: marks[number + 1]?.totals ?? [],
          milliseconds: to - from,
        };
      };
      const run = { balance, healthy: part(0), killed: part(1) };
      tell_failures(balance, [...run.healthy.asked, ...run.killed.asked]);
      return run;
    } finally {
      balancer.stop();
    }
  } finally {
    endpoints.stop();
  }
}

/** Measures the ways one after another. One that can't be measured is a line that says so, and the run has failed. */
async function measure_balancing(setting: Setting): Promise<Table[]> {
  const scale = setting.quick ? QUICK : 1;
  const healthy: string[][] = [];
  const killed: string[][] = [];
  for (const balance of setting.balances.length > 0 ? setting.balances : BALANCES) {
    if (is_stopping()) {
      return [];
    }
    process.stderr.write(`bench: balancing, ${balance} …\n`);
    try {
      const run = await run_once(balance, scale);
      healthy.push(cells_of(balance, run.healthy));
      killed.push(cells_of(balance, run.killed));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      process.stderr.write(`bench: balancing, ${balance}: ${reason}\n`);
      process.exitCode = 1;
      healthy.push([balance, "could not be measured"]);
      killed.push([balance, "could not be measured"]);
    }
  }
  const notes = [
    `${ENDPOINTS} simulated vLLM servers (spec/support/mock/vllm), which read ${1000 / ENGINE.prefillMs} tokens a second and cache ` +
      `${ENGINE.cacheBlocks * ENGINE.blockTokens} each; ${SHAPE.conversations} conversations at a time of ${SHAPE.most_turns} turns, the first ` +
      `${SHAPE.shared_tokens} tokens of all the same. Seed ${SEED}.`,
    '"Errors" are requests that were not answered wholly. "Load" is how many requests a server had under way, on average over time. ' +
      '"Busy reading": how much of the time servers read prompts; the rest of the work is not the bottleneck here.',
    "Whoever gets no answer asks again. Two workers each. nginx: least_conn with a zone, and hash of a session header with `consistent`.",
  ];
  return [
    { title: "Balancing", headings: HEADINGS, rows: healthy, notes },
    { title: "Balancing after one of the servers was killed", headings: HEADINGS, rows: killed, notes: ["Loads are of the servers that were left."] },
  ];
}

export { BALANCES, measure_balancing };
