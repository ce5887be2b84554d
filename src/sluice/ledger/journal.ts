/**
 * The usage journal: one JSON line for each request of an identified caller, whichever way it ended. It is what was
 * charged, so it is written for programs that add it up: every line has every field, `null` where there is nothing to say.
 *
 * A line is a row of parts that is used again and again: the fixed ones stay, the values are put between them. The names come from the configuration and return with every request, so their escaped forms are
 * kept; the time's text up to the second is kept too. There is no prompt text here and no secret, because a record
 * has no place for them.
 */

const byte = string.byte;
const char = string.char;
const concat = table.concat;
const date = os.date;
const floor = math.floor;
const format = string.format;
const sub = string.sub;

/** Which time ran out: for the connection, for the next byte, or for the request as a whole. */
type Timeout = "connect" | "read" | "total";

/** How a request ended. */
type Ending = "finished" | "blocked" | "client_gone" | "upstream_lost" | "timed_out" | "budget_cut" | "refused";

interface JournalRecord {
  /** The request's id, as the client got it in `x-request-id`: hexadecimal digits. */
  id: string;
  /** When the request arrived: seconds since 1970. */
  time: number;
  tenant: string;
  /** The id of the credential, never the credential. */
  key: string;
  /** The model's public name, if the request got as far as naming one that exists. */
  model?: string;
  pool?: string;
  endpoint?: string;
  attempts: number;
  status: number;
  ending: Ending;
  /** Cached ones included. */
  input_tokens: number;
  cached_input_tokens: number;
  output_tokens: number;
  /** Whether the upstream said so, or they were counted here. */
  usage_from?: "upstream" | "counted";
  /** What was reserved when the request was admitted, if its tenant or key has limits. */
  reserved_tokens?: number;
  /** Nano-dollars. */
  cost_nano_usd: number;
  /** How much the request used of what its tenant has free of the model: tokens, or requests. */
  free_units: number;
  /** Input that was written to the upstream's cache, and how much of that for an hour; and output that was reasoning. */
  cache_write_tokens: number;
  cache_write_1h_tokens: number;
  reasoning_tokens: number;
  first_token_ms?: number;
  duration_ms: number;
  /** The longest that any of the answer was held back. */
  held_ms: number;
  /** If it ended because time ran out. */
  timeout?: Timeout;
  /** What the tenant's guard found, as JSON. */
  guard?: string;
}

/** Names whose escaped form is kept; more than any configuration's and still bounded. */
const MOST_NAMES = 20000;

/** Integers up to here are exact in a double. */
const EXACT = 9007199254740992;

/** Whole numbers up to here are written in full by themselves; Lua writes 14 digits. */
const PLAIN = 1e14;

interface Names {
  escaped: LuaTable<string, string>;
  count: number;
}

const names: Names = { escaped: new LuaTable(), count: 0 };

/** How many bytes the UTF-8 character at this place has (RFC 3629); 0 if there is none. */
function utf8_length(text: string, at: number): number {
  const [first = 0, second = 0, third = 0, fourth = 0] = byte(text, at, at + 3);
  const second_follows = second >= 0x80 && second <= 0xbf;
  if (first >= 0xc2 && first <= 0xdf) return second_follows ? 2 : 0;
  const third_follows = third >= 0x80 && third <= 0xbf;
  if (first >= 0xe0 && first <= 0xef) {
    if (!second_follows || !third_follows) return 0;
    if (first === 0xe0 && second < 0xa0) return 0;
    return first === 0xed && second > 0x9f ? 0 : 3;
  }
  if (first < 0xf0 || first > 0xf4 || !second_follows || !third_follows || fourth < 0x80 || fourth > 0xbf) return 0;
  if (first === 0xf0 && second < 0x90) return 0;
  return first === 0xf4 && second > 0x8f ? 0 : 4;
}

/** A string as JSON has it (RFC 8259, section 7), whatever its bytes; what is not UTF-8 becomes U+FFFD. */
function escape(text: string): string {
  const parts: string[] = [];
  let at = 1;
  while (at <= text.length) {
    const code = byte(text, at);
    let length = 1;
    if (code === 0x22 || code === 0x5c) parts.push(`\\${char(code)}`);
    else if (code < 0x20 || code === 0x7f) parts.push(format("\\u%04x", code));
    else if (code < 0x80) parts.push(char(code));
    else {
      length = utf8_length(text, at);
      if (length === 0) {
        length = 1;
        parts.push("\\ufffd");
      } else parts.push(sub(text, at, at + length - 1));
    }
    at += length;
  }
  return `"${concat(parts)}"`;
}

/** A string that is not seen again, such as a request's id: escaped if it has to be, and not kept. */
function quote(text: string): string {
  for (const at of $range(1, text.length)) {
    const code = byte(text, at);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return escape(text);
  }
  return `"${text}"`;
}

/** A name from the configuration, or `null`. */
function name(text: string | undefined): string {
  if (text === undefined) return "null";
  const known = names.escaped.get(text);
  if (known !== undefined) return known;
  const quoted = quote(text);
  if (names.count < MOST_NAMES) {
    names.escaped.set(text, quoted);
    names.count += 1;
  }
  return quoted;
}

/** A count or a duration as a whole number; `null` for what JSON has no number for. */
function whole(value: number | undefined): number | string {
  if (value === undefined || !(value > -EXACT && value < EXACT)) return "null";
  // Adding a half to all of it would take odd numbers above 2^52 to the even one behind them. There is no branch, since what
  // each of a line's durations is rounded to would be another path for the compiler.
  const below = floor(value);
  const rounded = below + floor(value - below + 0.5);
  return rounded < PLAIN ? rounded : format("%.0f", rounded);
}

interface TimePrefix {
  second: number;
  text: string;
}

const prefix: TimePrefix = { second: -1, text: "" };

/** A time as RFC 3339 has it, in UTC, rounded to milliseconds. `time` is in seconds since 1970. */
function timestamp(time: number): string {
  const milliseconds = floor(time * 1000 + 0.5);
  const second = floor(milliseconds / 1000);
  if (second !== prefix.second) {
    prefix.second = second;
    prefix.text = date("!%Y-%m-%dT%H:%M:%S.", second);
  }
  const fraction = milliseconds - second * 1000;
  const digits = fraction < 10 ? "00" : fraction < 100 ? "0" : "";
  return `${prefix.text}${digits}${fraction}Z`;
}

/** A line in parts; numbers are whole ones below 10^14, which Lua writes in full. */
type JournalLine = (string | number)[];

/** A line's parts: a fixed one, a value, a fixed one, … */
const parts: JournalLine = [
  '{"id":"', "", '","time":"', "", '","tenant":', "", ',"key":', "", ',"model":', "", ',"pool":', "", ',"endpoint":', "",
  ',"attempts":', "", ',"status":', "", ',"ending":"', "", '","input_tokens":', "", ',"cached_input_tokens":', "",
  ',"output_tokens":', "", ',"usage_from":', "", ',"reserved_tokens":', "", ',"cost_nano_usd":', "", ',"free_units":', "",
  ',"cache_write_tokens":', "", ',"cache_write_1h_tokens":', "", ',"reasoning_tokens":', "", ',"first_token_ms":', "", ',"duration_ms":', "",
  ',"held_ms":', "", ',"timeout":', "", ',"guard":', "", "}\n",
];

/** The journal's line for a request, with its newline, in parts, which the next call overwrites. Numbers are rounded to whole ones. */
function line_parts(record: JournalRecord): JournalLine {
  parts[1] = record.id;
  parts[3] = timestamp(record.time);
  parts[5] = name(record.tenant);
  parts[7] = name(record.key);
  parts[9] = name(record.model);
  parts[11] = name(record.pool);
  parts[13] = name(record.endpoint);
  parts[15] = whole(record.attempts);
  parts[17] = whole(record.status);
  parts[19] = record.ending;
  parts[21] = whole(record.input_tokens);
  parts[23] = whole(record.cached_input_tokens);
  parts[25] = whole(record.output_tokens);
  parts[27] = name(record.usage_from);
  parts[29] = whole(record.reserved_tokens);
  parts[31] = whole(record.cost_nano_usd);
  parts[33] = whole(record.free_units);
  parts[35] = whole(record.cache_write_tokens);
  parts[37] = whole(record.cache_write_1h_tokens);
  parts[39] = whole(record.reasoning_tokens);
  parts[41] = whole(record.first_token_ms);
  parts[43] = whole(record.duration_ms);
  parts[45] = whole(record.held_ms);
  parts[47] = name(record.timeout);
  parts[49] = record.guard ?? "null";
  return parts;
}

export { line_parts, timestamp };
export type { Ending, JournalLine, JournalRecord, Timeout };
