/** The prompt side: what a guard makes of a request's body, when it has been walked. */

import { mask_in, new_masking } from "./mask";
import { choose, new_tally, sort_hits, source_name } from "./tally";
import { guard_text, unguard_text } from "./text";
import type { Edits } from "../wire/splice";
import type { Text } from "../wire/text";
import type { Guard } from "./guards";
import type { Hit } from "./match";
import type { Tally } from "./tally";
import type { GuardedText } from "./text";

/** Bytes around a find that are looked at with it: a bare number may go on there. */
const MARGIN = 32;

/** What was found in a prompt. */
interface PromptVerdict {
  tally: Tally;
  /** What has to be masked, in ascending order. */
  masks: Hit[];
}

/** Has the texts of a request scanned, from the beginning of its walk. */
function watch_prompt(text: Text, guard: Guard): void {
  guard_text(text as GuardedText, guard, false);
}

/** Says what was found when the request has been walked, and scans no longer. Undefined: nothing was found. */
function judge_prompt(text: Text, guard: Guard): PromptVerdict | undefined {
  const guarded = text as GuardedText;
  const { flagged, hits, overflown } = guarded.scanner;
  unguard_text(guarded);
  if (hits.length === 0 && flagged === 0) {
    return undefined;
  }
  const tally = new_tally();
  tally.flagged = flagged;
  const masks: Hit[] = [];
  sort_hits(tally, guard, hits, masks, true);
  if (overflown && tally.blocked === 0) {
    // Not all of it can be masked.
    tally.blocked = 1;
    tally.blocked_by = source_name(guard, hits[0]!.source);
  }
  const [chosen] = choose(masks, math.huge, new LuaTable());
  tally.masked = chosen.length;
  return { tally, masks: chosen };
}

/** Adds to the edits of a body what has to be masked. `range` gives bytes of `source`, the body. `pause` is called between two finds. */
function mask_prompt<Source>(
  verdict: PromptVerdict,
  guard: Guard,
  edits: Edits,
  range: (this: void, source: Source, start: number, end: number) => string,
  source: Source,
  pause: (this: void) => void,
): void {
  for (const hit of verdict.masks) {
    pause();
    const from = math.max(0, hit.start - MARGIN);
    mask_in(edits, guard.lexicon, new_masking(hit), range(source, from, hit.end + MARGIN), from, hit.start, hit.end);
  }
}

export { judge_prompt, mask_prompt, watch_prompt };
export type { PromptVerdict };
