/**
 * Tells the Redis that several nodes share what answers have taken more than was reserved for them, behind the clients' backs:
 * a body filter can't ask anybody. What a request has taken is told as a sum, so one that is told twice counts once, and one
 * that never gets there comes with the request's next, or with its settlement.
 */

import { run_scripts } from "../edge/redis";
import { TAKE } from "../limit/redis_scripts";
import type { Shared } from "./shared_store";

/** How long Redis may take over them. */
const BATCH_MS = 2000;

/** Of this worker's requests, what is to be told of each. */
const waiting: { parts: LuaTable<string, string[]>; timer: boolean } = { parts: new LuaTable(), timer: false };

function tell_all(this: void, _: boolean, shared: Shared): void {
  const lists: string[][] = [];
  for (const [, parts] of waiting.parts) {
    lists.push(parts);
  }
  waiting.parts = new LuaTable();
  waiting.timer = false;
  if (!shared.breaker.open) {
    run_scripts(shared.client, TAKE.text, lists, BATCH_MS);
  }
}

/** Tells what a request has taken, by its id: the script's keys and arguments. */
function tell_taken(shared: Shared, id: string, parts: string[]): void {
  waiting.parts.set(id, parts);
  if (!waiting.timer) {
    const [started] = ngx.timer.at(0, tell_all, shared);
    waiting.timer = started !== undefined;
  }
}

export { tell_taken };
