/**
 * What the gateway asks over TLS by itself is verified, in a fresh worker too: nothing is sent to a server whose certificate is
 * another authority's, or another name's. What clients' requests are sent to is another matter: upstream_tls.test.ts.
 */

import { execFileSync } from "node:child_process";
import { createSign, generateKeyPairSync } from "node:crypto";
import { copyFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Certificate, makeAuthority, makeCertificate } from "../support/certificates.ts";
import { CLIENT_KEY } from "../support/configuration.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { editNginx } from "../support/nginx_configuration.ts";
import { eventually, removeDirectory, ROOT, temporaryDirectory } from "../support/processes.ts";
import { type Redis, startRedis } from "../support/redis.ts";

const KINDS = ["health", "scrape", "keys", "alerts"] as const;
type Kind = (typeof KINDS)[number];
const SLOW = 20000;

const signing = generateKeyPairSync("rsa", { modulusLength: 2048 });
const KEY_SET = JSON.stringify({ keys: [{ ...signing.publicKey.export({ format: "jwk" }), kid: "one", alg: "RS256", use: "sig" }] });

let directory: string;
let trusted: Certificate;
let stranger: Certificate;
/** Certificates by what is wrong with them. */
let certificates: Record<"nothing" | "authority" | "name", Certificate>;
let mock: Mock;
const stopping: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  directory = temporaryDirectory("sluice-verified-tls");
  trusted = makeAuthority(directory, "trusted");
  stranger = makeAuthority(directory, "stranger");
  certificates = {
    nothing: makeCertificate(directory, "right", ["DNS:localhost"], trusted),
    authority: makeCertificate(directory, "impostor", ["DNS:localhost"], stranger),
    name: makeCertificate(directory, "elsewhere", ["DNS:elsewhere.example"], trusted),
  };
  mock = await startMock();
});

afterEach(async () => {
  // Gateways were started last.
  for (const each of stopping.splice(0).reverse()) await each.stop();
});

afterAll(async () => {
  await mock?.stop();
  removeDirectory(directory);
});

interface Watched {
  url: string;
  /** How often somebody connected, and what was asked. */
  connections: number;
  asked: string[];
}

/** A server that says yes to everything. */
async function startServer(certificate: Certificate): Promise<Watched> {
  const watched: Watched = { url: "", connections: 0, asked: [] };
  const server: Server = createServer({ cert: readFileSync(certificate.certificate), key: readFileSync(certificate.key) }, (request, response) => {
    watched.asked.push(`${request.method} ${request.url}`);
    response.end(request.url === "/keys" ? KEY_SET : "vllm:num_requests_waiting 3\nvllm:num_requests_running 1\n");
  });
  server.on("connection", () => (watched.connections += 1));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  watched.url = `https://localhost:${(server.address() as AddressInfo).port}`;
  stopping.push({
    stop: () => new Promise((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
    }),
  });
  return watched;
}

function token(): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const signed = `${encode({ alg: "RS256", kid: "one" })}.${encode({ iss: "https://id", aud: "sluice", tenant: "acme", sub: "she", exp: now + 3600 })}`;
  return `${signed}.${createSign("sha256").update(signed).sign(signing.privateKey).toString("base64url")}`;
}

async function begin(more: object, env: Record<string, string> = {}): Promise<Gateway> {
  const config = {
    tenants: [{
      id: "acme",
      api_keys: [{ id: "web", secret: CLIENT_KEY }],
      limits: { tokens_per_day: 1000000000 },
      budget: { usd: 0.0001, period: "month", alert_at: [0.1] },
    }],
    models: [{ name: "chat", pool: "mock", upstream_model: "mock;prompt=10;completion=20", max_output_tokens: 100, price: { input: 0.4, output: 1.2 } }],
    pools: [{ name: "mock", endpoints: [{ url: mock.url }] }],
    ...more,
  };
  const gateway = await startGateway({ config: JSON.stringify(config), workers: 1, env: { CA_FILE: trusted.certificate, ...env } });
  stopping.push(gateway);
  return gateway;
}

function ask(gateway: Gateway, key = CLIENT_KEY): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }] });
  return send(gateway.port, { path: "/v1/chat/completions", body, key });
}

/** A gateway with a server of each kind, all with the same certificate. */
async function beginWatched(certificate: Certificate): Promise<{ gateway: Gateway; servers: Record<Kind, Watched> }> {
  const [health, scrape, keys, alerts] = await Promise.all([startServer(certificate), startServer(certificate), startServer(certificate), startServer(certificate)]);
  const gateway = await begin({
    auth: { jwt: [{ issuer: "https://id", audience: "sluice", algorithms: ["RS256"], jwks_url: `${keys.url}/keys` }] },
    pools: [
      { name: "mock", endpoints: [{ url: mock.url }] },
      { name: "healthy", endpoints: [{ url: health.url }], health: { interval: "200ms", timeout: "2s", healthy: 1, unhealthy: 1 } },
      { name: "scraped", endpoints: [{ url: scrape.url }], scrape: { engine: "vllm", interval: "200ms" } },
    ],
    models: ["mock", "healthy", "scraped"].map((pool) => ({
      name: pool === "mock" ? "chat" : pool, pool, upstream_model: "mock;prompt=10;completion=20", max_output_tokens: 100, price: { input: 0.4, output: 1.2 },
    })),
    alerts: { webhook: `${alerts.url}/alert` },
  });
  return { gateway, servers: { health, scrape, keys, alerts } };
}

describe("what a gateway asks over TLS", () => {
  it("is answered by servers with the right certificate, also in a new worker after a crash and after a reload", async () => {
    const { gateway, servers } = await beginWatched(certificates.nothing);
    // Before any client has asked anything.
    for (const [kind, request] of [["health", "GET /health"], ["scrape", "GET /metrics"]] as const) {
      await eventually(kind, () => servers[kind].asked.includes(request), SLOW);
    }
    expect((await ask(gateway, token())).status).toBe(200);
    expect(servers.keys.asked).toEqual(["GET /keys"]);
    await eventually("the alert", () => servers.alerts.asked.includes("POST /alert"), SLOW);

    for (const renew of ["crash", "reload"]) {
      const [worker] = gateway.workers();
      if (renew === "crash") process.kill(worker!, "SIGKILL");
      else gateway.reload();
      await eventually("another worker", () => gateway.workers().length === 1 && gateway.workers()[0] !== worker, SLOW);
      const from = { health: servers.health.asked.length, scrape: servers.scrape.asked.length, keys: servers.keys.asked.length };
      for (const kind of ["health", "scrape"] as const) await eventually(kind, () => servers[kind].asked.length > from[kind] + 2, SLOW);
      // A key set is each worker's own.
      await eventually("an answer", async () => (await ask(gateway, token()).catch(() => undefined))?.status === 200, SLOW);
      expect(servers.keys.asked.length).toBe(from.keys + 1);
    }
    expect(gateway.errorLog()).not.toContain("lua_ssl_trusted_certificate");
  });

  it.each(["authority", "name"] as const)("is not sent to servers whose certificate has another %s", async (wrong) => {
    const { gateway, servers } = await beginWatched(certificates[wrong]);
    for (const kind of ["health", "scrape"] as const) await eventually(kind, () => servers[kind].connections > 2, SLOW);
    expect((await ask(gateway, token())).status).toBe(401);
    expect((await ask(gateway)).status).toBe(200);
    for (const kind of ["keys", "alerts"] as const) await eventually(kind, () => servers[kind].connections > 0, SLOW);
    // The alert's second try comes a second after the first.
    await eventually("the alert again", () => servers.alerts.connections > 1, SLOW);
    for (const kind of KINDS) expect(servers[kind].asked, kind).toEqual([]);
    expect(gateway.errorLog()).toMatch(/keys.*certificate/);
  });
});

describe("a Redis behind rediss://", () => {
  /** Certificate, key and authority under names of their own, so that others can take their places. */
  function place(certificate: Certificate, authority: Certificate): { certificate: string; key: string; authority: string } {
    const files = { certificate: join(directory, "redis.pem"), key: join(directory, "redis.key"), authority: join(directory, "redis-authority.pem") };
    copyFileSync(certificate.certificate, files.certificate);
    copyFileSync(certificate.key, files.key);
    copyFileSync(authority.certificate, files.authority);
    return files;
  }

  async function beginRedis(wrong: keyof typeof certificates): Promise<Redis> {
    const server = await startRedis({ tls: place(certificates[wrong], wrong === "authority" ? stranger : trusted) });
    stopping.push(server);
    return server;
  }

  function store(server: Redis, on_loss: string): object {
    return { store: { kind: "redis", redis: { url: `rediss://localhost:${server.port}`, on_loss, timeout_ms: 2000, nodes: 1, lease_seconds: 60 } } };
  }

  async function waiting(gateway: Gateway): Promise<number> {
    const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as { store: { settlements_waiting: number } };
    return status.store.settlements_waiting;
  }

  it("admits requests if its certificate is right", async () => {
    const server = await beginRedis("nothing");
    const gateway = await begin(store(server, "deny"));
    await eventually("an answer", async () => (await ask(gateway)).status === 200, SLOW);
    await eventually("it is settled", async () => (await waiting(gateway)) === 0 && server.command("DBSIZE") !== "0", SLOW);
  });

  it.each(["authority", "name"] as const)("admits none, and is told nothing, if its certificate has another %s", async (wrong) => {
    const server = await beginRedis(wrong);
    const gateway = await begin(store(server, "deny"));
    for (let round = 0; round < 4; round++) expect((await ask(gateway)).status).toBe(503);
    const told = await eventually("it is lost", () => {
      const lines = gateway.errorLog().split("\n").filter((line) => line.includes("sluice: Redis"));
      return lines.some((line) => line.includes("is lost")) ? lines : undefined;
    }, SLOW);
    for (const line of told) expect(line).toMatch(/certificate/);
    expect(server.command("DBSIZE")).toBe("0");
    expect(server.command("INFO", "commandstats")).not.toContain("cmdstat_evalsha");
  });

  it.each(["authority", "name"] as const)("is told what was used once its certificate is right, and not while it has another %s", async (wrong) => {
    const server = await beginRedis(wrong);
    const gateway = await begin(store(server, "allow"));
    expect((await ask(gateway)).status).toBe(200);
    await eventually("it waits", async () => (await waiting(gateway)) === 1, SLOW);
    expect(server.command("DBSIZE")).toBe("0");
    await server.kill();
    place(certificates.nothing, trusted);
    await server.up();
    await eventually("it is settled", async () => (await waiting(gateway)) === 0 && server.command("DBSIZE") !== "0", SLOW);
  });
});

describe("the trusted certificates", () => {
  it("are those of lua_ssl_trusted_certificate, where nginx.conf has it at http level", async () => {
    const server = await startServer(certificates.nothing);
    const gateway = await begin({
      pools: [{ name: "mock", endpoints: [{ url: mock.url }] }, { name: "healthy", endpoints: [{ url: server.url }], health: { interval: "200ms", timeout: "2s" } }],
    });
    await eventually("health", () => server.asked.length > 0, SLOW);
    await editNginx(gateway, "http.conf", /^lua_socket_log_errors off;\n/m, `$&lua_ssl_trusted_certificate ${stranger.certificate};\n`);
    const [connections, asked] = [server.connections, server.asked.length];
    await eventually("tries", () => server.connections > connections + 2, SLOW);
    expect(server.asked.length).toBe(asked);
  });

  it.each([
    ["isn't there", () => join(directory, "none.pem"), "no certificates can be read from it"],
    ["holds no certificate", () => certificates.nothing.key, "no certificates can be read from it"],
    ["is named by a relative path", () => "trusted.pem", "expected an absolute path"],
  ])("refuse a start if their file %s", async (_, file, reason) => {
    const gateway = await begin({});
    const workers = gateway.workers();
    const conf = join(gateway.runDir, "conf/http.conf");
    writeFileSync(conf, readFileSync(conf, "utf8").replace(/\.start\("[^"]*"/, `.start("${file()}"`));
    gateway.reload();
    await eventually("the refusal", () => gateway.errorLog().includes(`sluice: trusted certificates: ${file()}: ${reason}`), SLOW);
    expect(gateway.workers()).toEqual(workers);
  });

  it("are not read again for each location of other sites", () => {
    const conf = join(directory, "many.conf");
    const authorities = join(directory, "many.pem");
    // As large a file as systems have.
    writeFileSync(authorities, readFileSync(trusted.certificate, "utf8").repeat(300));
    const http = readFileSync(join(ROOT, "nginx/sluice/http.conf"), "utf8").replaceAll("/etc/ssl/certs/ca-certificates.crt", authorities);
    const modules = /--modules-path=(\S+)/.exec(execFileSync("sh", ["-c", "PATH=$PATH:/usr/sbin; nginx -V 2>&1"], { encoding: "utf8" }))?.[1] ?? "modules";
    writeFileSync(join(directory, "many.http.conf"), http);
    /** What `nginx -t` reads, in bytes, with so many locations. */
    const bytesRead = (locations: number): number => {
      const list = Array.from({ length: locations }, (__, index) => `location /${index} { return 204; }`).join("\n");
      writeFileSync(conf, `load_module ${modules}/ndk_http_module.so; load_module ${modules}/ngx_http_lua_module.so; pid ${directory}/many.pid; error_log stderr;
        events {} http { access_log off; include ${directory}/many.http.conf; server { listen unix:${directory}/many.socket; ${list} } }`);
      const told = execFileSync("sh", ["-c", `PATH=$PATH:/usr/sbin; nginx -t -q -e stderr -p ${directory} -c ${conf} && cat /proc/$$/io`], { encoding: "utf8", timeout: 60000 });
      return Number(/^rchar: (\d+)$/m.exec(told)?.[1]);
    };
    const more = bytesRead(60) - bytesRead(20);
    expect(more).toBeLessThan(10 * statSync(authorities).size);
  });
});
