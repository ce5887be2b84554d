/**
 * Puts finds in order. They come nearly in order, thousands of them at worst, and nobody else is served meanwhile. So each is moved before
 * those that it should stand before, which are few; if that turns out to be much work, runs that are in order are merged
 * instead. LuaJIT compiles these loops, as it does not what calls back from `table.sort`.
 */

import type { Hit } from "./match";

/** Whether a find goes before another: of the same text, the one that begins first, of several that begin there the longest. */
function goes_before(a: Hit, b: Hit): boolean {
  if (a.field !== b.field) {
    return a.field < b.field;
  }
  return a.start !== b.start ? a.start < b.start : a.end > b.end;
}

/** So many moves for each find are less work than merging. */
const MOVES_A_FIND = 8;

/** Moves each find to its place among those before it. Returns false if that has become too much work: then it has been done for some. */
function insert_each(finds: Hit[], count: number): boolean {
  let moves = count * MOVES_A_FIND;
  for (const index of $range(1, count - 1)) {
    const find = finds[index]!;
    let at = index;
    while (at > 0 && goes_before(find, finds[at - 1]!)) {
      finds[at] = finds[at - 1]!;
      at -= 1;
    }
    if (at < index) {
      finds[at] = find;
      moves -= index - at;
      if (moves < 0) {
        return false;
      }
    }
  }
  return true;
}

/** Where the run ends that begins at `from`, of so many finds: behind its last one. */
function run_end(finds: readonly Hit[], from: number, count: number): number {
  let at = from + 1;
  while (at < count && !goes_before(finds[at]!, finds[at - 1]!)) {
    at += 1;
  }
  return at;
}

/** Merges two runs that lie beside each other, up to `middle` and `to`, into the same places of another list. */
function merge_runs(finds: readonly Hit[], into: Hit[], from: number, middle: number, to: number): void {
  let left = from;
  let right = middle;
  for (const at of $range(from, to - 1)) {
    if (right >= to || (left < middle && !goes_before(finds[right]!, finds[left]!))) {
      into[at] = finds[left]!;
      left += 1;
    } else {
      into[at] = finds[right]!;
      right += 1;
    }
  }
}

/** The finds in order, in the list itself or in a new one. */
function sort_finds(finds: Hit[]): Hit[] {
  const count = finds.length;
  if (insert_each(finds, count)) {
    return finds;
  }
  let sorted = finds;
  let other: Hit[] | undefined;
  while (run_end(sorted, 0, count) < count) {
    const into: Hit[] = other ?? [];
    let from = 0;
    while (from < count) {
      const middle = run_end(sorted, from, count);
      const to = middle < count ? run_end(sorted, middle, count) : count;
      merge_runs(sorted, into, from, middle, to);
      from = to;
    }
    other = sorted;
    sorted = into;
  }
  return sorted;
}

export { sort_finds };
