/**
 * Where the tables of a compiled lexicon lie that the scanner's fast loops look at: one C structure, so that a loop that begins has one
 * thing to make sure of, not a dozen. What the tables mean is said in `automaton`, `ascii_table` and `character_table`.
 */

import * as ffi from "ffi";

ffi.cdef(`
typedef struct {
  const int32_t *link, *check, *fail, *resume, *info, *pages, *entries;
  const int16_t *cells;
  const int32_t *row_states, *row_pairs;
  const uint8_t *columns;
} sluice_tables;
`);

interface Tables {
  link: Int32Buffer;
  check: Int32Buffer;
  fail: Int32Buffer;
  resume: Int32Buffer;
  info: Int32Buffer;
  pages: Int32Buffer;
  entries: Int32Buffer;
  /** int16. */
  cells: Int32Buffer;
  row_states: Int32Buffer;
  row_pairs: Int32Buffer;
  columns: Bytes;
}

function new_tables(): Tables {
  const tables = ffi.new<Tables>("sluice_tables");
  return tables;
}

export { new_tables };
export type { Tables };
