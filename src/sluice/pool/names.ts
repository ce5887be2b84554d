/**
 * Names to addresses, remembered for as long as their records allow.
 *
 * An address is used as it is. A name is looked up when it is first needed and again when its records have
 * expired; while that fails, the last good addresses go on serving. A name's addresses take turns. One lookup
 * for a name is under way at a time in a worker: others who need it meanwhile use the old addresses, or, if
 * there are none yet, look it up too.
 *
 * Who must not wait asks for what is known (`known_address`), and has a timer look up what is due (`due_names`, `look_up_name`) a
 * little before the records expire.
 */

/** Gives a name's addresses and for how many seconds they hold, or why there are none. */
type Resolve = (
  this: void,
  name: string,
) => LuaMultiReturn<[addresses: string[] | undefined, seconds: number, reason: string | undefined]>;

/** Gives the addresses that are known of a name already, without waiting. */
type Recall = (this: void, name: string) => string[] | undefined;

interface Entry {
  addresses: string[];
  expires: number;
  turn: number;
  /** When the lookup under way began, or NOT_LOOKING. */
  looking_since: number;
  /** Why the last lookup failed. */
  reason: string | undefined;
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
/** A timer looks a name up so long before its records expire. */
const AHEAD_SECONDS = 2;

function new_names(): Names {
  return new LuaTable();
}

/** Whether the host is an address already: IPv4, or IPv6 (which has a colon). */
function is_address(host: string): boolean {
  return string.find(host, ":", 1, true)[0] !== undefined || string.find(host, "^%d+%.%d+%.%d+%.%d+$")[0] !== undefined;
}

/** Makes a name's entry: an address is its own, and never expires. */
function new_entry(host: string): Entry {
  const fixed = is_address(host);
  const written = fixed && string.find(host, ":", 1, true)[0] !== undefined ? `[${host}]` : host;
  return { addresses: fixed ? [written] : [], expires: fixed ? math.huge : 0, turn: 0, looking_since: NOT_LOOKING, reason: undefined };
}

function is_looking(entry: Entry, now: number): boolean {
  return entry.looking_since !== NOT_LOOKING && now - entry.looking_since <= LOOKING_SECONDS;
}

function look_up(entry: Entry, host: string, now: number, resolve: Resolve): string | undefined {
  entry.looking_since = now;
  const [addresses, seconds, reason] = resolve(host);
  entry.looking_since = NOT_LOOKING;
  if (addresses === undefined || addresses.length === 0) {
    entry.expires = now + RETRY_SECONDS;
    entry.reason = reason ?? "no address";
    return entry.reason;
  }
  entry.addresses = addresses;
  entry.turn = 0;
  entry.expires = now + math.max(LEAST_SECONDS, math.min(MOST_SECONDS, seconds));
  entry.reason = undefined;
  return undefined;
}

/** The address whose turn it is. There must be one. */
function next_address(entry: Entry): string {
  const { addresses, turn } = entry;
  entry.turn = turn + 1 < addresses.length ? turn + 1 : 0;
  return addresses[turn]!;
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
    entry = new_entry(host);
    names.set(host, entry);
  }
  let reason: string | undefined;
  if (now >= entry.expires && (!is_looking(entry, now) || entry.addresses.length === 0)) {
    reason = look_up(entry, host, now, resolve);
  }
  if (entry.addresses.length === 0) {
    return $multi(undefined, reason ?? "no address");
  }
  return $multi(next_address(entry), undefined);
}

/**
 * The address to connect to for a host, from what is known, or `undefined` and why; never waits. A name that has not been asked for
 * before is recalled, if somebody knew it, and is due from now on.
 */
function known_address(names: Names, host: string, recall: Recall): LuaMultiReturn<[address: string | undefined, reason: string | undefined]> {
  let entry = names.get(host);
  if (entry === undefined) {
    entry = new_entry(host);
    if (entry.addresses.length === 0) {
      entry.addresses = recall(host) ?? [];
    }
    names.set(host, entry);
  }
  if (entry.addresses.length === 0) {
    return $multi(undefined, `no address is known of ${host}: ${entry.reason ?? "it has not been looked up yet"}`);
  }
  return $multi(next_address(entry), undefined);
}

/** The names that should be looked up now: those whose records expire soon, or that are not known. */
function due_names(names: Names, now: number): string[] {
  const due: string[] = [];
  for (const [host, entry] of names) {
    if (now >= entry.expires - AHEAD_SECONDS && !is_looking(entry, now)) {
      due.push(host);
    }
  }
  return due;
}

/** Looks a name up that is due. Waits while `resolve` does. Returns its new addresses; or why there are none, and whether that is new. */
function look_up_name(
  names: Names,
  host: string,
  now: number,
  resolve: Resolve,
): LuaMultiReturn<[addresses: string[] | undefined, reason: string | undefined, fails_anew: boolean]> {
  const entry = names.get(host)!;
  const failed_before = entry.reason !== undefined;
  const reason = look_up(entry, host, now, resolve);
  if (reason !== undefined) {
    return $multi(undefined, reason, !failed_before);
  }
  return $multi(entry.addresses, undefined, false);
}

export { address_of, due_names, is_address, known_address, look_up_name, new_names };
export type { Names, Recall, Resolve };
