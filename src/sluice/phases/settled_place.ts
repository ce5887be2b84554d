/** Up to where of the usage journal all is settled in the Redis that several nodes share: known over a restart. */

import { end_of } from "../edge/append_file";
import { monotonic, realtime } from "../edge/clock";
import { read_file } from "../edge/file";
import { write_private } from "../edge/mapped_file";
import { list_log } from "../edge/rotated_files";
import { lock, unlock } from "../limit/memory_store";
import { QUEUE } from "../limit/redis_store";
import { place_text, read_place } from "../limit/settled_file";
import { create_queue, missed_place, note_all_settled, note_missed, restore_place, settled_place, waiting } from "../limit/settlement_queue";
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

/** If nothing waits, all is settled up to the journal's end. */
function note_settled(shared: Shared): void {
  const { queue, store } = shared;
  if (waiting(queue) > 0 || missed_place(queue) !== undefined) {
    return;
  }
  const [place] = settled_place(queue);
  const [file, offset] = journal_end();
  if ((place.file !== file || place.offset !== offset) && lock(store.lockable, QUEUE)) {
    if (waiting(queue) === 0 && missed_place(queue) === undefined) {
      const [last_file, last_offset] = journal_end();
      note_all_settled(queue, last_file, last_offset, realtime());
    }
    unlock(store.lockable, QUEUE);
  }
}

/** Writes down up to where all is settled, at most once a second. */
function save_place(shared: Shared, at_exit: boolean): void {
  const [place, time] = settled_place(shared.queue);
  const text = place_text(place, time);
  const now = monotonic();
  if (text === shared.saved || (now - shared.saved_at < SAVE_SECONDS && !at_exit)) {
    return;
  }
  const reason = write_private(`${gateway().run_directory}/state`, FILE, text, text.length);
  if (reason !== undefined) {
    ngx.log(ngx.ERR, "sluice: up to where all is settled can't be written down: ", reason);
  }
  shared.saved = text;
  shared.saved_at = now;
}

/** Where the journal ends that an earlier gateway wrote. */
function journal_file_end(): Place {
  for (const { at_path, inode, size } of list_log(journal_path()).plain) {
    if (at_path) {
      return { file: tonumber(inode)!, offset: size };
    }
  }
  return { file: 0, offset: 0 };
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
  const [text, unread] = read_file(`${run_directory}/state/${FILE}`);
  const [place, time] = read_place(text ?? "");
  if (place === undefined) {
    // What is in the journal already belongs to another time.
    ngx.log(ngx.NOTICE, "sluice: nothing of the usage journal so far is taken to Redis: ", run_directory, "/state/", FILE, ": ", unread ?? "is none of ours");
    const { file, offset } = journal_file_end();
    note_all_settled(queue, file, offset, realtime());
    const begun = place_text({ file, offset }, realtime());
    return write_private(`${run_directory}/state`, FILE, begun, begun.length);
  }
  restore_place(queue, place, time);
  note_missed(queue, place.file, place.offset);
  return undefined;
}

export { journal_end, journal_path, note_settled, restore_settlements, save_place };
