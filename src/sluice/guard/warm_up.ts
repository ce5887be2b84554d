/**
 * Compiles the scanner's loops when the process starts, each alone and before those around it (see wire/warm_up), with a small
 * lexicon of its own. Run in nginx's master process, the result is inherited by every worker.
 */

import { return_answer, take_answer } from "../wire/answer";
import { bytes_of, check, restart, walker } from "../wire/json";
import { text_string } from "../wire/json_strings";
import { compile } from "../wire/shape";
import { attach, new_text, text_sink } from "../wire/text";
import { Action } from "./words";
import { compile_lexicon } from "./compile";
import { FOLD_VERSION } from "./fold";
import { open_image } from "./lexicon";
import { watch_prompt } from "./prompt";
import { NUMBERS, Pattern } from "./pattern_state";
import { end_guarded, guard_stream, read_guarded } from "./stream";
import { unguard_text } from "./text";
import { read_word_list } from "./word_list";
import type { Walk } from "../wire/json";
import type { Place } from "../wire/shape";
import type { Text } from "../wire/text";
import type { Guard } from "./guards";
import type { GuardedText } from "./text";

const rep = string.rep;

/** How often each piece is run: more than enough for a loop to be recorded, and for its exits after it. */
const ROUNDS = 200;

const TEXT: Place = { text: true, key_text: true };
TEXT.items = TEXT;
TEXT.others = TEXT;

/** Words that share beginnings with each other and with the texts below, and none that is in these but in `FINDS`. */
const WORDS = "babe\tpart,loose\nabed\tpart\nbedded\nab be\texact,part\nzeal\nzealot\nthen again\n\u654f\u611f\u8bcd\n\u611f\u8bcd\u8868\n\u4eca\u5e74\n\u5e74\u7ec8\u5956\n";

function make_guard(patterns: number): Guard | undefined {
  const pause = (): void => {};
  const [list] = read_word_list(WORDS, { whole: "ascii", separators: "auto" }, pause);
  if (list === undefined) {
    return undefined;
  }
  const [image, bytes] = compile_lexicon(
    [{ name: "warm-up", action: Action.Flag, words: list.words, characters_size: list.characters_size }],
    false,
    pause,
  );
  const [lexicon] = open_image(image, bytes, FOLD_VERSION, image);
  if (lexicon === undefined) {
    return undefined;
  }
  const pattern_actions = new LuaTable<number, number>();
  let pattern = 1;
  while (pattern <= Pattern.Email) {
    pattern_actions.set(pattern, Action.Flag);
    pattern *= 2;
  }
  return {
    name: "warm-up", on_prompt: true, on_completion: true, lexicon, lists: lexicon.names, patterns, held_patterns: patterns,
    pattern_actions,
  };
}

/** Runs one kind of string by itself, again and again. */
function run_string(walk: Walk<Text>, content: string): void {
  const text = `${content}"`;
  const bytes = bytes_of(text);
  for (const _ of $range(1, ROUNDS)) {
    restart(walk);
    walk.state.node = 1;
    walk.sink.begin(walk.target, 1, 0);
    text_string(walk, walk.state, bytes, 0, text.length);
  }
}

const PLAIN = rep("some plain text of many usual letters which nobody lists ", 20);
const WIDE = rep("\u7f51\u5173\u628a\u8bf7\u6c42\u7684\u5b57\u8282\u8bfb\u4e00\u904d", 20);
const ESCAPES = rep("\\n\\t", 60);
const MIXED =
  "then a zebra, \u4eca\u5929\u654f\u6377\u3002 in 2024: 12 zones, caf\u00e9!\\n \u5e74\u7ec8 the zeta\u3001\u611f\u8bcd\uff0c\u4eca\u5e74. \\\"so\\\" \u654f-\u611f then ag ";

/** Figures of all kinds, in which nothing is found. */
const FIGURES =
  "123,456;7.89,2024-01-01T00:00:00Z deadbeef-0123-4567-89ab 12 34 1 2 3-4 5678 9012 3456 1234567890123456789012345 a.b@c, 1\u4eca2\u00e93\\n4@5.b ";
/** Words, numbers and addresses: each is found. */
const FINDS = "babe b-a-b-e abed xabedded bedded, ab be 13812345678 138-1234-5678 4111 1111 1111 1111 078-05-1120 a.b@c.org, 11010519491231002X ";

function walk_prompts(guard: Guard): void {
  const text = new_text();
  const walk = walker(compile(TEXT), text_sink(), text);
  attach(walk, text);
  watch_prompt(text, guard);
  run_string(walk, PLAIN);
  run_string(walk, WIDE);
  run_string(walk, ESCAPES);
  run_string(walk, MIXED);
  run_string(walk, FIGURES);
  run_string(walk, FINDS);
  const document = `{"messages":[{"role":"user","content":"${PLAIN}${WIDE}${MIXED}${FIGURES}"}],"n":1}`;
  for (const _ of $range(1, ROUNDS)) {
    check(walk, document);
  }
  unguard_text(text as GuardedText);
}

function read_streams(guard: Guard): void {
  const events: string[] = [];
  for (const piece of [" word", "\u4eca", "\u5929\u5f88\u597d", " then", " 12", "\\n", " zea", "."]) {
    events.push(
      `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content":"${piece}"},"finish_reason":null}]}\n\n`,
    );
  }
  for (const round of $range(1, ROUNDS)) {
    const answer = take_answer("chat", true);
    const stream = guard_stream(answer, guard);
    for (const event of events) {
      read_guarded(stream, event, round);
    }
    read_guarded(stream, events.join(""), round);
    read_guarded(stream, `event: message\n${events[0]}`, round);
    read_guarded(stream, ": keeps the connection\n\n", round);
    read_guarded(stream, "data: [DONE]\n\n", round);
    end_guarded(stream, round);
    unguard_text(answer.text as GuardedText);
    return_answer(answer);
  }
}

/** Compiles the loops, with and without patterns. Takes some tens of milliseconds. */
function warm_up_guards(): void {
  const guard = make_guard(0);
  if (guard !== undefined) {
    walk_prompts(guard);
    read_streams(guard);
    for (const patterns of [NUMBERS, NUMBERS + Pattern.Email]) {
      guard.patterns = patterns;
      guard.held_patterns = patterns;
      walk_prompts(guard);
      read_streams(guard);
    }
  }
}

export { warm_up_guards };
