/**
 * From the `guards` section of the configuration to guards: reads their lists, and compiles them or finds them compiled.
 *
 * What a compiled lexicon depends on makes its key: the bytes of the lists, their names, actions and options, and the
 * versions of the fold and of the compiler. A lexicon that the store has under its key is used as it is, and the lists
 * aren't even parsed; so a start, or a worker whose neighbour was faster, has it in milliseconds.
 *
 * Several processes notice a change at the same moment. One compiles, the others wait for it, and look again.
 */

import * as bits from "bit";
import { compile_lexicon } from "./compile";
import { FOLD_VERSION } from "./fold";
import { is_image } from "./lexicon";
import { action_number, grouped, read_list } from "./list";
import { PATTERN_NAMES } from "./pattern_state";
import { Action } from "./words";
import type { Source } from "./compile";
import type { GuardConfiguration, LexiconConfiguration, PatternsConfiguration } from "./config";
import type { Guard } from "./guards";
import type { Lexicon } from "./lexicon";
import type { ReadList } from "./list";
import type { LexiconStore } from "./store";

const bor = bits.bor;
const lshift = bits.lshift;

/** Raised whenever the same lists would be compiled to something else: what is kept under the old keys is not used any more. */
const COMPILER = 4;

/** A guard with more words is refused. */
const MOST_WORDS = 2000000;

/** Seconds to wait for another process that compiles the same. */
const LONGEST_WAIT = 30;

/** Something about a member of the configuration: what is wrong with it, or what to know about it. */
interface Remark {
  path: string;
  message: string;
}

/** What there is to know about a list that can be used. */
interface Notice extends Remark {
  /** Something doesn't work as it should, though the guard does. */
  serious: boolean;
}

/** What building guards needs from outside. */
interface GuardTools {
  /** A file's whole text, or undefined and the reason. */
  read_file: (this: void, path: string) => LuaMultiReturn<[text: string | undefined, reason: string | undefined]>;
  sha256_hex: (this: void, text: string) => string;
  store: LexiconStore;
  /** Called between slices of long work. */
  pause: (this: void) => void;
  /** Waits a moment for another process; undefined: no other process is waited for. */
  wait: ((this: void) => void) | undefined;
  /** Seconds on a clock that only goes forward. */
  now: (this: void) => number;
}

interface BuiltGuards {
  /** By name. Only good to use if there are no problems. */
  guards: LuaTable<string, Guard>;
  /** The SHA-256 of each list's file, in the order of the configuration. */
  digests: string[];
  /** The keys of the lexicons in use. */
  keys: string[];
  problems: Remark[];
  notices: Notice[];
}

/** What building carries along. */
interface Building {
  tools: GuardTools;
  built: BuiltGuards;
  /** Whether there is any use in compiling. */
  compile: boolean;
}

/** A list's file. */
interface ListFile {
  configuration: LexiconConfiguration;
  /** Where it is in the configuration. */
  path: string;
  content: string;
  digest: string;
}

function add_problem(building: Building, path: string, message: string): void {
  building.built.problems.push({ path, message });
}

function add_notice(building: Building, path: string, message: string, serious: boolean): void {
  building.built.notices.push({ path, message, serious });
}

/** Reads the files of a guard's lists, as far as they can be read. */
function read_files(building: Building, lexicons: readonly LexiconConfiguration[], path: string): ListFile[] {
  const found: ListFile[] = [];
  let index = 0;
  for (const configuration of lexicons) {
    const here = `${path}.lexicons[${index}]`;
    const [content, reason] = building.tools.read_file(configuration.file);
    index += 1;
    if (content === undefined) {
      add_problem(building, `${here}.file`, `expected a file that can be read: ${reason}`);
    } else {
      const digest = building.tools.sha256_hex(content);
      building.built.digests.push(digest);
      found.push({ configuration, path: here, content, digest });
    }
    building.tools.pause();
  }
  return found;
}

/** Reports options of lists that are compiled and can't have any. */
function check_compiled(building: Building, files: ListFile[]): void {
  for (const file of files) {
    if (is_image(file.content)) {
      for (const member of ["whole_words", "separators"] as const) {
        if (file.configuration[member] !== undefined) {
          add_problem(building, `${file.path}.${member}`, "the list is compiled: its words have their options already");
        }
      }
    }
  }
}

/** What the lexicon of these lists is kept under. */
function key_of(files: ListFile[], tools: GuardTools): string {
  const parts: string[] = [`compiler ${COMPILER}`, `fold ${FOLD_VERSION}`];
  for (const { configuration, digest } of files) {
    const { name, action, whole_words, separators } = configuration;
    parts.push(`${digest} ${name} ${action} ${whole_words ?? "-"} ${separators ?? "-"}`);
  }
  return tools.sha256_hex(parts.join("\n"));
}

/** The lists' words, as far as they can be read. */
function parse(building: Building, files: ListFile[]): ReadList[] {
  const lists: ReadList[] = [];
  for (const { configuration, content, path } of files) {
    const { name, action, whole_words, separators } = configuration;
    const [list, reason] = read_list(content, { name: name ?? "", action, whole_words, separators }, building.tools.pause);
    if (list === undefined) {
      add_problem(building, `${path}.file`, reason ?? "");
    } else {
      lists.push(list);
    }
  }
  return lists;
}

/** Passes on what was told of each list, a line each, when they were compiled. */
function tell(building: Building, files: ListFile[], text: string): void {
  let index = 0;
  for (const [line] of string.gmatch(text, "[^\n]+")) {
    const file = files[index];
    if (file !== undefined) {
      add_notice(building, `${file.path}.file`, line!, false);
    }
    index += 1;
  }
}

/** The lexicon that is kept under the key, if there is one that can be used; if it can't, that is told. */
function find(building: Building, files: ListFile[], key: string, path: string): Lexicon | undefined {
  const [lexicon, text] = building.tools.store.open(key);
  if (lexicon !== undefined) {
    tell(building, files, text ?? "");
  } else if (text !== undefined) {
    add_notice(building, path, `a compiled lexicon can't be used, so it is compiled anew: ${text}`, true);
  }
  return lexicon;
}

function compile(building: Building, files: ListFile[], key: string, path: string): Lexicon | undefined {
  const { tools, built } = building;
  const lists = parse(building, files);
  if (built.problems.length > 0 || !building.compile) {
    return undefined;
  }
  const sources: Source[] = [];
  let words = 0;
  for (const list of lists) {
    sources.push(list.source);
    words += list.source.words.count;
  }
  if (words > MOST_WORDS) {
    add_problem(building, `${path}.lexicons`, `expected at most ${grouped(MOST_WORDS)} words in all, found ${grouped(words)}`);
    return undefined;
  }
  const [image, bytes] = compile_lexicon(sources, false, tools.pause);
  const lines: string[] = [];
  for (const list of lists) {
    lines.push(`${list.source.name}: ${list.told}`);
  }
  const text = lines.join("\n");
  const [lexicon, complaint] = tools.store.keep(key, image, bytes, text);
  if (lexicon === undefined) {
    add_problem(building, path, `the lexicon could not be compiled: ${complaint}`);
    return undefined;
  }
  tell(building, files, text);
  if (complaint !== undefined) {
    add_notice(building, path, `the compiled lexicon can't be shared, so each process has its own: ${complaint}`, true);
  }
  return lexicon;
}

/** Waits until no other process compiles what the key stands for. */
function take_turn(tools: GuardTools, key: string): void {
  const until = tools.now() + LONGEST_WAIT;
  while (!tools.store.acquire(key) && tools.wait !== undefined && tools.now() < until) {
    tools.wait();
  }
}

/** The lexicon of a guard's lists. */
function lexicon_of(building: Building, configuration: GuardConfiguration, path: string): Lexicon | undefined {
  const { tools, built } = building;
  const lexicons = configuration.lexicons ?? [];
  const files = read_files(building, lexicons, path);
  check_compiled(building, files);
  if (files.length < lexicons.length || built.problems.length > 0 || !building.compile) {
    parse(building, files);
    return undefined;
  }
  const key = key_of(files, tools);
  built.keys.push(key);
  const kept = find(building, files, key, path);
  if (kept !== undefined) {
    return kept;
  }
  take_turn(tools, key);
  const [made_meanwhile, text] = tools.store.open(key);
  if (made_meanwhile !== undefined) {
    tell(building, files, text ?? "");
  }
  const lexicon = made_meanwhile ?? compile(building, files, key, path);
  tools.store.release(key);
  return lexicon;
}

function add_patterns(guard: Guard, patterns: PatternsConfiguration): void {
  let pattern = 1;
  for (const name of PATTERN_NAMES) {
    const action = patterns.get(name);
    if (action !== undefined && action !== "off") {
      const number = action_number(action);
      guard.patterns = bor(guard.patterns, pattern);
      guard.held_patterns = bor(guard.held_patterns, number === Action.Flag ? 0 : pattern);
      guard.pattern_actions.set(pattern, number);
    }
    pattern = lshift(pattern, 1);
  }
}

function works_on(configuration: GuardConfiguration, place: "prompt" | "completion"): boolean {
  for (const named of configuration.on) {
    if (named === place) {
      return true;
    }
  }
  return false;
}

function make_guard(configuration: GuardConfiguration, lexicon: Lexicon): Guard {
  const guard: Guard = {
    name: configuration.name,
    on_prompt: works_on(configuration, "prompt"),
    on_completion: works_on(configuration, "completion"),
    lexicon,
    lists: [],
    patterns: 0,
    held_patterns: 0,
    pattern_actions: new LuaTable(),
  };
  for (const list of configuration.lexicons ?? []) {
    guard.lists.push(list.name ?? "");
  }
  if (configuration.patterns !== undefined) {
    add_patterns(guard, configuration.patterns);
  }
  return guard;
}

/**
 * Builds the guards of a configuration that has passed its schemas. `compile`: they are wanted; else, as when other sections
 * are wrong, the lists are only read for what is wrong with them too.
 */
function build_guards(configurations: readonly GuardConfiguration[], compile_them: boolean, tools: GuardTools): BuiltGuards {
  const built: BuiltGuards = { guards: new LuaTable(), digests: [], keys: [], problems: [], notices: [] };
  const building: Building = { tools, built, compile: compile_them };
  let index = 0;
  for (const configuration of configurations) {
    const lexicon = lexicon_of(building, configuration, `guards[${index}]`);
    if (lexicon !== undefined) {
      built.guards.set(configuration.name, make_guard(configuration, lexicon));
    }
    index += 1;
  }
  return built;
}

export { build_guards };
export type { BuiltGuards, GuardTools, Notice, Remark };
