/** Finds in the usage journal what never got onto the list of settlements, and has it settled. */

import { read_slice } from "../edge/log_slice";
import { lock, unlock } from "../limit/lock";
import { QUEUE } from "../limit/redis_store";
import { settlement_of_line } from "../limit/settlement";
import { end_missed, is_still_missed, missed_place, move_missed, note_readable, settled_place } from "../limit/settlement_queue";
import { add } from "../metrics/registry";
import { gateway } from "./gateway";
import { journal_path, leave_older_files } from "./settled_place";
import type { Slice } from "../edge/log_slice";
import type { Settlement } from "../limit/settlement";
import type { Missed, SettlementQueue } from "../limit/settlement_queue";
import type { Shared } from "./shared_store";

/** Clocks jump, and a line is written after its request has ended: so many seconds are read twice rather than not at all. */
const SLACK_SECONDS = 60;

/** Settles requests. Returns whether that succeeded. */
type Settle = (this: void, shared: Shared, found: Settlement[]) => boolean;

/** Says once that the journal can't be read, and once that it can be again. */
function report(queue: SettlementQueue, complaint: string | undefined): void {
  if (!note_readable(queue, complaint === undefined)) {
    return;
  }
  if (complaint !== undefined) {
    ngx.log(ngx.ERR, "sluice: requests wait to be settled that are only in the usage journal, which can't be read: ", complaint);
  } else {
    ngx.log(ngx.WARN, "sluice: the usage journal can be read again");
  }
}

/** The time from which on requests may not be settled, whatever place they have in the journal. */
function since_of(queue: SettlementQueue, missed: Missed): number {
  const [, time] = settled_place(queue);
  return missed.since > 0 ? missed.since : math.max(1, time - SLACK_SECONDS);
}

/** Reads the next part of what was missed; undefined if the journal can't be read. */
function read_missed(queue: SettlementQueue, missed: Missed): LuaMultiReturn<[slice: Slice | undefined, found: Settlement[]]> {
  const found: Settlement[] = [];
  // Where the place is known, it decides, and no clock that was set.
  const [slice, complaint] = read_slice(journal_path(), missed.file, missed.offset, since_of(queue, missed), (line, inode, line_end) => {
    const settlement = settlement_of_line(line, missed.since, inode, line_end);
    if (settlement !== undefined) {
      found.push(settlement);
    }
  });
  report(queue, complaint);
  return $multi(slice, found);
}

/** The file in which something was missed is gone. What is in compressed ones is not read. */
function report_gone(slice: Slice): void {
  if (slice.compressed > 0) {
    add(gateway().catalogue.journal_passed_over.with([]), slice.compressed);
    ngx.log(
      ngx.ALERT, "sluice: the file of the usage journal that was to be read next is gone; ", slice.compressed,
      " compressed ones are passed over, which may have requests that are not settled in Redis",
    );
  }
}

/**
 * There are no more lines in a file, as it seems: looks again, with the lock held, so that nobody adds any, and goes on in the next file,
 * or is done. Returns whether the journal can be read.
 */
function end_file(queue: SettlementQueue, before: Missed): boolean {
  const missed = missed_place(queue);
  if (missed === undefined || !is_still_missed(queue, before)) {
    return true;
  }
  const [slice] = read_missed(queue, missed);
  if (slice === undefined) {
    return false;
  }
  if (slice.found === "log_end") {
    end_missed(queue, missed);
  } else if (slice.found === "file_end") {
    const reason = leave_older_files(queue);
    if (reason !== undefined) {
      report(queue, reason);
      return false;
    }
    move_missed(queue, missed, slice.file, slice.offset, missed.since);
  }
  return true;
}

/** Settles a part of what was missed. Returns whether that succeeded, and whether the journal can be read. */
function catch_up(shared: Shared, settle: Settle): LuaMultiReturn<[settled: boolean, readable: boolean]> {
  const { queue, store } = shared;
  const missed = missed_place(queue);
  if (missed === undefined) {
    return $multi(true, true);
  }
  const [slice, found] = read_missed(queue, missed);
  if (slice === undefined) {
    return $multi(true, false);
  }
  if (found.length > 0) {
    if (!settle(shared, found)) {
      return $multi(false, true);
    }
    ngx.log(ngx.NOTICE, "sluice: took ", found.length, " requests of the usage journal to Redis");
  }
  report_gone(slice);
  if (!lock(store.lockable, QUEUE)) {
    return $multi(false, true);
  }
  let readable = true;
  if (slice.found === "lines") {
    move_missed(queue, missed, slice.file, slice.offset, missed.since);
  } else if (slice.found === "gone") {
    move_missed(queue, missed, slice.file, slice.offset, since_of(queue, missed));
  } else {
    readable = end_file(queue, missed);
  }
  unlock(store.lockable, QUEUE);
  return $multi(true, readable);
}

export { catch_up };
