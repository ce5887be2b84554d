/**
 * Strings of a JSON document that may be media in place of text: told by the type of the part that they stand in, and by what
 * they look like.
 *
 * The type may come behind the media: so it is with the official clients for Go. Then they are passed over, and that is noted
 * at their object's level. If the type turns out to be none of media, or never comes, the walk is `undecided`, and whoever must
 * have all text read walks the document once more, strictly: then only a type that came before counts.
 */

import * as bits from "bit";
import { MEDIA_PART_TYPES } from "./media";
import { STRING_CLASS } from "./json_text";
import { Flag, hash } from "./shape";
import type { WalkState } from "./json_state";
import type { Shape } from "./shape";

const band = bits.band;
const byte = string.byte;

/**
 * How many objects and arrays around a string may say what it is: frames of a video stand in an array, an address in an object.
 */
const REACH = 3;
/** A string of fewer characters is no media by its looks. */
const LEAST_BASE64 = 64;
/** What stands before the data of a data URL has fewer bytes. */
const MOST_HEAD = 160;
const DATA = "data:";
/** How data URLs of pictures, sound and video begin. */
const MEDIA_BEGINNINGS = ["data:image/", "data:audio/", "data:video/"];
const BASE64 = ";base64";

/** The marks that the types of media make, by their first hash. */
const MEDIA_MARKS = new LuaTable<number, number>();
for (const type of MEDIA_PART_TYPES) {
  const [first, second] = hash(type);
  MEDIA_MARKS.set(first, second);
}

function is_media_mark(state: WalkState, depth: number): boolean {
  return (MEDIA_MARKS.get(state.levels_first[depth]!) as number | undefined) === state.levels_second[depth]!;
}

/** How many of the bytes from `from` on are a text's: all of it, if the slice has so many. */
function common(bytes: Bytes, from: number, to: number, text: string): number {
  let count = 0;
  while (count < text.length && from + count < to && bytes[from + count] === byte(text, count + 1)) {
    count += 1;
  }
  return count;
}

/** Whether a data URL (RFC 2397) of base64 begins here. 1: one does; 0: none; −1: the slice ends before that is known. */
function look_at_url(bytes: Bytes, from: number, to: number): number {
  const same = common(bytes, from, to, DATA);
  if (same < DATA.length) {
    return from + same === to ? -1 : 0;
  }
  const last = math.min(to, from + MOST_HEAD);
  let at = from + DATA.length;
  while (at < last && bytes[at] !== 44) {
    if (bytes[at] === 34) {
      return 0;
    }
    at += 1;
  }
  if (at === last) {
    return last === to && to - from < MOST_HEAD ? -1 : 0;
  }
  return common(bytes, at - BASE64.length, at, BASE64) === BASE64.length ? 1 : 0;
}

/**
 * Whether the string whose first character is at `from` begins as a data URL of a picture, sound or video in base64, without
 * escapes and blanks before the data. Returns as `look_at_url` does.
 */
function is_media_url(bytes: Bytes, from: number, to: number): number {
  let begins = 0;
  for (const beginning of MEDIA_BEGINNINGS) {
    const same = common(bytes, from, to, beginning);
    begins = same === beginning.length ? 1 : begins === 0 && from + same === to ? -1 : begins;
  }
  const url = begins > 0 ? look_at_url(bytes, from, to) : begins;
  let at = from;
  while (url > 0 && bytes[at] !== 44) {
    if (STRING_CLASS[bytes[at]!] !== 0 || bytes[at] === 32) {
      return 0;
    }
    at += 1;
  }
  return url;
}

function is_base64(value: number): boolean {
  return (value >= 97 && value <= 122) || (value >= 65 && value <= 90) || (value >= 47 && value <= 57) || value === 43 || value === 45 || value === 95;
}

/** Whether a run of base64 begins here, of either alphabet, slashes escaped or not. Returns as `look_at_url` does. */
function look_at_run(bytes: Bytes, from: number, to: number): number {
  let at = from;
  let count = 0;
  while (at < to && count < LEAST_BASE64) {
    const value = bytes[at]!;
    if (value === 92) {
      if (at + 1 === to) {
        return -1;
      }
      if (bytes[at + 1] !== 47) {
        return 0;
      }
      at += 1;
    } else if (!is_base64(value)) {
      return 0;
    }
    at += 1;
    count += 1;
  }
  return count === LEAST_BASE64 ? 1 : -1;
}

/**
 * Whether a string, whose first character is at `from`, looks like bytes in base64. 1: it does; 0: not; −1: the slice ends
 * before that is known.
 */
function looks_like_bytes(bytes: Bytes, from: number, to: number): number {
  const url = look_at_url(bytes, from, to);
  return url !== 0 ? url : look_at_run(bytes, from, to);
}

/** The innermost level around a string, of so many, that has said its type; 0: none has. */
function marked_level(state: WalkState, reach: number): number {
  const { depth } = state;
  let level = depth;
  while (level > 0 && level > depth - reach) {
    if (state.levels_first[level] !== 0) {
      return level;
    }
    level -= 1;
  }
  return 0;
}

/**
 * The node in which a string is read that may be media, whose first character is at `from`: its own, one for what is not read,
 * or one for what is read and not counted. 0: the slice ends before that is known.
 */
function media_node(shape: Shape, state: WalkState, bytes: Bytes, from: number, to: number): number {
  const { node } = state;
  const flags = shape.flags[node]!;
  const by_type = band(flags, Flag.Media) !== 0;
  const may_be_text = band(flags, Flag.Bytes) !== 0;
  // What may be text as well is what its own object says.
  const reach = may_be_text ? 1 : REACH;
  const level = by_type ? marked_level(state, reach) : 0;
  if (level > 0) {
    return is_media_mark(state, level) ? shape.unread : node;
  }
  const look = may_be_text ? looks_like_bytes(bytes, from, to) : 1;
  if (look < 0) {
    return 0;
  }
  if (look === 0) {
    return node;
  }
  if (by_type && state.strict === 0) {
    state.levels_awaiting[state.depth] = math.max(state.levels_awaiting[state.depth]!, reach);
    return shape.unread;
  }
  return may_be_text ? shape.uncounted : node;
}

/** An object or array ends in which something was passed over as media before a type had come. */
function settle_media(state: WalkState, depth: number): void {
  const awaiting = state.levels_awaiting[depth]!;
  if (state.levels_first[depth] !== 0) {
    if (!is_media_mark(state, depth)) {
      state.undecided = 1;
    }
  } else if (awaiting > 1 && depth > 1) {
    state.levels_awaiting[depth - 1] = math.max(state.levels_awaiting[depth - 1]!, awaiting - 1);
  } else {
    state.undecided = 1;
  }
}

export { is_media_url, looks_like_bytes, media_node, settle_media };
