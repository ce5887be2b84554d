/**
 * Compiles the walker's loops when the process starts, in an order in which they fit together.
 *
 * LuaJIT records a loop when it has run some fifty times, and how good its machine code is depends on what happened
 * to come along then: a loop that is recorded just when it enters another one is given up, and after a few such
 * accidents for good. Then a walk runs ten times slower until the worker ends. Here each inner loop is compiled alone,
 * on text of its own kind; then the outer one, on a document without strings, numbers or keys; and only then do
 * documents of all kinds let the exits of each be linked to the others. Run in nginx's master process, the result is
 * inherited by every worker.
 */

import { end_body, read_body, read_stream, return_answer, take_answer } from "./answer";
import { clear } from "./estimate";
import { bytes_of, check, restart, walker } from "./json";
import { key_string } from "./json_keys";
import { number_digits } from "./json_scalars";
import { At } from "./json_state";
import { known_string, other_string, text_string } from "./json_strings";
import { compile } from "./shape";
import { attach, new_text, text_sink } from "./text";
import type { Walk } from "./json";
import type { Text } from "./text";
import type { Place } from "./shape";

const rep = string.rep;

/** How often each piece is run: more than enough for a loop to be recorded, and for its exits after it. */
const ROUNDS = 120;

const TEXT: Place = { text: true, key_text: true };
TEXT.items = TEXT;
TEXT.others = TEXT;

const SHAPE = compile({
  members: {
    model: { slot: "model" },
    stream: { slot: "stream" },
    choices: { slot: "choices", items: { members: { delta: { members: { content: TEXT } } } } },
    messages: { items: { members: { role: { text: true, known: ["user"] }, content: TEXT } } },
    usage: { slot: "usage", members: { prompt_tokens: { slot: "input" }, completion_tokens: { slot: "output" } } },
    other: TEXT,
  },
  slot: "body",
});

/** Runs one inner loop by itself on a long run of one kind of text. */
function run_strings(walk: Walk<Text>): void {
  const plain = rep("plain text, and more of it. ", 40);
  const wide = rep("\u4eca\u5929\u5929\u6c14\u5f88\u597d", 40);
  for (const text of [`${plain}"`, `${wide}"`]) {
    const bytes = bytes_of(text);
    for (const _ of $range(1, ROUNDS)) {
      text_string(walk, walk.state, bytes, 0, text.length);
      other_string(walk.state, bytes, 0, text.length);
    }
  }
  const escapes = `${rep("\\n\\t", 60)}"`;
  for (const _ of $range(1, ROUNDS)) {
    // Without runs: else the loop around them never comes to be compiled by itself.
    text_string(walk, walk.state, bytes_of(escapes), 0, escapes.length);
    other_string(walk.state, bytes_of(escapes), 0, escapes.length);
  }
  const value = `${rep("value", 12)}"`;
  for (const _ of $range(1, ROUNDS)) {
    known_string(walk.shape, 1, bytes_of(value), 0, value.length);
  }
  const key = `${rep("key", 40)}"`;
  const digits = `${rep("1234567890", 20)},`;
  for (const _ of $range(1, ROUNDS)) {
    restart(walk);
    key_string(walk, walk.state, bytes_of(key), 0, key.length);
    number_digits(walk.state, bytes_of(digits), 0, digits.length, At.Integer);
  }
}

/** Documents with something of everything, long and short. */
function documents(): string[] {
  const wide = "\u4eca\u5929\u5929\u6c14\u5f88\u597d";
  return [
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}',
    `{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"${wide}"},"finish_reason":"stop"}],"usage":null}`,
    '{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3456,"total_tokens":3468,"details":{"a":0,"b":-1.5e3}}}',
    `{"model":"chat","messages":[{"role":"system","content":"${rep("You are helpful. ", 5)}"},{"role":"user","content":"${rep(wide, 5)} and\\n\\u4eca \\"more\\""}],"temperature":0.7,"stream":true,"n":1}`,
    `{ "model" : "chat", "other" : { "k\\u00e9y" : ["a", "${wide}", true, false, null, 1, {}, []] } }`,
  ];
}

/** Lets answers of each kind pass, in whole events and in cut ones. */
function run_answers(mixed: string[]): void {
  for (const round of $range(1, ROUNDS)) {
    for (const document of mixed) {
      const stream = take_answer("chat", true);
      const event = `data: ${document}\n\n`;
      read_stream(stream, event);
      read_stream(stream, event);
      if (round % 4 === 0) {
        read_stream(stream, string.sub(event, 1, 50));
        read_stream(stream, string.sub(event, 51));
        read_stream(stream, `: ping\r\n\r\n${event}${event}`);
      }
      return_answer(stream);
      const body = take_answer("chat", false);
      read_body(body, document);
      end_body(body);
      return_answer(body);
    }
  }
}

/** Compiles the loops. Takes a few milliseconds. */
function warm_up(): void {
  const text = new_text();
  const walk = walker(SHAPE, text_sink(), text);
  attach(walk, text);
  run_strings(walk);
  const structure = `[${rep("[[],{},[true,false,null] ,[ ]], ", 30)}[]]`;
  for (const _ of $range(1, ROUNDS)) {
    check(walk, structure);
  }
  const mixed = documents();
  for (const _ of $range(1, ROUNDS)) {
    for (const document of mixed) {
      clear(text.estimate);
      check(walk, document);
    }
  }
  run_answers(mixed);
}

export { warm_up };
