/**
 * Changes a document by byte ranges: everything outside of them goes on exactly as it came.
 *
 * The edits of one document are four parallel arrays in ascending order without overlaps. An insertion is a
 * range of no length. They can be applied slice by slice: what a slice becomes depends only on the edits and
 * on where the slice lies.
 */

const sub = string.sub;

interface Edits {
  count: number;
  /** Offsets of the first byte replaced, and of the first one after it. */
  starts: number[];
  ends: number[];
  texts: string[];
}

function no_edits(): Edits {
  return { count: 0, starts: [], ends: [], texts: [] };
}

/** Adds an edit: the bytes from `start` up to, not including, `end` become `text`. Edits may come in any order. */
function replace(edits: Edits, start: number, end: number, text: string): void {
  let place = edits.count;
  while (place > 0 && edits.starts[place - 1]! > start) {
    edits.starts[place] = edits.starts[place - 1]!;
    edits.ends[place] = edits.ends[place - 1]!;
    edits.texts[place] = edits.texts[place - 1]!;
    place -= 1;
  }
  edits.starts[place] = start;
  edits.ends[place] = end;
  edits.texts[place] = text;
  edits.count += 1;
}

/** Copies an edit behind the others. */
function append(edits: Edits, from: Edits, index: number): void {
  edits.starts[edits.count] = from.starts[index]!;
  edits.ends[edits.count] = from.ends[index]!;
  edits.texts[edits.count] = from.texts[index]!;
  edits.count += 1;
}

/**
 * The edits with one in place of all that lie from `start` up to `end`: these bytes become `text`. None may reach over either.
 */
function fold(edits: Edits, start: number, end: number, text: string): Edits {
  const folded = no_edits();
  for (const index of $range(0, edits.count - 1)) {
    if (edits.ends[index]! <= start && edits.starts[index]! < end) {
      append(folded, edits, index);
    }
  }
  replace(folded, start, end, text);
  for (const index of $range(0, edits.count - 1)) {
    if (edits.starts[index]! >= end) {
      append(folded, edits, index);
    }
  }
  return folded;
}

/** Both lists in one, in ascending order. They must not overlap. Of two that begin at the same place the first list's comes first. */
function merge(first: Edits, second: Edits): Edits {
  const edits = no_edits();
  let other = 0;
  for (const index of $range(0, first.count - 1)) {
    while (other < second.count && second.starts[other]! < first.starts[index]!) {
      append(edits, second, other);
      other += 1;
    }
    append(edits, first, index);
  }
  for (const index of $range(other, second.count - 1)) {
    append(edits, second, index);
  }
  return edits;
}

/** The first edit that may matter for what lies from `offset` on. */
function first_edit(edits: Edits, offset: number): number {
  let low = 0;
  let high = edits.count;
  while (low < high) {
    const middle = math.floor((low + high) / 2);
    if (edits.ends[middle]! < offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/**
 * What a slice becomes. `offset` is where its first byte lies in the document. An edit's text comes with the
 * slice that holds its first byte.
 */
function apply(edits: Edits, slice: string, offset: number): string {
  const to = offset + slice.length;
  const parts: string[] = [];
  let done = offset;
  for (const index of $range(first_edit(edits, offset), edits.count - 1)) {
    const start = edits.starts[index]!;
    const end = edits.ends[index]!;
    if (start >= to) {
      break;
    }
    if (end > offset || start >= offset) {
      if (start > done) {
        parts.push(sub(slice, done - offset + 1, start - offset));
      }
      if (start >= offset) {
        parts.push(edits.texts[index]!);
      }
      if (end > done) {
        done = end;
      }
    }
  }
  if (done === offset && parts.length === 0) {
    return slice;
  }
  if (done < to) {
    parts.push(sub(slice, done - offset + 1));
  }
  return table.concat(parts);
}

export { apply, fold, merge, no_edits, replace };
export type { Edits };
