/** Reads a log slice by slice from a place on, through its rotated files: for a worker that has other things to do in between. */

import * as ffi from "ffi";
import { list_log, read_log } from "./rotated_files";
import type { LogFile } from "./rotated_files";

/** A line longer than this is passed over. */
const SLICE = 262144;
const buffer = ffi.new<Bytes>("uint8_t[?]", SLICE);

/** Takes a line, without its newline; `end` is where the next one begins, in the file of that inode. */
type Visit = (this: void, line: string, inode: number, end: number) => void;

interface SliceEnd {
  /** Where the next slice begins: a file's inode and the offset in it. */
  file: number;
  offset: number;
  /** All that is there has been read. */
  ended: boolean;
}

/**
 * The place of the file to read among those that there are: the one of that inode. If that one is gone, or it is 0, the first that
 * was written to after `since`; −1: there is none.
 */
function find_file(files: LogFile[], inode: number, since: number): LuaMultiReturn<[place: number, found: boolean]> {
  let place = 0;
  let newer = -1;
  for (const file of files) {
    if (tonumber(file.inode) === inode) {
      return $multi(place, true);
    }
    if (newer < 0 && file.modified >= since) {
      newer = place;
    }
    place += 1;
  }
  return $multi(newer, false);
}

/** Visits the whole lines of a part of a file. Returns how many bytes they are. */
function visit_lines(text: string, inode: number, offset: number, visit: Visit): number {
  let from = 1;
  let [newline] = string.find(text, "\n", from, true);
  while (newline !== undefined) {
    visit(string.sub(text, from, newline - 1), inode, offset + newline);
    from = newline + 1;
    [newline] = string.find(text, "\n", from, true);
  }
  return from - 1;
}

/**
 * Visits the lines of at most 256 KiB of a log, from an offset of the file with that inode on; then, in the next slice, the newer
 * files. If that file is gone, it begins with the oldest that was written to after `since` (seconds since 1970). Returns where it
 * ended, and a reason if the log can't be read.
 */
function read_slice(
  path: string,
  inode: number,
  offset: number,
  since: number,
  visit: Visit,
): LuaMultiReturn<[end: SliceEnd, reason: string | undefined]> {
  const files = list_log(path).plain;
  const [place, found] = find_file(files, inode, since);
  const file = place >= 0 ? files[place] : undefined;
  if (file === undefined) {
    return $multi({ file: inode, offset, ended: true }, undefined);
  }
  const here = tonumber(file.inode)!;
  const from = found ? offset : 0;
  const [bytes, reason] = read_log(file, buffer, SLICE, from);
  if (reason !== undefined) {
    return $multi({ file: here, offset: from, ended: true }, reason);
  }
  let read = bytes !== undefined && bytes > 0 ? visit_lines(ffi.string(buffer, bytes), here, from, visit) : 0;
  if (read === 0 && bytes === SLICE) {
    read = SLICE;
  }
  if (read > 0) {
    return $multi({ file: here, offset: from + read, ended: false }, undefined);
  }
  // The rest of it has no newline, or there is none.
  const next = files[place + 1];
  if (next === undefined) {
    return $multi({ file: here, offset: from, ended: true }, undefined);
  }
  return $multi({ file: tonumber(next.inode)!, offset: 0, ended: false }, undefined);
}

export { read_slice };
export type { SliceEnd };
