/** Up to where of the usage journal all is settled in the Redis that several nodes share: known over a restart. */

import { end_of, renew_append_file } from "../edge/append_file";
import { monotonic, realtime } from "../edge/clock";
import { read_file, stamp } from "../edge/file";
import { write_private } from "../edge/mapped_file";
import { list_whole_log } from "../edge/rotated_files";
import { lock, unlock } from "../limit/lock";
import { QUEUE } from "../limit/redis_store";
import { place_text, read_place } from "../limit/settled_file";
import { added_file, create_queue, is_missed, note_added, note_all_settled, note_missed, settled_place, waiting } from "../limit/settlement_queue";
import { gateway } from "./gateway";
import type { Place, SettlementQueue } from "../limit/settlement_queue";
import type { SharedStore } from "../metrics/aggregate";
import type { Shared } from "./shared_store";

const SAVE_SECONDS = 1;
const FILE = "settled";

function journal_path(): string {
  return `${gateway().run_directory}/logs/usage.jsonl`;
}

/** Where the journal ends now. The inode is 0 if there is none. */
function journal_end(this: void): LuaMultiReturn<[file: number, offset: number]> {
  const { journal } = gateway();
  const end = journal !== undefined ? end_of(journal) : -1;
  if (end < 0) {
    return $multi(0, 0);
  }
  return $multi(journal!.inode, end);
}

/**
 * Opens the journal anew if others have written to another file: that of this inode, 0 if there is none. When a log is rotated, its
 * new file is noticed by one worker sooner than by another; from its first line on nobody may write to the old one any more. Returns
 * false if it can't be opened.
 */
function follow_journal(this: void, file: number): boolean {
  const { journal } = gateway();
  // If that fails, the old file goes on, and what looks after the journal every second says so.
  return journal === undefined || file === 0 || journal.inode === file || renew_append_file(journal) === undefined;
}

/**
 * Has nobody write to any but the journal's newest file from now on, with the lock held. Returns why that can't be. All before its end
 * must be in the list, or behind what is missed.
 */
function leave_older_files(queue: SettlementQueue): string | undefined {
  const { journal } = gateway();
  const reason = journal !== undefined ? renew_append_file(journal) : undefined;
  const [file, offset] = journal_end();
  if (reason !== undefined || file === 0) {
    return reason ?? `${journal_path()}: is not open`;
  }
  note_added(queue, file, offset);
  return undefined;
}

/** If nothing waits, all is settled up to the journal's end. */
function note_settled(shared: Shared): void {
  const { queue, store } = shared;
  if (waiting(queue) > 0 || is_missed(queue)) {
    return;
  }
  const [place] = settled_place(queue);
  const [file, offset] = journal_end();
  if ((place.file !== file || place.offset !== offset) && lock(store.lockable, QUEUE)) {
    if (follow_journal(added_file(queue)) && waiting(queue) === 0 && !is_missed(queue)) {
      const [last_file, last_offset] = journal_end();
      note_all_settled(queue, last_file, last_offset, realtime());
    }
    unlock(store.lockable, QUEUE);
  }
}

/** Writes down up to where all is settled, at most once a second. */
function save_place(shared: Shared, at_exit: boolean): void {
  const { queue, store } = shared;
  const now = monotonic();
  if ((now - shared.saved_at < SAVE_SECONDS && !at_exit) || !lock(store.lockable, QUEUE)) {
    return;
  }
  const [place, time] = settled_place(queue);
  unlock(store.lockable, QUEUE);
  const text = place_text(place, time);
  shared.saved_at = now;
  if (text === shared.saved) {
    return;
  }
  const reason = write_private(`${gateway().run_directory}/state`, FILE, text, text.length);
  if (reason !== undefined) {
    ngx.log(ngx.ERR, "sluice: up to where all is settled can't be written down: ", reason);
  }
  shared.saved = text;
}

/** Where the journal ends that an earlier gateway wrote; or why that can't be found out. */
function journal_file_end(): LuaMultiReturn<[place: Place, reason: string | undefined]> {
  const { complaint, plain } = list_whole_log(journal_path());
  for (const { at_path, inode, size } of plain) {
    if (at_path) {
      return $multi({ file: tonumber(inode)!, offset: size }, undefined);
    }
  }
  return $multi({ file: 0, offset: 0 }, complaint);
}

/**
 * At the start of the whole gateway: makes the list of settlements, and has what the journal says behind the settled place taken to
 * Redis. Returns why it can't be, if Redis can't be used at all here.
 */
function restore_settlements(dictionary: SharedStore | undefined, missing: string | undefined): string | undefined {
  if (dictionary === undefined) {
    return missing;
  }
  if (!create_queue(dictionary)) {
    return undefined;
  }
  const queue: SettlementQueue = { dictionary, process: 0, is_alive: () => false };
  const { run_directory } = gateway();
  const path = `${run_directory}/state/${FILE}`;
  const [text, unread] = read_file(path);
  if (text === undefined && stamp(path) !== undefined) {
    return `${path}: ${unread}`;
  }
  const [place, time] = read_place(text ?? "");
  if (place === undefined) {
    // What is in the journal already belongs to another time.
    ngx.log(ngx.NOTICE, "sluice: nothing of the usage journal so far is taken to Redis: ", path, ": ", unread ?? "is none of ours");
    const [end, unknown] = journal_file_end();
    if (unknown !== undefined) {
      return unknown;
    }
    const now = realtime();
    note_all_settled(queue, end.file, end.offset, now);
    const begun = place_text(end, now);
    return write_private(`${run_directory}/state`, FILE, begun, begun.length);
  }
  note_all_settled(queue, place.file, place.offset, time);
  note_missed(queue, place.file, place.offset);
  return undefined;
}

export { follow_journal, journal_end, journal_path, leave_older_files, note_settled, restore_settlements, save_place };
