/**
 * What all workers know of a pool's accounts: which of them rest, cool down, or were limited lately.
 *
 * An account rests when the upstream has refused its credential or its payment, which time rarely mends: for five minutes, and then
 * one request of all workers tries it. An account cools down when the upstream has limited it: until the upstream says, or for a
 * second, and twice as long each time until a request succeeds again.
 *
 * How it lies in the shared dictionary, and why. An account's state is one text of four numbers, absent if there is nothing to say.
 * The pool has a number that is raised after each change of a state; a worker keeps the states it has read until that number is
 * another one. So a request looks into the dictionary once. Who changes a state reads it first, whatever the number says: another
 * worker may have been killed between a change and raising the number.
 *
 * Requests that began before their account was refused or limited still end afterwards. A success of theirs ends neither, another
 * refusal or limit neither prolongs the rest nor doubles the time.
 *
 * Limits, confessed. Two workers that change the same account's state at the same moment may lose one of the changes; the upstream
 * will say it again to the next request. In a dictionary without room a worker knows only what it has found out itself.
 *
 * Times are seconds on a clock that only goes forward and is the same for all workers.
 */

import type { SharedStore } from "../metrics/aggregate";

interface Accounts {
  store: SharedStore;
  count: number;
  /** By place in the configuration, from 0. The weights are at least 1. */
  names: string[];
  weights: number[];
  /** Where the smooth weighted order stands, in this worker. */
  currents: number[];
  /** From when the account may be tried; 0: it does not rest. The time also is the rest's name, and the ticket of its trial. */
  rests: number[];
  /** From when it may be used again, for all that the limits say. */
  cools: number[];
  /** How often in a row it was limited without being told for how long. */
  levels: number[];
  /** When it was limited last, or `NEVER`. */
  limits: number[];
  /** From when on none of this matters. */
  calm: number;
  /** Seconds that a trial may take until its outcome is known. */
  trial_seconds: number;
  state_keys: string[];
  trial_keys: string[];
  version_key: string;
  /** The number that the states were read at; undefined if there was no room for one. */
  version: number | undefined;
}

type AccountState = "free" | "cooling" | "resting";

const REST_SECONDS = 300;
/** Cooling down without being told how long. */
const FIRST_COOL_SECONDS = 1;
const MOST_COOL_SECONDS = 60;
/** Whoever says longer is asked again after a day all the same. */
const MOST_TOLD_SECONDS = 86400;
/** A limit matters for the order for so long. */
const RECENT_SECONDS = 60;

const NEVER = -1;
const NOT_READ = -1;
const NO_TICKET = 0;

/**
 * A worker's view of a pool's accounts. `names` are what the states are kept under: they should change with an account's secret, so
 * that a new one does not rest for the old one's sake. `trial_seconds`: how long a request may take until its outcome is known.
 */
function new_accounts(store: SharedStore, pool: string, names: string[], weights: number[], trial_seconds: number): Accounts {
  const accounts: Accounts = {
    store, names, weights, trial_seconds, count: names.length,
    currents: [], rests: [], cools: [], levels: [], limits: [],
    calm: 0, state_keys: [], trial_keys: [], version_key: `accounts:${pool}`, version: NOT_READ,
  };
  for (const name of names) {
    accounts.currents.push(0);
    accounts.rests.push(0);
    accounts.cools.push(0);
    accounts.levels.push(0);
    accounts.limits.push(NEVER);
    accounts.state_keys.push(`accounts:${pool}:${name}`);
    accounts.trial_keys.push(`accounts:${pool}:${name}:trial`);
  }
  store.add(accounts.version_key, 0);
  return accounts;
}

/** Works out from when on all accounts are as if nothing had ever been. */
function find_calm(accounts: Accounts): void {
  const { rests, cools, limits } = accounts;
  let calm = 0;
  for (const index of $range(0, accounts.count - 1)) {
    if (rests[index] !== 0) {
      calm = math.huge;
    }
    calm = math.max(calm, cools[index]!);
    if (limits[index] !== NEVER) {
      calm = math.max(calm, limits[index]! + RECENT_SECONDS);
    }
  }
  accounts.calm = calm;
}

/** Reads one account's state, and leaves what follows from it to the caller. */
function take_in(accounts: Accounts, index: number): void {
  const text = accounts.store.get(accounts.state_keys[index]!) as string | undefined;
  const [rest, cool, level, limit] = string.match(text ?? "", "^(%S+) (%S+) (%S+) (%S+)$");
  accounts.rests[index] = tonumber(rest) ?? 0;
  accounts.cools[index] = tonumber(cool) ?? 0;
  accounts.levels[index] = tonumber(level) ?? 0;
  accounts.limits[index] = tonumber(limit) ?? NEVER;
}

/** Reads one account's state. */
function read_state(accounts: Accounts, index: number): void {
  take_in(accounts, index);
  find_calm(accounts);
}

/** Reads all states. `version`: the number that was in the dictionary before. */
function read_states(accounts: Accounts, version: number | undefined): void {
  for (const index of $range(0, accounts.count - 1)) {
    take_in(accounts, index);
  }
  find_calm(accounts);
  accounts.version = version;
}

/** Knows what other workers have found out. One look into the dictionary if there is nothing new. */
function refresh(accounts: Accounts): void {
  const version = accounts.store.get(accounts.version_key) as number | undefined;
  if (version !== accounts.version) {
    read_states(accounts, version);
  }
}

/** Tells the other workers one account's state, as this one has it. Returns whether there was room. */
function write_state(accounts: Accounts, index: number): boolean {
  const { store, rests, cools, levels, limits, state_keys, version_key } = accounts;
  find_calm(accounts);
  let reason: string | undefined;
  if (rests[index] === 0 && levels[index] === 0 && limits[index] === NEVER) {
    store.remove(state_keys[index]!);
  } else {
    const text = string.format("%.17g %.17g %d %.17g", rests[index]!, cools[index]!, levels[index]!, limits[index]!);
    reason = store.set(state_keys[index]!, text);
  }
  if (reason !== undefined) {
    return false;
  }
  const version = store.increase(version_key, 1);
  if (version === undefined) {
    store.add(version_key, 1);
  } else if (version - 1 === accounts.version) {
    // Nobody else has changed anything since.
    accounts.version = version;
  }
  return true;
}

/**
 * Takes the right to try an account whose rest is over, which one request of all workers gets; should it report nothing, another one
 * later. Returns the ticket to be given with the outcome, or 0: no right.
 */
function take_trial(accounts: Accounts, index: number, now: number): number {
  const { store, rests, trial_keys, trial_seconds } = accounts;
  read_state(accounts, index);
  const rest = rests[index]!;
  if (rest === 0 || now < rest) {
    return NO_TICKET;
  }
  const reason = store.add(trial_keys[index]!, rest, trial_seconds);
  if (reason === "exists") {
    return NO_TICKET;
  }
  if (reason !== undefined) {
    // No room for a trial must not keep the account out for ever. The state has its room: it rests for as long as this takes.
    rests[index] = now + trial_seconds;
    return write_state(accounts, index) ? rests[index]! : NO_TICKET;
  }
  read_state(accounts, index);
  if (rests[index] !== rest) {
    // The trial before this one has reported just now.
    store.remove(trial_keys[index]!);
    return NO_TICKET;
  }
  return rest;
}

/** Takes the trial of an account before its rest is over, if nobody has it. Returns the ticket, or 0. */
function claim_trial(accounts: Accounts, index: number): number {
  const rest = accounts.rests[index]!;
  const reason = rest !== 0 ? accounts.store.add(accounts.trial_keys[index]!, rest, accounts.trial_seconds) : "free";
  return reason === undefined ? rest : NO_TICKET;
}

/** Gives back a trial that came to no outcome that says anything of the account: another request may try it at once. */
function drop_trial(accounts: Accounts, index: number, ticket: number): void {
  if (ticket === NO_TICKET) {
    return;
  }
  read_state(accounts, index);
  if (accounts.rests[index] === ticket) {
    accounts.store.remove(accounts.trial_keys[index]!);
  }
}

/**
 * The upstream has refused the account: 401, 402 or 403. `ticket`: from the trial, or 0. Returns whether it rests from now on; false
 * if it did already.
 */
function note_refused(accounts: Accounts, index: number, now: number, ticket: number): boolean {
  read_state(accounts, index);
  const rest = accounts.rests[index]!;
  if (rest !== 0 && rest !== ticket) {
    return false;
  }
  accounts.rests[index] = now + REST_SECONDS;
  write_state(accounts, index);
  if (ticket !== NO_TICKET) {
    accounts.store.remove(accounts.trial_keys[index]!);
  }
  return true;
}

/**
 * The upstream has limited the account: 429. `seconds`: for so long, if it said, or −1. A limit of a trial ends the rest: the upstream
 * knows the account again. Returns whether the account cools down from now on; false if it did already, or rests.
 */
function note_limited(accounts: Accounts, index: number, now: number, seconds: number, ticket: number): boolean {
  const { rests, cools, levels, limits } = accounts;
  read_state(accounts, index);
  if (rests[index] !== 0 && rests[index] !== ticket) {
    return false;
  }
  const cooled_already = now < cools[index]!;
  rests[index] = 0;
  limits[index] = math.max(limits[index]!, now);
  if (seconds > 0) {
    cools[index] = math.max(cools[index]!, now + math.min(seconds, MOST_TOLD_SECONDS));
  } else if (!cooled_already) {
    levels[index] = levels[index]! + 1;
    cools[index] = now + math.min(MOST_COOL_SECONDS, FIRST_COOL_SECONDS * 2 ** (levels[index]! - 1));
  }
  write_state(accounts, index);
  if (ticket !== NO_TICKET) {
    accounts.store.remove(accounts.trial_keys[index]!);
  }
  return !cooled_already;
}

/**
 * The upstream has served the account. Costs nothing if there was nothing wrong with it. `began`: when that request went out; one that
 * did before the account was limited says nothing. `ticket`: from the trial, or 0. Returns whether that ends its rest.
 */
function note_accepted(accounts: Accounts, index: number, began: number, ticket: number): boolean {
  const { rests, cools, levels } = accounts;
  if (ticket === NO_TICKET && (levels[index] === 0 || began < cools[index]!)) {
    return false;
  }
  read_state(accounts, index);
  const ends_rest = ticket !== NO_TICKET && rests[index] === ticket;
  const ends_levels = (ends_rest || rests[index] === 0) && levels[index]! > 0 && began >= cools[index]!;
  if (!ends_rest && !ends_levels) {
    return false;
  }
  if (ends_rest) {
    rests[index] = 0;
  }
  if (ends_levels) {
    levels[index] = 0;
  }
  write_state(accounts, index);
  if (ends_rest) {
    accounts.store.remove(accounts.trial_keys[index]!);
  }
  return ends_rest;
}

/** How an account stands, for being looked at, and for how many seconds yet; 0 for one that rests and may be tried. */
function state_of(accounts: Accounts, index: number, now: number): LuaMultiReturn<[state: AccountState, seconds: number]> {
  refresh(accounts);
  if (accounts.rests[index] !== 0) {
    return $multi("resting", math.max(0, accounts.rests[index]! - now));
  }
  const left = accounts.cools[index]! - now;
  if (left > 0) {
    return $multi("cooling", left);
  }
  return $multi("free", 0);
}

export {
  NEVER, RECENT_SECONDS, claim_trial, drop_trial, new_accounts, note_accepted, note_limited, note_refused, refresh, state_of, take_trial,
};
export type { AccountState, Accounts };
