/** What a guard has found in a request and its answer: how much of what, and what is to be masked. */

import { encode_string } from "../wire/json";
import { Action } from "./words";
import { sort_finds } from "./find_order";
import { PATTERN_NAMES } from "./pattern";
import type { Guard } from "./guards";
import type { Hit } from "./match";

interface Tally {
  flagged: number;
  masked: number;
  blocked: number;
  /** What the list or pattern is called because of which something was blocked. */
  blocked_by: string | undefined;
}

function new_tally(): Tally {
  return { flagged: 0, masked: 0, blocked: 0, blocked_by: undefined };
}

/** What a list or pattern is called. */
function source_name(guard: Guard, source: number): string {
  if (source >= 0) {
    return guard.lists[source] ?? "";
  }
  let index = 0;
  let bit = 1;
  while (bit < -source) {
    bit *= 2;
    index += 1;
  }
  return PATTERN_NAMES[index] ?? "";
}

/**
 * Takes the finds that are to be masked and begin before `limit` from the list, and returns those that stand: of several that
 * overlap the one that begins first, the longest. `until` remembers by text how far it is masked.
 */
function choose(masks: Hit[], limit: number, until: LuaTable<number, number>): LuaMultiReturn<[chosen: Hit[], rest: Hit[]]> {
  const chosen: Hit[] = [];
  const rest: Hit[] = [];
  for (const hit of sort_finds(masks)) {
    if (hit.start >= limit) {
      rest.push(hit);
    } else if (hit.start >= ((until.get(hit.field) as number | undefined) ?? 0)) {
      until.set(hit.field, hit.end);
      chosen.push(hit);
    }
  }
  return $multi(chosen, rest);
}

/**
 * Whether a find that was noted later than another began first. Patterns are told of characters later than words: of a word and a pattern's
 * find that begin together the one that ended first counts as the first, the word if they end together.
 */
function was_first(later: Hit, other: Hit): boolean {
  if (later.start !== other.start || later.source >= 0 === other.source >= 0) {
    return later.start < other.start;
  }
  return later.end < other.end || (later.end === other.end && later.source >= 0);
}

/**
 * Sorts what the scanner found: counts what is only flagged, adds what is to be masked to `masks`. Returns the one that
 * blocks, if any does: of several the one that begins first. `repeated`: repetitions count too, as there was nothing before them.
 */
function sort_hits(tally: Tally, guard: Guard, hits: readonly Hit[], masks: Hit[], repeated: boolean): Hit | undefined {
  let blocking: Hit | undefined;
  for (const hit of hits) {
    if (hit.action === Action.Block) {
      blocking = blocking === undefined || was_first(hit, blocking) ? hit : blocking;
    } else if (hit.action === Action.Mask) {
      masks.push(hit);
    } else if (repeated || !hit.repeated) {
      tally.flagged += 1;
    }
  }
  if (blocking !== undefined) {
    tally.blocked += 1;
    tally.blocked_by = source_name(guard, blocking.source);
  }
  return blocking;
}

function counts(tally: Tally | undefined): string {
  return tally === undefined ? "null" : `{"flagged":${tally.flagged},"masked":${tally.masked},"blocked":${tally.blocked}}`;
}

/** What was found, as JSON for the journal: how much of what, and which list blocked. No text. Undefined: nothing. */
function summary(guard: string, prompt: Tally | undefined, completion: Tally | undefined): string | undefined {
  const nothing =
    (prompt === undefined || prompt.flagged + prompt.masked + prompt.blocked === 0) &&
    (completion === undefined || completion.flagged + completion.masked + completion.blocked === 0);
  if (nothing) {
    return undefined;
  }
  let by = prompt !== undefined ? prompt.blocked_by : undefined;
  if (by === undefined && completion !== undefined) {
    by = completion.blocked_by;
  }
  const name = by === undefined ? "null" : encode_string(by);
  return `{"name":${encode_string(guard)},"blocked_by":${name},"prompt":${counts(prompt)},"completion":${counts(completion)}}`;
}

export { choose, new_tally, sort_hits, source_name, summary };
export type { Tally };
