/** The ledger in SQLite, from 3.24 with its JSON functions. */

import { COLUMNS } from "./columns";
import type { Dialect } from "./dialect";

function column_names(): string {
  const names: string[] = [];
  for (const { name } of COLUMNS) {
    names.push(name);
  }
  return names.join(", ");
}

function extracted(count: number): string {
  const values: string[] = [];
  for (const index of $range(0, count - 1)) {
    values.push(`json_extract(value, '$[${index}]')`);
  }
  return values.join(", ");
}

/**
 * SQLite's sum of integers fails beyond 2^63, so billions and the rest are summed by themselves. Values are not negative.
 */
function sum(this: void, column: string): string {
  const high = `SUM(${column} / 1000000000)`;
  const low = `SUM(${column} % 1000000000)`;
  const digits = `printf('%d%09d', ${high} + ${low} / 1000000000, ${low} % 1000000000)`;
  return `COALESCE(NULLIF(ltrim(${digits}, '0'), ''), '0')`;
}

const SQLITE: Dialect = {
  driver: "SQLite3",
  package: "lua-dbi-sqlite3",
  // Another program may be writing: wait, milliseconds.
  setup: ["PRAGMA busy_timeout = 20000"],
  begin: "BEGIN IMMEDIATE",
  lock_schema: undefined,
  find_schema: "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'usage_schema'",
  migrations: [
    [
      "CREATE TABLE usage_sources (name TEXT NOT NULL PRIMARY KEY, journal TEXT NOT NULL, version INTEGER NOT NULL, loaded_at TEXT)",
      `CREATE TABLE usage_positions (source TEXT NOT NULL, fingerprint TEXT NOT NULL, inode TEXT NOT NULL, read_to INTEGER NOT NULL,
        is_current INTEGER NOT NULL, PRIMARY KEY (source, fingerprint, inode))`,
      `CREATE TABLE usage_requests (id TEXT NOT NULL PRIMARY KEY, source TEXT NOT NULL, time TEXT NOT NULL, tenant TEXT NOT NULL,
        key TEXT, model TEXT, pool TEXT, endpoint TEXT, attempts INTEGER, status INTEGER, ending TEXT NOT NULL,
        input_tokens INTEGER NOT NULL, cached_input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, usage_from TEXT,
        reserved_tokens INTEGER, cost_nano_usd INTEGER NOT NULL, first_token_ms INTEGER, duration_ms INTEGER, held_ms INTEGER,
        guard TEXT) WITHOUT ROWID`,
      "CREATE INDEX usage_requests_time ON usage_requests (time)",
    ],
    ["ALTER TABLE usage_requests ADD COLUMN free_units INTEGER NOT NULL DEFAULT 0"],
    ["ALTER TABLE usage_requests ADD COLUMN timeout TEXT"],
    [
      "ALTER TABLE usage_requests ADD COLUMN cache_write_tokens INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE usage_requests ADD COLUMN cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE usage_requests ADD COLUMN reasoning_tokens INTEGER NOT NULL DEFAULT 0",
    ],
  ],
  insert_rows: `INSERT INTO usage_requests (source, ${column_names()}) SELECT ?, ${extracted(COLUMNS.length)}
    FROM json_each(?) WHERE true ON CONFLICT (id) DO NOTHING`,
  insert_positions: `INSERT INTO usage_positions (source, fingerprint, inode, read_to, is_current)
    SELECT ?, ${extracted(4)} FROM json_each(?) WHERE true`,
  sum,
  time_prefix: (characters) => `substr(time, 1, ${characters})`,
  time_parameter: "?",
  number_parameter: "CAST(? AS INTEGER)",
  list_parameter: "(SELECT value FROM json_each(?))",
  by_bytes: "",
  as_text: (column) => `CAST(${column} AS TEXT)`,
};

export { SQLITE, column_names };
