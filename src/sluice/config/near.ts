/** Finds the name that was meant by one that isn't known. */

const byte = string.byte;
const lower = string.lower;

/**
 * The number of letters to add, drop, change or swap with a neighbour to get from one text to the other; or any number from `bound` on, if it
 * is not less than that.
 */
function distance(from: string, to: string, bound: number): number {
  if (math.abs(from.length - to.length) >= bound) {
    return bound;
  }
  const width = to.length + 1;
  const cost = new LuaTable<number, number>();
  for (const column of $range(0, to.length)) {
    cost.set(column, column);
  }
  let least_before = 0;
  for (const row of $range(1, from.length)) {
    cost.set(row * width, row);
    let least_here = row;
    for (const column of $range(1, to.length)) {
      const here = row * width + column;
      const same = byte(from, row) === byte(to, column);
      let least = math.min(cost.get(here - width) + 1, cost.get(here - 1) + 1, cost.get(here - width - 1) + (same ? 0 : 1));
      if (row > 1 && column > 1 && byte(from, row) === byte(to, column - 1) && byte(from, row - 1) === byte(to, column)) {
        least = math.min(least, cost.get(here - 2 * width - 2) + 1);
      }
      cost.set(here, least);
      least_here = math.min(least_here, least);
    }
    // No way leads past both rows for less: a swap skips one.
    if (math.min(least_here, least_before) >= bound) {
      return bound;
    }
    least_before = least_here;
  }
  return cost.get(from.length * width + to.length);
}

/** The name in `known` that differs from `name` by the least, if by no more than a third of its letters. */
function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > 60) {
    return undefined;
  }
  let best: string | undefined;
  let least = math.max(1, math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const edits = distance(lower(name), lower(candidate), least);
    if (edits < least) {
      least = edits;
      best = candidate;
    }
  }
  return best;
}

export { nearest };
