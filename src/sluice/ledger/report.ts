/** What was used, added up by the database: by tenant, model, day and so on. */

import { query } from "./connection";
import { encode_string } from "../wire/json";
import type { Connection, Row } from "./connection";
import type { Dialect } from "./dialect";

interface ReportTerms {
  /** What to add up by: names of `DIMENSIONS`. */
  by: string[];
  /** From this instant on, */
  from: string | undefined;
  /** up to this one and without it. */
  to: string | undefined;
  /** Of these tenants only; of all if there are none. */
  tenants: string[];
}

/** Columns that stand for themselves. */
const NAMES = ["tenant", "key", "model", "pool", "endpoint", "ending", "usage_from", "source"];

/** Names of what can be added up by, in the order of a help text. */
const DIMENSIONS = ["tenant", "key", "model", "pool", "endpoint", "status", "ending", "usage_from", "source", "hour", "day", "month"];

/** What is added up, in the order of a row. */
const FIGURES = [
  "requests", "input_tokens", "cached_input_tokens", "output_tokens", "free_units", "cache_write_tokens", "cache_write_1h_tokens",
  "cost_nano_usd",
];

const TIME_LENGTHS = new LuaTable<string, number>();
TIME_LENGTHS.set("hour", 13);
TIME_LENGTHS.set("day", 10);
TIME_LENGTHS.set("month", 7);

/** Of a list of names with commas between them, the names; or undefined and the one that is none. */
function parse_dimensions(list: string): LuaMultiReturn<[by: string[] | undefined, unknown: string | undefined]> {
  const by: string[] = [];
  for (const [name] of string.gmatch(`${list},`, "([^,]*),")) {
    let known = false;
    for (const dimension of DIMENSIONS) {
      if (dimension === name) known = true;
    }
    for (const earlier of by) {
      if (earlier === name) known = false;
    }
    if (!known) return $multi(undefined, name);
    by.push(name!);
  }
  return $multi(by, undefined);
}

function expression(dialect: Dialect, name: string): string {
  const characters = TIME_LENGTHS.get(name);
  if (characters !== undefined) return dialect.time_prefix(characters);
  return name === "status" ? dialect.as_text("status") : name;
}

/** Whether the name is that of a column as it stands, which may be empty. */
function is_name(name: string): boolean {
  for (const known of NAMES) {
    if (known === name) return true;
  }
  return name === "status";
}

/** The rows of a report, each with its dimensions and its figures, as texts; sorted by the dimensions, empty ones last. */
function report(connection: Connection, terms: ReportTerms): LuaMultiReturn<[rows: Row[] | undefined, reason: string | undefined]> {
  const { dialect } = connection;
  const selected: string[] = [];
  const groups: string[] = [];
  const order: string[] = [];
  for (const name of terms.by) {
    const value = expression(dialect, name);
    selected.push(value);
    groups.push(value);
    if (is_name(name)) order.push(`${value} IS NULL`);
    order.push(`${value}${dialect.by_bytes}`);
  }
  selected.push(dialect.as_text("COUNT(*)"));
  for (const figure of FIGURES) {
    if (figure !== "requests") selected.push(dialect.sum(figure));
  }
  const conditions: string[] = [];
  const values: string[] = [];
  if (terms.from !== undefined) {
    conditions.push(`time >= ${dialect.time_parameter}`);
    values.push(terms.from);
  }
  if (terms.to !== undefined) {
    conditions.push(`time < ${dialect.time_parameter}`);
    values.push(terms.to);
  }
  if (terms.tenants.length > 0) {
    const tenants: string[] = [];
    for (const tenant of terms.tenants) {
      tenants.push(encode_string(tenant));
    }
    conditions.push(`tenant IN ${dialect.list_parameter}`);
    values.push(`[${tenants.join(",")}]`);
  }
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(" AND ")}` : "";
  const sql = `SELECT ${selected.join(", ")} FROM usage_requests${where} GROUP BY ${groups.join(", ")} ORDER BY ${order.join(", ")}`;
  return query(connection, sql, values);
}

export { DIMENSIONS, FIGURES, parse_dimensions, report };
export type { ReportTerms };
