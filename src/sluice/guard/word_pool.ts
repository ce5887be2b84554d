/**
 * The words of a list while it is read: each once, in growing arrays of integers that lie as the automaton reads them. A
 * table of word numbers (open addressing, never more than half full) finds whether a word has been there before.
 *
 * Two words are the same if they have the same characters, gaps, compared letters and properties: then they match the same text and ask for
 * the same. Words that differ in properties only are both kept.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { LONGEST_WORD, WordBits } from "./words";
import type { Words } from "./words";

const bxor = bits.bxor;
const rol = bits.rol;
const rshift = bits.rshift;
const tobit = bits.tobit;

/** A word before it is in the pool. */
interface Draft {
  /** The number of characters; up to `LONGEST_WORD` of them are in `characters`. */
  length: number;
  characters: Int32Buffer;
  gap_count: number;
  /** Ascending: how many characters are before each gap. */
  gaps: Int32Buffer;
  /** The letters that are compared: two integers each (`LetterBits`). */
  letter_count: number;
  letters: Int32Buffer;
  /** What of `WordBits` follows from its letters. */
  properties: number;
  /** 0: it is Greek or Cyrillic, whatever its letters look like. */
  ascii_script: number;
  /** How many symbols it was written with that often stand for a letter (イ○, f*ck). */
  masks: number;
  /** While it is read. By character: the sum of its marks, and its trait with the letter bits of all its marks. */
  sums: Int32Buffer;
  traits: Int32Buffer;
  /** Not 0: a separator came last. */
  gap: number;
  /** The syllable of Hangul that is not complete (`jamo`). */
  held: number;
}

interface WordPool {
  words: Words;
  /** How many characters all words have together. */
  characters_size: number;
  /** By word: its line. */
  lines: Int32Buffer;
  characters_room: number;
  /** How many words there is room for. */
  room: number;
  extras_room: number;
  /** By word. */
  hashes: Int32Buffer;
  /** A power of two. */
  slot_count: number;
  /** Words; 0: empty. */
  slots: Int32Buffer;
}

function integers(count: number): Int32Buffer {
  return ffi.new<Int32Buffer>("int32_t[?]", count);
}

function enlarged(old: Int32Buffer, count: number, room: number): Int32Buffer {
  const made = integers(room);
  ffi.copy(made, old, count * 4);
  return made;
}

function new_draft(): Draft {
  return {
    length: 0, characters: integers(LONGEST_WORD), gap_count: 0, gaps: integers(LONGEST_WORD), letter_count: 0, letters: integers(LONGEST_WORD * 2),
    properties: 0, ascii_script: 1, masks: 0, sums: integers(LONGEST_WORD), traits: integers(LONGEST_WORD), gap: 0, held: 0,
  };
}

/** An empty pool. */
function new_pool(): WordPool {
  const room = 1024;
  return {
    words: {
      count: 0,
      characters: integers(room),
      // One more than words: where the last one ends. And word 0 does not exist.
      starts: integers(room + 2),
      bits: integers(room + 2),
      gaps: integers(room + 2),
      letters: integers(room + 2),
      extras: integers(room),
      // Place 0 stands for none.
      extras_size: 1,
    },
    characters_size: 0,
    lines: integers(room + 2),
    characters_room: room,
    room,
    extras_room: room,
    hashes: integers(room + 2),
    slot_count: room * 2,
    slots: integers(room * 2),
  };
}

/** A hash that goes on with some integers: MurmurHash3's mixing without its multiplications, which doubles can't do. */
function hash_on(seed: number, values: Int32Buffer, count: number): number {
  let hash = seed;
  for (const index of $range(0, count - 1)) {
    hash = tobit(rol(bxor(hash, values[index]!), 13) * 5 + 0x6b64e654);
  }
  return hash;
}

function hash_of(draft: Draft, properties: number): number {
  let hash = hash_on(properties, draft.characters, draft.length);
  hash = hash_on(hash, draft.gaps, draft.gap_count);
  hash = hash_on(hash, draft.letters, draft.letter_count * 2);
  const halved = bxor(hash, rshift(hash, 16));
  const mixed = tobit((halved % 0x100000) * 0x85eb + halved);
  return bxor(mixed, rshift(mixed, 13));
}

/** Whether the integers at a place of `extras`, which 0 ends, are those; place 0 has none. */
function are_same(words: Words, place: number, values: Int32Buffer, count: number): boolean {
  if (place === 0) {
    return count === 0;
  }
  for (const index of $range(0, count - 1)) {
    if (words.extras[place + index] !== values[index]) {
      return false;
    }
  }
  return count > 0 && words.extras[place + count] === 0;
}

/** Whether a word of the pool is the draft, given that the properties are equal, and so the number of characters. */
function is_same(words: Words, word: number, draft: Draft): boolean {
  const start = words.starts[word]!;
  for (const index of $range(0, draft.length - 1)) {
    if (words.characters[start + index] !== draft.characters[index]) {
      return false;
    }
  }
  return (
    are_same(words, words.gaps[word]!, draft.gaps, draft.gap_count) &&
    are_same(words, words.letters[word]!, draft.letters, draft.letter_count * 2)
  );
}

/** The slot of the word that is the draft, or the empty one where it belongs. */
function slot_of(pool: WordPool, draft: Draft, properties: number, hash: number): number {
  const { words, hashes, slots } = pool;
  const mask = pool.slot_count - 1;
  let slot = bits.band(hash, mask);
  for (;;) {
    const word = slots[slot]!;
    if (word === 0 || (hashes[word] === hash && words.bits[word] === properties && is_same(words, word, draft))) {
      return slot;
    }
    slot = bits.band(slot + 1, mask);
  }
}

/** Doubles the room for words. */
function make_room(pool: WordPool): void {
  const { words } = pool;
  const used = pool.room + 2;
  pool.room *= 2;
  const room = pool.room + 2;
  words.starts = enlarged(words.starts, used, room);
  words.bits = enlarged(words.bits, used, room);
  words.gaps = enlarged(words.gaps, used, room);
  words.letters = enlarged(words.letters, used, room);
  pool.lines = enlarged(pool.lines, used, room);
  pool.hashes = enlarged(pool.hashes, used, room);
  pool.slot_count = pool.room * 2;
  const slots = integers(pool.slot_count);
  const mask = pool.slot_count - 1;
  for (const word of $range(1, words.count)) {
    let slot = bits.band(pool.hashes[word]!, mask);
    while (slots[slot] !== 0) {
      slot = bits.band(slot + 1, mask);
    }
    slots[slot] = word;
  }
  pool.slots = slots;
}

function append_characters(pool: WordPool, draft: Draft): void {
  const { words } = pool;
  const size = pool.characters_size;
  if (size + draft.length > pool.characters_room) {
    pool.characters_room *= 2;
    words.characters = enlarged(words.characters, size, pool.characters_room);
  }
  for (const index of $range(0, draft.length - 1)) {
    words.characters[size + index] = draft.characters[index]!;
  }
  pool.characters_size = size + draft.length;
}

/** Appends integers and the 0 that ends them to `extras`. Returns their place, 0 if there are none. */
function append_extras(pool: WordPool, values: Int32Buffer, count: number): number {
  const { words } = pool;
  const place = words.extras_size;
  if (count === 0) {
    return 0;
  }
  if (place + count + 1 > pool.extras_room) {
    pool.extras_room *= 2;
    words.extras = enlarged(words.extras, place, pool.extras_room);
  }
  for (const index of $range(0, count - 1)) {
    words.extras[place + index] = values[index]!;
  }
  words.extras[place + count] = 0;
  words.extras_size = place + count + 1;
  return place;
}

/**
 * Adds a draft of 1 to `LONGEST_WORD` characters with its `WordBits` but for the length. Returns 0, or the line of
 * the same word if there is one already.
 */
function add_word(pool: WordPool, draft: Draft, word_bits: number, line: number): number {
  const properties = bits.bor(word_bits, bits.lshift(draft.length, WordBits.LengthShift));
  const { words } = pool;
  if (words.count === pool.room) {
    make_room(pool);
  }
  const hash = hash_of(draft, properties);
  const slot = slot_of(pool, draft, properties, hash);
  const known = pool.slots[slot]!;
  if (known !== 0) {
    return pool.lines[known]!;
  }
  const word = words.count + 1;
  words.count = word;
  words.starts[word] = pool.characters_size;
  append_characters(pool, draft);
  words.starts[word + 1] = pool.characters_size;
  words.bits[word] = properties;
  words.gaps[word] = append_extras(pool, draft.gaps, draft.gap_count);
  words.letters[word] = append_extras(pool, draft.letters, draft.letter_count * 2);
  pool.lines[word] = line;
  pool.hashes[word] = hash;
  pool.slots[slot] = word;
  return 0;
}

export { add_word, new_draft, new_pool };
export type { Draft, WordPool };
