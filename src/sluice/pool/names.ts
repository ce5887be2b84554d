/**
 * Names to addresses, remembered for as long as their records allow.
 *
 * An address is used as it is. A name is looked up when it is first needed and again when its records have
 * expired; while that fails, the last good addresses go on serving. A name's addresses take turns. One lookup
 * for a name is under way at a time in a worker: others who need it meanwhile use the old addresses, or, if
 * there are none yet, look it up too.
 */

/** Gives a name's addresses and for how many seconds they hold, or why there are none. */
type Resolve = (
  this: void,
  name: string,
) => LuaMultiReturn<[addresses: string[] | undefined, seconds: number, reason: string | undefined]>;

interface Entry {
  addresses: string[];
  expires: number;
  turn: number;
  /** When the lookup under way began, or NOT_LOOKING. */
  looking_since: number;
}

type Names = LuaTable<string, Entry>;

/** Records are trusted for at least this long, so that a TTL of 0 is not a lookup per request; and at most an hour. */
const LEAST_SECONDS = 1;
const MOST_SECONDS = 3600;
/** After a failed lookup the old addresses serve for this long before the next one. */
const RETRY_SECONDS = 1;
/** A lookup that has not come back for so long never will: whoever made it has left. */
const LOOKING_SECONDS = 10;
const NOT_LOOKING = -1;

function new_names(): Names {
  return new LuaTable();
}

/** Whether the host is an address already: IPv4, or IPv6 (which has a colon). */
function is_address(host: string): boolean {
  return string.find(host, ":", 1, true)[0] !== undefined || string.find(host, "^%d+%.%d+%.%d+%.%d+$")[0] !== undefined;
}

function look_up(entry: Entry, host: string, now: number, resolve: Resolve): string | undefined {
  entry.looking_since = now;
  const [addresses, seconds, reason] = resolve(host);
  entry.looking_since = NOT_LOOKING;
  if (addresses === undefined || addresses.length === 0) {
    entry.expires = now + RETRY_SECONDS;
    return reason ?? "no address";
  }
  entry.addresses = addresses;
  entry.turn = 0;
  entry.expires = now + math.max(LEAST_SECONDS, math.min(MOST_SECONDS, seconds));
  return undefined;
}

/**
 * The address to connect to for a host; or `undefined` and why. `now` is in seconds. May wait while `resolve`
 * does. IPv6 addresses come in brackets, as nginx wants them.
 */
function address_of(
  names: Names,
  host: string,
  now: number,
  resolve: Resolve,
): LuaMultiReturn<[address: string | undefined, reason: string | undefined]> {
  let entry = names.get(host);
  if (entry === undefined) {
    const fixed = is_address(host);
    const written = fixed && string.find(host, ":", 1, true)[0] !== undefined ? `[${host}]` : host;
    entry = { addresses: fixed ? [written] : [], expires: fixed ? math.huge : 0, turn: 0, looking_since: NOT_LOOKING };
    names.set(host, entry);
  }
  let reason: string | undefined;
  if (now >= entry.expires && (entry.looking_since === NOT_LOOKING || now - entry.looking_since > LOOKING_SECONDS || entry.addresses.length === 0)) {
    reason = look_up(entry, host, now, resolve);
  }
  const addresses = entry.addresses;
  if (addresses.length === 0) {
    return $multi(undefined, reason ?? "no address");
  }
  const turn = entry.turn;
  entry.turn = turn + 1 < addresses.length ? turn + 1 : 0;
  return $multi(addresses[turn], undefined);
}

export { address_of, is_address, new_names };
export type { Names, Resolve };
