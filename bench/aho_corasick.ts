/**
 * What the guard's scan is compared with: the package ahocorasick, which does the same in plain JavaScript. A process
 * of its own:
 *
 *     node --expose-gc aho_corasick.js DIRECTORY
 *
 * DIRECTORY has the list many.txt and the texts Chinese.txt and English.txt. Prints what is in `Search`, as JSON. The
 * package knows no folding, no separators, no whole words, and it reads text that is decoded already.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { cpu_nanoseconds } from "./machine.ts";
import { median_of } from "./statistics.ts";
import { words_in } from "./words.ts";

const WARM_ROUNDS = 4;
const ROUNDS = 7;
const SEARCHED_BYTES = 3000000;

/** What is measured: seconds, megabytes, and megabytes a second. */
interface Search {
  build: number;
  memory: number;
  Chinese: number;
  English: number;
}

/** The package's class. */
type AhoCorasick = new (words: string[]) => { search: (text: string) => unknown[] };

/** Megabytes that live objects take, after what is dead has been cleared away. */
function live_megabytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1e6;
}

/** CPU seconds of this process, all its threads together. */
function cpu_seconds(): number {
  return cpu_nanoseconds(process.pid) / 1e9;
}

/** Searches each text in turns, so that the compiler has seen them all. */
function search_speeds(search: (text: string) => unknown[], texts: string[]): number[] {
  const speeds: number[][] = texts.map(() => []);
  for (let round = -WARM_ROUNDS; round < ROUNDS; round++) {
    for (const [number, text] of texts.entries()) {
      const bytes = Buffer.byteLength(text);
      const repeats = Math.ceil(SEARCHED_BYTES / bytes);
      const began = cpu_seconds();
      for (let repeat = 0; repeat < repeats; repeat++) {
        search(text);
      }
      const seconds = cpu_seconds() - began;
      if (round >= 0) {
        speeds[number]?.push((bytes * repeats) / seconds / 1e6);
      }
    }
  }
  return speeds.map(median_of);
}

function main(): void {
  const directory = process.argv[2] ?? ".";
  const from_bench = createRequire(resolve("bench/package.json"));
  const Package = from_bench("ahocorasick") as AhoCorasick;
  const text_of = (language: string): string => readFileSync(join(directory, `${language}.txt`), "utf8");
  const texts = [text_of("Chinese"), text_of("English")];
  const file = join(directory, "many.txt");
  const before = live_megabytes();
  const began = cpu_seconds();
  const matcher = new Package(words_in(file));
  const build = cpu_seconds() - began;
  const memory = live_megabytes() - before;
  const [Chinese = NaN, English = NaN] = search_speeds((text) => matcher.search(text), texts);
  const result: Search = { build, memory, Chinese, English };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

main();

export { type Search };
