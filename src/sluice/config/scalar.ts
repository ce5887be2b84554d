/**
 * What a plain scalar means: the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema).
 * `yes`, `no`, `on`, `off`, `12:30` and `1_000` are texts, and so is a number with a leading zero, since
 * some read it as octal.
 */

const byte = string.byte;
const format = string.format;
const match = string.match;

type ScalarType = "null" | "boolean" | "number" | "string";

/** What a plain scalar means. Strings and everything unusual are strings. */
function resolve(text: string): LuaMultiReturn<[type: ScalarType, value: string | number | boolean | undefined]> {
  if (text === "" || text === "~" || text === "null" || text === "Null" || text === "NULL") {
    return $multi("null", undefined);
  }
  if (text === "true" || text === "True" || text === "TRUE") {
    return $multi("boolean", true);
  }
  if (text === "false" || text === "False" || text === "FALSE") {
    return $multi("boolean", false);
  }
  const [whole] = match(text, "^[-+]?(%d+)%.?%d*[eE]?[-+]?%d*$");
  if (whole !== undefined && (whole === "0" || byte(whole) !== 48)) {
    const number = tonumber(text);
    if (number !== undefined && number - number === 0) {
      return $multi("number", number);
    }
  }
  return $multi("string", text);
}

/** A number as a user would write it, for messages. */
function number_text(value: number): string {
  return value % 1 === 0 ? format("%.0f", value) : format("%.14g", value);
}

export { number_text, resolve };
export type { ScalarType };
