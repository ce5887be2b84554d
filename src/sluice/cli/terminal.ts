/** What a command writes to, and how it ends. */

/** The exit statuses of every command: it is so, the answer is no, it was called in a way that makes no sense. */
const enum Status {
  Good = 0,
  No = 1,
  BadUse = 2,
}

/** @noSelf */
interface Terminal {
  /** Writes a line to standard output. */
  print(line: string): void;
  /** Writes a line to standard error. */
  complain(line: string): void;
}

/** The terminal, or whatever the process was given in place of one. */
const terminal: Terminal = {
  print: (line) => {
    io.stdout.write(line, "\n");
  },
  complain: (line) => {
    io.stderr.write(line, "\n");
  },
};

export { Status, terminal };
export type { Terminal };
