/** What no single member of a pool can tell: whether its headers can be sent, and what Azure's form of the API asks for. */

import { forward_fault } from "../pool/forwarded";
import { name_fault } from "../pool/headers";
import type { PoolConfiguration } from "../pool/config";
import { split_url } from "./format";
import { member_path } from "./problem";

type Report = (this: void, path: string, message: string) => void;

/** Checks the names of the headers that a pool sends. Their values have been checked by themselves. */
function check_headers(pool: PoolConfiguration, path: string, report: Report): void {
  const names: string[] = [];
  for (const [name] of pairs((pool.headers ?? {}) as unknown as LuaTable<string, string>)) {
    names.push(name);
  }
  table.sort(names);
  const known = new LuaTable<string, string>();
  for (const name of names) {
    const fault = name_fault(name);
    const before = known.get(string.lower(name)) as string | undefined;
    if (fault !== undefined) {
      report(member_path(`${path}.headers`, name), fault);
    } else if (before !== undefined) {
      report(member_path(`${path}.headers`, name), `expected another name, found that of ${before}`);
    }
    known.set(string.lower(name), name);
  }
}

/** The headers that `forward_client_ip` sets. */
const ADDRESS_HEADERS = ["x-real-ip", "x-forwarded-for"];

/** Checks the client's headers that go on: each may, and nothing else sets it. */
function check_forwarding(pool: PoolConfiguration, path: string, report: Report): void {
  const taken = new LuaTable<string, string>();
  for (const [name] of pairs((pool.headers ?? {}) as unknown as LuaTable<string, string>)) {
    taken.set(string.lower(name), member_path(`${path}.headers`, name));
  }
  let index = 0;
  for (const name of pool.forward_headers ?? []) {
    // An item that is wrong in itself is no text here.
    if (typeof name === "string") {
      const here = `${path}.forward_headers[${index}]`;
      const fault = forward_fault(name);
      const before = taken.get(string.lower(name)) as string | undefined;
      if (fault !== undefined) {
        report(here, fault);
      } else if (before !== undefined) {
        report(here, `expected another name, found that of ${before}`);
      } else {
        taken.set(string.lower(name), here);
      }
    }
    index += 1;
  }
  for (const name of ADDRESS_HEADERS) {
    if (pool.forward_client_ip === true && taken.has(name)) {
      report(`${path}.forward_client_ip`, `expected no ${name} among the pool's headers, since this sets it`);
    }
  }
}

/** Checks that accounts have names of their own, in all of the pool, and that the pool's serve somebody. */
function check_keys(pool: PoolConfiguration, path: string, report: Report): void {
  const first = new LuaTable<string, string>();
  const add = (keys: PoolConfiguration["keys"] | undefined, here: string): void => {
    let index = 0;
    for (const key of keys ?? []) {
      const id = key.id as string | undefined;
      const before = id !== undefined ? (first.get(id) as string | undefined) : undefined;
      if (before !== undefined) {
        report(`${here}[${index}].id`, `expected another id, found the one of ${before}`);
      } else if (id !== undefined) {
        first.set(id, `${here}[${index}]`);
      }
      index += 1;
    }
  };
  add(pool.keys, `${path}.keys`);
  let index = 0;
  let without = 0;
  for (const endpoint of pool.endpoints ?? []) {
    add(endpoint.keys, `${path}.endpoints[${index}].keys`);
    without += endpoint.keys === undefined ? 1 : 0;
    index += 1;
  }
  if (index > 0 && without === 0 && ((pool.keys as PoolConfiguration["keys"] | undefined) ?? []).length > 0) {
    report(`${path}.keys`, "serve nobody, since each endpoint has keys of its own");
  }
}

/**
 * How the version of an API looks at the end of a path: `/v4`, `/v1beta`, `/v1.1`; Gemini's has the name of the API behind it.
 */
const VERSIONS = ["/v%d%d?$", "/v%d%d?%a+%d*$", "/v%d%d?%.%d+$", "/v%d%d?%a+%d*/openai$"];

/**
 * Tells of an endpoint's URL that ends in a version, as the documentation of providers gives it, to which another one would be
 * added.
 */
function check_version(pool: PoolConfiguration, base: string, path: string, report: Report): void {
  const { base_path } = pool;
  for (const pattern of VERSIONS) {
    const [version] = string.match(base, pattern);
    if (version !== undefined && base_path === undefined) {
      const other = version === "/v1" ? "" : `; put ${version} into the pool's base_path, which stands in its place`;
      report(path, `expected a base without ${version} at its end; the API's path, which begins with /v1, is added to it${other}`);
    } else if (version !== undefined && base_path !== "") {
      report(path, `expected a base without ${version} at its end; the pool's base_path, which is ${base_path}, is added to it`);
    }
  }
}

/** Checks what goes with Azure's API alone, and the bases of its endpoints. */
function check_azure(pool: PoolConfiguration, path: string, report: Report): void {
  if (pool.api !== "azure") {
    if (pool.api_version !== undefined && (pool.api as string | undefined) !== undefined) {
      report(`${path}.api_version`, `goes with api: azure, not with ${pool.api}`);
    }
    return;
  }
  if (pool.base_path !== undefined) {
    report(`${path}.base_path`, "goes with other APIs; the paths of azure follow from api_version");
  }
  let index = 0;
  for (const endpoint of pool.endpoints ?? []) {
    const [parts] = split_url((endpoint.url as string | undefined) ?? "");
    if (parts !== undefined && string.find(parts.path, "/openai$")[0] !== undefined) {
      report(`${path}.endpoints[${index}].url`, "expected a base without /openai at its end; it is added to it");
    }
    index += 1;
  }
}

export { check_azure, check_forwarding, check_headers, check_keys, check_version };
