/**
 * A file that lines are appended to, such as the usage journal.
 *
 * Each line is one write(2) to a descriptor opened with O_APPEND: the kernel puts it behind whatever any worker wrote
 * before, whole, so lines of several workers never mix, and a worker that is killed has lost no line. The page cache
 * takes the line within a microsecond or two; nothing waits for the disk, so a machine that loses power may lose the last seconds.
 *
 * A full disk can take a part of a line. It stays, as another worker may already have written behind it; the next line
 * begins with a newline, so it stands alone. Limit: a line that another worker writes in between lands on the broken one.
 *
 * When the file was renamed or removed, `check` opens a new one under the path. It is meant for a timer: it costs a
 * system call, and does nothing if called again within a second. If no new file can be opened, the old descriptor goes on.
 */

import * as ffi from "ffi";
import { descriptor_status, new_status, path_status } from "./file_status";

/** @noSelf */
interface FileLibrary {
  sluice_open(path: string, flags: number, mode: unknown): number;
  sluice_write(descriptor: number, data: unknown, length: number): number;
  sluice_close(descriptor: number): number;
  sluice_seek(descriptor: number, offset: number, whence: number): number;
  sluice_strerror(code: number): unknown;
}

interface AppendFile {
  path: string;
  /** The mode of a file that has to be made. */
  mode: number;
  /** −1 while there is none; and its inode, 0 if that is not known. */
  descriptor: number;
  inode: number;
  /** Lines that could not be written whole. */
  lost: number;
  /** Whether the last line written here is incomplete. */
  broken: boolean;
  /** When `check` last looked, in seconds. */
  checked: number;
}

ffi.cdef(`
int sluice_open(const char *path, int flags, ...) __asm__("open");
ssize_t sluice_write(int descriptor, const void *data, size_t length) __asm__("write");
int sluice_close(int descriptor) __asm__("close");
int64_t sluice_seek(int descriptor, int64_t offset, int whence) __asm__("lseek");
char *sluice_strerror(int code) __asm__("strerror");
`);

/** O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, as Linux has them on x86-64 and arm64. */
const FLAGS = 0x1 + 0x40 + 0x400 + 0x80000;
const SEEK_END = 2;

/** Seconds between two looks at the path. */
const CHECK_INTERVAL = 1;

/** A line is put together here and never is a string: LuaJIT would look for an equal one among all that are alike at first sight. */
interface Draft {
  bytes: Bytes;
  room: number;
}

const NEWLINE = 10;

const draft: Draft = { bytes: ffi.new<Bytes>("uint8_t[?]", 4096), room: 4096 };
const library = ffi.C as FileLibrary;
const of_path = new_status();
const of_descriptor = new_status();

function open_path(path: string, mode: number): LuaMultiReturn<[descriptor: number, reason: string | undefined]> {
  const descriptor = library.sluice_open(path, FLAGS, ffi.cast("int", mode));
  if (descriptor >= 0) return $multi(descriptor, undefined);
  return $multi(-1, `${path}: ${ffi.string(library.sluice_strerror(ffi.errno()))}`);
}

/** The number of an open file in its file system; 0 if it can't be found out. */
function inode_of(descriptor: number): number {
  if (descriptor < 0 || !descriptor_status(descriptor, of_descriptor)) return 0;
  return tonumber(of_descriptor.inode)!;
}

/** Where the file ends, whoever wrote to it last, in bytes from its beginning; −1 if there is no file. */
function end_of(file: AppendFile): number {
  return tonumber(library.sluice_seek(file.descriptor, 0, SEEK_END))!;
}

/**
 * Opens a file to append to, and makes it if it isn't there; `mode` is then its mode (0640 if not given). The file is
 * returned in any case: if it could not be opened, the reason is returned too, lines count as lost, and `check` tries again.
 */
function open_append_file(path: string, mode?: number): LuaMultiReturn<[file: AppendFile, reason: string | undefined]> {
  const wanted = mode ?? 0x1a0;
  const [descriptor, reason] = open_path(path, wanted);
  return $multi({ path, mode: wanted, descriptor, inode: inode_of(descriptor), lost: 0, broken: false, checked: 0 }, reason);
}

/** Makes room for so many bytes in all, and keeps those that are there. */
function grow(used: number, wanted: number): void {
  const room = math.max(wanted, draft.room * 2);
  const bytes = ffi.new<Bytes>("uint8_t[?]", room);
  ffi.copy(bytes, draft.bytes, used);
  draft.bytes = bytes;
  draft.room = room;
}

/** Adds text behind so many bytes. Returns how many there are then. */
function add_text(at: number, text: string): number {
  const after = at + text.length;
  if (after > draft.room) {
    grow(at, after);
  }
  ffi.copy((draft.bytes as unknown as number) + at, text, text.length);
  return after;
}

/** Appends a line, given in parts, of which the last must end with its newline. Returns whether the file took it whole. */
function append(file: AppendFile, parts: readonly (string | number)[]): boolean {
  let length = 0;
  if (file.broken) {
    draft.bytes[0] = NEWLINE;
    length = 1;
  }
  for (const part of parts) {
    length = add_text(length, tostring(part));
  }
  const written = tonumber(library.sluice_write(file.descriptor, draft.bytes, length))!;
  if (written === length) {
    file.broken = false;
    return true;
  }
  file.lost += 1;
  if (written > 0) file.broken = true;
  return false;
}

function same_file(file: AppendFile): boolean {
  if (file.descriptor < 0) return false;
  if (!path_status(file.path, of_path)) return false;
  if (!descriptor_status(file.descriptor, of_descriptor)) return false;
  return of_path.inode === of_descriptor.inode
    && of_path.device_major === of_descriptor.device_major
    && of_path.device_minor === of_descriptor.device_minor;
}

/** Closes the file. Lines appended after it count as lost until `check_append_file` opens it again. */
function close_append_file(file: AppendFile): void {
  if (file.descriptor >= 0) library.sluice_close(file.descriptor);
  file.descriptor = -1;
}

/**
 * Opens the file anew if its path now leads elsewhere or nowhere. Returns why it could not, for the error log; the old file, if
 * there was one, then stays in use.
 */
function renew_append_file(file: AppendFile): string | undefined {
  if (same_file(file)) return undefined;
  const [descriptor, reason] = open_path(file.path, file.mode);
  if (descriptor < 0) return reason;
  close_append_file(file);
  file.descriptor = descriptor;
  file.inode = inode_of(descriptor);
  file.broken = false;
  return undefined;
}

/** The same, but at most once a second: `now` is in seconds, on any clock that goes forward. */
function check_append_file(file: AppendFile, now: number): string | undefined {
  if (now - file.checked < CHECK_INTERVAL && now >= file.checked) return undefined;
  file.checked = now;
  return renew_append_file(file);
}

/** The lines lost since the last call, for a counter. */
function take_lost(file: AppendFile): number {
  const { lost } = file;
  file.lost = 0;
  return lost;
}

export { append, check_append_file, close_append_file, end_of, open_append_file, renew_append_file, take_lost };
export type { AppendFile };
