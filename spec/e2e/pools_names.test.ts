/** Endpoints that have names. */

import { Agent, createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, post, sendAndLeave } from "../support/http_client.ts";
import { type NameServer, startNameServer } from "../support/name_server.ts";
import { askNames } from "../support/nginx_configuration.ts";
import { eventually, HANG_MS } from "../support/processes.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const WORKERS = 2;
/** For how long an address at which nobody could be reached is left out. */
const REST_MS = 10000;

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
  const gateway = await startGateway({ config, workers: WORKERS });
  stopping.push(gateway);
  await askNames(gateway, names);
  return { gateway, names };
}

const CHAT = "/v1/chat/completions";
const HELLO = { model: "chat", messages: [{ role: "user", content: "Hello" }] };

function ask(gateway: Gateway, agent?: Agent): Promise<Answer> {
  return post(gateway.port, CHAT, HELLO, { key: KEY, ...(agent && { agent }) });
}

/**
 * Clients with one lasting connection each, which stays with one worker. What a worker found out while it answered one of them, it knows
 * when it answers that one again; a new connection may come to a worker that was never asked.
 */
function clients(): Agent[] {
  const agents = Array.from({ length: 8 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  stopping.push({
    stop: async () => {
      for (const agent of agents) agent.destroy();
      await Promise.resolve();
    },
  });
  return agents;
}

/** Has each of these clients ask until the answer is from that address. No request may fail. */
async function allHearOf(gateway: Gateway, agents: Agent[], address: string): Promise<void> {
  for (const agent of agents) {
    await eventually(`its worker knows of ${address}`, async () => {
      const answer = await ask(gateway, agent);
      expect(answer.status).toBe(200);
      return answer.text.includes(`"${address}"`);
    });
  }
}

/** Asks again and again until `until` says so; every answer must be a good one. */
async function askUntil(gateway: Gateway, what: string, until: () => boolean): Promise<void> {
  const end = Date.now() + HANG_MS;
  while (!until()) {
    expect((await ask(gateway)).status).toBe(200);
    if (Date.now() > end) throw new Error(`waited ${HANG_MS} ms in vain: ${what}`);
    await sleep(10);
  }
}

describe("an endpoint that has a name", () => {
  it("whose address changes is asked at the new one, and no request fails", async () => {
    const [one, two] = await pair();
    const { gateway, names } = await begin(one.port, (server) => { server.seconds = 1; });
    await askUntil(gateway, "the first is asked", () => one.asked() >= 5);
    expect(two.asked()).toBe(0);
    const all = clients();
    await allHearOf(gateway, all, "127.0.0.1");
    names.addresses = ["127.0.0.2"];
    await allHearOf(gateway, all, "127.0.0.2");
    const [before, last] = [two.asked(), one.asked()];
    for (let round = 0; round < 5; round++) {
      for (const client of all) expect((await ask(gateway, client)).status).toBe(200);
    }
    expect([one.asked(), two.asked()]).toEqual([last, before + 5 * all.length]);
  });

  it("whose address is gone and which has another one loses no request", async () => {
    const [one, two] = await pair();
    const { gateway, names } = await begin(one.port, () => undefined);
    const all = clients();
    await allHearOf(gateway, all, "127.0.0.1");
    names.addresses = ["127.0.0.2"];
    await allHearOf(gateway, all, "127.0.0.2");
    await one.stop();
    const before = two.asked();
    for (let round = 0; round < 4; round++) {
      for (const client of all) expect((await ask(gateway, client)).status).toBe(200);
    }
    expect(two.asked()).toBe(before + 4 * all.length);
  });

  it("with several addresses has all of them asked, and leaves out one that does not answer", async () => {
    const [one, two] = await pair();
    const { gateway } = await begin(one.port, (server) => { server.addresses = ["127.0.0.1", "127.0.0.2"]; });
    await askUntil(gateway, "both are asked", () => one.asked() >= 5 && two.asked() >= 5);
    const all = clients();
    for (const client of all) expect((await ask(gateway, client)).status).toBe(200);
    await one.stop();
    const began = Date.now();
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(gateway)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const again = (some: Answer[]): number => some.filter(({ headers }) => headers["x-sluice-attempts"] !== "1").length;
    // Each worker finds out by itself; whatever was on its way there then had to be sent again.
    expect(again(answers)).toBeLessThan(40);
    // The addresses take turns: after two requests in a row a worker has found it out.
    for (const client of all.flatMap((each) => [each, each])) expect((await ask(gateway, client)).status).toBe(200);
    const later: Answer[] = [];
    for (let round = 0; round < 5; round++) {
      for (const client of all) later.push(await ask(gateway, client));
    }
    expect(later.map(({ status }) => status)).toEqual(later.map(() => 200));
    // Every ten seconds each worker tries again whether somebody is there.
    expect(again(later)).toBeLessThanOrEqual(WORKERS * Math.floor((Date.now() - began) / REST_MS));
  });

  it("goes on being asked where it was, while its name is not found, or nobody tells", async () => {
    const [one] = await pair();
    const { gateway, names } = await begin(one.port, () => undefined);
    await askUntil(gateway, "it is asked", () => one.asked() >= 5);
    names.addresses = [];
    let until = Date.now() + 2500;
    await askUntil(gateway, "it goes on without the name", () => Date.now() > until);
    names.silent = true;
    until = Date.now() + 2500;
    await askUntil(gateway, "it goes on in silence", () => Date.now() > until);
    // A worker that begins now knows it from the others.
    await askNames(gateway, names);
    await askUntil(gateway, "new workers go on", () => Date.now() > until + 2500);
  });

  it("for no time at all is not looked up with every request", async () => {
    const [one] = await pair();
    const { gateway, names } = await begin(one.port, (server) => { server.seconds = 0; });
    await askUntil(gateway, "it is asked", () => one.asked() >= 5);
    const questions = names.questions();
    const began = Date.now();
    await askUntil(gateway, "it is asked often", () => one.asked() >= 100);
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
    await eventually("it is found", async () => (await ask(gateway)).status === 200);
  });

  it("that is being looked up costs a client that leaves nothing, and nobody is asked for it", async () => {
    const [one] = await pair();
    const { gateway, names } = await begin(one.port, (server) => { server.silent = true; });
    const inFlight = async (): Promise<number> => sumOf(await gateway.metrics(), "sluice_upstream_inflight");
    await sendAndLeave(gateway.port, CHAT, HELLO, KEY);
    await eventually("it waits for the address, or has been seen to leave", async () => gateway.journal().length === 1 || (await inFlight()) === 1);
    names.silent = false;
    const [line] = await eventually("it is in the journal", () => gateway.journal().length > 0 && gateway.journal());
    expect(line).toMatchObject({ ending: "client_gone", attempts: 0, input_tokens: 0, cost_nano_usd: 0 });
    expect(one.asked()).toBe(0);
    expect(await inFlight()).toBe(0);
  });
});
