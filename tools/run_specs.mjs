// Runs the unit tests: each file in a busted of its own, as many at a time as there are cores. A process takes the next file when it has
// done one, so none is idle while another has half of the work left; and no file can lean on what another one has left behind.
//
//   node tools/run_specs.mjs [--seed N] [--seconds N] [FOLDER or FILE…]
//
// The random tests draw from SLUICE_SPEC_SEED, or from --seed; without either from 1, so that a run can be repeated. --seconds: only
// the files with random tests, over and over, with the next seed each time, until so much time has passed.
// Prints a line for each file, the sums, and at the end all that failed files printed. Exit status 1 if one has failed.

import { readFileSync, readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { runWatched } from "./watched.mjs";

/** busted prints a character for each test. The longest test takes some seconds on an idle core. */
const HUNG_SECONDS = 600;
const SUMS = /^(\d+) success(?:es)? \/ (\d+) failures? \/ (\d+) errors? \/ (\d+) pending : ([\d.]+) seconds$/m;

function specsBelow(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .map((name) => join(path, name))
    .flatMap((below) => (statSync(below).isDirectory() ? specsBelow(below) : below.endsWith("_spec.lua") ? [below] : []));
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { seed: { type: "string" }, seconds: { type: "string" } } });
const firstSeed = Number(values.seed ?? process.env.SLUICE_SPEC_SEED ?? 1);
const seconds = Number(values.seconds ?? 0);
if (!Number.isInteger(firstSeed) || !(seconds >= 0)) {
  console.error("run_specs: expected whole numbers behind --seed and --seconds");
  process.exit(2);
}

/** Backwards by name: `wire`, which takes longest, comes first, so that nothing long is left for the end. */
const files = (positionals.length > 0 ? positionals : ["spec/unit"]).flatMap(specsBelow).sort().reverse();
const drawing = files.filter((file) => /walking\.seed|SLUICE_SPEC_SEED/.test(readFileSync(file, "utf8")));

const began = Date.now();
const sums = [0, 0, 0, 0];
const failures = [];
let count = 0;

const passed = () => (Date.now() - began) / 1000;

async function runFile({ file, seed }) {
  let output = "";
  const command = ["env", [`SLUICE_SPEC_SEED=${seed}`, "busted", "--lua=luajit", file]];
  const status = await runWatched(...command, HUNG_SECONDS, (text) => (output += text));
  const found = SUMS.exec(output);
  count += 1;
  for (const index of sums.keys()) sums[index] += Number(found?.[index + 1] ?? 0);
  const failed = status !== 0 || found === null;
  if (failed) failures.push(`${file}: failed with status ${status}; again: SLUICE_SPEC_SEED=${seed} busted --lua=luajit ${file}\n${output}`);
  console.log(`${file}: ${failed ? "failed, see below" : found[0]}`);
}

/** What to run, one after the other. */
function* runs() {
  if (seconds === 0) {
    for (const file of files) yield { file, seed: firstSeed };
    return;
  }
  for (let seed = firstSeed; drawing.length > 0; seed += 1) {
    for (const file of drawing) {
      if (passed() >= seconds) return;
      yield { file, seed };
    }
  }
}

const left = runs();

async function work() {
  for (let next = left.next(); !next.done; next = left.next()) await runFile(next.value);
}

await Promise.all(Array.from({ length: availableParallelism() }, work));
for (const failure of failures) console.log(`\n${failure}`);
const [successes, failed, errors, pending] = sums;
console.log(
  `${count} files, ${failures.length} failed: ${successes} successes / ${failed} failures / ${errors} errors / ${pending} pending : ` +
    `${passed().toFixed(1)} seconds`,
);
process.exitCode = failures.length > 0 || count === 0 ? 1 : 0;
