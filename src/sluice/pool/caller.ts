/** Who makes a request, as far as endpoints' failures are counted by that: the tenant and the key, or token subject, of the principal. */

import { hash } from "../wire/shape";

interface Caller {
  tenant: { id: string };
  key: string;
}

const RANGE_32 = 4294967296;
/** So many values of the second hash are taken: together with the first one 51 bits, and so a whole number, also doubled. */
const RANGE_SECOND = 524288;

/**
 * A number above 0 for a caller, the same in all workers of one start or reload; another one's is the same with a chance of 2^-51.
 * Doubled it still is a whole number. The hashes are keyed, so nobody can look for a name with somebody else's number.
 */
function mark_of(caller: Caller): number {
  const [first, second] = hash(`${caller.tenant.id}\n${caller.key}`);
  return 1 + (first % RANGE_32) * RANGE_SECOND + (second % RANGE_SECOND);
}

export { mark_of };
export type { Caller };
