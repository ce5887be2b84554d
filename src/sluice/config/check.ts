import { FORMATS } from "./format";
import { nearest } from "./near";
import type { Mapping, Node, Scalar, Sequence } from "./node";
import { is_secret_name, item_path, member_path, report } from "./problem";
import type { ProblemList } from "./problem";
import { number_text } from "./scalar";
import type { Plain, Schema } from "./schema";
import { accepts, expectation, finding, is_form, meaning } from "./wording";

/**
 * Holds a tree of YAML nodes against a schema: finds everything that is wrong with it in one go, and
 * makes the plain Lua value that the rooms work with, defaults filled in and formats read.
 *
 * A scalar is what the schema wants it to be, within reason: where only a text is accepted, `2024`
 * is the text "2024" (so that a hash of nothing but digits needs no quotes); and a value from the
 * environment, which is always text, may stand for a number. A member whose value is an
 * environment variable that turned out empty counts as left out.
 */

/** What one check carries along. */
interface Check {
  problems: ProblemList;
  /** Relative paths start here. */
  folder: string;
  pause: (this: void) => void;
  nodes: number;
}

/** Between two calls of `pause`, so many nodes are checked. */
const NODES_PER_PAUSE = 500;

/** Integers beyond this can't be told apart as doubles. */
const LARGEST_INTEGER = 9007199254740992;

type Value = string | number | boolean | LuaTable<string | number, Value>;

/** The names of a table's members, sorted. */
function sorted_names(of: object): string[] {
  const names: string[] = [];
  for (const [name] of pairs(of as LuaTable<string, unknown>)) {
    names.push(name);
  }
  table.sort(names);
  return names;
}

function mismatch(check: Check, schema: Schema, node: Node, path: string, secret: boolean): undefined {
  const hint = finding(node, secret) === "nothing" ? "; give it a value or leave it out" : "";
  report(check.problems, path, `expected ${expectation(schema)}, found ${finding(node, secret)}${hint}`, node.line);
  return undefined;
}

function check_range(check: Check, schema: Schema, value: number, node: Node, path: string): number | undefined {
  const low = schema.minimum;
  const high = schema.maximum;
  if ((low === undefined || value >= low) && (high === undefined || value <= high)) {
    return value;
  }
  const unit = schema.format === "duration" ? " ms" : schema.format === "bytes" ? " bytes" : "";
  const least = low === undefined ? undefined : `${number_text(low)}${unit}`;
  const most = high === undefined ? undefined : `${number_text(high)}${unit}`;
  const one_bound = least === undefined ? `at most ${most}` : `at least ${least}`;
  const bounds = least === undefined || most === undefined ? one_bound : `from ${least} to ${most}`;
  const found = node.kind === "scalar" && node.from_environment ? "another" : `${number_text(value)}${unit}`;
  report(check.problems, path, `expected ${expectation(schema)}, ${bounds}, found ${found}`, node.line);
  return undefined;
}

function check_text(check: Check, schema: Schema, node: Scalar, path: string, secret: boolean): Value | undefined {
  const length = node.text.length;
  const least = schema.minLength ?? 0;
  if (length < least || (schema.maxLength !== undefined && length > schema.maxLength)) {
    const bounds = schema.maxLength === undefined ? `at least ${least}` : `${least} to ${schema.maxLength}`;
    report(check.problems, path, `expected ${expectation(schema)}, of ${bounds} bytes, found ${length} bytes`, node.line);
    return undefined;
  }
  if (schema.format === undefined) {
    return node.text;
  }
  const [value, message] = FORMATS[schema.format].read(node.text, check.folder);
  if (value === undefined) {
    if (message !== undefined) {
      report(check.problems, path, `${message}, found ${finding(node, secret)}`, node.line);
      return undefined;
    }
    return mismatch(check, schema, node, path, secret);
  }
  return typeof value === "number" ? check_range(check, schema, value, node, path) : value;
}

function is_listed(schema: Schema, value: string | number | boolean): boolean {
  if (schema.enum === undefined) {
    return true;
  }
  for (const known of schema.enum) {
    if (known === value) {
      return true;
    }
  }
  return false;
}

function check_scalar(check: Check, schema: Schema, node: Scalar, path: string, secret: boolean): Value | undefined {
  const [type, value] = meaning(node, node.plain || node.from_environment);
  if (type === "number" && (accepts(schema, "number") || accepts(schema, "integer"))) {
    const number = value as number;
    const whole = number % 1 === 0 && math.abs(number) <= LARGEST_INTEGER;
    if (!(whole || accepts(schema, "number")) || !is_listed(schema, number)) {
      return mismatch(check, schema, node, path, secret);
    }
    return check_range(check, schema, number, node, path);
  }
  if (type === "boolean" && accepts(schema, "boolean")) {
    return is_listed(schema, value as boolean) ? (value as boolean) : mismatch(check, schema, node, path, secret);
  }
  if (accepts(schema, "string") && (node.from_environment || type === "string" || type === "number")) {
    if (!is_listed(schema, node.text)) {
      return mismatch(check, schema, node, path, secret);
    }
    return check_text(check, schema, node, path, secret);
  }
  return mismatch(check, schema, node, path, secret);
}

function check_sequence(check: Check, schema: Schema, node: Sequence, path: string, secret: boolean): Value | undefined {
  const count = node.items.length;
  const least = schema.minItems ?? 0;
  if (count < least || (schema.maxItems !== undefined && count > schema.maxItems)) {
    const bounds = schema.maxItems === undefined ? `at least ${least}` : `${least} to ${schema.maxItems}`;
    const found = count === 0 ? "an empty list" : `${count} items`;
    report(check.problems, path, `expected a list of ${bounds}, found ${found}`, node.line);
  }
  const values: Value[] = [];
  for (const index of $range(0, count - 1)) {
    const item = node.items[index];
    if (item !== undefined && schema.items !== undefined) {
      // An item that is wrong leaves an empty one, so that those behind it keep their index.
      values.push(check_node(check, schema.items, item, item_path(path, index), secret) ?? new LuaTable());
    }
  }
  return values as unknown as Value;
}

/** A node for a schema's default, which is written as a user would write it. */
function node_of(plain: Plain, schema: Schema, line: number): Node {
  if (typeof plain === "object") {
    if (accepts(schema, "array")) {
      const items: Node[] = [];
      for (const item of plain as readonly Plain[]) {
        items.push(node_of(item, schema.items ?? {}, line));
      }
      return { kind: "sequence", line, items };
    }
    const members = plain as { readonly [name: string]: Plain };
    const names = sorted_names(members);
    const values: Node[] = [];
    for (const name of names) {
      const member = members[name];
      if (member !== undefined) {
        values.push(node_of(member, schema.properties?.[name] ?? {}, line));
      }
    }
    return { kind: "mapping", line, names, values };
  }
  return { kind: "scalar", line, text: tostring(plain), plain: typeof plain !== "string", from_environment: false };
}

function is_left_out(node: Node): boolean {
  return node.kind === "scalar" && node.from_environment && node.text === "";
}

/** Whether all members of a group are there. */
function has_group(given: LuaTable<string, Node>, group: readonly string[]): boolean {
  for (const name of group) {
    if (!given.has(name)) {
      return false;
    }
  }
  return true;
}

/** The groups of `anyOf` and `oneOf` in words: `sha256 or secret`. */
function group_texts(schemas: readonly Schema[]): string {
  const texts: string[] = [];
  for (const group of schemas) {
    texts.push((group.required ?? []).join(" with "));
  }
  return texts.join(" or ");
}

function check_groups(check: Check, schema: Schema, node: Mapping, given: LuaTable<string, Node>, path: string): void {
  const any: Schema[] = [];
  let found_any = false;
  for (const group of schema.anyOf ?? []) {
    if (!is_form(group)) {
      any.push(group);
      found_any = found_any || has_group(given, group.required ?? []);
    }
  }
  if (any.length > 0 && !found_any) {
    report(check.problems, path, `is missing ${group_texts(any)}`, node.line);
  }
  if (schema.oneOf !== undefined) {
    let count = 0;
    for (const group of schema.oneOf) {
      count = count + (has_group(given, group.required) ? 1 : 0);
    }
    if (count === 0) {
      report(check.problems, path, `is missing ${group_texts(schema.oneOf)}`, node.line);
    } else if (count > 1) {
      report(check.problems, path, `expected only one of ${group_texts(schema.oneOf)}, found ${count}`, node.line);
    }
  }
}

function report_unknown(check: Check, properties: object, name: string, value: Node, path: string): void {
  const known = sorted_names(properties);
  const meant = nearest(name, known);
  const choice = `expected ${known.length === 1 ? "" : "one of "}${known.join(", ")}`;
  const hint = meant === undefined ? choice : `did you mean ${meant}?`;
  report(check.problems, member_path(path, name), `unknown member; ${hint}`, value.line);
}

function check_mapping(check: Check, schema: Schema, node: Mapping, path: string, secret: boolean): Value | undefined {
  const properties = (schema.properties ?? {}) as { readonly [name: string]: Schema | undefined };
  const given = new LuaTable<string, Node>();
  const result = new LuaTable<string, Value | undefined>();
  for (const index of $range(0, node.names.length - 1)) {
    const name = node.names[index] ?? "";
    const value = node.values[index];
    const member = properties[name] ?? schema.additionalProperties;
    if (value !== undefined && member === undefined) {
      report_unknown(check, properties, name, value, path);
    } else if (value !== undefined && member !== undefined && !is_left_out(value)) {
      given.set(name, value);
      result.set(name, check_node(check, member, value, member_path(path, name), secret || is_secret_name(name)));
    }
  }
  const required = new LuaTable<string, boolean>();
  for (const name of schema.required ?? []) {
    required.set(name, true);
    const member = properties[name];
    if (!given.has(name)) {
      const wanted = member === undefined ? "a value" : expectation(member);
      report(check.problems, member_path(path, name), `is missing; expected ${wanted}`, node.line);
    }
  }
  for (const [name, member] of pairs(properties as unknown as LuaTable<string, Schema>)) {
    if (member.default !== undefined && !given.has(name) && !required.has(name)) {
      result.set(name, check_node(check, member, node_of(member.default, member, node.line), member_path(path, name), true));
    }
  }
  check_groups(check, schema, node, given, path);
  return result as unknown as Value;
}

/** The form in `anyOf` that a node is meant to have, by its type. */
function form_of(schema: Schema, node: Node): Schema | undefined {
  for (const form of schema.anyOf ?? []) {
    const wanted = node.kind === "mapping" ? "object" : node.kind === "sequence" ? "array" : undefined;
    if (is_form(form) && (wanted === undefined ? !accepts(form, "object") && !accepts(form, "array") : accepts(form, wanted))) {
      return form;
    }
  }
  return undefined;
}

function check_node(check: Check, schema: Schema, node: Node, path: string, secret_above: boolean): Value | undefined {
  const secret = secret_above || schema.writeOnly === true;
  check.nodes = check.nodes + 1;
  if (check.nodes % NODES_PER_PAUSE === 0) {
    check.pause();
  }
  if (node.kind === "refused") {
    return undefined;
  }
  const form = schema.type === undefined ? form_of(schema, node) : undefined;
  if (form !== undefined) {
    return check_node(check, form, node, path, secret);
  }
  if (node.kind === "mapping" && accepts(schema, "object")) {
    return check_mapping(check, schema, node, path, secret);
  }
  if (node.kind === "sequence" && accepts(schema, "array")) {
    return check_sequence(check, schema, node, path, secret);
  }
  if (node.kind === "scalar") {
    return check_scalar(check, schema, node, path, secret);
  }
  return mismatch(check, schema, node, path, secret);
}

/**
 * Checks `node` against `schema`. Everything wrong goes to `problems`; what comes back is only good
 * to use when nothing did. `folder` is where relative paths start. `pause` is called now and then.
 * The caller says by `Result` what the schema describes.
 */
function check<Result>(
  schema: Schema,
  node: Node,
  folder: string,
  problems: ProblemList,
  pause: (this: void) => void,
): Result | undefined {
  return check_node({ problems, folder, pause, nodes: 0 }, schema, node, "", false) as unknown as Result | undefined;
}

export { check, sorted_names };
