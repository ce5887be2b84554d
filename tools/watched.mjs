// Runs a program and ends it when it has hung: when it has printed nothing for so many seconds. A limit of that kind is met by a program
// that has stopped, and not by one that is slow because the machine has much else to do.
//
//   node tools/watched.mjs SECONDS PROGRAM [ARGUMENT…]
//
// Passes on what is printed, and the exit status; 124 if it has hung.

import { spawn } from "node:child_process";
import { pathToFileURL } from "node:url";

const HUNG = 124;

/** Programs that run now, each the head of a process group of its own. */
const running = new Set();

function endGroup(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]]) {
  process.on(signal, () => {
    for (const child of running) endGroup(child);
    process.exit(status);
  });
}

/**
 * Runs a program with nothing on its standard input. `onOutput` is given what it prints, piece by piece. Resolves to its exit status; to
 * 124 if it printed nothing for so many seconds and was ended, its children included.
 */
function runWatched(program, args, seconds, onOutput) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    running.add(child);
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      onOutput(`\n${[program, ...args].join(" ")}: nothing was printed for ${seconds} s: ended\n`);
      endGroup(child);
    }, seconds * 1000);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        timer.refresh();
        onOutput(text);
      });
    }
    const end = (status) => {
      clearTimeout(timer);
      running.delete(child);
      resolve(status);
    };
    child.on("error", (error) => {
      onOutput(`${program}: ${error.message}\n`);
      end(127);
    });
    child.on("close", (status, signal) => {
      if (signal !== null && !hung) onOutput(`\n${program}: ended by ${signal}\n`);
      end(hung ? HUNG : (status ?? 1));
    });
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [seconds = "", program = "", ...args] = process.argv.slice(2);
  process.exitCode = await runWatched(program, args, Number(seconds), (text) => process.stdout.write(text));
}

export { runWatched };
