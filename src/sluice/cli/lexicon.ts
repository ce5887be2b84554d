import * as ffi from "ffi";
import { monotonic } from "../edge/clock";
import { read_file, stamp } from "../edge/file";
import type { ListTerms } from "../guard/list";
import { text } from "./argument";
import { build_lexicon } from "./lexicon_build";
import { test_lexicon } from "./lexicon_test";
import { terminal } from "./terminal";
import type { Status } from "./terminal";

/** `sluice lexicon`: its command line, and the files it writes. */

/** Adds `lexicon build` and `lexicon test` to the command line. */
function add_lexicon_commands(parser: ArgumentParser): void {
  const lexicon = parser.command("lexicon", "Lists of words.");
  lexicon.command_target("action");
  const build = lexicon.command("build", "Compile a list, for a guard to name in its place.");
  build.argument("file", "The list: a text file with one word a line.").argname("FILE");
  build.option("-o --output", "Where to write it. Without it, beside the list: words.txt becomes words.lex.").argname("FILE");
  build.flag("--force", "Replace the output even if it is no compiled list.");
  const test = lexicon.command("test", "Find the words of a list in a text. Exit status 0: none was found, 1: some were.");
  test.argument("file", "The list, compiled or not.").argname("FILE");
  test.argument("text", "The text; - reads it from standard input.").argname("TEXT");
  for (const command of [build, test]) {
    command
      .option("--whole-words", "Which words match whole words only: those of ASCII letters (ascii), all, or none.")
      .choices(["ascii", "always", "never"])
      .target("whole_words");
    command
      .option("--separators", "Whether separators within a match are passed over: as suits the word (auto), always, or never.")
      .choices(["auto", "ignore", "exact"]);
    command.option("--name", "What reports call the list; else its file's name.").argname("NAME");
  }
}

/** Writes a file whole, in place of one of that name; returns why it couldn't. */
function write_file(path: string, data: Bytes, bytes: number): string | undefined {
  const unfinished = `${path}.new`;
  const [file, reason] = io.open(unfinished, "wb");
  if (file === undefined) {
    const [without_path] = string.match(tostring(reason), ": ([^:]*)$");
    return without_path ?? "it can't be opened";
  }
  const [written, write_reason] = file.write(ffi.string(data, bytes));
  const closed = file.close();
  if (written === undefined || !closed) {
    os.remove(unfinished);
    return write_reason === undefined ? "the disk is full" : tostring(write_reason);
  }
  const [renamed, rename_reason] = os.rename(unfinished, path);
  return renamed === undefined ? tostring(rename_reason) : undefined;
}

/** How the list is to be taken, as the options say. */
function list_terms(result: ArgumentResult): ListTerms {
  const [base] = string.match(text(result, "file") ?? "", "([^/]*)$");
  return {
    name: text(result, "name") ?? base ?? "",
    action: undefined,
    whole_words: text(result, "whole_words") as ListTerms["whole_words"],
    separators: text(result, "separators") as ListTerms["separators"],
  };
}

/** Runs the command that was given. */
function run_lexicon(result: ArgumentResult): Status {
  const file = text(result, "file") ?? "";
  const terms = list_terms(result);
  if (result.action === "build") {
    const options = { file, output: text(result, "output"), terms, force: result.force === true };
    const exists = (path: string): boolean => stamp(path) !== undefined;
    return build_lexicon(options, { read_file, exists, write_file, now: monotonic }, terminal);
  }
  const given = text(result, "text") ?? "";
  return test_lexicon(file, given === "-" ? (io.stdin.read("*a" as never) as unknown as string) : given, terms, { read_file }, terminal);
}

export { add_lexicon_commands, run_lexicon };
