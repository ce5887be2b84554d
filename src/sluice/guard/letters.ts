/**
 * Takes the characters that are more than a symbol: letters whose marks some word compares, the marks themselves, and the letters of
 * Hangul, which are held until their syllable is complete. `Entry.Letter` is set for them; a lexicon without such words has none.
 *
 * What marks a letter of the text has is noted beside the ring: by its place there, the sum and the letter bits (see
 * traits.ts), with its number among the text's characters, by which what an earlier letter left there is told apart. Marks that
 * stand behind a letter are added. `match` compares when a word has ended; a word whose last letter is compared waits for the
 * next character, since marks may follow.
 */

import * as bits from "bit";
import { Info } from "./automaton";
import { Entry, TAKEN } from "./entry";
import { RING } from "./field";
import { Waiting } from "./match";
import { end_waiting, place_of, scan_plain, settle_words, step } from "./scanner";
import { begin_syllable, is_complete, jamo_of, join_jamo, split_syllable, syllable_of, without_trailing } from "./jamo";
import { Script, Trait, script_of, sum_of, trait_of } from "./traits";
import { Folded, expansion_bounds, expansion_part, fold } from "./fold";
import type { Field } from "./field";
import type { Lexicon } from "./lexicon";
import type { Scanner } from "./scanner";

const band = bits.band;
const bor = bits.bor;
const tobit = bits.tobit;

/** The automaton takes a character like any other. */
function take_symbol(scanner: Scanner, field: Field, place: number): void {
  const { lexicon } = scanner;
  field.entry = band(lexicon.entries[place]!, TAKEN);
  field.character_class = lexicon.classes[place]!;
  step(scanner, field);
  field.last = place;
}

/** The syllable that is held is complete: it is taken, as if it had just come. */
function flush(scanner: Scanner, field: Field): void {
  const { position, next } = field;
  field.position = field.held_start;
  field.next = field.held_next;
  const place = place_of(scanner.lexicon, syllable_of(field.held));
  field.held = 0;
  take_symbol(scanner, field, place);
  field.position = position;
  field.next = next;
}

/** A mark changes the last letter that went into the ring. */
function add_mark(scanner: Scanner, field: Field, trait: number): void {
  const number = tobit(field.count - 1);
  const slot = band(number, RING - 1);
  if (field.mark_number[slot] !== number) {
    field.mark_number[slot] = number;
    field.mark_sum[slot] = 0;
    field.mark_bits[slot] = 0;
  }
  field.mark_sum[slot] = tobit(field.mark_sum[slot]! + sum_of(trait));
  field.mark_bits[slot] = bor(field.mark_bits[slot]!, band(trait, Trait.Has));
  if (field.pending !== 0) {
    field.marks_end = field.next;
    // A word that does not compare marks is found whatever marks follow.
    if (scanner.cuttable && field.pending_start >= 0 && band(field.pending_for, Waiting.Marks) !== 0) {
      scanner.refuted.push(field.pending_end - 1);
      scanner.refuted.push(field.position);
    }
  }
}

/** Whether a mark that counts is a character of words here: behind one of such a script, both of those that set words apart or both of others. */
function is_word_character(lexicon: Lexicon, field: Field, place: number): boolean {
  const behind = lexicon.info[field.state]!;
  const both = band(behind, Info.Behind) !== 0 === (band(lexicon.entries[place]!, Entry.Word) !== 0);
  return both && band(behind, Info.Counts) !== 0;
}

/** A mark: it goes to the letter directly before it. */
function take_mark(scanner: Scanner, field: Field, trait: number, place: number): void {
  if (field.held !== 0 || field.state === 0 || field.gap > 0) {
    return;
  }
  if (band(trait, Trait.Counts) !== 0 && is_word_character(scanner.lexicon, field, place)) {
    take_symbol(scanner, field, place);
    return;
  }
  add_mark(scanner, field, trait);
}

/** A letter with what marks it has of itself; the number of the last Greek or Cyrillic letter is noted too. */
function take_letter(scanner: Scanner, field: Field, trait: number, place: number): void {
  if (field.pending !== 0) {
    // What is noted below is this letter's, and not of the words before it.
    field.entry = band(scanner.lexicon.entries[place]!, TAKEN);
    end_waiting(scanner, field);
  }
  const number = field.count;
  const { greek, cyrillic } = field;
  const slot = band(number, RING - 1);
  const script = script_of(trait);
  field.mark_number[slot] = number;
  field.mark_sum[slot] = sum_of(trait);
  field.mark_bits[slot] = band(trait, Trait.Has);
  if (script === Script.Greek) {
    field.greek = number;
  } else if (script === Script.Cyrillic) {
    field.cyrillic = number;
  }
  take_symbol(scanner, field, place);
  if (field.count === number) {
    // It has no place in the ring: the next letter has this number.
    field.mark_number[slot] = tobit(number - 1);
    field.greek = greek;
    field.cyrillic = cyrillic;
  }
}

/** A syllable begins that ends, as far as is known, with the letter at hand. */
function begin_held(field: Field, held: number, start: number): void {
  field.held = held;
  field.held_start = start;
  field.held_middle = field.next;
  field.held_last = start;
  field.held_next = field.next;
}

/**
 * The letter at hand changes the syllable that is held. If the stream were cut off before it, a word might end with what the
 * syllable was before: the two go on together.
 */
function note_change(scanner: Scanner, field: Field): void {
  if (scanner.cuttable) {
    scanner.refuted.push(field.held_next - 1);
    scanner.refuted.push(field.position);
  }
}

/** A letter of Hangul. */
function take_jamo(scanner: Scanner, field: Field, jamo: number, place: number): void {
  const joined = join_jamo(field.held, jamo);
  if (joined !== 0) {
    note_change(scanner, field);
    field.held_middle = field.held_next;
    field.held_last = field.position;
    field.held_next = field.next;
    field.held = joined;
    if (is_complete(joined)) {
      flush(scanner, field);
    }
    return;
  }
  const split = split_syllable(field.held, jamo);
  if (split !== 0) {
    note_change(scanner, field);
    const start = field.held_last;
    field.held = without_trailing(field.held);
    field.held_next = field.held_middle;
    flush(scanner, field);
    begin_held(field, split, start);
    return;
  }
  if (field.held !== 0) {
    flush(scanner, field);
  }
  const begun = begin_syllable(jamo);
  if (begun !== 0) {
    begin_held(field, begun, field.position);
  } else {
    take_symbol(scanner, field, place);
  }
}

/** A character that has no `Entry.Letter`. */
function take_plain(scanner: Scanner, field: Field, place: number): void {
  if (field.held !== 0 && band(scanner.lexicon.entries[place]!, Entry.Ignored) === 0) {
    flush(scanner, field);
  }
  scan_plain(scanner, field, place);
}

/** Takes a character that has `Entry.Letter` and stands for no more than one. */
function take_part(scanner: Scanner, field: Field, place: number, code_point: number): void {
  const trait = trait_of(code_point);
  if (band(trait, Trait.Mark) !== 0) {
    take_mark(scanner, field, trait, place);
    return;
  }
  const jamo = jamo_of(code_point, fold(code_point));
  if (jamo !== 0) {
    take_jamo(scanner, field, jamo, place);
    return;
  }
  if (field.held !== 0) {
    flush(scanner, field);
  }
  take_letter(scanner, field, trait, place);
}

/** A separator as an expansion has it: punctuation. */
const SEPARATOR = 0x3002;

/** A character that stands for several, of which some are taken here. */
function take_expansion(scanner: Scanner, field: Field, folded: number): void {
  const [from, to] = expansion_bounds(folded);
  for (const at of $range(from, to - 1)) {
    const part = expansion_part(at);
    const code_point = part === Folded.Separator ? SEPARATOR : part;
    const place = place_of(scanner.lexicon, code_point);
    if (scanner.lexicon.entries[place]! < 0) {
      take_part(scanner, field, place, code_point);
    } else {
      take_plain(scanner, field, place);
    }
  }
}

/** Takes a character that has `Entry.Letter`. */
function scan_letter(scanner: Scanner, field: Field, place: number, code_point: number): void {
  if (band(scanner.lexicon.entries[place]!, Entry.Expands) !== 0) {
    take_expansion(scanner, field, fold(code_point));
  } else {
    take_part(scanner, field, place, code_point);
  }
}

/** Takes a character, escapes of inner JSON decoded, whose `position`, `next` and `passed` are in the field. `place`: that of `place_of`. */
function scan_character(scanner: Scanner, field: Field, place: number, code_point: number): void {
  if (scanner.lexicon.entries[place]! < 0) {
    scan_letter(scanner, field, place, code_point);
  } else {
    take_plain(scanner, field, place);
  }
}

/** The text may have ended here: what was waiting for its next character matches, as if none came. */
function settle(scanner: Scanner, field: Field): void {
  if (field.held !== 0) {
    flush(scanner, field);
  }
  settle_words(scanner, field);
}

export { scan_character, settle };
