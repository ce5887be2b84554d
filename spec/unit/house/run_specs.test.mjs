// Shows that unit tests that fail, break off or hang are told, and that slow ones are not taken for hung.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { runWatched } from "../../../tools/watched.mjs";

const ROOT = new URL("../../..", import.meta.url).pathname;

async function watched(seconds, script) {
  let output = "";
  const status = await runWatched("bash", ["-c", script], seconds, (text) => (output += text));
  return { status, output };
}

/** Whether a process is at work: one that was killed is a zombie until its new parent has taken notice (proc_pid_stat(5)). */
function isRunning(pid) {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

describe("a program that is watched", () => {
  it("gives its exit status, and what it prints", async () => {
    const { status, output } = await watched(60, "echo one; echo two >&2; exit 3");
    assert.deepEqual([status, output.split("\n").sort()], [3, ["", "one", "two"]]);
  });

  it("is ended when it is silent, and so are its children", async () => {
    const { status, output } = await watched(1, "sleep 600 & echo $!; wait");
    assert.equal(status, 124);
    assert.match(output, /nothing was printed for 1 s: ended/);
    const child = Number(output.match(/^\d+/)[0]);
    while (isRunning(child)) await new Promise(setImmediate);
  });

  it("may take as long as it likes while it prints", async () => {
    const { status } = await watched(4, "for number in 1 2 3 4 5 6 7 8 9 10; do sleep 0.5; echo $number; done");
    assert.equal(status, 0);
  });

  it("has failed when it is killed, or can't be started", async () => {
    const { status, output } = await watched(60, "kill -9 $$");
    assert.equal(status, 1);
    assert.match(output, /ended by SIGKILL/);
    assert.equal(await runWatched("/no/such/program", [], 60, () => undefined), 127);
  });
});

describe("a run of the unit tests", () => {
  let folder;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "sluice-specs-"));
    writeFileSync(join(folder, "good_spec.lua"), 'it("is good", function() end)\n');
    writeFileSync(join(folder, "bad_spec.lua"), 'it("is good", function() end) it("is bad", function() assert.equal(1, 2) end)\n');
    writeFileSync(join(folder, "broken_spec.lua"), "this is not Lua\n");
    writeFileSync(join(folder, "ending_spec.lua"), 'it("ends the process", function() os.exit(0) end)\n');
    writeFileSync(join(folder, "helper.lua"), "error('no spec')\n");
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  function run(...args) {
    const env = { ...process.env, SLUICE_SPEC_SEED: undefined };
    const { status, stdout } = spawnSync("node", ["tools/run_specs.mjs", ...args], { cwd: ROOT, encoding: "utf8", env });
    return { status, lines: stdout.trim().split("\n"), output: stdout };
  }

  it("succeeds if all do, with a line for each file and the sums", () => {
    const { status, lines } = run(join(folder, "good_spec.lua"));
    assert.equal(status, 0);
    assert.match(lines[0], /good_spec\.lua: 1 success \/ 0 failures \/ 0 errors \/ 0 pending : /);
    assert.match(lines[1], /^1 files, 0 failed: 1 successes \/ 0 failures \/ 0 errors \/ 0 pending : [\d.]+ seconds$/);
  });

  it("fails if a test does, a file can't be read or ends before its time, and says why", () => {
    const { status, lines, output } = run(folder);
    assert.equal(status, 1);
    assert.match(lines.at(-1), /^4 files, 3 failed: 2 successes \/ 1 failures \/ 1 errors /);
    assert.match(output, /bad_spec\.lua: failed with status 1; again: SLUICE_SPEC_SEED=1 busted [^]*Expected objects to be equal/);
    assert.match(output, /broken_spec\.lua: failed with status 1/);
    assert.match(output, /ending_spec\.lua: failed with status 0/);
  });

  it("draws the same numbers each time, or those of the seed", () => {
    const drawing = join(folder, "drawing");
    mkdirSync(drawing);
    const file = join(drawing, "drawing_spec.lua");
    writeFileSync(file, 'it("draws", function() assert.equal("7", os.getenv("SLUICE_SPEC_SEED")) end)\n');
    const other = join(drawing, "plain_spec.lua");
    writeFileSync(other, 'it("is good", function() end)\n');
    assert.match(run(file).output, /Expected[^]*'1'|'1'[^]*Expected/);
    assert.equal(run("--seed", "7", file).status, 0);
    const { status, output } = run("--seed", "6", "--seconds", "1", drawing);
    assert.equal(status, 1);
    assert.match(output, /again: SLUICE_SPEC_SEED=6 /);
    assert.match(output, /drawing_spec\.lua: 1 success /);
    assert.doesNotMatch(output, /plain_spec/);
    rmSync(drawing, { recursive: true });
  });

  it("refuses a seed that is no number", () => {
    assert.equal(run("--seed", "x", folder).status, 2);
  });

  it("fails if there is nothing to run", () => {
    const { status } = run(join(folder, "nothing"));
    assert.equal(status, 1);
  });
});
