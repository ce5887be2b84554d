/**
 * Reads one word of a list: folds it, and notes what its letters have to be beyond that.
 *
 * Which of its letters are compared with their marks (see traits.ts) depends on the word's script. A word that has Latin letters
 * compares the marks of all its letters if any of them has one, and none if none has: `cafe` is found in `café`, `café` is not in `cafe`. A word in
 * Cyrillic compares the letters that could be others there (е and ё), a word with kana those that could be voiced. A word in Greek or
 * Cyrillic that consists of letters with Latin look-alikes only wants at least one letter of its script: else `рак` were
 * found in `Pakistan`.
 */

import * as bits from "bit";
import { decode_utf8 } from "../wire/json_text";
import { Folded, expansion, fold, joins } from "./fold";
import { begin_syllable, jamo_of, join_jamo, split_syllable, syllable_of, without_trailing } from "./jamo";
import { Script, Trait, script_of, sum_of, takes_of, trait_of } from "./traits";
import { LONGEST_WORD, LetterBits, WordBits } from "./words";
import type { Draft } from "./word_pool";

const band = bits.band;
const bor = bits.bor;
const lshift = bits.lshift;
const tobit = bits.tobit;

/** Why an entry is not taken. */
const enum Fault {
  None = 0,
  NotUtf8 = 1,
  Empty = 2,
  TooLong = 3,
  /** One character is left of it, beside symbols that may stand for others. It would be found in ordinary words. */
  Masked = 4,
}

/** The scripts in which letters look like each other, as bits by `Script`; all of them, Latin too. */
const GREEK = 4;
const CYRILLIC = 8;
const ALIKE = 14;

/** Symbols that people write in place of a letter: circles, squares, triangles, stars, crosses, asterisks. They are separators after folding. */
const MASKS = new LuaSet<number>();
for (const symbol of [
  0x2a, 0xd7, 0xff0a, 0x25cb, 0x25cf, 0x25ef, 0x25ce, 0x25a0, 0x25a1, 0x25b2, 0x25b3, 0x25bc, 0x25bd, 0x2605, 0x2606, 0x2715, 0x2716, 0x274c,
]) {
  MASKS.add(symbol);
}

const BLANK = 32;
const COMBINING_DOT = 0x307;
const LETTER_I = 105;
const LETTER_J = 106;

/** Whether the dot above belongs to a letter, and is no mark of it. */
function is_dotted(representative: number): boolean {
  return representative === LETTER_I || representative === LETTER_J;
}

/** Appends a character, or notes that a gap comes. `trait` tells of its marks. */
function append(draft: Draft, value: number, trait: number): void {
  const { length } = draft;
  if (value === Folded.Separator) {
    draft.gap = 1;
    return;
  }
  if (length < LONGEST_WORD) {
    // Separators before the first character are no gap.
    if (draft.gap !== 0 && length > 0) {
      draft.gaps[draft.gap_count] = length;
      draft.gap_count += 1;
    }
    draft.characters[length] = value;
    draft.sums[length] = sum_of(trait);
    draft.traits[length] = trait;
  }
  draft.length = length + 1;
  draft.gap = 0;
}

/** A mark goes to the letter that stands directly before it, or is a character of its own behind letters of such scripts. */
function append_mark(draft: Draft, code_point: number, trait: number): void {
  const last = draft.length - 1;
  if (last < 0 || last >= LONGEST_WORD || draft.gap !== 0) {
    return;
  }
  const letter = draft.characters[last]!;
  if (joins(letter, code_point)) {
    append(draft, code_point, 0);
  } else if (code_point !== COMBINING_DOT || !is_dotted(letter)) {
    draft.sums[last] = tobit(draft.sums[last]! + sum_of(trait));
    draft.traits[last] = bor(draft.traits[last]!, band(trait, Trait.Has));
  }
}

/** Appends a code point that stands for no more than one, and that no syllable is made of. */
function append_plain(draft: Draft, code_point: number, value: number): void {
  const trait = trait_of(code_point);
  if (band(trait, Trait.Mark) !== 0) {
    append_mark(draft, code_point, trait);
  } else if (value !== Folded.Ignored) {
    if (value === Folded.Separator && MASKS.has(code_point)) {
      draft.masks += 1;
    }
    append(draft, value, trait);
  }
}

/** The syllable that was held is complete. */
function flush(draft: Draft): void {
  if (draft.held !== 0) {
    append(draft, syllable_of(draft.held), 0);
    draft.held = 0;
  }
}

/** Takes the next code point. Letters of Hangul are held until their syllable is complete. */
function take(draft: Draft, code_point: number): void {
  const value = fold(code_point);
  if (value <= Folded.FirstExpansion) {
    for (const part of expansion(value)) {
      take(draft, part === Folded.Separator ? BLANK : part);
    }
    return;
  }
  if (value === Folded.Ignored) {
    // Marks on a syllable say nothing.
    if (draft.held === 0) {
      append_plain(draft, code_point, value);
    }
    return;
  }
  const jamo = jamo_of(code_point, value);
  const joined = jamo === 0 ? 0 : join_jamo(draft.held, jamo);
  if (joined !== 0) {
    draft.held = joined;
    return;
  }
  const split = jamo === 0 ? 0 : split_syllable(draft.held, jamo);
  if (split !== 0) {
    draft.held = without_trailing(draft.held);
    flush(draft);
    draft.held = split;
    return;
  }
  flush(draft);
  draft.held = begin_syllable(jamo);
  if (draft.held === 0) {
    append_plain(draft, code_point, value);
  }
}

/** The scripts of the word's letters that look like each other's, as bits. */
function scripts_of(draft: Draft): number {
  let seen = 0;
  for (const index of $range(0, draft.length - 1)) {
    seen = bor(seen, lshift(1, script_of(draft.traits[index]!)));
  }
  return band(seen, ALIKE);
}

/** Whether some letter of that script is in the word that looks like none of another. */
function shows_script(draft: Draft, script: number): boolean {
  for (const index of $range(0, draft.length - 1)) {
    if (script_of(trait_of(draft.characters[index]!)) === script) {
      return true;
    }
  }
  return false;
}

/** Whether a letter of one of the scripts that look alike has a mark. */
function has_marks(draft: Draft): boolean {
  for (const index of $range(0, draft.length - 1)) {
    const script = lshift(1, script_of(draft.traits[index]!));
    if (draft.sums[index] !== 0 && band(script, ALIKE) !== 0) {
      return true;
    }
  }
  return false;
}

/** Adds a letter to those that are compared: two integers, as `LetterBits` says. */
function compare(draft: Draft, index: number, letter_bits: number, value: number): void {
  const at = draft.letter_count * 2;
  draft.letters[at] = bor(index + 1, letter_bits);
  draft.letters[at + 1] = value;
  draft.letter_count += 1;
  draft.properties = bor(draft.properties, WordBits.Compared);
  if (index === draft.length - 1) {
    draft.properties = bor(draft.properties, WordBits.Open);
  }
}

/** Says which letters are compared, and whether the word wants a letter of its script. */
function note_letters(draft: Draft): void {
  const scripts = scripts_of(draft);
  const marked = scripts !== GREEK && scripts !== CYRILLIC && has_marks(draft);
  draft.ascii_script = scripts === GREEK || scripts === CYRILLIC ? 0 : 1;
  draft.letter_count = 0;
  draft.properties = 0;
  for (const index of $range(0, draft.length - 1)) {
    const trait = draft.traits[index]!;
    const script = script_of(trait);
    const takes = takes_of(trait);
    if (marked && band(lshift(1, script), ALIKE) !== 0) {
      compare(draft, index, is_dotted(draft.characters[index]!) ? LetterBits.Dotted : 0, draft.sums[index]!);
    } else if (takes !== 0 && (script === Script.Kana || (script === Script.Cyrillic && scripts === CYRILLIC))) {
      compare(draft, index, lshift(takes, LetterBits.MaskShift), band(trait, takes));
    }
  }
  if (scripts === GREEK && !shows_script(draft, Script.Greek)) {
    draft.properties = bor(draft.properties, WordBits.Greek);
  } else if (scripts === CYRILLIC && !shows_script(draft, Script.Cyrillic)) {
    draft.properties = bor(draft.properties, WordBits.Cyrillic);
  }
}

/** Folds the word in `bytes` from `from` to `to` into the draft. */
function read_word(draft: Draft, bytes: Bytes, from: number, to: number): Fault {
  draft.length = 0;
  draft.gap_count = 0;
  draft.gap = 0;
  draft.held = 0;
  draft.masks = 0;
  let at = from;
  while (at < to) {
    let code_point = bytes[at]!;
    let next = at + 1;
    if (code_point > 127) {
      [code_point, next] = decode_utf8(bytes, at, to);
      if (next <= 0) {
        return Fault.NotUtf8;
      }
    }
    take(draft, code_point);
    at = next;
  }
  flush(draft);
  if (draft.length > LONGEST_WORD) {
    return Fault.TooLong;
  }
  if (draft.length === 0) {
    return Fault.Empty;
  }
  if (draft.length === 1 && draft.masks > 0) {
    return Fault.Masked;
  }
  note_letters(draft);
  return Fault.None;
}

export { Fault, read_word };
