/** The ledger in PostgreSQL, from 11. */

import { COLUMNS } from "./columns";
import type { Dialect } from "./dialect";
import { column_names } from "./sqlite";

function extracted(): string {
  const values: string[] = [];
  let index = 0;
  for (const { kind } of COLUMNS) {
    const cast = kind === "whole" || kind === "sum" ? "::bigint" : kind === "time" ? "::timestamptz" : "";
    values.push(`(line->>${index})${cast}`);
    index += 1;
  }
  return values.join(", ");
}

const POSTGRESQL: Dialect = {
  driver: "PostgreSQL",
  package: "lua-dbi-postgresql",
  setup: ["SET client_encoding TO 'UTF8'", "SET TIME ZONE 'UTC'"],
  begin: "BEGIN",
  // Any number will do that is always the same.
  lock_schema: "SELECT pg_advisory_xact_lock(7305810)::text",
  find_schema: "SELECT 'usage_schema' WHERE to_regclass('usage_schema') IS NOT NULL",
  migrations: [
    [
      "CREATE TABLE usage_sources (name text PRIMARY KEY, journal text NOT NULL, version bigint NOT NULL, loaded_at timestamptz)",
      `CREATE TABLE usage_positions (source text NOT NULL, fingerprint text NOT NULL, inode text NOT NULL, read_to bigint NOT NULL,
        is_current integer NOT NULL, PRIMARY KEY (source, fingerprint, inode))`,
      `CREATE TABLE usage_requests (id text PRIMARY KEY, source text NOT NULL, time timestamptz NOT NULL, tenant text NOT NULL,
        key text, model text, pool text, endpoint text, attempts bigint, status bigint, ending text NOT NULL,
        input_tokens bigint NOT NULL, cached_input_tokens bigint NOT NULL, output_tokens bigint NOT NULL, usage_from text,
        reserved_tokens bigint, cost_nano_usd bigint NOT NULL, first_token_ms bigint, duration_ms bigint, held_ms bigint,
        guard text)`,
      "CREATE INDEX usage_requests_time ON usage_requests (time)",
    ],
    ["ALTER TABLE usage_requests ADD COLUMN free_units bigint NOT NULL DEFAULT 0"],
    ["ALTER TABLE usage_requests ADD COLUMN timeout text"],
    [
      "ALTER TABLE usage_requests ADD COLUMN cache_write_tokens bigint NOT NULL DEFAULT 0",
      "ALTER TABLE usage_requests ADD COLUMN cache_write_1h_tokens bigint NOT NULL DEFAULT 0",
      "ALTER TABLE usage_requests ADD COLUMN reasoning_tokens bigint NOT NULL DEFAULT 0",
    ],
  ],
  insert_rows: `INSERT INTO usage_requests (source, ${column_names()}) SELECT ?, ${extracted()}
    FROM json_array_elements(?::json) AS lines (line) ON CONFLICT (id) DO NOTHING`,
  insert_positions: `INSERT INTO usage_positions (source, fingerprint, inode, read_to, is_current)
    SELECT ?, line->>0, line->>1, (line->>2)::bigint, (line->>3)::integer FROM json_array_elements(?::json) AS lines (line)`,
  sum: (column) => `COALESCE(SUM(${column}), 0)::text`,
  time_prefix: (characters) => `substr(to_char(time, 'YYYY-MM-DD"T"HH24:MI:SS'), 1, ${characters})`,
  time_parameter: "?::timestamptz",
  number_parameter: "?::bigint",
  list_parameter: "(SELECT json_array_elements_text(?::json))",
  by_bytes: ' COLLATE "C"',
  as_text: (column) => `${column}::text`,
};

export { POSTGRESQL };
