import { FORMATS } from "./format";
import type { Node, Scalar } from "./node";
import { shown } from "./problem";
import { number_text, resolve } from "./scalar";
import type { ScalarType } from "./scalar";
import type { Schema, TypeName } from "./schema";

/** What a schema wants, and what was found in its place, in words. */

const TYPE_TEXTS: Record<TypeName, string> = {
  object: "a mapping",
  array: "a list",
  string: "a text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
};

/** Stands for what must not be shown. */
const HIDDEN = "another value";

/** The types a schema accepts; none if only its `anyOf` tells. */
function types_of(schema: Schema): readonly TypeName[] {
  const type = schema.type;
  if (type === undefined) {
    return [];
  }
  return typeof type === "string" ? [type] : type;
}

function accepts(schema: Schema, name: TypeName): boolean {
  for (const type of types_of(schema)) {
    if (type === name) {
      return true;
    }
  }
  return false;
}

/** Whether an entry of `anyOf` is a form of the value, and not a group of members. */
function is_form(schema: Schema): boolean {
  return schema.type !== undefined || schema.anyOf !== undefined || schema.enum !== undefined;
}

/** What a schema wants, in words. */
function expectation(schema: Schema): string {
  if (schema.enum !== undefined) {
    const values: string[] = [];
    for (const value of schema.enum) {
      values.push(tostring(value));
    }
    return values.length === 1 ? `${values[0]}` : `one of ${values.join(", ")}`;
  }
  const texts: string[] = [];
  if (schema.format !== undefined) {
    texts.push(FORMATS[schema.format].expected);
  }
  for (const type of types_of(schema)) {
    const covered = schema.format !== undefined && type !== "array" && type !== "object";
    if (!covered) {
      texts.push(TYPE_TEXTS[type]);
    }
  }
  for (const form of schema.anyOf ?? []) {
    if (is_form(form)) {
      texts.push(expectation(form));
    }
  }
  return texts.join(" or ");
}

/** What a scalar means; a text, unless it may be read as something else. */
function meaning(
  node: Scalar,
  may_be_other: boolean,
): LuaMultiReturn<[type: ScalarType, value: string | number | boolean | undefined]> {
  if (may_be_other) {
    return resolve(node.text);
  }
  return $multi("string", node.text);
}

/** What was found, in words; only its kind where the value has to stay secret. */
function finding(node: Node, secret: boolean): string {
  if (node.kind === "mapping") {
    return "a mapping";
  }
  if (node.kind !== "scalar") {
    return "a list";
  }
  const [type, value] = meaning(node, node.plain);
  if (type === "null") {
    return "nothing";
  }
  if (secret || node.from_environment) {
    return HIDDEN;
  }
  if (type === "number") {
    return `the number ${number_text(value as number)}`;
  }
  // An @ makes a user name and password out of what comes before it.
  const [at_sign] = string.find(node.text, "@", 1, true);
  if (at_sign !== undefined) {
    return HIDDEN;
  }
  return type === "boolean" ? `${value}` : `the text ${shown(node.text)}`;
}

export { accepts, expectation, finding, is_form, meaning };
