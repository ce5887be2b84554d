/** One list of a guard, from its file's bytes to the words that are compiled; and what there is to tell of it. */

import * as ffi from "ffi";
import { Action } from "./words";
import { words_of } from "./compile";
import { DEFAULT_SEPARATORS, DEFAULT_WHOLE_WORDS } from "./config";
import { FOLD_VERSION } from "./fold";
import { is_image, open_image } from "./lexicon";
import { read_word_list } from "./word_list";
import type { Source } from "./compile";
import type { ActionName, Separators, WholeWords } from "./config";
import type { Note, WordList } from "./word_list";

/** How the words of a list are to be taken. */
interface ListTerms {
  name: string;
  /** For words that name none of their own; undefined: that is left to whoever compiles the list with others. */
  action: ActionName | undefined;
  whole_words: WholeWords | undefined;
  separators: Separators | undefined;
}

/** A list that can be compiled. */
interface ReadList {
  source: Source;
  /** How many words it has, and what was dropped, in one line. */
  told: string;
  /** What it was read from, if that was a text. */
  words: WordList | undefined;
  /** Keeps the words' memory. */
  owner: unknown;
}

/** A whole number as people write it: `65,120`. */
function grouped(count: number): string {
  let text = string.format("%.0f", count);
  let changed = 1;
  while (changed > 0) {
    [text, changed] = string.gsub(text, "^(%d+)(%d%d%d)", "%1,%2");
  }
  return text;
}

function action_number(action: ActionName | undefined): number {
  return action === undefined ? 0 : action === "block" ? Action.Block : action === "mask" ? Action.Mask : Action.Flag;
}

function first_of(notes: Note[]): string {
  const first = notes[0];
  return first === undefined ? "" : ` (line ${first.line} ${first.reason})`;
}

/** Why entries were dropped: `15 repeated, 6 empty`. */
function causes(list: WordList): string {
  const parts: string[] = [];
  const add = (count: number, what: string): void => {
    if (count > 0) {
      parts.push(`${grouped(count)} ${what}`);
    }
  };
  add(list.repeated, "repeated");
  add(list.empty, "empty");
  add(list.too_long, "too long");
  add(list.not_utf8, "not UTF-8");
  add(list.one_left, "with one character beside symbols");
  return parts.join(", ");
}

/** What is odd about a list though it can be read, a line each. */
function oddities(list: WordList): string[] {
  const told: string[] = [];
  const { separator } = list;
  if (separator !== undefined) {
    const { entries, having } = separator;
    told.push(`${grouped(having)} of ${grouped(entries)} entries ${having === 1 ? "has" : "have"} the separator ${separator.separator} in them: `
      + "expected one word a line, and nothing behind it but options after a TAB");
  }
  if (list.single > 0) {
    told.push(`${grouped(list.single)} of one character (line ${list.single_line}), found in ordinary words too`);
  }
  if (list.masked > 0) {
    told.push(`${grouped(list.masked)} with symbols that may stand for letters (line ${list.masked_line}), but are passed over`);
  }
  return told;
}

function counted(count: number): string {
  return `${grouped(count)} word${count === 1 ? "" : "s"}`;
}

function tell(list: WordList): string {
  const parts: string[] = [counted(list.words.count)];
  if (list.dropped_count > 0) {
    parts.push(`${grouped(list.dropped_count)} dropped: ${causes(list)}${first_of(list.dropped)}`);
  }
  if (list.ignored_count > 0) {
    parts.push(`${grouped(list.ignored_count)} with an option that is not known${first_of(list.ignored)}`);
  }
  for (const told of oddities(list)) {
    parts.push(told);
  }
  return parts.join("; ");
}

function read_text(
  content: string,
  terms: ListTerms,
  pause: (this: void) => void,
): LuaMultiReturn<[list: ReadList | undefined, reason: string | undefined]> {
  const options = { whole: terms.whole_words ?? DEFAULT_WHOLE_WORDS, separators: terms.separators ?? DEFAULT_SEPARATORS };
  const [list, refusal] = read_word_list(content, options, pause);
  if (list === undefined) {
    return $multi(undefined, `the file ${refusal}`);
  }
  if (list.words.count === 0) {
    const dropped = `; ${grouped(list.dropped_count)} dropped: ${causes(list)}${first_of(list.dropped)}`;
    const odd = oddities(list)[0];
    return $multi(undefined, `expected words, one a line, found none${list.dropped_count === 0 ? "" : dropped}${odd === undefined ? "" : `; ${odd}`}`);
  }
  const source: Source = {
    name: terms.name,
    action: action_number(terms.action),
    words: list.words,
    characters_size: list.characters_size,
  };
  return $multi({ source, told: tell(list), words: list, owner: list }, undefined);
}

function read_compiled(content: string, terms: ListTerms): LuaMultiReturn<[list: ReadList | undefined, reason: string | undefined]> {
  const bytes = content.length;
  const block = ffi.new<Bytes>("uint8_t[?]", bytes);
  ffi.copy(block, content, bytes);
  const [lexicon, reason] = open_image(block, bytes, FOLD_VERSION, block);
  if (lexicon === undefined) {
    return $multi(undefined, `expected a compiled list that can be used: ${reason}`);
  }
  const source: Source = {
    name: terms.name,
    action: action_number(terms.action),
    words: words_of(lexicon),
    characters_size: lexicon.word_starts[lexicon.words + 1]!,
  };
  return $multi({ source, told: `${counted(lexicon.words)}, compiled`, words: undefined, owner: lexicon }, undefined);
}

/**
 * Reads a list from its file's bytes: a text, or what `compile_lexicon` made of one. `pause` is called now and then. Returns
 * undefined and why, if it can't be used.
 */
function read_list(
  content: string,
  terms: ListTerms,
  pause: (this: void) => void,
): LuaMultiReturn<[list: ReadList | undefined, reason: string | undefined]> {
  if (is_image(content)) {
    return read_compiled(content, terms);
  }
  return read_text(content, terms, pause);
}

export { action_number, causes, grouped, oddities, read_list };
export type { ListTerms, ReadList };
