/** What a row of the table is. */
import type { Tokens } from "./issuer.ts";
import type { Files, Mock, Server } from "./servers.ts";

/** How long and how often to measure. */
interface Effort {
  /** How often the sides of a row run in turns, or a program by itself. */
  turns: number;
  seconds: number;
  warm_seconds: number;
  rounds: number;
  requests_per_round: number;
}

/** What every row needs. */
interface Setting {
  mock: Mock;
  files: Files;
  floor: Server;
  ours: Server;
  tokens: Tokens;
  effort: Effort;
  /** Fewer and shorter runs. */
  quick: boolean;
  /** The ways of balancing that are compared; none: all. */
  balances: string[];
}

/** One line of the table, ready to print. */
interface Line {
  what: string;
  ours: string;
  other: string;
  result: string;
  /** Empty, and `met` left out: the line is only there to compare with. */
  target: string;
  met?: boolean;
  load: string;
}

/** Something that doesn't fit into a line: a table of its own. */
interface Table {
  title: string;
  headings: string[];
  /** A row may be shorter than the headings. */
  rows: string[][];
  notes: string[];
}

interface Row {
  name: string;
  help: string;
  /** Whether a second floor can stand in the gateway's place. */
  control: boolean;
  /** Lines of the common table, or tables of its own. */
  measure: (setting: Setting) => Promise<Line[] | Table[]>;
}

function is_table(result: Line | Table): result is Table {
  return "headings" in result;
}

export { is_table, type Effort, type Line, type Row, type Setting, type Table };
