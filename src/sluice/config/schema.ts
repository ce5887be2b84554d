/**
 * The words a section of the configuration is described in.
 *
 * A schema is a JSON Schema (draft 2020-12) literal, cut down to what the configuration needs, so
 * that one literal serves three readers: the checker at start, the editor through
 * `nginx/sluice.schema.json`, and the person who reads the descriptions. Each room keeps the
 * schema of its own section beside its code and imports nothing from here but the type.
 *
 * Two things differ from JSON Schema. Objects are closed: a member that `properties` doesn't name
 * is an error, unless `additionalProperties` is a schema for it. And `format` doesn't only test a
 * value, it gives the value its final form (`"2s"` becomes 2000): `format.ts` lists them.
 */

/** A form that a value is tested for, and put into. See `format.ts` for each. */
type FormatName =
  | "duration"
  | "bytes"
  | "url"
  | "cidr"
  | "sha256"
  | "path"
  | "url_path"
  | "identifier"
  | "model_name"
  | "glob"
  | "host_port"
  | "credential"
  | "redis_url"
  | "hours"
  | "base_path"
  | "origin"
  | "header_name"
  | "header_value";

type TypeName = "object" | "array" | "string" | "integer" | "number" | "boolean";

/** A value that YAML and JSON can both write down. */
type Plain = string | number | boolean | readonly Plain[] | { readonly [name: string]: Plain };

/** One node of a schema. */
interface Schema {
  /** What the member is for; editors show it, so it is written for an operator. Only `items` and `anyOf` may go without. */
  readonly description?: string;
  /** One type, or several that are all right. */
  readonly type?: TypeName | readonly TypeName[];

  /** An object's members. Others are errors. */
  readonly properties?: { readonly [name: string]: Schema };
  /** Members that must be there. */
  readonly required?: readonly string[];
  /** For an object whose member names the user chooses: what each value must be. */
  readonly additionalProperties?: Schema;

  /** What each item of an array must be. */
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;

  readonly enum?: readonly (string | number | boolean)[];
  readonly format?: FormatName;
  /** A string's length in bytes. */
  readonly minLength?: number;
  readonly maxLength?: number;

  /** A number's bounds, both included. For a `duration` milliseconds, for `bytes` bytes. */
  readonly minimum?: number;
  readonly maximum?: number;

  /**
   * Stands in when the member is left out. Written as a user would write it, for it goes through
   * the same checks. An object with defaults inside needs `default: {}` to get them when it is
   * left out as a whole.
   */
  readonly default?: Plain;
  readonly examples?: readonly Plain[];

  /**
   * At least one of these must hold. Each is either a group of members that must be there
   * (`[{ required: ["sha256"] }, { required: ["secret"] }]`) or one of several forms that the
   * value may take (`[{ type: "string" }, { type: "array", items: … }]`, told apart by type).
   */
  readonly anyOf?: readonly Schema[];
  /** Groups of members of which exactly one must be there. */
  readonly oneOf?: readonly { readonly required: readonly string[] }[];

  /** The value is never shown, whatever the member is called. See `is_secret_name` in `problem.ts`. */
  readonly writeOnly?: boolean;
}

export type { FormatName, Plain, Schema, TypeName };
