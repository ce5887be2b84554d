import { address_list } from "../auth/address_list";
import type { AddressList } from "../auth/address_list";
import { make_cors } from "../auth/cors";
import type { Cors } from "../auth/cors";
import { build_directory } from "../auth/directory";
import type { Directory, DirectoryTools } from "../auth/directory";
import type { Guard } from "../guard/guards";
import { build_guards } from "../guard/load";
import type { BuiltGuards, Notice, Remark } from "../guard/load";
import type { LexiconStore } from "../guard/store";
import { model_access } from "../auth/model_access";
import { deployment_upstreams } from "../pool/paths";
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
import { make_price } from "../ledger/price";
import type { Scope } from "../limit/scope";
import { assign_scopes } from "./scopes";
import type { Problem, ProblemList } from "./problem";
import { place_of } from "./store";
import type { StorePlace } from "./store";
import { line_at } from "./node";
import { read_warmups } from "./warmups";
import type { Node } from "./node";

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
  /** Which web pages may read answers; undefined: none of another origin. */
  cors: Cors | undefined;
  /** The most bytes of a request's body; undefined: as many as nginx lets in. */
  most_body_bytes: number | undefined;
  pools: LuaTable<string, Pool>;
  routes: RouteTable;
  guards: LuaTable<string, Guard>;
  /** Everybody whose use is limited. */
  scopes: Scope[];
  /** Where what they use is counted for all nodes; undefined: each node counts for itself. */
  store: StorePlace | undefined;
  /** What the guards' lexicons are kept under. */
  lexicon_keys: string[];
  /** What there is to know of the files that were read, such as how many words a list has. */
  notices: Notice[];
}

/** What making a snapshot needs from outside. Reading files is `read_file` of both, and `pause` too. */
interface SnapshotTools extends LoadTools, DirectoryTools {
  /** The row of upstream slots, which outlives configurations, and seconds on a clock that only goes forward. */
  slots: Slots;
  now: (this: void) => number;
  /** Where compiled lexicons are kept; and what waits for another process that compiles one, if any is waited for. */
  lexicons: LexiconStore;
  wait?: (this: void) => void;
  /** Told which files the configuration consists of, before any but the first is read: time to watch them. */
  found_files?: (this: void, paths: string[]) => void;
}

/** Adds problems that turned up when the file had been read already. */
function add_problems(problems: ProblemList, found: readonly Remark[], root: Node): void {
  for (const problem of found) {
    report(problems, problem.path, problem.message, line_at(root, problem.path));
  }
}

/**
 * The directory, with the SHA-256 of each file that was read for it in `digests`; and all problems of those files. An empty
 * one, if the sections it is made of are not `sound`.
 */
function read_directory(
  configuration: Configuration,
  sound: boolean,
  tools: SnapshotTools,
  digests: string[],
): LuaMultiReturn<[directory: Directory, problems: Problem[]]> {
  return build_directory(sound ? configuration.auth : {}, sound ? configuration.tenants : [], {
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

/** Gives each tenant the guard that it names. All that are named must be there. */
function assign_guards(
  directory: Directory,
  tenants: Configuration["tenants"],
  guards: LuaTable<string, Guard>,
): void {
  for (const configuration of tenants) {
    const tenant = directory.tenants.get(configuration.id);
    if (tenant !== undefined && configuration.guard !== undefined) {
      tenant.guard = guards.get(configuration.guard);
    }
  }
}

/** The guards, if their section is sound. They are compiled only if nothing is wrong elsewhere. */
function read_guards(configuration: Configuration, tools: SnapshotTools, problems: ProblemList): BuiltGuards {
  const sound = is_sound(problems.problems, "guards");
  return build_guards(sound ? configuration.guards : [], problems.problems.length === 0, {
    read_file: tools.read_file,
    sha256_hex: tools.sha256_hex,
    store: tools.lexicons,
    pause: tools.pause,
    wait: tools.wait,
    now: tools.now,
  });
}

/**
 * From a path to a snapshot: loads the configuration and builds it. Gives the snapshot, or `undefined` and
 * all problems of all files: never both. Files that the sections name are read even if another section is wrong.
 * Pools are built last: a configuration that is rejected for something else takes no upstream slots.
 */
function take(path: string, tools: SnapshotTools): LuaMultiReturn<[snapshot: Snapshot | undefined, problems: Problem[]]> {
  const { configuration, problems, root } = read(path, tools);
  const sound = is_sound(problems.problems, "auth") && is_sound(problems.problems, "tenants");
  if (configuration === undefined || root === undefined || !(sound || is_sound(problems.problems, "guards"))) {
    return $multi(undefined, reported(problems));
  }
  if (tools.found_files !== undefined) {
    tools.found_files(files(configuration));
  }
  const digests: string[] = [configuration.digest];
  const [directory, directory_problems] = read_directory(configuration, sound, tools, digests);
  add_problems(problems, directory_problems, root);
  if (is_sound(problems.problems, "pools")) {
    add_problems(problems, read_warmups(configuration.pools, tools, tools.reader.strict_check, digests), root);
  }
  const built = read_guards(configuration, tools, problems);
  add_problems(problems, built.problems, root);
  const wrong = reported(problems);
  if (wrong.length > 0) {
    return $multi(undefined, wrong);
  }
  const [pools, pool_problems] = build_pools(configuration.pools, APIS, tools.slots, tools.now());
  add_problems(problems, pool_problems, root);
  if (pool_problems.length > 0) {
    return $multi(undefined, reported(problems));
  }
  assign_guards(directory, configuration.tenants, built.guards);
  for (const digest of built.digests) {
    digests.push(digest);
  }
  const networks = configuration.trusted_proxies;
  const [list] = address_list(networks);
  const snapshot: Snapshot = {
    version: string.sub(tools.sha256_hex(digests.join(" ")), 1, VERSION_DIGITS),
    configuration,
    directory,
    trusted_proxies: networks.length === 0 ? undefined : list,
    cors: make_cors(configuration.cors),
    most_body_bytes: configuration.limits.body,
    pools,
    routes: build_routes(configuration.models, pools, { make_price, upstreams_of: deployment_upstreams, make_matcher: model_access }),
    guards: built.guards,
    scopes: assign_scopes(directory, configuration.tenants, configuration.models),
    store: place_of(configuration.store),
    lexicon_keys: built.keys,
    notices: built.notices,
  };
  return $multi(snapshot, []);
}

export { take };
export type { Snapshot, SnapshotTools };
