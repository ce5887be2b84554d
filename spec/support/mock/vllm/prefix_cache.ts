/**
 * The KV cache of a simulated vLLM server: blocks of a fixed number of tokens, each known by its own text and all before it. What has been
 * computed stays until its room is needed; the block that was not used for longest goes first, of one text the last one first, so that
 * what is left of it is always its beginning.
 */

/** How many characters a token has here. */
const TOKEN_CHARACTERS = 4;

interface PrefixCache {
  blockTokens: number;
  /** How many blocks there is room for. */
  capacity: number;
  /** How many sequences use a block, by its key; 0: it is only kept. */
  users: Map<number, number>;
  /** The blocks that nobody uses, in the order in which they will go. */
  idle: Set<number>;
  /** Blocks for what sequences will say, and for the incomplete ends of their prompts. */
  reserved: number;
}

/** What a sequence holds of the cache. */
interface Lease {
  keys: number[];
  /** How many of the keys were there before, counted from the first without a gap. */
  found: number;
  reserved: number;
}

function newPrefixCache(capacity: number, blockTokens: number): PrefixCache {
  return { blockTokens, capacity, users: new Map(), idle: new Set(), reserved: 0 };
}

function tokensOf(text: string): number {
  return Math.ceil(text.length / TOKEN_CHARACTERS);
}

/** A number below 2^53 for a block's text behind what `previous` stands for: two sums in the manner of FNV-1a, side by side. */
function keyOf(previous: number, text: string, from: number, to: number): number {
  let low = (0x811c9dc5 ^ previous) >>> 0;
  let high = (0x01000193 ^ Math.floor(previous / 2 ** 32)) >>> 0;
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x85ebca6b) ^ (high >>> 13);
  }
  return ((high >>> 0) % 2 ** 21) * 2 ** 32 + (low >>> 0);
}

/** The keys of a text's whole blocks. */
function keysOf(cache: PrefixCache, text: string): number[] {
  const keys: number[] = [];
  const length = cache.blockTokens * TOKEN_CHARACTERS;
  for (let from = 0; from + length <= text.length; from += length) keys.push(keyOf(keys.at(-1) ?? 0, text, from, from + length));
  return keys;
}

/** How many blocks sequences use. */
function usedBlocks(cache: PrefixCache): number {
  return cache.users.size - cache.idle.size + cache.reserved;
}

/** How many of the keys are in the cache, from the first one without a gap. */
function foundBlocks(cache: PrefixCache, keys: number[]): number {
  const missing = keys.findIndex((key) => !cache.users.has(key));
  return missing < 0 ? keys.length : missing;
}

/** Makes room by dropping what was not used for longest. */
function evict(cache: PrefixCache): void {
  for (const key of cache.idle) {
    if (cache.users.size + cache.reserved <= cache.capacity) return;
    cache.idle.delete(key);
    cache.users.delete(key);
  }
}

/** Takes room for a sequence: its prompt's whole blocks, and `reserved` more. Returns undefined if there is none now. */
function acquire(cache: PrefixCache, keys: number[], reserved: number): Lease | undefined {
  const distinct = new Set(keys);
  const needed = [...distinct].filter((key) => (cache.users.get(key) ?? 0) === 0).length + reserved;
  if (usedBlocks(cache) + needed > cache.capacity) return undefined;
  const found = foundBlocks(cache, keys);
  for (const key of distinct) {
    cache.users.set(key, (cache.users.get(key) ?? 0) + 1);
    cache.idle.delete(key);
  }
  cache.reserved += reserved;
  evict(cache);
  return { keys: [...distinct], found, reserved };
}

/** Gives a sequence's room back, and keeps what was computed: `computed` are the keys of all that was read and said, in their order. */
function release(cache: PrefixCache, lease: Lease, computed: number[]): void {
  cache.reserved -= lease.reserved;
  const kept = new Set(computed);
  for (const key of computed) if (!cache.users.has(key)) cache.users.set(key, 0);
  for (const key of lease.keys) cache.users.set(key, (cache.users.get(key) ?? 1) - 1);
  for (const key of [...new Set([...computed, ...lease.keys])].reverse()) {
    if ((cache.users.get(key) ?? 0) > 0) continue;
    cache.idle.delete(key);
    if (kept.has(key) || lease.keys.indexOf(key) < lease.found) cache.idle.add(key);
    else cache.users.delete(key);
  }
  evict(cache);
}

export { acquire, foundBlocks, keysOf, newPrefixCache, release, TOKEN_CHARACTERS, tokensOf, usedBlocks };
export type { Lease, PrefixCache };
