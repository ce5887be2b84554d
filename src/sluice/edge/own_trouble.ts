/**
 * Troubles of this machine, or of this nginx, that look like a failure of the server that was to be reached: no connection, no file
 * descriptor, no local port, no memory is left for a new connection. nginx tells a request 500 or 502 then, and a socket of Lua's
 * gives a reason; none of it says anything of the server.
 */

import * as ffi from "ffi";

const match = string.match;

/** EADDRNOTAVAIL of Linux: every local port is in use towards that address. */
const NO_LOCAL_PORT = 99;

/**
 * What a socket of Lua's says then, in the C library's words and in small letters. `error` is what it says without an error of the
 * system's, which is when `worker_connections` are used up (see `forget_system_error`).
 */
const REASONS = new LuaTable<string, boolean>();
for (const reason of [
  "error", "no memory", "too many open files", "too many open files in system", "cannot allocate memory", "no buffer space available",
  "cannot assign requested address",
]) {
  REASONS.set(reason, true);
}

/** The number of the last error of a system call. Only right behind the call: any other may change it. */
function system_error(): number {
  return ffi.errno();
}

/** To be called before a socket connects: without connections nginx would else report the error of whatever call failed last. */
function forget_system_error(): void {
  ffi.errno(0);
}

/** Whether an error of the system's, behind a failed connection, says that no local port was free. */
function lacks_port(error: number): boolean {
  return error === NO_LOCAL_PORT;
}

/** Whether a connection failed for want of something on this side. `reason`: the socket's, perhaps behind words and a colon. */
function lacks_means(reason: string): boolean {
  return REASONS.has(match(reason, "([^: ][^:]*)$")[0] ?? "");
}

export { forget_system_error, lacks_means, lacks_port, system_error };
