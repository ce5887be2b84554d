/**
 * Puts finds in order. They come nearly in order, thousands of them at worst, and nobody else is served meanwhile: runs that are in order
 * already are merged, in loops that LuaJIT compiles, as it does not what calls back from `table.sort`.
 */

import type { Hit } from "./match";

/** Whether a find goes before another: of the same text, the one that begins first, of several that begin there the longest. */
function goes_before(a: Hit, b: Hit): boolean {
  if (a.field !== b.field) {
    return a.field < b.field;
  }
  return a.start !== b.start ? a.start < b.start : a.end > b.end;
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
  let sorted = finds;
  let other: Hit[] | undefined;
  const count = finds.length;
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
