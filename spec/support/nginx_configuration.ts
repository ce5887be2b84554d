/** Changes the nginx configuration of a gateway that runs, as an operator would. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Gateway } from "./gateway.ts";
import type { NameServer } from "./name_server.ts";
import { eventually } from "./processes.ts";

/** Puts `by` into the place of the first match in one of its files, and waits until only new workers run. */
async function editNginx(gateway: Gateway, file: "http.conf" | "server.conf" | "nginx.conf", match: RegExp, by: string): Promise<void> {
  const path = join(gateway.runDir, "conf", file);
  const text = readFileSync(path, "utf8");
  if (!match.test(text)) throw new Error(`${file} has nothing like ${String(match)}`);
  writeFileSync(path, text.replace(match, by));
  await reloadNginx(gateway);
}

async function reloadNginx(gateway: Gateway): Promise<void> {
  const before = gateway.workers();
  gateway.reload();
  await eventually("new workers are there, and no old ones", () => {
    const now = gateway.workers();
    return now.length === before.length && !now.some((worker) => before.includes(worker));
  });
}

/** Has the gateway ask this name server, in place of the machine's, and begin anew. */
async function askNames(gateway: Gateway, names: NameServer): Promise<void> {
  const ours = `require("sluice.edge.dns").resolution().servers = { { "127.0.0.1", ${names.port} } }`;
  if (readFileSync(join(gateway.runDir, "conf/http.conf"), "utf8").includes(ours)) await reloadNginx(gateway);
  else await editNginx(gateway, "http.conf", /(init_by_lua_block \{ sluice = [^\n]*) \}\n/, `$1 ${ours} }\n`);
}

export { askNames, editNginx };
