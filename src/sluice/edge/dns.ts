/**
 * Looks names up: first in /etc/hosts, then with the name servers of /etc/resolv.conf, over the DNS library that comes
 * with OpenResty (`resty.dns.resolver`; Debian names it `nginx.dns.resolver`). Both files are read once per process.
 *
 * Limits: search domains are not tried, a name is taken as it is written. IPv6 addresses are asked for only if
 * there is no IPv4 one.
 */

import { forget_system_error } from "./own_trouble";

const match = string.match;

interface Resolution {
  library: DnsLibrary | undefined;
  servers: string[];
  hosts: LuaTable<string, string[]>;
}

const HOSTS_SECONDS = 60;

function lines_of(path: string): string[] {
  const [file] = io.open(path, "r");
  if (file === undefined) {
    return [];
  }
  const text = file.read("*a" as never) as unknown as string;
  file.close();
  const lines: string[] = [];
  for (const [line] of string.gmatch(text, "[^\r\n]+")) {
    const [clean] = match(line!, "^([^#]*)");
    lines.push(clean ?? "");
  }
  return lines;
}

function read_hosts(): LuaTable<string, string[]> {
  const hosts = new LuaTable<string, string[]>();
  for (const line of lines_of("/etc/hosts")) {
    const [address, names] = match(line, "^%s*(%S+)%s+(.*)$");
    for (const [name] of string.gmatch(names ?? "", "%S+")) {
      const known = hosts.get(string.lower(name!)) ?? [];
      const written = string.find(address ?? "", ":", 1, true)[0] !== undefined ? `[${address}]` : (address ?? "");
      if (string.sub(written, 1, 1) === "[") {
        known.push(written);
      } else {
        table.insert(known, 1, written);
      }
      hosts.set(string.lower(name!), known);
    }
  }
  return hosts;
}

function read_servers(): string[] {
  const servers: string[] = [];
  for (const line of lines_of("/etc/resolv.conf")) {
    const [server] = match(line, "^%s*nameserver%s+(%S+)");
    if (server !== undefined) {
      servers.push(server);
    }
  }
  return servers;
}

/** The DNS library under the name it has here; undefined if it is not installed. */
function find_library(): DnsLibrary | undefined {
  for (const name of ["resty.dns.resolver", "nginx.dns.resolver"]) {
    const [found, library] = pcall(require, name);
    if (found) {
      return library as DnsLibrary;
    }
  }
  return undefined;
}

/** Reads what looking names up needs. */
function prepare_resolution(): Resolution {
  return { library: find_library(), servers: read_servers(), hosts: read_hosts() };
}

function query(
  resolver: DnsResolver,
  name: string,
  kind: number,
): LuaMultiReturn<[addresses: string[], seconds: number, reason: string | undefined]> {
  const [answers, reason] = resolver.query(name, { qtype: kind });
  if (answers === undefined) {
    return $multi([], 0, reason);
  }
  if (answers.errcode !== undefined) {
    return $multi([], 0, answers.errstr);
  }
  const addresses: string[] = [];
  let seconds = math.huge;
  for (const answer of answers) {
    if (answer.ttl !== undefined && answer.ttl < seconds) {
      seconds = answer.ttl;
    }
    if (answer.type === kind && answer.address !== undefined) {
      addresses.push(string.find(answer.address, ":", 1, true)[0] !== undefined ? `[${answer.address}]` : answer.address);
    }
  }
  return $multi(addresses, seconds, undefined);
}

let prepared: Resolution | undefined;

/** The resolution of this process; prepared at the first use, which should be in init. */
function resolution(): Resolution {
  if (prepared === undefined) {
    prepared = prepare_resolution();
  }
  return prepared;
}

/** The addresses that /etc/hosts has for a name. Does not wait. */
function written_addresses(name: string): string[] | undefined {
  return resolution().hosts.get(string.lower(name)) as string[] | undefined;
}

/** A name's addresses and for how many seconds they hold; or why there are none. Waits; not in filters or the log phase. */
function resolve_name(
  name: string,
): LuaMultiReturn<[addresses: string[] | undefined, seconds: number, reason: string | undefined]> {
  const { library, servers } = resolution();
  const local = written_addresses(name);
  if (local !== undefined) {
    return $multi(local, HOSTS_SECONDS, undefined);
  }
  if (library === undefined) {
    return $multi(undefined, 0, "no DNS library is installed");
  }
  if (servers.length === 0) {
    return $multi(undefined, 0, "/etc/resolv.conf names no server");
  }
  forget_system_error();
  const [resolver, reason] = library.new({ nameservers: servers, retrans: 2, timeout: 1500 });
  if (resolver === undefined) {
    return $multi(undefined, 0, reason);
  }
  const [addresses, seconds, problem] = query(resolver, name, library.TYPE_A);
  if (addresses.length > 0) {
    return $multi(addresses, seconds, undefined);
  }
  const [wide_addresses, wide_seconds] = query(resolver, name, library.TYPE_AAAA);
  if (wide_addresses.length > 0) {
    return $multi(wide_addresses, wide_seconds, undefined);
  }
  return $multi(undefined, 0, problem ?? "no such name");
}

export { resolution, resolve_name, written_addresses };
