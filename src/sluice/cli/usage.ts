import { realtime } from "../edge/clock";
import { stamp } from "../edge/file";
import { host_name, real_path, sleep } from "../edge/host";
import { disconnect, open_ledger, parse_database } from "../ledger/database";
import { read_moment } from "../ledger/instant";
import { DIMENSIONS, parse_dimensions, report } from "../ledger/report";
import { report_text } from "../ledger/report_text";
import type { Dialect } from "../ledger/dialect";
import type { ReportTerms } from "../ledger/report";
import type { ReportFormat } from "../ledger/report_text";
import { text } from "./argument";
import { Status, terminal } from "./terminal";
import { load_usage } from "./usage_load";

/** `sluice usage`: the ledger, which is the journal in a database. */

declare const require: (this: void, name: string) => unknown;

/** Adds `usage load` and `usage report` to the command line. */
function add_usage_commands(parser: ArgumentParser): void {
  const usage = parser.command("usage", "The ledger: the usage journal in a database, and what it adds up to.");
  usage.command_target("action");
  const load = usage.command("load", "Take the journal's lines into a database, each exactly once.");
  load.option("--journal", "The journal, such as /var/lib/sluice/logs/usage.jsonl.").argname("FILE").count("1");
  load.flag("--follow", "Go on as lines are added; reconnect when the database is away.");
  load.option("--source", "What the database calls this journal. Without it, the host's name and the journal's path.").argname("NAME");
  load.flag("--from-start", "Go on with the oldest file there is, although the one read last is gone.").target("from_start");
  const add = usage.command("report", "Add up what was used.");
  add.option("--by", `What to add up by, with commas between: ${DIMENSIONS.join(", ")}.`).argname("LIST").default("tenant,model");
  add.option("--from", "From this date or time on, in UTC: 2026-11-01, or 2026-11-01T08:00:00Z.").argname("TIME");
  add.option("--to", "Up to this date or time, and without it.").argname("TIME");
  add.option("--tenant", "Only this tenant; may be given several times.").argname("TENANT").count("*");
  add.option("--format", "What to print.").choices(["table", "csv", "json"]).default("table");
  for (const command of [load, add]) {
    command.option("--database", "sqlite:PATH or postgresql://USER@HOST:PORT/NAME; PGPASSWORD may hold the password.").argname("URL").count("1");
  }
}

function bad_use(message: string): Status {
  terminal.complain(`sluice: ${message}`);
  terminal.complain("Try: sluice usage --help");
  return Status.BadUse;
}

/** LuaDBI with a dialect's driver; undefined with a reason if it isn't installed. */
function find_driver(dialect: Dialect): LuaMultiReturn<[dbi: Dbi | undefined, reason: string]> {
  const [has_library, dbi] = pcall(require, "DBI");
  const [has_driver] = pcall(require, `dbd.${string.lower(dialect.driver)}`);
  if (!has_library || !has_driver) {
    return $multi(undefined, `the driver for ${dialect.driver} is not installed; Debian has it in ${dialect.package}`);
  }
  return $multi(dbi as Dbi, "");
}

function run_load(result: ArgumentResult, dialect: Dialect, dbi: Dbi, database: string): Status {
  const given = text(result, "journal") ?? "";
  const [folder, base] = string.match(given, "^(.-)([^/]+)$");
  const real_folder = base === undefined ? undefined : real_path(folder === "" ? "." : folder!);
  if (real_folder === undefined) return bad_use(`--journal ${given}: there is no such folder`);
  const journal = `${real_folder === "/" ? "" : real_folder}/${base}`;
  const source = text(result, "source") ?? `${host_name()}:${journal}`;
  const options = { journal, source, dialect, database, follow: result.follow === true, from_start: result.from_start === true };
  return load_usage(options, { dbi, sleep, now: realtime }, terminal);
}

/** What the options of a report ask for; undefined with a reason if that makes no sense. */
function report_terms(result: ArgumentResult): LuaMultiReturn<[terms: ReportTerms | undefined, reason: string]> {
  const [by, unknown] = parse_dimensions(text(result, "by") ?? "");
  if (by === undefined) return $multi(undefined, `--by: "${unknown}" is unknown or given twice; known are ${DIMENSIONS.join(", ")}`);
  const terms: ReportTerms = { by, from: undefined, to: undefined, tenants: (result.tenant ?? []) as string[] };
  for (const name of ["from", "to"]) {
    const given = text(result, name);
    if (given !== undefined) {
      const moment = read_moment(given);
      if (moment === undefined) return $multi(undefined, `--${name} ${given}: is no time in UTC, such as 2026-11-01 or 2026-11-01T08:00:00Z`);
      if (name === "from") terms.from = moment;
      else terms.to = moment;
    }
  }
  return $multi(terms, "");
}

function run_report(result: ArgumentResult, terms: ReportTerms, dialect: Dialect, dbi: Dbi, database: string): Status {
  // Opening a file that isn't there would make it.
  if (dialect.driver === "SQLite3" && stamp(database) === undefined) {
    terminal.complain(`sluice: ${database}: there is no such database`);
    return Status.No;
  }
  const [connection, reason] = open_ledger(dbi, dialect, database, false);
  if (connection === undefined) {
    terminal.complain(`sluice: ${reason}`);
    return Status.No;
  }
  const [rows, failure] = report(connection, terms);
  disconnect(connection);
  if (rows === undefined) {
    terminal.complain(`sluice: the database failed: ${failure}`);
    return Status.No;
  }
  io.stdout.write(report_text((text(result, "format") ?? "table") as ReportFormat, terms.by, rows));
  return Status.Good;
}

/** Runs the command that was given. */
function run_usage(result: ArgumentResult): Status {
  const [dialect, name] = parse_database(text(result, "database") ?? "");
  if (dialect === undefined) return bad_use(`--database: ${name}`);
  let terms: ReportTerms | undefined;
  if (result.action === "report") {
    const [asked, wrong] = report_terms(result);
    if (asked === undefined) return bad_use(wrong);
    terms = asked;
  }
  const [dbi, missing] = find_driver(dialect);
  if (dbi === undefined) {
    terminal.complain(`sluice: ${missing}`);
    return Status.No;
  }
  return terms === undefined ? run_load(result, dialect, dbi, name) : run_report(result, terms, dialect, dbi, name);
}

export { add_usage_commands, run_usage };
