/**
 * The table of API keys.
 *
 * A gateway may hold 100,000 keys. They are read in the master process and shared by its workers for as long
 * as nobody writes to their memory; a Lua object for each key would be written to by every worker's garbage
 * collector, and walked by it again and again. So they lie in C memory that the collector does not see: for
 * each entry the eight words of its SHA-256, the number of its tenant, and where its id ends in one long run
 * of ids. An open-addressing table of entry numbers (never more than half full, next slot on collision) is
 * found by mixing the eight words. All of it is freed with the configuration it belongs to.
 *
 * A lookup compares all 32 bytes of a hash without leaving early. Which slots it visits depends on the hash
 * of what was sent, and that tells nothing about the keys that exist. The mixing is there for hashes that are
 * none, such as a test's: counting numbers must not make the table a list.
 *
 * The Principal of a key is made when the key is first used, and kept.
 */

import * as ffi from "ffi";
import type { Scope } from "../limit/scope";
import type { Principal, Tenant } from "./principal";

ffi.cdef(`
  void *sluice_allocate_again(void *memory, size_t bytes) __asm__("realloc");
  void sluice_free_memory(void *memory) __asm__("free");
`);

/** @noSelf */
interface Memory {
  sluice_allocate_again(memory: unknown, bytes: number): unknown;
  sluice_free_memory(memory: unknown): void;
}

const memory = ffi.C as Memory;
const byte = string.byte;
const find = string.find;
const match = string.match;
const sub = string.sub;

interface KeyTable {
  /** The tenants that keys belong to, by number. */
  tenants: Tenant[];
  count: number;
  /** How many entries there is memory for. */
  room: number;
  /** Eight words for each entry. */
  hashes: Int32Buffer;
  /** The tenant's number for each entry. */
  owners: Int32Buffer;
  /** For each entry, where its id ends in `ids`; it begins where the one before ends. */
  id_ends: Int32Buffer;
  ids: Bytes;
  ids_room: number;
  /** A power of two. */
  slot_count: number;
  /** Entry numbers plus one; 0: empty. */
  slots: Int32Buffer;
  /** The same, found by tenant and id; only needed while keys are added. */
  id_slots: Int32Buffer | undefined;
  principals: LuaTable<number, Principal | undefined>;
  /** The scopes of keys that have limits of their own, by the tenant's id, a space, and the key's. */
  scopes: LuaTable<string, Scope | undefined>;
}

const MOST_ID_BYTES = 64;
/** How many problems of one file are told. */
const MOST_PROBLEMS = 20;
/** How many lines of a file are read without a pause. */
const LINES_AT_ONCE = 1000;

/** The hash to add, as bytes and as words. */
const new_bytes = ffi.new<Bytes>("uint8_t[32]");
const new_words = ffi.cast<Int32Buffer>("int32_t *", new_bytes);

/** Memory of another size with what the old memory held. Ends with an error if there is none: nothing can go on then. */
function allocate<T>(type: string, old: T | undefined, bytes: number): T {
  if (old !== undefined) {
    ffi.gc(old, undefined);
  }
  const address = memory.sluice_allocate_again(old, bytes);
  if (address === undefined) {
    error("out of memory for API keys");
  }
  return ffi.gc(ffi.cast<T>(type, address), memory.sluice_free_memory);
}

/** Memory for slots, all empty. */
function empty_slots(count: number): Int32Buffer {
  const slots = allocate<Int32Buffer>("int32_t *", undefined, count * 4);
  ffi.fill(slots, count * 4);
  return slots;
}

/** Makes an empty table. */
function key_table(): KeyTable {
  return {
    tenants: [],
    count: 0,
    room: 16,
    hashes: allocate<Int32Buffer>("int32_t *", undefined, 16 * 32),
    owners: allocate<Int32Buffer>("int32_t *", undefined, 16 * 4),
    id_ends: allocate<Int32Buffer>("int32_t *", undefined, 16 * 4),
    ids: allocate<Bytes>("uint8_t *", undefined, 256),
    ids_room: 256,
    slot_count: 32,
    slots: empty_slots(32),
    id_slots: empty_slots(32),
    principals: new LuaTable<number, Principal | undefined>(),
    scopes: new LuaTable<string, Scope | undefined>(),
  };
}

/** Stirs a word into a hash, as MurmurHash3 does (with its multiplication by 5, which stays exact in doubles). */
function stir(hash: number, word: number): number {
  const mixed = hash ^ word;
  return (((mixed << 13) | (mixed >>> 19)) * 5 + 0x6b64e654) | 0;
}

/** Spreads a hash's upper bits over its lower ones, which choose the slot. */
function spread(hash: number): number {
  const halved = hash ^ (hash >>> 16);
  const mixed = ((halved & 0xfffff) * 0x85eb + halved) | 0;
  return mixed ^ (mixed >>> 13);
}

/** The hash of the eight words that begin at `at`. */
function hash_of_words(words: Int32Buffer, at: number): number {
  let hash = 0;
  for (const index of $range(at, at + 7)) {
    hash = stir(hash, words[index]!);
  }
  return spread(hash);
}

/** The entry with that SHA-256 (eight words), or -1. */
function find_entry(table: KeyTable, digest: Int32Buffer): number {
  const slots = table.slots;
  const hashes = table.hashes;
  const mask = table.slot_count - 1;
  let slot = hash_of_words(digest, 0) & mask;
  for (;;) {
    const entry = slots[slot]! - 1;
    if (entry < 0) {
      return -1;
    }
    const at = entry * 8;
    let difference = 0;
    for (const index of $range(0, 7)) {
      difference = difference | (hashes[at + index]! ^ digest[index]!);
    }
    if (difference === 0) {
      return entry;
    }
    slot = (slot + 1) & mask;
  }
}

/** The address that many bytes on: sums of addresses are numbers to TypeScript. */
function address_after(bytes: Bytes, count: number): unknown {
  return (bytes as unknown as number) + count;
}

/** The id of an entry. */
function id_of(table: KeyTable, entry: number): string {
  const begin = entry === 0 ? 0 : table.id_ends[entry - 1]!;
  return ffi.string(address_after(table.ids, begin), table.id_ends[entry]! - begin);
}

/** Who the key with that SHA-256 (eight words) belongs to; undefined if there is no such key. */
function find_principal(table: KeyTable, digest: Int32Buffer): Principal | undefined {
  const entry = find_entry(table, digest);
  if (entry < 0) {
    return undefined;
  }
  const known = table.principals.get(entry);
  if (known !== undefined) {
    return known;
  }
  const tenant = table.tenants[table.owners[entry]!]!;
  const key = id_of(table, entry);
  const principal: Principal = { tenant, key, scope: table.scopes.get(`${tenant.id} ${key}`) };
  table.principals.set(entry, principal);
  return principal;
}

function hash_of_id(owner: number, bytes: Bytes, from: number, to: number): number {
  let hash = stir(0, owner);
  for (const index of $range(from, to - 1)) {
    hash = stir(hash, bytes[index]!);
  }
  return spread(hash);
}

/** The slot of `id_slots` that holds that tenant's id, or the empty one where it belongs. */
function id_slot(table: KeyTable, slots: Int32Buffer, owner: number, id: Bytes, length: number): number {
  const mask = table.slot_count - 1;
  let slot = hash_of_id(owner, id, 0, length) & mask;
  for (;;) {
    const entry = slots[slot]! - 1;
    if (entry < 0) {
      return slot;
    }
    const begin = entry === 0 ? 0 : table.id_ends[entry - 1]!;
    if (table.owners[entry] === owner && table.id_ends[entry]! - begin === length) {
      let at = 0;
      while (at < length && table.ids[begin + at] === id[at]) {
        at += 1;
      }
      if (at === length) {
        return slot;
      }
    }
    slot = (slot + 1) & mask;
  }
}

/** Puts an entry into the first empty slot from `slot` on. */
function take_slot(slots: Int32Buffer, slot: number, mask: number, entry: number): void {
  let at = slot & mask;
  while (slots[at] !== 0) {
    at = (at + 1) & mask;
  }
  slots[at] = entry + 1;
}

/** Makes room for one more entry with an id of that length. */
function make_room(table: KeyTable, id_slots: Int32Buffer, id_bytes: number): Int32Buffer {
  const ids_end = table.count === 0 ? 0 : table.id_ends[table.count - 1]!;
  if (ids_end + id_bytes > table.ids_room) {
    table.ids_room *= 2;
    table.ids = allocate("uint8_t *", table.ids, table.ids_room);
  }
  if (table.count === table.room) {
    table.room *= 2;
    table.hashes = allocate("int32_t *", table.hashes, table.room * 32);
    table.owners = allocate("int32_t *", table.owners, table.room * 4);
    table.id_ends = allocate("int32_t *", table.id_ends, table.room * 4);
  }
  if (table.count * 2 < table.slot_count) {
    return id_slots;
  }
  table.slot_count *= 2;
  table.slots = empty_slots(table.slot_count);
  const new_id_slots = empty_slots(table.slot_count);
  const mask = table.slot_count - 1;
  let begin = 0;
  for (const entry of $range(0, table.count - 1)) {
    const end = table.id_ends[entry]!;
    take_slot(table.slots, hash_of_words(table.hashes, entry * 8), mask, entry);
    take_slot(new_id_slots, hash_of_id(table.owners[entry]!, table.ids, begin, end), mask, entry);
    begin = end;
  }
  table.id_slots = new_id_slots;
  return new_id_slots;
}

/** Whether a text can be a key's id: 1 to 64 letters, digits, dots, underscores, hyphens. */
function is_identifier(text: string): boolean {
  const [found] = match(text, "^[%w._-]+$");
  return found !== undefined && text.length <= MOST_ID_BYTES;
}

/** Adds the key whose hash is in `new_words`. */
function add_entry(table: KeyTable, owner: number, id: string): string | undefined {
  if (!is_identifier(id)) {
    return "expected an id of 1 to 64 letters, digits, dots, underscores and hyphens";
  }
  if (table.id_slots === undefined) {
    return "the table of keys is closed";
  }
  if (find_entry(table, new_words) >= 0) {
    return "expected a key that no other entry has";
  }
  const slots = make_room(table, table.id_slots, id.length);
  const id_bytes = ffi.cast<Bytes>("const uint8_t *", id);
  const slot = id_slot(table, slots, owner, id_bytes, id.length);
  if (slots[slot] !== 0) {
    return "expected an id that no other key of the tenant has";
  }

  const entry = table.count;
  const ids_end = entry === 0 ? 0 : table.id_ends[entry - 1]!;
  for (const index of $range(0, id.length - 1)) {
    table.ids[ids_end + index] = id_bytes[index]!;
  }
  for (const index of $range(0, 7)) {
    table.hashes[entry * 8 + index] = new_words[index]!;
  }
  table.owners[entry] = owner;
  table.id_ends[entry] = ids_end + id.length;
  slots[slot] = entry + 1;
  take_slot(table.slots, hash_of_words(new_words, 0), table.slot_count - 1, entry);
  table.count = entry + 1;
  return undefined;
}

/** Enters a tenant and returns the number that its keys are added under. */
function add_tenant(table: KeyTable, tenant: Tenant): number {
  table.tenants.push(tenant);
  return table.tenants.length - 1;
}

/** Adds a key by the eight words of its SHA-256. Returns what is wrong with it, or undefined. */
function add_key(table: KeyTable, owner: number, id: string, digest: Int32Buffer): string | undefined {
  ffi.copy(new_bytes, digest, 32);
  return add_entry(table, owner, id);
}

/** Adds a key by its SHA-256 in hexadecimal. Returns what is wrong with it, or undefined. */
function add_hashed_key(table: KeyTable, owner: number, id: string, hexadecimal: string): string | undefined {
  if (hexadecimal.length !== 64) {
    return "expected a SHA-256 of 64 hexadecimal digits";
  }
  for (const index of $range(0, 31)) {
    let value = 0;
    for (const at of $range(index * 2 + 1, index * 2 + 2)) {
      const code = byte(hexadecimal, at);
      if (code >= 48 && code <= 57) {
        value = value * 16 + code - 48;
      } else if ((code >= 97 && code <= 102) || (code >= 65 && code <= 70)) {
        value = value * 16 + (code & 15) + 9;
      } else {
        return "expected a SHA-256 of 64 hexadecimal digits";
      }
    }
    new_bytes[index] = value;
  }
  return add_entry(table, owner, id);
}

/**
 * Adds the keys of a file: `id sha256` on each line, `#` begins a comment, empty lines don't count, lines end
 * in LF or CRLF. `pause` is called every 1,000 lines, so that the caller may let others have their turn.
 * Returns what is wrong, with line numbers; of very wrong files only the first 20 problems.
 */
function add_key_file(table: KeyTable, owner: number, text: string, pause: (this: void) => void): string[] {
  const problems: string[] = [];
  let untold = 0;
  let line_number = 0;
  let from = 1;
  while (from <= text.length) {
    const [newline] = find(text, "\n", from, true);
    const end = newline ?? text.length + 1;
    const line = sub(text, from, end - 1);
    from = end + 1;
    line_number += 1;
    if (line_number % LINES_AT_ONCE === 0) {
      pause();
    }

    const [id, hexadecimal, rest] = match(line, "^[ \t]*([^%s#]+)[ \t]+([^%s#]+)[ \t\r]*(.?)");
    let problem: string | undefined;
    if (id !== undefined && hexadecimal !== undefined && (rest === "" || rest === "#")) {
      problem = add_hashed_key(table, owner, id, hexadecimal);
    } else {
      const [blank] = find(line, "^[ \t\r]*$");
      const [comment] = find(line, "^[ \t]*#");
      problem = blank === undefined && comment === undefined ? "expected `id sha256`" : undefined;
    }
    if (problem !== undefined) {
      if (problems.length < MOST_PROBLEMS) {
        problems.push(`line ${line_number}: ${problem}`);
      } else {
        untold += 1;
      }
    }
  }
  if (untold > 0) {
    problems.push(`and ${untold} more`);
  }
  return problems;
}

/** Says that all keys are in: what only adding needs is freed. */
function close_table(table: KeyTable): void {
  table.id_slots = undefined;
}

export { add_hashed_key, add_key, add_key_file, add_tenant, close_table, find_principal, key_table };
export type { KeyTable };
