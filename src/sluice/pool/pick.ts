/**
 * The choice of an endpoint. A `Picker` looks at a pool and says which endpoint takes the next attempt; the
 * phase asks it and nothing else, so that other ways to choose can stand beside this one.
 */

import type { Endpoint, Pool } from "./pools";

/** `undefined`: no endpoint can take it. */
type Picker = (this: void, pool: Pool) => Endpoint | undefined;

/** Each endpoint in its turn. Every worker counts its own turns. */
function round_robin(this: void, pool: Pool): Endpoint | undefined {
  const turn = pool.next_endpoint;
  pool.next_endpoint = turn + 1 < pool.endpoints.length ? turn + 1 : 0;
  return pool.endpoints[turn];
}

export { round_robin };
export type { Picker };
