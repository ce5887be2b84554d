/** Reads a log slice by slice from a place on, through its rotated files: for a worker that has other things to do in between. */

import * as ffi from "ffi";
import { list_log, list_whole_log, read_log_file } from "./rotated_files";
import type { LogFile } from "./rotated_files";

/** A line longer than this is passed over. */
const SLICE = 262144;
const buffer = ffi.new<Bytes>("uint8_t[?]", SLICE);

/** Takes a line, without its newline; `end` is where the next one begins, in the file of that inode. */
type Visit = (this: void, line: string, inode: number, end: number) => void;

interface Slice {
  /**
   * What was found at the place. `lines`: there may be more of them in this file; `file_end`: no more, and there is a newer file;
   * `log_end`: no more, and this is the newest; `gone`: that file is not there any more, or is shorter than that.
   */
  found: "lines" | "file_end" | "log_end" | "gone";
  /** Where the next slice begins: a file's inode and the offset in it. */
  file: number;
  offset: number;
  /** If the file is gone: how many compressed ones, which are not read, were written to after the given time. */
  compressed: number;
}

/** The place, among the files that there are, of the one of that inode that has at least so many bytes; −1: there is none. */
function find_file(files: LogFile[], inode: number, size: number): number {
  for (const index of $range(0, files.length - 1)) {
    if (tonumber(files[index]!.inode) === inode && files[index]!.size >= size) {
      return index;
    }
  }
  return -1;
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

/** Visits the lines of a part of a file. Returns how many bytes have been read, and a reason if it can't be read. */
function read_part(path: string, file: LogFile, offset: number, visit: Visit): LuaMultiReturn<[read: number, reason: string | undefined]> {
  const [bytes, reason] = read_log_file(path, file, buffer, SLICE, offset);
  if (bytes === undefined) {
    return $multi(0, reason);
  }
  const read = bytes > 0 ? visit_lines(ffi.string(buffer, bytes), tonumber(file.inode)!, offset, visit) : 0;
  return $multi(read === 0 && bytes === SLICE ? SLICE : read, undefined);
}

/** Where to go on if the file is gone: with the oldest that was written to after `since`, else at the end of the newest. */
function begin_again(plain: LogFile[], compressed: LogFile[], since: number): Slice {
  const slice: Slice = { found: plain.length > 0 ? "gone" : "log_end", file: 0, offset: 0, compressed: 0 };
  for (const file of compressed) {
    if (file.modified >= since) {
      slice.compressed += 1;
    }
  }
  for (const file of plain) {
    slice.file = tonumber(file.inode)!;
    slice.offset = 0;
    if (file.modified >= since) {
      return slice;
    }
    slice.offset = file.size;
  }
  return slice;
}

/**
 * Visits the lines of at most 256 KiB of a log, from an offset of the file with that inode on; where there are none, tells how to
 * go on. If that file is gone, that is with the oldest that was written to after `since` (seconds since 1970). Returns undefined
 * and a reason if the log can't be read: then nothing is known of what is behind the place.
 */
function read_slice(
  path: string,
  inode: number,
  offset: number,
  since: number,
  visit: Visit,
): LuaMultiReturn<[slice: Slice | undefined, reason: string | undefined]> {
  const { plain: seen } = list_log(path);
  const first = find_file(seen, inode, offset);
  if (first >= 0) {
    const [read, reason] = read_part(path, seen[first]!, offset, visit);
    if (reason !== undefined) {
      return $multi(undefined, reason);
    }
    if (read > 0) {
      return $multi({ found: "lines", file: inode, offset: offset + read, compressed: 0 }, undefined);
    }
  }
  // What follows holds only if no file was left out.
  const { complaint, compressed, plain } = list_whole_log(path);
  if (complaint !== undefined) {
    return $multi(undefined, complaint);
  }
  const place = find_file(plain, inode, offset);
  if (place < 0) {
    return $multi(begin_again(plain, compressed, since), undefined);
  }
  if (first < 0) {
    return $multi({ found: "lines", file: inode, offset, compressed: 0 }, undefined);
  }
  // The rest of it has no newline, or there is none.
  const next = plain[place + 1];
  if (next === undefined) {
    return $multi({ found: "log_end", file: inode, offset, compressed: 0 }, undefined);
  }
  return $multi({ found: "file_end", file: tonumber(next.inode)!, offset: 0, compressed: 0 }, undefined);
}

export { read_slice };
export type { Slice };
