/** Endpoints to balance between, and what balances between them: the gateway, or plain nginx. */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { EngineOptions } from "../spec/support/mock/vllm/engine.ts";
import type { ServerTotals } from "../spec/support/mock/vllm/main.ts";
import { GATEWAY_CORE, OTHER_CORE } from "./machine.ts";
import { free_ports, own_directory, start, wait_for } from "./processes.ts";
import { API_KEY, NGINX, start_nginx } from "./servers.ts";

/** Several simulated vLLM servers, in one process on the client's core. */
interface Endpoints {
  ports: number[];
  /** What each has done so far. */
  totals(): Promise<ServerTotals[]>;
  kill(number: number): Promise<void>;
  stop(): void;
}

interface Balancer {
  base: string;
  stop(): void;
}

/** What plain nginx can do, by the names of the rows. */
const NGINX_BALANCES: Record<string, string> = {
  nginx_least_conn: "least_conn;",
  nginx_hash: "hash $http_x_session consistent;",
};

async function start_endpoints(name: string, count: number, engine: EngineOptions): Promise<Endpoints> {
  const [control = 0, ...ports] = await free_ports(count + 1);
  const program = resolve("dist/spec/support/mock/vllm/main.js");
  const child = start(name, OTHER_CORE, [process.execPath, program, JSON.stringify({ ports, control, engine })], {});
  const base = `http://127.0.0.1:${control}`;
  await wait_for(name, child, base);
  return {
    ports,
    totals: async () => (await (await fetch(`${base}/totals`)).json()) as ServerTotals[],
    kill: async (number) => {
      await fetch(`${base}/kill?server=${number}`, { method: "POST" });
    },
    stop: () => {
      child.kill("SIGTERM");
    },
  };
}

async function start_plain_nginx(name: string, balance: string, ports: number[]): Promise<Balancer> {
  const [port = 0] = await free_ports(1);
  const { child } = await start_nginx(name, GATEWAY_CORE, "balancing.conf", `http://127.0.0.1:${port}/ready`, {
    BALANCE: balance,
    SERVERS: ports.map((each) => `server 127.0.0.1:${each};`).join(" "),
    PORT: port,
  });
  return {
    base: `http://127.0.0.1:${port}`,
    stop: () => {
      child.kill("SIGTERM");
    },
  };
}

async function start_balancing_gateway(name: string, balance: string, ports: number[]): Promise<Balancer> {
  const [http = 0, https = 0, admin = 0] = await free_ports(3);
  const path = own_directory(name);
  const config = join(path, "sluice.yaml");
  writeFileSync(config, JSON.stringify({
    tenants: [{ id: "bench", api_keys: [{ id: "load", secret: API_KEY }], models: ["*"] }],
    models: [{ name: "simulated", pool: "simulated" }],
    pools: [{ name: "simulated", balance, endpoints: ports.map((port) => ({ url: `http://127.0.0.1:${port}` })) }],
  }));
  const child = start(name, GATEWAY_CORE, [resolve(process.env.GATEWAY_LAUNCH ?? "nginx/launch")], {
    NGINX,
    CONFIG: config,
    LISTEN: "127.0.0.1",
    HTTP_PORT: String(http),
    HTTPS_PORT: String(https),
    ADMIN_PORT: String(admin),
    RUN_DIR: join(path, "run"),
    WORKERS: "2",
  });
  await wait_for(name, child, `http://127.0.0.1:${admin}/healthz`);
  return {
    base: `http://127.0.0.1:${http}`,
    stop: () => {
      child.kill("SIGTERM");
    },
  };
}

/** Starts what a row is about: one of nginx's ways, or one of the gateway's, by its name in the configuration. */
async function start_balancer(balance: string, ports: number[]): Promise<Balancer> {
  const name = `balancing-${balance}`;
  const of_nginx = NGINX_BALANCES[balance];
  return of_nginx === undefined ? start_balancing_gateway(name, balance, ports) : start_plain_nginx(name, of_nginx, ports);
}

export { NGINX_BALANCES, start_balancer, start_endpoints, type Balancer, type Endpoints };
