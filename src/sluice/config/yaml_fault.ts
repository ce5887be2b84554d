import { report } from "./problem";
import type { ProblemList } from "./problem";

/** Puts what libyaml says about a text that is no YAML into the words of a problem. */

const byte = string.byte;
const find = string.find;
const match = string.match;
const sub = string.sub;

/** The line (from 1) of the first byte that is not UTF-8 or a control character YAML doesn't allow. */
function line_of_bad_byte(text: string): number | undefined {
  let line = 1;
  let at = 1;
  const length = text.length;
  while (at <= length) {
    const first = byte(text, at);
    let more = 0;
    let lowest = 0x80;
    let highest = 0xbf;
    if (first === 10) {
      line = line + 1;
    } else if ((first < 0x20 && first !== 9 && first !== 13) || first === 0x7f) {
      return line;
    } else if ((first >= 0x80 && first < 0xc2) || first > 0xf4) {
      return line;
    } else if (first >= 0xf0) {
      more = 3;
      if (first === 0xf0) lowest = 0x90;
      if (first === 0xf4) highest = 0x8f;
    } else if (first >= 0xe0) {
      more = 2;
      if (first === 0xe0) lowest = 0xa0;
      if (first === 0xed) highest = 0x9f;
    } else if (first >= 0xc2) {
      more = 1;
    }
    for (const offset of $range(1, more)) {
      const following = at + offset <= length ? byte(text, at + offset) : 0;
      if (following < lowest || following > highest) {
        return line;
      }
      lowest = 0x80;
      highest = 0xbf;
    }
    at = at + 1 + more;
  }
  return undefined;
}

/** The text of a line, from 1. */
function line_of(text: string, number: number): string {
  let at = 1;
  for (const _ of $range(2, number)) {
    const [newline] = find(text, "\n", at, true);
    at = (newline ?? text.length) + 1;
  }
  const [until] = find(text, "\n", at, true);
  return sub(text, at, (until ?? text.length + 1) - 1);
}

/** Reports what libyaml threw over `text`. */
function report_fault(text: string, thrown: string, problems: ProblemList): void {
  const [what, line, column] = match(thrown, "^(.-) at document: %d+, line: (%d+), column: (%d+)");
  if (what === undefined) {
    const [reason] = match(thrown, "^(.-) at document");
    report(problems, "", `not YAML: ${reason ?? "the text is not UTF-8"}`, line_of_bad_byte(text));
    return;
  }
  let hint = "";
  const number = tonumber(line) ?? 1;
  if (what === "found character that cannot start any token") {
    hint = "; indent with spaces, not tabs, and quote a text that begins with @ or `";
  } else {
    const [in_flow] = find(thrown, "flow", 1, true);
    const [unquoted] = find(line_of(text, number), "${", 1, true);
    if (in_flow !== undefined && unquoted !== undefined) {
      hint = '; inside { } and [ ] a ${NAME} needs quotes: "${NAME}"';
    }
  }
  report(problems, "", `not YAML: ${what}, column ${column}${hint}`, number);
}

export { report_fault };
