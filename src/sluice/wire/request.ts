/**
 * What a request's body asks for, read in one walk: the model, whether to stream, the caps, the text's
 * estimated tokens. The body is offered in slices of any size and never kept; what must change in it comes
 * out as edits by byte range.
 *
 * A reader (the walk with its tables, about 5 KB) is taken from a small store for each request and goes back
 * to it, since several requests of a worker may rest between slices at the same time.
 */

import { clear, tokens } from "./estimate";
import { Fault, Kind, bytes_of, decode_string, describe_fault, feed, finish, restart, walker } from "./json";
import type { Walk } from "./json";
import { bad_body, refuse_model_member } from "./request_fault";
import type { Refusal } from "./refusal";
import { shape_of } from "./request_shape";
import { largest_cap, odd_cap, odd_count, prompt_count, read_caps, whole } from "./output_cap";
import { read_references, refuse_unclear } from "./references";
import type { References } from "./references";
import type { OutputCap } from "./output_cap";
import { attach, new_text, text_sink } from "./text";
import type { Text } from "./text";
import type { ApiName } from "./api";

const sub = string.sub;
const MOST_KEPT_READERS = 16;

interface RequestReader {
  api: ApiName;
  /** Every string is text that is not known to be something else. */
  guarded: boolean;
  walk: Walk<Text>;
  text: Text;
  /** The end of the last slice that was not consumed. */
  rest: string;
  /** Document offset of the first byte of `rest`. */
  offset: number;
  total: number;
  /** Slot numbers, looked up once. */
  model: number;
  stream: number;
  stream_options: number;
  include_usage: number;
  output_cap: number;
  max_tokens: number;
  thinking_budget: number;
  n: number;
  best_of: number;
  prompt: number;
  functions: number;
  body: number;
  /** Where the conversation lies: see `conversation.ts`. */
  tools: number;
  system: number;
  messages: number;
  /** What was made before: see `references.ts`. 0 in APIs without. */
  previous: number;
  conversation: number;
  conversation_id: number;
  item_id: number;
  background: number;
  request_id: number;
}

/** What the body asks for. Offsets are bytes from its beginning, 0 the first. */
interface RequestReading {
  api: ApiName;
  model: string;
  model_start: number;
  model_end: number;
  /**
   * The path has named the model and the body does not: what comes before the member that is put there, its last. Undefined:
   * the body names it.
   */
  model_lead: string | undefined;
  /** The body has `stream_options`, and nothing else, and the path has named the model. */
  options_alone: boolean;
  stream: boolean;
  /** Whether tools are offered to the model. */
  tools: boolean;
  /** Whether the client itself asked for the usage chunk of a stream. */
  client_wants_usage: boolean;
  /** Where `include_usage: true` has to be written, and in which words; `undefined`: nowhere. */
  usage_start: number | undefined;
  usage_end: number;
  usage_text: string;
  /** Where the value of the client's `stream_options` lies; `options_end` 0: there is none. */
  options_start: number;
  options_end: number;
  /**
   * The client's cap on output tokens (the larger one if it gave two: which of them counts is the upstream's choice), if it
   * gave one; 0: no cap.
   */
  output_cap: number | undefined;
  /** The caps themselves, and where their numbers lie. */
  caps: OutputCap[];
  /** How many tokens of the output are for thinking, which the cap must be larger than; undefined: the client did not say. */
  thinking_budget: number | undefined;
  /** The member that keeps from counting how much may be written at most: see `expected_of`. Undefined: there is none. */
  odd_cap: string | undefined;
  /** How many answers are asked for. */
  choices: number;
  /** How many are written for that, at least: more than are asked for, if the best are to be chosen, and as many for each of several prompts. */
  written: number;
  /** How many prompts there are: several, if a completion is asked for each of them. */
  prompts: number;
  /** Estimated tokens of all text and token ids. */
  prompt_tokens: number;
  bytes: number;
  /** What was made before and is referred to; undefined: nothing. */
  references: References | undefined;
}

/** Readers that are not in use, by API: of plain requests, and of guarded ones. */
const stores = new LuaTable<ApiName, RequestReader[]>();
const guarded_stores = new LuaTable<ApiName, RequestReader[]>();

/** Gives the body's bytes from `start` up to, not including, `end`. */
type Range<Source> = (this: void, source: Source, start: number, end: number) => string;

function new_reader(api: ApiName, guarded: boolean): RequestReader {
  const shape = shape_of(api, guarded);
  const slot = (name: string): number => shape.slot_of.get(name) ?? 0;
  const text = new_text();
  const walk = walker(shape, text_sink(), text);
  text.api = api;
  attach(walk, text);
  return {
    api,
    guarded,
    walk,
    text,
    rest: "",
    offset: 0,
    total: 0,
    model: slot("model"),
    stream: slot("stream"),
    stream_options: slot("stream_options"),
    include_usage: slot("include_usage"),
    output_cap: slot("output_cap"),
    max_tokens: slot("max_tokens"),
    thinking_budget: slot("thinking_budget"),
    n: slot("n"),
    best_of: slot("best_of"),
    prompt: slot("prompt"),
    functions: slot("functions"),
    body: slot("body"),
    tools: slot("tools"),
    system: slot("system"),
    messages: api === "completions" ? slot("prompt") : slot("messages"),
    previous: slot("previous"),
    conversation: slot("conversation"),
    conversation_id: slot("conversation_id"),
    item_id: slot("item_id"),
    background: slot("background"),
    request_id: slot("request_id"),
  };
}

/** Takes a reader for a body of that API. `guarded`: what is in it will be scanned. Give it back with `release`. */
function take(api: ApiName, guarded: boolean): RequestReader {
  const store = (guarded ? guarded_stores : stores).get(api);
  const kept = store !== undefined ? store.pop() : undefined;
  const reader = kept ?? new_reader(api, guarded);
  restart(reader.walk);
  clear(reader.text.estimate);
  reader.rest = "";
  reader.offset = 0;
  reader.total = 0;
  return reader;
}

/** Gives a reader back. What it read is no longer valid. */
function release(reader: RequestReader): void {
  const by_api = reader.guarded ? guarded_stores : stores;
  let store = by_api.get(reader.api);
  if (store === undefined) {
    store = [];
    by_api.set(reader.api, store);
  }
  if (store.length < MOST_KEPT_READERS) {
    reader.rest = "";
    restart(reader.walk);
    store.push(reader);
  }
}

/**
 * Whether something was passed over as media that is text by the type that came behind it, or that had none at all. To be asked
 * when all has been read.
 */
function is_undecided(reader: RequestReader): boolean {
  return reader.walk.state.undecided !== 0;
}

/**
 * Makes ready for reading the same body once more, from its beginning: what is not said to be media before it comes is text.
 */
function begin_strictly(reader: RequestReader): void {
  restart(reader.walk);
  reader.walk.state.strict = 1;
  clear(reader.text.estimate);
  reader.rest = "";
  reader.offset = 0;
  reader.total = 0;
}

/** Reads the next slice. Returns false when the body is already known to be wrong: `conclude` says how. */
function read(reader: RequestReader, slice: string): boolean {
  const text = reader.rest === "" ? slice : reader.rest + slice;
  const state = reader.walk.state;
  state.base = reader.offset;
  const consumed = feed(reader.walk, bytes_of(text), 0, text.length);
  reader.total += slice.length;
  reader.offset += consumed;
  reader.rest = consumed === text.length ? "" : sub(text, consumed + 1);
  return state.fault === Fault.None;
}

/** The refusal for a body that the walker did not accept. */
function refuse_fault(reader: RequestReader): Refusal {
  const state = reader.walk.state;
  const code = state.fault === Fault.DuplicateKey ? "duplicate_key" : "invalid_json";
  return bad_body(code, `The request body ${reader.total === 0 ? "is empty" : describe_fault(state)}.`);
}

/** Where and how `include_usage: true` goes into the body of a stream whose client did not ask for it. */
function plan_usage(reader: RequestReader, reading: RequestReading): void {
  const state = reader.walk.state;
  const options = reader.stream_options;
  const kind = options !== 0 ? state.kinds[options]! : Kind.Absent;
  if (kind === Kind.Object) {
    const include = reader.include_usage;
    const include_kind = state.kinds[include]!;
    if (include_kind === Kind.True) {
      reading.client_wants_usage = true;
    } else if (include_kind === Kind.False || include_kind === Kind.Null) {
      reading.usage_start = state.starts[include]!;
      reading.usage_end = state.ends[include]!;
      reading.usage_text = "true";
    } else if (include_kind === Kind.Absent) {
      reading.usage_start = state.starts[options]! + 1;
      reading.usage_end = reading.usage_start;
      reading.usage_text = state.numbers[options] === 0 ? '"include_usage":true' : '"include_usage":true,';
    } else {
      // 1 or "true": some servers take it for true, so what comes is the client's own to see.
      reading.client_wants_usage = true;
    }
  } else if (kind === Kind.Null) {
    reading.usage_start = state.starts[options]!;
    reading.usage_end = state.ends[options]!;
    reading.usage_text = '{"include_usage":true}';
  } else if (kind === Kind.Absent) {
    reading.usage_start = state.starts[reader.body]! + 1;
    reading.usage_end = reading.usage_start;
    reading.usage_text = '"stream_options":{"include_usage":true},';
  }
}

/** Whether a slot holds anything but null, or an array or object of nothing. */
function holds_any(reader: RequestReader, slot: number): boolean {
  const { kinds, numbers } = reader.walk.state;
  const kind = slot === 0 ? Kind.Absent : kinds[slot]!;
  return kind !== Kind.Absent && kind !== Kind.Null && !((kind === Kind.Array || kind === Kind.Object) && numbers[slot] === 0);
}

/**
 * Says what the body asked for, after its last slice. `range` gives bytes of `source`, the body. `named`: the model that the
 * path has named; then the body need not name one, and must not name another. Refusals: invalid_json, duplicate_key,
 * missing_model, invalid_type, model_mismatch (400).
 */
function conclude<Source>(
  reader: RequestReader,
  range: Range<Source>,
  source: Source,
  named?: string,
): LuaMultiReturn<[reading: RequestReading | undefined, refusal: Refusal | undefined]> {
  const walk = reader.walk;
  const state = walk.state;
  state.base = reader.offset;
  if (!finish(walk, 0, reader.rest.length)) {
    return $multi(undefined, refuse_fault(reader));
  }
  if (state.kinds[reader.body] !== Kind.Object) {
    return $multi(undefined, bad_body("invalid_json", "The request body must be a JSON object."));
  }

  const model_kind = state.kinds[reader.model]! as Kind;
  let start = state.starts[reader.model]!;
  let end = state.ends[reader.model]!;
  let model = named;
  let model_lead: string | undefined;
  if (named !== undefined && model_kind === Kind.Absent) {
    start = state.ends[reader.body]! - 1;
    end = start;
    model_lead = state.numbers[reader.body] === 0 ? "" : ",";
  } else {
    const bad_model = refuse_model_member(model_kind, end - start);
    if (bad_model !== undefined) {
      return $multi(undefined, bad_model);
    }
    model = model_kind === Kind.String ? range(source, start + 1, end - 1) : decode_string(range(source, start, end));
    if (named !== undefined && model !== named) {
      return $multi(undefined, bad_body("model_mismatch", "`model` must be the model that the URL names, or be left out.", "model"));
    }
  }
  const stream_kind = state.kinds[reader.stream]!;
  if (stream_kind !== Kind.Absent && stream_kind !== Kind.True && stream_kind !== Kind.False && stream_kind !== Kind.Null) {
    return $multi(undefined, bad_body("invalid_type", "`stream` must be true or false.", "stream"));
  }
  const unclear = reader.previous !== 0 ? refuse_unclear(reader) : undefined;
  if (unclear !== undefined) {
    return $multi(undefined, unclear);
  }

  const caps = read_caps(reader, range, source);
  const prompts = prompt_count(reader);
  const choices = whole(reader, reader.n, range, source);
  const best_of = whole(reader, reader.best_of, range, source);
  const reading: RequestReading = {
    api: reader.api,
    model: model!,
    model_start: start,
    model_end: end,
    model_lead,
    options_alone: false,
    stream: stream_kind === Kind.True,
    tools: holds_any(reader, reader.tools) || holds_any(reader, reader.functions),
    client_wants_usage: false,
    usage_start: undefined,
    usage_end: 0,
    usage_text: "",
    options_start: 0,
    options_end: 0,
    output_cap: largest_cap(caps),
    caps,
    thinking_budget: whole(reader, reader.thinking_budget, range, source),
    odd_cap: odd_cap(reader, caps) ?? odd_count(reader, choices, best_of),
    choices: choices ?? 1,
    written: math.max(choices ?? 1, best_of ?? 1, 1) * prompts,
    prompts,
    prompt_tokens: tokens(reader.text.estimate) + state.number_count,
    bytes: reader.total,
    references: reader.previous !== 0 ? read_references(reader, range, source) : undefined,
  };
  if (reader.stream_options !== 0) {
    if (state.kinds[reader.stream_options] !== Kind.Absent) {
      reading.options_start = state.starts[reader.stream_options]!;
      reading.options_end = state.ends[reader.stream_options]!;
      if (model_lead !== undefined) {
        const before = range(source, state.starts[reader.body]! + 1, reading.options_start);
        const behind = range(source, reading.options_end, state.ends[reader.body]! - 1);
        reading.options_alone = string.find(before, '^%s*"[^"]*"%s*:%s*$')[0] !== undefined && string.find(behind, "%S")[0] === undefined;
      }
    }
    if (reading.stream) {
      plan_usage(reader, reading);
    }
  }
  return $multi(reading, undefined);
}

export { begin_strictly, conclude, is_undecided, read, release, take };
export { edits_for } from "./request_edits";
export type { Range, RequestReader, RequestReading };
