/** Reads the lines of a log's files that lie behind given places: at start, or after a worker was killed. Blocks while the disk is read. */

import * as ffi from "ffi";
import { list_whole_log, read_log_file } from "./rotated_files";
import type { LogFile } from "./rotated_files";

const CHUNK = 262144;
const buffer = ffi.new<Bytes>("uint8_t[?]", CHUNK);

/** Where reading begins in the file of that inode; undefined: the file is passed over. `at_path`: it is the log's present one. */
type Beginning = (this: void, inode: number, size: number, at_path: boolean) => number | undefined;
/** Takes a line, without its newline; `end` is where the next one begins. */
type Visit = (this: void, line: string, inode: number, end: number) => void;

/** Reads a file's whole lines from an offset on. Returns a reason if it can't be read. */
function read_from(path: string, file: LogFile, inode: number, offset: number, visit: Visit): string | undefined {
  let at = offset;
  let rest = "";
  for (;;) {
    const [bytes, reason] = read_log_file(path, file, buffer, CHUNK, at + rest.length);
    if (bytes === undefined || bytes <= 0) {
      return reason;
    }
    const text = rest + ffi.string(buffer, bytes);
    let from = 1;
    let [newline] = string.find(text, "\n", from, true);
    while (newline !== undefined) {
      visit(string.sub(text, from, newline - 1), inode, at + newline);
      from = newline + 1;
      [newline] = string.find(text, "\n", from, true);
    }
    at += from - 1;
    rest = string.sub(text, from);
  }
}

/** Visits the lines of all files of a log, the oldest file first. Returns why some could not be read. */
function each_log_line(path: string, beginning: Beginning, visit: Visit): string | undefined {
  const files = list_whole_log(path);
  let { complaint } = files;
  for (const file of files.plain) {
    const inode = tonumber(file.inode)!;
    const offset = beginning(inode, file.size, file.at_path);
    if (offset !== undefined && offset < file.size) {
      complaint = read_from(path, file, inode, offset, visit) ?? complaint;
    }
  }
  return complaint;
}

export { each_log_line };
