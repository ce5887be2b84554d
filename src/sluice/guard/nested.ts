/**
 * JSON inside a JSON string, as tool calls have their arguments: the escapes of the inner JSON are decoded a second
 * time, across events if need be. What is no valid escape is taken for the characters that stand there.
 */

import * as bits from "bit";
import { Inner } from "./field";
import { scan_character } from "./letters";
import { forget_word, note_waits, place_of } from "./scanner";
import type { Field } from "./field";
import type { Scanner } from "./scanner";

const bor = bits.bor;
const lshift = bits.lshift;

const QUOTE = 34;
const BACKSLASH = 92;
const LETTER_U = 117;
const REPLACEMENT = 0xfffd;

/** What a letter behind a backslash stands for (RFC 8259, section 7); anything else for itself. */
function simple_escape(letter: number): number {
  if (letter === 110) {
    return 10;
  }
  if (letter === 114) {
    return 13;
  }
  if (letter === 116) {
    return 9;
  }
  if (letter === 98) {
    return 8;
  }
  return letter === 102 ? 12 : letter;
}

/** The value of a hexadecimal digit, or −1. */
function digit_value(code_point: number): number {
  if (code_point >= 48 && code_point <= 57) {
    return code_point - 48;
  }
  const lower = bor(code_point, 32);
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Takes one character of the inner text, which began at `position`. */
function take(scanner: Scanner, field: Field, code_point: number, position: number): void {
  const at = field.position;
  field.position = position;
  scan_character(scanner, field, place_of(scanner.lexicon, code_point), code_point);
  field.position = at;
}

/** Whether a character stands between the values of JSON: one of [ ] { } , : (RFC 8259, section 2). */
function is_structural(code_point: number): boolean {
  const bracket = bor(code_point, 32);
  return code_point === 44 || code_point === 58 || bracket === 123 || bracket === 125;
}

/**
 * Takes a character that stands for itself. Each value of the inner JSON is a text of its own: what ended with a quote or a comma
 * is found, but nothing goes on behind it.
 */
function take_literal(scanner: Scanner, field: Field, code_point: number): void {
  if (code_point === BACKSLASH) {
    field.phase = Inner.Backslash;
    field.phase_start = field.position;
    return;
  }
  field.phase = Inner.Plain;
  take(scanner, field, code_point, field.position);
  if (code_point === QUOTE) {
    field.quoted = 1 - field.quoted;
    forget_word(field);
  } else if (field.quoted === 0 && is_structural(code_point)) {
    forget_word(field);
  }
}

/** A `\uXXXX` is complete. */
function take_unit(scanner: Scanner, field: Field): void {
  const unit = field.value;
  if (field.phase > Inner.PairLetter) {
    field.phase = Inner.Plain;
    const paired = unit >= 0xdc00 && unit < 0xe000;
    take(scanner, field, paired ? 0x10000 + lshift(field.high - 0xd800, 10) + unit - 0xdc00 : REPLACEMENT, field.phase_start);
  } else if (unit >= 0xd800 && unit < 0xdc00) {
    field.high = unit;
    field.phase = Inner.PairBackslash;
  } else {
    field.phase = Inner.Plain;
    take(scanner, field, unit, field.phase_start);
  }
}

/** Takes a character while a digit of an escape is awaited. */
function take_digit(scanner: Scanner, field: Field, code_point: number): void {
  const digit = digit_value(code_point);
  if (digit < 0) {
    take_literal(scanner, field, code_point);
    return;
  }
  field.value = bor(lshift(field.value, 4), digit);
  if (field.phase === Inner.Digits + 3 || field.phase === Inner.PairDigits + 3) {
    take_unit(scanner, field);
  } else {
    field.phase += 1;
  }
}

/** Takes a character behind a backslash. */
function take_escaped(scanner: Scanner, field: Field, code_point: number): void {
  const paired = field.phase === Inner.PairLetter;
  if (code_point === LETTER_U) {
    field.value = 0;
    field.phase = paired ? Inner.PairDigits : Inner.Digits;
    return;
  }
  field.phase = Inner.Plain;
  take(scanner, field, simple_escape(code_point), field.phase_start);
}

/** Takes a character of the outer text, whose `position`, `next` and `passed` are in the field. */
function scan_nested(scanner: Scanner, field: Field, code_point: number): void {
  const phase = field.phase;
  if (phase === Inner.Plain) {
    take_literal(scanner, field, code_point);
  } else if (phase === Inner.Backslash || phase === Inner.PairLetter) {
    take_escaped(scanner, field, code_point);
  } else if (phase === Inner.PairBackslash) {
    if (code_point === BACKSLASH) {
      field.phase = Inner.PairLetter;
    } else {
      // A high surrogate alone: nothing that could be in a word.
      take(scanner, field, REPLACEMENT, field.phase_start);
      take_literal(scanner, field, code_point);
    }
  } else {
    take_digit(scanner, field, code_point);
  }
  note_waits(field);
}

export { digit_value, scan_nested };
