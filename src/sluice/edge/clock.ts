/**
 * The clocks, straight from the system: nginx's own time is cached once per event and counts milliseconds, too coarse for
 * measuring what the gateway adds. A call takes some tens of nanoseconds and enters no kernel.
 */

import * as ffi from "ffi";

interface Timespec {
  seconds: number;
  nanoseconds: number;
}

/** @noSelf */
interface ClockLibrary {
  sluice_clock_gettime(clock: number, time: Timespec): number;
}

// A name of our own for the type and the function: another module may have declared them, and twice is an error.
ffi.cdef(`
typedef struct { long seconds; long nanoseconds; } sluice_timespec;
int sluice_clock_gettime(int clock, sluice_timespec *time) __asm__("clock_gettime");
`);

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;

const library = ffi.C as ClockLibrary;
const time = ffi.new<Timespec>("sluice_timespec");

function read_clock(clock: number): number {
  library.sluice_clock_gettime(clock, time);
  return tonumber(time.seconds)! + tonumber(time.nanoseconds)! * 1e-9;
}

/** Seconds on a clock that only goes forward, with nanoseconds behind the point. Its zero means nothing. */
function monotonic(): number {
  return read_clock(CLOCK_MONOTONIC);
}

/** Seconds since 1970-01-01T00:00:00Z, good to about a quarter of a microsecond. It can be set, so it may jump. */
function realtime(): number {
  return read_clock(CLOCK_REALTIME);
}

/** nginx's own time: seconds since 1970, to the millisecond, as it was when nginx took up the present event. Its timers count from there. */
function loop_time(): number {
  return ngx.now();
}

export { loop_time, monotonic, realtime };
