/**
 * Models that are rules: which real model a request is for follows from what it asks, from who asks, and when. The first rule whose
 * conditions all hold is taken; the last has none.
 *
 * What can't be told from the request's body costs nothing unless a rule asks for it: a header is only read then.
 */

import type { ChoiceConfiguration, Day, WhenConfiguration } from "./choose_config";
import type { Model } from "./table";

const DAY_MINUTES = 1440;
const DAY_SECONDS = 86400;
/** 1970-01-01 was a Thursday; 0 is a Monday. */
const FIRST_DAY = 3;

const DAYS: Day[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** A rule made ready. A member that is undefined, or −1, is no condition. */
interface Choice {
  model: Model;
  prompt_tokens_below: number;
  stream: boolean | undefined;
  tools: boolean | undefined;
  is_tenant: ((this: void, id: string) => boolean) | undefined;
  /** As nginx has it: in lower case, with underscores for hyphens. */
  header: string | undefined;
  values: LuaSet<string>;
  /** Minutes of the day in UTC: from the first on, up to, not including, the second. */
  from_minute: number;
  to_minute: number;
  /** By day of the week, 0 a Monday. */
  days: LuaSet<number> | undefined;
}

/** What rules look at. */
interface Asked {
  prompt_tokens: number;
  stream: boolean;
  tools: boolean;
}

/** Makes the test of whether a name fits one of the patterns. */
type MakeMatcher = (this: void, patterns: readonly string[]) => (this: void, name: string) => boolean;

/** The header's name as nginx's variables have it. */
function variable_name(name: string): string {
  const [plain] = string.gsub(string.lower(name), "-", "_");
  return plain;
}

/** The minutes of `22:00-06:00`; −1 without hours. */
function read_hours(hours: string | undefined): LuaMultiReturn<[from: number, to: number]> {
  const [from_hour, from_minute, to_hour, to_minute] = string.match(hours ?? "", "^(%d%d):(%d%d)%-(%d%d):(%d%d)$");
  if (to_minute === undefined) {
    return $multi(-1, -1);
  }
  return $multi(tonumber(from_hour)! * 60 + tonumber(from_minute)!, tonumber(to_hour)! * 60 + tonumber(to_minute)!);
}

function read_days(days: readonly Day[] | undefined): LuaSet<number> | undefined {
  if (days === undefined) {
    return undefined;
  }
  const set = new LuaSet<number>();
  for (const day of days) {
    for (const index of $range(0, DAYS.length - 1)) {
      if (DAYS[index] === day) {
        set.add(index);
      }
    }
  }
  return set;
}

const NO_CONDITIONS: WhenConfiguration = {};

/** Makes the rules ready. `models`: those with a pool, by name; all that are named must be there. */
function compile_choices(
  choices: readonly ChoiceConfiguration[],
  models: LuaTable<string, Model>,
  make_matcher: MakeMatcher,
): Choice[] {
  const compiled: Choice[] = [];
  for (const { when = NO_CONDITIONS, use } of choices) {
    const [from_minute, to_minute] = read_hours(when.hours);
    const values = new LuaSet<string>();
    for (const value of when.header?.values ?? []) {
      values.add(value);
    }
    compiled.push({
      model: models.get(use),
      prompt_tokens_below: when.prompt_tokens_below ?? -1,
      stream: when.stream,
      tools: when.tools,
      is_tenant: when.tenants !== undefined ? make_matcher(when.tenants) : undefined,
      header: when.header !== undefined ? variable_name(when.header.name) : undefined,
      values,
      from_minute,
      to_minute,
      days: read_days(when.days),
    });
  }
  return compiled;
}

/** Whether a minute of the day lies in hours that may go on into the next day. */
function is_within(minute: number, from: number, to: number): boolean {
  return from <= to ? minute >= from && minute < to : minute >= from || minute < to;
}

/** Whether a rule's hours and days hold. `time`: seconds since 1970. */
function is_time(choice: Choice, time: number): boolean {
  if (choice.from_minute >= 0 && !is_within(math.floor(time / 60) % DAY_MINUTES, choice.from_minute, choice.to_minute)) {
    return false;
  }
  return choice.days === undefined || choice.days.has((math.floor(time / DAY_SECONDS) + FIRST_DAY) % 7);
}

/** Whether what the body asks for is what a rule wants. */
function is_asked(choice: Choice, asked: Asked): boolean {
  const { prompt_tokens_below, stream, tools } = choice;
  return (prompt_tokens_below < 0 || asked.prompt_tokens < prompt_tokens_below)
    && (stream === undefined || stream === asked.stream)
    && (tools === undefined || tools === asked.tools);
}

/**
 * The model that the rules choose. `tenant`: its id. `time`: when the request arrived, in seconds since 1970. `header` gives a header of
 * the request by its name in lower case, with `_` for `-`.
 */
function choose(
  choices: readonly Choice[],
  asked: Asked,
  tenant: string,
  time: number,
  header: (this: void, name: string) => string | undefined,
): Model {
  const last = choices.length - 1;
  for (const index of $range(0, last - 1)) {
    const choice = choices[index]!;
    if (is_asked(choice, asked) && is_time(choice, time) && (choice.is_tenant === undefined || choice.is_tenant(tenant))) {
      const value = choice.header !== undefined ? header(choice.header) : undefined;
      if (choice.header === undefined || (value !== undefined && choice.values.has(value))) {
        return choice.model;
      }
    }
  }
  return choices[last]!.model;
}

export { choose, compile_choices };
export type { Asked, Choice, MakeMatcher };
