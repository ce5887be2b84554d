/**
 * A report as people and programs want it: a table, CSV (RFC 4180) or JSON. Sums are texts of digits all the way, so none is rounded.
 *
 * A name that begins like a formula (= + - @, a tab or a carriage return) gets an apostrophe in front in CSV: opened in a
 * spreadsheet, it would be run otherwise. JSON has every name as it is.
 */

import { encode_string } from "../wire/json";
import { FIGURES } from "./report";
import type { Row } from "./connection";

type ReportFormat = "table" | "csv" | "json";

const COST = "cost_nano_usd";
const gsub = string.gsub;
const match = string.match;
const rep = string.rep;
const sub = string.sub;

/** A sum of nano-dollars, in digits, as dollars: `1234500000` is `1.2345`. At least two decimals, no more than needed. */
function dollars(nano: string): string {
  const digits = nano.length < 10 ? rep("0", 10 - nano.length) + nano : nano;
  const [decimals] = gsub(sub(digits, -9), "0+$", "");
  return `${sub(digits, 1, -10)}.${decimals}${rep("0", 2 - decimals.length)}`;
}

/** A byte of a UTF-8 character that is not its first one. */
const CONTINUING = `[${string.char(0x80)}-${string.char(0xbf)}]`;

/** How many characters a text has, if it is UTF-8. */
function width(text: string): number {
  const [, continuing] = gsub(text, CONTINUING, "");
  return text.length - continuing;
}

function header_of(by: string[]): string[] {
  const names: string[] = [];
  for (const name of by) {
    names.push(name);
  }
  for (const figure of FIGURES) {
    names.push(figure === COST ? "cost_usd" : figure);
  }
  return names;
}

/** A row's values for reading: the cost in dollars, the names as they are, undefined where there is none. */
function readable(by: string[], row: Row): Row {
  const values: Row = [];
  for (const index of $range(0, by.length + FIGURES.length - 1)) {
    const is_cost = FIGURES[index - by.length] === COST;
    values[index] = is_cost ? dollars(row[index] ?? "0") : row[index];
  }
  return values;
}

function csv_cell(value: string, is_name: boolean): string {
  const is_formula = is_name && match(value, "^[=+%-@\t\r]")[0] !== undefined;
  const text = is_formula ? `'${value}` : value;
  return match(text, '[",\r\n]')[0] !== undefined ? `"${gsub(text, '"', '""')[0]}"` : text;
}

function csv(by: string[], rows: Row[]): string {
  const lines = [`${header_of(by).join(",")}\r\n`];
  for (const row of rows) {
    const values = readable(by, row);
    const cells: string[] = [];
    for (const index of $range(0, by.length + FIGURES.length - 1)) {
      cells.push(csv_cell(values[index] ?? "", index < by.length));
    }
    lines.push(`${cells.join(",")}\r\n`);
  }
  return lines.join("");
}

function json(by: string[], rows: Row[]): string {
  const objects: string[] = [];
  for (const row of rows) {
    const members: string[] = [];
    for (const index of $range(0, by.length - 1)) {
      const value = row[index];
      members.push(`${encode_string(by[index]!)}:${value === undefined ? "null" : by[index] === "status" ? value : encode_string(value)}`);
    }
    for (const index of $range(0, FIGURES.length - 1)) {
      members.push(`${encode_string(FIGURES[index]!)}:${row[by.length + index]}`);
    }
    members.push(`"cost_usd":"${dollars(row[by.length + FIGURES.length - 1] ?? "0")}"`);
    objects.push(`{${members.join(",")}}`);
  }
  return rows.length === 0 ? "[]\n" : `[\n${objects.join(",\n")}\n]\n`;
}

/** Names on the left, figures on the right. A control character shows as a question mark. */
function table_text(by: string[], rows: Row[]): string {
  const header = header_of(by);
  const widths: number[] = [];
  for (const name of header) {
    widths.push(name.length);
  }
  const shown: string[][] = [header];
  for (const row of rows) {
    const values = readable(by, row);
    const cells: string[] = [];
    for (const index of $range(0, header.length - 1)) {
      const [cell] = gsub(values[index] ?? "-", "%c", "?");
      cells.push(cell);
      widths[index] = math.max(widths[index]!, width(cell));
    }
    shown.push(cells);
  }
  const lines: string[] = [];
  for (const cells of shown) {
    const padded: string[] = [];
    for (const index of $range(0, header.length - 1)) {
      const space = rep(" ", widths[index]! - width(cells[index]!));
      padded.push(index < by.length ? cells[index]! + space : space + cells[index]!);
    }
    lines.push(`${padded.join("  ")}\n`);
  }
  return lines.join("");
}

/** The whole report. `rows` are as `report` gives them. */
function report_text(form: ReportFormat, by: string[], rows: Row[]): string {
  return form === "csv" ? csv(by, rows) : form === "json" ? json(by, rows) : table_text(by, rows);
}

export { dollars, report_text };
export type { ReportFormat };
