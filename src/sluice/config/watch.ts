/**
 * Decides when a configuration is read again, from nothing but the stamps of its files.
 *
 * A stamp is whatever changes when a file does (times, size, inode); a file that isn't there has
 * none. A change is acted on when the stamps have been the same for two looks in a row, so that a
 * file that is being written is left alone until it is done. What has been acted on is remembered
 * whether it was any good or not: a rejected file is not read again, and not complained about
 * again, until it changes.
 *
 * Files that a new configuration names are followed from the moment it has been parsed, before they
 * are read themselves: a change in between is seen by the next look. Whoever reloads calls `follow`
 * with the new list then, even if what the files hold is rejected, as the mistake may lie in one of them.
 */

/** The stamp of a file, or `undefined` if there is none. */
type Stamp = (this: void, path: string) => string | undefined;

interface Watch {
  files: string[];
  /** The stamp each file had when it was last acted on. */
  known: LuaTable<string, string>;
  /** All stamps of the last look, as one text. */
  seen: string | undefined;
}

/** What a look tells: nothing has changed, something is changing, or it is time to read again. */
type Look = "same" | "changing" | "reload";

const MISSING = "-";

/** Follows another list of files. Those that were followed keep what is known of them. */
function follow(watch: Watch, files: string[], stamp: Stamp): void {
  const known = new LuaTable<string, string>();
  for (const path of files) {
    known.set(path, (watch.known.get(path) as string | undefined) ?? stamp(path) ?? MISSING);
  }
  watch.files = files;
  watch.known = known;
  watch.seen = undefined;
}

/** Begins to watch `files`, whose present state counts as known: call it before they are read. */
function start(files: string[], stamp: Stamp): Watch {
  const watch: Watch = { files: [], known: new LuaTable(), seen: undefined };
  follow(watch, files, stamp);
  return watch;
}

/** Takes a look at the files: about once a second. After `"reload"` their present state counts as known. */
function look(watch: Watch, stamp: Stamp): Look {
  const stamps: string[] = [];
  let changed = false;
  for (const path of watch.files) {
    const now = stamp(path) ?? MISSING;
    stamps.push(now);
    changed = changed || now !== watch.known.get(path);
  }
  const seen = stamps.join(" ");
  const quiet = seen === watch.seen;
  watch.seen = seen;
  if (!changed) {
    return "same";
  }
  if (!quiet) {
    return "changing";
  }
  for (const index of $range(0, stamps.length - 1)) {
    watch.known.set(watch.files[index] ?? "", stamps[index] ?? MISSING);
  }
  return "reload";
}

export { follow, look, start };
export type { Look, Stamp, Watch };
