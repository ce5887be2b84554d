/**
 * Several simulated vLLM servers in one process. Its argument is one JSON object: `ports`, `control` (a port) and `engine` (EngineOptions).
 *
 * At the control port: `GET /totals` gives for each server its sums so far and whether it lives, `POST /kill?server=N` ends one.
 */

import { createServer } from "node:http";
import type { EngineOptions, Totals } from "./engine.ts";
import { startSimulatedServer } from "./server.ts";

interface Arguments {
  ports: number[];
  control: number;
  engine: EngineOptions;
}

/** What the control port tells of a server. */
type ServerTotals = Totals & { alive: boolean };

const { ports, control, engine } = JSON.parse(process.argv[2] ?? "{}") as Arguments;
const servers = await Promise.all(ports.map((port) => startSimulatedServer(engine, port)));
const killed = new Set<number>();

function totals(): ServerTotals[] {
  return servers.map((server, number) => ({ ...server.totals(), alive: !killed.has(number) }));
}

createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  if (url.pathname === "/kill") {
    const number = Number(url.searchParams.get("server"));
    killed.add(number);
    void servers[number]?.kill();
  }
  const body = JSON.stringify(totals());
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
}).listen(control, "127.0.0.1");

export type { ServerTotals };
