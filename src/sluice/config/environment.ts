import { C, cdef, string as c_string } from "ffi";
import { item_path, member_path, report } from "./problem";
import type { ProblemList } from "./problem";
import type { Node, Scalar } from "./node";

/**
 * Puts environment variables into a configuration: `${NAME}`, and `${NAME:-default}` for one that is unset or
 * empty, as a shell has it; the default is plain text, with no reference in it. `$${` stands for `${`.
 *
 * It works on the tree, after YAML has been read, so that a value can hold anything and still is one
 * value. Names of members aren't touched.
 *
 * nginx takes the environment away from its workers. So it is captured once, in the master, and every
 * later reading of the file uses what was captured: a variable that changes needs a restart.
 */

const byte = string.byte;
const find = string.find;
const match = string.match;
const sub = string.sub;

/** Looks a variable up. */
type Environment = (this: void, name: string) => string | undefined;

cdef("extern char **sluice_environ __asm__(\"environ\");");

/** `NAME=value` of every variable the process has. */
function entries(): string[] {
  const found: string[] = [];
  const environ = (C as { sluice_environ: LuaTable<number, unknown> | undefined }).sluice_environ;
  let index = 0;
  // A null pointer equals nil.
  while (environ !== undefined && environ.get(index) !== undefined) {
    found.push(c_string(environ.get(index)));
    index = index + 1;
  }
  return found;
}

/** Keeps `NAME=value` entries (those of the process, unless told otherwise) to look names up in later. */
function capture(given?: string[]): Environment {
  const values = new LuaTable<string, string>();
  for (const entry of given ?? entries()) {
    const [name, value] = match(entry, "^([^=]+)=(.*)$");
    if (name !== undefined && value !== undefined) {
      values.set(name, value);
    }
  }
  return (name) => values.get(name);
}

/** What `text` becomes, or `undefined` and what is wrong with it. */
function substitute(
  text: string,
  environment: Environment,
): LuaMultiReturn<[text: string | undefined, reason: string | undefined]> {
  const parts: string[] = [];
  let at = 1;
  while (true) {
    const [dollar] = find(text, "${", at, true);
    if (dollar === undefined) {
      parts.push(sub(text, at));
      return $multi(table.concat(parts), undefined);
    }
    if (dollar > at && byte(text, dollar - 1) === 36) {
      parts.push(sub(text, at, dollar - 2));
      parts.push("${");
      at = dollar + 2;
    } else {
      parts.push(sub(text, at, dollar - 1));
      const [end] = find(text, "}", dollar, true);
      if (end === undefined) {
        return $multi(undefined, "a ${ has no }; write $${ for the characters themselves");
      }
      const [name, after] = match(sub(text, dollar + 2, end - 1), "^([A-Za-z_][A-Za-z0-9_]*)(.*)$");
      const [has_default, default_end] = find(after ?? "", ":-", 1, true);
      if (name === undefined || after === undefined || (after !== "" && has_default !== 1)) {
        return $multi(undefined, "expected ${NAME} or ${NAME:-default}; write $${ for the characters themselves");
      }
      const [nested] = find(after, "${", 1, true);
      if (nested !== undefined) {
        return $multi(undefined, "expected a default without a reference of its own");
      }
      const value = environment(name);
      if (has_default !== undefined) {
        parts.push(value === undefined || value === "" ? sub(after, default_end + 1) : value);
      } else if (value === undefined) {
        return $multi(undefined, `the environment variable ${name} is not set`);
      } else {
        parts.push(value);
      }
      at = end + 1;
    }
  }
}

/** What one filling carries along. */
interface Filling {
  environment: Environment;
  problems: ProblemList;
  pause: (this: void) => void;
  nodes: number;
}

/** Between two calls of `pause`, so many nodes are looked at. */
const NODES_PER_PAUSE = 1000;

function fill_scalar(filling: Filling, scalar: Scalar, path: string): Node {
  const [marker] = find(scalar.text, "${", 1, true);
  if (marker === undefined) {
    return scalar;
  }
  const [text, reason] = substitute(scalar.text, filling.environment);
  if (text === undefined) {
    report(filling.problems, path, reason ?? "", scalar.line);
    return { kind: "refused", line: scalar.line };
  }
  const [reference] = find(` ${scalar.text}`, "[^$]%${");
  scalar.text = text;
  scalar.from_environment = reference !== undefined;
  return scalar;
}

function fill_node(filling: Filling, node: Node, path: string): Node {
  filling.nodes = filling.nodes + 1;
  if (filling.nodes % NODES_PER_PAUSE === 0) {
    filling.pause();
  }
  if (node.kind === "mapping") {
    for (const index of $range(0, node.names.length - 1)) {
      const value = node.values[index];
      if (value !== undefined) {
        node.values[index] = fill_node(filling, value, member_path(path, node.names[index] ?? ""));
      }
    }
  } else if (node.kind === "sequence") {
    for (const index of $range(0, node.items.length - 1)) {
      const item = node.items[index];
      if (item !== undefined) {
        node.items[index] = fill_node(filling, item, item_path(path, index));
      }
    }
  } else if (node.kind === "scalar") {
    return fill_scalar(filling, node, path);
  }
  return node;
}

/**
 * Fills in every scalar of a tree, and gives the tree to go on with. What can't be filled in goes to
 * `problems` and is a `refused` node from then on. `pause` is called now and then.
 */
function fill(root: Node, environment: Environment, problems: ProblemList, pause: (this: void) => void): Node {
  return fill_node({ environment, problems, pause, nodes: 0 }, root, "");
}

export { capture, fill, substitute };
export type { Environment };
