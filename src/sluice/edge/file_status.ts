/**
 * What the system says of a file: `statx` (Linux, with glibc from 2.28 or musl from 1.2.3), because its structure is the same on
 * every machine, while that of `stat` is not.
 */

import * as ffi from "ffi";

interface FileStatus {
  owner: number;
  group: number;
  mode: number;
  /** 64 bits, not a plain number: see `tonumber`. */
  inode: unknown;
  size: number;
  changed_seconds: number;
  changed_nanoseconds: number;
  modified_seconds: number;
  modified_nanoseconds: number;
  device_major: number;
  device_minor: number;
}

/** @noSelf */
interface StatusLibrary {
  sluice_statx(folder: number, path: string, flags: number, wanted: number, result: FileStatus): number;
}

ffi.cdef(`
typedef struct {
  uint8_t before_owner[20];
  uint32_t owner, group;
  uint16_t mode;
  uint8_t before_inode[2];
  uint64_t inode, size;
  uint8_t before_change[48];
  int64_t changed_seconds;
  uint32_t changed_nanoseconds, after_change;
  int64_t modified_seconds;
  uint32_t modified_nanoseconds;
  uint8_t before_device[12];
  uint32_t device_major, device_minor;
  uint8_t rest[112];
} sluice_file_status;
int sluice_statx(int folder, const char *path, int flags, unsigned int wanted, sluice_file_status *result) __asm__("statx");
`);

/** AT_FDCWD and AT_EMPTY_PATH. */
const HERE = -100;
const OF_DESCRIPTOR = 0x1000;
/** STATX_BASIC_STATS. */
const WANTED = 0x7ff;

const TYPE_BITS = 0xf000;
const REGULAR = 0x8000;
const FOLDER = 0x4000;

const library = ffi.C as StatusLibrary;

function new_status(): FileStatus {
  const status = ffi.new<FileStatus>("sluice_file_status");
  return status;
}

/** Fills in the status of what a path leads to; `false` if there is nothing, or it can't be reached. */
function path_status(path: string, status: FileStatus): boolean {
  return library.sluice_statx(HERE, path, 0, WANTED, status) === 0;
}

/** Fills in the status of an open file. */
function descriptor_status(descriptor: number, status: FileStatus): boolean {
  return library.sluice_statx(descriptor, "", OF_DESCRIPTOR, WANTED, status) === 0;
}

function is_regular(status: FileStatus): boolean {
  return (status.mode & TYPE_BITS) === REGULAR;
}

function is_folder(status: FileStatus): boolean {
  return (status.mode & TYPE_BITS) === FOLDER;
}

export { descriptor_status, is_folder, is_regular, new_status, path_status };
