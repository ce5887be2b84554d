/** Journals with many lines, and the ledger that `sluice usage` makes of them. */

import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, start, type Started } from "./processes.ts";

interface Entry {
  id: string;
  time: string;
  tenant: string;
  key: string | null;
  model: string | null;
  status: number;
  ending: string;
  input_tokens: number;
  cached_input_tokens: number;
  output_tokens: number;
  cost_nano_usd: bigint;
  free_units: number;
  cache_write_tokens: number;
  cache_write_1h_tokens: number;
}

interface Ledger {
  name: string;
  /** What `--database` is given. */
  url: string;
  environment: Record<string, string>;
  /** Runs a statement outside of Sluice. */
  query(sql: string): string;
}

interface Result {
  status: number | null;
  output: string;
  errors: string;
}

/** Numbers from 0 up to 1, always the same for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A seed that is new each time, printed so that a failure can be had again with SEED. */
function seed(): number {
  const drawn = Number(process.env.SEED ?? Math.floor(Math.random() * 4294967296));
  console.log(`SEED=${drawn}`);
  return drawn;
}

function makeEntry(random: () => number, index: number, changes: Partial<Entry> = {}): Entry {
  const pick = <T>(values: T[]): T => values[Math.floor(random() * values.length)]!;
  const input = Math.floor(random() * 5000);
  return {
    id: index.toString(16).padStart(8, "0").padEnd(32, "f"),
    time: new Date(Date.UTC(2026, 9, 1) + Math.floor(random() * 60 * 86400000)).toISOString(),
    tenant: pick(["acme", "globex", "initech"]),
    key: pick(["web", "jwt:someone", null]),
    model: pick(["chat", "cloud", null]),
    status: pick([200, 429, 502]),
    ending: pick(["finished", "client_gone", "budget_cut", "cached"]),
    input_tokens: input,
    cached_input_tokens: Math.floor(input * random()),
    output_tokens: Math.floor(random() * 2000),
    cost_nano_usd: BigInt(Math.floor(random() * 9e15)),
    free_units: Math.floor(random() * 3000),
    cache_write_tokens: Math.floor(input * random()),
    cache_write_1h_tokens: Math.floor(input * random()),
    ...changes,
  };
}

/** The journal's line for an entry, as the gateway writes it. */
function line(entry: Entry): string {
  const text = JSON.stringify({
    id: entry.id, time: entry.time, tenant: entry.tenant, key: entry.key, model: entry.model, pool: "gpu",
    endpoint: "http://10.0.0.11:8000", attempts: 1, status: entry.status, ending: entry.ending, input_tokens: entry.input_tokens,
    cached_input_tokens: entry.cached_input_tokens, output_tokens: entry.output_tokens, usage_from: "upstream", reserved_tokens: 5000,
    cost_nano_usd: "COST", free_units: entry.free_units, cache_write_tokens: entry.cache_write_tokens,
    cache_write_1h_tokens: entry.cache_write_1h_tokens, reasoning_tokens: 1, first_token_ms: 87, duration_ms: 1235, held_ms: 0, guard: null,
  });
  return `${text.replace('"COST"', entry.cost_nano_usd.toString())}\n`;
}

function append(file: string, entries: Entry[]): void {
  appendFileSync(file, entries.map(line).join(""));
}

function environment(ledger: Ledger): Record<string, string | undefined> {
  return { PATH: process.env.PATH, SLUICE_LUA: process.env.SLUICE_LUA, ...ledger.environment };
}

/** Runs `sluice usage` with that ledger, to its end. */
function usage(ledger: Ledger, action: "load" | "report", ...args: string[]): Result {
  const options = { env: environment(ledger) as NodeJS.ProcessEnv, encoding: "utf8" as const, timeout: 60000, maxBuffer: 1 << 28 };
  const result = spawnSync(join(ROOT, "bin/sluice"), ["usage", action, "--database", ledger.url, ...args], options);
  return { status: result.status, output: result.stdout, errors: result.stderr };
}

/** Starts `sluice usage load --follow`. */
function follow(ledger: Ledger, journal: string, ...args: string[]): Started {
  return start(join(ROOT, "bin/sluice"), ["usage", "load", "--database", ledger.url, "--journal", journal, "--follow", ...args], environment(ledger));
}

/** A ledger in a file. */
function sqliteLedger(file: string): Ledger {
  return {
    name: "SQLite",
    url: `sqlite:${file}`,
    environment: {},
    query: (sql) => execFileSync("sqlite3", ["-cmd", ".timeout 20000", file, sql], { encoding: "utf8", stdio: "pipe" }).trim(),
  };
}

/** What a report should say, by a plain computation: rows of the dimensions' values and the figures, as CSV without its header. */
function expected(entries: Entry[], by: ((entry: Entry) => string)[]): string[] {
  const sums = new Map<string, bigint[]>();
  for (const entry of entries) {
    const name = JSON.stringify(by.map((each) => each(entry)));
    const sum = sums.get(name) ?? [0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n];
    const figures = [
      1, entry.input_tokens, entry.cached_input_tokens, entry.output_tokens, entry.free_units, entry.cache_write_tokens,
      entry.cache_write_1h_tokens, entry.cost_nano_usd,
    ];
    sums.set(name, sum.map((so_far, index) => so_far + BigInt(figures[index]!)));
  }
  return [...sums].map(([name, sum]) => [...(JSON.parse(name) as string[]), ...sum.slice(0, 7).map(String), dollars(sum[7]!)].join(",")).sort();
}

function dollars(nano: bigint): string {
  const decimals = (nano % 1000000000n).toString().padStart(9, "0").replace(/0{1,7}$/, "");
  return `${nano / 1000000000n}.${decimals}`;
}

/** The rows of a CSV report, without its header, sorted. */
function rows(result: Result): string[] {
  return result.output.split("\r\n").slice(1, -1).sort();
}

export { append, dollars, expected, follow, line, makeEntry, randomNumbers, rows, seed, sqliteLedger, usage };
export type { Entry, Ledger, Result };
