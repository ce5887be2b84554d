/** What a command that runs beside the gateway asks of its machine: to wait, the machine's name, where a file really is. */

import * as ffi from "ffi";

/** @noSelf */
interface HostLibrary {
  sluice_host_poll(descriptors: unknown, count: number, milliseconds: number): number;
  sluice_host_name(name: Bytes, length: number): number;
  sluice_host_real_path(path: string, resolved: unknown): unknown;
  sluice_host_free(memory: unknown): void;
}

ffi.cdef(`
int sluice_host_poll(void *descriptors, unsigned long count, int milliseconds) __asm__("poll");
int sluice_host_name(uint8_t *name, size_t length) __asm__("gethostname");
char *sluice_host_real_path(const char *path, char *resolved) __asm__("realpath");
void sluice_host_free(void *memory) __asm__("free");
`);

const library = ffi.C as HostLibrary;

/** Waits. It stops the whole process, so it is not for a worker of nginx. */
function sleep(seconds: number): void {
  library.sluice_host_poll(undefined, 0, math.ceil(seconds * 1000));
}

/** The machine's name, as `hostname` prints it. */
function host_name(): string {
  const name = ffi.new<Bytes>("uint8_t[256]");
  return library.sluice_host_name(name, 255) === 0 ? ffi.string(name) : "localhost";
}

/** The path from the root, without symbolic links; undefined if there is nothing there. */
function real_path(path: string): string | undefined {
  const resolved = library.sluice_host_real_path(path, undefined);
  // A null pointer equals nil.
  if (resolved === undefined) {
    return undefined;
  }
  const text = ffi.string(resolved);
  library.sluice_host_free(resolved);
  return text;
}

export { host_name, real_path, sleep };
