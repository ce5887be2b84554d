/**
 * Reads a file that lines are appended to and that is rotated, such as the usage journal: every line once, from where an
 * earlier reading left off. For a command or for a worker's timer: a call reads at most 256 KiB (1 MiB if a line is
 * that long), waits for nothing, and keeps no descriptor open.
 *
 * How far each file was read is kept for each by itself, for the file at the path and for the rotated ones beside it.
 * So it does not matter in which order they are found, how often the log was rotated since, or that a worker still
 * appends to a file that has a successor: whatever has grown is read on. A file is known by a hash of its first bytes,
 * which hold a line of its own, not by its name and not by its inode, which a new file can inherit: a copy that
 * `copytruncate` or `gunzip` made goes on where the original was left.
 *
 * What is lost is not passed over in silence. The file that was at the path when it was last read has to be found
 * again, in full or with its compressed size telling that all of it was read; and no compressed file may be newer than it.
 *
 * A last line without its newline stays where it is. In a rotated file that has not changed for `QUIET` seconds nobody
 * will finish it any more, so it is then given as it is; workers notice a rotation within about two seconds.
 */

import * as ffi from "ffi";
import type { Position } from "../ledger/position";
import { sha256_hex } from "./crypto";
import { list_log, read_log } from "./rotated_files";
import type { LogFile } from "./rotated_files";

/** A file of the log, and how far it was read. */
interface Part {
  file: LogFile;
  position: Position;
}

interface FollowedFile {
  path: string;
  /** The oldest first. */
  parts: Part[];
  /** All that is known, also of files that are gone. */
  positions: Position[];
  /** That of the file at the path when it was last read. */
  current: Position | undefined;
  /** Whether missing and compressed files are passed over, because someone has said so. */
  forgiving: boolean;
  begun: boolean;
  /** What is worth telling; the caller empties it. */
  notices: string[];
}

/** What a call has read. */
interface Lines {
  /** Without their newlines. */
  texts: string[];
  /** Where each begins, in bytes. */
  offsets: number[];
  count: number;
  /** The file's path. */
  file: string;
}

/** Seconds without a change after which nobody will finish a rotated file's last line. */
const QUIET = 5;
const CHUNK = 262144;
/** A longer line comes in pieces. */
const LONGEST_LINE = 1048576;
/** How many of a file's first bytes tell it from others. */
const HEAD = 1024;

const buffer = ffi.new<Bytes>("uint8_t[?]", LONGEST_LINE);
const find = string.find;
const sub = string.sub;

/** Begins to follow a file. `positions` are from `positions_of`, empty at first; `forgiving`: go on although files are missing. */
function follow_file(path: string, positions: Position[], forgiving: boolean): FollowedFile {
  let current: Position | undefined;
  for (const position of positions) {
    if (position.current) current = position;
  }
  return { path, parts: [], positions, current, forgiving, begun: false, notices: [] };
}

function fingerprint_of(head: string, length: number): string {
  return `${length}:${sub(sha256_hex(sub(head, 1, length)), 1, 32)}`;
}

/** How many bytes a position's fingerprint is made of. */
function fingerprint_length(position: Position): number {
  const [length] = string.match(position.fingerprint, "^(%d+):");
  return tonumber(length) ?? 0;
}

function matches(position: Position, head: string): boolean {
  const count = fingerprint_length(position);
  return count > 0 && count <= head.length && fingerprint_of(head, count) === position.fingerprint;
}

/** Whether a part read before is this file, judging by its numbers alone. */
function is_unchanged(part: Part, file: LogFile): boolean {
  return part.file.inode === file.inode && part.file.size === file.size && part.file.changed === file.changed;
}

/** The position of a file: the one that its content matches; of a file not seen before a new one. */
function find_position(followed: FollowedFile, head: string, file: LogFile, taken: LuaTable<Position, boolean>): Position {
  let found: Position | undefined;
  for (const position of followed.positions) {
    if (!taken.has(position) && matches(position, head) && (found === undefined || position.inode === file.inode)) {
      found = position;
    }
  }
  if (found !== undefined && found.offset > file.size) {
    followed.notices.push(`${file.path}: is shorter than what was read of it: it is read again from its beginning`);
    found.offset = 0;
  }
  return found ?? { fingerprint: "", inode: file.inode, offset: 0, current: false };
}

/** Reads a file's first bytes, and finds out whether it was read before. Returns nothing if it is gone, and a reason if it can't be read. */
function identify(
  followed: FollowedFile,
  file: LogFile,
  taken: LuaTable<Position, boolean>,
): LuaMultiReturn<[part: Part | undefined, reason: string | undefined]> {
  const [bytes, reason] = read_log(file, buffer, HEAD, 0);
  if (bytes === undefined || bytes < 0) return $multi(undefined, reason);
  const head = ffi.string(buffer, bytes);
  const position = find_position(followed, head, file, taken);
  const known = math.min(position.offset, bytes);
  if (position.fingerprint !== "" && known > fingerprint_length(position)) {
    position.fingerprint = fingerprint_of(head, known);
  }
  position.inode = file.inode;
  taken.set(position, true);
  return $multi({ file, position }, undefined);
}

function has_inode(followed: FollowedFile, inode: string): boolean {
  for (const position of followed.positions) {
    if (position.inode === inode) return true;
  }
  return false;
}

/** Makes the parts anew from the files that are there. Returns why a file can't be read. */
function find_parts(followed: FollowedFile, files: LogFile[]): string | undefined {
  const taken = new LuaTable<Position, boolean>();
  const found = new LuaTable<LogFile, Part>();
  for (const file of files) {
    for (const part of followed.parts) {
      if (is_unchanged(part, file) && !taken.has(part.position)) {
        found.set(file, { file, position: part.position });
        taken.set(part.position, true);
      }
    }
  }
  // A file that is still what it was comes before a copy of it.
  for (const original of [true, false]) {
    for (const file of files) {
      if (!found.has(file) && has_inode(followed, file.inode) === original) {
        const [part, reason] = identify(followed, file, taken);
        if (reason !== undefined) return reason;
        if (part !== undefined) found.set(file, part);
      }
    }
  }
  const parts: Part[] = [];
  for (const file of files) {
    const part = found.get(file);
    if (part !== undefined) parts.push(part);
  }
  followed.parts = parts;
  return undefined;
}

/** How many bytes a gzip file holds, modulo 2^32: its last four bytes (RFC 1952, 2.3.1); −1 if it isn't one. */
function unpacked_size(file: LogFile): number {
  if (sub(file.path, -3) !== ".gz" || file.size < 18) return -1;
  const [bytes] = read_log(file, buffer, 4, file.size - 4);
  return bytes === 4 ? buffer[0]! + buffer[1]! * 256 + buffer[2]! * 65536 + buffer[3]! * 16777216 : -1;
}

/** Whether all of a compressed file was read before it was compressed. */
function was_read(followed: FollowedFile, file: LogFile): Position | undefined {
  const size = unpacked_size(file);
  for (const position of followed.positions) {
    if (position.offset > 0 && position.offset % 4294967296 === size) return position;
  }
  return undefined;
}

/** The last change of the file that was at the path when it was last read; 0 if the file was emptied; undefined if it is gone. */
function time_of_current(followed: FollowedFile, compressed: LogFile[]): number | undefined {
  const current = followed.current!;
  let emptied = false;
  for (const { file, position } of followed.parts) {
    if (position === current) return file.modified;
    if (file.at_path && file.inode === current.inode) emptied = true;
  }
  for (const file of compressed) {
    if (was_read(followed, file) === current) return file.modified;
  }
  if (emptied && compressed.length === 0) {
    followed.notices.push(`${followed.path}: was emptied or replaced: it is read from its beginning; what was not read before is lost`);
    followed.current = undefined;
    return 0;
  }
  return undefined;
}

/** Why it can't go on without leaving lines out: a file is gone, or compressed; undefined if it can. */
function gap(followed: FollowedFile, compressed: LogFile[]): string | undefined {
  const { current, path } = followed;
  if (current === undefined || followed.forgiving) {
    if (!followed.begun && compressed.length > 0) {
      const newest = compressed[compressed.length - 1]!;
      followed.notices.push(`${path}: compressed files beside it are left out: ${compressed.length}, ${newest.path} the newest`);
    }
    return undefined;
  }
  const time = time_of_current(followed, compressed);
  if (time === 0) return undefined;
  const newest = compressed[compressed.length - 1];
  if (time === undefined) {
    const where = `${path}: the file that was read up to byte ${string.format("%.0f", current.offset)} (inode ${current.inode}) is gone`;
    return newest === undefined ? where : `${where}; it may be compressed, as is ${newest.path}: unpack it beside (gunzip --keep)`;
  }
  for (const file of compressed) {
    if (file.modified > time && was_read(followed, file) === undefined) {
      return `${file.path}: is compressed, and was not read before: unpack it beside (gunzip --keep)`;
    }
  }
  return undefined;
}

/** Looks which files there are. To be called before each round of reading; returns why it can't go on, if so. */
function look(followed: FollowedFile): string | undefined {
  const files = list_log(followed.path);
  const unreadable = find_parts(followed, files.plain);
  if (unreadable !== undefined) return unreadable;
  const missing = gap(followed, files.compressed);
  followed.begun = true;
  return missing;
}

/** Cuts what was read into whole lines. Returns how many bytes they are. */
function cut_lines(lines: Lines, text: string, offset: number): number {
  let from = 1;
  let [newline] = find(text, "\n", 1, true);
  while (newline !== undefined) {
    lines.count += 1;
    lines.texts[lines.count - 1] = sub(text, from, newline - 1);
    lines.offsets[lines.count - 1] = offset + from - 1;
    from = newline + 1;
    [newline] = find(text, "\n", from, true);
  }
  return from - 1;
}

/** Takes note that lines up to an offset were read. */
function advance(followed: FollowedFile, part: Part, text: string, bytes: number): void {
  const { position } = part;
  if (position.fingerprint === "") {
    position.fingerprint = fingerprint_of(text, math.min(HEAD, bytes));
    followed.positions.push(position);
  }
  position.offset += bytes;
  if (part.file.at_path && followed.current !== position) {
    for (const other of followed.positions) {
      other.current = other === position;
    }
    followed.current = position;
    followed.forgiving = false;
  }
}

/** Reads lines of one file. Returns whether there were any, or undefined and why it can't be read. */
function read_part(
  followed: FollowedFile,
  part: Part,
  lines: Lines,
  now: number,
): LuaMultiReturn<[some: boolean | undefined, reason: string | undefined]> {
  const { file, position } = part;
  let limit = CHUNK;
  while (limit <= LONGEST_LINE) {
    const [bytes, reason] = read_log(file, buffer, limit, position.offset);
    if (bytes === undefined) return $multi(undefined, reason);
    if (bytes <= 0) return $multi(false, undefined);
    const text = ffi.string(buffer, bytes);
    let used = cut_lines(lines, text, position.offset);
    const is_piece = bytes === LONGEST_LINE || (bytes < limit && !file.at_path && now - file.changed >= QUIET);
    if (used === 0 && is_piece) {
      lines.count = 1;
      lines.texts[0] = text;
      lines.offsets[0] = position.offset;
      used = bytes;
    }
    if (used > 0) {
      lines.file = file.path;
      advance(followed, part, text, used);
      return $multi(true, undefined);
    }
    if (bytes < limit) return $multi(false, undefined);
    limit *= 4;
  }
  return $multi(false, undefined);
}

/**
 * Reads the next lines into `lines`, those of one file. Returns whether there were any: if not, `look` tells whether there
 * are more. `now` is in seconds since 1970. With undefined it returns why a file can't be read.
 */
function read_lines(followed: FollowedFile, lines: Lines, now: number): LuaMultiReturn<[some: boolean | undefined, reason: string | undefined]> {
  lines.count = 0;
  for (const part of followed.parts) {
    if (part.file.size > part.position.offset) {
      const [some, reason] = read_part(followed, part, lines, now);
      if (some !== false) return $multi(some, reason);
    }
  }
  return $multi(false, undefined);
}

/** How far the files that are still there were read, to be kept and handed to `follow_file` another time. */
function positions_of(followed: FollowedFile): Position[] {
  const kept: Position[] = [];
  for (const position of followed.positions) {
    let needed = position === followed.current || !followed.begun;
    for (const part of followed.parts) {
      if (part.position === position) needed = true;
    }
    if (needed) kept.push(position);
  }
  return kept;
}

/** Room for what `read_lines` reads. */
function new_lines(): Lines {
  return { texts: [], offsets: [], count: 0, file: "" };
}

export { follow_file, look, new_lines, positions_of, read_lines };
export type { FollowedFile, Lines };
