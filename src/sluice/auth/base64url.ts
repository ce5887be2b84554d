/**
 * Base64url (RFC 4648, section 5) as RFC 7515 wants it: no padding, no other characters, and nothing in the
 * bits that the last character has to spare, so that one value has one spelling only.
 */

import * as ffi from "ffi";

/** Longer texts are refused; a token is at most this long. */
const MOST = 16384;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** The value of each byte as a character; -1: in no alphabet. */
const values = ffi.new<Int32Buffer>("int32_t[256]");
for (const code of $range(0, 255)) {
  values[code] = -1;
}
for (const index of $range(1, 64)) {
  values[string.byte(ALPHABET, index)] = index - 1;
}

const decoded = ffi.new<Bytes>("uint8_t[?]", MOST);

/** The bytes that a base64url text stands for, or undefined if it is none or longer than 16 KiB. */
function decode_base64url(text: string): string | undefined {
  const length = text.length;
  const rest = length % 4;
  if (length > MOST || rest === 1) {
    return undefined;
  }
  const characters = ffi.cast<Bytes>("const uint8_t *", text);
  let count = 0;
  let invalid = 0;
  for (const at of $range(0, length - rest - 1, 4)) {
    const first = values[characters[at]!]!;
    const second = values[characters[at + 1]!]!;
    const third = values[characters[at + 2]!]!;
    const fourth = values[characters[at + 3]!]!;
    invalid = invalid | first | second | third | fourth;
    decoded[count] = ((first << 2) | (second >> 4)) & 255;
    decoded[count + 1] = ((second << 4) | (third >> 2)) & 255;
    decoded[count + 2] = ((third << 6) | fourth) & 255;
    count += 3;
  }
  if (rest > 0) {
    const first = values[characters[length - rest]!]!;
    const second = values[characters[length - rest + 1]!]!;
    const third = rest === 3 ? values[characters[length - 1]!]! : 0;
    const spare = rest === 3 ? third & 3 : second & 15;
    invalid = invalid | first | second | third | -spare;
    decoded[count] = ((first << 2) | (second >> 4)) & 255;
    decoded[count + 1] = ((second << 4) | (third >> 2)) & 255;
    count += rest - 1;
  }
  return invalid < 0 ? undefined : ffi.string(decoded, count);
}

export { decode_base64url };
