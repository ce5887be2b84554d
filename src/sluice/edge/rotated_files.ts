/**
 * The files that a log consists of once it has been rotated: the one at its path, and those of the same folder whose names
 * begin with its name, such as `usage.jsonl.1`, `usage.jsonl-20261121` and `usage.jsonl.2.gz`. Linux.
 *
 * A compressed file counts only if the file that it was made of is gone: while it is being compressed both are there.
 */

import * as ffi from "ffi";
import { descriptor_status, is_regular, new_status, path_status } from "./file_status";
import { read_folder } from "./folder";

interface LogFile {
  path: string;
  /** Whether this is the file at the log's own path. */
  at_path: boolean;
  /** In decimal: it has up to 64 bits. */
  inode: string;
  size: number;
  /** When the content was last changed; a compressed file has kept that of its original. Seconds since 1970. */
  modified: number;
  /** When the content, the name or the owner was last changed. Seconds since 1970. */
  changed: number;
}

interface LogFiles {
  /** The oldest first, that at the path last. */
  plain: LogFile[];
  compressed: LogFile[];
  /** Why there may be more: the folder can't be read, or something in it can't be looked at. */
  complaint: string | undefined;
}

/** @noSelf */
interface LogLibrary {
  sluice_log_open(path: string, flags: number): number;
  sluice_log_read(descriptor: number, target: Bytes, length: number, offset: number): number;
  sluice_log_close(descriptor: number): number;
  sluice_log_reason(code: number): unknown;
}

ffi.cdef(`
int sluice_log_open(const char *path, int flags, ...) __asm__("open");
ssize_t sluice_log_read(int descriptor, uint8_t *target, size_t length, int64_t offset) __asm__("pread");
int sluice_log_close(int descriptor) __asm__("close");
char *sluice_log_reason(int code) __asm__("strerror");
`);

/** O_RDONLY | O_NONBLOCK | O_CLOEXEC. */
const READ_FLAGS = 0x80800;
/** ENOENT. */
const NO_SUCH_FILE = 2;
/** How often a log whose files are just getting other names is looked at again. */
const TRIES = 10;

const COMPRESSED = [".gz", ".xz", ".zst", ".bz2", ".lz4"];

const library = ffi.C as LogLibrary;
const status = new_status();

function inode_text(): string {
  const [text] = string.gsub(tostring(status.inode), "%a+$", "");
  return text;
}

function reason_of(path: string, code: number): string {
  return `${path}: can't be read: ${ffi.string(library.sluice_log_reason(code))}`;
}

/** What the path leads to, if it is a regular file; or why that can't be found out. */
function status_of(path: string, at_path: boolean): LuaMultiReturn<[file: LogFile | undefined, reason: string | undefined]> {
  if (!path_status(path, status)) {
    const code = ffi.errno();
    return $multi(undefined, code !== NO_SUCH_FILE ? reason_of(path, code) : undefined);
  }
  if (!is_regular(status)) {
    return $multi(undefined, undefined);
  }
  const file: LogFile = {
    path,
    at_path,
    inode: inode_text(),
    size: tonumber(status.size)!,
    modified: tonumber(status.modified_seconds)! + status.modified_nanoseconds * 1e-9,
    changed: tonumber(status.changed_seconds)! + status.changed_nanoseconds * 1e-9,
  };
  return $multi(file, undefined);
}

/** The name of the file that a compressed one was made of; undefined if it is not compressed. */
function uncompressed_name(name: string): string | undefined {
  for (const ending of COMPRESSED) {
    if (string.sub(name, -ending.length) === ending) {
      return string.sub(name, 1, name.length - ending.length);
    }
  }
  return undefined;
}

/** Whether the left one is older: by the time of its last change; of files changed at once, `log.2` is older than `log.1`. */
function is_older(left: LogFile, right: LogFile): boolean {
  if (left.at_path !== right.at_path) {
    return right.at_path;
  }
  if (left.modified !== right.modified) {
    return left.modified < right.modified;
  }
  const [left_number] = string.match(left.path, "%.(%d+)$");
  const [right_number] = string.match(right.path, "%.(%d+)$");
  if (left_number !== undefined && right_number !== undefined && left_number !== right_number) {
    return tonumber(left_number)! > tonumber(right_number)!;
  }
  return left.path < right.path;
}

/** The files of the log at a path, as they are now. */
function list_log(path: string): LogFiles {
  const [folder, base] = string.match(path, "^(.*)/([^/]*)$");
  const [names, unread] = read_folder(folder === "" ? "/" : (folder ?? "."));
  const found: LogFiles = { plain: [], compressed: [], complaint: unread };
  const is_there = new LuaTable<string, boolean>();
  const inodes = new LuaTable<string, boolean>();
  for (const name of names) {
    is_there.set(name, true);
  }
  for (const name of names) {
    if (base !== undefined && string.sub(name, 1, base.length) === base) {
      const original = uncompressed_name(name);
      let file: LogFile | undefined;
      if (original === undefined || !is_there.has(original)) {
        const [there, reason] = status_of(`${folder}/${name}`, name === base);
        file = there;
        found.complaint = found.complaint ?? reason;
      }
      // Names of one file, such as links to it, count once; that of the log itself comes first in the order of names.
      if (file !== undefined && !inodes.has(file.inode)) {
        inodes.set(file.inode, true);
        (original === undefined ? found.plain : found.compressed).push(file);
      }
    }
  }
  table.sort(found.plain, is_older);
  table.sort(found.compressed, is_older);
  return found;
}

function are_same(left: LogFile[], right: LogFile[]): boolean {
  if (left.length !== right.length) {
    return false;
  }
  for (const index of $range(0, left.length - 1)) {
    if (left[index]!.path !== right[index]!.path || left[index]!.inode !== right[index]!.inode) {
      return false;
    }
  }
  return true;
}

/**
 * The files of the log at a path, none left out: a file that gets another name while the others are looked at could be, so they are
 * looked at until they are twice the same.
 */
function list_whole_log(path: string): LogFiles {
  let before = list_log(path);
  for (const _ of $range(1, TRIES)) {
    const files = list_log(path);
    if (are_same(before.plain, files.plain) && are_same(before.compressed, files.compressed)) {
      return files;
    }
    before = files;
  }
  before.complaint = before.complaint ?? `${path}: its files get other names all the time`;
  return before;
}

/** The place of the file of that inode, in decimal; −1: there is none. */
function place_of(files: LogFile[], inode: string): number {
  for (const index of $range(0, files.length - 1)) {
    if (files[index]!.inode === inode) {
      return index;
    }
  }
  return -1;
}

/**
 * Reads at most `length` bytes from `offset` on into `target`. Returns how many there were; −1 if the path no longer leads to the
 * file of that inode; or undefined and the reason why it can't be read.
 */
function read_log(
  file: LogFile,
  target: Bytes,
  length: number,
  offset: number,
): LuaMultiReturn<[bytes: number | undefined, reason: string | undefined]> {
  const descriptor = library.sluice_log_open(file.path, READ_FLAGS);
  if (descriptor < 0) {
    const code = ffi.errno();
    if (code === NO_SUCH_FILE) return $multi(-1, undefined);
    return $multi(undefined, reason_of(file.path, code));
  }
  let bytes = -1;
  let reason: string | undefined;
  if (descriptor_status(descriptor, status) && inode_text() === file.inode) {
    bytes = tonumber(library.sluice_log_read(descriptor, target, length, offset))!;
    if (bytes < 0) {
      reason = reason_of(file.path, ffi.errno());
    }
  }
  library.sluice_log_close(descriptor);
  return $multi(reason === undefined ? bytes : undefined, reason);
}

/**
 * Reads likewise, under its new name, if the file of the log at `path` has got one meanwhile: as a rotation gives it. A file that is
 * gone can't be read.
 */
function read_log_file(
  path: string,
  file: LogFile,
  target: Bytes,
  length: number,
  offset: number,
): LuaMultiReturn<[bytes: number | undefined, reason: string | undefined]> {
  for (const _ of $range(1, TRIES)) {
    const [bytes, reason] = read_log(file, target, length, offset);
    if (bytes !== -1) {
      return $multi(bytes, reason);
    }
    const { complaint, plain } = list_whole_log(path);
    const place = place_of(plain, file.inode);
    if (place < 0) {
      return $multi(undefined, complaint ?? `${file.path}: is gone`);
    }
    file.path = plain[place]!.path;
  }
  return $multi(undefined, `${file.path}: gets other names all the time`);
}

export { list_log, list_whole_log, read_log, read_log_file };
export type { LogFile };
