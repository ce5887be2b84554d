/**
 * As much of DER (ITU-T X.690) as public keys and ECDSA signatures need: one value after the other, lengths
 * below 64 KiB.
 */

const byte = string.byte;
const char = string.char;
const sub = string.sub;

const enum Tag {
  Integer = 0x02,
  BitString = 0x03,
  Null = 0x05,
  ObjectIdentifier = 0x06,
  Sequence = 0x30,
}

/** Puts the tag and the length before a value's content. */
function der_value(tag: Tag, content: string): string {
  const length = content.length;
  if (length < 128) {
    return char(tag, length) + content;
  }
  if (length < 256) {
    return char(tag, 0x81, length) + content;
  }
  return char(tag, 0x82, length >> 8, length & 255) + content;
}

/** The bytes of a number, big-endian, without leading zero bytes. */
function without_leading_zeros(bytes: string): string {
  let at = 1;
  while (at < bytes.length && byte(bytes, at) === 0) {
    at += 1;
  }
  return sub(bytes, at);
}

/** A positive whole number given as big-endian bytes. */
function der_integer(bytes: string): string {
  const number = without_leading_zeros(bytes);
  return der_value(Tag.Integer, byte(number, 1) >= 128 ? char(0) + number : number);
}

/** A bit string of whole bytes. */
function der_bit_string(bytes: string): string {
  return der_value(Tag.BitString, char(0) + bytes);
}

/**
 * Reads the value at `at` (counted from 1). Returns its content and where the next value begins; undefined if
 * it has another tag or goes past the end.
 */
function read_der(text: string, at: number, tag: Tag): LuaMultiReturn<[content: string | undefined, next: number]> {
  const found = byte(text, at) as number | undefined;
  let length = byte(text, at + 1) as number | undefined;
  if (found !== tag || length === undefined) {
    return $multi(undefined, at);
  }
  let begin = at + 2;
  if (length >= 128) {
    const size = length - 128;
    if (size < 1 || size > 2 || text.length < begin + size) {
      return $multi(undefined, at);
    }
    length = 0;
    for (const index of $range(0, size - 1)) {
      length = length * 256 + byte(text, begin + index);
    }
    begin += size;
  }
  if (begin + length - 1 > text.length) {
    return $multi(undefined, at);
  }
  return $multi(sub(text, begin, begin + length - 1), begin + length);
}

/** The bytes written in hexadecimal. */
function from_hexadecimal(digits: string): string {
  const [bytes] = string.gsub(digits, "%x%x", (pair: string) => char(tonumber(pair, 16)!));
  return bytes;
}

export { Tag, der_bit_string, der_integer, der_value, from_hexadecimal, read_der, without_leading_zeros };
