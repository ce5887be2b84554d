import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { append, dollars, expected, follow, line, makeEntry, randomNumbers, rows, seed, sqliteLedger, usage } from "../support/ledger.ts";
import type { Entry, Ledger } from "../support/ledger.ts";
import { PASSWORD, startPostgresql } from "../support/postgresql.ts";
import type { Postgresql } from "../support/postgresql.ts";
import { eventually, removeDirectory, start, type Started, temporaryDirectory } from "../support/processes.ts";

const LINES = 100000;
const KILLS = 100;
const WAIT = 20000;

let directory: string;
let postgresql: Postgresql;
let folder: string;
let journal: string;
let count = 0;
const started: Started[] = [];

beforeAll(async () => {
  directory = temporaryDirectory("sluice-ledger");
  postgresql = await startPostgresql();
});

afterAll(async () => {
  await postgresql?.stop();
  removeDirectory(directory);
});

beforeEach(() => {
  count += 1;
  folder = join(directory, String(count));
  mkdirSync(folder);
  journal = join(folder, "usage.jsonl");
  return async () => {
    await Promise.all(started.splice(0).map((each) => each.stop()));
  };
});

/** A ledger that is empty. In PostgreSQL it is a schema of its own. */
const LEDGERS: [string, () => Ledger][] = [
  ["SQLite", () => sqliteLedger(join(folder, "ledger.db"))],
  ["PostgreSQL", () => {
    postgresql.query(`CREATE SCHEMA test${count}`);
    return {
      name: "PostgreSQL",
      url: `${postgresql.url}?options=-csearch_path%3Dtest${count}`,
      environment: postgresql.environment,
      query: (sql) => postgresql.query(`SET search_path TO test${count}; ${sql}`),
    };
  }],
];

function following(ledger: Ledger, ...args: string[]): Started {
  const loader = follow(ledger, journal, ...args);
  started.push(loader);
  return loader;
}

async function loaded(ledger: Ledger, requests: number): Promise<void> {
  await eventually(`${requests} requests are loaded`, () => total(ledger) === requests, WAIT);
}

/** How many requests the ledger has; -1 if it has no tables yet. */
function total(ledger: Ledger): number {
  try {
    return Number(ledger.query("SELECT COUNT(*) FROM usage_requests"));
  } catch {
    return -1;
  }
}

function some(from: number, number: number, changes: Partial<Entry> = {}): Entry[] {
  const random = randomNumbers(from);
  return Array.from({ length: number }, (_, index) => makeEntry(random, from + index, changes));
}

function load(ledger: Ledger, ...args: string[]): ReturnType<typeof usage> {
  return usage(ledger, "load", "--journal", journal, ...args);
}

const BY_ALL: ((entry: Entry) => string)[] = [
  (entry) => entry.tenant, (entry) => entry.key ?? "", (entry) => entry.model ?? "", (entry) => String(entry.status),
  (entry) => entry.ending, (entry) => entry.time.slice(0, 10),
];

function expectSums(ledger: Ledger, entries: Entry[]): void {
  const report = usage(ledger, "report", "--by", "tenant,key,model,status,ending,day", "--format", "csv");
  expect(report).toMatchObject({ status: 0, errors: "" });
  expect(rows(report)).toEqual(expected(entries, BY_ALL));
}

describe.each(LEDGERS)("the ledger in %s", (_name, make) => {
  it(`has each of ${LINES} lines once, though the loader is killed ${KILLS} times and the journal rotated meanwhile`, async () => {
    const ledger = make();
    const drawn = seed();
    const random = randomNumbers(drawn);
    const entries = Array.from({ length: LINES }, (_, index) => makeEntry(random, index));
    const text = Buffer.from(entries.map(line).join(""));
    let written = 0;
    for (let kill = 1; kill <= KILLS; kill += 1) {
      // Cut anywhere: most of the time the last line is unfinished.
      const end = kill === KILLS ? text.length : Math.floor((text.length * kill) / KILLS);
      appendFileSync(journal, text.subarray(written, end));
      written = end;
      const loader = following(ledger);
      await sleep(random() * 120);
      process.kill(loader.pid, "SIGKILL");
      if (random() < 0.2 && kill < KILLS) {
        // A rotated file ends with a whole line: written before its name has changed, or after.
        written = text.indexOf(10, end) + 1;
        const early = random() < 0.5;
        if (early) appendFileSync(journal, text.subarray(end, written));
        renameSync(journal, `${journal}.${kill}`);
        if (!early) appendFileSync(`${journal}.${kill}`, text.subarray(end, written));
      }
      await loader.ended;
    }
    expect(written).toBe(text.length);
    expect(load(ledger)).toMatchObject({ status: 0, errors: "" });
    expectSums(ledger, entries);
    expect(load(ledger).output).toBe(`${journal}: 0 requests loaded\n`);
  });

  it("follows a journal through a rotation, and reads what is written to the old file after it", async () => {
    const ledger = make();
    const entries = some(0, 60);
    const loader = following(ledger);
    append(journal, entries.slice(0, 10));
    await loaded(ledger, 10);
    append(journal, entries.slice(10, 20));
    renameSync(journal, `${journal}.1`);
    append(`${journal}.1`, entries.slice(20, 30));
    append(journal, entries.slice(30, 40));
    await loaded(ledger, 40);
    append(`${journal}.1`, entries.slice(40, 50));
    append(journal, entries.slice(50));
    await loaded(ledger, 60);
    expectSums(ledger, entries);
    expect(loader.isRunning()).toBe(true);
    expect(loader.output()).toBe("");
  });

  it("takes up what was rotated several times while the loader was down", () => {
    const ledger = make();
    const entries = some(0, 50);
    append(journal, entries.slice(0, 10));
    expect(load(ledger).status).toBe(0);
    for (const rotation of [1, 2, 3]) {
      append(journal, entries.slice(rotation * 10, rotation * 10 + 10));
      for (const older of [2, 1]) if (existsSync(`${journal}.${older}`)) renameSync(`${journal}.${older}`, `${journal}.${older + 1}`);
      renameSync(journal, `${journal}.1`);
    }
    append(journal, entries.slice(40));
    expect(load(ledger)).toMatchObject({ status: 0, output: `${journal}: 40 requests loaded\n`, errors: "" });
    expectSums(ledger, entries);
  });

  it("waits for the end of the last line", () => {
    const ledger = make();
    const entries = some(0, 2);
    const [first = "", second = ""] = entries.map(line);
    writeFileSync(journal, first + second.slice(0, 40));
    expect(load(ledger).output).toBe(`${journal}: 1 requests loaded\n`);
    appendFileSync(journal, second.slice(40, -1));
    expect(load(ledger).output).toBe(`${journal}: 0 requests loaded\n`);
    appendFileSync(journal, "\n");
    expect(load(ledger).output).toBe(`${journal}: 1 requests loaded\n`);
    expectSums(ledger, entries);
  });

  it("passes over broken lines, and says where they are", () => {
    const ledger = make();
    const entries = some(0, 4);
    const [a = "", b = "", c = "", d = ""] = entries.map(line);
    const bad = [`${c.slice(0, 80)}\n`, "\x00\xff\n", '{"id":5}\n', "\n"];
    writeFileSync(journal, Buffer.from(a + bad.join("") + c + d.slice(0, 30) + b + d, "latin1"));
    const result = load(ledger);
    expect(result).toMatchObject({ status: 0, output: `${journal}: 4 requests loaded, 4 broken lines\n` });
    const after = a.length;
    expect(result.errors.split("\n")).toEqual([
      `sluice: ${journal}: byte ${after}: the line ends too early (byte 81)`,
      `sluice: ${journal}: byte ${after + 81}: the line is not JSON (byte 1)`,
      `sluice: ${journal}: byte ${after + 84}: the line id is not a string`,
      expect.stringMatching(`^sluice: ${journal}: byte ${after + 94 + c.length}: the line is not JSON .*; the line at its end is whole, and was taken$`),
      "",
    ]);
    expectSums(ledger, entries);
    expect(load(ledger)).toMatchObject({ output: `${journal}: 0 requests loaded\n`, errors: "" });
  });

  it("counts a line once that comes again, also from another journal", () => {
    const ledger = make();
    const entries = some(0, 5);
    append(journal, [...entries, ...entries.slice(1, 3)]);
    expect(load(ledger).output).toBe(`${journal}: 5 requests loaded, 2 that were there already\n`);
    append(journal, [entries[0]!]);
    expect(load(ledger).output).toBe(`${journal}: 0 requests loaded, 1 that were there already\n`);
    copyFileSync(journal, join(folder, "other"));
    expect(usage(ledger, "load", "--journal", join(folder, "other")).output).toMatch(/: 0 requests loaded, 8 that were there already\n$/);
    copyFileSync(journal, `${journal}.bak`);
    expect(load(ledger).output).toBe(`${journal}: 0 requests loaded, 8 that were there already\n`);
    expect(load(ledger)).toMatchObject({ status: 0, output: `${journal}: 0 requests loaded\n`, errors: "" });
    expectSums(ledger, entries);
  });

  it("keeps journals of several gateways apart by their names", () => {
    const ledger = make();
    append(journal, some(0, 3));
    const other = join(folder, "other.jsonl");
    append(other, some(100, 4));
    expect(load(ledger, "--source", "node 1, \"first\"").output).toMatch(": 3 requests");
    expect(usage(ledger, "load", "--journal", other, "--source", "node 2").output).toMatch(": 4 requests");
    append(journal, some(200, 1));
    expect(load(ledger, "--source", "node 1, \"first\"").output).toMatch(": 1 requests loaded\n");
    const report = usage(ledger, "report", "--by", "source", "--format", "csv");
    expect(rows(report).map((row) => row.replace(/(,[\d.]+){7}$/, ""))).toEqual(['"node 1, ""first""",4', "node 2,4"]);
  });

  it("counts nothing twice when two programs load the same journal", async () => {
    const ledger = make();
    const entries = some(0, 20000);
    const loaders = [following(ledger), following(ledger), following(ledger)];
    for (let at = 0; at < entries.length; at += 500) {
      append(journal, entries.slice(at, at + 500));
      await sleep(10);
    }
    await loaded(ledger, entries.length);
    expectSums(ledger, entries);
    expect(loaders.every((loader) => loader.isRunning())).toBe(true);
  });

  it("makes the tables once when several programs begin at once", async () => {
    const ledger = make();
    append(journal, some(0, 10));
    const loaders = Array.from({ length: 4 }, (_, index) => following(ledger, "--source", `source ${index}`));
    await loaded(ledger, 10);
    await eventually("all have come that far", () => Number(ledger.query("SELECT COUNT(*) FROM usage_positions")) === 4, WAIT);
    expect(loaders.every((loader) => loader.isRunning())).toBe(true);
    expect(ledger.query("SELECT version FROM usage_schema ORDER BY version")).toBe("1\n2\n3\n4");
  });

  it("refuses a database that is newer than the program", () => {
    const ledger = make();
    append(journal, some(0, 1));
    expect(load(ledger).status).toBe(0);
    ledger.query("INSERT INTO usage_schema (version) VALUES (7)");
    const errors = "sluice: the database has version 7 of the ledger, this program knows 4 and older: use a newer sluice\n";
    expect(load(ledger)).toEqual({ status: 1, output: "", errors });
    expect(load(ledger, "--follow")).toEqual({ status: 1, output: "", errors });
    expect(usage(ledger, "report")).toEqual({ status: 1, output: "", errors });
  });

  it("adds up exactly beyond 2^53 and 2^63", () => {
    const ledger = make();
    const entries = [
      ...some(0, 3, { tenant: "a", cost_nano_usd: 9223372036854775807n, input_tokens: 9007199254740991 }),
      ...some(10, 1, { tenant: "b", cost_nano_usd: 9007199254740993n }),
      ...some(20, 1, { tenant: "c", cost_nano_usd: 1n }),
      ...some(30, 1, { tenant: "d", cost_nano_usd: 0n }),
      ...some(40, 1, { tenant: "e", cost_nano_usd: 1500000000n }),
    ];
    append(journal, entries);
    expect(load(ledger)).toMatchObject({ status: 0, errors: "" });
    const report = usage(ledger, "report", "--by", "tenant", "--format", "csv");
    expect(rows(report)).toEqual(expected(entries, [(entry) => entry.tenant]));
    expect(report.output).toContain(",27670116110.564327421\r\n");
    expect(rows(report).map((row) => row.split(",").at(-1))).toEqual(["27670116110.564327421", "9007199.254740993", "0.000000001", "0.00", "1.50"]);
    const json = usage(ledger, "report", "--by", "tenant", "--format", "json").output;
    expect(json).toContain('"cost_nano_usd":27670116110564327421,"cost_usd":"27670116110.564327421"}');
    expect(json).toContain(`"input_tokens":${3n * 9007199254740991n},`);
  });

  it("reports in every form what a plain computation says", () => {
    const ledger = make();
    const entries = some(0, 3000);
    append(journal, entries);
    expect(load(ledger).status).toBe(0);
    const of = (...args: string[]): ReturnType<typeof usage> => usage(ledger, "report", ...args);

    const chosen = entries.filter(({ time, tenant }) => time >= "2026-10-05" && time < "2026-11-02T12:30:00" && tenant !== "globex");
    const by = ["--by", "month,model,tenant", "--from", "2026-10-05", "--to", "2026-11-02T12:30", "--tenant", "acme", "--tenant", "initech"];
    const terms = [(entry: Entry) => entry.time.slice(0, 7), (entry: Entry) => entry.model ?? "", (entry: Entry) => entry.tenant];
    const csv = of(...by, "--format", "csv");
    expect(rows(csv)).toEqual(expected(chosen, terms));
    const figures = [
      "requests", "input_tokens", "cached_input_tokens", "output_tokens", "free_units", "cache_write_tokens", "cache_write_1h_tokens", "cost_usd",
    ];
    expect(csv.output.split("\r\n")[0]).toBe(`month,model,tenant,${figures.join(",")}`);

    const json = JSON.parse(of(...by, "--format", "json").output) as Record<string, string | number | null>[];
    expect(json.map((row) => [row.month, row.model ?? "", row.tenant, ...figures.map((name) => row[name])].join(",")).sort())
      .toEqual(expected(chosen, terms));
    // Sorted, with those that have no model last.
    const keys = json.map((row) => `${row.month}|${row.model ?? "~"}|${row.tenant}`);
    expect(keys).toEqual([...keys].sort());

    const table = of(...by).output.split("\n").slice(0, -1);
    expect(new Set(table.map((row) => row.length)).size).toBe(1);
    expect(table[0]).toMatch(new RegExp(`^month {4}model {2}tenant +${figures.join(" +")}$`));
    expect(table.slice(1).map((row) => row.trim().split(/ +/).map((cell) => (cell === "-" ? "" : cell)).join(",")).sort()).toEqual(expected(chosen, terms));

    for (const length of [10, 13]) {
      const report = of("--by", length === 10 ? "day" : "hour", "--format", "csv");
      expect(rows(report)).toEqual(expected(entries, [(entry) => entry.time.slice(0, length)]));
    }
    expect(rows(of("--format", "csv"))).toEqual(expected(entries, [(entry) => entry.tenant, (entry) => entry.model ?? ""]));
    expect(of("--from", "2030-01-01")).toEqual({
      status: 0, errors: "", output: `tenant  model  ${figures.join("  ")}\n`,
    });
    expect(of("--tenant", "nobody", "--format", "json").output).toBe("[]\n");
    expect(of("--tenant", "' OR 1=1 --", "--format", "csv").output).toMatch(/^tenant,[^\r]*\r\n$/);
  });

  it("includes the beginning of a time and not its end, to the millisecond", () => {
    const ledger = make();
    const times = ["2026-11-01T00:00:00.000Z", "2026-11-01T23:59:59.999Z", "2026-11-02T00:00:00.000Z"];
    append(journal, times.map((time, index) => some(index, 1, { time })[0]!));
    expect(load(ledger).status).toBe(0);
    const days = (...args: string[]): string[] => rows(usage(ledger, "report", "--by", "day", "--format", "csv", ...args)).map((row) => row.split(",", 2).join(" "));
    expect(days("--from", "2026-11-01", "--to", "2026-11-02")).toEqual(["2026-11-01 2"]);
    expect(days("--from", "2026-11-01T23:59:59.999Z")).toEqual(["2026-11-01 1", "2026-11-02 1"]);
    expect(days("--to", "2026-11-01T23:59:59.999Z")).toEqual(["2026-11-01 1"]);
  });

  it("keeps hostile names as they are, and harmless in a spreadsheet", () => {
    const ledger = make();
    const names = ['a"b', "a,b", "a\nb", "a\r\nb", "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "'quoted'", "脏话", "😀", "x'; DROP TABLE usage_requests; --", "$1 ? %s", "a\\b/c"];
    append(journal, names.map((tenant, index) => some(index, 1, { tenant, key: tenant })[0]!));
    expect(load(ledger)).toMatchObject({ status: 0, errors: "" });
    const json = JSON.parse(usage(ledger, "report", "--by", "tenant", "--format", "json").output) as { tenant: string }[];
    expect(json.map(({ tenant }) => tenant).sort()).toEqual([...names].sort());
    const csv = usage(ledger, "report", "--by", "tenant", "--format", "csv").output;
    for (const cell of ['"a""b"', '"a,b"', '"a\nb"', '"a\r\nb"', "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'quoted'", "脏话", "x'; DROP TABLE usage_requests; --"]) {
      expect(csv).toContain(`\r\n${cell},1,`);
    }
    expect(usage(ledger, "report", "--by", "tenant").output.split("\n")).toHaveLength(names.length + 2);
    for (const tenant of names) {
      expect(rows(usage(ledger, "report", "--by", "month", `--tenant=${tenant}`, "--format", "csv"))).toHaveLength(1);
    }
  });

  it("stops when the file read last is gone or compressed, and goes on when told or when it is unpacked", () => {
    const ledger = make();
    const entries = some(0, 40);
    append(journal, entries.slice(0, 10));
    expect(load(ledger).status).toBe(0);
    append(journal, entries.slice(10, 20));
    utimesSync(journal, 1790000000, 1790000000);
    renameSync(journal, `${journal}.1`);
    append(journal, entries.slice(20, 30));
    execFileSync("gzip", [`${journal}.1`]);
    const refused = load(ledger);
    expect(refused).toMatchObject({ status: 1, output: "" });
    expect(refused.errors).toMatch(`it may be compressed, as is ${journal}.1.gz: unpack it beside (gunzip --keep); --from-start goes on`);
    execFileSync("gunzip", ["--keep", `${journal}.1.gz`]);
    expect(load(ledger)).toMatchObject({ status: 0, output: `${journal}: 20 requests loaded\n`, errors: "" });
    expectSums(ledger, entries.slice(0, 30));

    rmSync(journal);
    rmSync(`${journal}.1`);
    append(`${journal}.0`, []);
    append(`${journal}.2`, entries.slice(30));
    expect(load(ledger)).toMatchObject({ status: 1, output: "" });
    expect(load(ledger, "--from-start")).toMatchObject({ status: 0, output: `${journal}: 10 requests loaded\n` });
    append(journal, entries.slice(39));
    expect(load(ledger, "--from-start").status).toBe(0);
    expect(load(ledger)).toMatchObject({ status: 0, errors: "" });
    expectSums(ledger, entries);
  });

  it("warns when the journal was truncated, and goes on", () => {
    const ledger = make();
    const entries = some(0, 20);
    append(journal, entries.slice(0, 10));
    expect(load(ledger).status).toBe(0);
    truncateSync(journal);
    append(journal, entries.slice(10));
    const result = load(ledger);
    expect(result).toMatchObject({ status: 0, output: `${journal}: 10 requests loaded\n` });
    expect(result.errors).toMatch("was emptied or replaced");
    expectSums(ledger, entries);
  });
});

describe("the ledger in PostgreSQL", () => {
  it("waits for a database that is away, and loses and repeats nothing", async () => {
    const ledger = LEDGERS[1]![1]();
    const entries = some(0, 6000);
    await postgresql.down();
    const loader = following(ledger);
    await eventually("the loader has seen that the database is away", () => loader.output().includes("no connection to the database"), WAIT);
    const once = load(ledger);
    expect(once).toMatchObject({ status: 1, output: "" });
    expect(once.errors).toMatch("no connection to the database");
    append(journal, entries.slice(0, 2000));
    await postgresql.up();
    await loaded(ledger, 2000);
    for (const at of [2000, 4000]) {
      const away = postgresql.down();
      append(journal, entries.slice(at, at + 1000));
      await away;
      append(journal, entries.slice(at + 1000, at + 2000));
      await postgresql.up();
      await loaded(ledger, at + 2000);
    }
    expect(loader.isRunning()).toBe(true);
    expectSums(ledger, entries);
  });

  it("doesn't show the password, and wants the right one", () => {
    append(journal, some(0, 1));
    const url = `${postgresql.url.replace("sluice@", `sluice:${encodeURIComponent("wrong secret")}@`)}?x=y`;
    for (const each of [url, url.replace("?x=y", "")]) {
      const result = usage({ name: "", url: each, environment: {}, query: () => "" }, "load", "--journal", journal);
      expect(result).toMatchObject({ status: 1, output: "" });
      expect(result.errors).not.toMatch(/wrong|secret/);
    }
    const good = postgresql.url.replace("sluice@", `sluice:${encodeURIComponent(PASSWORD)}@`);
    postgresql.query(`CREATE SCHEMA test${count}`);
    const result = usage({ name: "", url: `${good}?options=-csearch_path%3Dtest${count}`, environment: {}, query: () => "" }, "load", "--journal", journal);
    expect(result).toMatchObject({ status: 0, errors: "" });
  });

  it("refuses a database that can't hold every text", () => {
    postgresql.query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    append(journal, some(0, 1));
    const ledger = { name: "", url: postgresql.url.replace(/postgres$/, "latin"), environment: postgresql.environment, query: () => "" };
    expect(load(ledger)).toEqual({ status: 1, output: "", errors: "sluice: the database's encoding is LATIN1, and must be UTF8\n" });
  });
});

describe("the ledger in SQLite", () => {
  it("waits while another program writes", async () => {
    const ledger = LEDGERS[0]![1]();
    append(journal, some(0, 1));
    expect(load(ledger).status).toBe(0);
    append(journal, some(10, 5));
    // Holds the database until it is told to end.
    const blocker = start("bash", ["-c", 'exec 3> >(sqlite3 "$0"); echo "BEGIN IMMEDIATE; SELECT 1;" >&3; sleep 1; echo "COMMIT;" >&3; exec 3>&-; wait', join(folder, "ledger.db")], { PATH: process.env.PATH });
    started.push(blocker);
    await eventually("the database is taken", () => blocker.output().includes("1"), WAIT);
    expect(load(ledger)).toMatchObject({ status: 0, output: `${journal}: 5 requests loaded\n` });
    expect(total(ledger)).toBe(6);
  });

  it("is a file that is made where there is none, but not to report on", () => {
    const ledger = LEDGERS[0]![1]();
    expect(usage(ledger, "report")).toEqual({ status: 1, output: "", errors: `sluice: ${join(folder, "ledger.db")}: there is no such database\n` });
    expect(existsSync(join(folder, "ledger.db"))).toBe(false);
    writeFileSync(join(folder, "ledger.db"), "");
    expect(usage(ledger, "report").errors).toBe("sluice: the ledger's tables are not there, or old: sluice usage load makes them\n");
    writeFileSync(join(folder, "ledger.db"), "This is no database at all, but a text of some length.\n".repeat(50));
    append(journal, some(0, 1));
    expect(load(ledger)).toMatchObject({ status: 1, output: "" });
    expect(readFileSync(join(folder, "ledger.db"), "utf8")).toMatch(/^This is no database/);
    expect(usage({ ...ledger, url: `sqlite:${folder}/none/ledger.db` }, "load", "--journal", journal)).toMatchObject({ status: 1, output: "" });
  });

  it("shows a plain computation's dollars", () => {
    expect([0n, 1n, 10n, 1500000000n, 1234567891n, 1000000000000n].map(dollars)).toEqual(["0.00", "0.000000001", "0.00000001", "1.50", "1.234567891", "1000.00"]);
  });
});
