import { check } from "./check";
import { CONFIGURATION_SCHEMA } from "./configuration";
import type { Configuration } from "./configuration";
import { check_across } from "./cross";
import { fill } from "./environment";
import type { Environment } from "./environment";
import { problem_list, report, reported } from "./problem";
import type { Problem, ProblemList } from "./problem";
import { line_at } from "./node";
import type { Node } from "./node";
import { parse } from "./yaml";

/**
 * From a path to a configuration: read the file, parse the YAML, put the environment in, hold it
 * against the schema, check across sections. Each step goes on with what the one before could make
 * of the file, so that one reading tells of every problem.
 */

/** More than this many problems are counted, not told. */
const MOST_PROBLEMS = 100;

/** What reading a configuration needs from outside. */
interface LoadTools {
  /** The whole of a file, or why it can't be read. */
  read_file: (this: void, path: string) => LuaMultiReturn<[text: string | undefined, reason: string | undefined]>;
  /** The environment as it was at start. */
  environment: Environment;
  /** The SHA-256 of a text in hexadecimal. */
  sha256_hex: (this: void, text: string) => string;
  /** Called now and then, so that a worker can serve its clients in between. */
  pause: (this: void) => void;
}

/** The folder of a path, without the last slash; empty for a bare name. */
function folder_of(path: string): string {
  const [folder] = string.match(path, "^(.*)/[^/]*$");
  return folder === "" ? "/." : folder ?? "";
}

/** What one reading of a configuration came to. */
interface Reading {
  /** `undefined` if nothing could be made of the file. Only good to use if there are no problems. */
  configuration: Configuration | undefined;
  problems: ProblemList;
  /** The file's tree, for the lines of problems that turn up later. */
  root: Node | undefined;
}

/** Reads the configuration at `path` as far as it can be read. The files that it names aren't touched. */
function read(path: string, tools: LoadTools): Reading {
  const problems = problem_list(MOST_PROBLEMS);
  const reading: Reading = { configuration: undefined, problems, root: undefined };
  const [text, reason] = tools.read_file(path);
  if (text === undefined) {
    report(problems, "", `can't be read: ${reason}`);
    return reading;
  }
  const parsed = parse(text, problems, tools.pause);
  if (parsed === undefined) {
    return reading;
  }
  const root = fill(parsed, tools.environment, problems, tools.pause);
  const configuration = check<Configuration>(CONFIGURATION_SCHEMA, root, folder_of(path), problems, tools.pause);
  reading.root = root;
  if (configuration !== undefined) {
    configuration.file = path;
    configuration.digest = tools.sha256_hex(text);
    configuration.auth = (configuration.auth as Configuration["auth"] | undefined) ?? {};
    check_across(configuration, (where, message) => {
      report(problems, where, message, line_at(root, where));
    });
    reading.configuration = configuration;
  }
  return reading;
}

/**
 * Reads the configuration at `path`. Gives it, or `undefined` and all problems: never both. The files that it
 * names aren't touched.
 */
function load(path: string, tools: LoadTools): LuaMultiReturn<[configuration: Configuration | undefined, problems: Problem[]]> {
  const reading = read(path, tools);
  const problems = reported(reading.problems);
  return $multi(problems.length === 0 ? reading.configuration : undefined, problems);
}

export { load, read };
export type { LoadTools, Reading };
