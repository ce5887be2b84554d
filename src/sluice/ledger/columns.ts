/**
 * What a line of the journal has, and so what a row of the ledger's table has: one list, of which the reader and both
 * databases' statements are made. A field that is added to the journal is added here, and to the migrations.
 */

/** text, a time, a whole number, a number that is 0 where a line has none, or any JSON. */
type ColumnKind = "text" | "time" | "whole" | "sum" | "json";

interface Column {
  name: string;
  kind: ColumnKind;
  /** Whether a line without it is none. */
  required: boolean;
}

function column(name: string, kind: ColumnKind, required = false): Column {
  return { name, kind, required };
}

/** In the order of a row's values. */
const COLUMNS: Column[] = [
  column("id", "text", true),
  column("time", "time", true),
  column("tenant", "text", true),
  column("key", "text"),
  column("model", "text"),
  column("pool", "text"),
  column("endpoint", "text"),
  column("attempts", "whole"),
  column("status", "whole"),
  column("ending", "text", true),
  column("input_tokens", "sum"),
  column("cached_input_tokens", "sum"),
  column("output_tokens", "sum"),
  column("usage_from", "text"),
  column("reserved_tokens", "whole"),
  column("cost_nano_usd", "sum"),
  column("free_units", "sum"),
  column("cache_write_tokens", "sum"),
  column("cache_write_1h_tokens", "sum"),
  column("reasoning_tokens", "sum"),
  column("first_token_ms", "whole"),
  column("duration_ms", "whole"),
  column("held_ms", "whole"),
  column("timeout", "text"),
  column("guard", "json"),
];

export { COLUMNS };
export type { Column };
