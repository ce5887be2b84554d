/** What no single member of a pool can tell: whether its headers can be sent, and what Azure's form of the API asks for. */

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

/** Checks what goes with Azure's API alone, and the bases of its endpoints. */
function check_azure(pool: PoolConfiguration, path: string, report: Report): void {
  if (pool.api !== "azure") {
    if (pool.api_version !== undefined && (pool.api as string | undefined) !== undefined) {
      report(`${path}.api_version`, `goes with api: azure, not with ${pool.api}`);
    }
    return;
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

export { check_azure, check_headers };
