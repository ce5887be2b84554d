import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ACCOUNT_KEY, CLIENT_KEY, configuration } from "../support/configuration.ts";
import { type Gateway, type JournalLine, readLines, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, post, send, sendBytes } from "../support/http_client.ts";
import { bodyOf, headersOf, type Mock, startMock } from "../support/mock.ts";
import { eventually, removeDirectory, temporaryDirectory } from "../support/processes.ts";
import { type RawUpstream, startRawUpstream } from "../support/raw_upstream.ts";

const CHAT = "/v1/chat/completions";
const HELLO = [{ role: "user", content: "hello" }];
/** The key of a tenant that may come from an address that no test has. */
const ELSEWHERE_KEY = "sk-sluice-key-that-works-elsewhere-0123";
const TENANTS = [
  { id: "acme", api_keys: [{ id: "web", secret: CLIENT_KEY }] },
  { id: "elsewhere", api_keys: [{ id: "far", secret: ELSEWHERE_KEY }], allow_ips: ["10.0.0.0/8"] },
];

/** What an upstream may say of an account, or would say in the gateway's name. */
const UPSTREAM_HEADERS = [
  "Access-Control-Allow-Origin: *",
  "Access-Control-Allow-Credentials: true",
  "Access-Control-Allow-Private-Network: true",
  "Access-Control-Max-Age: 600",
  "Refresh: 0; url=http://elsewhere.example.com/",
  "Link: <http://elsewhere.example.com/>; rel=preload",
  'Clear-Site-Data: "*"',
  "X-RateLimit-Limit-Requests: 4711",
  "X-RateLimit-Of-Another-Kind: 4711",
  "anthropic-ratelimit-tokens-remaining: 4711",
  "OpenAI-Organization: org-of-the-account",
  "OpenAI-Processing-Ms: 4711",
  "Set-Cookie: session=cookie-of-the-upstream",
  "Strict-Transport-Security: max-age=4711",
  "X-Request-Id: id-of-the-upstream",
  "X-Sluice-Model: model-of-the-upstream",
  "X-Accel-Redirect: /healthz",
];

function rawAnswer(status: string, type: string, body: string): string {
  const head = [`HTTP/1.1 ${status}`, `Content-Type: ${type}`, `Content-Length: ${body.length}`, ...UPSTREAM_HEADERS, "Connection: close"];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

const COMPLETION =
  '{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}';
const EVENTS = 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
const FAILURE = '{"error":{"message":"in its own words","type":"invalid_request_error","param":null,"code":null}}';

let mock: Mock;
let gateway: Gateway;
let upstreams: Record<"switching" | "talkative" | "streaming" | "failing", RawUpstream>;

beforeAll(async () => {
  mock = await startMock();
  upstreams = {
    switching: await startRawUpstream(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nbytes-of-another-protocol", false),
    talkative: await startRawUpstream(rawAnswer("200 OK", "application/json", COMPLETION), true),
    streaming: await startRawUpstream(rawAnswer("200 OK", "text/event-stream", EVENTS), true),
    failing: await startRawUpstream(rawAnswer("400 Bad Request", "application/json", FAILURE), true),
  };
  const keys = [{ id: "account", secret: ACCOUNT_KEY }];
  gateway = await startGateway({
    workers: 1,
    config: configuration({
      upstream: mock.url,
      pools: [
        { name: "claude", api: "anthropic", endpoints: [{ url: mock.url }], keys },
        ...Object.entries(upstreams).map(([name, { url }]) => ({ name, endpoints: [{ url }], keys })),
      ],
      poolModels: [
        { name: "claude", pool: "claude", upstream_model: "mock" },
        ...Object.keys(upstreams).map((name) => ({ name, pool: name })),
      ],
      more: { tenants: TENANTS },
    }),
  });
});

afterAll(async () => {
  await gateway?.stop();
  for (const upstream of Object.values(upstreams ?? {})) await upstream.stop();
  await mock?.stop();
});

function chat(document: object, options: Parameters<typeof post>[3] = {}): Promise<Answer> {
  return post(gateway.port, CHAT, { model: "chat", messages: HELLO, ...document }, options);
}

function idOf(answer: Answer): string {
  return String(answer.headers["x-request-id"]);
}

async function lineOf(answer: Answer): Promise<JournalLine> {
  return gateway.journalLine(idOf(answer));
}

interface AccessLine {
  id: string;
  status: number;
  path: string;
}

function accessLines(): AccessLine[] {
  return readLines(gateway.accessLog());
}

/** What the access log must say at the end, by the ids that clients got. It is written once a second. */
const logged = new Map<string, Partial<AccessLine>>();

/** A request of an identified client, as bytes. */
function bytesOf(body: string, headers: string[] = []): string {
  const head = [`POST ${CHAT} HTTP/1.1`, "Host: a", `Authorization: Bearer ${CLIENT_KEY}`, `Content-Length: ${Buffer.byteLength(body)}`];
  return `${[...head, ...headers].join("\r\n")}\r\n\r\n${body}`;
}

/** Connects, and waits until the connection stands. */
function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, "127.0.0.1");
    socket.once("error", reject);
    socket.once("connect", () => {
      resolve(socket);
    });
  });
}

describe("the list of models", () => {
  it.each([
    ["no key", "GET", "/v1/models", null, 401, "authentication_error", "invalid_api_key"],
    ["a wrong key", "GET", "/v1/models/chat", "sk-wrong", 401, "authentication_error", "invalid_api_key"],
    ["an unknown model", "GET", "/v1/models/nothing", CLIENT_KEY, 404, "invalid_request_error", "model_not_found"],
    ["another method", "POST", "/v1/models", CLIENT_KEY, 405, "invalid_request_error", "method_not_allowed"],
    ["another method, without a key", "DELETE", "/v1/models/chat", null, 405, "invalid_request_error", "method_not_allowed"],
    ["an address that is not the tenant's", "GET", "/v1/models", ELSEWHERE_KEY, 403, "permission_error", "address_not_allowed"],
  ])("is refused: %s", async (_, method, path, key, status, type, code) => {
    const answer = await send(gateway.port, { method, path, key });
    expect(answer.status).toBe(status);
    expect(errorOf(answer)).toMatchObject({ type, code });
    expect(answer.headers["content-type"]).toMatch(/^application\/json/);
    expect(answer.headers["x-should-retry"]).toBe("false");
    if (status === 401) expect(answer.headers["www-authenticate"]).toMatch(/^Bearer realm=/);
    if (status === 405) expect(answer.headers.allow).toBe("GET");
    expect(answer.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
    logged.set(idOf(answer), { status, path });
  });

  it("has a request id of its own when it is answered", async () => {
    const answers = [
      await send(gateway.port, { method: "GET", path: "/v1/models" }),
      await send(gateway.port, { method: "GET", path: "/v1/models/chat" }),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(answer.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
      logged.set(idOf(answer), { status: 200 });
    }
    expect(new Set(answers.map(idOf)).size).toBe(2);
  });
});

describe("a caller from an address that is not the tenant's", () => {
  it("is refused, and nothing goes upstream", async () => {
    const before = (await mock.counts()).started;
    const answer = await chat({}, { key: ELSEWHERE_KEY, headers: { "x-forwarded-for": "10.0.0.1" } });
    expect(answer.status).toBe(403);
    expect(errorOf(answer)).toMatchObject({ type: "permission_error", code: "address_not_allowed" });
    expect((await mock.counts()).started).toBe(before);
    expect(await lineOf(answer)).toMatchObject({ tenant: "elsewhere", key: "far", ending: "refused", attempts: 0 });
  });
});

describe("a body of 30 MB", () => {
  it("is walked while others are served", async () => {
    // The last byte lets the walk begin. Without rests in it, nothing that is asked after that byte is answered before it ends.
    const body = `{"model":"chat","messages":[{"role":"user","content":"${"a".repeat(30_000_000)}"}],"model":"chat"}`;
    const others = await Promise.all(Array.from({ length: 20 }, open));
    const large = await open();
    const answered: string[] = [];
    const ask = (socket: Socket, what: string): Promise<void> =>
      new Promise((resolve) => {
        socket.once("data", (data: Buffer) => {
          expect(data.toString("latin1")).toMatch(/^HTTP\/1\.1 200 /);
          answered.push(what);
          resolve();
        });
        socket.write("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
      });
    await new Promise((resolve) => large.write(bytesOf(body).slice(0, -1), resolve));
    for (let round = 0; round < 3; round++) await Promise.all(others.map((other) => ask(other, "before")));
    expect(answered).toHaveLength(60);
    const refused = new Promise<string>((resolve) => {
      large.once("data", (data: Buffer) => {
        answered.push("large");
        resolve(data.toString("latin1"));
      });
    });
    large.write("}");
    const asked = others.map((other) => ask(other, "after"));
    expect(await refused).toContain("duplicate_key");
    await Promise.all(asked);
    for (const socket of [...others, large]) socket.destroy();
    expect(answered.slice(60).indexOf("large")).toBeGreaterThanOrEqual(10);
  });
});

describe("an upstream that changes protocols unasked", () => {
  it("gets no pipe to the client", async () => {
    const socket = await open();
    let received = "";
    socket.on("data", (data: Buffer) => (received += data.toString("latin1")));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    // The connection may be reset under what is written into it.
    socket.on("error", () => socket.destroy());
    socket.write(bytesOf('{"model":"switching","messages":[]}', ["Connection: upgrade", "Upgrade: websocket"]));
    await eventually("the request at the upstream", () => upstreams.switching.received().includes('"switching"'));
    for (let round = 0; round < 10 && !socket.destroyed; round++) {
      socket.write("bytes-into-the-pipe");
      await sleep(20);
    }
    await closed;
    expect(upstreams.switching.received()).not.toContain("bytes-into-the-pipe");
    expect(upstreams.switching.received()).not.toMatch(/upgrade/i);
    expect(received).not.toContain("bytes-of-another-protocol");
    expect(received).not.toMatch(/^HTTP\/1\.1 101/);
    // Lines of other requests may be on their way still; this model is asked for here only.
    const line = await eventually("its line in the journal", () => gateway.journal().find(({ model }) => model === "switching"));
    expect(line).toMatchObject({ ending: "upstream_lost", output_tokens: 0 });
    await eventually("the end of the upstream's connection", () => upstreams.switching.open() === 0);
  });
});

describe("members in disguise", () => {
  it.each([
    ['{"model":"chat","Model":"other","messages":[]}'],
    ['{"Model":"other","model":"chat","messages":[]}'],
    ['{"model":"chat","\\u004dODEL":"other","messages":[]}'],
    ['{"model":"chat","STREAM":true,"messages":[]}'],
    ['{"model":"chat","Max_Tokens":100000,"messages":[]}'],
    ['{"model":"chat","\u017ftream":true,"messages":[]}'],
    ['{"model":"chat","\\u017ftream":true,"messages":[]}'],
    ['{"model":"chat","max_to\u212aens":100000,"messages":[]}'],
  ])("are refused: %s", async (body) => {
    const before = (await mock.counts()).started;
    const answer = await send(gateway.port, { body });
    expect(answer.status).toBe(400);
    expect(errorOf(answer)).toMatchObject({ type: "invalid_request_error", code: "duplicate_key" });
    expect((await mock.counts()).started).toBe(before);
  });

  it.each([
    ['{"model":"chat","messages":[{"role":"user","content":"a","Model":"x","STREAM":true}]}'],
    ['{"model":"chat","messages":[],"metadata":{"Model":"x","\u017ftream":true}}'],
  ])("pass deeper inside, where they mean nothing: %s", async (body) => {
    const answer = await send(gateway.port, { body });
    expect(answer.status).toBe(200);
    expect(bodyOf(await mock.lastRequest()).toString()).toBe(body.replace('"chat"', '"mock"'));
  });
});

describe("headers", () => {
  it.each([
    ["a body", "talkative", {}, 200, COMPLETION],
    ["a stream", "streaming", { stream: true }, 200, EVENTS],
    ["an error", "failing", {}, 400, FAILURE],
  ])("of the upstream's account and name do not come with %s", async (_, model, more, status, body) => {
    const answer = await chat({ model, ...more });
    expect(answer.status).toBe(status);
    expect(answer.text).toBe(body);
    const seen = JSON.stringify(answer.headers);
    for (const mark of ["access-control", "elsewhere.example.com", "4711", "of-the-account", "of-the-upstream", "clear-site-data"]) {
      expect(seen, mark).not.toContain(mark);
    }
    // The gateway's own, in streams.
    expect(answer.headers["x-accel-buffering"]).toBe("stream" in more ? "no" : undefined);
    delete answer.headers["x-accel-buffering"];
    for (const name of Object.keys(answer.headers)) {
      expect(name).not.toMatch(/^(refresh|link|set-cookie|strict-transport-security|openai-.*|anthropic-.*|.*ratelimit.*|x-accel-.*)$/);
    }
    expect(answer.headers["x-sluice-model"]).toBe(model);
  });

  it.each(["2023-06-01", "tools-2024-04-04,context_1m.2"])("that Anthropic's API knows are passed on: %s", async (value) => {
    await post(gateway.port, "/v1/messages", { model: "claude", max_tokens: 9, messages: HELLO }, {
      headers: { "anthropic-version": value, "anthropic-beta": value },
    });
    const request = await mock.lastRequest();
    expect(headersOf(request, "anthropic-version")).toEqual([value]);
    expect(headersOf(request, "anthropic-beta")).toEqual([value]);
  });

  it.each(["2023-06-01\x7f", "2023\t06", "\xff\xfe", '"2023-06-01"', "2023-06-01;x=y", "<2023>", "%0d%0aX-Forged: b"])(
    "that Anthropic's API knows are not passed on with odd bytes: %j",
    async (value) => {
      const body = '{"model":"claude","max_tokens":9,"messages":[]}';
      const bytes = bytesOf(body, [`Anthropic-Version: ${value}`, `Anthropic-Beta: ${value}`, "Connection: close"]).replace(CHAT, "/v1/messages");
      const answer = await sendBytes(gateway.port, Buffer.from(bytes, "latin1"));
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      const request = await mock.lastRequest();
      expect(headersOf(request, "anthropic-version")).toEqual([]);
      expect(headersOf(request, "anthropic-beta")).toEqual([]);
      expect(JSON.stringify(request.headers)).not.toContain("X-Forged");
    },
  );

  it("of the client are none of the upstream's business", async () => {
    await chat({}, {
      headers: {
        Host: "host-of-the-client.example.com",
        Cookie: "a=of-the-client",
        "X-Sluice-Tenant": "of-the-client",
        "X-Sluice-Anything": "of-the-client",
        "X-Forwarded-For": "of-the-client",
        "X-Request-Id": "of-the-client",
        "User-Agent": "of-the-client",
        "X-Anything": "of-the-client",
        "Accept-Language": "of-the-client",
        "Content-Type": "application/json; x=of-the-client",
        "Transfer-Encoding": "chunked",
      },
      chunked: { size: 1000 },
    });
    const request = await mock.lastRequest();
    expect(JSON.stringify(request.headers)).not.toContain("of-the-client");
    expect(headersOf(request, "host")).toEqual([mock.url.replace("http://", "")]);
    expect(request.headers.map(([name]) => name.toLowerCase()).sort()).toEqual([
      "authorization", "content-length", "content-type", "host", "traceparent", "user-agent", "x-request-id",
    ]);
  });
});

describe("a malformed request", () => {
  const KNOWN = `Host: a\r\nAuthorization: Bearer ${CLIENT_KEY}\r\nConnection: close\r\n`;

  it.each([
    ["a request line that is none", "GARBAGE\r\n\r\n", "400"],
    ["a method in lower case", `get /v1/models HTTP/1.1\r\n${KNOWN}\r\n`, "400"],
    ["a path with a NUL", `GET /v1/\0models HTTP/1.1\r\n${KNOWN}\r\n`, "400"],
    ["a path that leaves the root", `GET /../../etc/passwd HTTP/1.1\r\n${KNOWN}\r\n`, "400"],
    ["a path with a broken escape", `GET /v1/%zz HTTP/1.1\r\n${KNOWN}\r\n`, "400"],
    ["no Host", "GET /v1/models HTTP/1.1\r\n\r\n", "400"],
    ["two Hosts", `GET /v1/models HTTP/1.1\r\nHost: b\r\n${KNOWN}\r\n`, "400"],
    ["a header with a NUL", `GET /v1/models HTTP/1.1\r\nX-A: a\0b\r\n${KNOWN}\r\n`, "400"],
    ["two credentials", `GET /v1/models HTTP/1.1\r\nAuthorization: Bearer other\r\n${KNOWN}\r\n`, "400"],
    ["a length that is no number", `POST ${CHAT} HTTP/1.1\r\nContent-Length: abc\r\n${KNOWN}\r\n`, "400"],
    ["a chunk that is none", `POST ${CHAT} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${KNOWN}\r\nzz\r\n\r\n`, "400"],
    ["a URI of 40 KB", `GET /${"a".repeat(40_000)} HTTP/1.1\r\n${KNOWN}\r\n`, "414"],
    ["a header of 40 KB", `GET /v1/models HTTP/1.1\r\nX-A: ${"a".repeat(40_000)}\r\n${KNOWN}\r\n`, "(?:400|431)"],
    ["TRACE", `TRACE ${CHAT} HTTP/1.1\r\n${KNOWN}\r\n`, "405"],
    ["CONNECT", `CONNECT a:443 HTTP/1.1\r\n${KNOWN}\r\n`, "(?:400|405)"],
  ])("is refused in the error's shape, with an id: %s", async (_, bytes, status) => {
    const before = (await mock.counts()).started;
    const known = gateway.errorLog().length;
    const answer = await sendBytes(gateway.port, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    expect(head).toMatch(/^content-type: application\/json\r?$/im);
    const ids = [...head.matchAll(/^x-request-id: (\S*)\r?$/gim)].map((match) => match[1]);
    expect(ids).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect(JSON.parse(body)).toMatchObject({ error: { type: "invalid_request_error", code: expect.any(String) as string } });
    logged.set(String(ids[0]), { status: Number(answer.slice(9, 12)) });
    expect(gateway.errorLog().slice(known)).not.toMatch(/uninitialized|lua/i);
    expect((await mock.counts()).started).toBe(before);
  });

  it("is refused in the error's shape, with an id: plain text where TLS is spoken", async () => {
    const answer = await sendBytes(gateway.httpsPort, `GET /v1/models HTTP/1.1\r\n${KNOWN}\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toMatch(/x-request-id: [0-9a-f]{32}/i);
    expect(answer).toContain('"type":"invalid_request_error"');
  });

  it.each([
    ["a coding that nobody knows", `POST ${CHAT} HTTP/1.1\r\nTransfer-Encoding: surprise\r\n${KNOWN}\r\n`],
    ["a version that nobody knows", `GET /v1/models HTTP/3.7\r\n${KNOWN}\r\n`],
  ])("is no failure of the gateway's own: %s", async (_, bytes) => {
    const answer = await sendBytes(gateway.port, bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 (400|501|505) /);
    expect(answer).toMatch(/x-request-id: [0-9a-f]{32}/i);
    expect(answer).toContain('"type":"invalid_request_error"');
    expect(answer).toMatch(/x-should-retry: false/i);
  });
});

describe("a stream of messages that tells only where it begins how much it is", () => {
  const LONG = { model: "claude", max_tokens: 500, stream: true, messages: HELLO };

  it("is counted from what was seen when the upstream breaks off", async () => {
    const counted: number[] = [];
    for (const events of [6, 40]) {
      const answer = await post(gateway.port, "/v1/messages", { ...LONG, mock: `tokens=60;prompt=77;close=${events}` });
      expect(answer.text).toContain('"output_tokens":1');
      expect(answer.text).not.toContain('"type":"message_delta"');
      const line = await lineOf(answer);
      expect(line).toMatchObject({ ending: "upstream_lost", input_tokens: 77, usage_from: "counted" });
      counted.push(line.output_tokens);
    }
    const [few = 0, many = 0] = counted;
    expect(few).toBeGreaterThan(1);
    expect(many).toBeGreaterThan(few * 3);
  });

  it("is counted from what was seen when the client leaves", async () => {
    const leave = new AbortController();
    let seen = 0;
    const answer = await post(gateway.port, "/v1/messages", { ...LONG, mock: "tokens=400;interval=5;prompt=77" }, {
      signal: leave.signal,
      onData: (data) => {
        seen += data.toString().match(/"type":"text_delta"/g)?.length ?? 0;
        if (seen >= 20) leave.abort();
      },
    });
    expect(seen).toBeLessThan(400);
    const line = await lineOf(answer);
    expect(line).toMatchObject({ ending: "client_gone", input_tokens: 77, usage_from: "counted" });
    expect(line.output_tokens).toBeGreaterThan(10);
  });

  it("is counted from the usage when it came to its end", async () => {
    const answer = await post(gateway.port, "/v1/messages", { ...LONG, mock: "tokens=5;completion=333" });
    expect(await lineOf(answer)).toMatchObject({ ending: "finished", output_tokens: 333, usage_from: "upstream" });
  });
});

describe("requests one after another", () => {
  it("leave nothing to the next one on their connection", async () => {
    const good = '{"model":"chat","stream":true,"messages":[{"role":"user","content":"hello"}],"stream_options":{"include_usage":true}}';
    const requests = [
      bytesOf(good),
      bytesOf('{"model":"nothing","messages":[]}'),
      bytesOf('{"model":"chat","messages":[],"mock":"prompt=50;completion=60;cached=40"}'),
      bytesOf('{"model":"chat",'),
      bytesOf(good).replace(CLIENT_KEY, "sk-wrong"),
      bytesOf(good).replace(CHAT, "/v1/nothing"),
      bytesOf('{"model":"chat","stream":true,"messages":[],"mock":"status=400;message=no"}'),
      bytesOf('{"model":"talkative","messages":[]}'),
      bytesOf(`{"model":"streaming","stream":true,"messages":["${"many words ".repeat(50)}"]}`, ["Connection: close"]),
    ];
    const text = await sendBytes(gateway.port, requests.join(""));
    const answers = text.split(/(?=HTTP\/1\.1 \d)/);
    expect(answers.map((answer) => answer.slice(9, 12))).toEqual(["200", "404", "200", "400", "401", "404", "400", "200", "200"]);
    const ids = answers.map((answer) => /^x-request-id: (\S+)\r$/im.exec(answer)?.[1] ?? "");
    expect(new Set(ids).size).toBe(requests.length);
    const marked = answers.map((answer) => /^x-sluice-(model|pool|attempts): /im.test(answer));
    expect(marked).toEqual([true, false, true, false, false, false, true, true, true]);

    const nothing = {
      model: null, pool: null, endpoint: null, attempts: 0, ending: "refused", input_tokens: 0, cached_input_tokens: 0,
      output_tokens: 0, usage_from: null, first_token_ms: null,
    };
    const line = (index: number): Promise<JournalLine> => gateway.journalLine(ids[index] ?? "");
    expect(await line(0)).toMatchObject({ model: "chat", attempts: 1, ending: "finished", usage_from: "upstream" });
    expect(await line(1)).toMatchObject({ ...nothing, status: 404 });
    expect(await line(2)).toMatchObject({ input_tokens: 50, cached_input_tokens: 40, output_tokens: 60, ending: "finished" });
    expect(await line(3)).toMatchObject({ ...nothing, status: 400 });
    expect(await line(6)).toMatchObject({ model: "chat", status: 400, output_tokens: 0, first_token_ms: null, usage_from: null });
    const talkative = await line(7);
    expect(talkative).toMatchObject({ model: "talkative", pool: "talkative", input_tokens: 7, cached_input_tokens: 0, output_tokens: 3 });
    expect(talkative.endpoint).toContain(upstreams.talkative.url.replace("http://", ""));
    const streaming = await line(8);
    expect(streaming).toMatchObject({ model: "streaming", pool: "streaming", cached_input_tokens: 0, usage_from: "counted" });
    expect(streaming.input_tokens).toBeGreaterThan(50);
    const known = gateway.journal().map(({ id }) => id);
    expect(known).not.toContain(ids[4]);
    expect(known).not.toContain(ids[5]);
  });
});

describe("300 requests of every kind, 20 at a time, whose clients leave as they like", () => {
  const inflight = async (): Promise<number> => sumOf(await gateway.metrics(), "sluice_upstream_inflight");

  /** Numbers from 0 to 1 that are the same in each run. */
  function numbers(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state / 2147483648;
    };
  }

  it("are each told once, and leave nothing behind", async () => {
    const next = numbers(4711);
    const kinds: { document: object; options?: Parameters<typeof post>[3]; path?: string; journal: boolean }[] = [
      { document: {}, journal: true },
      { document: { stream: true, mock: "tokens=20;interval=2" }, journal: true },
      { document: { stream: true, mock: "tokens=20;interval=2;close=7" }, journal: true },
      { document: { mock: "delay=30" }, journal: true },
      { document: { mock: "close=40" }, journal: true },
      { document: { mock: "reset=header" }, journal: true },
      { document: { mock: "status=500" }, journal: true },
      { document: { model: "nothing" }, journal: true },
      { document: {}, options: { key: "sk-wrong" }, journal: false },
      { document: {}, path: "/v1/nothing", journal: false },
      { document: { model: "claude", max_tokens: 9, stream: true, mock: "interval=2" }, path: "/v1/messages", journal: true },
    ];
    const known = gateway.errorLog().length;
    const answered: { id: string; journal: boolean }[] = [];
    let begun = 0;
    let busiest = 0;
    const work = async (): Promise<void> => {
      while (begun < 300) {
        begun++;
        const kind = kinds[Math.floor(next() * kinds.length)];
        if (kind === undefined) throw new Error("there is a kind for each number");
        const leave = new AbortController();
        const patience = next() < 0.4 ? next() * 40 : undefined;
        const timer = patience === undefined ? undefined : setTimeout(() => { leave.abort(); }, patience);
        const document = { model: "chat", messages: HELLO, ...kind.document };
        const answer = await post(gateway.port, kind.path ?? CHAT, document, { ...kind.options, signal: leave.signal }).catch(() => undefined);
        clearTimeout(timer);
        if (answer !== undefined) answered.push({ id: idOf(answer), journal: kind.journal });
        if (begun % 30 === 0) busiest = Math.max(busiest, await inflight());
      }
    };
    await Promise.all(Array.from({ length: 20 }, work));

    expect(answered.length).toBeGreaterThan(100);
    expect(answered.length).toBeLessThan(300);
    expect(busiest).toBeGreaterThan(0);
    await eventually("an end of all attempts", async () => (await inflight()) === 0);
    const ids = (): string[] => gateway.journal().map(({ id }) => id);
    const told = await eventually("a line for each", () => {
      const known = ids();
      return answered.every(({ id, journal }) => !journal || known.includes(id)) && known;
    });
    expect(new Set(told).size).toBe(told.length);
    for (const { id, journal } of answered) expect(told.includes(id), id).toBe(journal);
    expect(new Set(answered.map(({ id }) => id)).size).toBe(answered.length);
    expect(gateway.errorLog().slice(known)).not.toMatch(/lua entry thread|runtime error|failed to run|stack traceback|\[(alert|crit|emerg)\]/);
    await eventually("the upstream has nothing open", async () => (await mock.counts()).open === 0);
  });
});

describe("the journal", () => {
  it("goes on in a new file when it is rotated under load, and loses no line", async () => {
    const path = join(gateway.runDir, "logs/usage.jsonl");
    const ids: string[] = [];
    let loading = true;
    const load = Array.from({ length: 4 }, async () => {
      while (loading) ids.push(idOf(await chat({})));
    });
    await eventually("a few requests", () => ids.length > 20);
    renameSync(path, `${path}.1`);
    await eventually("a new file with a line", () => existsSync(path) && readFileSync(path).length > 0);
    const before = ids.length;
    await eventually("a few more requests", () => ids.length > before + 20);
    loading = false;
    await Promise.all(load);
    const lines = (file: string): string[] =>
      readLines<JournalLine>(readFileSync(file, "utf8")).map(({ id }) => id);
    // A line is written when its answer has been sent.
    await eventually("a line for each answer", () => {
      const told = new Set([...lines(`${path}.1`), ...lines(path)]);
      return ids.every((id) => told.has(id));
    });
    const [old, fresh] = [lines(`${path}.1`), lines(path)];
    expect(new Set([...old, ...fresh]).size).toBe(old.length + fresh.length);
    expect(fresh.length).toBeGreaterThan(20);
  });

  it("on a full disk stops no traffic, and its lost lines are counted", async () => {
    const directory = temporaryDirectory("sluice-full-disk");
    const runDir = join(directory, "run");
    mkdirSync(join(runDir, "logs"), { recursive: true });
    symlinkSync("/dev/full", join(runDir, "logs/usage.jsonl"));
    const full = await startGateway({ config: configuration({ upstream: mock.url }), directory });
    try {
      for (let round = 0; round < 10; round++) {
        const stream = round % 2 === 0;
        const answer = await post(full.port, CHAT, { model: "chat", messages: HELLO, stream });
        expect(answer.status).toBe(200);
        expect(answer.complete).toBe(true);
      }
      await eventually("the metric", async () => sumOf(await full.metrics(), "sluice_journal_lost_total") === 10);
      expect(readFileSync(join(runDir, "logs/error.log"), "utf8")).toMatch(/lines of the usage journal are lost/);
    } finally {
      await full.stop();
      removeDirectory(directory);
    }
  });
});

describe("a node that is to be drained", () => {
  it("is not ready, and serves on, until it isn't to be drained", async () => {
    const drain = join(gateway.runDir, "drain");
    const ready = async (): Promise<number> => (await fetch(`${gateway.adminUrl}/readyz`)).status;
    expect(await ready()).toBe(200);
    writeFileSync(drain, "");
    expect(await ready()).toBe(503);
    expect((await chat({})).status).toBe(200);
    expect((await fetch(`${gateway.adminUrl}/healthz`)).status).toBe(200);
    rmSync(drain);
    expect(await ready()).toBe(200);
  });
});

describe("100,000 keys in a file", () => {
  const secretOf = (index: number): string => `sk-sluice-one-of-many-keys-${index}`;
  const lineFor = (index: number): string => `key-${index} ${createHash("sha256").update(secretOf(index)).digest("hex")}\n`;

  it("all work, and one more does as soon as it is in the file", async () => {
    const file = Array.from({ length: 100_000 }, (_, index) => lineFor(index)).join("");
    const tenants = [{ id: "many", api_keys_file: "many.keys" }];
    const many = await startGateway({
      config: configuration({ upstream: mock.url, more: { tenants } }),
      files: { "many.keys": file },
    });
    const ask = (index: number): Promise<Answer> =>
      post(many.port, CHAT, { model: "chat", messages: HELLO }, { key: secretOf(index) });
    try {
      for (const index of [0, 50_000, 99_999]) {
        const answer = await ask(index);
        expect(answer.status).toBe(200);
        expect(Number(answer.headers["x-sluice-overhead-ms"])).toBeGreaterThan(0);
        expect(await many.journalLine(idOf(answer))).toMatchObject({ tenant: "many", key: `key-${index}` });
      }
      expect((await ask(100_000)).status).toBe(401);
      const workers = many.workers();
      let loading = true;
      const statuses: number[] = [];
      const load = Array.from({ length: 2 }, async () => {
        while (loading) statuses.push((await ask(99_999).catch(() => ({ status: 0 }))).status);
      });
      many.writeFile("many.keys", file + lineFor(100_000));
      await eventually("the new key", async () => (await ask(100_000)).status === 200);
      await eventually("many have been served meanwhile", () => statuses.length > 50);
      loading = false;
      await Promise.all(load);
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
      expect((await ask(0)).status).toBe(200);
      expect(many.workers()).toEqual(workers);
    } finally {
      await many.stop();
    }
  });
});

describe("the logs of all this", () => {
  it("give every request an id, and tell of no mistake in the gateway", async () => {
    const answer = await send(gateway.port, { method: "GET", path: "/v1/models" });
    await eventually("the last line", () => accessLines().some(({ id }) => id === idOf(answer)));
    for (const [id, wanted] of logged) expect(accessLines().find((line) => line.id === id), id).toMatchObject(wanted);
    expect(logged.size).toBeGreaterThan(20);
    const lines = accessLines();
    expect(lines.length).toBeGreaterThan(300);
    expect(lines.filter(({ id }) => !/^[0-9a-f]{32}$/.test(id))).toEqual([]);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
    expect(gateway.errorLog()).not.toMatch(/uninitialized|stack traceback|runtime error|\[(alert|crit|emerg)\]/);
  });
});
