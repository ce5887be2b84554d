/**
 * The rows of the table. A row that compares CPU time runs wrk on its servers in turns and takes the ratio
 * turn by turn, so that a slow minute of the machine meets all of them; the middle ratio stands in
 * the table, with the lowest and the highest beside it.
 *
 * All servers of a row receive the same bytes, except that each gets the port it listens on as its `Host`, that
 * the credentials say whether there is a guard, and that Portkey's gateway gets the two headers that tell it where
 * to go.
 */
import { measure_balancing } from "./balancing.ts";
import { answer_of, latency, make_request, sample, type Counter, type Request, type Sample } from "./load.ts";
import { measure_costs, measure_lexicon, measure_pick, measure_search, measure_walk } from "./programs.ts";
import { bearer_headers, chat_body, CONNECTIONS, REQUESTS, stream_request } from "./requests.ts";
import type { Effort, Line, Row, Setting } from "./row.ts";
import { API_KEY, NUMBERED_KEY, start_gateway_with_keys, start_gateway_with_redis, start_portkey, type Server } from "./servers.ts";
import { median_of, middle_half_of, show, spread_of } from "./statistics.ts";

const FULL: Effort = { turns: 11, seconds: 1, warm_seconds: 2, rounds: 60, requests_per_round: 500 };
const QUICK: Effort = { turns: 5, seconds: 1, warm_seconds: 1, rounds: 20, requests_per_round: 500 };

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

/** One of those that run in turns: how to reach it, and with what. */
interface Side {
  server: Server;
  base: string;
  request: Request;
  connections: number;
}

/** Warms all sides up and runs them in turns. Returns the samples of each, in the order of the sides. */
async function alternate(sides: Side[], effort: Effort, counter?: Counter): Promise<Sample[][]> {
  for (const side of sides) {
    await answer_of(side.server, side.base, side.request);
    await sample(side.server, side.base, side.request, side.connections, effort.warm_seconds);
  }
  const samples: Sample[][] = sides.map(() => []);
  for (let turn = 0; turn < effort.turns; turn++) {
    for (const [number, side] of sides.entries()) {
      samples[number]?.push(
        await sample(side.server, side.base, side.request, side.connections, effort.seconds, counter),
      );
    }
  }
  return samples;
}

function ratios_of(over: Sample[], under: Sample[]): number[] {
  return over.map((one, turn) => one.microseconds / (under[turn]?.microseconds ?? NaN));
}

async function must_be_alike(left: Side, right: Side): Promise<void> {
  const expected = await answer_of(left.server, left.base, left.request);
  const received = await answer_of(right.server, right.base, right.request);
  if (expected !== received) {
    throw new Error(`${right.server.name} answered otherwise than ${left.server.name}:\n${received}`);
  }
}

/** What a row sends, by the names of the requests and what the line says: the one with the target first. */
interface FloorRow {
  sides: [name: string, what: string][];
  target: number;
  counter?: Counter;
}

function line_beside_floor(what: string, ours: Sample[], floor: Sample[], unit: string, target?: number): Line {
  const ratio = spread_of(ratios_of(floor, ours));
  return {
    what,
    ours: `${median_of(ours.map((one) => one.microseconds)).toFixed(2)} µs`,
    other: `${median_of(floor.map((one) => one.microseconds)).toFixed(2)} µs`,
    result: show(ratio, 2),
    ...(target === undefined ? { target: "" } : { target: `≥ ${target.toFixed(2)}`, met: ratio.median >= target }),
    load: `${show_load(ours, unit)}; floor ${show_load(floor, unit)}`,
  };
}

/** The lines of a row that compares CPU time with the floor's. */
async function against_floor(setting: Setting, row: FloorRow): Promise<Line[]> {
  const side_of = (server: Server, name: string): Side => {
    const requested = REQUESTS[name]?.(setting.tokens);
    if (requested === undefined) {
      throw new Error(`there is no request for ${name}`);
    }
    const { request, where, connections } = requested;
    return { server, base: server[where], request, connections };
  };
  const floor = side_of(setting.floor, row.sides[0]?.[0] ?? "");
  const sides = row.sides.map(([name]) => side_of(setting.ours, name));
  for (const side of sides) {
    await must_be_alike(floor, side);
  }
  const [of_floor = [], ...samples] = await alternate([floor, ...sides], setting.effort, row.counter);
  const unit = row.counter === undefined ? "requests" : "events";
  return row.sides.map(([, what], number) =>
    line_beside_floor(what, samples[number] ?? [], of_floor, unit, number === 0 ? row.target : undefined),
  );
}

/** Counts the events that the mock has written. */
function events_of(setting: Setting): Counter {
  return {
    read: async () => {
      const response = await fetch(`http://127.0.0.1:${setting.mock.answers_port}/written`);
      return Number((await response.text()).split("\n")[0]);
    },
  };
}

async function measure_api_key(setting: Setting): Promise<Line[]> {
  return against_floor(setting, {
    sides: [
      ["api-key-guard", "CPU a request, API key, limits, guard, 200-byte prompt (floor ÷ ours)"],
      ["api-key-limits", "the same without the guard"],
      ["api-key", "the same without guard and limits"],
    ],
    target: 0.6,
  });
}

async function measure_jwt(setting: Setting): Promise<Line[]> {
  return against_floor(setting, {
    sides: [
      ["jwt-guard", "CPU a request, JWT (RS256, seen before), limits, guard (floor ÷ ours)"],
      ["jwt", "the same without guard and limits"],
    ],
    target: 0.58,
  });
}

async function measure_stream(setting: Setting): Promise<Line[]> {
  return against_floor(setting, {
    sides: [
      ["stream-guard", "CPU an event, 150 bytes, one upstream write each, limits, guard (floor ÷ ours)"],
      ["stream", "the same without guard and limits"],
    ],
    target: 0.65,
    counter: events_of(setting),
  });
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
  const [our_samples = [], portkey_samples = []] = await alternate(
    [
      { server: ours, base: ours.answers, request: plain, connections: CONNECTIONS },
      { server: portkey, base: portkey.answers, request: directed, connections: CONNECTIONS },
    ],
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

async function measure_redis(setting: Setting): Promise<Line[]> {
  const { mock, files, ours, effort, tokens } = setting;
  const requested = REQUESTS["api-key-limits"]?.(tokens);
  if (requested === undefined) {
    throw new Error("there is no request with limits");
  }
  const sides: Side[] = [];
  for (const server of [ours, await start_gateway_with_redis(mock, files)]) {
    sides.push({ server, base: server.answers, request: requested.request, connections: CONNECTIONS });
  }
  const [memory = [], redis = []] = await alternate(sides, effort);
  const ratio = spread_of(ratios_of(memory, redis));
  return [
    {
      what: "CPU a request with limits that are counted in memory, against Redis (memory ÷ Redis)",
      ours: `${median_of(redis.map((one) => one.microseconds)).toFixed(2)} µs`,
      other: `${median_of(memory.map((one) => one.microseconds)).toFixed(2)} µs`,
      result: show(ratio, 2),
      target: "≥ 0.50",
      met: ratio.median >= 0.5,
      load: `${show_load(redis, "requests")}; memory ${show_load(memory, "requests")}`,
    },
  ];
}

/** How many API keys the large case has, and the small one. */
const MANY_KEYS = 100000;
const FEW_KEYS = 10;

async function measure_keys(setting: Setting): Promise<Line[]> {
  const { mock, effort } = setting;
  const sides: Side[] = [];
  for (const count of [FEW_KEYS, MANY_KEYS]) {
    const server = await start_gateway_with_keys(mock, count);
    const request = make_request(`keys-${count}`, bearer_headers(`${NUMBERED_KEY}<1-${count}>`), chat_body("bench"));
    sides.push({ server, base: server.answers, request, connections: CONNECTIONS });
  }
  const [few = [], many = []] = await alternate(sides, effort);
  const more = spread_of(ratios_of(many, few).map((ratio) => (ratio - 1) * 100));
  return [
    {
      what: "more CPU a request with 100,000 API keys, 4,096 of them in turns, than with 10",
      ours: `${median_of(many.map((one) => one.microseconds)).toFixed(2)} µs`,
      other: `${median_of(few.map((one) => one.microseconds)).toFixed(2)} µs`,
      result: `${show(more, 0)} %`,
      target: "≤ 10 %",
      met: more.median <= 10,
      load: `${show_load(many, "requests")}; with 10: ${show_load(few, "requests")}`,
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
  const request = stream_request("bench-first", "bench-first", API_KEY);
  return [await added_latency(setting, "added p99 of the time to the first token", request, "firsts", 300)];
}

const ROWS: Row[] = [
  { name: "api-key", help: "CPU a request with an API key, with and without guard and limits", control: true, measure: measure_api_key },
  { name: "jwt", help: "the same with a JWT", control: true, measure: measure_jwt },
  { name: "stream", help: "CPU an event of a stream, with and without guard and limits", control: true, measure: measure_stream },
  { name: "portkey", help: "CPU a request against Portkey's gateway", control: false, measure: measure_portkey },
  { name: "keys", help: "CPU a request with 100,000 API keys against 10", control: false, measure: measure_keys },
  { name: "redis", help: "CPU a request whose limits are counted in Redis, against memory", control: false, measure: measure_redis },
  { name: "latency", help: "added p99, one request at a time", control: true, measure: measure_latency },
  { name: "first-token", help: "added p99 of the time to the first token", control: true, measure: measure_first_token },
  { name: "lexicon", help: "compiling and mapping the list of words", control: false, measure: measure_lexicon },
  { name: "walk", help: "speed of the walk, with and without a scan", control: false, measure: measure_walk },
  { name: "costs", help: "CPU a byte of text, by its kind and by guard", control: false, measure: measure_costs },
  { name: "search", help: "the scan against another one from npm", control: false, measure: measure_search },
  { name: "pick", help: "choosing an endpoint, of a few and of many", control: false, measure: measure_pick },
  { name: "balancing", help: "ways of choosing an endpoint, on simulated vLLM servers", control: false, measure: measure_balancing },
];

export { FULL, QUICK, ROWS };
