/** Whether another process of this nginx is alive. Linux. */

import * as ffi from "ffi";
import { monotonic } from "./clock";

/** @noSelf */
interface ProcessLibrary {
  sluice_getppid(): number;
  sluice_kill(process: number, signal: number): number;
}

ffi.cdef(`
int sluice_getppid(void) __asm__("getppid");
int sluice_kill(int process, int signal) __asm__("kill");
`);

const NOT_PERMITTED = 1;
const library = ffi.C as ProcessLibrary;

/** The process that started that one; undefined: there is no such process, or it has ended and only waits to be noticed. */
function parent_of(process: number | "self"): number | undefined {
  const [file] = io.open(`/proc/${process}/stat`, "rb");
  if (file === undefined) {
    return undefined;
  }
  const text = file.read(512) ?? "";
  file.close();
  // The name in brackets may hold anything.
  const [state, parent] = string.match(text, "^.*%) (%a) (%d+)");
  return state === undefined || state === "Z" || state === "X" ? undefined : tonumber(parent);
}

/** Whether a process can be looked at now. */
function can_look(): boolean {
  return parent_of("self") !== undefined;
}

const SEARCH = { done: false, found: false };

/** Whether there is a /proc to ask. */
function has_proc(): boolean {
  if (!SEARCH.done) {
    SEARCH.done = true;
    SEARCH.found = parent_of("self") !== undefined;
  }
  return SEARCH.found;
}

/** Whether there is any process of that number, ours or not. */
function exists(process: number): boolean {
  return library.sluice_kill(process, 0) === 0 || ffi.errno() === NOT_PERMITTED;
}

/** When a process was last found alive, by its number: looking costs some twenty microseconds. */
const seen = new LuaTable<number, number>();
const SEEN_SECONDS = 0.2;

/**
 * Whether the process is a worker of the same master as this one, and alive; it may have died in the last fifth of a
 * second.
 */
function is_worker_alive(process: number): boolean {
  const now = monotonic();
  const last = seen.get(process) as number | undefined;
  if (last !== undefined && now - last < SEEN_SECONDS) {
    return true;
  }
  const parent = has_proc() ? parent_of(process) : undefined;
  // Without a file descriptor to look with, what exists is taken for one of ours.
  const alive = parent !== undefined ? parent === library.sluice_getppid() : exists(process) && !(has_proc() && can_look());
  if (alive) {
    seen.set(process, now);
  } else {
    seen.delete(process);
  }
  return alive;
}

export { is_worker_alive };
