/**
 * The addresses of the names by which endpoints, Redis and its Sentinels are reached. Timers look them up, at the start and before they
 * expire; a request uses what is known. So a name server that is slow or silent costs no request anything, unless it comes before a
 * name was ever found.
 *
 * What was found is kept for the other workers and those to come in the dictionary that they share: a worker that begins, after
 * a reload or a crash, need not wait for a name server either. An address serves on for as long as no newer one is found.
 */

import { monotonic } from "../edge/clock";
import { written_addresses } from "../edge/dns";
import { due_names, is_address, keep_names, known_address, look_up_name, needs_lookup, new_names, rest_address } from "../pool/names";
import { gateway } from "./gateway";
import type { SharedStore } from "../metrics/aggregate";
import type { Names, Recall } from "../pool/names";

interface KnownNames {
  names: Names;
  dictionary: SharedStore;
  recall: Recall;
  /** What is there, for the error log. */
  whose: string;
}

/** Names that are begun to be looked up in a second: others need timers too. */
const MOST_AT_ONCE = 50;

function key_of(host: string): string {
  return `address:${host}`;
}

/** What /etc/hosts says of a name, or what some worker has found. */
function recall_addresses(dictionary: SharedStore, host: string): string[] | undefined {
  const written = written_addresses(host);
  if (written !== undefined) {
    return written;
  }
  const text = dictionary.get(key_of(host)) as string | undefined;
  if (text === undefined) {
    return undefined;
  }
  const addresses: string[] = [];
  for (const [address] of string.gmatch(text, "%S+")) {
    addresses.push(address!);
  }
  return addresses;
}

/** Names that are looked up for as long as they are wanted. `whose`: what is reached by them, in words. */
function known_names(dictionary: SharedStore, whose: string): KnownNames {
  return { names: new_names(), dictionary, recall: (host) => recall_addresses(dictionary, host), whose };
}

/** The address that is known for a host; or the reason why there is none. Does not wait. */
function address_now(known: KnownNames, host: string): LuaMultiReturn<[address: string | undefined, reason: string | undefined]> {
  return known_address(known.names, host, known.recall, monotonic());
}

/** Looks a name up, and tells the other workers. */
function look_up(known: KnownNames, host: string): void {
  const { dictionary, names, whose } = known;
  const [addresses, reason, fails_anew] = look_up_name(names, host, monotonic, gateway().resolve);
  if (addresses !== undefined) {
    const text = addresses.join(" ");
    if (dictionary.get(key_of(host)) !== text) {
      dictionary.set(key_of(host), text);
    }
  } else if (fails_anew) {
    ngx.log(ngx.WARN, "sluice: ", host, ", where ", whose, " is, can't be looked up: ", reason);
  }
}

/** The address for a host; or the reason why there is none. Waits for a lookup if none is known: not in filters or the log phase. */
function find_address(known: KnownNames, host: string): LuaMultiReturn<[address: string | undefined, reason: string | undefined]> {
  const [address, reason] = address_now(known, host);
  if (address !== undefined || !needs_lookup(known.names, host, monotonic())) {
    return $multi(address, reason);
  }
  look_up(known, host);
  return address_now(known, host);
}

/** Nobody could be reached at that address: it is left out for a while. Returns whether the name has others. */
function leave_out(known: KnownNames, host: string, address: string): boolean {
  return rest_address(known.names, host, address, monotonic());
}

/** A timer's work. */
function look_up_due(this: void, premature: boolean, known: KnownNames, host: string): void {
  if (!premature) {
    look_up(known, host);
  }
}

/** Every second, and at the start: looks up what is due, each name by itself. */
function tend_names(known: KnownNames): void {
  if (ngx.worker.exiting()) {
    return;
  }
  let started = 0;
  for (const host of due_names(known.names, monotonic())) {
    if (started < MOST_AT_ONCE) {
      started += 1;
      ngx.timer.at(0, look_up_due, known, host);
    }
  }
}

/** Wants these names from now on, and no others. */
function want_names(known: KnownNames, hosts: LuaTable<string, boolean>): void {
  keep_names(known.names, hosts);
  for (const [host] of hosts) {
    if (!is_address(host)) {
      address_now(known, host);
    }
  }
}

export { address_now, find_address, known_names, leave_out, tend_names, want_names };
export type { KnownNames };
