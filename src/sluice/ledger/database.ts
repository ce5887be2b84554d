/**
 * The ledger's tables: one row a request, and how far each source's journal has been read.
 *
 * Rows and positions are written in one transaction, so a program that is killed at any moment has either loaded a batch
 * and moved on, or neither. A source has a version that every batch raises by one: of two programs that load
 * the same journal, the one whose version is no longer right takes back its batch and reads the positions anew. And a
 * request's id is there once, whatever is read twice.
 */

import { connect, disconnect, execute, query, transaction } from "./connection";
import { POSTGRESQL } from "./postgresql";
import { SQLITE } from "./sqlite";
import { encode_string } from "../wire/json";
import type { Connection } from "./connection";
import type { Dialect } from "./dialect";
import type { Position } from "./position";

/** How far a source has been read, and which version of that this is. */
interface SourceState {
  version: number;
  positions: Position[];
}

/** What became of a batch. */
interface Saved {
  /** Rows that were not there before. */
  added: number;
  /** Another program has loaded in between: nothing was written. */
  overtaken: boolean;
}

const POSITIONS = "SELECT fingerprint, inode, $read_to, $is_current FROM usage_positions WHERE source = ?";

/** What a URL names: the dialect and what the driver is given. Undefined with a reason, if it is neither. */
function parse_database(url: string): LuaMultiReturn<[dialect: Dialect | undefined, name: string]> {
  const [path] = string.match(url, "^sqlite:(.+)$");
  if (path !== undefined) {
    // The library takes names such as ":memory:" and "file:…" for something else than files.
    return $multi(SQLITE, string.sub(path, 1, 1) === "/" ? path : `./${path}`);
  }
  if (string.match(url, "^postgres://.+$")[0] !== undefined || string.match(url, "^postgresql://.+$")[0] !== undefined) {
    return $multi(POSTGRESQL, url);
  }
  return $multi(undefined, "a database is sqlite:PATH or postgresql://USER@HOST:PORT/NAME");
}

/** The version of the tables: 0 if there are none. */
function schema_version(connection: Connection): LuaMultiReturn<[version: number | undefined, reason: string | undefined]> {
  const [there, unknown] = query(connection, connection.dialect.find_schema, []);
  if (there === undefined) return $multi(undefined, unknown);
  if (there.length === 0) return $multi(0, undefined);
  const [rows, reason] = query(connection, `SELECT ${connection.dialect.as_text("MAX(version)")} FROM usage_schema`, []);
  if (rows === undefined) return $multi(undefined, reason);
  return $multi(tonumber(rows[0]?.[0] ?? "0") ?? 0, undefined);
}

function too_new(version: number, dialect: Dialect): string {
  return `the database has version ${version} of the ledger, this program knows ${dialect.migrations.length} and older: use a newer sluice`;
}

/** Whether PostgreSQL keeps texts as UTF-8; in another encoding some could not be written. */
function encoding_fault(connection: Connection): string | undefined {
  if (connection.dialect !== POSTGRESQL) return undefined;
  const [rows, reason] = query(connection, "SELECT getdatabaseencoding()::text", []);
  const encoding = rows?.[0]?.[0];
  if (encoding === "UTF8") return undefined;
  return encoding === undefined ? (reason ?? "no encoding") : `the database's encoding is ${encoding}, and must be UTF8`;
}

/** Brings the tables to a version, from the one before it. */
function apply(connection: Connection, version: number): string | undefined {
  if (version === 1) {
    const [made, reason] = execute(connection, "CREATE TABLE usage_schema (version integer NOT NULL PRIMARY KEY)", []);
    if (made === undefined) return reason ?? "no table";
  }
  for (const sql of connection.dialect.migrations[version - 1]!) {
    const [done, reason] = execute(connection, sql, []);
    if (done === undefined) return reason ?? "no table";
  }
  const [noted, reason] = execute(connection, `INSERT INTO usage_schema (version) VALUES (${version})`, []);
  return noted === undefined ? (reason ?? "no version") : undefined;
}

/** Makes the tables, or brings them up to date: each version in a transaction of its own. Returns why it can't. */
function migrate(connection: Connection): LuaMultiReturn<[reason: string | undefined, hopeless: boolean]> {
  const { dialect } = connection;
  const newest = dialect.migrations.length;
  const [found, unknown] = schema_version(connection);
  if (found === undefined) return $multi(unknown ?? "no version", false);
  if (found > newest) return $multi(too_new(found, dialect), true);
  for (const next of $range(found + 1, newest)) {
    const reason = transaction(connection, () => {
      if (dialect.lock_schema !== undefined) {
        const [locked, failure] = query(connection, dialect.lock_schema, []);
        if (locked === undefined) return failure ?? "no lock";
      }
      // Another program may have done it meanwhile.
      const [version, failure] = schema_version(connection);
      if (version === undefined) return failure ?? "no version";
      return version >= next ? undefined : apply(connection, next);
    });
    if (reason !== undefined) return $multi(`the ledger's tables could not be made: ${reason}`, false);
  }
  return $multi(undefined, false);
}

/**
 * Connects to a database. To write, the tables are made if they aren't there; to read they must be. With undefined it returns the
 * reason, and whether it is of no use to try again.
 */
function open_ledger(
  dbi: Dbi,
  dialect: Dialect,
  name: string,
  to_write: boolean,
): LuaMultiReturn<[connection: Connection | undefined, reason: string, hopeless: boolean]> {
  const [connection, unconnected] = connect(dbi, dialect, name);
  if (connection === undefined) {
    // The driver's messages may have the URL with the password in it.
    const [plain] = string.gsub(name, "%W", "%%%0");
    const [reason] = string.gsub(unconnected ?? "", plain, "URL");
    const hint = dialect === POSTGRESQL ? " (psql says more, with the same URL)" : "";
    return $multi(undefined, `no connection to the database: ${reason}${hint}`, false);
  }
  let reason: string | undefined = encoding_fault(connection);
  let hopeless = reason !== undefined;
  if (reason === undefined && to_write) {
    [reason, hopeless] = migrate(connection);
  } else if (reason === undefined) {
    const [version, failure] = schema_version(connection);
    const newest = dialect.migrations.length;
    if (version === undefined) reason = failure ?? "no version";
    else if (version > newest) reason = too_new(version, dialect);
    else if (version < newest) reason = "the ledger's tables are not there, or old: sluice usage load makes them";
  }
  if (reason !== undefined) {
    disconnect(connection);
    return $multi(undefined, reason, hopeless);
  }
  return $multi(connection, "", false);
}

/** How far a source has been read. It is made if it is new. */
function read_source(
  connection: Connection,
  source: string,
  journal: string,
): LuaMultiReturn<[state: SourceState | undefined, reason: string | undefined]> {
  const { as_text } = connection.dialect;
  const [made, unmade] = execute(
    connection, "INSERT INTO usage_sources (name, journal, version) VALUES (?, ?, 0) ON CONFLICT (name) DO NOTHING", [source, journal]);
  if (made === undefined) return $multi(undefined, unmade);
  // The version first: if another program loads in between, this one's version is old, and its first batch is refused.
  const [versions, reason] = query(connection, `SELECT ${as_text("version")} FROM usage_sources WHERE name = ?`, [source]);
  if (versions === undefined) return $multi(undefined, reason);
  const [half] = string.gsub(POSITIONS, "%$read_to", as_text("read_to"));
  const [sql] = string.gsub(half, "%$is_current", as_text("is_current"));
  const [rows, unread] = query(connection, sql, [source]);
  if (rows === undefined) return $multi(undefined, unread);
  const positions: Position[] = [];
  for (const row of rows) {
    positions.push({ fingerprint: row[0] ?? "", inode: row[1] ?? "", offset: tonumber(row[2] ?? "0") ?? 0, current: row[3] === "1" });
  }
  return $multi({ version: tonumber(versions[0]?.[0] ?? "0") ?? 0, positions }, undefined);
}

function positions_json(positions: Position[]): string {
  const rows: string[] = [];
  for (const { fingerprint, inode, offset, current } of positions) {
    rows.push(`[${encode_string(fingerprint)},${encode_string(inode)},${string.format("%.0f", offset)},${current ? 1 : 0}]`);
  }
  return `[${rows.join(",")}]`;
}

/** Writes a batch: rows as `row_of` makes them, and how far that is. `now` is an instant. Raises the state's version. */
function save_batch(
  connection: Connection,
  source: string,
  state: SourceState,
  rows: string[],
  positions: Position[],
  now: string,
): LuaMultiReturn<[saved: Saved | undefined, reason: string | undefined]> {
  const { dialect } = connection;
  const saved: Saved = { added: 0, overtaken: false };
  const version = string.format("%.0f", state.version);
  const reason = transaction(connection, () => {
    const raise = `UPDATE usage_sources SET version = version + 1, loaded_at = ${dialect.time_parameter}
      WHERE name = ? AND version = ${dialect.number_parameter}`;
    const [raised, unraised] = execute(connection, raise, [now, source, version]);
    if (raised === undefined) return unraised ?? "no version";
    if (raised !== 1) {
      saved.overtaken = true;
      return "overtaken";
    }
    if (rows.length > 0) {
      const [added, failure] = execute(connection, dialect.insert_rows, [source, `[${rows.join(",")}]`]);
      if (added === undefined) return failure ?? "no rows";
      saved.added = added;
    }
    const [emptied, unemptied] = execute(connection, "DELETE FROM usage_positions WHERE source = ?", [source]);
    if (emptied === undefined) return unemptied ?? "no positions";
    const [noted, failure] = execute(connection, dialect.insert_positions, [source, positions_json(positions)]);
    return noted === undefined ? (failure ?? "no positions") : undefined;
  });
  if (saved.overtaken) return $multi(saved, undefined);
  if (reason !== undefined) return $multi(undefined, reason);
  state.version += 1;
  return $multi(saved, undefined);
}

export { disconnect, open_ledger, parse_database, read_source, save_batch };
export type { SourceState };
