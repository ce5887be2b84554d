import * as ffi from "ffi";

/**
 * Reading whole files, and telling when one has changed. Linux, with glibc from 2.28 or musl from 1.2.3:
 * `statx` is used because its structure is the same on every machine, while that of `stat` is not.
 *
 * Only regular files are read: a pipe would stop the worker until someone writes to it.
 */

/** Larger files are refused, in bytes. */
const MOST_BYTES = 67108864;

const HERE = -100;
/** Type, times, inode and size (STATX_TYPE, _MTIME, _CTIME, _INO, _SIZE). */
const WANTED = 0x3c1;
const TYPE_BITS = 0xf000;
const REGULAR = 0x8000;
const FOLDER = 0x4000;

interface FileStatus {
  mode: number;
  inode: number;
  size: number;
  changed_seconds: number;
  changed_nanoseconds: number;
  modified_seconds: number;
  modified_nanoseconds: number;
}

/** @noSelf */
interface StatusLibrary {
  sluice_file_status(folder: number, path: string, flags: number, wanted: number, result: FileStatus): number;
}

ffi.cdef(`
typedef struct {
  uint8_t before_mode[28];
  uint16_t mode;
  uint8_t before_inode[2];
  uint64_t inode;
  uint64_t size;
  uint8_t before_change[48];
  int64_t changed_seconds;
  uint32_t changed_nanoseconds;
  uint32_t after_change;
  int64_t modified_seconds;
  uint32_t modified_nanoseconds;
  uint8_t rest[132];
} sluice_file_status_result;
int sluice_file_status(int folder, const char *path, int flags, unsigned int wanted, sluice_file_status_result *result)
  __asm__("statx");
`);

const status = ffi.new<FileStatus>("sluice_file_status_result");

/** Fills `status`; `false` if there is no such file, or it can't be reached. */
function read_status(path: string): boolean {
  return (ffi.C as StatusLibrary).sluice_file_status(HERE, path, 0, WANTED, status) === 0;
}

/** A text that changes whenever the file does: modified, changed, size and inode. `undefined` if there is no such file. */
function stamp(path: string): string | undefined {
  if (!read_status(path)) {
    return undefined;
  }
  return string.format(
    "%.0f.%09d:%.0f.%09d:%.0f:%.0f",
    tonumber(status.modified_seconds),
    status.modified_nanoseconds,
    tonumber(status.changed_seconds),
    status.changed_nanoseconds,
    tonumber(status.size),
    tonumber(status.inode),
  );
}

/**
 * The whole of a regular file of at most 64 MiB, or `undefined` and a reason to show, without the path. It
 * blocks while the disk is read.
 */
function read_file(path: string): LuaMultiReturn<[text: string | undefined, reason: string | undefined]> {
  if (read_status(path)) {
    const type = status.mode & TYPE_BITS;
    if (type !== REGULAR) {
      return $multi(undefined, type === FOLDER ? "it is a folder" : "it is not a regular file");
    }
    if ((tonumber(status.size) ?? 0) > MOST_BYTES) {
      return $multi(undefined, `it is larger than ${MOST_BYTES / 1048576} MiB`);
    }
  }
  const [file, reason] = io.open(path, "rb");
  if (file === undefined) {
    const [without_path] = string.match(reason ?? "", ": ([^:]*)$");
    return $multi(undefined, without_path ?? "");
  }
  const text = file.read(MOST_BYTES + 1);
  file.close();
  if (text !== undefined && text.length > MOST_BYTES) {
    return $multi(undefined, `it is larger than ${MOST_BYTES / 1048576} MiB`);
  }
  return $multi(text ?? "", undefined);
}

export { read_file, stamp };
