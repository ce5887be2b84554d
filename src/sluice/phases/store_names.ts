/**
 * The addresses of the names by which Redis and its Sentinels are reached. Timers look them up, at the start and before they expire;
 * a request uses what is known, or goes without Redis. So a name server that is slow or silent costs no request anything.
 *
 * What was found is kept for the other workers and those to come in the dictionary that they share: a worker that begins, after
 * a reload or a crash, need not wait for a name server either. An address serves on for as long as no newer one is found.
 */

import { monotonic } from "../edge/clock";
import { written_addresses } from "../edge/dns";
import { due_names, known_address, look_up_name, new_names } from "../pool/names";
import { gateway } from "./gateway";
import type { SharedStore } from "../metrics/aggregate";
import type { Names, Recall } from "../pool/names";

interface StoreNames {
  names: Names;
  dictionary: SharedStore;
  recall: Recall;
}

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

function store_names(dictionary: SharedStore): StoreNames {
  return { names: new_names(), dictionary, recall: (host) => recall_addresses(dictionary, host) };
}

/** The address that is known for a host; or the reason why there is none. */
function store_address(store: StoreNames, host: string): LuaMultiReturn<[address: string | undefined, reason: string | undefined]> {
  return known_address(store.names, host, store.recall);
}

/** A timer's work: looks a name up. */
function look_up(this: void, premature: boolean, { names, dictionary }: StoreNames, host: string): void {
  if (premature) {
    return;
  }
  const [addresses, reason, fails_anew] = look_up_name(names, host, monotonic(), gateway().resolve);
  if (addresses !== undefined) {
    const text = addresses.join(" ");
    if (dictionary.get(key_of(host)) !== text) {
      dictionary.set(key_of(host), text);
    }
  } else if (fails_anew) {
    ngx.log(ngx.WARN, "sluice: ", host, ", where Redis or a Sentinel is, can't be looked up: ", reason);
  }
}

/** Every second, and at the start: looks up what is due, each name by itself. */
function tend_names(store: StoreNames): void {
  if (ngx.worker.exiting()) {
    return;
  }
  for (const host of due_names(store.names, monotonic())) {
    ngx.timer.at(0, look_up, store, host);
  }
}

export { store_address, store_names, tend_names };
export type { StoreNames };
