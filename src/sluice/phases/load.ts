/** Makes a snapshot from the configuration's files: at start, and again when they change. */

import { problem_text } from "../config/problem";
import { take } from "../config/snapshot";
import { follow } from "../config/watch";
import { monotonic } from "../edge/clock";
import { edwards_check, equal, hmac, pss_check, sha256, sha256_hex, signature_check } from "../edge/crypto";
import { read_file, stamp } from "../edge/file";
import { is_running, list_folder, lock_file, remove_file, unlock_file } from "../edge/folder";
import { map_file, write_private } from "../edge/mapped_file";
import { file_store } from "../guard/file_store";
import { NO_SINK, check, walker } from "../wire/json";
import { compile } from "../wire/shape";
import { decode } from "cjson.safe";
import type { FileStore } from "../guard/file_store";
import type { LexiconStore } from "../guard/store";
import type { Notice } from "../guard/load";
import type { KeyFetching } from "../auth/jwks";
import type { Problem } from "../config/problem";
import type { Environment } from "../config/environment";
import type { Watch } from "../config/watch";
import type { Slots } from "../pool/slots";
import type { Snapshot } from "../config/snapshot";

const strict_walk = walker(compile({}), NO_SINK, undefined);

interface LoadOptions {
  path: string;
  environment: Environment;
  slots: Slots;
  /** Told which files to follow from now on. */
  watch: Watch;
  pause: (this: void) => void;
  fetching: KeyFetching | undefined;
  previous: Snapshot | undefined;
  lexicons: LexiconStore;
  /** Waits for another process that compiles the same lexicon; undefined: none is waited for. */
  wait: ((this: void) => void) | undefined;
}

/** Where the compiled lexicons are kept, for all processes. */
function lexicon_store(run_directory: string): FileStore {
  return file_store(`${run_directory}/lexicons`, {
    map_file, write_private, remove_file, lock_file, unlock_file, list_folder, is_running, read_file,
  });
}

/** The snapshot, or undefined and everything that is wrong. */
function load_snapshot(options: LoadOptions): LuaMultiReturn<[snapshot: Snapshot | undefined, problems: Problem[]]> {
  const [taken, problems] = take(options.path, {
    read_file,
    sha256_hex,
    environment: options.environment,
    pause: options.pause,
    fetching: options.fetching,
    slots: options.slots,
    now: monotonic,
    previous: options.previous !== undefined ? options.previous.directory : undefined,
    reader: {
      cryptography: { sha256, equal, hmac, signature_check, pss_check, edwards_check },
      strict_check: (text) => check(strict_walk, text),
      decode,
    },
    lexicons: options.lexicons,
    wait: options.wait,
    found_files: (paths) => follow(options.watch, paths, stamp),
  });
  if (taken === undefined) {
    return $multi(undefined, problems);
  }
  return $multi(taken, []);
}

/** Writes what is wrong with a configuration into nginx's error log, a line each. */
function log_problems(path: string, problems: Problem[]): void {
  for (const problem of problems) {
    const [clean] = string.gsub(problem_text(path, problem), "%c", " ");
    ngx.log(ngx.ERR, "sluice: ", clean);
  }
}

/** Writes what there is to know of a configuration's files into nginx's error log, a line each. */
function log_notices(notices: Notice[]): void {
  for (const notice of notices) {
    const [clean] = string.gsub(`${notice.path}: ${notice.message}`, "%c", " ");
    ngx.log(notice.serious ? ngx.WARN : ngx.NOTICE, "sluice: ", clean);
  }
}

export { lexicon_store, load_snapshot, log_notices, log_problems };
