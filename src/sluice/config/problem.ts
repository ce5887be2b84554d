/**
 * What is wrong with a configuration, in the words the operator gets to read: which member, what was
 * expected there, what was found.
 *
 * A configuration holds secrets, and its problems end in logs and terminals. So whatever is shown of
 * a value goes through `shown`, short and without control characters, and values of members with a
 * telling name (`is_secret_name`) or out of the environment aren't shown at all.
 */

const byte = string.byte;
const find = string.find;
const format = string.format;
const gsub = string.gsub;
const sub = string.sub;

interface Problem {
  /** The member at fault, such as `tenants[2].api_keys[0].sha256`; empty for the file as a whole. */
  path: string;
  message: string;
  /** The line in the file, from 1, where it is known. */
  line?: number;
  /** The file at fault, if it isn't the configuration itself. */
  file?: string;
}

/** A list of problems that stops growing, so that a file of nothing but mistakes stays readable. */
interface ProblemList {
  problems: Problem[];
  most: number;
  /** How many there were beyond `most`. */
  more: number;
}

/** Makes an empty list that keeps `most` problems. */
function problem_list(most: number): ProblemList {
  return { problems: [], most, more: 0 };
}

/** Adds a problem, or only counts it when the list is full. */
function report(list: ProblemList, path: string, message: string, line?: number, file?: string): void {
  if (list.problems.length >= list.most) {
    list.more = list.more + 1;
    return;
  }
  list.problems.push({ path, message, line, file });
}

/** The problems of a list in the order of their lines, with a last one that tells how many more there were. */
function reported(list: ProblemList): Problem[] {
  const order = new LuaTable<Problem, number>();
  for (const index of $range(0, list.problems.length - 1)) {
    const problem = list.problems[index];
    if (problem !== undefined) {
      order.set(problem, index);
    }
  }
  table.sort(list.problems, (left, right) => {
    const left_line = left.line ?? 0;
    const right_line = right.line ?? 0;
    return left_line === right_line ? order.get(left) < order.get(right) : left_line < right_line;
  });
  if (list.more > 0) {
    list.problems.push({ path: "", message: `${list.more} more problems are not shown` });
    list.more = 0;
  }
  return list.problems;
}

/**
 * One line for a log or a terminal: `FILE: path: message (line N)`. `file` is where the problem lies if it
 * doesn't say so itself.
 */
function problem_text(file: string, problem: Problem): string {
  const where = problem.path === "" ? "" : `${problem.path}: `;
  const line = problem.line === undefined ? "" : ` (line ${problem.line})`;
  return `${problem.file ?? file}: ${where}${problem.message}${line}`;
}

/** What stands for a character that must not be shown as it is; `undefined` for one that may. */
function escaped(character: string): string | undefined {
  const code = byte(character);
  const plain = code > 32 && code < 127 && code !== 34 && code !== 92;
  return plain ? undefined : format("\\x%02x", code);
}

/** Text as it may stand in a message: at most 60 bytes in quotes, nothing but printable ASCII. */
function shown(text: string): string {
  const short = text.length > 60 ? `${sub(text, 1, 57)}...` : text;
  const [clean] = gsub(short, "[^%w ]", escaped as (character: string) => string);
  return `"${clean}"`;
}

/** The path of a member of the object at `path`. */
function member_path(path: string, name: string): string {
  const [plain] = find(name, "^[%w_%-]+$");
  if (plain === undefined || name.length > 60) {
    return `${path}[${shown(name)}]`;
  }
  return path === "" ? name : `${path}.${name}`;
}

/** The path of an item of the list at `path`; `index` counts from 0. */
function item_path(path: string, index: number): string {
  return `${path}[${index}]`;
}

/**
 * Whether a member of that name, and all that is in it, must never be shown: `secret`, `sha256`,
 * `key`, `keys`, `api_keys`, `password`, `token` … A name that ends in `_file` tells where a secret is, not what it is.
 */
function is_secret_name(name: string): boolean {
  const [names_file] = find(name, "_file$");
  if (names_file !== undefined) {
    return false;
  }
  const low = string.lower(name);
  for (const part of ["secret", "sha256", "key", "password", "token", "credential"]) {
    const [at] = find(low, part, 1, true);
    if (at !== undefined) {
      return true;
    }
  }
  return false;
}

export { is_secret_name, item_path, member_path, problem_list, problem_text, report, reported, shown };
export type { Problem, ProblemList };
