/**
 * The tree that a YAML document is read into.
 *
 * A tree rather than plain Lua tables, because a table can't tell `[]` from `{}`, nor a member that
 * is empty from one that isn't there, forgets the order and the lines, and has lost the text of
 * `sha256: 1234…` once it has become a number. What a scalar means is told by `scalar.ts`, when
 * the checker knows what is wanted.
 */

const match = string.match;

interface Mapping {
  kind: "mapping";
  line: number;
  names: string[];
  values: Node[];
}

interface Sequence {
  kind: "sequence";
  line: number;
  items: Node[];
}

interface Scalar {
  kind: "scalar";
  line: number;
  text: string;
  /** Written without quotes. */
  plain: boolean;
  /** Part of it, at least, came from the environment. */
  from_environment: boolean;
}

/** Something that has already been reported, so that nobody reports it again. */
interface Refused {
  kind: "refused";
  line: number;
}

type Node = Mapping | Sequence | Scalar | Refused;

/** The line of the node at `path`, or of the nearest one above it that is there. */
function line_at(root: Node, path: string): number {
  let node = root;
  let at = 1;
  while (at <= path.length) {
    const [name, after_name] = match(path, "^%.?([%w_%-]+)()", at);
    const [index, after_index] = match(path, "^%[(%d+)%]()", at);
    let below: Node | undefined;
    if (node.kind === "mapping" && name !== undefined) {
      for (const position of $range(0, node.names.length - 1)) {
        if (node.names[position] === name) {
          below = node.values[position];
        }
      }
    } else if (node.kind === "sequence" && index !== undefined) {
      below = node.items[tonumber(index) ?? 0];
    }
    const after = after_name ?? after_index;
    if (below === undefined || after === undefined) {
      return node.line;
    }
    node = below;
    at = tonumber(after) ?? path.length + 1;
  }
  return node.line;
}

export { line_at };
export type { Mapping, Node, Refused, Scalar, Sequence };
