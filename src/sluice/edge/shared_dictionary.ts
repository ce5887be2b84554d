/**
 * A shared dictionary of nginx behind a narrow interface. Nothing here evicts: what finds no room is refused, with the
 * reason, so that flooding a dictionary can't reset what is in it.
 * https://github.com/openresty/lua-nginx-module#ngxshareddict
 *
 * An expired entry counts as absent.
 */

import type { SharedStore } from "../metrics/aggregate";
import type { ResponseStore } from "../responses/record";

/**
 * Opens the dictionary that nginx.conf declares under this name. Seconds that are not given mean for ever. Returns
 * `undefined` and a reason if nginx.conf has no such dictionary.
 */
function open_dictionary(name: string): LuaMultiReturn<[store: SharedStore | undefined, reason: string | undefined]> {
  const dictionary = ngx.shared.get(name);
  if (dictionary === undefined) return $multi(undefined, `nginx.conf has no lua_shared_dict ${name}`);
  const store: SharedStore = {
    get: (key) => {
      const [value] = dictionary.get(key);
      return value as string | number | undefined;
    },
    add: (key, value, seconds) => {
      const [done, reason] = dictionary.safe_add(key, value, seconds ?? 0);
      return done === true ? undefined : reason ?? "refused";
    },
    set: (key, value, seconds) => {
      const [done, reason] = dictionary.safe_set(key, value, seconds ?? 0);
      return done === true ? undefined : reason ?? "refused";
    },
    increase: (key, by) => {
      const [value] = dictionary.incr(key, by);
      return value;
    },
    remove: (key) => dictionary.delete(key),
  };
  return $multi(store, undefined);
}

/**
 * The same of a dictionary that only remembers: what finds no room takes that of what was not used for the longest time.
 * Seconds are those after which an entry is forgotten. Returns `undefined` if nginx.conf has no such dictionary.
 */
function open_memory(name: string, seconds: number): ResponseStore | undefined {
  const dictionary = ngx.shared.get(name);
  if (dictionary === undefined) return undefined;
  return {
    get: (key) => {
      const [value] = dictionary.get(key);
      return value as string | undefined;
    },
    set: (key, value) => {
      dictionary.set(key, value, seconds);
    },
    add: (key, value) => dictionary.add(key, value, seconds)[0] === true,
  };
}

export { open_dictionary, open_memory };
