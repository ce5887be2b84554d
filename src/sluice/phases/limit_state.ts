/** Keeps what was used over a restart, and completes it from the journal when a worker was killed. */

import { end_of } from "../edge/append_file";
import { realtime } from "../edge/clock";
import { read_file } from "../edge/file";
import { each_log_line } from "../edge/log_lines";
import { write_private } from "../edge/mapped_file";
import { complete, read_line, replay, scopes_of } from "../limit/replay";
import { change_scope, keep_scope, note_position, open_scope, put_counters } from "../limit/memory_store";
import { new_counters, read_counters } from "../limit/counters";
import { counters_line, read_counters_line, state_lines, state_text } from "../limit/state_file";
import { gateway } from "./gateway";
import type { Counters } from "../limit/counters";
import type { MemoryStore } from "../limit/memory_store";
import type { ReplayedLine } from "../limit/replay";
import type { Scope } from "../limit/scope";
import type { StateHead } from "../limit/state_file";

/** Seconds between two times that the state is written. */
const SAVE_SECONDS = 5;
const FILE = "limits";
const NOTHING: StateHead = { time: 0, file: 0, offset: 0 };
/** In the dictionary: it has been filled from the state. */
const RESTORED = "restored";
/**
 * A dictionary that is full has room for a lock only where entries of its size lie already. So some do, of each size that a lock may
 * have. No tenant's name has a space.
 */
const LOCK_LENGTHS = [1, 30, 60, 100];
/** In the dictionary: how often nginx has read its configuration. */
const GENERATION = "generation";

function journal_path(): string {
  return `${gateway().run_directory}/logs/usage.jsonl`;
}

/**
 * Up to where of a journal file a scope's counters have counted; −1: they know nothing of that file. `size`: a file that is shorter than
 * what was counted of it has only inherited the inode.
 */
function counted_up_to(counters: Counters, inode: number, size: number): number {
  for (const index of $range(0, 1)) {
    if (counters.files[index] === inode) {
      return counters.offsets[index]! <= size ? counters.offsets[index]! : 0;
    }
  }
  return -1;
}

/** Whether a line is of a scope's owner. */
function is_of(scope: Scope, line: ReplayedLine): boolean {
  const [tenant, key, allowance] = scopes_of(line);
  return scope.name === tenant || scope.name === key || scope.name === allowance;
}

/** Where the journal ends now. The inode is 0 if there is none. */
function journal_end(this: void): LuaMultiReturn<[inode: number, offset: number]> {
  const { journal } = gateway();
  const end = journal !== undefined ? end_of(journal) : -1;
  if (end < 0) {
    return $multi(0, 0);
  }
  return $multi(journal!.inode, end);
}

/** Counts what is in the journal for a scope behind the place that its counters say. The requests themselves had been counted. */
function complete_scope(this: void, scope: Scope, counters: Counters): void {
  if (counters.files[0] === 0) {
    return;
  }
  const now = realtime();
  const complaint = each_log_line(
    journal_path(),
    (inode, size, at_path) => {
      const counted = counted_up_to(counters, inode, size);
      return counted >= 0 ? counted : at_path ? 0 : undefined;
    },
    (text) => {
      const line = read_line(text);
      if (line !== undefined && is_of(scope, line)) {
        complete(counters, scope, line, now);
        ngx.log(ngx.WARN, "sluice: counted what a killed worker had not, for ", scope.title);
      }
    },
  );
  if (complaint !== undefined) {
    ngx.log(ngx.ERR, "sluice: the usage journal can't be read: ", complaint);
  }
  const [inode, offset] = journal_end();
  note_position(counters, inode, offset);
}

/**
 * A worker was killed while it changed a tenant's counters. What it had written to the journal last may not be in them: it is found
 * there.
 */
function mend(this: void, store: MemoryStore, owner: string): void {
  for (const scope of gateway().snapshot.scopes) {
    if (scope.owner === owner) {
      change_scope(store, scope, complete_scope);
    }
  }
}

/** What is known of each scope while the state is restored. */
interface Restored {
  scope: Scope;
  counters: Counters;
  /** When the counters were as they were written, and whether they were: otherwise the scope had not been used then. */
  time: number;
  known: boolean;
  /** There is something to be put into the store. */
  used: boolean;
}

/** For each scope nothing, as of a time. */
function nothing_used(scopes: Scope[], head: StateHead): LuaTable<string, Restored> {
  const restored = new LuaTable<string, Restored>();
  for (const scope of scopes) {
    const counters = new_counters();
    read_counters(counters, undefined);
    note_position(counters, head.file, head.offset);
    restored.set(scope.name, { scope, counters, time: head.time, known: false, used: false });
  }
  return restored;
}

/** Reads the state file into counters for the scopes that there are. Without one, all that is in the journal counts. */
function read_state(scopes: Scope[], path: string): LuaTable<string, Restored> {
  const [text, missing] = read_file(path);
  if (text === undefined) {
    ngx.log(ngx.NOTICE, "sluice: what was used is taken from the journal: ", path, ": ", missing);
    return nothing_used(scopes, NOTHING);
  }
  const [lines, reason, head] = state_lines(text);
  if (lines === undefined) {
    ngx.log(ngx.ERR, "sluice: what was used is taken from the journal: ", path, ": ", reason);
    return nothing_used(scopes, NOTHING);
  }
  const restored = nothing_used(scopes, head);
  for (const line of lines) {
    const counters = new_counters();
    read_counters(counters, undefined);
    const [name, time] = read_counters_line(counters, line);
    const known = name !== undefined ? restored.get(name) : undefined;
    if (known !== undefined) {
      known.counters = counters;
      known.time = time;
      known.known = true;
      known.used = true;
    }
  }
  return restored;
}

/** The first place of a journal file that some scope has not counted. */
function first_uncounted(restored: LuaTable<string, Restored>, inode: number, size: number, at_path: boolean): number | undefined {
  let first: number | undefined;
  for (const [, { counters }] of restored) {
    const counted = counted_up_to(counters, inode, size);
    if (counted >= 0 && (first === undefined || counted < first)) {
      first = counted;
    }
    if (counted < 0 && (at_path || counters.files[0] === 0)) {
      first = 0;
    }
  }
  return first;
}

/** Counts a line for one scope, if it has not. */
function replay_for(known: Restored | undefined, line: ReplayedLine, inode: number, size: number, end: number, now: number): void {
  if (known === undefined || end <= counted_up_to(known.counters, inode, size)) {
    return;
  }
  if (!known.known || line.time > known.time) {
    replay(known.counters, known.scope, line, now);
    known.used = true;
  } else {
    // It had been admitted: the counters have what it reserved.
    complete(known.counters, known.scope, line, now);
  }
}

/** Fills an empty dictionary with what was used before: the state as it was written last, and the journal from there on. */
function restore_limits(store: MemoryStore): void {
  const generation = ((store.dictionary.get(GENERATION) as number | undefined) ?? 0) + 1;
  store.dictionary.set(GENERATION, generation);
  gateway().generation = generation;
  for (const length of LOCK_LENGTHS) {
    store.dictionary.set(`lock: ${string.rep("-", length)}`, 0);
  }
  if (store.dictionary.get(RESTORED) !== undefined) {
    return;
  }
  store.dictionary.set(RESTORED, 1);
  const { run_directory, snapshot } = gateway();
  if (snapshot.scopes.length === 0) {
    return;
  }
  const restored = read_state(snapshot.scopes, `${run_directory}/state/${FILE}`);
  const now = realtime();
  const sizes = new LuaTable<number, number>();
  const complaint = each_log_line(
    journal_path(),
    (inode, size, at_path) => {
      sizes.set(inode, size);
      return first_uncounted(restored, inode, size, at_path);
    },
    (text, inode, end) => {
      const line = read_line(text);
      if (line !== undefined) {
        const [tenant, key, allowance] = scopes_of(line);
        replay_for(restored.get(tenant), line, inode, sizes.get(inode), end, now);
        replay_for(restored.get(key), line, inode, sizes.get(inode), end, now);
        replay_for(restored.get(allowance), line, inode, sizes.get(inode), end, now);
      }
    },
  );
  if (complaint !== undefined) {
    ngx.log(ngx.ERR, "sluice: the usage journal can't be read: ", complaint);
  }
  for (const [, { counters, scope, used }] of restored) {
    // Lines up to the end have been counted: the first request says up to where.
    counters.files[0] = 0;
    counters.files[1] = 0;
    if (used && !put_counters(store, scope, counters)) {
      ngx.log(ngx.ALERT, "sluice: there is no room in sluice_limits for what ", scope.title, " has used");
    }
  }
}

/** Writes the state, if nobody has within the last seconds. `now` is true at exit, when it is written in any case. */
function save_limits(store: MemoryStore, at_exit: boolean, rest: ((this: void) => void) | undefined): void {
  if (at_exit && store.dictionary.get(GENERATION) !== gateway().generation) {
    // After a reload this worker may not know everybody: the new ones write the state.
    return;
  }
  if (!at_exit && store.dictionary.add("saving", store.process, SAVE_SECONDS - 0.5) !== undefined) {
    return;
  }
  const { run_directory, snapshot } = gateway();
  const [file, offset] = journal_end();
  const head: StateHead = { time: realtime(), file, offset };
  const lines: string[] = [];
  for (const scope of snapshot.scopes) {
    const now = realtime();
    const counters = open_scope(store, scope, now);
    if (counters !== undefined) {
      lines.push(counters_line(scope.name, counters, now));
      keep_scope(store, scope);
    }
    if (rest !== undefined && lines.length % 100 === 99) {
      rest();
    }
  }
  if (snapshot.scopes.length > 0) {
    const text = state_text(head, lines);
    const reason = write_private(`${run_directory}/state`, FILE, text, text.length);
    if (reason !== undefined) {
      ngx.log(ngx.ERR, "sluice: what was used can't be written down: ", reason);
    }
  }
}

export { journal_end, mend, restore_limits, save_limits };
