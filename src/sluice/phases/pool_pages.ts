/** How the pools stand, for `/status` and for Prometheus. */

import { monotonic } from "../edge/clock";
import { state_of as account_state } from "../pool/account_states";
import { state_of as breaker_state } from "../pool/breaker";
import { encode_string } from "../wire/json";
import { live_pool } from "./attempts";
import { gateway } from "./gateway";
import type { LivePool } from "../pool/live";
import type { Pool } from "../pool/pools";

function list(items: string[]): string {
  return `[${items.join(",")}]`;
}

function endpoint_objects(pool: Pool, live: LivePool | undefined, now: number): string[] {
  const endpoints: string[] = [];
  for (const { index, name } of pool.endpoints) {
    let standing = "";
    if (live !== undefined) {
      const most = pool.most[index]!;
      const [state] = breaker_state(live.breakers[index]!, now);
      standing = `,"in_flight":${live.field.in_flight(index)},"max_concurrent":${most > 0 ? most : "null"},"breaker":"${state}"`;
    }
    endpoints.push(`{"url":${encode_string(name)},"weight":${pool.weights[index]!}${standing}}`);
  }
  return endpoints;
}

function account_objects(pool: Pool, live: LivePool | undefined, now: number): string[] {
  const accounts: string[] = [];
  let index = 0;
  for (const { id, weight } of pool.accounts) {
    if (id !== "") {
      let standing = "";
      if (live !== undefined) {
        const [state, seconds] = account_state(live.accounts, index, now);
        standing = `,"state":"${state}","seconds":${math.ceil(seconds)}`;
      }
      accounts.push(`{"id":${encode_string(id)},"weight":${weight}${standing}}`);
    }
    index += 1;
  }
  return accounts;
}

/** A pool as JSON. Keys are named by their ids. */
function pool_object(pool: Pool): string {
  const live = live_pool(pool);
  const now = monotonic();
  return (
    `{"name":${encode_string(pool.name)},"api":"${pool.api}","balance":"${pool.balance}",` +
    `"endpoints":${list(endpoint_objects(pool, live, now))},"keys":${list(account_objects(pool, live, now))}}`
  );
}

/** Which breakers keep requests away, for Prometheus. */
function pool_metrics(): string {
  const parts: string[] = [
    "# HELP sluice_breaker_open 1 while an endpoint gets no requests because it fails, else 0.\n",
    "# TYPE sluice_breaker_open gauge\n",
  ];
  const now = monotonic();
  for (const [, pool] of gateway().snapshot.pools) {
    const live = live_pool(pool);
    for (const { index, name } of pool.endpoints) {
      if (live !== undefined) {
        const [state] = breaker_state(live.breakers[index]!, now);
        parts.push(`sluice_breaker_open{pool="${pool.name}",endpoint="${name}"} ${state === "closed" ? 0 : 1}\n`);
      }
    }
  }
  return parts.join("");
}

export { pool_metrics, pool_object };
