/** The trie of a guard's words: first their characters are numbered, then the words sorted, then nodes found breadth first. */

import * as bits from "bit";
import * as ffi from "ffi";
import { LONGEST_WORD, length_of } from "./words";
import type { Words } from "./words";

const band = bits.band;
const bor = bits.bor;
const lshift = bits.lshift;
const rshift = bits.rshift;

/** So many integers, all 0. */
function integers(count: number): Int32Buffer {
  return ffi.new<Int32Buffer>("int32_t[?]", count);
}

interface Numbering {
  count: number;
  /** By symbol: its character. */
  characters: Int32Buffer;
  /** By position in `Words.characters`: the symbol. */
  symbols: Int32Buffer;
}

/** Numbers the characters of the words, the most frequent ones first. */
function number_symbols(words: Words, total: number): Numbering {
  const counts = new LuaTable<number, number>();
  const distinct: number[] = [];
  for (const at of $range(0, total - 1)) {
    const character = words.characters[at]!;
    const seen = counts.get(character) as number | undefined;
    if (seen === undefined) {
      distinct.push(character);
      counts.set(character, 1);
    } else {
      counts.set(character, seen + 1);
    }
  }
  table.sort(distinct, (a, b) => {
    const of_a = counts.get(a);
    const of_b = counts.get(b);
    return of_a === of_b ? a < b : of_a > of_b;
  });
  const characters = integers(distinct.length + 1);
  let count = 0;
  for (const character of distinct) {
    count += 1;
    characters[count] = character;
    counts.set(character, count);
  }
  const symbols = integers(total + 1);
  for (const at of $range(0, total - 1)) {
    symbols[at] = counts.get(words.characters[at]!);
  }
  return { count, characters, symbols };
}

/** The words in the order of their symbols, a word before those that it begins. */
function sort_words(words: Words, symbols: Int32Buffer): Int32Buffer {
  const buffer = ffi.new<Bytes>("uint8_t[?]", LONGEST_WORD * 3 + 8);
  const keys: string[] = [];
  for (const word of $range(1, words.count)) {
    const start = words.starts[word]!;
    let at = 0;
    for (const index of $range(start, start + length_of(words, word) - 1)) {
      const symbol = symbols[index]!;
      buffer[at] = rshift(symbol, 16);
      buffer[at + 1] = band(rshift(symbol, 8), 255);
      buffer[at + 2] = band(symbol, 255);
      at += 3;
    }
    // No symbol is 0, so this is less than any that may follow. The word's number makes keys distinct, and is read back.
    buffer[at] = 0;
    buffer[at + 1] = 0;
    buffer[at + 2] = 0;
    buffer[at + 3] = band(rshift(word, 16), 255);
    buffer[at + 4] = band(rshift(word, 8), 255);
    buffer[at + 5] = band(word, 255);
    keys.push(ffi.string(buffer, at + 6));
  }
  table.sort(keys);
  const order = integers(words.count);
  let place = 0;
  for (const key of keys) {
    const [high, middle, low] = string.byte(key, -3, -1);
    order[place] = bor(lshift(high!, 16), lshift(middle!, 8), low!);
    place += 1;
  }
  return order;
}

/** The trie: nodes in the order of their depth. A node's successors follow each other, ascending by symbol. */
interface Trie {
  count: number;
  /** By node: where its words lie in the sorted order, its depth, its symbol, its parent, its first successor and how many. */
  low: Int32Buffer;
  high: Int32Buffer;
  depth: Int32Buffer;
  symbol: Int32Buffer;
  parent: Int32Buffer;
  first: Int32Buffer;
  successors: Int32Buffer;
}

function make_trie(words: Words, numbering: Numbering, order: Int32Buffer, total: number, pause: (this: void) => void): Trie {
  const { symbols } = numbering;
  const most = total + 1;
  const trie: Trie = {
    count: 1, low: integers(most), high: integers(most), depth: integers(most), symbol: integers(most), parent: integers(most),
    first: integers(most), successors: integers(most),
  };
  trie.high[0] = words.count;
  let node = 0;
  while (node < trie.count) {
    const depth = trie.depth[node]!;
    const high = trie.high[node]!;
    let place = trie.low[node]!;
    while (place < high && length_of(words, order[place]!) === depth) {
      place += 1;
    }
    let last = 0;
    trie.first[node] = trie.count;
    while (place < high) {
      const symbol = symbols[words.starts[order[place]!]! + depth]!;
      if (symbol !== last) {
        trie.low[trie.count] = place;
        trie.depth[trie.count] = depth + 1;
        trie.symbol[trie.count] = symbol;
        trie.parent[trie.count] = node;
        trie.count += 1;
        last = symbol;
      }
      place += 1;
      trie.high[trie.count - 1] = place;
    }
    trie.successors[node] = trie.count - trie.first[node]!;
    // The root's words lie between its own bounds, whatever its last successor is.
    trie.high[node] = high;
    node += 1;
    if (node % 4096 === 0) {
      pause();
    }
  }
  return trie;
}

export { integers, make_trie, number_symbols, sort_words };
export type { Numbering, Trie };
