/**
 * Connections to Redis, or to the master that Sentinels name.
 *
 * A connection goes back to the worker's pool only after a whole answer that is no error; all others are closed, since an answer that
 * comes late would be taken for that of the next request. Pools are kept apart by place, user, password, database and TLS.
 *
 * With Sentinels, the master is asked for its role whenever a connection is opened, and the Sentinels are asked anew after a
 * connection failed or Redis said that it is a replica.
 *
 * Limits: no Redis Cluster; with Sentinels no TLS.
 */

import { monotonic } from "./clock";
import { has_rest, limit_time, new_wire } from "./redis_wire";
import { begin_tls } from "./tls";
import type { Wire } from "./redis_wire";

interface RedisPlace {
  host: string;
  port: number;
}

interface RedisOptions {
  /** Where Redis is; undefined: the Sentinels know. */
  place: RedisPlace | undefined;
  tls: boolean;
  user: string;
  password: string;
  database: number;
  sentinels: RedisPlace[];
  /** What the Sentinels call it, and the password that they want themselves. */
  master: string;
  sentinel_password: string;
  /** Gives the address that is known for a host's name, or says why there is none. Does not wait. */
  address: (this: void, host: string) => LuaMultiReturn<[address: string | undefined, reason: string | undefined]>;
}

interface RedisClient {
  driver: RedisLibrary;
  options: RedisOptions;
  /** Where the master is, as far as is known. */
  place: RedisPlace | undefined;
  /** What the pool of its connections is called, but for the place. */
  pool: string;
  /** SHA-1 of the scripts' texts. */
  digests: LuaTable<string, string>;
}

/** A connection, and whether it has been used before. */
interface Opened {
  wire: Wire;
  used: boolean;
  fresh: boolean;
}

const IDLE_MS = 60000;
const POOL_SIZE = 128;

/** The library under the name it has here; or undefined and a reason, if it is not installed. */
function find_library(): LuaMultiReturn<[library: RedisLibrary | undefined, reason: string | undefined]> {
  for (const name of ["resty.redis", "nginx.redis"]) {
    const [found, library] = pcall(require, name);
    if (found) {
      return $multi(library as RedisLibrary, undefined);
    }
  }
  return $multi(undefined, "no Redis library is installed: Debian's package lua-nginx-redis, or OpenResty's resty.redis");
}

function redis_client(driver: RedisLibrary, options: RedisOptions): RedisClient {
  const { database, password, tls, user } = options;
  const pool = ngx.md5(`${tls} ${database} ${user.length} ${user} ${password}`);
  return { driver, options, place: options.place, pool, digests: new LuaTable() };
}

/** Why a step failed; undefined if it did not. */
function failure(reply: RedisReply, reason: string | undefined): string | undefined {
  return reply === undefined || reply === false ? (reason ?? "no answer") : undefined;
}

/** Opens a connection to a place. */
function connect(
  client: RedisClient,
  place: RedisPlace,
  pool: string,
  tls: boolean,
  deadline: number,
): LuaMultiReturn<[wire: Wire | undefined, reason: string | undefined, used: boolean]> {
  const [address, unknown] = client.options.address(place.host);
  if (address === undefined) {
    return $multi(undefined, unknown, false);
  }
  const [connection, impossible] = client.driver.new();
  if (connection === undefined) {
    return $multi(undefined, impossible, false);
  }
  const wire = new_wire(connection, deadline);
  if (!limit_time(wire)) {
    return $multi(undefined, "timeout", false);
  }
  const [connected, reason] = connection.connect(address, place.port, { pool });
  if (connected === undefined || connected === false) {
    return $multi(undefined, reason ?? "no connection", false);
  }
  const [times] = connection.get_reused_times();
  const used = (times ?? 0) > 0;
  if (tls && !used) {
    if (!limit_time(wire)) {
      connection.close();
      return $multi(undefined, "timeout", false);
    }
    const complaint = begin_tls(wire.socket, place.host, true);
    if (complaint !== undefined) {
      connection.close();
      return $multi(undefined, complaint, false);
    }
  }
  return $multi(wire, undefined, used);
}

/** Names ourselves to Redis on a new connection. Returns why that failed. */
function greet(wire: Wire, user: string, password: string, database: number): string | undefined {
  const { connection } = wire;
  if (password !== "") {
    if (!limit_time(wire)) {
      return "timeout";
    }
    const [reply, reason] = user !== "" ? connection.auth(user, password) : connection.auth(password);
    const failed = failure(reply, reason);
    if (failed !== undefined) {
      return failed;
    }
  }
  if (database !== 0) {
    if (!limit_time(wire)) {
      return "timeout";
    }
    const [reply, reason] = connection.select(string.format("%.0f", database));
    return failure(reply, reason);
  }
  return undefined;
}

/** Asks one Sentinel where the master is. */
function ask_sentinel(client: RedisClient, sentinel: RedisPlace, deadline: number): LuaMultiReturn<[place: RedisPlace | undefined, reason: string | undefined]> {
  const { master, sentinel_password } = client.options;
  const [wire, reason] = connect(client, sentinel, `sluice:sentinel:${sentinel.host}:${sentinel.port}`, false, deadline);
  if (wire === undefined) {
    return $multi(undefined, reason);
  }
  const refused = greet(wire, "", sentinel_password, 0) ?? (limit_time(wire) ? undefined : "timeout");
  if (refused !== undefined) {
    wire.connection.close();
    return $multi(undefined, refused);
  }
  const [reply, complaint] = wire.connection.sentinel("get-master-addr-by-name", master);
  wire.connection.close();
  if (typeof reply !== "object") {
    return $multi(undefined, reply === undefined ? complaint : `it knows no master ${master}: ${complaint}`);
  }
  const [host, port] = reply as string[];
  return $multi({ host: host!, port: tonumber(port)! }, undefined);
}

/** Finds the master, asking the Sentinels in turn; the one that answers is asked first the next time. */
function find_master(client: RedisClient, deadline: number): LuaMultiReturn<[place: RedisPlace | undefined, reason: string | undefined]> {
  const { sentinels } = client.options;
  let reason: string | undefined = "there is no Sentinel";
  const count = sentinels.length;
  for (const index of $range(0, count - 1)) {
    // Each may take its part of what is left: one that is silent must not use it all.
    const now = monotonic();
    const [place, complaint] = ask_sentinel(client, sentinels[index]!, now + (deadline - now) / (count - index + 1));
    if (place !== undefined) {
      const first = sentinels[0]!;
      sentinels[0] = sentinels[index]!;
      sentinels[index] = first;
      return $multi(place, undefined);
    }
    reason = `the Sentinel at ${sentinels[index]!.host}:${sentinels[index]!.port}: ${complaint}`;
  }
  return $multi(undefined, reason);
}

/** After a failure the Sentinels are asked again. */
function forget_place(client: RedisClient): void {
  client.place = client.options.place;
}

/** Whether the new connection leads to a master. Returns why not. */
function check_role(wire: Wire): string | undefined {
  if (!limit_time(wire)) {
    return "timeout";
  }
  const [reply, reason] = wire.connection.role();
  const failed = failure(reply, reason);
  if (failed !== undefined) {
    return failed;
  }
  const [role] = reply as string[];
  return role === "master" ? undefined : `READONLY its role is ${role}`;
}

const opened: Opened = { wire: undefined as unknown as Wire, used: false, fresh: false };

/** Opens a connection to Redis, or takes one that was kept unless it is to be `fresh`. The result is overwritten by the next call. */
function open(client: RedisClient, deadline: number, fresh: boolean): LuaMultiReturn<[opened: Opened | undefined, reason: string | undefined]> {
  const { database, password, tls, user } = client.options;
  let { place } = client;
  if (place === undefined) {
    const [found, unknown] = find_master(client, deadline);
    if (found === undefined) {
      return $multi(undefined, unknown);
    }
    place = found;
    client.place = found;
  }
  const pool = `sluice:${place.host}:${place.port}:${client.pool}`;
  const [wire, reason, used] = connect(client, place, fresh ? `${pool}:fresh` : pool, tls, deadline);
  if (wire === undefined) {
    forget_place(client);
    return $multi(undefined, reason);
  }
  if (!used) {
    const refused = greet(wire, user, password, database) ?? (client.options.place === undefined ? check_role(wire) : undefined);
    if (refused !== undefined) {
      wire.connection.close();
      forget_place(client);
      return $multi(undefined, refused);
    }
  }
  opened.wire = wire;
  opened.used = used;
  opened.fresh = fresh;
  return $multi(opened, undefined);
}

/** Keeps a connection whose answers have all been read. */
function keep(wire: Wire, fresh: boolean): void {
  if (fresh || has_rest(wire)) {
    wire.connection.close();
  } else {
    wire.connection.set_keepalive(IDLE_MS, POOL_SIZE);
  }
}

/** Closes a connection after a failure. */
function abandon(client: RedisClient, wire: Wire): void {
  wire.connection.close();
  forget_place(client);
}

export { abandon, failure, find_library, keep, open, redis_client };
export type { RedisClient, RedisOptions, RedisPlace };
