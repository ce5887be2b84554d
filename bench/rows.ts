/**
 * The rows of the table. A row that compares CPU time runs wrk on two servers in turns and takes the ratio
 * pair by pair, so that a slow minute of the machine meets both halves of a pair; the middle ratio stands in
 * the table, with the lowest and the highest beside it.
 *
 * Both servers of a pair receive the same bytes, except that each gets the port it listens on as its `Host`,
 * and that Portkey's gateway gets the two headers that tell it where to go.
 */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { answer_of, latency, make_request, sample, type Counter, type Request, type Sample } from "./load.ts";
import { GATEWAY_CORE } from "./machine.ts";
import { bearer_headers, chat_body, CONNECTIONS, REQUESTS, stream_request } from "./requests.ts";
import { API_KEY, start_portkey, type Mock, type Server } from "./servers.ts";
import { median_of, middle_half_of, show, spread_of } from "./statistics.ts";

const run = promisify(execFile);

/** How long and how often to measure. */
interface Effort {
  pairs: number;
  seconds: number;
  warm_seconds: number;
  rounds: number;
  requests_per_round: number;
}

const FULL: Effort = { pairs: 15, seconds: 1, warm_seconds: 2, rounds: 60, requests_per_round: 500 };
const QUICK: Effort = { pairs: 5, seconds: 1, warm_seconds: 1, rounds: 20, requests_per_round: 500 };

/** What every row needs. */
interface Setting {
  mock: Mock;
  floor: Server;
  ours: Server;
  token: string;
  effort: Effort;
}

/** One line of the table, ready to print. */
interface Line {
  what: string;
  ours: string;
  other: string;
  result: string;
  target: string;
  met: boolean;
  load: string;
}

interface Row {
  name: string;
  help: string;
  /** Whether a second floor can stand in the gateway's place. */
  control: boolean;
  measure: (setting: Setting) => Promise<Line[]>;
}

/** Per cent of the gateway's core that something else took. Above this, a row says so. */
const NOTABLE_DISTURBANCE = 10;

/** `12,345/s, cores 98 % and 71 %`, and whether other programs of the machine were in the way. */
function show_load(samples: Sample[], unit: string): string {
  const per_second = Math.round(median_of(samples.map((one) => one.units_per_second)));
  const gateway = median_of(samples.map((one) => one.gateway_core)).toFixed(0);
  const other = median_of(samples.map((one) => one.other_core)).toFixed(0);
  const disturbance = median_of(samples.map((one) => one.gateway_core - one.gateway_share));
  const note = disturbance > NOTABLE_DISTURBANCE ? ` (others took ${disturbance.toFixed(0)} % of the first)` : "";
  return `${per_second.toLocaleString("en")} ${unit}/s, cores ${gateway} % and ${other} %${note}`;
}

/** One server of a pair: how to reach it, and with what. */
interface Side {
  server: Server;
  base: string;
  request: Request;
  connections: number;
}

/** Checks that both answer alike, warms both up, and runs them in turns. */
async function alternate(left: Side, right: Side, effort: Effort, counter?: Counter): Promise<[Sample[], Sample[]]> {
  for (const side of [left, right]) {
    await answer_of(side.server, side.base, side.request);
    await sample(side.server, side.base, side.request, side.connections, effort.warm_seconds);
  }
  const samples: [Sample[], Sample[]] = [[], []];
  for (let pair = 0; pair < effort.pairs; pair++) {
    for (const [number, side] of [left, right].entries()) {
      samples[number]?.push(
        await sample(side.server, side.base, side.request, side.connections, effort.seconds, counter),
      );
    }
  }
  return samples;
}

function ratios_of(over: Sample[], under: Sample[]): number[] {
  return over.map((one, pair) => one.microseconds / (under[pair]?.microseconds ?? NaN));
}

async function must_be_alike(left: Side, right: Side): Promise<void> {
  const expected = await answer_of(left.server, left.base, left.request);
  const received = await answer_of(right.server, right.base, right.request);
  if (expected !== received) {
    throw new Error(`${right.server.name} answered otherwise than ${left.server.name}:\n${received}`);
  }
}

/** The line of a row that compares CPU time with the floor's. */
async function against_floor(
  setting: Setting,
  name: string,
  what: string,
  target: number,
  counter?: Counter,
): Promise<Line[]> {
  const { floor, ours, effort, token } = setting;
  const requested = REQUESTS[name]?.(token);
  if (requested === undefined) {
    throw new Error(`there is no request for ${name}`);
  }
  const { request, where, connections } = requested;
  const left = { server: floor, base: floor[where], request, connections };
  const right = { server: ours, base: ours[where], request, connections };
  await must_be_alike(left, right);
  const [floor_samples, our_samples] = await alternate(left, right, effort, counter);
  const ratio = spread_of(ratios_of(floor_samples, our_samples));
  const unit = counter === undefined ? "requests" : "events";
  return [
    {
      what,
      ours: `${median_of(our_samples.map((one) => one.microseconds)).toFixed(2)} µs`,
      other: `${median_of(floor_samples.map((one) => one.microseconds)).toFixed(2)} µs`,
      result: show(ratio, 2),
      target: `≥ ${target.toFixed(2)}`,
      met: ratio.median >= target,
      load: `${show_load(our_samples, unit)}; floor ${show_load(floor_samples, unit)}`,
    },
  ];
}

async function measure_api_key(setting: Setting): Promise<Line[]> {
  return against_floor(setting, "api-key", "CPU a request, API key, 200-byte prompt (floor ÷ ours)", 0.65);
}

async function measure_jwt(setting: Setting): Promise<Line[]> {
  return against_floor(setting, "jwt", "the same with a JWT, RS256, seen before (floor ÷ ours)", 0.62);
}

async function measure_stream(setting: Setting): Promise<Line[]> {
  const read = async (): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${setting.mock.answers_port}/written`);
    return Number((await response.text()).split("\n")[0]);
  };
  const what = "CPU an event, 150 bytes, one upstream write each (floor ÷ ours)";
  return against_floor(setting, "stream", what, 0.7, { read });
}

async function measure_portkey(setting: Setting): Promise<Line[]> {
  const { mock, ours, effort } = setting;
  const portkey = await start_portkey();
  const body = chat_body("bench");
  const plain = make_request("ours-beside-portkey", bearer_headers(API_KEY), body);
  const directed = make_request(
    "portkey",
    {
      ...bearer_headers(API_KEY),
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": `http://127.0.0.1:${mock.answers_port}/v1`,
    },
    body,
  );
  const [our_samples, portkey_samples] = await alternate(
    { server: ours, base: ours.answers, request: plain, connections: CONNECTIONS },
    { server: portkey, base: portkey.answers, request: directed, connections: CONNECTIONS },
    effort,
  );
  const ratio = spread_of(ratios_of(portkey_samples, our_samples));
  return [
    {
      what: "CPU a request, API key, against Portkey's gateway (theirs ÷ ours)",
      ours: `${median_of(our_samples.map((one) => one.microseconds)).toFixed(2)} µs`,
      other: `${median_of(portkey_samples.map((one) => one.microseconds)).toFixed(0)} µs`,
      result: `${show(ratio, 1)} times`,
      target: "≥ 20 times",
      met: ratio.median >= 20,
      load: `${show_load(our_samples, "requests")}; Portkey ${show_load(portkey_samples, "requests")}`,
    },
  ];
}

async function added_latency(
  setting: Setting,
  what: string,
  request: Request,
  where: "answers" | "firsts",
  target: number,
): Promise<Line> {
  const { floor, ours, effort } = setting;
  const left = { server: floor, base: floor[where], request, connections: 1 };
  const right = { server: ours, base: ours[where], request, connections: 1 };
  await must_be_alike(left, right);
  const until = where === "answers" ? "answer" : "first";
  const rounds = await latency(floor[where], ours[where], request, until, effort.rounds, effort.requests_per_round);
  ours.empty_logs();
  const added = middle_half_of(rounds.map((round) => (round.ours_p99 - round.floor_p99) / 1000));
  const added_middle = median_of(rounds.map((round) => (round.ours_p50 - round.floor_p50) / 1000));
  return {
    what,
    ours: `${(median_of(rounds.map((round) => round.ours_p99)) / 1000).toFixed(0)} µs`,
    other: `${(median_of(rounds.map((round) => round.floor_p99)) / 1000).toFixed(0)} µs`,
    result: `${show(added, 0)} µs`,
    target: `≤ ${target} µs`,
    met: added.median <= target,
    load: `at p50: ${added_middle.toFixed(0)} µs added`,
  };
}

async function measure_latency(setting: Setting): Promise<Line[]> {
  const request = make_request("api-key", bearer_headers(API_KEY), chat_body("bench"));
  return [await added_latency(setting, "added p99, one request at a time", request, "answers", 150)];
}

async function measure_first_token(setting: Setting): Promise<Line[]> {
  const request = stream_request("bench-first");
  return [await added_latency(setting, "added p99 of the time to the first token", request, "firsts", 300)];
}

/** What walk.lua prints: one line for each thing it walked. */
interface Walk {
  what: string;
  unit: string;
  figure: number;
  target: number;
}

async function walk_once(): Promise<Walk[]> {
  const { stdout } = await run("taskset", ["-c", String(GATEWAY_CORE), "luajit", resolve("bench/walk.lua")], {
    env: { ...process.env, SLUICE_LUA: process.env.SLUICE_LUA ?? resolve("dist/lua") },
  });
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Walk);
}

/** In several processes: which traces the JIT compiler chooses differs from one to the next. */
async function measure_walk(setting: Setting): Promise<Line[]> {
  const runs: Walk[][] = [];
  for (let number = 0; number < setting.effort.pairs; number++) {
    runs.push(await walk_once());
  }
  return (runs[0] ?? []).map((walk, subject) => {
    const figures = spread_of(runs.map((walks) => walks[subject]?.figure ?? NaN));
    const more_is_better = walk.unit === "MB/s";
    const digits = more_is_better ? 0 : 2;
    return {
      what: walk.what,
      ours: `${figures.median.toFixed(digits)} ${walk.unit}`,
      other: "",
      result: `${show(figures, digits)} ${walk.unit}`,
      target: `${more_is_better ? "≥" : "≤"} ${walk.target} ${walk.unit}`,
      met: more_is_better ? figures.median >= walk.target : figures.median <= walk.target,
      load: `${runs.length} processes, one core`,
    };
  });
}

const ROWS: Row[] = [
  { name: "api-key", help: "CPU a request with an API key", control: true, measure: measure_api_key },
  { name: "jwt", help: "the same with a JWT", control: true, measure: measure_jwt },
  { name: "stream", help: "CPU an event of a stream", control: true, measure: measure_stream },
  { name: "portkey", help: "CPU a request against Portkey's gateway", control: false, measure: measure_portkey },
  { name: "latency", help: "added p99, one request at a time", control: true, measure: measure_latency },
  { name: "first-token", help: "added p99 of the time to the first token", control: true, measure: measure_first_token },
  { name: "walk", help: "speed of the request walk and of an event's", control: false, measure: measure_walk },
];

export { FULL, QUICK, ROWS, type Line, type Row, type Setting };
