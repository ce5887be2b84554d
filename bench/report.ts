/** The table as text for a terminal and as a page. */
import { CONNECTIONS, STREAMS } from "./requests.ts";
import type { Line, Table } from "./row.ts";

const HEADINGS = ["what", "ours", "other", "result", "target", "", "beside it"];

function cells_of(line: Line): string[] {
  const verdict = line.met === undefined ? "" : line.met ? "met" : "short";
  return [line.what, line.ours, line.other, line.result, line.target, verdict, line.load];
}

/** A Markdown table whose columns are padded, so that it can be read as it is. */
function markdown_of(headings: string[], rows: string[][]): string {
  const widths = headings.map((heading, column) => Math.max(3, heading.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line_of = (cells: string[]): string => `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |\n`;
  return line_of(headings) + line_of(widths.map((width) => "-".repeat(width))) + rows.map(line_of).join("");
}

function table_of(lines: Line[]): string {
  return markdown_of(HEADINGS, lines.map(cells_of));
}

/** The tables that stand by themselves, each with its title and what is to be said about it. */
function tables_of(tables: Table[]): string {
  return tables
    .map(({ title, headings, rows, notes }) => `## ${title}\n\n${markdown_of(headings, rows)}\n${notes.map((note) => `- ${note}\n`).join("")}`)
    .join("\n");
}

/** The whole of RESULTS.md. */
function results_page(facts: [string, string][], lines: Line[], tables: Table[], date: Date): string {
  return `# Results of the benchmark

Written by \`make bench\` on ${date.toISOString().slice(0, 10)}: as seen on that machine, on that day.

${facts.map(([name, version]) => `- ${name}: ${version}`).join("\n")}

${table_of(lines)}
How it is measured
- One gateway worker alone on core 0; wrk and the mock model server on core 1. "cores" are these two, in this
  order, over whole runs: where core 0 is below 100 %, requests a second say more about core 1.
- The client's core is kept awake (awake.lua) and wrk and the mock run in the batch class, so that waking them
  costs the gateway nothing: with a real network it would not either.
- CPU time is what the scheduler counted for the worker's process (for Portkey: all its threads), divided by
  the requests answered, or by the events that the mock wrote. Time in interrupts is not in it.
- The servers of a row run in turns; the ratio is taken turn by turn. Shown is the middle one, with the lowest and
  the highest.
- The guard of the gateway's rows looks for the whole word list in prompts and answers, and finds nothing. The limits
  are requests and tokens a minute, concurrent requests, and a budget by the month, none of them ever reached; they also put
  six headers into each answer. The lines below are the same gateway in the same turns, for tenants without them.
- The floor (floor.conf) is nginx with \`proxy_pass\`, keepalive and \`proxy_buffering off\`, without an access
  log. It receives and sends on the same headers and body as the gateway. Requests: ${CONNECTIONS} connections, an answer of
  about 600 bytes. Events: ${STREAMS} streams at a time, an event a millisecond, each written by itself.
- Redis, which writes an append-only file, runs on the client's core: requests a second say more about that core than about
  the gateway. Each request asks it once; settlements go to it in batches.
- Latencies: a blocking client, one connection to each server, fifty requests to one, then fifty to the other;
  the 99th percentile of each round of 500 on both, and the difference of the two. In brackets: the middle half.
- The list of words is made ready, and texts are walked, in processes of their own without nginx (lexicon.lua,
  walk.lua), by the modules that the gateway loads; the figures are CPU time. Each process walks everything in turns,
  so that no figure is that of code compiled for one text only. The texts (texts.ts) have none of the words.
- "The scan alone" is the difference between the same walk with and without the guard. The 1,000 words are taken
  evenly from all over the list.
- ahocorasick gets the same words and texts, each text as one string that is decoded already: what the gateway does
  besides (decoding, folding, separators, whole words) it does not do.
- A pick is measured without nginx and without the shared dictionary that says what an endpoint has under way (pick.lua): each
  process picks in all ways and from pools of both sizes in turns.
- \`bench/run --control\` puts a second floor in the gateway's place and shows how far a ratio is from 1 by
  accident.

${tables_of(tables)}`;
}

export { results_page, table_of, tables_of };
