/**
 * A conversation as a chain of hashes: one for each 64 bytes, which depends on all that comes before. Two conversations that begin
 * alike have the same hashes that far. 64 bytes are about what a model server takes for a block of its own, and
 * less than a turn adds, so a turn always ends in another block than the one before it.
 *
 * The parts of a conversation that don't grow (see wire/conversation.ts) end in a shorter block, if need be. What is left behind the last
 * whole block of the part that grows is no block, but has a hash of its own, the tail's.
 *
 * The hash multiplies words of 64 bits, in two lanes, so that the processor works on both at a time. It is no
 * protection: who finds two texts with the same hashes gets his requests to an endpoint that others chose.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { bytes_of } from "../wire/json";
import { hash } from "../wire/shape";

const bxor = bits.bxor;
const rol = bits.rol;
const rshift = bits.rshift;
const floor = math.floor;

/** An array of unsigned 64-bit integers. */
interface Words {
  [index: number]: number;
}

interface Blocks {
  /** How many there are. */
  count: number;
  /** By block, from 1: its hash. At 0: what the chain begins with. */
  chain: Words;
  /** The same in halves: of block n, the lower one at 2n and the upper one at 2n + 1. */
  halves: Int32Buffer;
  /** The tail's hash; 0: there is none, or it isn't known. */
  tail: number;
}

const BLOCK_BYTES = 64;
/** Conversations are told apart by their first mebibyte. */
const MOST_BLOCKS = 16384;

/** A word of 64 bits. */
function word(upper: number, lower: number): number {
  return ffi.cast<number>("uint64_t", upper) * 4294967296 + lower;
}

/** Odd numbers whose bits look random: of the golden ratio, and a prime of xxHash's. */
const FIRST_FACTOR = word(0x9e3779b9, 0x7f4a7c15);
const SECOND_FACTOR = word(0xc2b2ae3d, 0x27d4eb4f);

const short_block = ffi.new<Bytes>("uint8_t[64]");
const short_words = ffi.cast<Words>("uint64_t *", short_block);

/** Room for a conversation's blocks. */
function new_blocks(): Blocks {
  // Parts that end in a shorter block may each add one.
  const chain = ffi.new<Words>("uint64_t[?]", MOST_BLOCKS + 4);
  return { count: 0, chain, halves: ffi.cast<Int32Buffer>("int32_t *", chain), tail: 0 };
}

/** Begins a conversation. Those of another `pool` or `model` have other hashes. */
function begin_blocks(blocks: Blocks, pool: string, model: string): void {
  const [pool_first, pool_second] = hash(pool);
  const [model_first, model_second] = hash(model);
  blocks.count = 0;
  blocks.tail = 0;
  blocks.halves[0] = bxor(pool_first, rol(model_second, 7));
  blocks.halves[1] = bxor(rol(pool_second, 13), model_first);
}

/** Hashes `count` blocks that begin at `words`, as those after the first `before`. */
function hash_words(chain: Words, before: number, words: Words, count: number): void {
  for (const block of $range(0, count - 1)) {
    const at = block * 8;
    const last = chain[before + block]!;
    // A product's lower bits don't depend on a factor's upper ones: so these are put upon the lower ones first.
    let first = bxor(last, words[at]!);
    let second = bxor(rol(last, 32), words[at + 1]!);
    first = rol(bxor(first, rshift(first, 32)) * FIRST_FACTOR, 29);
    second = rol(bxor(second, rshift(second, 32)) * SECOND_FACTOR, 31);
    first = bxor(first, words[at + 2]!);
    second = bxor(second, words[at + 3]!);
    first = rol(bxor(first, rshift(first, 32)) * FIRST_FACTOR, 29);
    second = rol(bxor(second, rshift(second, 32)) * SECOND_FACTOR, 31);
    first = bxor(first, words[at + 4]!);
    second = bxor(second, words[at + 5]!);
    first = rol(bxor(first, rshift(first, 32)) * FIRST_FACTOR, 29);
    second = rol(bxor(second, rshift(second, 32)) * SECOND_FACTOR, 31);
    first = bxor(first, words[at + 6]!);
    second = bxor(second, words[at + 7]!);
    first = rol(bxor(first, rshift(first, 32)) * FIRST_FACTOR, 29);
    second = rol(bxor(second, rshift(second, 32)) * SECOND_FACTOR, 31);
    const both = bxor(first, rol(second, 17)) * FIRST_FACTOR;
    chain[before + block + 1] = bxor(both, rshift(both, 32)) * SECOND_FACTOR;
  }
}

/** Adds the whole blocks of a text's bytes from `from` up to, not including, `to`. Returns where what is left begins. */
function add_blocks(blocks: Blocks, text: string, from: number, to: number): number {
  const count = math.min(floor((to - from) / BLOCK_BYTES), MOST_BLOCKS - blocks.count);
  if (count <= 0) {
    return from;
  }
  const start = bytes_of(text) as unknown as number;
  hash_words(blocks.chain, blocks.count, ffi.cast<Words>("const uint64_t *", start + from), count);
  blocks.count += count;
  return from + count * BLOCK_BYTES;
}

/** Hashes less than a block, into the place after the last one's. */
function hash_rest(blocks: Blocks, text: string, from: number, length: number): void {
  const start = bytes_of(text) as unknown as number;
  ffi.fill(short_block, BLOCK_BYTES);
  ffi.copy(short_block, start + from, length);
  // No text ends in this byte, so a shorter one is not another's beginning with zeros behind it.
  short_block[BLOCK_BYTES - 1] = 128 + length;
  hash_words(blocks.chain, blocks.count, short_words, 1);
}

/** Adds what is left of a part that doesn't grow, less than a block. */
function add_rest(blocks: Blocks, text: string, from: number, to: number): void {
  if (to > from && to - from < BLOCK_BYTES && blocks.count < MOST_BLOCKS) {
    hash_rest(blocks, text, from, to - from);
    blocks.count += 1;
  }
}

/** Takes what is left of the part that grows for the tail, if it is less than a block. */
function end_blocks(blocks: Blocks, text: string, from: number, to: number): void {
  if (to > from && to - from < BLOCK_BYTES) {
    hash_rest(blocks, text, from, to - from);
    blocks.tail = blocks.halves[(blocks.count + 1) * 2]!;
  }
}

/** Whether no more blocks are taken. */
function is_full(blocks: Blocks): boolean {
  return blocks.count >= MOST_BLOCKS;
}

export { BLOCK_BYTES, MOST_BLOCKS, add_blocks, add_rest, begin_blocks, end_blocks, is_full, new_blocks };
export type { Blocks };
