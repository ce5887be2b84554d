/**
 * Memory that a process shares with those that it forks: what one writes, the others see. nginx's master makes it in init, its workers
 * inherit it. A reload by SIGHUP makes a new one; the old workers go on with the old one. Linux on x86-64 and arm64.
 */

import * as ffi from "ffi";

/** @noSelf */
interface SharedMemoryLibrary {
  sluice_shared_map(address: unknown, length: number, protection: number, flags: number, descriptor: number, offset: number): unknown;
  sluice_shared_unmap(address: unknown, length: number): number;
}

ffi.cdef(`
void *sluice_shared_map(void *address, size_t length, int protection, int flags, int descriptor, long offset) __asm__("mmap");
int sluice_shared_unmap(void *address, size_t length) __asm__("munmap");
`);

const library = ffi.C as SharedMemoryLibrary;

/** PROT_READ | PROT_WRITE, and MAP_SHARED | MAP_ANONYMOUS. */
const READ_AND_WRITE = 3;
const SHARED_AND_ANONYMOUS = 0x21;

/** So many bytes, all 0, which take up memory as they are used; undefined if the system has none. They stay as long as the pointer does. */
function share_memory(bytes: number): Int32Buffer | undefined {
  const address = library.sluice_shared_map(undefined, bytes, READ_AND_WRITE, SHARED_AND_ANONYMOUS, -1, 0);
  if (tonumber(ffi.cast("intptr_t", address)) === -1) {
    return undefined;
  }
  return ffi.gc(ffi.cast<Int32Buffer>("int32_t *", address), (given) => {
    library.sluice_shared_unmap(given, bytes);
  });
}

export { share_memory };
