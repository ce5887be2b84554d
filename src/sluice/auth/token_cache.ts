/**
 * Tokens that were verified, so that the same one isn't verified twice.
 *
 * A token is remembered under its SHA-256 and until it expires; the token itself is not kept. There are two
 * halves of at most 5,000 entries: new ones go into the younger half; when that is full it becomes the older
 * one, and the older one is dropped. An entry found in the older half moves up. This keeps what is in use
 * nearly as well as a list ordered by use, and a hit is one look into a table. All is forgotten when the keys
 * that the tokens were verified with change.
 */

import * as ffi from "ffi";
import type { KeySource } from "./jwks";
import type { Principal } from "./principal";

const digest_string = ffi.string;

interface RememberedToken {
  principal: Principal;
  /** In seconds since 1970. */
  valid_until: number;
  /** Where the key came from that it was verified with. */
  keys: KeySource;
}

interface TokenCache {
  younger: LuaTable<string, RememberedToken | undefined>;
  older: LuaTable<string, RememberedToken | undefined>;
  younger_count: number;
  half: number;
}

const HALF = 5000;

/** Makes an empty cache of two halves; `half` is how many entries each holds. */
function token_cache(half?: number): TokenCache {
  return {
    younger: new LuaTable<string, RememberedToken | undefined>(),
    older: new LuaTable<string, RememberedToken | undefined>(),
    younger_count: 0,
    half: half ?? HALF,
  };
}

/** Remembers a token under the name that `token_name` gave. */
function remember_token(cache: TokenCache, name: string, token: RememberedToken): void {
  if (cache.younger_count >= cache.half) {
    cache.older = cache.younger;
    cache.younger = new LuaTable<string, RememberedToken | undefined>();
    cache.younger_count = 0;
  }
  cache.younger.set(name, token);
  cache.younger_count += 1;
}

/** The token of that name, if it is remembered and still valid at `now` (seconds since 1970). */
function recall_token(cache: TokenCache, name: string, now: number): RememberedToken | undefined {
  let token = cache.younger.get(name);
  if (token === undefined) {
    token = cache.older.get(name);
    if (token !== undefined && now < token.valid_until) {
      remember_token(cache, name, token);
    }
  }
  return token !== undefined && now < token.valid_until ? token : undefined;
}

/** Forgets all tokens. */
function forget_tokens(cache: TokenCache): void {
  cache.younger = new LuaTable<string, RememberedToken | undefined>();
  cache.older = new LuaTable<string, RememberedToken | undefined>();
  cache.younger_count = 0;
}

/** The name a token is remembered under: its SHA-256. */
function token_name(digest: Int32Buffer): string {
  const name = digest_string(digest, 32);
  return name;
}

export { forget_tokens, recall_token, remember_token, token_cache, token_name };
export type { RememberedToken, TokenCache };
