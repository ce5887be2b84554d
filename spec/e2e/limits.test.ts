import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const CHAT = "/v1/chat/completions";

/** US dollars for a million tokens: a token of output is 2,000 nano-dollars. */
const PRICE = { input: 1, output: 2, cached_input: 0.5 };

interface Limited {
  limits?: Record<string, number>;
  budget?: Record<string, unknown>;
  guard?: string;
  keyLimits?: Record<string, number>;
}

/** One tenant for each test, so that none uses up what another one needs. */
const TENANTS: Record<string, Limited> = {
  requests: { limits: { requests_per_minute: 100 } },
  tokens: { limits: { tokens_per_minute: 2000 } },
  reserved: { limits: { tokens_per_minute: 2000 } },
  concurrent: { limits: { concurrent_requests: 5 } },
  together: { limits: { requests_per_minute: 1000, tokens_per_minute: 100000, concurrent_requests: 50 }, keyLimits: { requests_per_minute: 3 } },
  headers: { limits: { requests_per_minute: 10, tokens_per_minute: 100000 } },
  waiting: { limits: { requests_per_minute: 2 } },
  huge: { limits: { tokens_per_minute: 50 } },
  spent: { budget: { usd: 0.00002, period: "day" } },
  cut: { budget: { usd: 0.00004, period: "day" } },
  burst: { budget: { usd: 0.00004, period: "day" } },
  guarded: { budget: { usd: 0.00004, period: "day" }, guard: "watchful" },
  endings: { limits: { concurrent_requests: 100, tokens_per_minute: 10000000 }, budget: { usd: 1000, period: "month" } },
  killed: { limits: { concurrent_requests: 20, requests_per_minute: 100000 }, budget: { usd: 1000, period: "month" } },
  alerted: { budget: { usd: 0.0002, period: "week", alert_at: [0.5, 1] } },
  metered: { budget: { usd: 2, period: "day" } },
  free: {},
};

function keyOf(tenant: string): string {
  return `sk-sluice-client-key-of-${tenant}-0123456789`;
}

const BEHAVIOURS: Record<string, string> = {
  chat: "mock;prompt=10;completion=20;cached=4",
  slow: "mock;tokens=10;interval=100;prompt=10;completion=20",
  held: "mock;delay=600000",
  uncounted: "mock;tokens=50;usage=none",
  long: "mock;tokens=400;piece=4;interval=1",
  dies: "mock;tokens=8;close=3",
  failing: "mock;status=500",
  stalls: "mock;stall=2",
};

function configurationFor(upstream: string): string {
  return JSON.stringify({
    tenants: Object.entries(TENANTS).map(([id, { limits, budget, guard, keyLimits }]) => ({
      id,
      api_keys: [{ id: "web", secret: keyOf(id), ...(keyLimits && { limits: keyLimits }) }],
      ...(limits && { limits }),
      ...(budget && { budget }),
      ...(guard && { guard }),
    })),
    guards: [{ name: "watchful", on: ["completion"], patterns: { email: "flag" } }],
    models: [
      ...Object.entries(BEHAVIOURS).map(([name, upstream_model]) => ({
        name, pool: name === "stalls" ? "hasty" : "mock", upstream_model, max_output_tokens: 100, price: PRICE,
      })),
      { name: "burst", pool: "scripted", price: PRICE },
    ],
    pools: [
      { name: "mock", endpoints: [{ url: upstream }] },
      { name: "hasty", endpoints: [{ url: upstream }], timeouts: { read: "1s" } },
      { name: "scripted", endpoints: [{ url: scripted.url }] },
    ],
    alerts: { webhook: `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/alerts` },
  });
}

let mock: Mock;
let scripted: ScriptedUpstream;
let gateway: Gateway;

/** What the webhook was told; it takes nothing at first. */
const alerts: { body: string; taken: boolean }[] = [];
const webhook = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk: Buffer) => (body += chunk.toString()));
  request.on("end", () => {
    const taken = alerts.length >= 2;
    alerts.push({ body, taken });
    response.writeHead(taken ? 204 : 503).end();
  });
});

beforeAll(async () => {
  [mock, scripted] = await Promise.all([startMock(), startScriptedUpstream()]);
  await new Promise<void>((resolve) => webhook.listen(0, "127.0.0.1", resolve));
  gateway = await startGateway({ config: configurationFor(mock.url), workers: 2 });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
  await scripted?.stop();
  webhook.close();
});

function ask(tenant: string, more: Record<string, unknown> = {}, signal?: AbortSignal): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }], ...more });
  return send(gateway.port, { path: CHAT, body, key: keyOf(tenant), ...(signal && { signal }) });
}

/**
 * Sends requests that are not answered, until some are refused because of those that hold what there is. Then their clients leave. Gives
 * the refusals.
 */
async function hold(tenant: string, count: number, most: number, more: Record<string, unknown> = {}): Promise<Answer[]> {
  const leaving = new AbortController();
  const refused: Answer[] = [];
  const asked = Array.from({ length: count }, async () => {
    const answer = await ask(tenant, { ...more, model: "held" }, leaving.signal).catch(() => undefined);
    if (answer !== undefined) refused.push(answer);
  });
  await eventually(`${count - most} are refused`, () => refused.length >= count - most);
  leaving.abort();
  await Promise.all(asked);
  expect(refused).toHaveLength(count - most);
  return refused;
}

/** How many requests of a tenant are under way. */
async function running(tenant: string): Promise<number | undefined> {
  const status = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as { limits: { tenant: string; running: number }[] };
  return status.limits.find((each) => each.tenant === tenant)?.running;
}

async function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway.journalLine(String(answer.headers["x-request-id"]));
}

function passed(answers: Answer[]): number {
  return answers.filter((answer) => answer.status === 200).length;
}

/** The rate limit headers of an answer. */
function standing(answer: Answer): Record<string, string> {
  return Object.fromEntries(
    Object.entries(answer.headers).flatMap(([name, value]) => (name.startsWith("x-ratelimit-") ? [[name.slice(12), String(value)]] : [])),
  );
}

/** What a line must have cost. */
function costOf(line: JournalLine): number {
  return (line.input_tokens - line.cached_input_tokens) * 1000 + line.cached_input_tokens * 500 + line.output_tokens * 2000;
}

describe("limits", () => {
  it("let exactly 100 of 200 requests pass that come at once", async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask("requests")));
    expect(passed(answers)).toBe(100);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expect(answer.status).toBe(429);
      expect(errorOf(answer)).toMatchObject({ type: "rate_limit_error", code: "rate_limit_exceeded" });
      const milliseconds = Number(answer.headers["retry-after-ms"]);
      expect(milliseconds).toBeGreaterThan(0);
      expect(milliseconds).toBeLessThanOrEqual(120000);
      expect(Number(answer.headers["retry-after"])).toBe(Math.ceil(milliseconds / 1000));
    }
  });

  it("never let more tokens be reserved than there are, and give back what was not used", async () => {
    const { reserved_tokens: each } = await lineOf(await ask("reserved", { max_tokens: 100 }));
    const refused = await hold("tokens", 100, Math.floor(2000 / each!), { max_tokens: 100 });
    expect(refused.map((answer) => errorOf(answer).code)).toEqual(refused.map(() => "tokens_exceeded"));
    // Nobody used more than a few tokens.
    await eventually("all have ended", async () => (await running("tokens")) === 0);
    const again = await Promise.all(Array.from({ length: 5 }, () => ask("tokens", { max_tokens: 100 })));
    expect(passed(again)).toBe(5);
  });

  it("bound the requests under way", async () => {
    const refused = await hold("concurrent", 20, 5);
    expect(refused.map((answer) => errorOf(answer).code)).toEqual(refused.map(() => "concurrency_exceeded"));
    await eventually("all have ended", async () => (await running("concurrent")) === 0);
    expect((await ask("concurrent")).status).toBe(200);
  });

  it("of a key hold besides those of its tenant", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask("together")));
    expect(passed(answers)).toBe(3);
    expect(answers.find(({ status }) => status === 429)!.text).toContain("API key web");
  });

  it("are told in headers", async () => {
    const first = await ask("headers", { max_tokens: 100 });
    expect(standing(first)).toMatchObject({ "limit-requests": "10", "remaining-requests": "9", "limit-tokens": "100000" });
    expect(standing(first)["reset-requests"]).toMatch(/^(1m\d+s|2m0s)$/);
    const line = await lineOf(first);
    expect(standing(first)["remaining-tokens"]).toBe(String(100000 - line.reserved_tokens!));
    expect(standing(await ask("headers"))["remaining-requests"]).toBe("8");
    expect(standing(await ask("free"))).toEqual({});
  });

  it("refuse for good what is larger than the whole limit", async () => {
    const answer = await ask("huge", { max_tokens: 100 });
    expect(answer.status).toBe(429);
    expect(errorOf(answer)).toMatchObject({ code: "tokens_exceeded" });
    expect(answer.headers["x-should-retry"]).toBe("false");
    expect(answer.headers["retry-after"]).toBeUndefined();
    expect(errorOf(answer).message).toMatch(/more than the whole limit of tenant huge, 50 tokens in any minute: lower max_tokens\.$/);
    expect((await ask("huge", { max_tokens: 20 })).status).toBe(200);
  });

  it("refuse what might be a number for the upstream and is none here", async () => {
    for (const members of [{ max_tokens: "100" }, { max_completion_tokens: -2 }, { n: "2" }, { n: 0 }, { n: 129 }]) {
      const answer = await ask("headers", members);
      expect(answer.status).toBe(400);
      expect(errorOf(answer)).toMatchObject({ code: "invalid_type", param: Object.keys(members)[0] });
      expect((await ask("free", members)).status).toBe(200);
    }
  });

  it("reach the upstream as a cap", async () => {
    await ask("free", { max_tokens: 100000, max_completion_tokens: 7 });
    const request = await mock.lastRequest();
    expect(JSON.parse(Buffer.from(request.body!, "base64").toString())).toMatchObject({ max_tokens: 100, max_completion_tokens: 7 });
  });
});

describe("what some clients send under limits", () => {
  it("is -1 for no cap: the model's own is reserved, and reaches the upstream", async () => {
    for (const member of ["max_tokens", "max_completion_tokens"]) {
      const answer = await ask("headers", { [member]: -1 });
      expect(answer.status).toBe(200);
      const request = await mock.lastRequest();
      expect(JSON.parse(Buffer.from(request.body!, "base64").toString())).toMatchObject({ [member]: 100 });
      const { reserved_tokens } = await gateway.journalLine(String(answer.headers["x-request-id"]));
      expect(reserved_tokens).toBeGreaterThan(100);
      expect(reserved_tokens).toBeLessThan(130);
    }
  });

  it("are prompts that are arrays of token ids: as many answers are reserved", async () => {
    const reserved = async (prompt: unknown): Promise<number> => {
      const body = JSON.stringify({ model: "chat", prompt, max_tokens: 50 });
      const answer = await send(gateway.port, { path: "/v1/completions", body, key: keyOf("endings") });
      expect(answer.status).toBe(200);
      return (await gateway.journalLine(String(answer.headers["x-request-id"]))).reserved_tokens!;
    };
    expect(await reserved([151644, 8948, 198])).toBe(3 + 50);
    expect(await reserved([[151644, 8948, 198], [1, 2]])).toBe(5 + 100);
    const body = JSON.stringify({ model: "chat", input: [[1, 2], [3]] });
    expect((await send(gateway.port, { path: "/v1/embeddings", body, key: keyOf("endings") })).status).toBe(200);
  });
});

describe("a budget", () => {
  it("stops requests when it is used up", async () => {
    // 20,000 nano-dollars. Each request costs 6*1000 + 4*500 + 20*2000 = 48,000: the first may begin.
    const first = await ask("spent");
    expect(first.status).toBe(200);
    expect(await lineOf(first)).toMatchObject({ cost_nano_usd: 48000, ending: "finished" });
    const second = await ask("spent");
    expect(second.status).toBe(429);
    expect(errorOf(second)).toMatchObject({ type: "insufficient_quota", code: "budget_exceeded" });
    expect(second.headers["x-should-retry"]).toBe("false");
    expect(await lineOf(second)).toMatchObject({ cost_nano_usd: 0, ending: "refused", status: 429 });
  });

  it("cuts a stream that crosses it, in order", async () => {
    const answer = await ask("cut", { model: "long", stream: true, stream_options: { include_usage: true } });
    expect(answer.status).toBe(200);
    const events = answer.text.trim().split("\n\n").map((event) => event.replace(/^data: /, ""));
    expect(events.at(-1)).toBe("[DONE]");
    const usage = JSON.parse(events.at(-2)!) as { usage: unknown };
    const last = JSON.parse(events.at(-3)!) as { choices: unknown };
    expect(last.choices).toEqual([{ index: 0, delta: {}, finish_reason: "length" }]);
    const line = await lineOf(answer);
    expect(line).toMatchObject({ ending: "budget_cut", usage_from: "counted" });
    expect(usage.usage).toMatchObject({ prompt_tokens: line.input_tokens, completion_tokens: line.output_tokens });
    expect(line.cost_nano_usd).toBe(costOf(line));
    // It stopped with the event that crossed the budget.
    expect(line.cost_nano_usd).toBeGreaterThan(40000);
    expect(line.cost_nano_usd).toBeLessThan(40000 + 10 * 2000);
    await eventually("the upstream is closed", async () => (await mock.counts()).open === 0);
    expect(errorOf(await ask("cut"))).toMatchObject({ code: "budget_exceeded" });
  });

  it.each(["burst", "guarded"])("cuts a stream that comes in one piece of 30 KB soon after it is used up, for the tenant %s", async (tenant) => {
    const event = `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta: { content: " token" }, padding: "p".repeat(60) }] })}\n\n`;
    const user = scripted.prepare({ pieces: [event.repeat(Math.floor(30_000 / event.length))], end: "open" });
    const answer = await ask(tenant, { model: "burst", stream: true, user });
    const line = await lineOf(answer);
    expect(line).toMatchObject({ status: 200, ending: "budget_cut" });
    // A token an event, of which 4 KB may be too many.
    expect(line.cost_nano_usd).toBeGreaterThan(40000);
    expect(line.cost_nano_usd).toBeLessThan(40000 + (4096 / event.length + 2) * 2000);
  });
});

describe("an alert", () => {
  it("is sent once for each share, and again if it was not taken", async () => {
    // 200,000 nano-dollars: half of them after the third request, all after the fifth.
    for (let count = 0; count < 6; count++) await lineOf(await ask("alerted"));
    const received = await eventually("both alerts", () => (alerts.filter(({ taken }) => taken).length === 2 ? alerts : undefined));
    const taken = received.filter((alert) => alert.taken).map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    taken.sort((left, right) => Number(left.share) - Number(right.share));
    expect(taken).toMatchObject([
      { event: "budget_alert", tenant: "alerted", share: 0.5, spent_usd: "0.000144000", budget_usd: "0.000200000", period: "week" },
      { event: "budget_alert", tenant: "alerted", share: 1, spent_usd: "0.000240000", budget_usd: "0.000200000", period: "week" },
    ]);
    // The webhook had failed at first: the same alert came again.
    expect(received.filter((alert) => !alert.taken).length).toBeGreaterThan(0);
    for (const alert of received) expect(taken.map(({ id }) => id)).toContain((JSON.parse(alert.body) as Record<string, unknown>).id);
    await sleep(1500);
    expect(alerts.filter((alert) => alert.taken)).toHaveLength(2);
    expect(errorOf(await ask("alerted"))).toMatchObject({ code: "budget_exceeded" });
  });
});

describe("what tenants cost", () => {
  it("is in the metrics", async () => {
    const before = await gateway.metrics();
    await ask("metered");
    await eventually("the cost", async () => {
      const cost = sumOf(await gateway.metrics(), "sluice_cost_usd_total", { tenant: "metered" });
      return Math.abs(cost - sumOf(before, "sluice_cost_usd_total", { tenant: "metered" }) - 0.000048) < 1e-12;
    });
    expect(sumOf(await gateway.metrics(), "sluice_budget_used_ratio", { tenant: "metered" })).toBeCloseTo(0.000048 / 2, 12);
  });
});

describe("every ending", () => {
  it("is charged by what was seen, and leaves nothing reserved", async () => {
    const finished = await ask("endings");
    expect(await lineOf(finished)).toMatchObject({ ending: "finished", usage_from: "upstream", cost_nano_usd: 48000 });
    const counted = await lineOf(await ask("endings", { model: "uncounted", stream: true }));
    expect(counted).toMatchObject({ ending: "finished", usage_from: "counted" });
    expect(counted.cost_nano_usd).toBe(costOf(counted));
    const died = await lineOf(await ask("endings", { model: "dies", stream: true }));
    expect(died).toMatchObject({ ending: "upstream_lost", usage_from: "counted" });
    expect(died.cost_nano_usd).toBe(costOf(died));
    expect(await lineOf(await ask("endings", { model: "failing" }))).toMatchObject({ status: 500, cost_nano_usd: 0 });
    const silent = await lineOf(await ask("endings", { model: "stalls", stream: true }));
    expect(silent).toMatchObject({ ending: "timed_out" });
    expect(silent.cost_nano_usd).toBe(costOf(silent));
    expect(await lineOf(await ask("endings", { model: "nobody" }))).toMatchObject({ ending: "refused", reserved_tokens: null, cost_nano_usd: 0 });
  });
});

describe("a worker that is killed", () => {
  it("gives back what it had under way", async () => {
    for (let round = 0; round < 3; round++) {
      // A client has the last byte a moment before its request is settled.
      await eventually("nothing is under way", async () => (await running("killed")) === 0);
      const open = Array.from({ length: 20 }, () => ask("killed", { model: "held" }).catch(() => undefined));
      await eventually("as many are under way as may be", async () => (await running("killed")) === 20);
      expect((await ask("killed")).status).toBe(429);
      for (const worker of gateway.workers()) process.kill(worker, "SIGKILL");
      await Promise.all(open);
      await eventually("nothing is under way", async () => {
        const all = await Promise.all(Array.from({ length: 20 }, () => ask("killed", { model: "slow", stream: true }).catch(() => undefined)));
        return all.filter((answer) => answer?.status === 200).length === 20;
      });
    }
  });
});
