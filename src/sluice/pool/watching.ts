/** How a pool's endpoints are watched, as the gateway uses it: the configuration in seconds, and what every question carries. */

import { conclude, read, release, take } from "../wire/request";
import { encode_string } from "../wire/json";
import type { PoolConfiguration } from "./config";
import type { Rules } from "./standing";
import type { Engine } from "./watch_config";

/** The names and values of request headers. */
type Headers = LuaTable<string, string>;

interface HealthCheck {
  path: string;
  interval: number;
  timeout: number;
}

interface WarmUp {
  path: string;
  body: string;
  timeout: number;
}

interface Scrape {
  engine: Engine;
  path: string;
  interval: number;
  timeout: number;
}

/** All times are in seconds. */
interface Watching {
  rules: Rules;
  slow_start: number;
  health: HealthCheck | undefined;
  warmup: WarmUp | undefined;
  scrape: Scrape | undefined;
  /** For so long figures are as good as new; 0: none are read. */
  fresh: number;
  /** What all questions carry: the pool's first account, if it has any, and the pool's own headers. */
  headers: Headers;
}

/** A metrics page that takes longer comes too late. */
const LEAST_SCRAPE_TIMEOUT = 1;
/** Figures are as good as new for so many intervals, but at least for so many seconds. */
const FRESH_INTERVALS = 3;
const LEAST_FRESH = 2;

/** The headers that carry an account's credential; "" for one that isn't sent. */
interface Credential {
  authorization: string;
  x_api_key: string;
  api_key: string;
}

function headers_of(pool: PoolConfiguration, { api_key, authorization, x_api_key }: Credential): Headers {
  const headers: Headers = new LuaTable();
  for (const [name, value] of pairs(pool.headers as unknown as LuaTable<string, string>)) {
    headers.set(name, value);
  }
  if (authorization !== "") {
    headers.set("Authorization", authorization);
  }
  if (x_api_key !== "") {
    headers.set("X-Api-Key", x_api_key);
  }
  if (api_key !== "") {
    headers.set("Api-Key", api_key);
  }
  if (pool.api === "anthropic") {
    headers.set("Anthropic-Version", "2023-06-01");
  }
  return headers;
}

/** The body of a warm-up in which the model has another name; as it is, if it names none. */
function warmup_for(body: string, name: string): string {
  const reader = take("chat", false);
  read(reader, body);
  const [reading] = conclude(reader, (text: string, start, end) => string.sub(text, start + 1, end), body);
  release(reader);
  if (reading === undefined) {
    return body;
  }
  return string.sub(body, 1, reading.model_start) + encode_string(name) + string.sub(body, reading.model_end + 1);
}

/** How a pool is watched; undefined if it isn't. `account`: its first one. */
function compile_watching(pool: PoolConfiguration, account: Credential): Watching | undefined {
  const { health, scrape, warmup } = pool;
  const engine = scrape === undefined || scrape.engine === "none" ? undefined : scrape.engine;
  if (health === undefined && warmup === undefined && engine === undefined) {
    return undefined;
  }
  const interval = (scrape?.interval ?? 0) / 1000;
  return {
    rules: { healthy: health?.healthy ?? 0, unhealthy: health?.unhealthy ?? 0, needs_warmth: warmup !== undefined },
    slow_start: (health?.slow_start ?? 0) / 1000,
    health: health && { path: health.path, interval: health.interval / 1000, timeout: health.timeout / 1000 },
    warmup: warmup && { path: warmup.path, body: warmup.body ?? "", timeout: warmup.timeout / 1000 },
    scrape: engine && { engine, path: scrape!.path, interval, timeout: math.max(LEAST_SCRAPE_TIMEOUT, interval) },
    fresh: engine !== undefined ? math.max(LEAST_FRESH, FRESH_INTERVALS * interval) : 0,
    headers: headers_of(pool, account),
  };
}

export { compile_watching, headers_of, warmup_for };
export type { Headers, Watching };
