/**
 * The numbers of a request's body that say how much may be written: caps on the output, and how many answers there are to be.
 */

import { Kind } from "./json";
import type { ApiName } from "./api";
import type { Range, RequestReader, RequestReading } from "./request";

const MOST_NUMBER_BYTES = 64;
const MOST_WHOLE = 9007199254740992;

/** A number of the body that caps the output. */
interface OutputCap {
  /** 0: it stands for no cap at all, to some servers at least. */
  tokens: number;
  start: number;
  end: number;
}

const NO_CAPS: OutputCap[] = [];

/** What each API calls the cap in the first slot. */
const CAP_NAMES: Record<ApiName, string> = {
  chat: "max_completion_tokens",
  completions: "max_tokens",
  responses: "max_output_tokens",
  messages: "max_tokens",
  embeddings: "max_tokens",
};

/** The whole number in a slot, if it holds one that is not negative. `4096.0` and `4e3` are whole numbers too. */
function whole<Source>(reader: RequestReader, slot: number, range: Range<Source>, source: Source): number | undefined {
  const state = reader.walk.state;
  if (slot === 0 || state.kinds[slot] !== Kind.Number) {
    return undefined;
  }
  let value = state.numbers[slot]!;
  const start = state.starts[slot]!;
  if (value < 0 && state.ends[slot]! - start <= MOST_NUMBER_BYTES) {
    const text = range(source, start, state.ends[slot]!);
    value = string.byte(text, 1) === 45 ? -1 : (tonumber(text) ?? -1);
  }
  return value >= 0 && value <= MOST_WHOLE && math.floor(value) === value ? value : undefined;
}

/** Whether a slot holds −1, which is no cap for llama.cpp and LM Studio: they count down to 0 otherwise. */
function is_minus_one<Source>(reader: RequestReader, slot: number, range: Range<Source>, source: Source): boolean {
  const { ends, kinds, starts } = reader.walk.state;
  return slot !== 0 && kinds[slot] === Kind.Number && range(source, starts[slot]!, math.min(ends[slot]!, starts[slot]! + 3)) === "-1";
}

/** The cap in a slot, if it is a whole number or −1. */
function add_cap<Source>(caps: OutputCap[], reader: RequestReader, slot: number, range: Range<Source>, source: Source): void {
  const tokens_most = is_minus_one(reader, slot, range, source) ? 0 : whole(reader, slot, range, source);
  if (tokens_most !== undefined) {
    const { ends, starts } = reader.walk.state;
    caps.push({ tokens: tokens_most, start: starts[slot]!, end: ends[slot]! });
  }
}

/** Whether a slot holds something that a lenient upstream may take for a number, and that is not counted as one here. */
function is_odd(reader: RequestReader, slot: number, known: boolean): boolean {
  const kind = slot === 0 ? Kind.Absent : reader.walk.state.kinds[slot]!;
  return kind !== Kind.Absent && kind !== Kind.Null && !known;
}

/** Whether one of the caps is what a slot holds. */
function has_cap(reader: RequestReader, caps: OutputCap[], slot: number): boolean {
  const start = reader.walk.state.starts[slot]!;
  for (const cap of caps) {
    if (cap.start === start) {
      return true;
    }
  }
  return false;
}

/** The member among those that cap the output that is no whole number. */
function odd_cap(reader: RequestReader, caps: OutputCap[]): string | undefined {
  if (is_odd(reader, reader.output_cap, has_cap(reader, caps, reader.output_cap))) {
    return CAP_NAMES[reader.api];
  }
  return is_odd(reader, reader.max_tokens, has_cap(reader, caps, reader.max_tokens)) ? "max_tokens" : undefined;
}

/** More answers to one prompt no API allows. */
const MOST_ANSWERS = 128;

/** The member among those that say how many answers there are that is no whole number. */
function odd_count(reader: RequestReader, choices: number | undefined, best_of: number | undefined): string | undefined {
  if (is_odd(reader, reader.n, choices !== undefined && choices > 0 && choices <= MOST_ANSWERS)) {
    return "n";
  }
  return is_odd(reader, reader.best_of, best_of !== undefined && best_of > 0 && best_of <= MOST_ANSWERS) ? "best_of" : undefined;
}

/** The client's caps on output tokens. */
function read_caps<Source>(reader: RequestReader, range: Range<Source>, source: Source): OutputCap[] {
  const { kinds } = reader.walk.state;
  if (kinds[reader.output_cap] !== Kind.Number && kinds[reader.max_tokens] !== Kind.Number) {
    return NO_CAPS;
  }
  const caps: OutputCap[] = [];
  add_cap(caps, reader, reader.output_cap, range, source);
  add_cap(caps, reader, reader.max_tokens, range, source);
  return caps;
}

/** The cap that counts of several; 0, if one of them is none at all. */
function largest_cap(caps: OutputCap[]): number | undefined {
  let largest: number | undefined;
  for (const { tokens: most } of caps) {
    largest = most === 0 || largest === 0 ? 0 : math.max(most, largest ?? 0);
  }
  return largest;
}

/**
 * A model's bound on the output, for this request: never so low that no answer could follow the thinking that was asked for.
 * Anthropic refuses requests whose `max_tokens` is not larger than `thinking.budget_tokens` ("Building with extended
 * thinking").
 */
function output_bound(reading: RequestReading, most: number): number {
  const { thinking_budget } = reading;
  return thinking_budget === undefined || most > thinking_budget ? most : thinking_budget + 1;
}

/** How many prompts there are: each is answered by itself. They are strings or arrays of token ids. */
function prompt_count(reader: RequestReader): number {
  const { array_count, kinds, string_count } = reader.walk.state;
  const kind = reader.prompt === 0 ? Kind.Absent : kinds[reader.prompt]!;
  return kind === Kind.Array ? math.max(1, string_count + array_count - 1) : 1;
}

/** What is expected of a member that `odd_cap` and its like name. */
function expected_of(member: string): string {
  return member === "n" || member === "best_of" ? `must be a whole number from 1 to ${MOST_ANSWERS}` : "must be a whole number that is not negative, or -1 for no cap";
}

export { expected_of, largest_cap, odd_cap, odd_count, output_bound, prompt_count, read_caps, whole };
export type { OutputCap };
