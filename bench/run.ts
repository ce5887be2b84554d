/**
 * The benchmark: CPU time of the gateway's worker as a ratio to the floor's, an nginx that only passes on.
 * It runs one worker on core 0, wrk and the mock on core 1, prints a table, and, after a full run, writes it
 * to bench/RESULTS.md.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { BALANCES } from "./balancing.ts";
import { make_issuer } from "./issuer.ts";
import { versions } from "./machine.ts";
import { is_stopping, run_program } from "./processes.ts";
import { results_page, table_of, tables_of } from "./report.ts";
import { is_table, type Line, type Setting, type Table } from "./row.ts";
import { FULL, QUICK, ROWS } from "./rows.ts";
import { NGINX, PORTKEY, start_floor, start_gateway, start_mock } from "./servers.ts";
import { write_texts } from "./texts.ts";
import { make_word_files } from "./words.ts";

const MOST_SECONDS = 1200;

function help(): string {
  const rows = ROWS.map((row) => `  ${row.name.padEnd(13)} ${row.help}`).join("\n");
  return `bench/run [--quick] [--control] [--balances NAME,…] [row …]

Measures the gateway built in dist/lua. Without rows: all of them.

  --quick      fewer and shorter runs, about four minutes; bench/RESULTS.md stays as it is
  --balances   what the row balancing compares: ${BALANCES.join(", ")}
  --control    measures a second floor in the gateway's place: how much of a figure is noise

Rows:
${rows}

A full run writes bench/RESULTS.md. Environment: NGINX, SLUICE_LUA, GATEWAY_LAUNCH (another launcher than
nginx/launch), BENCH_WORDS (a list of words for the guard, in UTF-8, instead of one that is made), BENCH_KEEP (keep
the temporary directory).
`;
}

async function measure(names: string[], balances: string[], quick: boolean, control: boolean): Promise<void> {
  const chosen = ROWS.filter((row) => (names.length === 0 || names.includes(row.name)) && (row.control || !control));
  const mock = await start_mock();
  const issuer = make_issuer();
  const words = make_word_files();
  const files = { public_key_file: issuer.public_key_file, words_file: words.many };
  write_texts();
  const floor = await start_floor(mock);
  const ours = control
    ? await start_floor(mock, "second-floor")
    : await start_gateway(mock, files);
  const setting: Setting = { mock, files, floor, ours, tokens: issuer.tokens, effort: quick ? QUICK : FULL, quick, balances };
  const packages = { "Portkey's gateway": PORTKEY, ahocorasick: resolve("bench/node_modules/ahocorasick") };
  const facts = [...versions(NGINX, mock.lua_versions, packages), ["word list", words.description] as [string, string]];
  const lines: Line[] = [];
  const tables: Table[] = [];
  for (const row of chosen) {
    process.stderr.write(`bench: ${row.name} …\n`);
    try {
      for (const result of await row.measure(setting)) {
        if (is_table(result)) {
          tables.push(result);
        } else {
          lines.push(result);
        }
      }
    } catch (error) {
      if (is_stopping()) {
        return;
      }
      process.stderr.write(`bench: ${row.name}: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  }
  if (is_stopping()) {
    return;
  }
  process.stdout.write(`${facts.map(([name, version]) => `${name}: ${version}`).join("\n")}\n\n`);
  const parts = [...(lines.length > 0 ? [table_of(lines)] : []), ...(tables.length > 0 ? [tables_of(tables)] : [])];
  process.stdout.write(parts.join("\n"));
  if (!quick && !control && names.length === 0 && balances.length === 0 && process.exitCode === undefined) {
    writeFileSync(resolve("bench/RESULTS.md"), results_page(facts, lines, tables, new Date()));
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: "boolean" }, control: { type: "boolean" }, balances: { type: "string" }, help: { type: "boolean" } },
  });
  if (values.help) {
    process.stdout.write(help());
    return;
  }
  const unknown = positionals.filter((name) => !ROWS.some((row) => row.name === name));
  if (unknown.length > 0) {
    process.stderr.write(`bench: no such row: ${unknown.join(", ")}\n\n${help()}`);
    process.exitCode = 2;
    return;
  }
  if (cpus().length < 2) {
    process.stderr.write("bench: two cores are needed, one for the gateway and one for its client\n");
    process.exitCode = 1;
    return;
  }
  const balances = values.balances?.split(",").filter(Boolean) ?? [];
  await measure(positionals, balances, values.quick ?? false, values.control ?? false);
}

await run_program("bench", MOST_SECONDS, main);
