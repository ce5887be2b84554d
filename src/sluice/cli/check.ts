import type { Configuration } from "../config/configuration";
import { problem_text } from "../config/problem";
import { take } from "../config/snapshot";
import type { SnapshotTools } from "../config/snapshot";
import { Status } from "./terminal";
import type { Terminal } from "./terminal";

/**
 * `sluice check FILE`: does what a start does with the configuration, short of serving it. Key files,
 * key sets, public keys and lists of words are read; nothing is fetched, and no endpoint is called.
 */

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}

function summary(configuration: Configuration): string {
  const { tenants, models, pools, guards } = configuration;
  const parts = [counted(tenants.length, "tenant"), counted(models.length, "model"), counted(pools.length, "pool")];
  if (guards.length > 0) {
    parts.push(counted(guards.length, "guard"));
  }
  return parts.join(", ");
}

/**
 * Checks the file. Tells one line for each problem on standard error; or what there is to know of the lists of words, a line
 * each, and that all is well.
 */
function check_file(path: string, tools: SnapshotTools, terminal: Terminal): Status {
  const [snapshot, problems] = take(path, tools);
  if (snapshot === undefined) {
    for (const problem of problems) {
      terminal.complain(problem_text(path, problem));
    }
    return Status.No;
  }
  for (const notice of snapshot.notices) {
    terminal.print(problem_text(path, notice));
  }
  terminal.print(`${path}: ok (${summary(snapshot.configuration)}; version ${snapshot.version})`);
  return Status.Good;
}

export { check_file };
