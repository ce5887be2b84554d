/**
 * Names to addresses, remembered for as long as their records allow.
 *
 * An address is used as it is. A timer looks names up (`due_names`, `look_up_name`), when they are new and a little before their records
 * expire. Whoever needs an address takes what is known (`known_address`), be it old: while looking a name up fails, the last good
 * addresses go on serving. Only who finds none at all may have to wait for a lookup of its own.
 *
 * A name's addresses take turns. One at which nobody could be reached is left out for a while, as long as there are others.
 */

/** Gives a name's addresses and for how many seconds they hold, or why there are none. */
type Resolve = (
  this: void,
  name: string,
) => LuaMultiReturn<[addresses: string[] | undefined, seconds: number, reason: string | undefined]>;

/** Tells the time, in seconds on a clock that only goes forward. */
type Clock = (this: void) => number;

/** Gives the addresses that are known of a name already, without waiting. */
type Recall = (this: void, name: string) => string[] | undefined;

interface Entry {
  addresses: string[];
  expires: number;
  turn: number;
  /** Until when addresses are left out; undefined: none is. */
  rests: LuaTable<string, number> | undefined;
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
/** An address at which nobody could be reached is left out for so long. */
const REST_SECONDS = 10;
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
  return { addresses: fixed ? [written] : [], expires: fixed ? math.huge : 0, turn: 0, rests: undefined, looking_since: NOT_LOOKING, reason: undefined };
}

function is_looking(entry: Entry, now: number): boolean {
  return entry.looking_since !== NOT_LOOKING && now - entry.looking_since <= LOOKING_SECONDS;
}

/** Looks a name up. `clock` tells the time in seconds: looking up takes some. Returns why it could not. */
function look_up(entry: Entry, host: string, clock: Clock, resolve: Resolve): string | undefined {
  entry.looking_since = clock();
  const [addresses, seconds, reason] = resolve(host);
  const now = clock();
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
function take_turn(entry: Entry): string {
  const { addresses, turn } = entry;
  entry.turn = turn + 1 < addresses.length ? turn + 1 : 0;
  return addresses[turn < addresses.length ? turn : 0]!;
}

/** Whether an address is left out. */
function is_resting(entry: Entry, address: string, now: number): boolean {
  const until = entry.rests !== undefined ? (entry.rests.get(address) as number | undefined) : undefined;
  return until !== undefined && now < until;
}

/** The address whose turn it is among those that are not left out; among all, if all are. */
function next_address(entry: Entry, now: number): string {
  if (entry.rests === undefined) {
    return take_turn(entry);
  }
  for (const _ of $range(1, entry.addresses.length)) {
    const address = take_turn(entry);
    if (!is_resting(entry, address, now)) {
      return address;
    }
  }
  return take_turn(entry);
}

/**
 * The address to connect to for a host, from what is known, or `undefined` and why; never waits. `now` is in seconds on the clock of the
 * lookups. A name that has not been asked for before is recalled, if somebody knew it, and is due from now on. IPv6 addresses come in
 * brackets, as nginx wants them.
 */
function known_address(
  names: Names,
  host: string,
  recall: Recall,
  now: number,
): LuaMultiReturn<[address: string | undefined, reason: string | undefined]> {
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
  return $multi(next_address(entry, now), undefined);
}

/** Whether somebody who needs an address of a name should look it up: none is known, and the last lookup did not fail just now. */
function needs_lookup(names: Names, host: string, now: number): boolean {
  const entry = names.get(host);
  return entry === undefined || (entry.addresses.length === 0 && now >= entry.expires);
}

/** Nobody could be reached at an address of a name: it is left out for a while. Returns whether the name has others that are not. */
function rest_address(names: Names, host: string, address: string, now: number): boolean {
  const entry = names.get(host);
  if (entry === undefined || entry.addresses.length < 2) {
    return false;
  }
  entry.rests = entry.rests ?? new LuaTable();
  entry.rests.set(address, now + REST_SECONDS);
  for (const other of entry.addresses) {
    if (!is_resting(entry, other, now)) {
      return true;
    }
  }
  return false;
}

/** Forgets all names but those that are wanted. */
function keep_names(names: Names, wanted: LuaTable<string, boolean>): void {
  for (const [host] of names) {
    if (!wanted.has(host)) {
      names.delete(host);
    }
  }
}

/**
 * The names that should be looked up now: those whose records expire soon, or that are not known. The one that has been due for longest
 * comes first: who has no time for all of them must not forget the same ones each time.
 */
function due_names(names: Names, now: number): string[] {
  const due: string[] = [];
  for (const [host, entry] of names) {
    if (now >= entry.expires - AHEAD_SECONDS && !is_looking(entry, now)) {
      due.push(host);
    }
  }
  table.sort(due, (left, right) => names.get(left).expires < names.get(right).expires);
  return due;
}

/**
 * Looks a name up that is due. Waits while `resolve` does; `clock` tells the time in seconds. Returns its new addresses; or why there are
 * none, and whether that is new.
 */
function look_up_name(
  names: Names,
  host: string,
  clock: Clock,
  resolve: Resolve,
): LuaMultiReturn<[addresses: string[] | undefined, reason: string | undefined, fails_anew: boolean]> {
  const entry = names.get(host) ?? new_entry(host);
  names.set(host, entry);
  const failed_before = entry.reason !== undefined;
  const reason = look_up(entry, host, clock, resolve);
  if (reason !== undefined) {
    return $multi(undefined, reason, !failed_before);
  }
  return $multi(entry.addresses, undefined, false);
}

export { due_names, is_address, keep_names, known_address, look_up_name, needs_lookup, new_names, rest_address };
export type { Clock, Names, Recall, Resolve };
