/**
 * Edits a document that has been edited already, as if the original were edited afresh.
 *
 * Where both turns replace a range, they replace the same one: so each range of the original lies in the first turn's edits, in the
 * second's, in both or in neither, and nothing but the ranges' own bytes has to be kept of the original.
 */

import { no_edits, replace } from "./splice";
import type { Edits } from "./splice";

/** Adds all edits of another list. They must not overlap those that are there. */
function add_all(edits: Edits, more: Edits): void {
  for (const index of $range(0, more.count - 1)) {
    replace(edits, more.starts[index]!, more.ends[index]!, more.texts[index]!);
  }
}

/** Whether an edit of the first list comes before one of the second; with the same range none does. */
function is_before(first: Edits, index: number, second: Edits, other: number): boolean {
  if (other >= second.count) {
    return true;
  }
  const start = first.starts[index]!;
  const other_start = second.starts[other]!;
  return start < other_start || (start === other_start && first.ends[index]! < second.ends[other]!);
}

/**
 * The edits which turn the document that `before` has made of an original into the one that `after` makes of the same original. A
 * range that is replaced in both must be the same in both; an insertion stands before a range that begins where it is.
 * `originals`: by their first byte's offset, the original's bytes of all ranges of `before` that are not in `after`, but of
 * insertions. The document's last byte is in no range.
 */
function edits_between(before: Edits, after: Edits, originals: LuaTable<number, string | undefined>): Edits {
  const edits = no_edits();
  let shift = 0;
  let old = 0;
  let next = 0;
  while (old < before.count || next < after.count) {
    if (old < before.count && is_before(before, old, after, next)) {
      const start = before.starts[old]!;
      const text = before.texts[old]!;
      replace(edits, start + shift, start + shift + text.length, before.ends[old]! > start ? (originals.get(start) ?? "") : "");
      shift += text.length - (before.ends[old]! - start);
      old += 1;
    } else if (is_before(after, next, before, old)) {
      replace(edits, after.starts[next]! + shift, after.ends[next]! + shift, after.texts[next]!);
      next += 1;
    } else {
      const start = before.starts[old]!;
      const text = before.texts[old]!;
      if (text !== after.texts[next]) {
        replace(edits, start + shift, start + shift + text.length, after.texts[next]!);
      }
      shift += text.length - (before.ends[old]! - start);
      old += 1;
      next += 1;
    }
  }
  return edits;
}

export { add_all, edits_between };
