/** How the pools stand, for `/status` and for Prometheus. */

import { monotonic } from "../edge/clock";
import { state_of as account_state } from "../pool/account_states";
import { state_of as breaker_state } from "../pool/breaker_state";
import { figures_of, read_place } from "../pool/knowledge";
import { share_of } from "../pool/slow_start";
import { DOWN, first_place, takes_requests } from "../pool/standing";
import { encode_string } from "../wire/json";
import { live_pool } from "./choosing";
import { gateway } from "./gateway";
import { waiting_in } from "./waiting";
import type { Knowledge } from "../pool/knowledge";
import type { LivePool } from "../pool/live";
import type { Pool } from "../pool/pools";

function list(items: string[]): string {
  return `[${items.join(",")}]`;
}

/** Where an endpoint stands, of a pool that is watched. */
function place_of({ store, watching }: Knowledge, key: string): number {
  return read_place(store, key) ?? first_place(watching.rules);
}

/** A figure as JSON. */
function shown(value: number): string {
  return value < 0 ? "null" : string.format("%.10g", value);
}

/** What asking an endpoint has shown, as members of its object. */
function watch_members(knowledge: Knowledge, index: number, key: string, now: number): string {
  const { store, watching } = knowledge;
  const place = place_of(knowledge, key);
  const members: string[] = [];
  if (watching.health !== undefined) {
    members.push(`,"health":"${place === DOWN ? "unhealthy" : "healthy"}","share":${string.format("%.2f", place < 0 ? 0 : share_of(place, now, watching.slow_start))}`);
  }
  if (watching.warmup !== undefined) {
    members.push(`,"warm":${place >= 0}`);
  }
  if (watching.scrape !== undefined) {
    const [figures, age] = figures_of(store, knowledge.keys[index]!, now);
    members.push(`,"engine":${figures === undefined ? "null" : `{"waiting":${shown(figures.waiting)},"running":${shown(figures.running)},`
      + `"cache":${shown(figures.cache)},"age_seconds":${string.format("%.1f", age)},"fresh":${age <= watching.fresh}}`}`);
  }
  return members.join("");
}

/** The accounts from one place up to, not including, another. */
function account_objects(pool: Pool, live: LivePool | undefined, now: number, first: number, end: number): string[] {
  const accounts: string[] = [];
  for (const index of $range(first, end - 1)) {
    const { id, weight } = pool.accounts[index]!;
    if (id !== "") {
      let standing = "";
      if (live !== undefined) {
        const [state, seconds] = account_state(live.accounts, index, now);
        standing = `,"state":"${state}","seconds":${math.ceil(seconds)}`;
      }
      accounts.push(`{"id":${encode_string(id)},"weight":${weight}${standing}}`);
    }
  }
  return accounts;
}

function endpoint_objects(pool: Pool, live: LivePool | undefined, now: number): string[] {
  const endpoints: string[] = [];
  for (const { account_end, first_account, index, key, name, upstream_model } of pool.endpoints) {
    let standing = upstream_model !== undefined ? `,"upstream_model":${encode_string(upstream_model)}` : "";
    if (live !== undefined) {
      const most = pool.most[index]!;
      const [state] = breaker_state(live.breakers[index]!, now);
      standing += `,"in_flight":${live.field.in_flight(index)},"max_concurrent":${most > 0 ? most : "null"},"breaker":"${state}"`;
      if (live.knowledge !== undefined) {
        standing += watch_members(live.knowledge, index, key, now);
      }
    }
    if (first_account >= pool.shared_accounts) {
      standing += `,"keys":${list(account_objects(pool, live, now, first_account, account_end))}`;
    }
    endpoints.push(`{"url":${encode_string(name)},"weight":${pool.weights[index]!}${standing}}`);
  }
  return endpoints;
}

/** A pool as JSON. Keys are named by their ids. */
function pool_object(pool: Pool): string {
  const live = live_pool(pool);
  const now = monotonic();
  return (
    `{"name":${encode_string(pool.name)},"api":"${pool.api}","balance":"${pool.balance}","waiting":${live !== undefined ? waiting_in(live) : 0},` +
    `"endpoints":${list(endpoint_objects(pool, live, now))},"keys":${list(account_objects(pool, live, now, 0, pool.shared_accounts))}}`
  );
}

/** Which endpoints are well and warm, of pools that are asked for that, for Prometheus. */
function endpoint_metrics(): string {
  const parts: string[] = [
    "# HELP sluice_endpoint_up 1 while an endpoint is well and warm, as far as its pool is checked for that, else 0.\n",
    "# TYPE sluice_endpoint_up gauge\n",
  ];
  for (const [, pool] of gateway().snapshot.pools) {
    const knowledge = live_pool(pool)?.knowledge;
    if (knowledge !== undefined && (knowledge.watching.health !== undefined || knowledge.watching.warmup !== undefined)) {
      for (const { key, name } of pool.endpoints) {
        const is_up = takes_requests(place_of(knowledge, key), knowledge.watching.rules);
        parts.push(`sluice_endpoint_up{pool="${pool.name}",endpoint="${name}"} ${is_up ? 1 : 0}\n`);
      }
    }
  }
  return parts.join("");
}

/** Which breakers keep requests away, which endpoints are up, and how many requests wait or are under way, for Prometheus. */
function pool_metrics(): string {
  const breakers: string[] = [];
  const depths: string[] = [];
  const flights: string[] = [];
  const now = monotonic();
  for (const [, pool] of gateway().snapshot.pools) {
    const live = live_pool(pool);
    if (live !== undefined) {
      depths.push(`sluice_pool_queue_depth{pool="${pool.name}"} ${waiting_in(live)}\n`);
      for (const { index, name } of pool.endpoints) {
        const [state] = breaker_state(live.breakers[index]!, now);
        flights.push(`sluice_upstream_inflight{pool="${pool.name}",endpoint="${name}"} ${live.field.in_flight(index)}\n`);
        breakers.push(`sluice_breaker_open{pool="${pool.name}",endpoint="${name}"} ${state === "closed" ? 0 : 1}\n`);
      }
    }
  }
  return (
    "# HELP sluice_breaker_open 1 while an endpoint's breaker is open or half open: it gets only requests that try it. Else 0.\n# TYPE sluice_breaker_open gauge\n" +
    table.concat(breakers) +
    "# HELP sluice_pool_queue_depth Requests that wait for a place in the pool.\n# TYPE sluice_pool_queue_depth gauge\n" +
    table.concat(depths) +
    "# HELP sluice_upstream_inflight Attempts under way at an endpoint.\n# TYPE sluice_upstream_inflight gauge\n" +
    table.concat(flights) +
    endpoint_metrics()
  );
}

export { pool_metrics, pool_object };
