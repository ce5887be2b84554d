/**
 * What is measured and what it is measured against: the mock, the floor, the gateway and Portkey's gateway, on
 * free ports of 127.0.0.1.
 */
import { createHash } from "node:crypto";
import { execFileSync, type ChildProcess } from "node:child_process";
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { descendants, GATEWAY_CORE, OTHER_CORE, pin, workers_of } from "./machine.ts";
import { free_ports, own_directory, start, wait_for } from "./processes.ts";

const BENCH = resolve("bench");
const NGINX = process.env.NGINX ?? "nginx";
const PORTKEY = join(BENCH, "node_modules/@portkey-ai/gateway");
/** Of the tenant without guard and limits, of the one with limits, and of the one with both. */
const API_KEY = "sk-bench-0000000000000000000000000000000000";
const LIMITED_API_KEY = "sk-bench-2222222222222222222222222222222222";
const GUARDED_API_KEY = "sk-bench-1111111111111111111111111111111111";

/** One gateway, or one nginx in a gateway's place. */
interface Server {
  name: string;
  /** The process whose CPU time counts. */
  pid: number;
  /** Base URLs, for answers in one piece, for paced streams and for the first event of short streams. */
  answers: string;
  streams: string;
  firsts: string;
  /** Empties the logs: they would fill the disk, and nobody reads them. */
  empty_logs: () => void;
}

/** What a gateway of the benchmark reads: the public key of the tokens' issuer, and what the guard looks for. */
interface Files {
  public_key_file: string;
  words_file: string;
}

interface Mock {
  answers_port: number;
  streams_port: number;
  firsts_port: number;
  /** The Lua module's version number and LuaJIT's version, one a line. */
  lua_versions: string;
}

/** Fills in the @NAMES@ of a configuration of bench/ and writes it into a directory. */
function render(file: string, directory_of_server: string, values: Record<string, string | number>): string {
  const text = readFileSync(join(BENCH, file), "utf8").replace(/@([A-Z_]+)@/g, (_, name: string) =>
    String(values[name] ?? ""),
  );
  const path = join(directory_of_server, file);
  writeFileSync(path, text);
  return path;
}

/** Root's nginx gives its workers away to another user, who can't read the temporary directory. */
function user_line(): string {
  return process.getuid?.() === 0 ? "user root;" : "";
}

/** The lines that load the Lua module, where it is not built in. */
function module_lines(): string {
  const built = execFileSync("sh", ["-c", '"$0" -V 2>&1', NGINX], { encoding: "utf8" });
  const folder = /--modules-path=(\S+)/.exec(built)?.[1] ?? "/usr/lib/nginx/modules";
  return ["ndk_http_module.so", "ngx_http_lua_module.so"]
    .map((file) => join(folder, file))
    .filter(existsSync)
    .map((file) => `load_module ${file};`)
    .join("\n");
}

async function start_nginx(name: string, core: number, file: string, ready: string, values: Record<string, string | number>) {
  const path = own_directory(name);
  const rendered = render(file, path, { ...values, USER: user_line(), MODULES: module_lines() });
  // nginx would take a variable of this name for a list of inherited sockets.
  const child = start(name, core, ["env", "-u", "NGINX", NGINX, "-p", `${path}/`, "-e", "error.log", "-c", rendered], {});
  const answer = await wait_for(name, child, ready);
  return { child, answer };
}

async function start_mock(): Promise<Mock> {
  const [answers_port = 0, streams_port = 0, firsts_port = 0] = await free_ports(3);
  const { answer } = await start_nginx("mock", OTHER_CORE, "mock.conf", `http://127.0.0.1:${answers_port}/versions`, {
    ANSWERS_PORT: answers_port,
    STREAMS_PORT: streams_port,
    FIRSTS_PORT: firsts_port,
  });
  return { answers_port, streams_port, firsts_port, lua_versions: answer };
}

function the_worker(name: string, child: ChildProcess): number {
  const workers = workers_of(child.pid ?? 0);
  if (workers.length !== 1 || workers[0] === undefined) {
    throw new Error(`${name} has ${workers.length} workers, not one`);
  }
  pin(workers[0], GATEWAY_CORE);
  return workers[0];
}

/** nginx that only passes on. `name`: a second floor can stand in a gateway's place. */
async function start_floor(mock: Mock, name = "floor"): Promise<Server> {
  const [answers = 0, streams = 0, firsts = 0] = await free_ports(3);
  const { child } = await start_nginx(name, GATEWAY_CORE, "floor.conf", `http://127.0.0.1:${answers}/`, {
    ANSWERS_PORT: mock.answers_port,
    STREAMS_PORT: mock.streams_port,
    FIRSTS_PORT: mock.firsts_port,
    FLOOR_ANSWERS_PORT: answers,
    FLOOR_STREAMS_PORT: streams,
    FLOOR_FIRSTS_PORT: firsts,
  });
  return {
    name,
    pid: the_worker(name, child),
    answers: `http://127.0.0.1:${answers}`,
    streams: `http://127.0.0.1:${streams}`,
    firsts: `http://127.0.0.1:${firsts}`,
    empty_logs: () => undefined,
  };
}

/** Empties the log files that grow; each is open for appending, so the next line begins at the start. */
function empty_logs_in(path: string): void {
  for (const file of readdirSync(path, { recursive: true, encoding: "utf8" })) {
    if (/\.(log|jsonl)$/.test(file)) {
      truncateSync(join(path, file));
    }
  }
}

/** Starts a gateway with a configuration of bench/, and values for it. */
async function launch_gateway(name: string, config: string, mock: Mock, values: Record<string, string>): Promise<Server> {
  const [http = 0, https = 0, admin = 0] = await free_ports(3);
  const path = own_directory(name);
  const child = start(name, GATEWAY_CORE, [resolve(process.env.GATEWAY_LAUNCH ?? "nginx/launch")], {
    NGINX,
    CONFIG: join(BENCH, config),
    LISTEN: "127.0.0.1",
    HTTP_PORT: String(http),
    HTTPS_PORT: String(https),
    ADMIN_PORT: String(admin),
    RUN_DIR: join(path, "run"),
    WORKERS: "1",
    ...values,
    BENCH_ANSWERS_PORT: String(mock.answers_port),
    BENCH_STREAMS_PORT: String(mock.streams_port),
    BENCH_FIRSTS_PORT: String(mock.firsts_port),
  });
  await wait_for(name, child, `http://127.0.0.1:${admin}/healthz`);
  const base = `http://127.0.0.1:${http}`;
  return {
    name: `sluice (${name})`,
    pid: the_worker(name, child),
    answers: base,
    streams: base,
    firsts: base,
    empty_logs: () => {
      empty_logs_in(path);
    },
  };
}

/**
 * The gateway itself, as its launcher starts it. `GATEWAY_LAUNCH` names another launcher, so that two versions can be
 * compared.
 */
async function start_gateway(mock: Mock, files: Files): Promise<Server> {
  return launch_gateway("gateway", "sluice.yaml", mock, values_of(files));
}

function values_of({ public_key_file, words_file }: Files): Record<string, string> {
  return {
    BENCH_API_KEY: API_KEY,
    BENCH_LIMITED_API_KEY: LIMITED_API_KEY,
    BENCH_GUARDED_API_KEY: GUARDED_API_KEY,
    BENCH_WORDS_FILE: words_file,
    BENCH_PUBLIC_KEY_FILE: public_key_file,
  };
}

/** A Redis that writes down what it is told, as it should beside a gateway, on the client's core. Returns its URL. */
async function start_redis(): Promise<string> {
  const [port = 0] = await free_ports(1);
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--dir", own_directory("redis"), "--save", "", "--appendonly", "yes"];
  const child = start("redis", OTHER_CORE, ["redis-server", ...options], {});
  for (let waited = 0; waited < 100 && child.exitCode === null; waited++) {
    try {
      execFileSync("redis-cli", ["-p", String(port), "ping"], { stdio: "pipe" });
      return `redis://127.0.0.1:${port}`;
    } catch {
      await sleep(100);
    }
  }
  throw new Error("redis did not start");
}

/** The same gateway, whose limits are counted in a Redis. */
async function start_gateway_with_redis(mock: Mock, files: Files): Promise<Server> {
  return launch_gateway("gateway-with-redis", "sluice.yaml", mock, {
    ...values_of(files),
    BENCH_STORE: "redis",
    BENCH_REDIS_URL: await start_redis(),
  });
}

/** What the keys of a gateway with many of them begin with; a number follows, from 1 on. */
const NUMBERED_KEY = "sk-bench-numbered-key-";

/** A gateway whose one tenant has so many API keys. */
async function start_gateway_with_keys(mock: Mock, count: number): Promise<Server> {
  const file = join(own_directory(`keys-${count}`), "api.keys");
  const lines: string[] = [];
  for (let number = 1; number <= count; number++) {
    lines.push(`key-${number} ${createHash("sha256").update(`${NUMBERED_KEY}${number}`).digest("hex")}`);
  }
  writeFileSync(file, `${lines.join("\n")}\n`);
  return launch_gateway(`gateway-with-${count}-keys`, "keys.yaml", mock, { BENCH_KEYS_FILE: file });
}

/** Portkey's gateway from npm, as its own start command runs it, without the page for people. */
async function start_portkey(): Promise<Server> {
  const [port = 0] = await free_ports(1);
  const child = start(
    "portkey",
    GATEWAY_CORE,
    [
      process.execPath,
      "--import",
      `file://${resolve("dist/bench/loopback.js")}`,
      join(PORTKEY, "build/start-server.js"),
      "--headless",
      `--port=${port}`,
    ],
    { NODE_ENV: "production" },
  );
  const base = `http://127.0.0.1:${port}`;
  await wait_for("portkey", child, base);
  const pid = descendants(child.pid ?? 0)[0] ?? 0;
  return { name: "portkey", pid, answers: base, streams: base, firsts: base, empty_logs: () => undefined };
}

export {
  API_KEY,
  GUARDED_API_KEY,
  LIMITED_API_KEY,
  NGINX,
  NUMBERED_KEY,
  PORTKEY,
  start_floor,
  start_gateway,
  start_gateway_with_keys,
  start_gateway_with_redis,
  start_mock,
  start_nginx,
  start_portkey,
  type Files,
  type Mock,
  type Server,
};
