/**
 * What differs between the databases. Values go into statements as texts, and those of many rows as one JSON text, so that
 * a batch is one statement; sums come out as texts, because LuaDBI makes 32-bit numbers of integers.
 *
 * A statement has at most three parameters.
 */
interface Dialect {
  /** LuaDBI's name for the driver, and Debian's for its package. */
  driver: string;
  package: string;
  /** Run once after connecting. */
  setup: string[];
  /** Begins a transaction that writes. */
  begin: string;
  /** Lets one program at a time change the tables, within a transaction. */
  lock_schema: string | undefined;
  /** Whether the ledger's tables are there: one row if so. */
  find_schema: string;
  /** The statements of each version, from 1 on. */
  migrations: string[][];
  /** Parameters: the source's name; an array of rows, see `row_of`. */
  insert_rows: string;
  /** Parameters: the source's name; an array of [fingerprint, inode, offset, 1 if current else 0]. */
  insert_positions: string;
  /** The sum of a column of whole numbers, as digits, exact however large. */
  sum: (this: void, column: string) => string;
  /** The first characters of a row's time, as RFC 3339 has it. */
  time_prefix: (this: void, characters: number) => string;
  /** A parameter that is a time, a whole number, or an array of texts to look in. */
  time_parameter: string;
  number_parameter: string;
  list_parameter: string;
  /** Appended to a column to sort it by its bytes. */
  by_bytes: string;
  as_text: (this: void, column: string) => string;
}

export type { Dialect };
