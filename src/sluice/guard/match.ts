/** What happens when the automaton has reached the end of a word: whether it stands as it must, and noting it. */

import * as bits from "bit";
import { TextKind } from "../wire/text_kind";
import { Action, LetterBits, WordBits } from "./words";
import { RING } from "./field";
import { Trait, sum_of, trait_of } from "./traits";
import type { Field } from "./field";
import type { Lexicon } from "./lexicon";

const band = bits.band;
const bor = bits.bor;
const rshift = bits.rshift;
const tobit = bits.tobit;

/** The bits in a field's ring, below the position. */
const BEHIND_SEPARATOR = 1;
const BEHIND_WORD = 2;
const POSITION_SHIFT = 2;

/** So many separators in a row end every word. A power of two: `runs` looks at its bit alone. */
const MOST_SEPARATORS = 8;

/**
 * Something that was found. `start` and `end` are offsets in the original: of its first byte, and behind its last one.
 * `source` is the list's number or, for a pattern, its `Pattern` as a negative number.
 */
interface Hit {
  /** The number of the text it is in, and its `TextKind`. */
  field: number;
  kind: number;
  start: number;
  end: number;
  action: number;
  source: number;
  /** In JSON inside JSON, outside of its strings: a bare number. */
  bare: boolean;
  /** In log probabilities, which are taken out as a whole. */
  tokens: boolean;
  /** In a text that was there before, and is repeated as a whole. */
  repeated: boolean;
}

/** What was found, until somebody takes it. */
interface Finds {
  hits: Hit[];
  /** Finds that are only flagged are counted here, and not kept. */
  count_flags: boolean;
  flagged: number;
  /** There were more than are kept. */
  overflown: boolean;
}

/** More are not kept: each takes some hundred bytes. */
const MOST_FINDS = 32768;

/** Whether texts of that kind are JSON inside a JSON string. */
function is_nested_kind(kind: number): boolean {
  return kind === TextKind.Arguments || kind === TextKind.RepeatedArguments;
}

/** A find in that text. */
function new_hit(field: Field, start: number, finish: number, action: number, source: number, quoted: number): Hit {
  const { kind } = field;
  return {
    field: field.id,
    kind,
    // Its beginning may have gone on before offsets began anew.
    start: start < finish ? start : 0,
    end: finish,
    action,
    source,
    bare: is_nested_kind(kind) && quoted === 0,
    tokens: kind === TextKind.LogProbability,
    repeated: kind === TextKind.Repeated || kind === TextKind.RepeatedArguments,
  };
}

/** Notes a find in that text. `quoted`: not 0 inside of a string of JSON in a string. */
function add_find(finds: Finds, field: Field, start: number, finish: number, action: number, source: number, quoted: number): void {
  if (action === Action.Flag && finds.count_flags) {
    finds.flagged += 1;
  } else if (finds.hits.length < MOST_FINDS) {
    finds.hits.push(new_hit(field, start, finish, action, source, quoted));
  } else {
    finds.overflown = true;
  }
}

/** Before how many of the ring's last `count` characters there are separators. */
function count_gaps(ring: Int32Buffer, end: number, count: number): number {
  let gaps = 0;
  for (const at of $range(end - count, end - 1)) {
    gaps += band(ring[band(at, RING - 1)]!, BEHIND_SEPARATOR);
  }
  return gaps;
}

/**
 * Whether a word of `length` characters, the last of which is the ring's last, has its separators where it wants them: there, and no
 * others. Two plain loops: one that does both has more values than LuaJIT finds registers for where it is called from.
 */
function gaps_fit(lexicon: Lexicon, field: Field, word: number, length: number): boolean {
  const { extras } = lexicon;
  const { count, ring } = field;
  let at = lexicon.gaps[word]!;
  let wanted = 0;
  while (at !== 0 && extras[at] !== 0) {
    if (band(ring[band(count - length + extras[at]!, RING - 1)]!, BEHIND_SEPARATOR) === 0) {
      return false;
    }
    wanted += 1;
    at += 1;
  }
  return count_gaps(ring, count, length - 1) === wanted;
}

/** What a dot above adds to a sum of marks. */
const DOT = sum_of(trait_of(0x307));

/** Words that ask for more of the text's letters than what they fold to. */
const ASKS_MORE = WordBits.Compared + WordBits.Greek + WordBits.Cyrillic;

/** Whether a letter of the text is as the word asks at `at` in its extras; `first` is the number of the word's first character. */
function letter_fits(lexicon: Lexicon, field: Field, at: number, first: number): boolean {
  const letter = lexicon.extras[at]!;
  const wanted = lexicon.extras[at + 1]!;
  const number = tobit(first + band(letter, LetterBits.Index) - 1);
  const slot = band(number, RING - 1);
  const noted = field.mark_number[slot] === number;
  const mask = band(rshift(letter, LetterBits.MaskShift), Trait.Has);
  if (mask !== 0) {
    return band(noted ? field.mark_bits[slot]! : 0, mask) === wanted;
  }
  const sum = noted ? field.mark_sum[slot]! : 0;
  return sum === wanted || (band(letter, LetterBits.Dotted) !== 0 && sum === tobit(wanted + DOT));
}

/** Whether the letters of a word of `length` characters, the last of which is the ring's last, are the word's beyond what they fold to. */
function letters_fit(lexicon: Lexicon, field: Field, word: number, properties: number, length: number): boolean {
  const first = tobit(field.count - length);
  if (
    (band(properties, WordBits.Greek) !== 0 && tobit(field.greek - first) < 0) ||
    (band(properties, WordBits.Cyrillic) !== 0 && tobit(field.cyrillic - first) < 0)
  ) {
    return false;
  }
  let at = band(properties, WordBits.Compared) !== 0 ? lexicon.letters[word]! : 0;
  while (at !== 0 && lexicon.extras[at] !== 0) {
    if (!letter_fits(lexicon, field, at, first)) {
      return false;
    }
    at += 2;
  }
  return true;
}

/** Whether the word begins as it must, and has its separators where it wants them. */
function stands(lexicon: Lexicon, field: Field, word: number): boolean {
  const properties = lexicon.word_bits[word]!;
  const length = rshift(properties, WordBits.LengthShift);
  const first = field.ring[band(field.count - length, RING - 1)]!;
  if (band(properties, WordBits.Whole) !== 0 && band(first, BEHIND_WORD) !== 0) {
    return false;
  }
  return band(properties, WordBits.Loose) !== 0 || gaps_fit(lexicon, field, word, length);
}

/** When words are looked at that end with the ring's last character. */
const enum Stage {
  /** It has just come. */
  Ended = 0,
  /** A character of no word follows, or none. */
  Alone = 1,
  /** A character of a word follows. */
  Beside = 2,
}

/** What words wait for besides the character that says whether they stand alone. */
const enum Waiting {
  /** Marks that may yet make the last letter another one, of words that have to be held back. */
  Marks = 1,
  /** Only for marks: they need not stand alone. */
  Part = 2,
}

/** Whether a word that stands is found at that stage. */
function is_due(properties: number, stage: Stage): boolean {
  if (band(properties, WordBits.Whole) !== 0) {
    return stage === Stage.Alone;
  }
  return band(properties, WordBits.Open) !== 0 ? stage !== Stage.Ended : stage === Stage.Ended;
}

/**
 * Notes the words that end with the ring's last character, in `state`, and are due at that stage; `finish` is the offset behind it.
 * Returns whether there are words that wait for the next character; those are in `field.pending_start` too, and what they wait
 * for is in `field.pending_for`.
 */
function collect(lexicon: Lexicon, finds: Finds, field: Field, state: number, finish: number, stage: Stage): boolean {
  let word = lexicon.out[state]!;
  let waiting = false;
  while (word !== 0) {
    const properties = lexicon.word_bits[word]!;
    if (stands(lexicon, field, word)) {
      const length = rshift(properties, WordBits.LengthShift);
      const start = rshift(field.ring[band(field.count - length, RING - 1)]!, POSITION_SHIFT);
      const action = rshift(band(properties, WordBits.ActionMask), WordBits.ActionShift);
      const open = band(properties, WordBits.Open);
      if (band(properties, WordBits.Whole + WordBits.Open) !== 0) {
        waiting = true;
        if (open !== 0 && band(properties, WordBits.Whole) === 0) {
          field.pending_for = bor(field.pending_for, Waiting.Part);
        }
        if (open !== 0 && action !== Action.Flag) {
          field.pending_for = bor(field.pending_for, Waiting.Marks);
        }
        if (action !== Action.Flag && (field.pending_start < 0 || start < field.pending_start)) {
          field.pending_start = start;
        }
      }
      const fits = band(properties, ASKS_MORE) === 0 || letters_fit(lexicon, field, word, properties, length);
      if (fits && is_due(properties, stage)) {
        const end = open !== 0 ? math.max(finish, field.marks_end) : finish;
        add_find(finds, field, start, end, action, band(properties, WordBits.List), field.quoted);
      }
    }
    word = lexicon.next[word]!;
  }
  return waiting;
}

export { BEHIND_SEPARATOR, BEHIND_WORD, MOST_SEPARATORS, POSITION_SHIFT, Stage, Waiting, add_find, collect, is_nested_kind };
export type { Finds, Hit };
