/**
 * Everyone the gateway knows: tenants, their API keys, and the issuers of tokens.
 *
 * A directory is built whole from the configuration and then only read, except for what it remembers (tokens
 * that were verified, keys that were fetched). A new configuration makes a new one. What is wrong with the
 * configuration is told all at once, each with its place in the file. Without tenants a directory knows
 * nobody, and every request is refused.
 */

import { address_list, contains_address } from "./address_list";
import { add_hashed_key, add_key, add_key_file, add_tenant, close_table, key_table } from "./api_key";
import type { KeyTable } from "./api_key";
import type { ApiKeyConfiguration, AuthConfiguration, IssuerConfiguration, TenantConfiguration } from "./config";
import { fetched_keys, fixed_keys, read_key_set } from "./jwks";
import type { KeyFetching, KeyReader, KeySource } from "./jwks";
import { ALGORITHMS, fewest_secret_bytes } from "./jwt";
import type { Issuer } from "./jwt";
import { model_access } from "./model_access";
import type { Tenant } from "./principal";
import { key_fits, read_public_key } from "./public_key";
import type { Algorithm, PublicKey } from "./public_key";
import { forget_tokens, token_cache } from "./token_cache";
import type { TokenCache } from "./token_cache";

const match = string.match;

/** Something wrong with the configuration. */
interface Problem {
  /** Where, such as `tenants[2].api_keys[0].sha256`. */
  path: string;
  message: string;
}

interface Directory {
  tenants: LuaTable<string, Tenant | undefined>;
  keys: KeyTable;
  issuers: LuaTable<string, Issuer | undefined>;
  /** Whether there is any issuer. */
  accepts_tokens: boolean;
  tokens: TokenCache;
  reader: KeyReader;
}

/** What building a directory needs from outside. */
interface DirectoryTools {
  reader: KeyReader;
  /** A file's whole text, or undefined and the reason. Paths are as the configuration has them. */
  read_file: (this: void, path: string) => LuaMultiReturn<[text: string | undefined, reason: string | undefined]>;
  /** Called between slices of long work. */
  pause: (this: void) => void;
  /** Undefined where nothing is ever fetched, as when a configuration is only checked. */
  fetching: KeyFetching | undefined;
  /** The directory that this one takes the place of: keys that were fetched are taken over. */
  previous: Directory | undefined;
}

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

function add_issuer(
  directory: Directory,
  configuration: IssuerConfiguration,
  path: string,
  tools: DirectoryTools,
  problems: Problem[],
): void {
  const algorithms = algorithms_of(configuration, path, problems);
  const audiences = new LuaTable<string, boolean>();
  const audience = configuration.audience;
  if (typeof audience === "string") {
    audiences.set(audience, true);
  } else {
    for (const one of audience) {
      audiences.set(one, true);
    }
  }
  if (directory.issuers.get(configuration.issuer) !== undefined) {
    problems.push({ path: `${path}.issuer`, message: "expected an issuer that no other entry has" });
  }
  directory.accepts_tokens = true;
  directory.issuers.set(configuration.issuer, {
    name: configuration.issuer,
    audiences,
    algorithms,
    secret: configuration.secret,
    keys: key_source(configuration, path, algorithms, directory, tools, problems),
    tenant_claim: configuration.tenant_claim ?? "tenant",
    leeway: configuration.leeway_seconds ?? 30,
  });
}

/** Adds one of a tenant's keys. Returns the place and the message of what is wrong with it. */
function add_configured_key(
  directory: Directory,
  owner: number,
  key: ApiKeyConfiguration,
  path: string,
): Problem | undefined {
  const secret = key.secret;
  let message: string | undefined;
  if (secret === undefined) {
    message = add_hashed_key(directory.keys, owner, key.id, key.sha256 ?? "");
  } else {
    const [sendable] = string.find(secret, "^[!-~]+$");
    if (sendable === undefined) {
      message = "expected a key of visible ASCII characters without spaces";
    } else {
      message = add_key(directory.keys, owner, key.id, directory.reader.cryptography.sha256(secret));
    }
  }
  if (message === undefined) {
    return undefined;
  }
  const [about_id] = string.find(message, "expected an id", 1, true);
  const member = about_id !== undefined ? "id" : secret === undefined ? "sha256" : "secret";
  return { path: `${path}.${member}`, message };
}

/** The test of a tenant's addresses; undefined if any address will do. */
function address_access(
  networks: readonly string[] | undefined,
  path: string,
  problems: Problem[],
): ((this: void, address: string) => boolean) | undefined {
  if (networks === undefined || networks.length === 0) {
    return undefined;
  }
  const [list, wrong] = address_list(networks);
  for (const entry of wrong) {
    problems.push({ path: `${path}.allow_ips[${entry.index}]`, message: entry.message });
  }
  return (address) => contains_address(list, address);
}

function new_tenant(
  directory: Directory,
  configuration: TenantConfiguration,
  path: string,
  tools: DirectoryTools,
  problems: Problem[],
): void {
  const tenant: Tenant = {
    id: configuration.id,
    allows_model: model_access(configuration.models ?? ["*"]),
    allows_address: address_access(configuration.allow_ips, path, problems),
    guard: undefined,
    scope: undefined,
    allowances: undefined,
  };
  if (directory.tenants.get(tenant.id) !== undefined) {
    problems.push({ path: `${path}.id`, message: "expected an id that no other tenant has" });
  }
  directory.tenants.set(tenant.id, tenant);

  const owner = add_tenant(directory.keys, tenant);
  const keys = configuration.api_keys ?? [];
  for (const index of $range(0, keys.length - 1)) {
    const problem = add_configured_key(directory, owner, keys[index]!, `${path}.api_keys[${index}]`);
    if (problem !== undefined) {
      problems.push(problem);
    }
    if (index % 1000 === 999) {
      tools.pause();
    }
  }
  const file = configuration.api_keys_file;
  if (file !== undefined) {
    const place = `${path}.api_keys_file`;
    const [text, reason] = tools.read_file(file);
    if (text === undefined) {
      problems.push({ path: place, message: `expected a file that can be read: ${reason}` });
    } else {
      for (const problem of add_key_file(directory.keys, owner, text, tools.pause)) {
        problems.push({ path: place, message: `${file}, ${problem}` });
      }
    }
  }
}

/**
 * Builds the directory of a configuration that has passed its schemas. Returns it with everything that is
 * wrong; if that is anything, the directory must not be used.
 */
function build_directory(
  auth: AuthConfiguration | undefined,
  tenants: readonly TenantConfiguration[],
  tools: DirectoryTools,
): LuaMultiReturn<[directory: Directory, problems: Problem[]]> {
  const problems: Problem[] = [];
  const directory: Directory = {
    tenants: new LuaTable<string, Tenant | undefined>(),
    keys: key_table(),
    issuers: new LuaTable<string, Issuer | undefined>(),
    accepts_tokens: false,
    tokens: token_cache(),
    reader: tools.reader,
  };
  const issuers = auth === undefined ? [] : (auth.jwt ?? []);
  for (const index of $range(0, issuers.length - 1)) {
    add_issuer(directory, issuers[index]!, `auth.jwt[${index}]`, tools, problems);
  }
  for (const index of $range(0, tenants.length - 1)) {
    new_tenant(directory, tenants[index]!, `tenants[${index}]`, tools, problems);
  }
  close_table(directory.keys);
  return $multi(directory, problems);
}

export { build_directory };
export type { Directory, DirectoryTools, Problem };
