/** Finds the name that was meant by one that isn't known. */

const byte = string.byte;
const lower = string.lower;

/** The number of letters to add, drop, change or swap with a neighbour to get from one text to the other. */
function distance(from: string, to: string): number {
  const width = to.length + 1;
  const cost = new LuaTable<number, number>();
  for (const column of $range(0, to.length)) {
    cost.set(column, column);
  }
  for (const row of $range(1, from.length)) {
    cost.set(row * width, row);
    for (const column of $range(1, to.length)) {
      const here = row * width + column;
      const same = byte(from, row) === byte(to, column);
      let least = math.min(cost.get(here - width) + 1, cost.get(here - 1) + 1, cost.get(here - width - 1) + (same ? 0 : 1));
      if (row > 1 && column > 1 && byte(from, row) === byte(to, column - 1) && byte(from, row - 1) === byte(to, column)) {
        least = math.min(least, cost.get(here - 2 * width - 2) + 1);
      }
      cost.set(here, least);
    }
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
    const edits = distance(lower(name), lower(candidate));
    if (edits < least) {
      least = edits;
      best = candidate;
    }
  }
  return best;
}

export { nearest };
