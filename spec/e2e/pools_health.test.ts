import { join } from "node:path";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { makeAuthority, makeCertificate } from "../support/certificates.ts";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { bodyOf, type Mock, type MockPage, startMock } from "../support/mock.ts";
import { eventually, removeDirectory, temporaryDirectory } from "../support/processes.ts";
import { startScriptedUpstream } from "../support/scripted_upstream.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
/** Each worker looks at what is known with a request, if it has not for 200 ms; `/status` tells it at once. */
const LOOK_MS = 250;
/** On a busy machine an answer may take seconds. */
const HEALTH = { interval: "200ms", timeout: "10s", healthy: 2, unhealthy: 2, slow_start: "0s" };

let mocks: Mock[] = [];
let gateway: Gateway | undefined;
const servers: { close: (done: () => void) => unknown }[] = [];

beforeAll(async () => {
  mocks = await Promise.all([startMock(), startMock()]);
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  await Promise.all(mocks.flatMap((mock) => [mock.behave(""), mock.page("/health", {}), mock.page("/metrics", {})]));
  await Promise.all(servers.splice(0).map((server) => new Promise<void>((done) => server.close(done))));
});

afterAll(async () => {
  await Promise.all(mocks.map((mock) => mock.stop()));
});

interface Begin {
  endpoints?: Record<string, unknown>[];
  pool?: Record<string, unknown>;
  files?: Record<string, string>;
  workers?: number;
  env?: Record<string, string>;
}

function configuration({ endpoints, pool }: Begin): string {
  return JSON.stringify({
    tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
    models: [{ name: "chat", pool: "gpu", upstream_model: "mock;tokens=2" }],
    pools: [{
      name: "gpu",
      balance: "round_robin",
      endpoints: endpoints ?? mocks.map(({ url }) => ({ url })),
      // What is looked at here is what asking finds out, not what requests do.
      breaker: { failures: 0 },
      retries: { attempts: 1 },
      ...pool,
    }],
  });
}

async function begin(options: Begin): Promise<Gateway> {
  gateway = await startGateway({ config: configuration(options), workers: options.workers ?? 2, files: options.files ?? {}, env: options.env ?? {} });
  return gateway;
}

function ask(): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }] });
  return send(gateway!.port, { path: "/v1/chat/completions", body, key: KEY });
}

async function askTimes(count: number): Promise<Answer[]> {
  return Promise.all(Array.from({ length: count }, () => ask()));
}

async function started(index: number): Promise<number> {
  return (await mocks[index]!.counts()).started;
}

/** How many of so many requests an endpoint gets. */
async function shareOf(index: number, count: number): Promise<number> {
  const before = await started(index);
  const answers = await askTimes(count);
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  return (await started(index)) - before;
}

interface Status {
  health?: string;
  share?: number;
  warm?: boolean;
  engine?: null | { waiting: number | null; running: number | null; cache: number | null; age_seconds: number; fresh: boolean };
}

async function statusOf(index: number): Promise<Status> {
  const status = (await (await fetch(`${gateway!.adminUrl}/status`)).json()) as { pools: { endpoints: Status[] }[] };
  return status.pools[0]!.endpoints[index]!;
}

/** Waits until it is known to all workers: each goes by it with its next request. */
async function eventuallyStatus(index: number, wanted: Partial<Status>): Promise<void> {
  await eventually(`endpoint ${index} is ${JSON.stringify(wanted)}`, async () => {
    const status = await statusOf(index);
    return Object.entries(wanted).every(([name, value]) => status[name as keyof Status] === value) ? true : undefined;
  });
  await sleep(LOOK_MS);
}

/** The page was asked for so many times more. */
async function askedAgain(index: number, path: string, times: number): Promise<void> {
  const { asked } = await mocks[index]!.asked(path);
  await eventually(`${times} more questions`, async () => ((await mocks[index]!.asked(path)).asked >= asked + times ? true : undefined));
}

/** All workers go by what is known: they look several times a second. */
async function allGetRequests(): Promise<void> {
  await eventually("both get requests", async () => {
    const got = await shareOf(1, 8);
    return got > 0 && got < 8 ? true : undefined;
  });
}

function lines(text: string): number {
  return gateway!.errorLog().split(text).length - 1;
}

function vllm(waiting: number, cache: number, running = 1): string {
  return [
    "# HELP vllm:num_requests_waiting Number of requests waiting to be processed.",
    "# TYPE vllm:num_requests_waiting gauge",
    `vllm:num_requests_waiting{engine="0",model_name="a{b}"} ${waiting}.0`,
    `vllm:num_requests_running{engine="0"} ${running}.0`,
    `vllm:kv_cache_usage_perc{engine="0"} ${cache}`, "",
  ].join("\n");
}

async function metrics(...pages: MockPage[]): Promise<void> {
  await Promise.all(pages.map((page, index) => mocks[index]!.page("/metrics", page)));
}

const UNWELL: Record<string, MockPage> = {
  "says so": { status: 503 },
  "redirects": { status: 302 },
  "does not answer in time": { delay: 5000 },
  "never ends": { huge: 100_000_000 },
};

describe("an endpoint that is asked whether it is well", () => {
  it.each(Object.entries(UNWELL))("and %s gets no requests until it is well again", async (_, page) => {
    await begin({ pool: { health: { ...HEALTH, ...(page.delay !== undefined && { timeout: "1s" }) } } });
    await allGetRequests();
    await mocks[0]!.page("/health", page);
    await eventuallyStatus(0, { health: "unhealthy" });
    expect(await shareOf(0, 30)).toBe(0);
    const before = await gateway!.metrics();
    expect(sumOf(before, "sluice_endpoint_up", { endpoint: mocks[0]!.url })).toBe(0);
    expect(sumOf(before, "sluice_endpoint_up", { endpoint: mocks[1]!.url })).toBe(1);
    await mocks[0]!.page("/health", {});
    await eventuallyStatus(0, { health: "healthy" });
    await allGetRequests();
    expect(sumOf(await gateway!.metrics(), "sluice_endpoint_up")).toBe(2);
    expect(lines("is not well and gets no requests")).toBe(1);
    expect(lines("is well again")).toBe(1);
  });

  it("takes more than one bad answer to be taken away", async () => {
    await begin({ pool: { health: { ...HEALTH, unhealthy: 100 } } });
    await mocks[0]!.page("/health", { status: 500 });
    await askedAgain(0, "/health", 5);
    expect((await statusOf(0)).health).toBe("healthy");
    expect(await shareOf(0, 20)).toBeGreaterThan(0);
  });

  it("holds no other up when it is silent, and none is asked by more than one worker", async () => {
    const sockets: unknown[] = [];
    const silent = createTcpServer((socket) => { sockets.push(socket); socket.on("error", () => undefined); });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    servers.push({ close: (done) => { silent.close(); silent.unref(); done(); } });
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    await begin({ endpoints: [{ url: mocks[0]!.url }, { url }], pool: { health: { ...HEALTH, interval: "500ms", timeout: "60s" } }, workers: 3 });
    await askedAgain(0, "/health", 1);
    const from = Date.now();
    const { asked } = await mocks[0]!.asked("/health");
    await askedAgain(0, "/health", 6);
    // Half a second between questions, give or take a tenth: three workers would ask three times as often.
    const most = (Date.now() - from) / 450 + 2;
    expect((await mocks[0]!.asked("/health")).asked - asked).toBeLessThanOrEqual(most);
    expect(sockets.length).toBe(1);
  });

  it("is refused for, if all are unwell", async () => {
    await begin({ pool: { health: HEALTH } });
    await Promise.all(mocks.map((mock) => mock.page("/health", { status: 503 })));
    await eventuallyStatus(0, { health: "unhealthy" });
    await eventuallyStatus(1, { health: "unhealthy" });
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(errorOf(answer)).toMatchObject({ code: "no_healthy_endpoint" });
    expect(answer.headers["retry-after"]).toBeTruthy();
  });

  it("comes back slowly, if it is told to", async () => {
    await begin({ pool: { health: { ...HEALTH, slow_start: "3600s" } }, workers: 1 });
    await mocks[0]!.page("/health", { status: 503 });
    await eventuallyStatus(0, { health: "unhealthy" });
    await mocks[0]!.page("/health", {});
    await eventuallyStatus(0, { health: "healthy", share: 0.1 });
    await eventually("it gets some", async () => ((await shareOf(0, 10)) > 0 ? true : undefined));
    // Of 400 requests 40 in the mean, give or take 6; without a slow start 200.
    let got = 0;
    for (let round = 0; round < 8; round++) got += await shareOf(0, 50);
    expect(got).toBeLessThan(90);
    expect(got).toBeGreaterThan(0);
  });

  it("is asked with the pool's first key, which is in no log", async () => {
    const secret = "sk-upstream-secret-0123456789";
    await begin({ pool: { health: HEALTH, scrape: { engine: "vllm", interval: "100ms" }, keys: [{ id: "first", secret }, { id: "second", secret: "sk-other" }] } });
    await askedAgain(0, "/health", 2);
    expect((await mocks[0]!.asked("/health")).headers).toMatchObject({ authorization: `Bearer ${secret}`, "user-agent": "sluice" });
    await mocks[0]!.page("/health", { status: 401 });
    await eventuallyStatus(0, { health: "unhealthy" });
    expect(gateway!.everythingWritten()).not.toContain(secret);
  });

  it("is asked by its name over TLS that is verified", async () => {
    const directory = temporaryDirectory("sluice-certificates");
    const trusted = makeAuthority(directory, "trusted");
    const secure = await Promise.all([
      startMock({ tls: makeCertificate(directory, "localhost", ["DNS:localhost"], trusted) }),
      startMock({ tls: makeCertificate(directory, "elsewhere", ["DNS:elsewhere.example"], trusted) }),
    ]);
    try {
      const endpoints = secure.map(({ tlsUrl }) => ({ url: tlsUrl }));
      const pool = { health: HEALTH, scrape: { engine: "vllm", interval: "100ms" } };
      await secure[0].page("/metrics", { body: vllm(3, 0.5) });
      await begin({ endpoints, pool, env: { CA_FILE: join(directory, "trusted.pem") } });
      await eventuallyStatus(1, { health: "unhealthy" });
      await eventually("figures", async () => ((await statusOf(0)).engine?.waiting === 3 ? true : undefined));
      expect((await statusOf(0)).health).toBe("healthy");
      expect((await secure[0].asked("/health")).headers).toMatchObject({ host: new URL(secure[0].tlsUrl).host });
      // No question came over a connection with the wrong name.
      expect((await secure[1].asked("/metrics")).asked).toBe(0);
      expect(lines("is not well and gets no requests")).toBe(1);
    } finally {
      await Promise.all(secure.map((mock) => mock.stop()));
      removeDirectory(directory);
    }
  });

  it("is asked by another worker when the one that asks is killed, also again, and stays as it was", async () => {
    await begin({ pool: { health: HEALTH }, workers: 2 });
    await mocks[0]!.page("/health", { status: 503 });
    await eventuallyStatus(0, { health: "unhealthy" });
    for (let round = 0; round < 3; round++) {
      const [worker] = gateway!.workers();
      process.kill(worker!, "SIGKILL");
      await eventually("there are two workers again", async () => (gateway!.workers().length === 2 && !gateway!.workers().includes(worker!) ? true : undefined));
      await eventually("an answer", async () => ((await ask().catch(() => undefined))?.status === 200 ? true : undefined));
      expect(await shareOf(0, 10)).toBe(0);
      await askedAgain(0, "/health", 3);
    }
    await mocks[0]!.page("/health", {});
    await eventuallyStatus(0, { health: "healthy" });
    await allGetRequests();
  });

  it("stays as it was over a reload, and is asked by one worker then", async () => {
    await begin({ pool: { health: { ...HEALTH, interval: "500ms" } }, workers: 2 });
    await mocks[0]!.page("/health", { status: 503 });
    await eventuallyStatus(0, { health: "unhealthy" });
    const before = gateway!.workers();
    for (let round = 0; round < 2; round++) {
      gateway!.reload();
      await sleep(200);
    }
    await eventually("new workers only", async () => (gateway!.workers().every((pid) => !before.includes(pid)) && gateway!.workers().length === 2 ? true : undefined));
    await eventually("an answer", async () => ((await ask().catch(() => undefined))?.status === 200 ? true : undefined));
    expect(await shareOf(0, 10)).toBe(0);
    await askedAgain(0, "/health", 1);
    const from = Date.now();
    const { asked } = await mocks[0]!.asked("/health");
    await askedAgain(0, "/health", 5);
    expect((await mocks[0]!.asked("/health")).asked - asked).toBeLessThanOrEqual((Date.now() - from) / 450 + 2);
    await mocks[0]!.page("/health", {});
    await allGetRequests();
  });

  it("follows the configuration: what stays keeps its state, what goes is asked no more and begins anew later", async () => {
    await begin({ pool: { health: { ...HEALTH, interval: "5s", unhealthy: 1 } } });
    await mocks[0]!.page("/health", { status: 503 });
    await eventuallyStatus(0, { health: "unhealthy" });
    gateway!.writeConfig(configuration({ pool: { health: { ...HEALTH, interval: "100ms" }, timeouts: { read: "50s" } } }));
    // Far more questions than one every five seconds: the new one is in force.
    await askedAgain(0, "/health", 10);
    expect((await statusOf(0)).health).toBe("unhealthy");
    expect(await shareOf(0, 10)).toBe(0);
    gateway!.writeConfig(configuration({ pool: {} }));
    await allGetRequests();
    await eventually("nobody asks any more", async () => {
      const { asked } = await mocks[0]!.asked("/health");
      await sleep(1000);
      return (await mocks[0]!.asked("/health")).asked === asked ? true : undefined;
    });
    await eventuallyStatus(0, { health: undefined });
    gateway!.writeConfig(configuration({ pool: { health: { ...HEALTH, unhealthy: 100 } } }));
    await eventuallyStatus(0, { health: "healthy" });
    expect(await shareOf(0, 10)).toBeGreaterThan(0);
  });
});

describe("an endpoint whose metrics are read", () => {
  const SCRAPE = { engine: "vllm", interval: "200ms" };
  const LOAD = { balance: "least_load", scrape: SCRAPE };

  /** Waits until it is known to all workers. */
  async function eventuallyWaiting(index: number, waiting: number): Promise<void> {
    await eventually(`endpoint ${index} has ${waiting} waiting`, async () => ((await statusOf(index)).engine?.waiting === waiting ? true : undefined));
    await sleep(LOOK_MS);
  }

  /** Not so while its figures, or the other's, are too old, as they may be on a busy machine. */
  async function getsNone(index: number, requests: number): Promise<void> {
    await eventually(`endpoint ${index} gets none of ${requests} requests`, async () => (await shareOf(index, requests)) === 0);
  }

  it("gets the requests when its queue is the shorter one, and else the other does", async () => {
    await begin({ pool: LOAD });
    for (const [first, second] of [[0, 500], [500, 0]] as const) {
      await metrics({ body: vllm(first, 0.5) }, { body: vllm(second, 0.25, 3) });
      await eventuallyWaiting(0, first);
      await eventuallyWaiting(1, second);
      await getsNone(first === 0 ? 1 : 0, 20);
    }
    const engine = await eventually("new figures", async () => {
      const { engine: figures } = await statusOf(1);
      return figures?.fresh === true ? figures : undefined;
    });
    expect(engine).toMatchObject({ waiting: 0, running: 3, cache: 0.25 });
    expect(engine.age_seconds).toBeLessThan(60);
  });

  it("may be one of SGLang's", async () => {
    await begin({ pool: { balance: "least_load", scrape: { engine: "sglang", interval: "200ms" } } });
    const page = (queue: number): string =>
      `sglang:num_queue_reqs{model_name="x",tp_rank="0"} ${queue}\nsglang:num_running_reqs{tp_rank="0"} 2\nsglang:token_usage{tp_rank="0"} 0.5\n`;
    await metrics({ body: page(900) }, { body: page(0) });
    await eventuallyWaiting(0, 900);
    await eventuallyWaiting(1, 0);
    await getsNone(0, 20);
    expect((await statusOf(0)).engine).toMatchObject({ waiting: 900, running: 2, cache: 0.5 });
  });

  const SPOILT: Record<string, MockPage> = {
    "garbage": { body: "\0\xff{{{\n vllm:num_requests_waiting nonsense\nvllm:num_requests_waiting{\" 7\n" },
    "an error": { status: 500, body: vllm(0, 0) },
    "far too much": { body: vllm(0, 0), huge: 50_000_000 },
    "nothing in time": { delay: 10000 },
  };

  it.each(Object.entries(SPOILT))("counts for its own requests only, once what it says is old and %s has come since", async (_, page) => {
    await begin({ pool: LOAD });
    await metrics({ body: vllm(500, 0.5) }, { body: vllm(0, 0.5) });
    await eventuallyWaiting(0, 500);
    await eventuallyWaiting(1, 0);
    await getsNone(0, 10);
    await metrics(page);
    await eventually("its figures are old", async () => ((await statusOf(0)).engine?.fresh === false ? true : undefined));
    await allGetRequests();
    await eventually("the other's are new", async () => {
      const { engine } = await statusOf(1);
      return engine?.waiting === 0 && engine.fresh;
    });
    await eventually("a line in the log", () => (lines("does not show its metrics") === 1 ? true : undefined));
  });
});

describe("an endpoint that is warmed up", () => {
  // Spaces and all: it arrives as it lies in the file.
  const BODY = '{ "model":"mock;tokens=1;tag=warm",\n "messages":[{"role":"user","content":"Warm up, \\u00e9"}],"max_tokens":1 }\n';
  const WARMUP = { path: "/v1/chat/completions", body_file: "warmup.json", timeout: "30s" };

  function warming(index: number): Promise<number> {
    return mocks[index]!.requests({ tag: "warm" }).then((requests) => requests.length);
  }

  it("gets no requests before, and the request arrives as it is in the file", async () => {
    await mocks[0]!.behave("mock;status=503");
    await mocks[1]!.behave("mock;status=503");
    await begin({ pool: { warmup: WARMUP }, files: { "warmup.json": BODY } });
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(errorOf(answer)).toMatchObject({ code: "no_healthy_endpoint" });
    await mocks[0]!.behave("");
    await eventuallyStatus(0, { warm: true });
    expect((await statusOf(1)).warm).toBe(false);
    expect(await shareOf(0, 10)).toBe(10);
    const request = (await mocks[0]!.requests()).find((each) => bodyOf(each).toString() === BODY)!;
    expect(request).toMatchObject({ method: "POST", uri: "/v1/chat/completions" });
    expect(request.headers).toContainEqual(["Content-Type", "application/json"]);
    await mocks[1]!.behave("");
    await eventuallyStatus(1, { warm: true });
    await allGetRequests();
    expect(lines("could not be warmed up")).toBeGreaterThanOrEqual(1);
    expect(lines("is warm and gets requests")).toBe(2);
  });

  it("may take long, one request at a time, while others serve", async () => {
    const slow = await startScriptedUpstream();
    servers.push({ close: (done) => { void slow.stop().then(done); } });
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const user = slow.prepare({ type: "application/json", pieces: [released, '{"id":"c","object":"chat.completion","choices":[]}'] });
    const body = JSON.stringify({ ...(JSON.parse(BODY) as object), user });
    await begin({ endpoints: [{ url: slow.url }, { url: mocks[1]!.url }], pool: { warmup: WARMUP }, files: { "warmup.json": body } });
    await eventuallyStatus(1, { warm: true });
    await slow.exchange(user);
    expect(await shareOf(1, 10)).toBe(10);
    expect((await statusOf(0)).warm).toBe(false);
    release();
    await eventuallyStatus(0, { warm: true });
    expect(slow.exchanges).toHaveLength(1);
  });

  it("is warmed up again when it has been down", async () => {
    await begin({ pool: { warmup: WARMUP, health: HEALTH }, files: { "warmup.json": BODY } });
    await eventuallyStatus(0, { warm: true });
    const before = await warming(0);
    await mocks[0]!.page("/health", { status: 503 });
    await eventuallyStatus(0, { health: "unhealthy", warm: false });
    await mocks[0]!.behave("mock;status=500");
    await mocks[0]!.page("/health", {});
    await eventuallyStatus(0, { health: "healthy", warm: false });
    expect(await shareOf(1, 10)).toBe(10);
    await mocks[0]!.behave("");
    await eventuallyStatus(0, { warm: true });
    expect(await warming(0)).toBeGreaterThan(before);
    await allGetRequests();
  });

  it("need not be, if it serves already when that is configured; a new one must", async () => {
    await begin({ endpoints: [{ url: mocks[0]!.url }], pool: {}, files: { "warmup.json": BODY } });
    expect(await shareOf(0, 5)).toBe(5);
    const before = await warming(0);
    await mocks[1]!.behave("mock;status=503");
    gateway!.writeConfig(configuration({ pool: { warmup: WARMUP } }));
    await eventually("it is in force", async () => {
      expect((await ask()).status).toBe(200);
      return (await fetch(`${gateway!.adminUrl}/status`).then((answer) => answer.text())).includes('"warm":false') ? true : undefined;
    });
    for (let round = 0; round < 10; round++) {
      expect(await shareOf(0, 5)).toBe(5);
      await sleep(100);
    }
    await mocks[1]!.behave("");
    await eventuallyStatus(1, { warm: true });
    expect(await warming(0)).toBe(before);
    await allGetRequests();
  });

  it("keeps no worker that is to end from ending", async () => {
    await mocks[0]!.behave("mock;stall=header");
    await begin({ pool: { warmup: { ...WARMUP, timeout: "3600s" } }, files: { "warmup.json": BODY }, workers: 1 });
    const open = async (): Promise<number> => (await mocks[0]!.counts()).open;
    await eventually("it is being warmed up", async () => ((await open()) > 0 ? true : undefined));
    const before = gateway!.workers();
    // From now on it answers; but not what it has been asked already.
    await mocks[0]!.behave("");
    gateway!.reload();
    await eventually("the old worker is gone", () => (gateway!.workers().every((pid) => !before.includes(pid)) ? true : undefined));
    await eventuallyStatus(0, { warm: true });
  });
});

describe("a configuration", () => {
  it.each([
    [{ warmup: { body_file: "absent.json" } }, "pools[0].warmup.body_file", "can't be read"],
    [{ warmup: { body_file: "wrong.json" } }, "pools[0].warmup.body_file", "expected a file with a JSON document"],
    [{ health: { path: "health" } }, "pools[0].health.path", "expected the path of a URL"],
    [{ health: { interval: "1ms" } }, "pools[0].health.interval", ""],
    [{ scrape: { engine: "other" } }, "pools[0].scrape.engine", ""],
    [{ scrape: {} }, "pools[0].scrape.engine", ""],
  ])("with %o refuses the start and says why", async (pool, path, message) => {
    const failure = await begin({ pool, files: { "wrong.json": "{" } }).catch((reason: unknown) => String(reason));
    expect(failure).toContain(path);
    expect(failure).toContain(message);
  });

  it("follows the body's file", async () => {
    const body = (tag: string): string => `{"model":"mock;tokens=1;tag=${tag}","messages":[]}`;
    await mocks[0]!.behave("mock;status=503");
    await begin({ endpoints: [{ url: mocks[0]!.url }], pool: { warmup: { body_file: "warmup.json" } }, files: { "warmup.json": body("first") } });
    const tried = (tag: string): Promise<true> => eventually(`it is tried with the ${tag}`, async () => {
      const requests = await mocks[0]!.requests({ last: 3 });
      return requests.some((request) => bodyOf(request).toString() === body(tag)) ? true : undefined;
    });
    await tried("first");
    gateway!.writeFile("warmup.json", body("second"));
    await tried("second");
    await mocks[0]!.behave("");
    await eventuallyStatus(0, { warm: true });
  });
});
