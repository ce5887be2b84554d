/** How the tables of characters lie that tools/make_fold.mjs writes: by page of 128 code points. Pages that are the same lie there once. */

import * as ffi from "ffi";

const gmatch = string.gmatch;

const PAGE_SIZE = 128;
const PAGE_BITS = 7;
/** Pages of all planes. */
const PAGE_COUNT = 8704;
const LAST_CODE_POINT = 0x10ffff;

/** As many integers as a text has, `5*3` being three, each times `factor`. */
function read_runs(text: string, count: number, factor: number): Int32Buffer {
  const made = ffi.new<Int32Buffer>("int32_t[?]", count);
  let at = 0;
  for (const [value, times] of gmatch(text, "(-?%d+)%*?(%d*)")) {
    const entry = tonumber(value)! * factor;
    for (const _ of $range(1, tonumber(times) ?? 1)) {
      made[at] = entry;
      at += 1;
    }
  }
  return made;
}

/** Where each page of the code points begins in the table of pages. */
function read_index(text: string): Int32Buffer {
  return read_runs(text, PAGE_COUNT, PAGE_SIZE);
}

/** The table of pages. */
function read_pages(text: string, page_count: number): Int32Buffer {
  return read_runs(text, page_count * PAGE_SIZE, 1);
}

export { LAST_CODE_POINT, PAGE_BITS, PAGE_COUNT, PAGE_SIZE, read_index, read_pages };
