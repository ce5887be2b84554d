/**
 * Keeps compiled lexicons as files of one folder, from which they are mapped: all processes share their memory, and a
 * start finds them ready.
 *
 * A lexicon is `KEY.lex`, the text kept with it `KEY.txt`, and `KEY.lock` is there while a process compiles it. The folder is ours
 * alone. An operator's list is never mapped, since a mapped file that is cut short kills who reads it; here
 * nothing is ever written to after it has its name.
 */

import { FOLD_VERSION } from "./fold";
import { open_image } from "./lexicon";
import type { Lexicon } from "./lexicon";
import type { LexiconStore } from "./store";

/** A file's bytes in memory; they stay there as long as this object does. */
interface Mapped {
  pointer: Bytes;
  bytes: number;
}

/** What the store needs of files: `edge/mapped_file`. @noSelf */
interface StoreFiles {
  map_file(path: string): LuaMultiReturn<[mapped: Mapped | undefined, reason: string | undefined]>;
  write_private(folder: string, name: string, data: unknown, count: number): string | undefined;
  remove_file(path: string): void;
  /** A number that `unlock_file` takes; undefined: someone else has the lock; negative: there can be no lock. */
  lock_file(folder: string, name: string): number | undefined;
  unlock_file(folder: string, name: string, lock: number): void;
  list_folder(path: string): string[];
  is_running(process: number): boolean;
  read_file(path: string): LuaMultiReturn<[text: string | undefined, reason: string | undefined]>;
}

interface FileStore extends LexiconStore {
  /** Removes what is kept under other keys than these, and what processes that are gone have left unfinished. */
  tidy(this: void, keys: string[]): void;
}

const match = string.match;

/** The lexicon in a file, or why there is none; no reason if there is no file. `damaged`: there is one, and it is no good. */
function open_file(
  files: StoreFiles,
  path: string,
): LuaMultiReturn<[lexicon: Lexicon | undefined, reason: string | undefined, damaged: boolean]> {
  const [mapped, no_file] = files.map_file(path);
  if (mapped === undefined) {
    return $multi(undefined, no_file, false);
  }
  const [lexicon, reason] = open_image(mapped.pointer, mapped.bytes, FOLD_VERSION, mapped);
  return $multi(lexicon, reason === undefined ? undefined : `${path}: ${reason}`, lexicon === undefined);
}

function is_needed(keys: string[], key: string): boolean {
  for (const needed of keys) {
    if (needed === key) {
      return true;
    }
  }
  return false;
}

/** A store in `folder`, which is made when it is first written to. Lexicons in use are opened once, also across configurations. */
function file_store(folder: string, files: StoreFiles): FileStore {
  const opened = setmetatable(new LuaTable<string, Lexicon>(), { __mode: "v" }) as LuaTable<string, Lexicon | undefined>;
  const locks = new LuaTable<string, number>();
  const path_of = (key: string, kind: string): string => `${folder}/${key}.${kind}`;
  const text_of = (key: string): string | undefined => {
    const [text] = files.read_file(path_of(key, "txt"));
    return text;
  };
  return {
    open: (key) => {
      const known = opened.get(key);
      if (known !== undefined) {
        return $multi(known, text_of(key));
      }
      const path = path_of(key, "lex");
      const [lexicon, reason, damaged] = open_file(files, path);
      if (lexicon === undefined) {
        if (damaged) {
          files.remove_file(path);
        }
        return $multi(undefined, reason);
      }
      opened.set(key, lexicon);
      return $multi(lexicon, text_of(key));
    },
    keep: (key, image, bytes, text) => {
      let complaint =
        files.write_private(folder, `${key}.txt`, text, text.length) ?? files.write_private(folder, `${key}.lex`, image, bytes);
      if (complaint === undefined) {
        const [lexicon, reason] = open_file(files, path_of(key, "lex"));
        if (lexicon !== undefined) {
          opened.set(key, lexicon);
          return $multi(lexicon, undefined);
        }
        complaint = reason ?? `${path_of(key, "lex")}: it is gone`;
      }
      // What can't be kept as a file serves from this process's own memory.
      const [own, reason] = open_image(image, bytes, FOLD_VERSION, image);
      if (own !== undefined) {
        opened.set(key, own);
      }
      return $multi(own, own === undefined ? reason : complaint);
    },
    acquire: (key) => {
      const lock = files.lock_file(folder, `${key}.lock`);
      if (lock === undefined) {
        return false;
      }
      locks.set(key, lock);
      return true;
    },
    release: (key) => {
      const lock = locks.get(key) as number | undefined;
      if (lock !== undefined) {
        locks.delete(key);
        files.unlock_file(folder, `${key}.lock`, lock);
      }
    },
    tidy: (keys) => {
      for (const name of files.list_folder(folder)) {
        const [key, kind] = match(name, "^(%x+)%.(%l+)$");
        const [process] = match(name, "^%x+%.%l+%.(%d+)%.new$");
        const unneeded = key !== undefined && kind !== "lock" && !is_needed(keys, key);
        if (unneeded || (process !== undefined && !files.is_running(tonumber(process)!))) {
          files.remove_file(`${folder}/${name}`);
        } else if (kind === "lock") {
          const lock = files.lock_file(folder, name);
          files.unlock_file(folder, name, lock ?? -1);
        }
      }
    },
  };
}

export { file_store };
export type { FileStore, Mapped, StoreFiles };
