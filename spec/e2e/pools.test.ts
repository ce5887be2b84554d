import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually, freePorts } from "../support/processes.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";

let mocks: Mock[] = [];
let gateway: Gateway | undefined;
const servers: { close: (done: () => void) => unknown }[] = [];

beforeAll(async () => {
  mocks = await Promise.all([startMock(), startMock(), startMock()]);
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  await Promise.all(mocks.map((mock) => mock.behave("")));
  await Promise.all(servers.splice(0).map((server) => new Promise<void>((done) => server.close(done))));
});

afterAll(async () => {
  await Promise.all(mocks.map((mock) => mock.stop()));
});

interface Begin {
  endpoints?: Record<string, unknown>[];
  keys?: Record<string, unknown>[];
  pool?: Record<string, unknown>;
  workers?: number;
}

async function begin({ endpoints, keys, pool, workers }: Begin = {}): Promise<Gateway> {
  const config = JSON.stringify({
    tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
    models: [
      { name: "chat", pool: "gpu", upstream_model: "mock;tokens=5" },
      { name: "slow", pool: "gpu", upstream_model: "mock;tokens=10;interval=60" },
    ],
    pools: [{
      name: "gpu",
      endpoints: endpoints ?? mocks.map(({ url }) => ({ url })),
      timeouts: { connect: "500ms", read: "700ms" },
      retries: { on: ["connect", "timeout", "read_timeout", 429, 500, 502, 503, 504, 529] },
      ...(keys && { keys }),
      ...pool,
    }],
  });
  gateway = await startGateway({ config, workers: workers ?? 2 });
  return gateway;
}

function ask(more: Record<string, unknown> = {}): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }], ...more });
  return send(gateway!.port, { path: "/v1/chat/completions", body, key: KEY });
}

function together(count: number, more: Record<string, unknown> = {}): Promise<Answer[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => ask({ stream: index % 2 === 0, ...more })));
}

function attemptsOf(answers: Answer[]): number[] {
  return answers.map(({ headers }) => Number(headers["x-sluice-attempts"]));
}

async function started(): Promise<number> {
  const counts = await Promise.all(mocks.map((mock) => mock.counts()));
  return counts.reduce((sum, { started: each }) => sum + each, 0);
}

/** Nothing is under way any more, as the gateway sees it. */
async function idle(): Promise<void> {
  await eventually("nothing is under way", async () => {
    const metrics = await gateway!.metrics();
    return sumOf(metrics, "sluice_upstream_inflight", {}) === 0 ? true : undefined;
  });
}

/** A port at which nobody listens. */
async function deadEnd(): Promise<string> {
  const [port = 0] = await freePorts(1);
  return `http://127.0.0.1:${port}`;
}

/** Accepts connections and says nothing. */
async function silent(): Promise<string> {
  const server = createTcpServer((socket) => socket.on("error", () => undefined));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push({ close: (done) => { server.close(done); server.unref(); done(); } });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const FAULTS = {
  "an error of 500": "mock;status=500",
  "an error of 502": "mock;status=502",
  "an error of 503": "mock;status=503",
  "a limit": "mock;status=429;retry_after=1",
  "a connection that ends before the answer": "mock;close=header",
  "a connection that is reset": "mock;reset=header",
  "silence": "mock;stall=header",
};

describe("a request whose endpoint fails", () => {
  it.each(Object.entries(FAULTS))("with %s goes to another one, whether one fails or two of three", async (_, behaviour) => {
    await begin();
    for (const failing of [1, 2]) {
      await Promise.all(mocks.slice(0, failing).map((mock) => mock.behave(behaviour)));
      const before = await started();
      const answers = await together(12);
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      expect(Math.max(...attemptsOf(answers))).toBeLessThanOrEqual(3);
      expect((await started()) - before).toBeLessThanOrEqual(12 * 3);
    }
    await idle();
  });

  it("goes with its whole body, also a large one, to the next", async () => {
    await begin();
    await Promise.all(mocks.slice(0, 2).map((mock) => mock.behave("mock;status=500")));
    const content = "a long story, ".repeat(50000);
    for (let round = 0; round < 6; round++) {
      const answer = await ask({ messages: [{ role: "user", content: `${round} ${content}` }] });
      expect(answer.status).toBe(200);
      const last = await mocks[2]!.lastRequest();
      expect(last.id).toBe(answer.headers["x-request-id"]);
      const sent = JSON.stringify({ model: "mock;tokens=5", messages: [{ role: "user", content: `${round} ${content}` }] });
      expect(last.body_length).toBe(sent.length);
      expect(last.body_sha1).toBe(createHash("sha1").update(sent).digest("hex"));
    }
  });

  it("is not charged, if its client leaves before another attempt has begun", async () => {
    await begin({ endpoints: [{ url: mocks[0]!.url }], pool: { retries: { attempts: 3, backoff: "5s" } } });
    await mocks[0]!.behave("mock;status=500;retry_after=4");
    const controller = new AbortController();
    const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }] });
    const asked = fetch(`${gateway!.url}/v1/chat/completions`, {
      method: "POST", body, signal: controller.signal, headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    }).catch(() => undefined);
    await eventually("the first attempt has failed", async () => {
      const metrics = await gateway!.metrics();
      return sumOf(metrics, "sluice_upstream_requests_total", { code: "500" }) >= 1 ? true : undefined;
    });
    controller.abort();
    await asked;
    const line = await eventually("its line", () => gateway!.journal().at(-1));
    expect(line).toMatchObject({ ending: "client_gone", attempts: 1, input_tokens: 0, output_tokens: 0, usage_from: null });
    await idle();
  });

  it("for want of a connection goes to another one", async () => {
    await begin({ endpoints: [{ url: await deadEnd() }, { url: await silent() }, { url: mocks[0]!.url }] });
    const answers = await together(20);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });

  it("gets the error of the last one in its own words, when all fail", async () => {
    await begin({ pool: { breaker: { failures: 0 } } });
    await Promise.all(mocks.map((mock) => mock.behave("mock;status=503;message=in%20its%20own%20words")));
    const before = await started();
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(errorOf(answer).message).toBe("in its own words");
    expect(attemptsOf([answer])).toEqual([3]);
    expect((await started()) - before).toBe(3);
    const line = await gateway!.journalLine(String(answer.headers["x-request-id"]));
    expect(line).toMatchObject({ attempts: 3, status: 503, input_tokens: 0, output_tokens: 0 });
    await idle();
  });

  it("is not asked again once anything of an answer has come", async () => {
    await begin();
    await Promise.all(mocks.map((mock) => mock.behave("mock;tokens=8;close=3")));
    const before = await started();
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask({ stream: true })));
    expect((await started()) - before).toBe(5);
    expect(attemptsOf(answers)).toEqual([1, 1, 1, 1, 1]);
    for (const answer of answers) expect(answer.text).toContain('data: {"error":');
  });

  it("is not asked again for what nobody else would answer otherwise, or what the pool does not retry", async () => {
    await begin({ pool: { retries: { on: ["connect"] }, breaker: { failures: 0 } } });
    await Promise.all(mocks.map((mock) => mock.behave("mock;status=400")));
    expect(attemptsOf([await ask()])).toEqual([1]);
    await Promise.all(mocks.map((mock) => mock.behave("mock;status=503")));
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(attemptsOf([answer])).toEqual([1]);
  });
});

describe("an endpoint that fails again and again", () => {
  it("gets no requests until one has found that it answers", async () => {
    await begin({ pool: { breaker: { failures: 3, window: "10s", open: "1s" }, balance: "round_robin" }, workers: 2 });
    await mocks[0]!.behave("mock;status=500");
    const began = Date.now();
    const answers = await together(30);
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const failed = (await mocks[0]!.counts()).started;
    await together(30);
    // At most a probe or two since, and one for each second that passes.
    expect((await mocks[0]!.counts()).started - failed).toBeLessThanOrEqual(3 + Math.floor((Date.now() - began) / 1000));
    await mocks[0]!.behave("");
    await eventually("it takes part again", async () => {
      const before = (await mocks[0]!.counts()).started;
      await together(9);
      return (await mocks[0]!.counts()).started - before >= 2 ? true : undefined;
    });
  });

  it("counts as failing when it says so in the middle of a good answer, which its client gets to see", async () => {
    await begin({ pool: { balance: "round_robin", breaker: { failures: 3, window: "60s", open: "60s" } }, workers: 1 });
    await mocks[0]!.behave("mock;tokens=5;error=2");
    let seen = 0;
    for (let round = 0; round < 12; round++) {
      const answer = await ask({ stream: true });
      expect(answer.status).toBe(200);
      expect(answer.headers["x-sluice-attempts"]).toBe("1");
      seen += answer.text.includes('"error"') ? 1 : 0;
    }
    expect(seen).toBe(3);
    expect(sumOf(await gateway!.metrics(), "sluice_breaker_open", { endpoint: mocks[0]!.url })).toBe(1);
  });

  it("leaves nobody to ask, if all do: a refusal that says when to come back", async () => {
    await begin({ pool: { breaker: { failures: 1, window: "10s", open: "30s" }, retries: { attempts: 1 } }, workers: 1 });
    await Promise.all(mocks.map((mock) => mock.behave("mock;status=500")));
    await eventually("all are shut", async () => ((await ask()).status === 503 ? true : undefined));
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(errorOf(answer)).toMatchObject({ code: "no_healthy_endpoint" });
    expect(answer.headers["retry-after"]).toBeTruthy();
  });
});

describe("an endpoint with max_concurrent", () => {
  it("never has more under way, whichever worker sends it there, also when workers are killed", async () => {
    await begin({ endpoints: mocks.map(({ url }) => ({ url, max_concurrent: 3 })), workers: 3 });
    let most = 0;
    let watching = true;
    const watch = (async () => {
      while (watching) {
        for (const mock of mocks) most = Math.max(most, (await mock.counts()).open);
        await sleep(5);
      }
    })();
    const answers = await together(40, { model: "slow", stream: true });
    const passed = answers.filter(({ status }) => status === 200).length;
    expect(passed).toBeGreaterThanOrEqual(9);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expect(answer.status).toBe(503);
      expect(errorOf(answer)).toMatchObject({ code: "pool_saturated" });
      expect(answer.headers["retry-after"]).toBeTruthy();
    }
    for (let round = 0; round < 10; round++) {
      const asked = Array.from({ length: 12 }, () => ask({ model: "slow", stream: true }).catch(() => undefined));
      await sleep(100);
      const [worker] = gateway!.workers();
      process.kill(worker!, "SIGKILL");
      await Promise.all(asked);
    }
    watching = false;
    await watch;
    expect(most).toBeLessThanOrEqual(3);
    await eventually("all places are free again", async () => {
      const again = await together(9, { model: "slow", stream: true });
      return again.every(({ status }) => status === 200) ? true : undefined;
    });
  });
});

describe("requests", () => {
  it.each(["round_robin", "least_load"])("are spread by weight (%s)", async (balance) => {
    await begin({ endpoints: mocks.map(({ url }, index) => ({ url, weight: index === 0 ? 2 : 1 })), pool: { balance }, workers: 1 });
    const before = await Promise.all(mocks.map(async (mock) => (await mock.counts()).started));
    for (let round = 0; round < 10; round++) await together(12);
    const counts = await Promise.all(mocks.map(async (mock, index) => (await mock.counts()).started - before[index]!));
    expect(counts.reduce((sum, each) => sum + each, 0)).toBe(120);
    expect(counts[0]).toBeGreaterThan(45);
    expect(counts[0]).toBeLessThan(75);
    expect(Math.min(counts[1]!, counts[2]!)).toBeGreaterThan(15);
  });
});

describe("account keys", () => {
  /** An upstream that answers each key in its own way. */
  async function upstream(answerOf: (key: string) => { status: number; headers?: Record<string, string> }): Promise<{ url: string; seen: string[] }> {
    const seen: string[] = [];
    const server: Server = createServer((request, response) => {
      request.resume();
      request.on("end", () => {
        const key = String(request.headers.authorization).replace("Bearer ", "");
        seen.push(key);
        const { status, headers } = answerOf(key);
        const usage = '"usage":{"prompt_tokens":7,"completion_tokens":3}';
        const body = status === 200
          ? `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],${usage}}`
          : `{"error":{"message":"no","key":"${key}"}}`;
        response.writeHead(status, { "content-type": "application/json", "content-length": body.length, ...headers }).end(body);
      });
    });
    server.keepAliveTimeout = 60000;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push({ close: (done) => { server.closeAllConnections(); server.close(() => { done(); }); } });
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
  }

  const KEYS = ["one", "two", "three", "four"].map((id) => ({ id, secret: `sk-upstream-${id}` }));

  it("that are refused or limited leave the traffic to the others, and come back in time", async () => {
    let limited = true;
    const { url, seen } = await upstream((key): { status: number; headers?: Record<string, string> } => {
      if (key === "sk-upstream-one") return { status: 401, headers: { "www-authenticate": "Bearer realm=account-4711" } };
      return key === "sk-upstream-two" && limited ? { status: 429, headers: { "retry-after": "2" } } : { status: 200 };
    });
    await begin({ endpoints: [{ url }], keys: KEYS, workers: 2 });
    const began = Date.now();
    const answers = await together(40, { stream: false });
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(JSON.stringify(answers.map(({ headers }) => headers))).not.toContain("4711");
    seen.length = 0;
    await together(40, { stream: false });
    expect(seen).not.toContain("sk-upstream-one");
    // It asked to be left alone for two seconds at a time.
    expect(seen.filter((key) => key === "sk-upstream-two").length).toBeLessThanOrEqual(Math.floor((Date.now() - began) / 2000));
    expect(seen.filter((key) => key === "sk-upstream-three").length).toBeGreaterThan(10);
    limited = false;
    await eventually("the limited one is back", async () => {
      await together(8, { stream: false });
      return seen.includes("sk-upstream-two") ? true : undefined;
    });
    expect(seen).not.toContain("sk-upstream-one");
    expect(gateway!.everythingWritten()).not.toContain("sk-upstream-");
  });

  it("get requests by their weights, and one that is alone is used whatever it says", async () => {
    const { url, seen } = await upstream(() => ({ status: 200 }));
    await begin({ endpoints: [{ url }], keys: KEYS.slice(0, 2).map((key, index) => ({ ...key, weight: index === 0 ? 3 : 1 })), workers: 1 });
    await together(40, { stream: false });
    expect(seen.filter((key) => key === "sk-upstream-one").length).toBe(30);
    await gateway!.stop();
    const alone = await upstream(() => ({ status: 401 }));
    await begin({ endpoints: [{ url: alone.url }], keys: KEYS.slice(0, 1) });
    for (let round = 0; round < 3; round++) {
      const answer = await ask();
      expect(answer.status).toBe(502);
      expect(errorOf(answer)).toMatchObject({ code: "upstream_credentials_exhausted" });
    }
    expect(alone.seen.length).toBe(3);
  });
});
