/**
 * Tells the patterns of the characters of a run that the automaton has passed (`runs`), while they are awake. When the queue has been
 * read and they have fallen asleep, all up to the next digit is left out: it can't be of a number.
 */

import * as bits from "bit";
import { wide_character } from "../wire/json_text";
import { is_asleep } from "./pattern";
import { Wake } from "./pattern_class";
import { QUEUE_SIZE, QUOTED, enqueue } from "./pattern_queue";
import { note_rare, read_queue } from "./pattern_scan";
import { place_of } from "./scanner";
import type { Field } from "./field";
import type { Scanner } from "./scanner";

const band = bits.band;

/** The patterns are awake again: they are told of the character before, which lies in the lexicon's tables at `last` (−1: there is none). */
function wake(scanner: Scanner, field: Field, last: number, count: number): void {
  field.pattern.wake = Wake.Local + Wake.Nonlocal;
  note_rare(field);
  if (last >= 0) {
    enqueue(scanner.queue, scanner.lexicon.classes[last]!, 0, 0, count);
  }
}

/** The first digit from `from` on; `to`: there is none. */
function next_digit(entries: Int32Buffer, bytes: Bytes, from: number, to: number): number {
  for (const at of $range(from, to - 1)) {
    if (band(entries[bytes[at]!]!, Wake.Digit) !== 0) {
      return at;
    }
  }
  return to;
}

/** Adds ASCII characters to the queue. */
function enqueue_plain(scanner: Scanner, field: Field, bytes: Bytes, from: number, to: number, base: number, count: number): void {
  const { lexicon, queue } = scanner;
  const { classes } = lexicon;
  const quoted = field.quoted * QUOTED;
  for (const at of $range(from, to - 1)) {
    enqueue(queue, classes[bytes[at]!]! + quoted, base + at, base + at + 1, count + at);
  }
}

/**
 * Tells the patterns of the ASCII characters from `from` up to, not including, `to`. `last`: where the character before them
 * lies in the lexicon's tables; `base`: added to offsets; `passed`: how many characters the text had before them.
 */
function tell_plain(scanner: Scanner, field: Field, last: number, bytes: Bytes, from: number, to: number, base: number, passed: number): void {
  const { lexicon, queue } = scanner;
  let at = from;
  while (at < to) {
    if (is_asleep(field.pattern)) {
      at = next_digit(lexicon.entries, bytes, at, to);
      if (at === to) {
        return;
      }
      wake(scanner, field, at > from ? bytes[at - 1]! : last, passed);
    }
    const end = math.min(to, at + QUEUE_SIZE - 1 - queue.length);
    enqueue_plain(scanner, field, bytes, at, end, base, passed - from);
    at = end;
    if (queue.length > QUEUE_SIZE - 2) {
      read_queue(scanner, field);
    }
  }
}

/** The same for three-byte characters. */
function next_wide_digit(scanner: Scanner, bytes: Bytes, from: number, to: number): number {
  const { lexicon } = scanner;
  for (const at of $range(from, to - 3, 3)) {
    if (band(lexicon.entries[place_of(lexicon, wide_character(bytes, at))]!, Wake.Digit) !== 0) {
      return at;
    }
  }
  return to;
}

function enqueue_wide(scanner: Scanner, field: Field, bytes: Bytes, from: number, to: number, base: number, count: number): void {
  const { lexicon, queue } = scanner;
  const quoted = field.quoted * QUOTED;
  let passed = count;
  for (const at of $range(from, to - 3, 3)) {
    enqueue(queue, lexicon.classes[place_of(lexicon, wide_character(bytes, at))]! + quoted, base + at, base + at + 3, passed);
    passed += 1;
  }
}

function tell_wide(scanner: Scanner, field: Field, last: number, bytes: Bytes, from: number, to: number, base: number, passed: number): void {
  const { lexicon, queue } = scanner;
  let at = from;
  while (at < to) {
    if (is_asleep(field.pattern)) {
      at = next_wide_digit(scanner, bytes, at, to);
      if (at === to) {
        return;
      }
      wake(scanner, field, at > from ? place_of(lexicon, wide_character(bytes, at - 3)) : last, passed);
    }
    const end = math.min(to, at + (QUEUE_SIZE - 1 - queue.length) * 3);
    enqueue_wide(scanner, field, bytes, at, end, base, passed + (at - from) / 3);
    at = end;
    if (queue.length > QUEUE_SIZE - 2) {
      read_queue(scanner, field);
    }
  }
}

export { tell_plain, tell_wide };
