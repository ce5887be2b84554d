/** Endpoints that have names. */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type NameServer, startNameServer } from "../support/name_server.ts";
import { askNames } from "../support/nginx_configuration.ts";
import { eventually } from "../support/processes.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
/** How long a change may take to be taken up, beyond the seconds that the old address was good for. */
const SLACK_MS = 5000;

const stopping: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const each of stopping.splice(0).reverse()) await each.stop();
});

interface Upstream {
  port: number;
  asked(): number;
  stop(): Promise<void>;
}

/** A model server at an address, which counts. */
async function upstream(address: string, port = 0): Promise<Upstream> {
  let asked = 0;
  const server: Server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      asked += 1;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ id: "1", object: "chat.completion", choices: [{ index: 0, message: { role: "assistant", content: address }, finish_reason: "stop" }] }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
  const started: Upstream = {
    port: (server.address() as AddressInfo).port,
    asked: () => asked,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  stopping.push(started);
  return started;
}

/** Two model servers at two addresses, with the same port. */
async function pair(): Promise<[Upstream, Upstream]> {
  const one = await upstream("127.0.0.1");
  return [one, await upstream("127.0.0.2", one.port)];
}

async function begin(port: number, prepare: (names: NameServer) => void): Promise<{ gateway: Gateway; names: NameServer }> {
  const names = await startNameServer();
  stopping.push(names);
  names.silent = false;
  prepare(names);
  const config = JSON.stringify({
    tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
    models: [{ name: "chat", pool: "gpu" }],
    pools: [{ name: "gpu", endpoints: [{ url: `http://gpu.sluice.test:${port}` }], timeouts: { connect: "1s" } }],
  });
  const gateway = await startGateway({ config, workers: 2 });
  stopping.push(gateway);
  await askNames(gateway, names);
  return { gateway, names };
}

function ask(gateway: Gateway): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }] });
  return send(gateway.port, { path: "/v1/chat/completions", body, key: KEY });
}

/** Asks again and again until `until` says so; every answer must be a good one. */
async function askUntil(gateway: Gateway, what: string, until: () => boolean, milliseconds: number): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!until()) {
    expect((await ask(gateway)).status).toBe(200);
    if (Date.now() > end) throw new Error(`waited ${milliseconds} ms in vain: ${what}`);
    await sleep(10);
  }
}

describe("an endpoint that has a name", () => {
  it("whose address changes is asked at the new one, and no request fails", async () => {
    const [one, two] = await pair();
    const { gateway, names } = await begin(one.port, (server) => { server.seconds = 1; });
    await askUntil(gateway, "the first is asked", () => one.asked() >= 5, 10000);
    expect(two.asked()).toBe(0);
    names.addresses = ["127.0.0.2"];
    const before = two.asked();
    await askUntil(gateway, "the second is asked", () => two.asked() > before + 20, names.seconds * 1000 + SLACK_MS);
    const last = one.asked();
    await askUntil(gateway, "the second alone is asked", () => two.asked() > before + 60, 10000);
    expect(one.asked()).toBe(last);
  });

  it("whose address is gone and which has another one loses no request", async () => {
    const [one, two] = await pair();
    const { gateway, names } = await begin(one.port, () => undefined);
    await askUntil(gateway, "the first is asked", () => one.asked() >= 5, 10000);
    names.addresses = ["127.0.0.2"];
    await askUntil(gateway, "the second is asked", () => two.asked() >= 1, names.seconds * 1000 + SLACK_MS);
    // Also the other worker has to have heard of it.
    await sleep(names.seconds * 1000 + 2000);
    await one.stop();
    const before = two.asked();
    await askUntil(gateway, "the second goes on", () => two.asked() > before + 30, 10000);
  });

  it("with several addresses has all of them asked, and leaves out one that does not answer", async () => {
    const [one, two] = await pair();
    const { gateway } = await begin(one.port, (server) => { server.addresses = ["127.0.0.1", "127.0.0.2"]; });
    await askUntil(gateway, "both are asked", () => one.asked() >= 5 && two.asked() >= 5, 10000);
    await one.stop();
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(gateway)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const second = answers.filter(({ headers }) => headers["x-sluice-attempts"] !== "1").length;
    // Each worker finds out by itself; whatever was on its way there then had to be sent again.
    expect(second).toBeLessThan(40);
    const later = await Promise.all(Array.from({ length: 20 }, () => ask(gateway)));
    expect(later.map(({ status, headers }) => [status, headers["x-sluice-attempts"]])).toEqual(later.map(() => [200, "1"]));
  });

  it("goes on being asked where it was, while its name is not found, or nobody tells", async () => {
    const [one] = await pair();
    const { gateway, names } = await begin(one.port, () => undefined);
    await askUntil(gateway, "it is asked", () => one.asked() >= 5, 10000);
    names.addresses = [];
    let until = Date.now() + 2500;
    await askUntil(gateway, "it goes on without the name", () => Date.now() > until, 10000);
    names.silent = true;
    until = Date.now() + 2500;
    await askUntil(gateway, "it goes on in silence", () => Date.now() > until, 10000);
    // A worker that begins now knows it from the others.
    await askNames(gateway, names);
    await askUntil(gateway, "new workers go on", () => Date.now() > until + 2500, 20000);
  });

  it("for no time at all is not looked up with every request", async () => {
    const [one] = await pair();
    const { gateway, names } = await begin(one.port, (server) => { server.seconds = 0; });
    await askUntil(gateway, "it is asked", () => one.asked() >= 5, 10000);
    const questions = names.questions();
    const began = Date.now();
    await askUntil(gateway, "it is asked often", () => one.asked() >= 100, 20000);
    // Two workers, a question a second each; a request may need one of its own at the start.
    expect(names.questions() - questions).toBeLessThan(4 + 3 * ((Date.now() - began) / 1000 + 1));
  });

  it("that nobody has ever found is refused, and found when it is there", async () => {
    const [one] = await pair();
    const { gateway, names } = await begin(one.port, (server) => { server.addresses = []; });
    const refused = await ask(gateway);
    expect([refused.status, refused.text]).toEqual([502, expect.stringContaining("upstream_failed")]);
    expect(one.asked()).toBe(0);
    names.addresses = ["127.0.0.1"];
    await eventually("it is found", async () => (await ask(gateway)).status === 200, SLACK_MS);
  });

  it("that is being looked up costs a client that leaves nothing", async () => {
    const [one] = await pair();
    const { gateway } = await begin(one.port, (server) => { server.silent = true; });
    const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }] });
    await expect(send(gateway.port, { path: "/v1/chat/completions", body, key: KEY, signal: AbortSignal.timeout(300) })).rejects.toThrow();
    const line = await eventually("it is in the journal", () => gateway.journal()[0], 20000);
    expect([line.ending, line.attempts, line.input_tokens, line.cost_nano_usd]).toEqual(["client_gone", 0, 0, 0]);
    const metrics = await gateway.metrics();
    expect([...metrics].filter(([name, value]) => name.startsWith("sluice_upstream_inflight") && value !== 0)).toEqual([]);
  });
});
