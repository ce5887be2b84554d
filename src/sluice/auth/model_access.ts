/**
 * Which models a tenant may use. Names are looked up, patterns are tried one after the other; what was
 * decided is remembered, within bounds, since clients may send any name.
 *
 * `*` stands for any run of characters, none included, and is the only special character. A pattern is kept
 * as the texts between its stars. The first must begin the name, the last must end it, and those between are
 * found from left to right, each at its first place: that is enough, because a star can take up whatever an
 * earlier choice leaves, so that a pattern of k pieces costs k searches and never backtracks.
 */

const find = string.find;
const sub = string.sub;

/** The texts between the stars; always two or more. */
type Pieces = string[];

/** How many decisions are remembered, and how long a name may be to be among them. */
const REMEMBERED = 1000;
const REMEMBERED_BYTES = 256;

/** Cuts a pattern at its stars. */
function pieces_of(pattern: string): Pieces {
  const pieces: Pieces = [];
  let from = 1;
  for (;;) {
    const [star] = find(pattern, "*", from, true);
    if (star === undefined) {
      pieces.push(sub(pattern, from));
      return pieces;
    }
    pieces.push(sub(pattern, from, star - 1));
    from = star + 1;
  }
}

/** Whether a name fits the pieces. */
function fits(pieces: Pieces, name: string): boolean {
  const last = pieces[pieces.length - 1]!;
  const first = pieces[0]!;
  if (name.length < first.length + last.length || sub(name, 1, first.length) !== first) {
    return false;
  }
  const end = name.length - last.length;
  if (sub(name, end + 1) !== last) {
    return false;
  }
  let from = first.length + 1;
  for (const index of $range(1, pieces.length - 2)) {
    const [, found_end] = find(name, pieces[index]!, from, true);
    if (found_end === undefined || found_end > end) {
      return false;
    }
    from = found_end + 1;
  }
  return true;
}

/**
 * Makes the test of whether a model's name is among `patterns` (names, or patterns with `*`). No patterns:
 * no model.
 */
function model_access(patterns: readonly string[]): (this: void, name: string) => boolean {
  const names = new LuaTable<string, boolean>();
  const globs: Pieces[] = [];
  let everything = false;
  for (const pattern of patterns) {
    const [star] = find(pattern, "*", 1, true);
    if (pattern === "*") {
      everything = true;
    } else if (star === undefined) {
      names.set(pattern, true);
    } else {
      globs.push(pieces_of(pattern));
    }
  }
  if (everything) {
    return () => true;
  }
  if (globs.length === 0) {
    return (name) => names.has(name);
  }

  let remembered = new LuaTable<string, boolean | undefined>();
  let count = 0;
  return (name) => {
    const known = remembered.get(name);
    if (known !== undefined) {
      return known;
    }
    let allowed = names.has(name);
    for (const glob of globs) {
      allowed = allowed || fits(glob, name);
    }
    if (name.length <= REMEMBERED_BYTES) {
      if (count === REMEMBERED) {
        remembered = new LuaTable<string, boolean | undefined>();
        count = 0;
      }
      remembered.set(name, allowed);
      count += 1;
    }
    return allowed;
  };
}

export { model_access };
