/**
 * What the kernel and the programs say about themselves: CPU time of a process, how busy the cores were, and
 * the versions that a figure is worth nothing without.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";

/** The core of the gateway that is measured, and the one its client and the mock share. */
const GATEWAY_CORE = 0;
const OTHER_CORE = 1;

interface CoreTimes {
  busy: number;
  total: number;
}

/**
 * CPU time a process has used so far, in nanoseconds, all its threads together. The scheduler's own count:
 * `/proc/<pid>/stat` has ticks of 10 ms, too coarse for short runs.
 */
function cpu_nanoseconds(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8");
    sum += Number(text.split(" ")[0]);
  }
  return sum;
}

/** Time that each core was busy and has existed, in ticks, since the machine started; interrupts are included. */
function core_times(): CoreTimes[] {
  const lines = readFileSync("/proc/stat", "utf8").match(/^cpu\d+ .*$/gm) ?? [];
  return lines.map((line) => {
    // user nice system idle iowait irq softirq steal; what follows is counted in `user` already
    const times = line.split(" ").slice(1, 9).map(Number);
    const total = times.reduce((sum, time) => sum + time, 0);
    return { busy: total - (times[3] ?? 0) - (times[4] ?? 0), total };
  });
}

/** Per cent that a core was busy between two readings of `core_times`. */
function busy_percent(before: CoreTimes[], after: CoreTimes[], core: number): number {
  const first = before[core];
  const last = after[core];
  if (first === undefined || last === undefined || last.total === first.total) {
    return NaN;
  }
  return (100 * (last.busy - first.busy)) / (last.total - first.total);
}

/** The process `pid` and everything that it started, by pid. */
function descendants(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const text = readFileSync(`/proc/${name}/stat`, "utf8");
      const parent = Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]);
      parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended while we looked.
    }
  }
  const found = [pid];
  for (const one of found) {
    found.push(...(parents.get(one) ?? []));
  }
  return found;
}

/** The nginx workers below `pid`. */
function workers_of(pid: number): number[] {
  return descendants(pid).filter((one) => {
    const title = readFileSync(`/proc/${one}/cmdline`, "utf8");
    return title.startsWith("nginx: worker process");
  });
}

/** Confines a process that runs already, and its threads, to one core. */
function pin(pid: number, core: number): void {
  execFileSync("taskset", ["-a", "-c", "-p", String(core), String(pid)], { stdio: "ignore" });
}

/** All that a command prints, on both streams, whatever its exit status; empty if there is no such command. */
function output_of(command: string, parameters: string[]): string {
  const { stdout, stderr, error } = spawnSync(command, parameters, { encoding: "utf8" });
  return error === undefined ? `${stdout}${stderr}`.trim() : "";
}

/**
 * Names and versions of everything that a figure depends on, in the order in which to print them.
 * `lua_versions`: what the mock says of the Lua module (a number such as 10023) and of LuaJIT, one a line. `packages`: folders
 * of packages, by name.
 */
function versions(nginx: string, lua_versions: string, packages: Record<string, string>): [string, string][] {
  const [module_number = "", luajit = ""] = lua_versions.split("\n");
  const number = Number(module_number);
  const lua_module = [Math.floor(number / 1e6), Math.floor(number / 1000) % 1000, number % 1000].join(".");
  const packaged = output_of("dpkg-query", ["-W", "-f", "${Version}", "libluajit2-5.1-2"]);
  const processor = cpus()[0]?.model ?? "unknown";
  const result: [string, string][] = [
    ["nginx", output_of(nginx, ["-v"]).replace(/^nginx version: /, "")],
    ["ngx_lua", lua_module],
    ["LuaJIT", /^[\d.+~-]+$/.test(packaged) ? `${luajit} (Debian ${packaged})` : luajit],
    ["Node", process.version],
    ["wrk", /^wrk (\S+)/.exec(output_of("wrk", ["-v"]))?.[1] ?? "unknown"],
  ];
  for (const [name, folder] of Object.entries(packages)) {
    const file = join(folder, "package.json");
    if (existsSync(file)) {
      const description = JSON.parse(readFileSync(file, "utf8")) as { version: string };
      result.push([name, description.version]);
    }
  }
  result.push(["processor", `${processor}, ${cpus().length} cores`], ["kernel", release()]);
  return result;
}

export {
  busy_percent,
  core_times,
  cpu_nanoseconds,
  descendants,
  GATEWAY_CORE,
  OTHER_CORE,
  pin,
  versions,
  workers_of,
  type CoreTimes,
};
