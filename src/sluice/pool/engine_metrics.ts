/**
 * Reads from an inference engine's metrics page (Prometheus' text format) what it says of its load.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * Only the few figures that are needed are looked for, by their names at the beginnings of lines. Their labels are passed over: an
 * engine with several data-parallel ranks gives a figure for each. Numbers of requests are added up; of ratios the greatest counts.
 * What is no such line, or has no number that makes sense, counts as not there. A page is as trustworthy as its endpoint.
 */

import type { Engine } from "./watch_config";

const byte = string.byte;
const find = string.find;
const match = string.match;
const sub = string.sub;

/** Each is −1 if the page doesn't say. */
interface EngineFigures {
  /** How many requests wait in its queue, and how many run. */
  waiting: number;
  running: number;
  /** How much of its KV cache is in use, 0 to 1. */
  cache: number;
}

interface FigureNames {
  waiting: string;
  running: string;
  /** The newer name first: the older one counts only where that is missing. */
  cache: string[];
}

const NAMES: Record<Engine, FigureNames> = {
  vllm: {
    waiting: "vllm:num_requests_waiting",
    running: "vllm:num_requests_running",
    cache: ["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"],
  },
  sglang: { waiting: "sglang:num_queue_reqs", running: "sglang:num_running_reqs", cache: ["sglang:token_usage"] },
};

const UNKNOWN = -1;
/** Of each figure. A page may have more lines; nobody has so many ranks. */
const MOST_SERIES = 1024;
/** More requests than that are as many. */
const MOST_REQUESTS = 1000000000;
const MOST_LINE_BYTES = 4096;

const OPENING_BRACE = 123;
const NEWLINE = 10;

/** Where a line's value begins, behind the name, that ends before `at`, and the labels; undefined: it is another name's, or has no end. */
function skip_labels(line: string, at: number): number | undefined {
  if (byte(line, at) !== OPENING_BRACE) {
    return find(line, "^[ \t]", at)[0];
  }
  // A quoted value may hold braces, and escaped quotes.
  let place = at + 1;
  for (;;) {
    const [stop] = find(line, "[\"}]", place);
    if (stop === undefined) {
      return undefined;
    }
    if (sub(line, stop, stop) === "}") {
      return stop + 1;
    }
    place = stop + 1;
    for (;;) {
      const [mark] = find(line, "[\"\\]", place);
      if (mark === undefined) {
        return undefined;
      }
      place = mark + 1;
      if (sub(line, mark, mark) === "\"") {
        break;
      }
      place = mark + 2;
    }
  }
}

/** The value of a line whose name ends before `at`; undefined: it isn't one, or no number from 0 on. */
function value_of(line: string, at: number): number | undefined {
  const behind = skip_labels(line, at);
  if (behind === undefined) {
    return undefined;
  }
  // Digits only: tonumber knows more spellings than the format has.
  const [text] = match(line, "^[ \t]*(%d+%.?%d*[eE]?[+-]?%d*)[ \t]*[%d%-]*[ \t]*\r?$", behind);
  const value = text !== undefined ? tonumber(text) : undefined;
  return value !== undefined && value >= 0 && value < math.huge ? value : undefined;
}

/** A figure over all its series: their sum, or the greatest; −1: there is none. */
function figure(page: string, name: string, adds_up: boolean): number {
  let total = UNKNOWN;
  let place = 1;
  for (const _ of $range(1, MOST_SERIES)) {
    const [at, last] = find(page, name, place, true);
    if (at === undefined || last === undefined) {
      break;
    }
    const [stop] = find(page, "\n", last, true);
    const end = stop ?? page.length + 1;
    if ((at === 1 || byte(page, at - 1) === NEWLINE) && end - at <= MOST_LINE_BYTES) {
      const value = value_of(sub(page, at, end - 1), name.length + 1);
      if (value !== undefined) {
        total = total === UNKNOWN ? value : adds_up ? total + value : math.max(total, value);
      }
    }
    place = end;
  }
  return total;
}

/** What a page says of the load. Never fails: what isn't there, or can't be understood, is −1. */
function read_figures(page: string, engine: Engine): EngineFigures {
  const names = NAMES[engine];
  let cache = UNKNOWN;
  for (const name of names.cache) {
    if (cache === UNKNOWN) {
      cache = figure(page, name, false);
    }
  }
  return {
    waiting: math.min(MOST_REQUESTS, figure(page, names.waiting, true)),
    running: math.min(MOST_REQUESTS, figure(page, names.running, true)),
    cache: math.min(1, cache),
  };
}

export { read_figures };
export type { EngineFigures };
