/** How the scanner and the patterns work together: characters go to the queue, what is found there to the finds. */

import * as bits from "bit";
import { add_find } from "./match";
import { addresses_in, is_asleep, numbers_in, queue_is_read } from "./pattern";
import { Wake } from "./pattern_class";
import { QUEUE_SIZE, QUOTED, enqueue } from "./pattern_queue";
import type { Field } from "./field";
import type { Scanner } from "./scanner";

const bor = bits.bor;

/** Notes the patterns that were found. */
function take_patterns(scanner: Scanner, field: Field, quoted: number): void {
  const state = field.pattern;
  for (const index of $range(0, state.hits - 1)) {
    const pattern = state.hit_pattern[index]!;
    const action = scanner.pattern_actions.get(pattern);
    add_find(scanner, field, state.hit_start[index]!, state.hit_end[index]!, action, -pattern, quoted);
  }
}

/** Says again which characters take more than a simple move. */
function note_rare(field: Field): void {
  const { pattern } = field;
  field.rare = bor(field.fixed, pattern.wake);
  field.stops = is_asleep(pattern) ? field.rare : field.fixed;
}

/** Has the patterns read what is in the queue. */
function read_queue(scanner: Scanner, field: Field): void {
  const { patterns, queue } = scanner;
  const { pattern } = field;
  let at = 0;
  while (at < queue.length) {
    at = numbers_in(pattern, patterns, queue, at);
    if (pattern.hits !== 0) {
      take_patterns(scanner, field, pattern.quoted);
    }
  }
  at = 0;
  while (at < queue.length) {
    at = addresses_in(pattern, patterns, queue, at);
    if (pattern.hits !== 0) {
      take_patterns(scanner, field, pattern.quoted);
    }
  }
  queue_is_read(pattern, patterns, queue);
  note_rare(field);
}

/** The patterns are told of a character: it goes into the queue. */
function tell_patterns(scanner: Scanner, field: Field): void {
  const { queue } = scanner;
  if (is_asleep(field.pattern)) {
    field.pattern.wake = Wake.Local + Wake.Nonlocal;
    note_rare(field);
    if (field.last >= 0) {
      // They have to know what stands before a number.
      enqueue(queue, scanner.lexicon.classes[field.last]!, field.position, field.position, field.passed);
    }
  }
  enqueue(queue, bor(field.character_class, field.quoted * QUOTED), field.position, field.next, field.passed);
  if (queue.length > QUEUE_SIZE - 2) {
    read_queue(scanner, field);
  }
}

export { note_rare, read_queue, take_patterns, tell_patterns };
