import { parser } from "yaml";
import type { Mapping, Node, Refused, Sequence } from "./node";
import { item_path, member_path, report } from "./problem";
import type { ProblemList } from "./problem";
import { report_fault } from "./yaml_fault";

/**
 * Reads one YAML document into a tree of nodes.
 *
 * Left out of YAML on purpose, each with a message of its own: several documents, anchors and aliases
 * (one can write a bomb with them), tags, merge keys, members written twice (of which most readers
 * keep the last one in silence), depth beyond 32.
 */

const byte = string.byte;
const find = string.find;
const gsub = string.gsub;
const sub = string.sub;

/** The largest document, in bytes. */
const MOST_BYTES = 1048576;
const MOST_DEPTH = 32;
/** Between two calls of `pause`, so many events are read: about a millisecond. */
const EVENTS_PER_PAUSE = 1000;

/** What a parse carries along. */
interface Reading {
  next: (this: void) => YamlEvent | undefined;
  text: string;
  problems: ProblemList;
  pause: (this: void) => void;
  events: number;
  /** Somewhere the text holds an escaped zero byte. */
  escaped_zero: boolean;
  /** The byte (from 1) and the character (from 0) that `byte_offset` has come to; a byte order mark isn't counted. */
  at: number;
  character: number;
  /** The rest can't be read. */
  stopped: boolean;
}

const ESCAPED_ZERO = ["\\0", "\\x00", "\\u0000", "\\U00000000"];

/** Whether `text` could hold an escaped zero byte, at which the parser would cut a string short. */
function has_escaped_zero(text: string): boolean {
  for (const escape of ESCAPED_ZERO) {
    const [at] = find(text, escape, 1, true);
    if (at !== undefined) {
      return true;
    }
  }
  return false;
}

/** The next event, or `undefined` when nothing more can be read. */
function next_event(reading: Reading): YamlEvent | undefined {
  if (reading.stopped) {
    return undefined;
  }
  reading.events = reading.events + 1;
  if (reading.events % EVENTS_PER_PAUSE === 0) {
    reading.pause();
  }
  const [ok, event] = pcall(reading.next);
  if (!ok) {
    reading.stopped = true;
    report_fault(reading.text, tostring(event), reading.problems);
    return undefined;
  }
  return event;
}

function refuse(reading: Reading, path: string, message: string, line: number): Refused {
  report(reading.problems, path, message, line);
  return { kind: "refused", line };
}

/** Reads over the rest of a mapping or sequence whose start has been read. */
function skip(reading: Reading): void {
  let open = 1;
  while (open > 0) {
    const event = next_event(reading);
    if (event === undefined) {
      return;
    }
    if (event.type === "MAPPING_START" || event.type === "SEQUENCE_START") {
      open = open + 1;
    } else if (event.type === "MAPPING_END" || event.type === "SEQUENCE_END") {
      open = open - 1;
    }
  }
}

/** The byte offset, from 1, of a character offset, from 0. Only called for a text with an escaped zero, with rising offsets. */
function byte_offset(reading: Reading, character: number): number {
  const text = reading.text;
  while (reading.at <= text.length && reading.character < character) {
    const first = byte(text, reading.at);
    reading.at = reading.at + (first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1);
    reading.character = reading.character + 1;
  }
  return reading.at;
}

function read_scalar(reading: Reading, event: YamlEvent, path: string): Node {
  const line = event.start_mark.line + 1;
  if (event.style === "DOUBLE_QUOTED" && reading.escaped_zero) {
    const start = byte_offset(reading, event.start_mark.index);
    const written = sub(reading.text, start, byte_offset(reading, event.end_mark.index) - 1);
    const [without_pairs] = gsub(written, "\\\\", "");
    if (has_escaped_zero(without_pairs)) {
      return refuse(reading, path, "a string can't hold a zero byte", line);
    }
  }
  return { kind: "scalar", line, text: event.value ?? "", plain: event.style === "PLAIN", from_environment: false };
}

/** Reads the node that begins with `event`. */
function read_node(reading: Reading, event: YamlEvent, path: string, depth: number): Node {
  const line = event.start_mark.line + 1;
  const nested = event.type === "MAPPING_START" || event.type === "SEQUENCE_START";
  let complaint: string | undefined;
  if (event.type === "ALIAS" || event.anchor !== undefined) {
    complaint = "anchors (&name) and aliases (*name) are not accepted; write the value out, or quote a text that begins so";
  } else if (event.tag !== undefined) {
    complaint = "tags (!name) are not accepted; quote a text that begins so";
  } else if (nested && depth >= MOST_DEPTH) {
    reading.stopped = true;
    return refuse(reading, "", `nested more than ${MOST_DEPTH} deep`, line);
  }
  if (complaint !== undefined) {
    if (nested) {
      skip(reading);
    }
    return refuse(reading, path, complaint, line);
  }
  if (event.type === "MAPPING_START") {
    return read_mapping(reading, line, path, depth);
  }
  if (event.type === "SEQUENCE_START") {
    return read_sequence(reading, line, path, depth);
  }
  return read_scalar(reading, event, path);
}

function read_sequence(reading: Reading, line: number, path: string, depth: number): Sequence {
  const items: Node[] = [];
  let event = next_event(reading);
  while (event !== undefined && event.type !== "SEQUENCE_END") {
    items.push(read_node(reading, event, item_path(path, items.length), depth + 1));
    event = next_event(reading);
  }
  return { kind: "sequence", line, items };
}

function read_mapping(reading: Reading, line: number, path: string, depth: number): Mapping {
  const names: string[] = [];
  const values: Node[] = [];
  const line_of_name = new LuaTable<string, number>();
  let event = next_event(reading);
  while (event !== undefined && event.type !== "MAPPING_END") {
    const name_line = event.start_mark.line + 1;
    const key = read_node(reading, event, path, depth + 1);
    const value_event = next_event(reading);
    if (value_event === undefined) {
      break;
    }
    const name = key.kind === "scalar" ? key.text : "";
    const value = read_node(reading, value_event, member_path(path, name), depth + 1);
    const first_line = line_of_name.get(name);
    if (key.kind === "mapping" || key.kind === "sequence") {
      report(reading.problems, path, "the name of a member must be a text, found a list or a mapping", name_line);
    } else if (key.kind === "scalar" && key.plain && name === "<<") {
      report(reading.problems, path, "merge keys (<<) are not accepted; write the members out", name_line);
    } else if (first_line !== undefined) {
      report(reading.problems, member_path(path, name), `written twice, first on line ${first_line}`, name_line);
    } else if (key.kind === "scalar") {
      line_of_name.set(name, name_line);
      names.push(name);
      values.push(value);
    }
    event = next_event(reading);
  }
  return { kind: "mapping", line, names, values };
}

/**
 * Reads the one document in `text`. Problems go to `problems`, paths included; the answer is
 * `undefined` when the text is no YAML, or empty. Where only a part is refused, that part is a
 * `refused` node, so that the rest can be checked too. `pause` is called now and then, for a worker that has clients to serve.
 */
function parse(text: string, problems: ProblemList, pause: (this: void) => void): Node | undefined {
  if (text.length > MOST_BYTES) {
    report(problems, "", `larger than ${MOST_BYTES / 1024} KiB; a tenant with many API keys keeps them in an api_keys_file`);
    return undefined;
  }
  const [first, second, third] = byte(text, 1, 3);
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    report(problems, "", "not YAML: the text is UTF-16; save it as UTF-8", 1);
    return undefined;
  }
  const at = first === 0xef && second === 0xbb && third === 0xbf ? 4 : 1;
  const reading: Reading = {
    next: parser(text),
    text,
    problems,
    pause,
    events: 0,
    escaped_zero: has_escaped_zero(text),
    at,
    character: 0,
    stopped: false,
  };
  next_event(reading);
  let event = next_event(reading);
  if (event === undefined) {
    return undefined;
  }
  if (event.type === "STREAM_END") {
    report(problems, "", "the file is empty");
    return undefined;
  }
  event = next_event(reading);
  if (event === undefined) {
    return undefined;
  }
  const node = read_node(reading, event, "", 0);
  next_event(reading);
  event = next_event(reading);
  if (event !== undefined && event.type !== "STREAM_END") {
    report(problems, "", "holds more than one document; only one is read", event.start_mark.line + 1);
    return undefined;
  }
  return reading.stopped ? undefined : node;
}

export { parse };
