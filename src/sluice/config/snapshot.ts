import { address_list } from "../auth/address_list";
import type { AddressList } from "../auth/address_list";
import { build_directory } from "../auth/directory";
import type { Directory, DirectoryTools } from "../auth/directory";
import { build as build_pools } from "../pool/pools";
import type { Pool } from "../pool/pools";
import type { Slots } from "../pool/slots";
import { build as build_routes } from "../route/table";
import type { RouteTable } from "../route/table";
import { APIS } from "../wire/api";
import { files } from "./configuration";
import type { Configuration } from "./configuration";
import { read } from "./load";
import type { LoadTools } from "./load";
import { report, reported } from "./problem";
import type { Problem } from "./problem";
import { line_at } from "./node";

/**
 * Makes one snapshot of a configuration: everything a request needs to know, read from the YAML and
 * from all files that it names, complete and never changed again. A request takes the snapshot of
 * its moment and keeps it; a new configuration is a new snapshot, and the old one is
 * garbage when its last request is done.
 *
 * A snapshot has a version, by which nodes and workers can be compared: it follows from the bytes of
 * the files alone, not from their paths or times. The environment is not in it; it holds
 * secrets, and it is the same as long as the process lives.
 */

const VERSION_DIGITS = 12;

interface Snapshot {
  /** Twelve hexadecimal digits. */
  version: string;
  configuration: Configuration;
  directory: Directory;
  trusted_proxies: AddressList | undefined;
  pools: LuaTable<string, Pool>;
  routes: RouteTable;
}

/** What making a snapshot needs from outside. Reading files is `read_file` of both, and `pause` too. */
interface SnapshotTools extends LoadTools, DirectoryTools {
  /** The row of upstream slots, which outlives configurations, and seconds on a clock that only goes forward. */
  slots: Slots;
  now: (this: void) => number;
  /** Told which files the configuration consists of, before any but the first is read: time to watch them. */
  found_files?: (this: void, paths: string[]) => void;
}

/** The directory, with the SHA-256 of each file that was read for it in `digests`; and all problems of those files. */
function read_directory(
  configuration: Configuration,
  tools: SnapshotTools,
  digests: string[],
): LuaMultiReturn<[directory: Directory, problems: Problem[]]> {
  return build_directory(configuration.auth, configuration.tenants, {
    reader: tools.reader,
    read_file: (path) => {
      const [text, reason] = tools.read_file(path);
      if (text !== undefined) {
        digests.push(tools.sha256_hex(text));
      }
      return $multi(text, reason);
    },
    pause: tools.pause,
    fetching: tools.fetching,
    previous: tools.previous,
  });
}

/** Whether a section has no problem, so that what it names can be looked at too. */
function is_sound(problems: readonly Problem[], section: string): boolean {
  for (const problem of problems) {
    if (string.sub(problem.path, 1, section.length) === section || problem.path === "") {
      return false;
    }
  }
  return true;
}

/**
 * From a path to a snapshot: loads the configuration and builds it. Gives the snapshot, or `undefined` and
 * all problems of all files: never both. Files that the sections name are read even if another section is wrong.
 * Pools are built last: a configuration that is rejected for something else takes no upstream slots.
 */
function take(path: string, tools: SnapshotTools): LuaMultiReturn<[snapshot: Snapshot | undefined, problems: Problem[]]> {
  const { configuration, problems, root } = read(path, tools);
  const sound = is_sound(problems.problems, "auth") && is_sound(problems.problems, "tenants");
  if (configuration === undefined || root === undefined || !sound) {
    return $multi(undefined, reported(problems));
  }
  if (tools.found_files !== undefined) {
    tools.found_files(files(configuration));
  }
  const digests: string[] = [configuration.digest];
  const [directory, directory_problems] = read_directory(configuration, tools, digests);
  for (const problem of directory_problems) {
    report(problems, problem.path, problem.message, line_at(root, problem.path));
  }
  const wrong = reported(problems);
  if (wrong.length > 0) {
    return $multi(undefined, wrong);
  }
  const [pools, pool_problems] = build_pools(configuration.pools, APIS, tools.slots, tools.now());
  for (const problem of pool_problems) {
    report(problems, problem.path, problem.message, line_at(root, problem.path));
  }
  if (pool_problems.length > 0) {
    return $multi(undefined, reported(problems));
  }
  const networks = configuration.trusted_proxies;
  const [list] = address_list(networks);
  const snapshot: Snapshot = {
    version: string.sub(tools.sha256_hex(digests.join(" ")), 1, VERSION_DIGITS),
    configuration,
    directory,
    trusted_proxies: networks.length === 0 ? undefined : list,
    pools,
    routes: build_routes(configuration.models, pools),
  };
  return $multi(snapshot, []);
}

export { take };
export type { Snapshot, SnapshotTools };
