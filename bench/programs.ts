/**
 * The rows of programs that run by themselves, without nginx: the walk, the guard's scan, and what it takes to have a
 * list of words ready. Each runs in several processes: which traces the JIT compiler chooses differs from one to the next.
 */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import type { Search } from "./aho_corasick.ts";
import { GATEWAY_CORE } from "./machine.ts";
import { working_directory } from "./processes.ts";
import type { Line, Setting, Table } from "./row.ts";
import { median_of, show, spread_of } from "./statistics.ts";

const run = promisify(execFile);

/** Where several things take long, so many fewer processes do. */
const LONG = 3;

/** What walk.lua and lexicon.lua print: a line for each figure. No target: 0. */
interface Figure {
  name: string;
  what: string;
  unit: string;
  figure: number;
  target: number;
}

const DIGITS: Record<string, number> = { "MB/s": 0, "µs": 2, ns: 0, s: 2, MB: 1, ms: 1, "%": 0 };

async function output_of(command: string[]): Promise<string> {
  const { stdout } = await run("taskset", ["-c", String(GATEWAY_CORE), ...command], {
    env: { ...process.env, SLUICE_LUA: process.env.SLUICE_LUA ?? resolve("dist/lua") },
  });
  return stdout.trim();
}

async function figures_of(program: string, ...parameters: string[]): Promise<Figure[]> {
  const stdout = await output_of(["luajit", resolve("bench", program), ...parameters, working_directory()]);
  return stdout.split("\n").map((line) => JSON.parse(line) as Figure);
}

/** How often a row runs programs that take long. */
function few_times(setting: Setting): number {
  return Math.ceil(setting.effort.turns / LONG);
}

/** Lines of the figures that several processes have printed. */
function lines_of(runs: Figure[][]): Line[] {
  return (runs[0] ?? []).map((first, index) => {
    const figures = spread_of(runs.map((one) => one[index]?.figure ?? NaN));
    const { what, unit, target } = first;
    const more_is_better = unit === "MB/s";
    const digits = DIGITS[unit] ?? 2;
    const met = more_is_better ? figures.median >= target : figures.median <= target;
    return {
      what,
      ours: `${figures.median.toFixed(digits)} ${unit}`,
      other: "",
      result: `${show(figures, digits)} ${unit}`,
      ...(target === 0 ? { target: "" } : { target: `${more_is_better ? "≥" : "≤"} ${target} ${unit}`, met }),
      load: `${runs.length} processes, one core`,
    };
  });
}

async function measure_lexicon(setting: Setting): Promise<Line[]> {
  const runs: Figure[][] = [];
  for (let number = 0; number < few_times(setting); number++) {
    runs.push([...(await figures_of("lexicon.lua", "compile")), ...(await figures_of("lexicon.lua", "map"))]);
  }
  return lines_of(runs);
}

async function measure_walk(setting: Setting): Promise<Line[]> {
  const runs: Figure[][] = [];
  for (let number = 0; number < setting.effort.turns; number++) {
    runs.push(await figures_of("walk.lua"));
  }
  return lines_of(runs);
}

/** What costs.lua prints: by guard, nanoseconds a byte of one kind of text. */
interface Costs {
  kind: string;
  guards: string[];
  figures: number[];
}

async function measure_costs(setting: Setting): Promise<Table[]> {
  const runs: Costs[][] = [];
  for (let number = 0; number < few_times(setting); number++) {
    const stdout = await output_of(["luajit", resolve("bench/costs.lua"), working_directory()]);
    runs.push(stdout.split("\n").map((line) => JSON.parse(line) as Costs));
  }
  const rows = (runs[0] ?? []).map(({ kind, guards }, row) => [
    kind,
    ...guards.map((_, guard) => median_of(runs.map((one) => one[row]?.figures[guard] ?? NaN)).toFixed(1)),
  ]);
  return [
    {
      title: "What a byte of text costs",
      headings: ["ns a byte", ...(runs[0]?.[0]?.guards ?? [])],
      rows,
      notes: [
        `A chat request of 30 kB is walked and scanned, without nginx (costs.lua); ${runs.length} processes, the middle one. CPU time.`,
        "Among digits with blanks there are mobile numbers, written digit by digit: what they cost more is the finds. The mixed text has addresses in it.",
        "`words`: a few words. `strict`: those, `cn_mobile`, `cn_id_card`, `payment_card`, `email`, as at the head of docs/guard.md. `numbers`: all patterns of digits. `list`: 4,000 words. `everything`: those, and all patterns.",
      ],
    },
  ];
}

async function measure_pick(setting: Setting): Promise<Line[]> {
  const runs: Figure[][] = [];
  for (let number = 0; number < setting.effort.turns; number++) {
    runs.push(await figures_of("pick.lua"));
  }
  return lines_of(runs);
}

async function search_once(): Promise<Search> {
  const program = resolve("dist/bench/aho_corasick.js");
  return JSON.parse(await output_of([process.execPath, "--expose-gc", program, working_directory()])) as Search;
}

/** What is compared with the package: the name of our figure, theirs, and whether more is better. */
const COMPARED: { name: string; what: string; theirs: keyof Search; more_is_better: boolean }[] = [
  { name: "compile", what: "word list made ready, against ahocorasick (theirs ÷ ours)", theirs: "build", more_is_better: false },
  { name: "memory", what: "memory that it takes then (theirs ÷ ours)", theirs: "memory", more_is_better: false },
  { name: "scan Chinese", what: "scan alone, Chinese (ours ÷ theirs)", theirs: "Chinese", more_is_better: true },
  { name: "scan English", what: "scan alone, English (ours ÷ theirs)", theirs: "English", more_is_better: true },
];

/** The guard against a package from npm, on the same words and texts, in turns. */
async function measure_search(setting: Setting): Promise<Line[]> {
  const runs: { ours: Figure[]; theirs: Search }[] = [];
  for (let number = 0; number < few_times(setting); number++) {
    const compiled = await figures_of("lexicon.lua", "compile");
    runs.push({ ours: [...compiled, ...(await figures_of("walk.lua"))], theirs: await search_once() });
  }
  return COMPARED.map(({ name, what, theirs, more_is_better }) => {
    const found = runs.map((one) => one.ours.find((figure) => figure.name === name));
    const unit = found[0]?.unit ?? "";
    const ours = found.map((figure) => figure?.figure ?? NaN);
    const others = runs.map((one) => one.theirs[theirs]);
    const ratios = ours.map((our, index) => {
      const other = others[index] ?? NaN;
      return more_is_better ? our / other : other / our;
    });
    return {
      what,
      ours: `${median_of(ours).toFixed(DIGITS[unit] ?? 2)} ${unit}`,
      other: `${median_of(others).toFixed(DIGITS[unit] ?? 2)} ${unit}`,
      result: `${show(spread_of(ratios), 1)} times`,
      target: "",
      load: `${runs.length} processes of each, in turns, one core`,
    };
  });
}

export { measure_costs, measure_lexicon, measure_pick, measure_search, measure_walk };
