/** Silence before an answer's header, and no connection: which of them is sent again, by what `retries.on` names, and whom it is blamed on. */

import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, type JournalLine, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, post } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";

const KEYS = ["acme", "umbrella"].map((id) => [id, `sk-sluice-client-key-of-${id}-0123456789`] as const);
const FAILURES = 2;

let mock: Mock;
let silent: Server;
let silentUrl = "";
let asked = 0;
let gateway: Gateway | undefined;
const sockets = new Set<Socket>();

beforeAll(async () => {
  mock = await startMock();
  silent = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("data", () => (asked += 1));
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  silentUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  asked = 0;
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  silent?.close();
  await mock?.stop();
});

interface Begin {
  urls?: string[];
  on?: (string | number)[];
  fallback?: boolean;
  timeouts?: object;
}

async function begin({ urls = [silentUrl], on, fallback, timeouts }: Begin): Promise<void> {
  gateway = await startGateway({
    workers: 1,
    config: JSON.stringify({
      tenants: KEYS.map(([id, secret]) => ({ id, api_keys: [{ id: "web", secret }] })),
      models: [{ name: "chat", pool: "gpu", ...(fallback === true && { fallback: ["other"] }) }, { name: "other", pool: "other", upstream_model: "mock" }],
      pools: [
        {
          name: "gpu", balance: "round_robin", endpoints: urls.map((url) => ({ url })), timeouts: timeouts ?? { read: "300ms" }, retries: { attempts: 3, backoff: "1ms", ...(on && { on }) },
          breaker: { failures: FAILURES, window: "600s", open: "600s" },
        },
        { name: "other", endpoints: [{ url: mock.url }] },
      ],
    }),
  });
}

function ask(stream: boolean, tenant = 0): Promise<Answer> {
  return post(gateway!.port, "/v1/chat/completions", { model: "chat", stream, messages: [{ role: "user", content: "hello" }] }, { key: KEYS[tenant]![1] });
}

function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway!.journalLine(String(answer.headers["x-request-id"]));
}

describe("silence before the header", () => {
  it.each([
    // `on`, or the default; how often a stream is sent, and how often another request.
    [undefined, 3, 1],
    [["timeout"], 3, 1],
    [["read_timeout"], 1, 3],
    [["timeout", "read_timeout"], 3, 3],
    [["connect", 504], 1, 1],
  ])("is sent again as `on` says: %j", async (on, stream, body) => {
    await begin({ on });
    for (const [streams, times] of [[true, stream], [false, body]] as const) {
      asked = 0;
      const answer = await ask(streams);
      expect(answer.status).toBe(504);
      expect(errorOf(answer)).toMatchObject({ type: "upstream_error", code: "upstream_timeout" });
      expect(asked).toBe(times);
      expect(answer.headers["x-sluice-attempts"]).toBe(String(times));
      expect(await lineOf(answer)).toMatchObject({ ending: "timed_out", timeout: "read", attempts: times, cost_nano_usd: 0 });
    }
  });

  it("leaves a request to another model only where it is listed", async () => {
    await begin({ fallback: true });
    expect((await ask(true)).headers["x-sluice-model"]).toBe("other");
    const silence = await ask(false);
    expect([silence.status, silence.headers["x-sluice-model"]]).toEqual([504, "chat"]);
    await gateway!.stop();
    await begin({ fallback: true, on: ["read_timeout"] });
    expect((await ask(false)).headers["x-sluice-model"]).toBe("other");
  });

  it("over an answer that may take long shuts no endpoint for one caller's sake, if it has served others", async () => {
    await begin({ urls: [mock.url, mock.url.replace("127.0.0.1", "localhost")] });
    async function opened(): Promise<number> {
      const status = (await (await fetch(`${gateway!.adminUrl}/status`)).json()) as { pools: { name: string; endpoints: { breaker: string }[] }[] };
      return status.pools.find(({ name }) => name === "gpu")!.endpoints.filter(({ breaker }) => breaker !== "closed").length;
    }
    for (let round = 0; round < 2; round++) expect((await ask(false, 1)).status).toBe(200);
    await mock.behave("mock;stall=header");
    for (let round = 0; round < FAILURES * 3; round++) expect((await ask(false)).status).toBe(504);
    expect(await opened()).toBe(0);
    // Two callers are more than one: with a failure of each, two of the three attempts that count have failed at the endpoint.
    expect((await ask(false, 1)).status).toBe(504);
    expect(await opened()).toBe(1);
    expect((await ask(false, 1)).status).toBe(504);
    expect(await opened()).toBe(2);
    await mock.behave("");
  });
});

describe("a connection that is not made in time", () => {
  it.each([
    [["connect"], 3],
    [["timeout"], 3],
    [["read_timeout", 504], 1],
  ])("is sent again as `on` says, whether a stream was asked for or not: %j", async (on, times) => {
    // An address that answers nobody (RFC 5737), or has no route, as some machines say at once: then it is refused.
    await begin({ urls: ["http://192.0.2.1:8000"], on, timeouts: { connect: "200ms" } });
    for (const stream of [true, false]) {
      const answer = await ask(stream);
      const timed_out = answer.status === 504;
      expect(await lineOf(answer)).toMatchObject({ timeout: timed_out ? "connect" : null, attempts: timed_out || on[0] !== "timeout" ? times : 1 });
    }
  });
});
