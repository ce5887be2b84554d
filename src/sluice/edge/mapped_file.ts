/**
 * Files that are mapped into memory, read-only: all processes that map one share the same pages, and nothing is read
 * before it is used. Linux on x86-64 and arm64.
 *
 * A process that looks at a page of a file that was cut short meanwhile is killed (SIGBUS). So only files are mapped that
 * `write_private` wrote, in a folder that is ours: they get their name when they are complete and are never written to
 * again. A file that is removed or replaced stays in memory as it was until nobody maps it.
 */

import * as ffi from "ffi";
import { descriptor_status, is_regular, new_status, path_status } from "./file_status";

/** @noSelf */
interface MapLibrary {
  sluice_map_open(path: string, flags: number, mode: unknown): number;
  sluice_map_write(descriptor: number, data: unknown, length: number): number;
  sluice_map_close(descriptor: number): number;
  sluice_map_own(descriptor: number, owner: number, group: number): number;
  sluice_mmap(address: unknown, length: number, protection: number, flags: number, descriptor: number, offset: number): unknown;
  sluice_munmap(address: unknown, length: number): number;
  sluice_map_folder(path: string, mode: number): number;
  sluice_map_rename(from: string, to: string): number;
  sluice_map_remove(path: string): number;
  sluice_map_user(): number;
  sluice_map_process(): number;
  sluice_map_error(code: number): unknown;
}

ffi.cdef(`
int sluice_map_open(const char *path, int flags, ...) __asm__("open");
ssize_t sluice_map_write(int descriptor, const void *data, size_t length) __asm__("write");
int sluice_map_close(int descriptor) __asm__("close");
int sluice_map_own(int descriptor, unsigned int owner, unsigned int group) __asm__("fchown");
void *sluice_mmap(void *address, size_t length, int protection, int flags, int descriptor, long offset) __asm__("mmap");
int sluice_munmap(void *address, size_t length) __asm__("munmap");
int sluice_map_folder(const char *path, unsigned int mode) __asm__("mkdir");
int sluice_map_rename(const char *from, const char *to) __asm__("rename");
int sluice_map_remove(const char *path) __asm__("unlink");
unsigned int sluice_map_user(void) __asm__("geteuid");
int sluice_map_process(void) __asm__("getpid");
char *sluice_map_error(int code) __asm__("strerror");
`);

const library = ffi.C as MapLibrary;
const status = new_status();

/** ENOENT and ENOTDIR. */
const NOT_FOUND = 2;
const NOT_A_FOLDER = 20;
const EXISTS = 17;
const INTERRUPTED = 4;
const TOO_MANY_LINKS = 40;

declare const jit: { arch: string };
/** O_NOFOLLOW is one of the few flags that differ between the two. */
const NO_FOLLOW = jit.arch === "x64" ? 0x20000 : 0x8000;
/** O_RDONLY | O_CLOEXEC | O_NONBLOCK: a pipe must not stop us. */
const TO_READ = 0x80800 + NO_FOLLOW;
/** O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC. */
const TO_WRITE = 0x800c1 + NO_FOLLOW;
const PROTECTION_READ = 1;
const SHARED = 1;

/** A file's bytes in memory; they stay there as long as this object does. */
interface Mapped {
  pointer: Bytes;
  bytes: number;
}

function system_reason(): string {
  return ffi.string(library.sluice_map_error(ffi.errno()));
}

/** The folder of a path. */
function folder_of(path: string): string {
  const [folder] = string.match(path, "^(.*)/[^/]*$");
  return folder === undefined ? "." : folder === "" ? "/" : folder;
}

/** Whether a file with that owner can't be changed by anyone but us, root, or the user that root has given the folder to. */
function is_ours(owner: number, path: string): boolean {
  const user = library.sluice_map_user();
  if (owner === user || owner === 0) {
    return true;
  }
  return user === 0 && path_status(folder_of(path), status) && status.owner === owner;
}

/** Why an open file must not be mapped, or its size in bytes. */
function check_file(descriptor: number, path: string): LuaMultiReturn<[bytes: number, reason: string | undefined]> {
  if (!descriptor_status(descriptor, status)) {
    return $multi(0, system_reason());
  }
  const bytes = tonumber(status.size)!;
  if (!is_regular(status)) {
    return $multi(0, "it is not a regular file");
  }
  if (!is_ours(status.owner, path)) {
    return $multi(0, "it belongs to another user");
  }
  return $multi(bytes, bytes === 0 ? "it is empty" : undefined);
}

function map_descriptor(descriptor: number, bytes: number): LuaMultiReturn<[mapped: Mapped | undefined, reason: string | undefined]> {
  const address = library.sluice_mmap(undefined, bytes, PROTECTION_READ, SHARED, descriptor, 0);
  if (tonumber(ffi.cast("intptr_t", address)) === -1) {
    return $multi(undefined, system_reason());
  }
  const pointer = ffi.gc(ffi.cast<Bytes>("uint8_t *", address), (given) => {
    library.sluice_munmap(given, bytes);
  });
  return $multi({ pointer, bytes }, undefined);
}

/**
 * Maps a file that `write_private` wrote. Returns undefined and a reason with the path if it can't be mapped; no reason, if there is
 * no such file. Whoever uses the pointer, or one into the bytes, has to keep the object.
 */
function map_file(path: string): LuaMultiReturn<[mapped: Mapped | undefined, reason: string | undefined]> {
  const descriptor = library.sluice_map_open(path, TO_READ, ffi.cast("int", 0));
  if (descriptor < 0) {
    const code = ffi.errno();
    const told = code === TOO_MANY_LINKS ? "it is a symbolic link" : ffi.string(library.sluice_map_error(code));
    return $multi(undefined, code === NOT_FOUND || code === NOT_A_FOLDER ? undefined : `${path}: ${told}`);
  }
  const [bytes, objection] = check_file(descriptor, path);
  if (objection !== undefined) {
    library.sluice_map_close(descriptor);
    return $multi(undefined, `${path}: ${objection}`);
  }
  const [mapped, reason] = map_descriptor(descriptor, bytes);
  library.sluice_map_close(descriptor);
  return $multi(mapped, mapped === undefined ? `${path}: ${reason}` : undefined);
}

/** Writes all bytes; returns why it couldn't. */
function write_all(descriptor: number, data: unknown, count: number): string | undefined {
  const start = ffi.cast("const uint8_t *", data) as unknown as number;
  let done = 0;
  while (done < count) {
    const written = tonumber(library.sluice_map_write(descriptor, start + done, count - done))!;
    if (written < 0 && ffi.errno() !== INTERRUPTED) {
      return `${system_reason()}, with ${done} of ${count} bytes written`;
    }
    done += written > 0 ? written : 0;
  }
  return undefined;
}

/** Root gives what it wrote to the user that the folder belongs to: a worker may be the next to want it. */
function hand_over(descriptor: number, folder: string): void {
  const user = library.sluice_map_user();
  if (user === 0 && path_status(folder, status) && status.owner !== 0) {
    library.sluice_map_own(descriptor, status.owner, status.group);
  }
}

/**
 * Writes a file that only its owner may read, whole or not at all, in place of one of that name. The folder is made if
 * there is none. `data` is a text or a pointer. Returns why it couldn't, with the path.
 */
function write_private(folder: string, name: string, data: unknown, count: number): string | undefined {
  if (library.sluice_map_folder(folder, 0x1c0) !== 0 && ffi.errno() !== EXISTS) {
    return `${folder}: ${system_reason()}`;
  }
  const path = `${folder}/${name}`;
  const unfinished = `${path}.${library.sluice_map_process()}.new`;
  // A process of the same number may have left one.
  library.sluice_map_remove(unfinished);
  const descriptor = library.sluice_map_open(unfinished, TO_WRITE, ffi.cast("int", 0x180));
  if (descriptor < 0) {
    return `${path}: ${system_reason()}`;
  }
  hand_over(descriptor, folder);
  let reason = write_all(descriptor, data, count);
  if (library.sluice_map_close(descriptor) !== 0 && reason === undefined) {
    reason = system_reason();
  }
  if (reason === undefined && library.sluice_map_rename(unfinished, path) !== 0) {
    reason = system_reason();
  }
  if (reason !== undefined) {
    library.sluice_map_remove(unfinished);
    return `${path}: ${reason}`;
  }
  return undefined;
}

export { map_file, write_private };
export type { Mapped };
