/**
 * Counters as text, so that they outlive the gateway: a line for each scope. Written every few seconds; what came after is taken from
 * the journal, behind the place that each scope's counters say.
 */

import type { Counters } from "./counters";

const HEAD = "sluice limits 1";
const format = string.format;

function number_text(value: number): string {
  return format("%.17g", value);
}

/** A scope's line, without its newline. Names hold no spaces. `now`: when the counters were as they are. */
function counters_line(name: string, counters: Counters, now: number): string {
  const parts: string[] = [name];
  parts.push(number_text(now));
  parts.push(number_text(counters.period));
  parts.push(number_text(counters.spent));
  parts.push(number_text(counters.told));
  for (const index of $range(0, 1)) {
    parts.push(number_text(counters.files[index]!));
    parts.push(number_text(counters.offsets[index]!));
  }
  for (const index of $range(0, counters.window_count - 1)) {
    const window = counters.windows[index]!;
    parts.push(number_text(window.measure));
    parts.push(number_text(window.seconds));
    parts.push(number_text(window.start));
    parts.push(number_text(window.current));
    parts.push(number_text(window.previous));
  }
  return parts.join(" ");
}

/** When the state was begun to be written, and where the journal ended then (`file`: its inode, 0 if there was none). */
interface StateHead {
  time: number;
  file: number;
  offset: number;
}

/** The whole file: what it is, the scopes' lines, and a line that says it is complete. */
function state_text(head: StateHead, lines: string[]): string {
  const numbers = `${number_text(head.time)} ${number_text(head.file)} ${number_text(head.offset)}`;
  const body = lines.length > 0 ? `${lines.join("\n")}\n` : "";
  return `${HEAD} ${numbers}\n${body}end ${lines.length}\n`;
}

/** The lines of a file; undefined and a reason if it is not a complete one. */
function state_lines(text: string): LuaMultiReturn<[lines: string[] | undefined, reason: string | undefined, head: StateHead]> {
  const head: StateHead = { time: 0, file: 0, offset: 0 };
  const [time, file, offset, rest] = string.match(text, `^${HEAD} (%S+) (%S+) (%S+)\n(.*)$`);
  if (rest === undefined) {
    return $multi(undefined, "it was written by another version or by something else", head);
  }
  head.time = tonumber(time) ?? 0;
  head.file = tonumber(file) ?? 0;
  head.offset = tonumber(offset) ?? 0;
  const lines: string[] = [];
  for (const [line] of string.gmatch(rest, "([^\n]+)\n")) {
    lines.push(line!);
  }
  const last = lines.pop();
  if (last === `end ${lines.length}`) {
    return $multi(lines, undefined, head);
  }
  return $multi(undefined, "it is incomplete", head);
}

/** Reads a line into counters that are empty. Returns the scope's name, undefined if the line is none, and when they were so. */
function read_counters_line(
  counters: Counters,
  line: string,
): LuaMultiReturn<[name: string | undefined, time: number]> {
  const [name, rest] = string.match(line, "^(%S+) (.*)$");
  if (name === undefined) {
    return $multi(undefined, 0);
  }
  const numbers: number[] = [];
  for (const [text] of string.gmatch(rest!, "%S+")) {
    const value = tonumber(text);
    if (value === undefined) {
      return $multi(undefined, 0);
    }
    numbers.push(value);
  }
  const windows = (numbers.length - 8) / 5;
  if (windows < 0 || windows > 6 || windows !== math.floor(windows)) {
    return $multi(undefined, 0);
  }
  counters.period = numbers[1]!;
  counters.spent = numbers[2]!;
  counters.told = numbers[3]!;
  for (const index of $range(0, 1)) {
    counters.files[index] = numbers[4 + index * 2]!;
    counters.offsets[index] = numbers[5 + index * 2]!;
  }
  for (const index of $range(0, windows - 1)) {
    const window = counters.windows[index]!;
    const at = 8 + index * 5;
    window.measure = numbers[at]!;
    window.seconds = numbers[at + 1]!;
    window.start = numbers[at + 2]!;
    window.current = numbers[at + 3]!;
    window.previous = numbers[at + 4]!;
  }
  counters.window_count = windows;
  return $multi(name, numbers[0]!);
}

export { counters_line, read_counters_line, state_lines, state_text };
export type { StateHead };
