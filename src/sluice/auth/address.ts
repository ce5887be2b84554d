/**
 * Reading IPv4 and IPv6 addresses, strictly: four decimal parts without leading zeros (`010` is octal to
 * some), no short forms, and IPv6 as RFC 4291, section 2.2, writes it, without a zone. Two programs that read
 * an address differently are a way around an allow list, so what anyone might read differently is refused.
 *
 * An address becomes one word (IPv4) or four (IPv6) in a buffer of the module's own, and costs no allocation.
 */

import * as ffi from "ffi";

const byte = string.byte;
const find = string.find;

const enum Family {
  None = 0,
  Version4 = 4,
  Version6 = 6,
}

/** The address that was read last. */
const words = ffi.new<Int32Buffer>("int32_t[4]");
/** An IPv6 address's eight groups while it is read. */
const groups = ffi.new<Int32Buffer>("int32_t[8]");

const DOT = 46;
const COLON = 58;

/** The value of a decimal digit, or undefined. */
function digit(code: number | undefined): number | undefined {
  return code !== undefined && code >= 48 && code <= 57 ? code - 48 : undefined;
}

/** The value of a hexadecimal digit, or undefined. */
function hexadecimal_digit(code: number | undefined): number | undefined {
  if (code === undefined) {
    return undefined;
  }
  if (code >= 97 && code <= 102) {
    return code - 87;
  }
  if (code >= 65 && code <= 70) {
    return code - 55;
  }
  return digit(code);
}

/** Reads `a.b.c.d`, which must be all the text from `from` on. Returns it as a word, or undefined. */
function read_version4(text: string, from: number): number | undefined {
  let word = 0;
  let at = from;
  for (const part of $range(1, 4)) {
    let value = digit(byte(text, at));
    if (value === undefined) {
      return undefined;
    }
    at += 1;
    let next = digit(byte(text, at));
    if (value === 0 && next !== undefined) {
      return undefined;
    }
    while (next !== undefined) {
      value = value * 10 + next;
      if (value > 255) {
        return undefined;
      }
      at += 1;
      next = digit(byte(text, at));
    }
    if (part < 4) {
      if (byte(text, at) !== DOT) {
        return undefined;
      }
      at += 1;
    }
    word = (word << 8) | value;
  }
  return at === text.length + 1 ? word : undefined;
}

/** Reads an IPv6 address (RFC 4291, section 2.2) into `groups`. Says whether the text is one. */
function read_version6(text: string): boolean {
  let at = 1;
  let count = 0;
  let gap = -1;
  if (byte(text, 1) === COLON) {
    if (byte(text, 2) !== COLON) {
      return false;
    }
    gap = 0;
    at = 3;
  }
  while (at <= text.length) {
    if (count === 8) {
      return false;
    }
    const begin = at;
    let value = 0;
    let next = hexadecimal_digit(byte(text, at));
    while (next !== undefined && at - begin < 4) {
      value = value * 16 + next;
      at += 1;
      next = hexadecimal_digit(byte(text, at));
    }
    const after = byte(text, at) as number | undefined;
    if (after === DOT) {
      const tail = count <= 6 ? read_version4(text, begin) : undefined;
      if (tail === undefined) {
        return false;
      }
      groups[count] = (tail >>> 16) & 0xffff;
      groups[count + 1] = tail & 0xffff;
      count += 2;
      break;
    }
    if (at === begin) {
      return false;
    }
    groups[count] = value;
    count += 1;
    if (after === undefined) {
      break;
    }
    if (after !== COLON) {
      return false;
    }
    at += 1;
    if (byte(text, at) === COLON) {
      if (gap >= 0) {
        return false;
      }
      gap = count;
      at += 1;
    } else if (at > text.length) {
      return false;
    }
  }
  if (gap < 0) {
    return count === 8;
  }
  if (count === 8) {
    return false;
  }
  for (const back of $range(1, count - gap)) {
    groups[8 - back] = groups[count - back]!;
  }
  for (const index of $range(gap, 7 - (count - gap))) {
    groups[index] = 0;
  }
  return true;
}

/** Reads an address into `words`. Returns its family; IPv4 written as IPv6 is IPv4. */
function read_address(text: string): Family {
  if (text.length > 45) {
    return Family.None;
  }
  const [colon] = find(text, ":", 1, true);
  if (colon === undefined) {
    const word = read_version4(text, 1);
    if (word === undefined) {
      return Family.None;
    }
    words[0] = word;
    return Family.Version4;
  }
  if (!read_version6(text)) {
    return Family.None;
  }
  for (const index of $range(0, 3)) {
    words[index] = (groups[index * 2]! << 16) | groups[index * 2 + 1]!;
  }
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) {
    words[0] = words[3]!;
    return Family.Version4;
  }
  return Family.Version6;
}

/** Whether a text is an IPv4 or IPv6 address. */
function is_address(text: string): boolean {
  return read_address(text) !== Family.None;
}

export { Family, is_address, read_address, words };
