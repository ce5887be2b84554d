import { sorted_names } from "./check";
import { CONFIGURATION_SCHEMA } from "./configuration";
import { FORMATS } from "./format";
import type { Plain, Schema, TypeName } from "./schema";

/**
 * Writes the configuration's schema as JSON Schema, draft 2020-12, for editors
 * (https://json-schema.org/draft/2020-12).
 *
 * The checker takes an environment variable wherever it takes a value, so each value that is bound to a
 * form may instead be a text with `${` in it. Bounds of durations and sizes are left to the
 * checker, and so is everything across sections. The other way round, an editor minds a number
 * where the checker reads it as the text it is. Members are sorted, so that the same schema is the same text.
 */

const format = string.format;
const gsub = string.gsub;

/** A member of an object and its value, written out already. */
type Member = [name: string, text: string];

const ENVIRONMENT = '{ "$ref": "#/$defs/environment" }';

function quoted(text: string): string {
  const [escaped] = gsub(text, '[%c"\\]', (character) => format("\\u%04x", string.byte(character)));
  const [readable] = gsub(gsub(escaped, "\\u0022", '\\"')[0], "\\u005c", "\\\\");
  return `"${readable}"`;
}

function list_text(items: readonly string[], indent: string): string {
  if (items.length === 0) {
    return "[]";
  }
  const inner = `${indent}  `;
  return `[\n${inner}${items.join(`,\n${inner}`)}\n${indent}]`;
}

function object_text(members: readonly Member[], indent: string): string {
  if (members.length === 0) {
    return "{}";
  }
  const lines: string[] = [];
  for (const [name, text] of members) {
    lines.push(`${indent}  ${quoted(name)}: ${text}`);
  }
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

function scalar_text(value: string | number | boolean): string {
  return typeof value === "string" ? quoted(value) : typeof value === "number" ? format("%.14g", value) : tostring(value);
}

function is_list(schema: Schema): boolean {
  if (schema.type === "array") {
    return true;
  }
  const types = (typeof schema.type === "string" ? [] : schema.type ?? []) as readonly TypeName[];
  for (const type of types) {
    if (type === "array") {
      return true;
    }
  }
  return false;
}

/** A default or an example. Its schema tells lists from objects: in Lua an empty one could be either. */
function plain_text(value: Plain, schema: Schema, indent: string): string {
  if (typeof value !== "object") {
    return scalar_text(value);
  }
  if (is_list(schema)) {
    const items: string[] = [];
    for (const item of value as readonly Plain[]) {
      items.push(plain_text(item, schema.items ?? {}, `${indent}  `));
    }
    return list_text(items, indent);
  }
  const members: Member[] = [];
  const named = value as { readonly [name: string]: Plain };
  for (const name of sorted_names(named)) {
    members.push([name, plain_text(named[name] ?? "", schema.properties?.[name] ?? {}, `${indent}  `)]);
  }
  return object_text(members, indent);
}

function texts(values: readonly (string | number | boolean)[], indent: string): string {
  const written: string[] = [];
  for (const value of values) {
    written.push(scalar_text(value));
  }
  return list_text(written, indent);
}

function number_member(members: Member[], name: string, value: number | undefined): void {
  if (value !== undefined) {
    members.push([name, format("%.14g", value)]);
  }
}

/** The members that bind a value, without those that describe it. */
function binding(schema: Schema, indent: string): Member[] {
  const inner = `${indent}  `;
  const members: Member[] = [];
  if (schema.type !== undefined) {
    members.push(["type", typeof schema.type === "string" ? quoted(schema.type) : texts(schema.type, inner)]);
  }
  if (schema.enum !== undefined) {
    members.push(["enum", texts(schema.enum, inner)]);
  }
  if (schema.format !== undefined) {
    members.push(["pattern", quoted(FORMATS[schema.format].pattern)]);
  } else {
    number_member(members, "minimum", schema.minimum);
    number_member(members, "maximum", schema.maximum);
  }
  number_member(members, "minLength", schema.minLength);
  number_member(members, "maxLength", schema.maxLength);
  number_member(members, "minItems", schema.minItems);
  number_member(members, "maxItems", schema.maxItems);
  if (schema.items !== undefined) {
    members.push(["items", schema_text(schema.items, inner)]);
  }
  if (schema.properties !== undefined) {
    const properties: Member[] = [];
    for (const name of sorted_names(schema.properties)) {
      properties.push([name, schema_text(schema.properties[name] ?? {}, `${inner}  `)]);
    }
    members.push(["properties", object_text(properties, inner)]);
  }
  if (schema.required !== undefined) {
    members.push(["required", texts(schema.required, inner)]);
  }
  if (schema.additionalProperties !== undefined) {
    members.push(["additionalProperties", schema_text(schema.additionalProperties, inner)]);
  } else if (schema.properties !== undefined) {
    members.push(["additionalProperties", "false"]);
  }
  if (schema.anyOf !== undefined) {
    members.push(["anyOf", schemas_text(schema.anyOf, inner)]);
  }
  if (schema.oneOf !== undefined) {
    members.push(["oneOf", schemas_text(schema.oneOf, inner)]);
  }
  return members;
}

function schemas_text(schemas: readonly Schema[], indent: string): string {
  const written: string[] = [];
  for (const schema of schemas) {
    written.push(schema_text(schema, `${indent}  `));
  }
  return list_text(written, indent);
}

/** Whether only some texts, or no text at all, will do, so that a reference to the environment has to be let through. */
function is_bound(schema: Schema): boolean {
  if (schema.type === "object" || schema.type === "array" || schema.type === undefined) {
    return false;
  }
  return (
    schema.format !== undefined ||
    schema.enum !== undefined ||
    schema.minLength !== undefined ||
    schema.maxLength !== undefined ||
    schema.type === "integer" ||
    schema.type === "number" ||
    schema.type === "boolean"
  );
}

function schema_text(schema: Schema, indent: string): string {
  const inner = `${indent}  `;
  const members: Member[] = [];
  if (schema.description !== undefined) {
    members.push(["description", quoted(schema.description)]);
  }
  if (is_bound(schema)) {
    members.push(["anyOf", list_text([object_text(binding(schema, `${inner}  `), `${inner}  `), ENVIRONMENT], inner)]);
  } else {
    for (const member of binding(schema, indent)) {
      members.push(member);
    }
  }
  if (schema.default !== undefined) {
    members.push(["default", plain_text(schema.default, schema, inner)]);
  }
  if (schema.examples !== undefined) {
    const examples: string[] = [];
    for (const example of schema.examples) {
      examples.push(plain_text(example, schema, `${inner}  `));
    }
    members.push(["examples", list_text(examples, inner)]);
  }
  if (schema.writeOnly === true) {
    members.push(["writeOnly", "true"]);
  }
  return object_text(members, indent);
}

/** The whole configuration's JSON Schema, as text that ends in a newline. */
function json_schema(): string {
  const members: Member[] = [
    ["$schema", quoted("https://json-schema.org/draft/2020-12/schema")],
    ["title", quoted("Sluice configuration")],
  ];
  for (const member of binding(CONFIGURATION_SCHEMA, "")) {
    members.push(member);
  }
  members.push([
    "$defs",
    object_text(
      [
        [
          "environment",
          object_text(
            [
              ["description", quoted("A value from the environment: ${NAME} or ${NAME:-default}.")],
              ["type", quoted("string")],
              ["pattern", quoted("\\$\\{[A-Za-z_]")],
            ],
            "    ",
          ),
        ],
      ],
      "  ",
    ),
  ]);
  return `${object_text(members, "")}\n`;
}

export { json_schema };
