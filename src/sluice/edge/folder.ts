/** What is in a folder that processes share, and agreeing who of them works on what. Linux on 64-bit machines. */

import * as ffi from "ffi";

/** An entry of a folder, as the C library gives it. */
interface Entry {
  name: unknown;
}

/** @noSelf */
interface FolderLibrary {
  sluice_folder_open(path: string): unknown;
  sluice_folder_read(folder: unknown): Entry | undefined;
  sluice_folder_close(folder: unknown): number;
  sluice_folder_remove(path: string): number;
  sluice_folder_reason(code: number): unknown;
  sluice_folder_signal(process: number, signal: number): number;
  sluice_lock_folder(path: string, mode: number): number;
  sluice_lock_open(path: string, flags: number, mode: unknown): number;
  sluice_lock(descriptor: number, operation: number): number;
  sluice_lock_close(descriptor: number): number;
}

ffi.cdef(`
typedef struct { uint64_t inode; int64_t offset; uint16_t length; uint8_t type; char name[256]; } sluice_folder_entry;
void *sluice_folder_open(const char *path) __asm__("opendir");
sluice_folder_entry *sluice_folder_read(void *folder) __asm__("readdir");
int sluice_folder_close(void *folder) __asm__("closedir");
int sluice_folder_remove(const char *path) __asm__("unlink");
char *sluice_folder_reason(int code) __asm__("strerror");
int sluice_folder_signal(int process, int signal) __asm__("kill");
int sluice_lock_folder(const char *path, unsigned int mode) __asm__("mkdir");
int sluice_lock_open(const char *path, int flags, ...) __asm__("open");
int sluice_lock(int descriptor, int operation) __asm__("flock");
int sluice_lock_close(int descriptor) __asm__("close");
`);

const library = ffi.C as FolderLibrary;

/** ESRCH. */
const NO_SUCH_PROCESS = 3;
/** EWOULDBLOCK. */
const TAKEN = 11;
/** O_RDWR | O_CREAT | O_CLOEXEC. */
const LOCK_FLAGS = 0x80042;
/** LOCK_EX | LOCK_NB. */
const EXCLUSIVE = 6;

function reason_of(path: string, code: number): string {
  return `${path}: can't be read: ${ffi.string(library.sluice_folder_reason(code))}`;
}

/** The names of a folder's files and folders, sorted; and why some or all are missing, if it can't be read. */
function read_folder(path: string): LuaMultiReturn<[names: string[], reason: string | undefined]> {
  const names: string[] = [];
  const folder = library.sluice_folder_open(path);
  // A null pointer equals nil.
  if (folder === undefined) {
    return $multi(names, reason_of(path, ffi.errno()));
  }
  // Its end looks like an error, but leaves the error's number as it was.
  ffi.errno(0);
  let entry = library.sluice_folder_read(folder);
  while (entry !== undefined) {
    const name = ffi.string(entry.name);
    if (name !== "." && name !== "..") {
      names.push(name);
    }
    ffi.errno(0);
    entry = library.sluice_folder_read(folder);
  }
  const code = ffi.errno();
  library.sluice_folder_close(folder);
  table.sort(names);
  return $multi(names, code !== 0 ? reason_of(path, code) : undefined);
}

/** The names of a folder's files and folders, sorted; none if it can't be read. */
function list_folder(path: string): string[] {
  const [names] = read_folder(path);
  return names;
}

/** Removes a file, if it is there and may be removed. */
function remove_file(path: string): void {
  library.sluice_folder_remove(path);
}

/** Whether a process of that number is running, whoever's it is. */
function is_running(process: number): boolean {
  return library.sluice_folder_signal(process, 0) === 0 || ffi.errno() !== NO_SUCH_PROCESS;
}

/**
 * Takes the lock that a file stands for, without waiting. The folder is made if there is none. Returns a number for
 * `unlock_file`; undefined if another process has it; -1 if there can be no such lock, as where the folder can't be written to. It is given back when the process ends, too.
 */
function lock_file(folder: string, name: string): number | undefined {
  library.sluice_lock_folder(folder, 0x1c0);
  const descriptor = library.sluice_lock_open(`${folder}/${name}`, LOCK_FLAGS, ffi.cast("int", 0x180));
  if (descriptor < 0) {
    return -1;
  }
  if (library.sluice_lock(descriptor, EXCLUSIVE) === 0) {
    return descriptor;
  }
  const taken = ffi.errno() === TAKEN;
  library.sluice_lock_close(descriptor);
  return taken ? undefined : -1;
}

/**
 * Gives a lock back. The file goes first: who waits for it then gets a lock that nobody else can see any more, so two
 * may work at once if a third comes just then. They have to look whether the work is done.
 */
function unlock_file(folder: string, name: string, lock: number): void {
  if (lock >= 0) {
    library.sluice_folder_remove(`${folder}/${name}`);
    library.sluice_lock_close(lock);
  }
}

export { is_running, list_folder, lock_file, read_folder, remove_file, unlock_file };
