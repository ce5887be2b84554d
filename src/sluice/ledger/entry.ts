/**
 * Reads the journal's lines: from a line to an entry, or to the reason why it is none.
 *
 * A line is walked as strictly as a client's JSON. Numbers stay the digits that they are written with, so 64-bit sums of
 * nano-dollars lose nothing. Fields may come in any order, unknown ones are passed over, and all but the id, the time, the
 * tenant and the ending may be missing or null: older journals had fewer.
 *
 * A full disk can cut a line short, and another worker's line may then stand right behind what is left of it. Such a
 * line is broken, but the whole one at its end is found (`rescue`).
 */

import { Kind, NO_SINK, check, decode_string, encode_string, encode_utf8, walker } from "../wire/json";
import { compile } from "../wire/shape";
import type { Walk } from "../wire/json";
import type { Place } from "../wire/shape";
import { COLUMNS } from "./columns";
import { read_instant } from "./instant";
import type { Column } from "./columns";

const gsub = string.gsub;
const match = string.match;
const sub = string.sub;

/** A line's values by the names of its fields. Numbers are their digits; `guard` is JSON. */
type Entry = Record<string, string | undefined>;

interface EntryReader {
  walk: Walk<undefined>;
  slots: LuaTable<string, number>;
}

/** The largest whole number that both databases keep: 2^63 - 1. */
const MOST = "9223372036854775807";

/** Longer ids are refused, in bytes: an index has no room for just anything. Sluice's own have 32. */
const LONGEST_ID = 256;

const REPLACEMENT = encode_utf8(0xfffd);

/** How the journal begins each line. */
const BEGINNING = '{"id":"';

function new_entry_reader(): EntryReader {
  const members: Record<string, Place> = {};
  for (const { name } of COLUMNS) {
    members[name] = { slot: name };
  }
  const shape = compile({ slot: "line", members });
  return { walk: walker(shape, NO_SINK, undefined), slots: shape.slot_of };
}

/** Whether a JSON number is a whole one from 0 to 2^63 - 1. */
function is_whole(raw: string): boolean {
  if (match(raw, "^%d+$")[0] === undefined) return false;
  return raw.length < MOST.length || (raw.length === MOST.length && raw <= MOST);
}

/** The text of a JSON string. PostgreSQL has no U+0000 in its texts, so it becomes U+FFFD. */
function text_of(raw: string, kind: number): string {
  const text = kind === Kind.EscapedString ? decode_string(raw) : sub(raw, 2, -2);
  return kind === Kind.EscapedString ? gsub(text, "%z", REPLACEMENT)[0] : text;
}

/** A field's value. With undefined, the reason why there is none, if that is wrong. */
function value_of(column: Column, raw: string, kind: number): LuaMultiReturn<[value: string | undefined, reason: string | undefined]> {
  if (kind === Kind.Absent || kind === Kind.Null) {
    return $multi(column.kind === "sum" ? "0" : undefined, column.required ? `${column.name} is missing` : undefined);
  }
  if (column.kind === "json") return $multi(raw, undefined);
  if (column.kind === "whole" || column.kind === "sum") {
    const right = kind === Kind.Number && is_whole(raw);
    return $multi(right ? raw : undefined, right ? undefined : `${column.name} is not a whole number from 0 to ${MOST}`);
  }
  if (kind !== Kind.String && kind !== Kind.EscapedString) return $multi(undefined, `${column.name} is not a string`);
  const text = text_of(raw, kind);
  if (column.kind === "time") {
    const instant = read_instant(text);
    return $multi(instant, instant === undefined ? "time is not a time in UTC" : undefined);
  }
  if (column.name === "id" && (text === "" || text.length > LONGEST_ID)) {
    return $multi(undefined, `id has not between 1 and ${LONGEST_ID} bytes`);
  }
  return $multi(text, undefined);
}

/** The entry that a line is, given without its newline; or undefined and the reason why it is none. */
function read_entry(reader: EntryReader, line: string): LuaMultiReturn<[entry: Entry | undefined, reason: string | undefined]> {
  const fault = check(reader.walk, line);
  if (fault !== undefined) return $multi(undefined, fault);
  const { state } = reader.walk;
  if (state.kinds[reader.slots.get("line")] !== Kind.Object) return $multi(undefined, "is not an object");
  const entry: Entry = {};
  for (const column of COLUMNS) {
    const slot = reader.slots.get(column.name);
    const kind = state.kinds[slot]!;
    const raw = kind === Kind.Absent ? "" : sub(line, state.starts[slot]! + 1, state.ends[slot]);
    const [value, reason] = value_of(column, raw, kind);
    if (reason !== undefined) return $multi(undefined, reason);
    entry[column.name] = value;
  }
  return $multi(entry, undefined);
}

/** The entry that stands whole at the end of a broken line, if there is one. */
function rescue(reader: EntryReader, line: string): Entry | undefined {
  let start: number | undefined;
  let [next] = string.find(line, BEGINNING, 2, true);
  while (next !== undefined) {
    start = next;
    [next] = string.find(line, BEGINNING, next + 1, true);
  }
  if (start === undefined) return undefined;
  const [entry] = read_entry(reader, sub(line, start));
  return entry;
}

/** An entry as a row: a JSON array in the order of the columns. */
function row_of(entry: Entry): string {
  const values: string[] = [];
  for (const { name, kind } of COLUMNS) {
    const value = entry[name];
    const bare = kind === "whole" || kind === "sum";
    values.push(value === undefined ? "null" : bare ? value : encode_string(value));
  }
  return `[${values.join(",")}]`;
}

export { new_entry_reader, read_entry, rescue, row_of };
export type { Entry, EntryReader };
