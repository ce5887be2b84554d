/**
 * Characters of JSON strings: from bytes and escapes to code points and back, checked as RFC 8259 and RFC 3629 ask.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { Fault } from "./json_state";

const band = bits.band;
const bor = bits.bor;
const lshift = bits.lshift;
const rshift = bits.rshift;
const byte_at = string.byte;

/** 0: an ASCII character that stands for itself in a string; 1: quote; 2: escape; 3: control; 4: beyond ASCII. */
const STRING_CLASS = ffi.new<Bytes>("uint8_t[256]");
/** The value of a hexadecimal digit, else 255. */
const HEXADECIMAL = ffi.new<Bytes>("uint8_t[256]");
/** What a one-letter escape stands for, else 0. */
const SIMPLE_ESCAPE = ffi.new<Bytes>("uint8_t[256]");

for (const value of $range(0, 255)) {
  STRING_CLASS[value] = value < 32 ? 3 : value === 34 ? 1 : value === 92 ? 2 : value > 127 ? 4 : 0;
  HEXADECIMAL[value] = 255;
}
for (const value of $range(0, 9)) {
  HEXADECIMAL[48 + value] = value;
}
for (const value of $range(0, 5)) {
  HEXADECIMAL[65 + value] = 10 + value;
  HEXADECIMAL[97 + value] = 10 + value;
}
SIMPLE_ESCAPE[34] = 34;
SIMPLE_ESCAPE[92] = 92;
SIMPLE_ESCAPE[47] = 47;
SIMPLE_ESCAPE[98] = 8;
SIMPLE_ESCAPE[102] = 12;
SIMPLE_ESCAPE[110] = 10;
SIMPLE_ESCAPE[114] = 13;
SIMPLE_ESCAPE[116] = 9;

/** The four hexadecimal digits from `at` on, or a number above 65535. */
function four_digits(bytes: Bytes, at: number): number {
  const a = HEXADECIMAL[bytes[at]!]!;
  const b = HEXADECIMAL[bytes[at + 1]!]!;
  const c = HEXADECIMAL[bytes[at + 2]!]!;
  const d = HEXADECIMAL[bytes[at + 3]!]!;
  if (bor(a, b, c, d) > 15) {
    return 65536;
  }
  const unit = bor(lshift(a, 12), lshift(b, 8), lshift(c, 4), d);
  return unit;
}

/**
 * Decodes an escape at `at` (its backslash). Returns the code point and the offset after it; 0 for that
 * offset if the slice ends inside, and a negative fault if it is wrong.
 */
function decode_escape(bytes: Bytes, at: number, to: number): LuaMultiReturn<[code_point: number, next: number]> {
  if (at + 1 >= to) {
    return $multi(0, 0);
  }
  const letter = bytes[at + 1]!;
  if (letter !== 117) {
    const simple = SIMPLE_ESCAPE[letter]!;
    if (simple === 0) {
      return $multi(0, -Fault.Escape);
    }
    return $multi(simple, at + 2);
  }
  if (at + 6 > to) {
    return $multi(0, 0);
  }
  const unit = four_digits(bytes, at + 2);
  if (unit > 65535) {
    return $multi(0, -Fault.Escape);
  }
  if (unit < 0xd800 || unit > 0xdfff) {
    return $multi(unit, at + 6);
  }
  if (unit > 0xdbff) {
    return $multi(0, -Fault.Surrogate);
  }
  if ((at + 6 < to && bytes[at + 6] !== 92) || (at + 7 < to && bytes[at + 7] !== 117)) {
    return $multi(0, -Fault.Surrogate);
  }
  if (at + 12 > to) {
    return $multi(0, 0);
  }
  const low = four_digits(bytes, at + 8);
  if (low > 65535) {
    return $multi(0, -Fault.Escape);
  }
  if (low < 0xdc00 || low > 0xdfff) {
    return $multi(0, -Fault.Surrogate);
  }
  return $multi(0x10000 + (unit - 0xd800) * 1024 + (low - 0xdc00), at + 12);
}

/** Decodes a UTF-8 sequence of two to four bytes at `at`. Returns as `decode_escape` does. */
function decode_utf8(bytes: Bytes, at: number, to: number): LuaMultiReturn<[code_point: number, next: number]> {
  const lead = bytes[at]!;
  if (lead >= 0xe0 && lead < 0xf0) {
    if (at + 3 > to) {
      return $multi(0, 0);
    }
    const second = bytes[at + 1]!;
    const third = bytes[at + 2]!;
    if (band(second, 0xc0) !== 0x80 || band(third, 0xc0) !== 0x80) {
      return $multi(0, -Fault.Encoding);
    }
    const code_point = bor(lshift(band(lead, 0x0f), 12), lshift(band(second, 0x3f), 6), band(third, 0x3f));
    if (code_point < 0x800 || (code_point >= 0xd800 && code_point <= 0xdfff)) {
      return $multi(0, -Fault.Encoding);
    }
    return $multi(code_point, at + 3);
  }
  if (lead >= 0xc2 && lead < 0xe0) {
    if (at + 2 > to) {
      return $multi(0, 0);
    }
    const second = bytes[at + 1]!;
    if (band(second, 0xc0) !== 0x80) {
      return $multi(0, -Fault.Encoding);
    }
    return $multi(bor(lshift(band(lead, 0x1f), 6), band(second, 0x3f)), at + 2);
  }
  if (lead >= 0xf0 && lead < 0xf5) {
    if (at + 4 > to) {
      return $multi(0, 0);
    }
    const second = bytes[at + 1]!;
    const third = bytes[at + 2]!;
    const fourth = bytes[at + 3]!;
    if (band(second, 0xc0) !== 0x80 || band(third, 0xc0) !== 0x80 || band(fourth, 0xc0) !== 0x80) {
      return $multi(0, -Fault.Encoding);
    }
    const code_point = bor(
      lshift(band(lead, 0x07), 18),
      lshift(band(second, 0x3f), 12),
      lshift(band(third, 0x3f), 6),
      band(fourth, 0x3f),
    );
    if (code_point < 0x10000 || code_point > 0x10ffff) {
      return $multi(0, -Fault.Encoding);
    }
    return $multi(code_point, at + 4);
  }
  return $multi(0, -Fault.Encoding);
}

/** The character of the three bytes at `at`; −1 if they are no whole UTF-8 sequence of three. */
function wide_character(bytes: Bytes, at: number): number {
  const lead = bytes[at]! - 0xe0;
  const second = bytes[at + 1]! - 0x80;
  const third = bytes[at + 2]! - 0x80;
  // A sequence is right if the lead is E0..EF and both others are 80..BF: no bit but the low ones is set.
  if (bor(lead, 15) !== 15 || bor(second, third, 63) !== 63) {
    return -1;
  }
  const code_point = bor(lshift(lead, 12), lshift(second, 6), third);
  if (code_point < 0x800 || band(code_point, 0xf800) === 0xd800) {
    return -1;
  }
  return code_point;
}

/** Decodes the escape (kind 2 of `STRING_CLASS`) or sequence (kind 4) at `at`. Returns as `decode_escape` does. */
function decode_character(
  bytes: Bytes,
  at: number,
  to: number,
  kind: number,
): LuaMultiReturn<[code_point: number, next: number]> {
  if (kind === 4) {
    return decode_utf8(bytes, at, to);
  }
  return decode_escape(bytes, at, to);
}

/** As `decode_character`, but half of a surrogate pair stands for itself: what accepted the string has accepted that too. */
function decode_any(bytes: Bytes, at: number, to: number, kind: number): LuaMultiReturn<[code_point: number, next: number]> {
  const [code_point, next] = decode_character(bytes, at, to, kind);
  if (next === -Fault.Surrogate) {
    return $multi(four_digits(bytes, at + 2), at + 6);
  }
  return $multi(code_point, next);
}

/** Whether it is half of a surrogate pair. */
function is_half(code_point: number): boolean {
  return band(code_point, 0x1ff800) === 0xd800;
}

const cast = ffi.cast;
/** The bytes of a string. They live only as long as the string. */
function bytes_of(text: string): Bytes {
  // Not returned by a tail call: one to a built-in function keeps the callers from being compiled as one trace.
  const pointer = cast<Bytes>("const uint8_t *", text);
  return pointer;
}

/** A code point's UTF-8 bytes. */
function encode_utf8(code_point: number): string {
  const char = string.char;
  if (code_point < 0x80) {
    return char(code_point);
  }
  if (code_point < 0x800) {
    return char(bor(0xc0, rshift(code_point, 6)), bor(0x80, band(code_point, 0x3f)));
  }
  const last = bor(0x80, band(code_point, 0x3f));
  const third = bor(0x80, band(rshift(code_point, 6), 0x3f));
  if (code_point < 0x10000) {
    return char(bor(0xe0, rshift(code_point, 12)), third, last);
  }
  return char(bor(0xf0, rshift(code_point, 18)), bor(0x80, band(rshift(code_point, 12), 0x3f)), third, last);
}

/** The string that a JSON string (with its quotes) stands for. The walker must have accepted it. */
function decode_string(raw: string): string {
  const bytes = bytes_of(raw);
  const parts: string[] = [];
  let from = 1;
  let at = 1;
  const to = raw.length - 1;
  while (at < to) {
    if (bytes[at] === 92) {
      if (at > from) {
        parts.push(string.sub(raw, from + 1, at));
      }
      const [code_point, next] = decode_escape(bytes, at, to);
      parts.push(encode_utf8(code_point));
      at = next;
      from = next;
    } else {
      at += 1;
    }
  }
  if (at > from) {
    parts.push(string.sub(raw, from + 1, at));
  }
  return table.concat(parts);
}

/** Writes a string of valid UTF-8 as a JSON string, with its quotes. */
function encode_string(text: string): string {
  const [escaped] = string.gsub(text, '[%c"\\]', (found: string) => string.format("\\u%04x", byte_at(found)));
  return `"${escaped}"`;
}

export { STRING_CLASS, bytes_of, decode_any, decode_character, decode_escape, decode_string, decode_utf8, encode_string, encode_utf8, is_half, wide_character };
