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
import type { ApiKeyConfiguration, AuthConfiguration, TenantConfiguration } from "./config";
import { add_issuer } from "./issuers";
import type { KeyFetching, KeyReader } from "./jwks";
import type { Issuer } from "./jwt";
import { model_access } from "./model_access";
import type { Tenant } from "./principal";
import { token_cache } from "./token_cache";
import type { TokenCache } from "./token_cache";

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
    reserves_usual: false,
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
