/**
 * Lays a trie out as a double array (Aoe, 1989): the successor of a state on a symbol is the slot `base + symbol`, if its
 * `check` names the state. A base is chosen such that all successors find free slots.
 */

import * as ffi from "ffi";
import { integers } from "./trie";
import type { Trie } from "./trie";

/** The arrays while they grow. Free slots are a ring through slot 0, each pointing at its neighbours. */
interface Slots {
  capacity: number;
  check: Int32Buffer;
  base: Int32Buffer;
  fail: Int32Buffer;
  after: Int32Buffer;
  before: Int32Buffer;
  /** One past the last slot in use. */
  top: number;
}

const FREE = -1;

function copied(old: Int32Buffer, count: number, capacity: number): Int32Buffer {
  const made = integers(capacity);
  ffi.copy(made, old, count * 4);
  return made;
}

/** Appends the slots from `from` on to the ring of free ones. */
function free_slots(slots: Slots, from: number): void {
  const { check, after, before } = slots;
  let last = before[0]!;
  for (const slot of $range(from, slots.capacity - 1)) {
    check[slot] = FREE;
    after[last] = slot;
    before[slot] = last;
    last = slot;
  }
  after[last] = 0;
  before[0] = last;
}

function make_slots(capacity: number): Slots {
  const slots: Slots = {
    capacity,
    check: integers(capacity),
    base: integers(capacity),
    fail: integers(capacity),
    after: integers(capacity),
    before: integers(capacity),
    top: 1,
  };
  slots.check[0] = FREE;
  free_slots(slots, 1);
  return slots;
}

function grow(slots: Slots, least: number): void {
  const old = slots.capacity;
  const capacity = math.max(old * 2, least);
  slots.check = copied(slots.check, old, capacity);
  slots.base = copied(slots.base, old, capacity);
  slots.fail = copied(slots.fail, old, capacity);
  slots.after = copied(slots.after, old, capacity);
  slots.before = copied(slots.before, old, capacity);
  slots.capacity = capacity;
  free_slots(slots, old);
}

function occupy(slots: Slots, slot: number, parent: number): void {
  const before = slots.before[slot]!;
  const after = slots.after[slot]!;
  slots.after[before] = after;
  slots.before[after] = before;
  slots.check[slot] = parent;
  if (slot >= slots.top) {
    slots.top = slot + 1;
  }
}

/** Where the search for room goes on: nodes of as many successors found none before it. */
interface Search {
  successors: number;
  /** A free slot, or 0: the search begins at the first one. */
  slot: number;
}

/** Finds a base at which the `count` successors, whose symbols lie ascending from `first` on in `symbols`, find free slots. */
function find_base(slots: Slots, search: Search, symbols: Int32Buffer, first: number, count: number): number {
  const lowest = symbols[first]!;
  const { check, after, before } = slots;
  if (search.successors !== count) {
    search.successors = count;
    search.slot = 0;
  }
  let slot = after[search.slot]!;
  while (slot !== 0) {
    const base = slot - lowest;
    if (base >= 0) {
      let at = 1;
      while (at < count && base + symbols[first + at]! < slots.capacity && check[base + symbols[first + at]!] === FREE) {
        at += 1;
      }
      if (at === count) {
        search.slot = before[slot]!;
        return base;
      }
    }
    slot = after[slot]!;
  }
  search.slot = 0;
  return math.max(slots.top - lowest, 0);
}

/** The nodes in the order in which they are laid out: the root first, then those with most successors, while there is most room. */
function by_successors(trie: Trie, symbols: number): Int32Buffer {
  const places = integers(symbols + 2);
  for (const node of $range(1, trie.count - 1)) {
    const place = symbols - trie.successors[node]! + 1;
    places[place] = places[place]! + 1;
  }
  // The first place is the root's, whose successors' slots are given.
  places[0] = 1;
  for (const place of $range(1, symbols + 1)) {
    places[place] = places[place]! + places[place - 1]!;
  }
  const sorted = integers(trie.count);
  for (const node of $range(1, trie.count - 1)) {
    const place = symbols - trie.successors[node]!;
    sorted[places[place]!] = node;
    places[place] = places[place]! + 1;
  }
  return sorted;
}

/** Gives each node its slot. Returns the slot of each. */
function lay_out(trie: Trie, slots: Slots, symbols: number, pause: (this: void) => void): Int32Buffer {
  const slot_of = integers(trie.count);
  const base_of = integers(trie.count);
  const sorted = by_successors(trie, symbols);
  const search: Search = { successors: -1, slot: 0 };
  for (const index of $range(0, trie.count - 1)) {
    const node = sorted[index]!;
    const count = trie.successors[node]!;
    if (count > 0) {
      const first = trie.first[node]!;
      // The root's base is 0: its successor on a symbol is the slot of that number. It comes first.
      const base = node === 0 ? 0 : find_base(slots, search, trie.symbol, first, count);
      const last = base + trie.symbol[first + count - 1]!;
      if (last >= slots.capacity) {
        grow(slots, last + 1);
      }
      base_of[node] = base;
      for (const successor of $range(first, first + count - 1)) {
        slot_of[successor] = base + trie.symbol[successor]!;
        occupy(slots, slot_of[successor]!, 0);
      }
    }
    if (index % 4096 === 0) {
      pause();
    }
  }
  for (const node of $range(1, trie.count - 1)) {
    slots.check[slot_of[node]!] = slot_of[trie.parent[node]!]!;
  }
  for (const node of $range(0, trie.count - 1)) {
    slots.base[slot_of[node]!] = base_of[node]!;
  }
  return slot_of;
}

export { grow, lay_out, make_slots };
export type { Slots };
