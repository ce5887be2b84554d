import { compile_lexicon } from "../guard/compile";
import { FOLD_VERSION } from "../guard/fold";
import { is_image, open_image } from "../guard/lexicon";
import { causes, grouped, oddities, read_list } from "../guard/list";
import type { ListTerms } from "../guard/list";
import type { Note, WordList } from "../guard/word_list";
import { Status } from "./terminal";
import type { Terminal } from "./terminal";

/**
 * `sluice lexicon build`: compiles a list of words to a file, which a guard names in place of the list. What is done about
 * its words is still up to the guard, except for those that say it themselves.
 */

interface BuildOptions {
  /** The list. */
  file: string;
  /** Where the compiled list goes; undefined: beside the list, with `.lex` at its end. */
  output: string | undefined;
  terms: ListTerms;
  /** Whether `output` may be replaced even if it is something else. */
  force: boolean;
}

interface BuildTools {
  read_file: (this: void, path: string) => LuaMultiReturn<[text: string | undefined, reason: string | undefined]>;
  /** Whether there is such a file. */
  exists: (this: void, path: string) => boolean;
  /** Writes a file whole, in place of one of that name; returns why it couldn't. */
  write_file: (this: void, path: string, data: Bytes, bytes: number) => string | undefined;
  /** Seconds. */
  now: (this: void) => number;
}

/** Of a path, without `.txt` at its end, the compiled list beside it. */
function beside(file: string): string {
  return `${string.gsub(file, "%.txt$", "")[0]}.lex`;
}

/** Why nothing may be written to a path; undefined if it may. */
function objection(options: BuildOptions, output: string, tools: BuildTools): string | undefined {
  if (output === options.file) {
    return `${output}: is the list itself`;
  }
  if (!tools.exists(output)) {
    return undefined;
  }
  const [content, reason] = tools.read_file(output);
  if (content === undefined) {
    return `${output}: can't be replaced: ${reason}`;
  }
  return is_image(content) || options.force ? undefined : `${output}: is no compiled list; --force replaces it all the same`;
}

function print_notes(notes: Note[], count: number, terminal: Terminal): void {
  for (const note of notes) {
    terminal.print(`  line ${note.line} ${note.reason}`);
  }
  if (count > notes.length) {
    terminal.print(`  and ${grouped(count - notes.length)} more`);
  }
}

function print_dropped(list: WordList, terminal: Terminal): void {
  if (list.dropped_count > 0) {
    terminal.print(`${grouped(list.dropped_count)} dropped: ${causes(list)}`);
    print_notes(list.dropped, list.dropped_count, terminal);
  }
  if (list.ignored_count > 0) {
    terminal.print(`${grouped(list.ignored_count)} with an option that is not known`);
    print_notes(list.ignored, list.ignored_count, terminal);
  }
  for (const told of oddities(list)) {
    terminal.print(told);
  }
}

/** Compiles the list, writes it, and prints what became of it. */
function build_lexicon(options: BuildOptions, tools: BuildTools, terminal: Terminal): Status {
  const { file } = options;
  const output = options.output ?? beside(file);
  const started = tools.now();
  const [content, unread] = tools.read_file(file);
  if (content === undefined) {
    terminal.complain(`${file}: can't be read: ${unread}`);
    return Status.No;
  }
  if (is_image(content)) {
    terminal.complain(`${file}: is compiled already`);
    return Status.No;
  }
  const [list, reason] = read_list(content, options.terms, () => {});
  if (list === undefined || list.words === undefined) {
    terminal.complain(`${file}: ${reason}`);
    return Status.No;
  }
  const [image, bytes] = compile_lexicon([list.source], true, () => {});
  const [lexicon, wrong] = open_image(image, bytes, FOLD_VERSION, image);
  const refused = lexicon === undefined ? `${file}: ${wrong}` : objection(options, output, tools);
  if (lexicon === undefined || refused !== undefined) {
    terminal.complain(refused ?? "");
    return Status.No;
  }
  const unwritten = tools.write_file(output, image, bytes);
  if (unwritten !== undefined) {
    terminal.complain(`${output}: can't be written: ${unwritten}`);
    return Status.No;
  }
  const seconds = string.format("%.2f", tools.now() - started);
  terminal.print(
    `${output}: ${grouped(lexicon.words)} words, ${grouped(lexicon.states)} states, ${grouped(bytes)} bytes, in ${seconds} s`,
  );
  print_dropped(list.words, terminal);
  return Status.Good;
}

export { build_lexicon };
export type { BuildOptions, BuildTools };
