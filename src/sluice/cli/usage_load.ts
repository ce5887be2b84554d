import { follow_file, look, new_lines, positions_of, read_lines } from "../edge/followed_file";
import { disconnect, open_ledger, read_source, save_batch } from "../ledger/database";
import { new_entry_reader, read_entry, rescue, row_of } from "../ledger/entry";
import type { FollowedFile, Lines } from "../edge/followed_file";
import type { Connection } from "../ledger/connection";
import type { SourceState } from "../ledger/database";
import type { Dialect } from "../ledger/dialect";
import type { EntryReader } from "../ledger/entry";
import { Status } from "./terminal";
import type { Terminal } from "./terminal";

/**
 * `sluice usage load`: takes the journal's lines into a database, once, or on and on with `--follow`.
 *
 * It may be killed at any moment: what was read and not written is read again. So it needs no signal to end well.
 */

interface LoadOptions {
  /** The journal's path from the root, and how messages call it. */
  journal: string;
  source: string;
  dialect: Dialect;
  /** What the driver is to connect to. */
  database: string;
  follow: boolean;
  /** Whether to go on although the file that was read last is gone. */
  from_start: boolean;
}

interface LoadTools {
  dbi: Dbi;
  sleep: (this: void, seconds: number) => void;
  /** Seconds since 1970. */
  now: (this: void) => number;
}

/** What was done in all. */
interface Totals {
  added: number;
  repeated: number;
  broken: number;
}

interface Loader {
  options: LoadOptions;
  tools: LoadTools;
  terminal: Terminal;
  totals: Totals;
  reader: EntryReader;
  lines: Lines;
  /** Seconds until the next try to connect. */
  pause: number;
  overtaken: boolean;
}

/** A batch: rows, and how many broken lines there were among them. */
interface Batch {
  rows: string[];
  broken: number;
  /** Whether anything was read. */
  begun: boolean;
}

/** How a round of reading went. */
const enum Round {
  /** Nothing was there. */
  Idle,
  Busy,
  /** Another program was faster: the positions are to be read again. */
  Overtaken,
  /** The database failed: it may be there again later. */
  Lost,
  /** It can't go on. */
  Stuck,
}

/** A batch is written when it has so many rows, or nothing more is there. */
const BATCH = 1000;
/** Seconds between two looks at the journal. */
const INTERVAL = 0.5;
/** Seconds between two tries to connect: doubled each time, up to this. */
const LONGEST_PAUSE = 30;
/** So many broken lines are reported one by one, the others are counted. */
const MOST_REPORTED = 100;

/** Takes in the lines that were read. */
function collect(loader: Loader, batch: Batch): void {
  const { lines, reader, terminal, totals } = loader;
  for (const index of $range(0, lines.count - 1)) {
    const text = lines.texts[index]!;
    // A worker ends a line that a full disk has cut with an empty one.
    if (text !== "") {
      const [entry, reason] = read_entry(reader, text);
      if (entry !== undefined) {
        batch.rows.push(row_of(entry));
      } else {
        const rescued = rescue(reader, text);
        if (rescued !== undefined) batch.rows.push(row_of(rescued));
        batch.broken += 1;
        if (totals.broken + batch.broken <= MOST_REPORTED) {
          const end = rescued === undefined ? "" : "; the line at its end is whole, and was taken";
          terminal.complain(`sluice: ${lines.file}: byte ${string.format("%.0f", lines.offsets[index])}: the line ${reason}${end}`);
        }
      }
    }
  }
  batch.begun = true;
}

function tell_notices(loader: Loader, followed: FollowedFile): void {
  for (const notice of followed.notices) {
    loader.terminal.complain(`sluice: ${notice}`);
  }
  followed.notices = [];
}

function save(loader: Loader, connection: Connection, state: SourceState, followed: FollowedFile, batch: Batch): Round {
  const { options, terminal, tools, totals } = loader;
  const now = os.date("!%Y-%m-%dT%H:%M:%S.000Z", math.floor(tools.now()));
  const [saved, reason] = save_batch(connection, options.source, state, batch.rows, positions_of(followed), now);
  if (saved === undefined) {
    terminal.complain(`sluice: the database failed: ${reason}`);
    return Round.Lost;
  }
  if (saved.overtaken) {
    if (!loader.overtaken) terminal.complain(`sluice: another program loads ${options.source} too; no line counts twice`);
    loader.overtaken = true;
    return Round.Overtaken;
  }
  totals.added += saved.added;
  totals.repeated += batch.rows.length - saved.added;
  totals.broken += batch.broken;
  loader.pause = 1;
  return Round.Busy;
}

/** Loads what is there now. */
function load_round(loader: Loader, connection: Connection, state: SourceState, followed: FollowedFile): Round {
  const { lines, terminal, tools } = loader;
  const stuck = look(followed);
  tell_notices(loader, followed);
  if (stuck !== undefined) {
    terminal.complain(`sluice: ${stuck}; --from-start goes on with the oldest file there is`);
    return Round.Stuck;
  }
  let batch: Batch = { rows: [], broken: 0, begun: false };
  let round = Round.Idle;
  let some: boolean | undefined = true;
  while (some === true) {
    const [more, reason] = read_lines(followed, lines, tools.now());
    some = more;
    if (some === undefined) {
      terminal.complain(`sluice: ${reason}`);
      return Round.Stuck;
    }
    if (some) collect(loader, batch);
    if (batch.begun && (!some || batch.rows.length >= BATCH)) {
      round = save(loader, connection, state, followed, batch);
      if (round !== Round.Busy) return round;
      batch = { rows: [], broken: 0, begun: false };
    }
  }
  return round;
}

/** Loads by one connection, until all is loaded, or with `--follow` until the connection is lost. */
function load_by(loader: Loader, connection: Connection): Round {
  const { options, terminal, tools } = loader;
  let round = Round.Overtaken;
  while (round === Round.Overtaken) {
    const [state, reason] = read_source(connection, options.source, options.journal);
    if (state === undefined) {
      terminal.complain(`sluice: the database failed: ${reason}`);
      return Round.Lost;
    }
    const followed = follow_file(options.journal, state.positions, options.from_start);
    round = load_round(loader, connection, state, followed);
    while (options.follow && round <= Round.Busy) {
      tools.sleep(INTERVAL);
      round = load_round(loader, connection, state, followed);
    }
    if (round <= Round.Busy && followed.parts.length === 0) {
      terminal.complain(`sluice: ${options.journal}: there is no such file`);
      return Round.Stuck;
    }
  }
  return round;
}

/** Connects and loads, again and again with `--follow`. */
function load_usage(options: LoadOptions, tools: LoadTools, terminal: Terminal): Status {
  const totals: Totals = { added: 0, repeated: 0, broken: 0 };
  const loader: Loader = { options, tools, terminal, totals, reader: new_entry_reader(), lines: new_lines(), pause: 1, overtaken: false };
  let round = Round.Lost;
  while (round === Round.Lost) {
    const [connection, reason, hopeless] = open_ledger(tools.dbi, options.dialect, options.database, true);
    if (connection !== undefined) {
      round = load_by(loader, connection);
      disconnect(connection);
    } else {
      terminal.complain(`sluice: ${reason}`);
    }
    if (round === Round.Lost) {
      if (!options.follow || hopeless) return Status.No;
      tools.sleep(loader.pause);
      loader.pause = math.min(loader.pause * 2, LONGEST_PAUSE);
    }
  }
  if (round === Round.Stuck) return Status.No;
  const repeated = totals.repeated > 0 ? `, ${totals.repeated} that were there already` : "";
  const broken = totals.broken > 0 ? `, ${totals.broken} broken lines` : "";
  terminal.print(`${options.journal}: ${totals.added} requests loaded${repeated}${broken}`);
  return Status.Good;
}

export { load_usage };
