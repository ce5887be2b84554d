import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually, freePorts } from "../support/processes.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const ENDPOINTS = 3;
const ATTEMPTS = 3;
const REQUESTS = 9;
/** Streams that are open when the endpoints begin to fail, one at each. */
const STREAMS = 3;

/** What becomes of a request that comes to a failing endpoint. */
type Outcome =
  /** Nothing of an answer comes, so another endpoint is asked. */
  | "retried"
  /** The answer breaks off once it has begun: it ends with an error. */
  | "begun"
  /** nginx can't tell it from an answer, so nobody else is asked; and what came is no answer either. */
  | "garbled"
  /** It is answered, slowly. */
  | "answered";

const FAULTS: Record<string, { behaviour: string | undefined; outcome: Outcome }> = {
  "refuse connections": { behaviour: undefined, outcome: "retried" },
  "reset connections before the answer": { behaviour: "mock;reset=header", outcome: "retried" },
  "close connections before the answer": { behaviour: "mock;close=header", outcome: "retried" },
  "say nothing": { behaviour: "mock;stall=header", outcome: "retried" },
  "answer 500": { behaviour: "mock;status=500", outcome: "retried" },
  "answer 503": { behaviour: "mock;status=503", outcome: "retried" },
  "answer 429 and say when to come back": { behaviour: "mock;status=429;retry_after=30", outcome: "retried" },
  "break off in the middle of a stream": { behaviour: "mock;tokens=8;close=3", outcome: "begun" },
  "reset the connection in the middle of a stream": { behaviour: "mock;tokens=8;reset=3", outcome: "begun" },
  "fall silent in the middle of a stream": { behaviour: "mock;tokens=8;stall=3", outcome: "begun" },
  "answer something that isn't HTTP": { behaviour: "mock;garbage=header", outcome: "garbled" },
  "begin an answer a byte at a time, for longer than the gateway waits": { behaviour: "mock;tokens=5;drip=10", outcome: "retried" },
  "answer a few bytes at a time": { behaviour: "mock;tokens=5;cut=16;gap=5", outcome: "answered" },
};

const CASES = Object.keys(FAULTS).flatMap((fault) => [1, 2, 3].map((failing): [number, string] => [failing, fault]));

let mocks: Mock[] = [];
let gateway: Gateway;

/** The pools are alike, but that the first endpoints of each, as many as its number says, are ports at which nobody listens. */
beforeAll(async () => {
  mocks = await Promise.all([startMock(), startMock(), startMock()]);
  const ports = await freePorts(ENDPOINTS);
  const refusing = [0, 1, 2, 3];
  gateway = await startGateway({
    config: JSON.stringify({
      tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
      models: refusing.flatMap((count) => [
        { name: `chat-${count}`, pool: `refusing-${count}`, upstream_model: "mock;tokens=5" },
        { name: `slow-${count}`, pool: `refusing-${count}`, upstream_model: "mock;tokens=10;interval=60" },
      ]),
      pools: refusing.map((count) => ({
        name: `refusing-${count}`,
        balance: "round_robin",
        endpoints: mocks.map(({ url }, index) => ({ url: index < count ? `http://127.0.0.1:${ports[index]}` : url })),
        timeouts: { connect: "500ms", read: "700ms" },
        retries: { attempts: ATTEMPTS, backoff: "20ms", on: ["connect", "timeout", "read_timeout", 429, 500, 502, 503, 504, 529] },
        breaker: { failures: 0 },
      })),
    }),
    workers: 2,
  });
});

afterEach(async () => {
  await Promise.all(mocks.map((mock) => mock.behave("")));
});

afterAll(async () => {
  await gateway.stop();
  await Promise.all(mocks.map((mock) => mock.stop()));
});

/** What came for a request. Something that isn't HTTP counts as status 0, with what is wrong about it as the text. */
async function ask(model: string, stream: boolean): Promise<Answer> {
  const body = JSON.stringify({ model, stream, messages: [{ role: "user", content: "Hello" }] });
  try {
    return await send(gateway.port, { path: "/v1/chat/completions", body, key: KEY });
  } catch (error) {
    return { status: 0, headers: {}, body: Buffer.alloc(0), text: String(error), complete: false };
  }
}

function idOf(answer: Answer): string {
  return String(answer.headers["x-request-id"]);
}

function attemptsOf(answer: Answer): number {
  return Number(answer.headers["x-sluice-attempts"]);
}

/** How often each request has come to the mocks. */
async function arrivals(since: number[]): Promise<Map<string, number>> {
  const arrived = new Map<string, number>();
  const lists = await Promise.all(mocks.map((mock, index) => mock.requests({ since: since[index] })));
  for (const { id } of lists.flat()) arrived.set(String(id), (arrived.get(String(id)) ?? 0) + 1);
  return arrived;
}

async function totals(): Promise<number[]> {
  return Promise.all(mocks.map(async (mock) => (await mock.counts()).started));
}

interface Status {
  pools: { endpoints: { in_flight: number }[] }[];
}

/** Nothing is under way any more: neither as it is measured nor as endpoints are chosen by it. */
async function idle(): Promise<void> {
  await eventually("nothing is under way", async () => {
    const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as Status;
    const counted = status.pools.flatMap(({ endpoints }) => endpoints).map(({ in_flight }) => in_flight);
    return counted.every((count) => count === 0) && sumOf(await gateway.metrics(), "sluice_upstream_inflight") === 0;
  });
}

/** It has its whole answer, and no error in it. */
function expectAnswered(answer: Answer): void {
  expect(answer.status).toBe(200);
  expect(answer.complete).toBe(true);
  expect(answer.text).not.toContain('"error"');
  if (String(answer.headers["content-type"]).startsWith("text/event-stream")) expect(answer.text).toMatch(/data: \[DONE\]\n\n$/);
  else expect((JSON.parse(answer.text) as { choices: unknown[] }).choices).toHaveLength(1);
}

/** How often the answer says that it failed. */
function errorEvents(answer: Answer): number {
  return answer.text.match(/^data: \{"error":/gm)?.length ?? 0;
}

/** It was refused, in words that a client can read, after so many attempts. */
function expectRefused(answer: Answer, attempts: number): void {
  expect(answer.status, answer.text).toBeGreaterThanOrEqual(429);
  expect(answer.complete).toBe(true);
  expect(answer.text).not.toContain("not HTTP");
  expect(errorOf(answer).message).toBeTruthy();
  expect(attemptsOf(answer)).toBe(attempts);
}

function expectOutcome(answers: Answer[], outcome: Outcome, failing: number): void {
  const failed = answers.filter((answer) => answer.status !== 200 || errorEvents(answer) > 0);
  const whole = answers.filter((answer) => !failed.includes(answer));
  whole.forEach(expectAnswered);
  if (outcome === "retried") {
    expect(failed.map(({ status, text }) => `${status} ${text}`)).toHaveLength(failing < ENDPOINTS ? 0 : REQUESTS);
    for (const answer of failed) expectRefused(answer, ATTEMPTS);
    // Some met a failing endpoint first: else nothing was tried here.
    if (failing < ENDPOINTS) expect(Math.max(...answers.map(attemptsOf))).toBeGreaterThan(1);
    return;
  }
  for (const answer of answers) expect(attemptsOf(answer), answer.text).toBe(1);
  if (outcome === "answered") {
    expect(failed).toEqual([]);
    return;
  }
  expect(failed.length).toBeGreaterThan(0);
  expect(whole.length > 0).toBe(failing < ENDPOINTS);
  for (const answer of failed) {
    if (outcome === "garbled") {
      expectRefused(answer, 1);
    } else {
      expect(answer.status).toBe(200);
      expect(answer.complete).toBe(true);
      expect(answer.text).toContain('"content"');
      expect(errorEvents(answer)).toBe(1);
    }
  }
}

describe("while streams are open,", () => {
  it.each(CASES)("%i of three endpoints %s", async (failing, fault) => {
    const { behaviour, outcome } = FAULTS[fault]!;
    const written = gateway.journal().length;
    const before = await totals();
    const pool = behaviour === undefined ? failing : 0;
    const open = Array.from({ length: STREAMS }, () => ask(pool === ENDPOINTS ? "slow-0" : `slow-${pool}`, true));
    await eventually("the streams are open", async () => {
      const begun = await Promise.all(mocks.map((mock) => mock.counts()));
      return begun.reduce((sum, { open: each }) => sum + each, 0) === STREAMS;
    });

    if (behaviour !== undefined) await Promise.all(mocks.slice(0, failing).map((mock) => mock.behave(behaviour)));
    // An answer that is not a stream could not say how it ended.
    const streams = outcome === "begun";
    const answers = await Promise.all(Array.from({ length: REQUESTS }, (_, index) => ask(`chat-${pool}`, streams || index % 2 === 0)));
    const streamed = await Promise.all(open);

    expectOutcome(answers, outcome, failing);
    streamed.forEach(expectAnswered);
    const all = [...answers, ...streamed];
    const arrived = await arrivals(before);
    const journal = await eventually("the lines of all", () => {
      const lines = gateway.journal().slice(written);
      return lines.length >= all.length ? lines : undefined;
    });
    await idle();
    expect(journal.map(({ id }) => id).sort()).toEqual(all.map(idOf).sort());
    for (const answer of all) {
      const attempts = attemptsOf(answer);
      expect(attempts).toBeLessThanOrEqual(ATTEMPTS);
      const came = arrived.get(idOf(answer)) ?? 0;
      if (behaviour === undefined) expect(came).toBe(answer.status === 200 ? 1 : 0);
      else expect(came).toBe(attempts);
      expect(journal.find(({ id }) => id === idOf(answer))).toMatchObject({ attempts, status: answer.status });
    }
  });
});
