import * as ffi from "ffi";
import { Action } from "../guard/words";
import { compile_lexicon } from "../guard/compile";
import { new_field } from "../guard/field";
import { FOLD_VERSION } from "../guard/fold";
import { is_image, open_image } from "../guard/lexicon";
import { read_list } from "../guard/list";
import { scan_character, settle } from "../guard/letters";
import { begin_text, new_scanner, place_of } from "../guard/scanner";
import { decode_utf8 } from "../wire/json_text";
import { TextKind } from "../wire/text_kind";
import type { Lexicon } from "../guard/lexicon";
import type { ListTerms } from "../guard/list";
import type { Hit } from "../guard/match";
import { Status } from "./terminal";
import type { Terminal } from "./terminal";

/**
 * `sluice lexicon test`: what of a list is found in a text, and where. Its status is 0 if nothing is, 1 if something is: the
 * text may pass, or the answer is no.
 */

interface TestTools {
  read_file: (this: void, path: string) => LuaMultiReturn<[text: string | undefined, reason: string | undefined]>;
}

/** The lexicon that a file is, or can be compiled to. */
function lexicon_of(content: string, terms: ListTerms): LuaMultiReturn<[lexicon: Lexicon | undefined, reason: string | undefined]> {
  if (is_image(content)) {
    const block = ffi.new<Bytes>("uint8_t[?]", content.length);
    ffi.copy(block, content, content.length);
    const [opened, reason] = open_image(block, content.length, FOLD_VERSION, block);
    return $multi(opened, reason);
  }
  const [list, refusal] = read_list(content, terms, () => {});
  if (list === undefined) {
    return $multi(undefined, refusal);
  }
  const [image, bytes] = compile_lexicon([list.source], false, () => {});
  const [lexicon, reason] = open_image(image, bytes, FOLD_VERSION, image);
  return $multi(lexicon, reason);
}

/** What the lexicon finds in a text, by where it begins. Bytes that are not UTF-8 count as U+FFFD. */
function matches_in(lexicon: Lexicon, text: string): Hit[] {
  const scanner = new_scanner(lexicon);
  const field = new_field();
  field.kind = TextKind.Content;
  begin_text(scanner, field, false);
  const bytes = ffi.cast<Bytes>("const uint8_t *", text);
  let at = 0;
  let count = 0;
  while (at < text.length) {
    let code_point = bytes[at]!;
    let next = at + 1;
    if (code_point > 127) {
      const [decoded, after] = decode_utf8(bytes, at, text.length);
      code_point = after > 0 ? decoded : 0xfffd;
      next = after > 0 ? after : next;
    }
    field.position = at;
    field.next = next;
    field.passed = count;
    scan_character(scanner, field, place_of(lexicon, code_point), code_point);
    at = next;
    count += 1;
  }
  settle(scanner, field);
  table.sort(scanner.hits, (left, right) => (left.start === right.start ? left.end < right.end : left.start < right.start));
  return scanner.hits;
}

function action_text(action: number): string {
  return action === Action.Block ? "block" : action === Action.Mask ? "mask" : action === Action.Flag ? "flag" : "the list's action";
}

/** The text, with `[` and `]` around what matched; matches that overlap are one. The hits are in their order. */
function marked(text: string, hits: Hit[]): string {
  const parts: string[] = [];
  let shown_to = 0;
  let open_to = -1;
  for (const hit of hits) {
    if (hit.start >= open_to) {
      if (open_to >= 0) {
        parts.push(string.sub(text, shown_to + 1, open_to), "]");
        shown_to = open_to;
      }
      parts.push(string.sub(text, shown_to + 1, hit.start), "[");
      shown_to = hit.start;
    }
    open_to = math.max(open_to, hit.end);
  }
  parts.push(string.sub(text, shown_to + 1, open_to), "]", string.sub(text, open_to + 1));
  return parts.join("");
}

/** Prints each match: its bytes, counted from 0, the list, what is done about it, and itself; and the text. */
function test_lexicon(file: string, text: string, terms: ListTerms, tools: TestTools, terminal: Terminal): Status {
  const [content, unread] = tools.read_file(file);
  if (content === undefined) {
    terminal.complain(`sluice: ${file}: can't be read: ${unread}`);
    return Status.BadUse;
  }
  if (is_image(content) && (terms.whole_words !== undefined || terms.separators !== undefined)) {
    terminal.complain(`sluice: ${file} is compiled: its words have their options already`);
    return Status.BadUse;
  }
  const [lexicon, reason] = lexicon_of(content, terms);
  if (lexicon === undefined) {
    terminal.complain(`sluice: ${file}: ${reason}`);
    return Status.BadUse;
  }
  const hits = matches_in(lexicon, text);
  if (hits.length === 0) {
    terminal.print("nothing found");
    return Status.Good;
  }
  for (const hit of hits) {
    const name = lexicon.names[hit.source] ?? "";
    terminal.print(`bytes ${hit.start} to ${hit.end}: ${name}, ${action_text(hit.action)}: ${string.sub(text, hit.start + 1, hit.end)}`);
  }
  terminal.print("");
  terminal.print(marked(text, hits));
  return Status.No;
}

export { matches_in, test_lexicon };
export type { TestTools };
