/** The events of a guarded stream that may not go on yet, and what becomes of them when they may. */

import { apply, no_edits, replace } from "../wire/splice";
import { mask_in, new_masking } from "./mask";
import { new_sent, note_sent } from "./sent";
import { choose } from "./tally";
import type { Edits } from "../wire/splice";
import type { Lexicon } from "./lexicon";
import type { Masking } from "./mask";
import type { Hit } from "./match";
import type { Mark, Sent } from "./sent";
import type { Tally } from "./tally";
import type { GuardedText } from "./text";

/** An event of the stream, with all bytes up to the next one. */
interface HeldEvent extends Mark {
  bytes: string;
  has_data: boolean;
  /** Where its first byte lies in the stream. */
  start: number;
  /** False: it is left out. */
  forward: boolean;
  /** When it came, in seconds. */
  came: number;
  /** Where its log probabilities lie, in pairs; undefined: it has none. */
  regions: number[] | undefined;
  /** Where bytes of it lie that are left out, in ascending pairs; undefined: nothing is. */
  left_out: number[] | undefined;
  /** Its strings among those of the text: the first, and behind the last. */
  first_segment: number;
  end_segment: number;
  /** Whether they stand in the order in which they were read. */
  ordered: boolean;
}

/** A find that is masked, wherever its characters lie. */
interface Chosen {
  hit: Hit;
  masking: Masking;
}

interface Held {
  /** The events that are held back, the oldest first; behind the first `count` lie records that are free. */
  events: HeldEvent[];
  count: number;
  bytes: number;
  /** Finds to be masked: all of them, and those that stand but are not yet done with. */
  masks: Hit[];
  /** Where the first of them begins that was not looked at yet. */
  earliest: number;
  chosen: Chosen[];
  /** By text, how far it is masked. */
  until: LuaTable<number, number>;
  /** The longest that an event was held back, in seconds. */
  longest: number;
  sent: Sent;
}

function new_held(): Held {
  return { events: [], count: 0, bytes: 0, masks: [], earliest: math.huge, chosen: [], until: new LuaTable(), longest: 0, sent: new_sent() };
}

/** Holds an event back. Returns its record, of which the caller fills in all but the bytes. */
function hold(held: Held, bytes: string): HeldEvent {
  let event = held.events[held.count];
  if (event === undefined) {
    event = {
      bytes, has_data: false, start: 0, forward: false, came: 0, regions: undefined, left_out: undefined, first_segment: 0, end_segment: 0, ordered: true, ended: undefined, open_block: -1, sequence: -1,
    };
    held.events[held.count] = event;
  } else {
    event.bytes = bytes;
  }
  held.count += 1;
  held.bytes += bytes.length;
  return event;
}

/** Where an event ends in the stream. */
function end_of(event: HeldEvent): number {
  return event.start + event.bytes.length;
}

/**
 * The offset before which events may go, if those may that lie before `limit`: the end of a word of `refuted` goes with the
 * character that follows it, for if the stream should be cut off between the two, the word would stand alone after all.
 */
function whole_limit(held: Held, refuted: readonly number[], limit: number): number {
  const { events } = held;
  let wanted = limit;
  let settled = refuted.length === 0 || held.count === 0;
  // How many events may go.
  let going = settled ? 0 : held.count;
  while (!settled) {
    settled = true;
    // They come in the order of the characters that follow: mostly one way back through them is enough.
    for (const index of $range(refuted.length / 2 - 1, 0, -1)) {
      while (going > 0 && end_of(events[going - 1]!) > wanted) {
        going -= 1;
      }
      const at = going < held.count ? events[going]!.start : end_of(events[going - 1]!);
      if (refuted[index * 2]! < math.min(at, wanted) && refuted[index * 2 + 1]! >= at) {
        wanted = refuted[index * 2]!;
        settled = false;
      }
    }
  }
  return wanted;
}

/** The first of an event's strings that ends behind the offset, if they stand in order; else the first one. */
function first_of(event: HeldEvent, segments: Int32Buffer, offset: number): number {
  let low = event.first_segment;
  let high = event.ordered ? event.end_segment : low;
  while (low < high) {
    const middle = math.floor((low + high) / 2);
    if (segments[middle * 3 + 2]! <= offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/** Adds to the edits of an event what a find asks for in it. Returns whether there is anything. */
function mask_event(edits: Edits, event: HeldEvent, text: GuardedText, lexicon: Lexicon, chosen: Chosen): boolean {
  const { hit } = chosen;
  const { segments } = text;
  const last = event.start + event.bytes.length;
  let any = false;
  for (const index of $range(first_of(event, segments, hit.start), event.end_segment - 1)) {
    if (segments[index * 3 + 1]! >= hit.end && event.ordered) {
      break;
    }
    const from = math.max(segments[index * 3 + 1]!, hit.start, event.start);
    const to = math.min(segments[index * 3 + 2]!, hit.end, last);
    if (segments[index * 3] === hit.field && from < to) {
      any = true;
      if (!hit.tokens) {
        mask_in(edits, lexicon, chosen.masking, event.bytes, event.start, from, to);
      }
    }
  }
  return any;
}

/** The event's bytes as they go on. */
function rewritten(event: HeldEvent, text: GuardedText, lexicon: Lexicon, chosen: readonly Chosen[]): string {
  const edits = no_edits();
  let any = false;
  const last = event.start + event.bytes.length;
  for (const each of chosen) {
    if (each.hit.start < last && each.hit.end > event.start) {
      any = mask_event(edits, event, text, lexicon, each) || any;
    }
  }
  const made = any && event.regions !== undefined ? without_tokens(edits, event.regions) : edits;
  const { left_out } = event;
  if (left_out !== undefined) {
    for (const index of $range(0, left_out.length / 2 - 1)) {
      replace(made, left_out[index * 2]!, left_out[index * 2 + 1]!, "");
    }
  }
  return made.count > 0 ? apply(made, event.bytes, event.start) : event.bytes;
}

/** The edits, with all log probabilities taken out: they repeat the text token by token. */
function without_tokens(edits: Edits, regions: readonly number[]): Edits {
  const made = no_edits();
  let region = 0;
  for (const index of $range(0, edits.count - 1)) {
    const start = edits.starts[index]!;
    while (region < regions.length && regions[region + 1]! <= start) {
      region += 2;
    }
    // What is masked in them goes with them.
    if (region >= regions.length || start < regions[region]!) {
      replace(made, start, edits.ends[index]!, edits.texts[index]!);
    }
  }
  for (const index of $range(0, regions.length / 2 - 1)) {
    replace(made, regions[index * 2]!, regions[index * 2 + 1]!, "null");
  }
  return made;
}

/** Finds have been added to those that are to be masked, from the index on. */
function note_masks(held: Held, from: number): void {
  for (const index of $range(from, held.masks.length - 1)) {
    held.earliest = math.min(held.earliest, held.masks[index]!.start);
  }
}

/** Says which finds stand, as far as they begin before `limit`. */
function decide(held: Held, tally: Tally, limit: number): void {
  if (held.masks.length === 0 || held.earliest >= limit) {
    return;
  }
  const [chosen, rest] = choose(held.masks, limit, held.until);
  held.masks = rest;
  held.earliest = math.huge;
  note_masks(held, 0);
  for (const hit of chosen) {
    tally.masked += hit.repeated ? 0 : 1;
    held.chosen.push({ hit, masking: new_masking(hit) });
  }
}

/** Forgets the finds that lie wholly in what has gone on. */
function forget_done(held: Held, boundary: number): void {
  const left: Chosen[] = [];
  for (const chosen of held.chosen) {
    if (chosen.hit.end > boundary) {
      left.push(chosen);
    }
  }
  held.chosen = left;
}

/** The bytes of an event that goes on. */
function let_go_event(held: Held, event: HeldEvent, text: GuardedText, lexicon: Lexicon, now: number): string {
  held.bytes -= event.bytes.length;
  held.longest = math.max(held.longest, now - event.came);
  if (!event.forward) {
    return "";
  }
  const is_whole = held.chosen.length === 0 && event.left_out === undefined;
  const bytes = is_whole ? event.bytes : rewritten(event, text, lexicon, held.chosen);
  note_sent(held.sent, bytes, event.has_data, event.ended, event.open_block, event.sequence);
  return bytes;
}

/** Frees the records of the oldest events. */
function forget_events(held: Held, count: number): void {
  const { events } = held;
  held.count -= count;
  for (const index of $range(0, held.count - 1)) {
    const free = events[index]!;
    events[index] = events[index + count]!;
    events[index + count] = free;
  }
}

/**
 * Lets go of all events before the one that lies at `limit`, masked where need be. Returns their bytes. `now` is in seconds on a
 * clock that only goes forward. No word that is still growing may begin before `limit`.
 */
function release(held: Held, text: GuardedText, lexicon: Lexicon, tally: Tally, limit: number, now: number): string {
  const { events } = held;
  let count = 0;
  let boundary = 0;
  while (count < held.count && events[count]!.start + events[count]!.bytes.length <= limit) {
    boundary = events[count]!.start + events[count]!.bytes.length;
    count += 1;
  }
  decide(held, tally, limit);
  if (count === 0) {
    return "";
  }
  let out = let_go_event(held, events[0]!, text, lexicon, now);
  if (count > 1) {
    const parts: string[] = [out];
    for (const index of $range(1, count - 1)) {
      parts.push(let_go_event(held, events[index]!, text, lexicon, now));
    }
    out = parts.join("");
  }
  forget_events(held, count);
  if (held.chosen.length > 0) {
    forget_done(held, boundary);
  }
  return out;
}

export { hold, new_held, note_masks, release, whole_limit };
export type { Held, HeldEvent };
