/** Tells texts that are no UTF-8 from those that are, and guesses what they are: people are told what to convert from. */

import * as ffi from "ffi";

const byte = string.byte;
const find = string.find;

/** How many bytes a guess looks at. */
const MOST_SAMPLED_BYTES = 262144;

/** Why a text can't be UTF-8, by its first bytes and by NUL bytes, of which UTF-16 is full. Undefined: it may be. */
function wide_encoding(text: string): string | undefined {
  const [first, second, third, fourth] = byte(text, 1, 4);
  const little = first === 0xff && second === 0xfe;
  if ((little && third === 0 && fourth === 0) || (first === 0 && second === 0 && third === 0xfe && fourth === 0xff)) {
    return "is UTF-32; expected UTF-8";
  }
  if (little || (first === 0xfe && second === 0xff)) {
    return "is UTF-16; expected UTF-8";
  }
  const [zero] = find(text, "\0", 1, true);
  if (zero !== undefined) {
    return "has NUL bytes, so it is probably UTF-16, or no text; expected UTF-8";
  }
  return undefined;
}

/**
 * The likely encoding of a text that is not UTF-8. In East Asian encodings of two bytes the first is 81 or more. In GBK the
 * second is nearly always A1 or more for the characters of daily use, in Big5 it is below 7F for two of five. In the
 * one-byte encodings of Europe letters beyond ASCII stand alone.
 */
function likely_encoding(text: string): string {
  const bytes = ffi.cast<Bytes>("const uint8_t *", text);
  const size = math.min(text.length, MOST_SAMPLED_BYTES);
  let alone = 0;
  let low = 0;
  let high = 0;
  let at = 0;
  while (at < size) {
    if (bytes[at]! < 129) {
      at += 1;
    } else {
      const second = at + 1 < size ? bytes[at + 1]! : 0;
      const before = at > 0 ? bytes[at - 1]! : 0;
      const after = at + 2 < size ? bytes[at + 2]! : 0;
      if (second > 127) {
        high += 1;
      } else if (second >= 64 && (before > 127 || after > 127)) {
        low += 1;
      } else {
        alone += 1;
      }
      at += 2;
    }
  }
  if (alone > high + low) {
    return "Latin-1 (Windows-1252)";
  }
  return low * 4 > high ? "Big5" : "GBK (GB 18030)";
}

/** Whether a text that is UTF-8 otherwise ends in the midst of a character: it has been cut off, or is still being written. */
function ends_inside_character(text: string): boolean {
  for (const back of $range(1, math.min(3, text.length))) {
    const value = byte(text, text.length - back + 1);
    if (value < 128) {
      return false;
    }
    if (value >= 0xc0) {
      return back < (value < 0xe0 ? 2 : value < 0xf0 ? 3 : 4);
    }
  }
  return false;
}

export { ends_inside_character, likely_encoding, wide_encoding };
