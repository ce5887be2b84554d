/**
 * Takes lines of the usage journal into counters that have not seen them: after a restart, and after a worker was killed between
 * writing a line and counting it. The journal is what was charged; counters follow from it.
 */

import { bring_up, correct_tokens, spend } from "./counters";
import { correct } from "./window";
import { Measure, Unit } from "./scope";
import type { Counters } from "./counters";
import type { Scope } from "./scope";

const match = string.match;

/** What a line says of limits and money; overwritten by each call of `read_line`. */
interface ReplayedLine {
  /** When the request arrived, in seconds since 1970. */
  time: number;
  tenant: string;
  key: string;
  /** Empty, if there is none. */
  model: string;
  tokens: number;
  reserved: number;
  nano_usd: number;
  /** How much of the model's free allowance was used. */
  free: number;
}

const line_read: ReplayedLine = { time: 0, tenant: "", key: "", model: "", tokens: 0, reserved: 0, nano_usd: 0, free: 0 };

const DAY = 86400;
/** Days from 1970-01-01 to 0000-03-01, backwards. */
const DAYS_TO_1970 = 719468;

/** Days from 1970-01-01 to a date of the Gregorian calendar. */
function days_of(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const era = math.floor(shifted / 400);
  const year_of_era = shifted - era * 400;
  const day_of_year = math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return era * 146097 + year_of_era * 365 + math.floor(year_of_era / 4) - math.floor(year_of_era / 100) + day_of_year - DAYS_TO_1970;
}

/** Seconds since 1970 of a time as the journal writes it; undefined if it is none. */
function seconds_of(text: string): number | undefined {
  const [year, month, day, hour, minute, second] = match(text, "^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d%.?%d*)Z$");
  if (second === undefined) {
    return undefined;
  }
  const days = days_of(tonumber(year)!, tonumber(month)!, tonumber(day)!);
  return days * DAY + tonumber(hour)! * 3600 + tonumber(minute)! * 60 + tonumber(second)!;
}

/** Reads a line of an admitted request, as this version writes it; undefined for any other. */
function read_line(text: string): ReplayedLine | undefined {
  const [time, tenant, key] = match(text, '^{"id":"%x+","time":"([^"]+)","tenant":"([^"]+)","key":"([^"]*)",');
  if (tenant === undefined) {
    return undefined;
  }
  const [input, output, reserved, cost] = match(
    text,
    ',"ending":"[%l_]+","input_tokens":(%d+),"cached_input_tokens":%d+,"output_tokens":(%d+),"usage_from":[^,]+,"reserved_tokens":(%d+),"cost_nano_usd":(%d+),',
  );
  if (cost === undefined) {
    return undefined;
  }
  line_read.time = seconds_of(time!) ?? 0;
  line_read.tenant = tenant;
  line_read.key = key!;
  const [model] = match(text, '^{"id":"%x+","time":"[^"]+","tenant":"[^"]+","key":"[^"]*","model":"([^"]*)"');
  const [free] = match(text, ',"cost_nano_usd":%d+,"free_units":(%d+),');
  line_read.model = model ?? "";
  line_read.free = tonumber(free) ?? 0;
  line_read.tokens = tonumber(input)! + tonumber(output)!;
  line_read.reserved = tonumber(reserved)!;
  line_read.nano_usd = tonumber(cost)!;
  return line_read;
}

/** The names of the scopes that a line's request belongs to: of its tenant, of its key, and of what is free of its model. */
function scopes_of(line: ReplayedLine): LuaMultiReturn<[tenant: string, key: string, allowance: string]> {
  const { key, model, tenant } = line;
  return $multi(`tenant:${tenant}`, `key:${tenant}/${key}`, `free:${tenant}/${model}`);
}

/** What a line used of a scope's budget. */
function amount_of(scope: Scope, line: ReplayedLine): number {
  return scope.budget === undefined || scope.budget.unit === Unit.NanoUsd ? line.nano_usd : line.free;
}

/** Counts a line's request, its tokens and its money, as if it had been admitted and settled at its time. `now` is the time it is. */
function replay(counters: Counters, scope: Scope, line: ReplayedLine, now: number): void {
  bring_up(counters, scope, now);
  for (const index of $range(0, counters.window_count - 1)) {
    const window = counters.windows[index]!;
    if (window.measure === (Measure.Requests as number)) {
      correct(window, line.time, 1);
    }
  }
  correct_tokens(counters, line.time, line.tokens);
  spend(counters, scope, line.time, amount_of(scope, line));
}

/** The same for a request that the counters know to have been admitted: what it had reserved is corrected, and it is charged. */
function complete(counters: Counters, scope: Scope, line: ReplayedLine, now: number): void {
  bring_up(counters, scope, now);
  correct_tokens(counters, line.time, line.tokens - line.reserved);
  spend(counters, scope, line.time, amount_of(scope, line));
}

export { complete, read_line, replay, scopes_of, seconds_of };
export type { ReplayedLine };
