/**
 * Where a member of a document stands as a whole, if only its value's place is known: with its name, and with the comma that it
 * no longer needs when it is taken out. The document has been walked and is JSON; it may lie on disk, so it is read in pieces,
 * from the value outwards.
 */

import type { Range } from "./request";

const byte = string.byte;
const find = string.find;
const match = string.match;

/** So much is read at a time. There may be any amount of white space. */
const PIECE_BYTES = 4096;
/** The name with its quotes has less, though each letter may be an escape of six bytes. */
const NAME_BYTES = 256;

const COMMA = 44;

/** Where the white space begins that ends at `end`. */
function before_space<Source>(range: Range<Source>, source: Source, end: number): number {
  let at = end;
  while (at > 0) {
    const from = math.max(0, at - PIECE_BYTES);
    const [filled] = match(range(source, from, at), "^(.*[^ \t\r\n])");
    if (filled !== undefined) {
      return from + filled.length;
    }
    at = from;
  }
  return at;
}

/** Where the white space ends that begins at `start`. `total`: the document's bytes. */
function behind_space<Source>(range: Range<Source>, source: Source, start: number, total: number): number {
  let at = start;
  while (at < total) {
    const to = math.min(total, at + PIECE_BYTES);
    const [place] = find(range(source, at, to), "[^ \t\r\n]");
    if (place !== undefined) {
      return at + place - 1;
    }
    at = to;
  }
  return at;
}

/**
 * What has to be taken out of an object to be rid of a member whose value lies from `start` up to, not including, `end`, and
 * whose name is short and has no quote in it. All offsets are bytes from the document's beginning.
 */
function member_range<Source>(
  range: Range<Source>,
  source: Source,
  start: number,
  end: number,
  total: number,
): LuaMultiReturn<[start: number, end: number]> {
  const colon = before_space(range, source, start) - 1;
  const name_end = before_space(range, source, colon);
  const [quote] = find(range(source, math.max(0, name_end - NAME_BYTES), name_end - 1), "\"[^\"]*$");
  const name_start = math.max(0, name_end - NAME_BYTES) + quote! - 1;
  const behind = behind_space(range, source, end, total);
  if (byte(range(source, behind, behind + 1)) === COMMA) {
    return $multi(name_start, behind + 1);
  }
  const before = before_space(range, source, name_start) - 1;
  return $multi(byte(range(source, before, before + 1)) === COMMA ? before : name_start, end);
}

export { member_range };
