/** Work on something large is done in slices, between which the worker serves others: when one of them ends. */

/** Of bytes that cost next to nothing, so many are handled at a time. */
const SLICE_BYTES = 262144;
/** Whatever it is, it goes on for so many seconds at a time. */
const SLICE_SECONDS = 0.005;

/** The slice at hand: when it has begun, in seconds on a clock that only goes forward, and how many bytes it has had. */
interface Slice {
  began: number;
  bytes: number;
}

function begin_slice(now: number): Slice {
  return { began: now, bytes: 0 };
}

/** So many more bytes have been handled. Returns whether others are to be served now; afterwards `begin_again`. */
function is_over(slice: Slice, bytes: number, now: number): boolean {
  slice.bytes += bytes;
  return slice.bytes >= SLICE_BYTES || now - slice.began >= SLICE_SECONDS;
}

function begin_again(slice: Slice, now: number): void {
  slice.began = now;
  slice.bytes = 0;
}

export { SLICE_BYTES, begin_again, begin_slice, is_over };
export type { Slice };
