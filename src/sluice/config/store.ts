/** Where the store is, as the gateway connects to it: from the section `store`. */

import { split_authority, split_redis_url } from "./format";
import type { RedisUrlParts } from "./format";
import type { StoreConfiguration } from "../limit/config";

interface SentinelPlace {
  host: string;
  port: number;
}

interface StorePlace {
  /** User, password, database, and where it is; the latter is of no meaning if Sentinels know it. */
  redis: RedisUrlParts;
  /** None: it is where `redis` says. */
  sentinels: SentinelPlace[];
}

/** Where Redis is; undefined if the store is in memory. The configuration must have been checked. */
function place_of(store: StoreConfiguration): StorePlace | undefined {
  const { redis } = store;
  if (store.kind !== "redis" || redis === undefined) {
    return undefined;
  }
  const [parts] = split_redis_url(redis.url ?? "");
  if (parts !== undefined) {
    return { redis: parts, sentinels: [] };
  }
  const sentinels: SentinelPlace[] = [];
  for (const text of redis.sentinels ?? []) {
    const [host, port] = split_authority(text);
    sentinels.push({ host: host!, port: port! });
  }
  const { database, password, user } = redis;
  return { redis: { tls: false, host: "", port: 0, user: user ?? "", password: password ?? "", database: database ?? 0 }, sentinels };
}

export { place_of };
export type { StorePlace };
