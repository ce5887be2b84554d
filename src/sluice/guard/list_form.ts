/**
 * Whether a list of words looks like something else: a table with columns set apart by commas, or many words on one line. Such a file can
 * be read, as a blank or a comma may be part of an entry, but hardly anything of it would ever be found.
 */

const find = string.find;
const gmatch = string.gmatch;
const sub = string.sub;

/** What words and columns are set apart by in files that are found, but for the TAB, which a list may have. */
const SEPARATORS = [",", ";", "|", "、", "，", "；"];

/** How much of a file is looked at, in bytes. */
const LOOKED_AT = 262144;

/** Fewer separators than these say nothing. */
const LEAST = 3;

interface SeparatorUse {
  separator: string;
  /** How many of the entries that were looked at have it. */
  having: number;
  entries: number;
}

/** How often a text has another in it. */
function occurrences(text: string, wanted: string): number {
  let count = 0;
  let [at] = find(text, wanted, 1, true);
  while (at !== undefined) {
    count += 1;
    [at] = find(text, wanted, at + wanted.length, true);
  }
  return count;
}

/** The words of the first entries, without options and comments. */
function first_entries(text: string): string[] {
  const entries: string[] = [];
  for (const [line] of gmatch(sub(text, 1, LOOKED_AT), "[^\r\n]+")) {
    const [word] = string.match(line!, "^%s*([^\t]*)");
    if (word !== undefined && word !== "" && sub(word, 1, 1) !== "#" && sub(word, 1, 2) !== "//") {
      entries.push(word);
    }
  }
  return entries;
}

/** The separator that more than half of the entries have in them; undefined: there is none. */
function common_separator(text: string): SeparatorUse | undefined {
  const entries = first_entries(text);
  for (const separator of SEPARATORS) {
    let having = 0;
    let count = 0;
    for (const entry of entries) {
      const own = occurrences(entry, separator);
      count += own;
      having += own > 0 ? 1 : 0;
    }
    if (having * 2 > entries.length && count >= LEAST) {
      return { separator, having, entries: entries.length };
    }
  }
  return undefined;
}

export { common_separator };
export type { SeparatorUse };
