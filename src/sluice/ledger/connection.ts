/**
 * A connection to a database, with errors as values: LuaDBI throws some of them.
 *
 * Transactions are ordinary statements here and LuaDBI's own are switched off, because its `commit` says that all is well
 * also when it isn't. Statements are prepared once and kept: closing them would leak memory in the PostgreSQL driver.
 */

import type { Dialect } from "./dialect";

interface Connection {
  dialect: Dialect;
  handle: DbiConnection;
  statements: LuaTable<string, DbiStatement>;
}

type Row = (string | undefined)[];

/** One line of a driver's message, without its last full stop or newline. */
function one_line(reason: unknown): string {
  const [text] = string.gsub(tostring(reason), "%s+", " ");
  return string.match(text, "^%s*(.-)%s*$")[0] ?? text;
}

/** Runs a driver's function that may throw. */
function guarded<T>(run: (this: void) => LuaMultiReturn<[T | undefined, string | undefined]>): LuaMultiReturn<[T | undefined, string | undefined]> {
  const [done, result, reason] = pcall(run);
  if (!done) return $multi(undefined, one_line(result));
  return $multi(result as T | undefined, reason === undefined ? undefined : one_line(reason));
}

function prepared(connection: Connection, sql: string): LuaMultiReturn<[statement: DbiStatement | undefined, reason: string | undefined]> {
  const known = connection.statements.get(sql);
  if (known !== undefined) return $multi(known, undefined);
  // The PostgreSQL driver crashes if it is asked to prepare a statement on a lost connection.
  const [alive] = guarded(() => $multi(connection.handle.ping(), undefined));
  if (alive !== true) return $multi(undefined, "the connection is lost");
  const [statement, reason] = guarded(() => connection.handle.prepare(sql));
  if (statement !== undefined) connection.statements.set(sql, statement);
  return $multi(statement, reason ?? "the statement could not be prepared");
}

function run(statement: DbiStatement, values: string[]): LuaMultiReturn<[boolean, string | undefined]> {
  if (values.length === 0) return statement.execute();
  if (values.length === 1) return statement.execute(values[0]);
  if (values.length === 2) return statement.execute(values[0], values[1]);
  return statement.execute(values[0], values[1], values[2]);
}

/** Runs a statement. Returns how many rows it changed, or undefined and a reason. */
function execute(connection: Connection, sql: string, values: string[]): LuaMultiReturn<[affected: number | undefined, reason: string | undefined]> {
  const [statement, unprepared] = prepared(connection, sql);
  if (statement === undefined) return $multi(undefined, unprepared);
  const [affected, reason] = guarded<number>(() => {
    const [done, refusal] = run(statement, values);
    if (!done) return $multi(undefined, refusal ?? "the statement failed");
    return $multi(statement.affected(), undefined);
  });
  // A statement that has failed fails once more when SQLite's driver resets it.
  if (affected === undefined) connection.statements.delete(sql);
  return $multi(affected, reason);
}

/** Runs a query. Returns all its rows, or undefined and a reason. */
function query(connection: Connection, sql: string, values: string[]): LuaMultiReturn<[rows: Row[] | undefined, reason: string | undefined]> {
  const [statement, unprepared] = prepared(connection, sql);
  if (statement === undefined) return $multi(undefined, unprepared);
  const [rows, reason] = guarded<Row[]>(() => {
    const [done, refusal] = run(statement, values);
    if (!done) return $multi(undefined, refusal ?? "the query failed");
    const found: Row[] = [];
    let row = statement.fetch();
    while (row !== undefined) {
      found.push(row as Row);
      row = statement.fetch();
    }
    return $multi(found, undefined);
  });
  if (rows === undefined) connection.statements.delete(sql);
  return $multi(rows, reason);
}

/** Ends a connection. What was not committed is undone. */
function disconnect(connection: Connection): void {
  for (const [, statement] of pairs(connection.statements)) {
    guarded(() => $multi(statement.close(), undefined));
  }
  connection.statements = new LuaTable();
  guarded(() => $multi(connection.handle.close(), undefined));
}

/** Connects. `name` is a path, or a URL that the driver's library understands. */
function connect(dbi: Dbi, dialect: Dialect, name: string): LuaMultiReturn<[connection: Connection | undefined, reason: string | undefined]> {
  const [handle, reason] = guarded(() => dbi.Connect(dialect.driver, name));
  if (handle === undefined) return $multi(undefined, reason ?? "no connection");
  const connection: Connection = { dialect, handle, statements: new LuaTable() };
  // It reports whether there was a transaction to end, which is of no interest.
  guarded(() => $multi(handle.autocommit(true), undefined));
  for (const sql of dialect.setup) {
    const [done, failure] = execute(connection, sql, []);
    if (done === undefined) {
      disconnect(connection);
      return $multi(undefined, failure);
    }
  }
  return $multi(connection, undefined);
}

/**
 * Runs statements as one transaction: what `body` does is done whole or not at all. `body` returns a reason to undo it all.
 */
function transaction(connection: Connection, body: (this: void) => string | undefined): string | undefined {
  const [begun, unbegun] = execute(connection, connection.dialect.begin, []);
  if (begun === undefined) return unbegun ?? "no transaction";
  let reason = body();
  if (reason === undefined) {
    const [committed, failure] = execute(connection, "COMMIT", []);
    if (committed !== undefined) return undefined;
    reason = failure ?? "the transaction could not be committed";
  }
  execute(connection, "ROLLBACK", []);
  return reason;
}

export { connect, disconnect, execute, query, transaction };
export type { Connection, Row };
