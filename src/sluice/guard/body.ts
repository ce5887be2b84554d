/**
 * A guarded answer that is one JSON body: it is scanned while it comes, and kept until it is whole. Then it goes on
 * untouched, or with what has to be masked rewritten, or with the texts of the choices emptied in which something blocks.
 */

import { end_body, read_body } from "../wire/answer";
import { guarded_shape } from "../wire/answer_shape";
import { Kind, MOST_REGIONS, NO_SINK, accept_halves, check, walker } from "../wire/json";
import { compile } from "../wire/shape";
import { apply, merge, no_edits, replace } from "../wire/splice";
import { TextKind } from "../wire/text_kind";
import { Action } from "./words";
import { mask_in, new_masking } from "./mask";
import { settle } from "./letters";
import { choose, new_tally, sort_hits } from "./tally";
import { guard_text } from "./text";
import type { AnswerReader } from "../wire/answer_reader";
import type { ApiName } from "../wire/api";
import type { Sink, Walk, WalkState } from "../wire/json";
import type { Edits } from "../wire/splice";
import type { Guard } from "./guards";
import type { Hit } from "./match";
import type { Tally } from "./tally";
import type { GuardedText } from "./text";

const find = string.find;

/** A longer body is not passed on. */
const MOST_BYTES = 67108864;

interface GuardedBody {
  reader: AnswerReader;
  guard: Guard;
  text: GuardedText;
  tally: Tally;
  parts: string[];
  bytes: number;
  /** How many bytes the upstream has announced; −1: it has not. */
  announced: number;
  blocked: boolean;
}

/** Guards the answer that the reader reads, of so many bytes if the upstream has announced them, else −1. */
function guard_body(reader: AnswerReader, guard: Guard, announced: number): GuardedBody {
  const text = reader.text as GuardedText;
  reader.guarded = true;
  guard_text(text, guard, false);
  return { reader, guard, text, tally: new_tally(), parts: [], bytes: 0, announced, blocked: false };
}

/** Takes the next bytes. None go on yet. Returns whether all have come that were announced. */
function read_guarded_body(body: GuardedBody, chunk: string): boolean {
  body.bytes += chunk.length;
  if (body.bytes <= MOST_BYTES) {
    body.parts.push(chunk);
    read_body(body.reader, chunk);
  }
  return body.bytes === body.announced;
}

/** The strings of a body, as they come. */
interface Gathered {
  starts: number[];
  ends: number[];
  kinds: number[];
  /** Where the choice begins that each is in. */
  choices: number[];
  walk: Walk<Gathered> | undefined;
  choice_slot: number;
}

const GATHER: Sink<Gathered> = {
  begin: (gathered, node, position) => {
    const { state, shape } = gathered.walk!;
    gathered.starts.push(position);
    gathered.ends.push(position);
    gathered.kinds.push(shape.kinds[node]!);
    gathered.choices.push(gathered.choice_slot === 0 || state.kinds[gathered.choice_slot] === Kind.Absent ? 0 : state.starts[gathered.choice_slot]!);
  },
  character: () => {},
  finish: (gathered, position) => {
    gathered.ends[gathered.ends.length - 1] = position + 1;
  },
};

function gather(api: ApiName, content: string): Gathered {
  const shape = guarded_shape(api);
  const gathered: Gathered = { starts: [], ends: [], kinds: [], choices: [], walk: undefined, choice_slot: shape.slot_of.get("choice") ?? 0 };
  gathered.walk = accept_halves(walker(shape, GATHER, gathered));
  check(gathered.walk, content);
  return gathered;
}

/** The last of ascending numbers that is not above the limit, of every `step`th of them: its place among those, or −1. */
function last_before(numbers: readonly number[], step: number, limit: number): number {
  let low = 0;
  let high = numbers.length / step;
  while (low < high) {
    const middle = math.floor((low + high) / 2);
    if (numbers[middle * step]! <= limit) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}

/** The choices in which something blocks, by where they begin. */
function offending(gathered: Gathered, hits: readonly Hit[]): LuaSet<number> {
  const found = new LuaSet<number>();
  for (const hit of hits) {
    if (hit.action === Action.Block) {
      // Log probabilities' finds lie in several strings, all of the same choice.
      const string = last_before(gathered.starts, 1, hit.start);
      if (string >= 0) {
        found.add(gathered.choices[string]!);
      }
    }
  }
  return found;
}

const ENDING = compile({ members: { status: { slot: "status" }, incomplete_details: { slot: "incomplete_details" }, stop_reason: { slot: "stop_reason" } } });
const ending_walk = accept_halves(walker(ENDING, NO_SINK, undefined));

/** Says in a response or a message why it has ended. */
function rewrite_ending(edits: Edits, api: ApiName, content: string): void {
  const { state } = ending_walk;
  check(ending_walk, content);
  const rewrite = (name: string, value: string): void => {
    const slot = ENDING.slot_of.get(name);
    if (state.kinds[slot] !== Kind.Absent) {
      replace(edits, state.starts[slot]!, state.ends[slot]!, value);
    }
  };
  if (api === "responses") {
    rewrite("status", '"incomplete"');
    rewrite("incomplete_details", '{"reason":"content_filter"}');
  } else if (api === "messages") {
    rewrite("stop_reason", '"refusal"');
  }
}

/** Where log probabilities lie, in pairs. */
function regions_of(state: WalkState): number[] {
  const regions: number[] = [];
  for (const index of $range(0, math.min(state.region_count, MOST_REGIONS) - 1)) {
    regions.push(state.region_starts[index]!);
    regions.push(state.region_ends[index]!);
  }
  return regions;
}

/** Whether the position lies in one of the ranges, which are ascending pairs. */
function is_in(ranges: readonly number[], position: number): boolean {
  const range = last_before(ranges, 2, position);
  return range >= 0 && position < ranges[range * 2 + 1]!;
}

function drop_regions(edits: Edits, regions: readonly number[]): void {
  for (const index of $range(0, regions.length / 2 - 1)) {
    replace(edits, regions[index * 2]!, regions[index * 2 + 1]!, "null");
  }
}

/** Adds what is to be masked to the edits; what is in log probabilities is taken out with them. */
function mask_all(body: GuardedBody, edits: Edits, content: string, masks: Hit[], regions: readonly number[], emptied: readonly number[]): void {
  const [chosen] = choose(masks, math.huge, new LuaTable());
  for (const hit of chosen) {
    body.tally.masked += hit.repeated ? 0 : 1;
    if (!hit.tokens && !is_in(regions, hit.start) && !is_in(emptied, hit.start)) {
      mask_in(edits, body.guard.lexicon, new_masking(hit), content, 0, hit.start, hit.end);
    }
  }
}

/** Whether the string that ends before `end` is the name of a member. The document is right JSON. */
function is_name(content: string, end: number): boolean {
  const [colon] = find(content, "^[ \t\r\n]*:", end + 1);
  return colon !== undefined;
}

/** What becomes of a string that is emptied. Names stay different from each other. */
function emptied_string(content: string, end: number, kind: number, index: number): string {
  if (kind === TextKind.FinishReason) {
    return '"content_filter"';
  }
  return is_name(content, end) ? `"${index}"` : '""';
}

/** The body with the texts of the offending choices emptied, and the others masked. Log probabilities are taken out. */
function emptied(body: GuardedBody, content: string, regions: readonly number[], hits: readonly Hit[], masks: Hit[]): string {
  const { api } = body.reader;
  const gathered = gather(api, content);
  const choices = offending(gathered, hits);
  const texts = no_edits();
  const gone: number[] = [];
  for (const index of $range(0, gathered.starts.length - 1)) {
    const start = gathered.starts[index]!;
    if (choices.has(gathered.choices[index]!) && !is_in(regions, start)) {
      replace(texts, start, gathered.ends[index]!, emptied_string(content, gathered.ends[index]!, gathered.kinds[index]!, index));
      gone.push(start);
      gone.push(gathered.ends[index]!);
    }
  }
  // Each kind comes in its order. Put among the others one by one, many of one would be moved for each of another.
  const masked_ones = no_edits();
  mask_all(body, masked_ones, content, masks, regions, gone);
  const others = no_edits();
  drop_regions(others, regions);
  rewrite_ending(others, api, content);
  return apply(merge(merge(texts, masked_ones), others), content, 0);
}

/** The body with its finds rewritten. Its log probabilities, which repeat the text, are taken out. */
function masked(body: GuardedBody, content: string, regions: readonly number[], masks: Hit[]): string {
  const edits = no_edits();
  mask_all(body, edits, content, masks, regions, []);
  drop_regions(edits, regions);
  return apply(edits, content, 0);
}

/** Says that no more bytes come. Returns the body for the client; undefined, if it can't be read, and so can't be guarded. */
function end_guarded_body(body: GuardedBody): string | undefined {
  const { reader, text, guard, tally } = body;
  if (reader.body === undefined) {
    return undefined;
  }
  // The walker is given back with the body's end.
  const { state } = reader.body;
  const { region_count } = state;
  const regions = regions_of(state);
  end_body(reader);
  if (!reader.complete || body.bytes > MOST_BYTES) {
    return undefined;
  }
  for (const field of text.fields) {
    settle(text.scanner, field);
  }
  const content = body.parts.join("");
  const { flagged, hits, overflown } = text.scanner;
  tally.flagged = flagged;
  const masks: Hit[] = [];
  const blocking = sort_hits(tally, guard, hits, masks, true);
  if (blocking === undefined && masks.length === 0) {
    return content;
  }
  if (overflown || region_count > MOST_REGIONS) {
    // Not all finds can be masked, or not all log probabilities taken out.
    return undefined;
  }
  body.blocked = blocking !== undefined;
  return body.blocked ? emptied(body, content, regions, hits, masks) : masked(body, content, regions, masks);
}

export { end_guarded_body, guard_body, read_guarded_body };
export type { GuardedBody };
