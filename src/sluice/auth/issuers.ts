/**
 * The issuers of tokens, made of their configuration: which algorithms and types of token each may use, whom its tokens may be for and
 * may name, and where its keys come from.
 */

import type { IssuerConfiguration } from "./config";
import type { Directory, DirectoryTools, Problem } from "./directory";
import { fetched_keys, fixed_keys, read_key_set } from "./jwks";
import type { KeySource } from "./jwks";
import { ALGORITHMS, fewest_secret_bytes, media_type } from "./jwt";
import { key_fits, read_public_key } from "./public_key";
import type { Algorithm, PublicKey } from "./public_key";
import { forget_tokens } from "./token_cache";

const match = string.match;

/** The host of an address like `http://host:port/…`, and its scheme. */
function scheme_and_host(url: string): LuaMultiReturn<[scheme: string | undefined, host: string | undefined]> {
  const [scheme, authority] = match(url, "^(%a+)://([^/?#]+)");
  if (scheme === undefined || authority === undefined) {
    return $multi(undefined, undefined);
  }
  let [host] = match(authority, "^%[([%x:.]+)%]:?%d*$");
  if (host === undefined) {
    [host] = match(authority, "^([%w._-]+):?%d*$");
  }
  return $multi(string.lower(scheme), host);
}

/** Whether keys may be fetched from an address: https, or http that doesn't leave the machine. */
function may_fetch_from(url: string): boolean {
  const [scheme, host] = scheme_and_host(url);
  if (host === undefined) {
    return false;
  }
  const [loopback] = match(host, "^127%.%d+%.%d+%.%d+$");
  return scheme === "https" || (scheme === "http" && (loopback !== undefined || host === "::1" || host === "localhost"));
}

/** The algorithms of an issuer. Those for secrets and those for public keys don't mix. */
function algorithms_of(
  configuration: IssuerConfiguration,
  path: string,
  problems: Problem[],
): LuaTable<string, Algorithm | undefined> {
  const algorithms = new LuaTable<string, Algorithm | undefined>();
  const names = configuration.algorithms;
  for (const index of $range(0, names.length - 1)) {
    const algorithm = ALGORITHMS.get(names[index]!);
    const place = `${path}.algorithms[${index}]`;
    if (algorithm === undefined) {
      problems.push({ path: place, message: "expected a signature algorithm such as RS256" });
    } else if ((algorithm.kind === "HMAC") !== (configuration.secret !== undefined)) {
      const message =
        algorithm.kind === "HMAC" ? "expected an algorithm for public keys" : "expected HS256, HS384 or HS512 with a secret";
      problems.push({ path: place, message });
    } else {
      algorithms.set(algorithm.name, algorithm);
    }
  }
  return algorithms;
}

/** Reads an issuer's public keys from its file. */
function keys_from_file(
  configuration: IssuerConfiguration,
  path: string,
  algorithms: LuaTable<string, Algorithm | undefined>,
  tools: DirectoryTools,
  problems: Problem[],
): PublicKey[] {
  const is_set = configuration.jwks_file !== undefined;
  const place = `${path}.${is_set ? "jwks_file" : "public_key_file"}`;
  const file = configuration.jwks_file ?? configuration.public_key_file ?? "";
  const [text, reason] = tools.read_file(file);
  if (text === undefined) {
    problems.push({ path: place, message: `expected a file that can be read: ${reason}` });
    return [];
  }
  let keys: PublicKey[] = [];
  let wrong: string[] = [];
  if (is_set) {
    const [set, key_problems] = read_key_set(text, tools.reader);
    keys = set ?? [];
    wrong = key_problems;
  } else {
    const [key, key_problem] = read_public_key(text, tools.reader.cryptography);
    if (key !== undefined) {
      keys.push(key);
    } else {
      wrong.push(key_problem ?? "expected a public key");
    }
  }
  for (const message of wrong) {
    problems.push({ path: place, message });
  }
  let usable = false;
  for (const key of keys) {
    for (const [, algorithm] of algorithms) {
      usable = usable || (algorithm !== undefined && key_fits(key, algorithm));
    }
  }
  if (!usable && wrong.length === 0) {
    problems.push({ path: place, message: "expected a key for one of the algorithms" });
  }
  return keys;
}

/** Where an issuer's keys come from. */
function key_source(
  configuration: IssuerConfiguration,
  path: string,
  algorithms: LuaTable<string, Algorithm | undefined>,
  directory: Directory,
  tools: DirectoryTools,
  problems: Problem[],
): KeySource {
  const secret = configuration.secret;
  if (secret !== undefined) {
    for (const [name, algorithm] of algorithms) {
      const fewest = algorithm === undefined ? 0 : fewest_secret_bytes(algorithm);
      if (secret.length < fewest) {
        problems.push({ path: `${path}.secret`, message: `expected at least ${fewest} bytes for ${name}` });
      }
    }
    return fixed_keys([]);
  }
  const url = configuration.jwks_url;
  if (url === undefined) {
    return fixed_keys(keys_from_file(configuration, path, algorithms, tools, problems));
  }
  if (!may_fetch_from(url)) {
    problems.push({ path: `${path}.jwks_url`, message: "expected an https address, or http on a loopback address" });
  }
  const fetching = tools.fetching;
  if (fetching === undefined) {
    return fixed_keys([]);
  }
  const source = fetched_keys(url, tools.reader, fetching, () => forget_tokens(directory.tokens));
  const previous = tools.previous === undefined ? undefined : tools.previous.issuers.get(configuration.issuer);
  const old_remote = previous === undefined ? undefined : previous.keys.remote;
  if (previous !== undefined && old_remote !== undefined && source.remote !== undefined && old_remote.url === url) {
    source.keys = previous.keys.keys;
    source.refresh_at = previous.keys.refresh_at;
    source.remote.text = old_remote.text;
    source.remote.attempted_at = old_remote.attempted_at;
  }
  return source;
}

/** The set of a list's entries, each as `spell` writes it; undefined if there is no list. */
function set_of(
  entries: readonly string[] | undefined,
  spell: (this: void, entry: string) => string,
): LuaTable<string, boolean> | undefined {
  if (entries === undefined) {
    return undefined;
  }
  const set = new LuaTable<string, boolean>();
  for (const entry of entries) {
    set.set(spell(entry), true);
  }
  return set;
}

function as_written(this: void, entry: string): string {
  return entry;
}

/** Adds an issuer of the configuration to the directory; what is wrong with it goes to `problems`. */
function add_issuer(
  directory: Directory,
  configuration: IssuerConfiguration,
  path: string,
  tools: DirectoryTools,
  problems: Problem[],
): void {
  const algorithms = algorithms_of(configuration, path, problems);
  const { audience } = configuration;
  if (directory.issuers.get(configuration.issuer) !== undefined) {
    problems.push({ path: `${path}.issuer`, message: "expected an issuer that no other entry has" });
  }
  directory.accepts_tokens = true;
  directory.issuers.set(configuration.issuer, {
    name: configuration.issuer,
    audiences: set_of(typeof audience === "string" ? [audience] : audience, as_written)!,
    algorithms,
    secret: configuration.secret,
    keys: key_source(configuration, path, algorithms, directory, tools, problems),
    tenant_claim: configuration.tenant_claim ?? "tenant",
    tenants: set_of(configuration.tenants, as_written),
    types: set_of(configuration.typ, media_type),
    leeway: configuration.leeway_seconds ?? 30,
  });
}

export { add_issuer };
