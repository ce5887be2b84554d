// Runs the unit tests: each file in a busted of its own, as many at a time as there are cores. A process takes the next file when it has
// done one, so none is idle while another has half of the work left; and no file can lean on what another one has left behind.
//
//   node tools/run_specs.mjs [FOLDER or FILE…]
//
// Prints a line for each file, all that it printed if it has failed, and the sums. Exit status 1 if one has failed.

import { readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

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

const wanted = process.argv.slice(2);
/** Backwards by name: `wire`, which takes longest, comes first, so that nothing long is left for the end. */
const files = (wanted.length > 0 ? wanted : ["spec/unit"]).flatMap(specsBelow).sort().reverse();

const began = Date.now();
const sums = [0, 0, 0, 0];
let failed = 0;

async function runFile(file) {
  let output = "";
  const status = await runWatched("busted", ["--lua=luajit", file], HUNG_SECONDS, (text) => (output += text));
  const found = SUMS.exec(output);
  for (const index of sums.keys()) sums[index] += Number(found?.[index + 1] ?? 0);
  if (status === 0 && found !== null) {
    console.log(`${file}: ${found[0]}`);
  } else {
    failed += 1;
    console.log(`${file}: failed with status ${status}\n${output}`);
  }
}

async function work() {
  for (let file = files.shift(); file !== undefined; file = files.shift()) await runFile(file);
}

const count = files.length;
await Promise.all(Array.from({ length: availableParallelism() }, work));
const [successes, failures, errors, pending] = sums;
const seconds = ((Date.now() - began) / 1000).toFixed(1);
console.log(`${count} files, ${failed} failed: ${successes} successes / ${failures} failures / ${errors} errors / ${pending} pending : ${seconds} seconds`);
process.exitCode = failed > 0 || count === 0 ? 1 : 0;
