/**
 * Characters that take more than a simple move, and halves of surrogate pairs among them: a server that cuts a model's output
 * into tokens sends an emoji's two halves in two events. The first half waits in its text's field for the second, as long as it
 * takes; the event that it came with is held back until then, or until the text has ended.
 */

import * as bits from "bit";
import { count_character } from "../wire/estimate";
import { Entry } from "./entry";
import { Inner } from "./field";
import { scan_character } from "./letters";
import { scan_nested } from "./nested";
import { note_waits, place_of } from "./scanner";
import type { Text } from "../wire/text";
import type { Field } from "./field";
import type { GuardedText } from "./text";

const band = bits.band;

/**
 * Where the first and the second halves of surrogate pairs begin; the bytes of one, as an escape; and what stands for one that
 * is alone.
 */
const HIGH_HALVES = 0xd800;
const LOW_HALVES = 0xdc00;
const HALF_BYTES = 6;
const REPLACEMENT = 0xfffd;

/** A character that takes more than a simple move; where it stands is in the field. */
function scan_one(text: GuardedText, field: Field, place: number, code_point: number): void {
  const inner = band(field.fixed, Entry.Inner);
  if (inner !== 0 && (field.phase !== Inner.Plain || band(text.scanner.lexicon.entries[place]!, inner) !== 0)) {
    scan_nested(text.scanner, field, code_point);
  } else {
    scan_character(text.scanner, field, place, code_point);
    note_waits(field);
  }
}

/** Half of a surrogate pair stands alone after all: for clients it is the sign for what can't be read. */
function scan_half(text: GuardedText, field: Field): void {
  const { position, next, passed } = field;
  field.position = field.half_start;
  field.next = field.half_start + HALF_BYTES;
  field.passed = field.half_passed;
  field.half = 0;
  scan_one(text, field, place_of(text.scanner.lexicon, REPLACEMENT), REPLACEMENT);
  field.position = position;
  field.next = next;
  field.passed = passed;
}

/** The same for the character behind it, if there was such a half. */
function scan(text: GuardedText, field: Field, place: number, code_point: number): void {
  if (field.half !== 0) {
    scan_half(text, field);
  }
  scan_one(text, field, place, code_point);
}

/**
 * Half of a surrogate pair. The first one waits for the second, which may begin the text's next string, in another event:
 * together they are one character, that begins where the first one does.
 */
function half(this: void, text: Text, unit: number, position: number, next: number): void {
  const guarded = text as GuardedText;
  const { counting, field } = guarded;
  count_character(counting, unit);
  if (field.id < 0) {
    return;
  }
  const passed = field.characters + counting.characters - 1;
  let start = guarded.base + position;
  let code_point = REPLACEMENT;
  if (unit < LOW_HALVES) {
    if (field.half !== 0) {
      scan_half(guarded, field);
    }
    field.half = unit;
    field.half_start = start;
    field.half_passed = passed;
    note_waits(field);
    return;
  }
  if (field.half !== 0) {
    code_point = 0x10000 + (field.half - HIGH_HALVES) * 1024 + unit - LOW_HALVES;
    start = field.half_start;
    field.half = 0;
  }
  field.position = start;
  field.next = guarded.base + next;
  field.passed = passed;
  scan_one(guarded, field, place_of(guarded.scanner.lexicon, code_point), code_point);
}

export { half, scan };
