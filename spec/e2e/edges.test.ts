/** What must not get through at the edges: an upstream's headers in our name, bytes that break a log line; and what must not fill the error log. */

import { connect as connectTls, constants } from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ACCOUNT_KEY, CLIENT_KEY } from "../support/configuration.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, post, sendBytes } from "../support/http_client.ts";
import { eventually, freePorts } from "../support/processes.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const CHAT = "/v1/chat/completions";
const HELLO = [{ role: "user", content: "hello" }];
const BODY = '{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}';
const EVENTS = 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

let upstream: ScriptedUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  const [dead = 0, deadToo = 0] = await freePorts(2);
  const endpoints = [{ url: upstream.url }];
  gateway = await startGateway({
    workers: 1,
    config: JSON.stringify({
      tenants: [{ id: "acme", api_keys: [{ id: "web", secret: CLIENT_KEY }] }],
      models: ["plain", "account", "dead"].map((name) => ({ name, pool: name })),
      pools: [
        { name: "plain", endpoints },
        { name: "account", endpoints, keys: [{ id: "a", secret: ACCOUNT_KEY }] },
        {
          name: "dead", endpoints: [{ url: `http://127.0.0.1:${dead}` }, { url: `http://127.0.0.1:${deadToo}` }],
          retries: { attempts: 8, backoff: "1ms" }, breaker: { failures: 0 },
        },
      ],
    }),
  });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

describe("an upstream's headers", () => {
  /** Each with a value that no header of the gateway's has. */
  const STOPPED = [
    "X-Sluice-Model", "x-sluice-pool", "X-SLUICE-ATTEMPTS", "X-Sluice-Cache", "X-Sluice-Overhead-Ms", "X-Sluice-Asked-Model", "X-Sluice-", "X-Sluice-Of-Another-Time", "X-Sluice-With_Underscore",
    "x-sLuIcE-budget", "NEL", "Report-To", "Reporting-Endpoints", "Server-Timing", "Content-Disposition", "Location", "Accept-CH", "Service-Worker-Allowed",
  ];
  /** Names that only look like ours. */
  const PASSED = ["X-Sluic", "X-Sluice", "X-Sluices-Name", "X-Policy", "XX-Sluice-Name"];
  const CASES = ["plain", "account"].flatMap((model) => [200, 201, 400, 500].flatMap((status) => [false, true].map((stream): [string, number, boolean] => [model, status, stream])));

  /** A server's headers: these, behind and among so many others. */
  function headersOf(others: number): Record<string, string> {
    const headers: Record<string, string> = {};
    for (const name of [...STOPPED.slice(0, 3), ...PASSED]) headers[name] = "of-the-upstream";
    for (let index = 0; index < others; index++) headers[`X-Other-${index}`] = "of-the-upstream";
    for (const name of STOPPED.slice(3)) headers[name] = "of-the-upstream";
    return headers;
  }

  function expectStopped(answer: Answer): void {
    const values = Object.entries(answer.headers).filter(([, value]) => String(value).includes("of-the-upstream")).map(([name]) => name);
    const allowed = new Set(PASSED.map((name) => name.toLowerCase()));
    expect(values.filter((name) => !allowed.has(name) && !name.startsWith("x-other-"))).toEqual([]);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith("x-sluice-")).sort())
      .toEqual(["x-sluice-attempts", "x-sluice-model", "x-sluice-overhead-ms", "x-sluice-pool"]);
  }

  it.each(CASES)("stop at the gateway where they would speak in its name (%s, %i, a stream: %s)", async (model, status, stream) => {
    for (const others of [0, 1, 12, 60]) {
      const user = upstream.prepare({ status, headers: headersOf(others), ...(stream ? { pieces: [EVENTS] } : { pieces: [BODY], type: "application/json", length: true }) });
      const answer = await post(gateway.port, CHAT, { model, stream, messages: HELLO, user });
      expect(answer.status).toBe(status);
      expectStopped(answer);
      for (const name of PASSED) expect(answer.headers[name.toLowerCase()]).toBe("of-the-upstream");
      expect(Object.keys(answer.headers).filter((name) => name.startsWith("x-other-"))).toHaveLength(others);
      expect(answer.headers["x-sluice-model"]).toBe(model);
    }
  });
});

interface AccessLine {
  path: string;
  status: number;
  method: string;
  protocol: string;
}

/** The lines of the access log from a place on, each of which must be a JSON object in UTF-8, its text read strictly. */
async function linesFrom(start: number, count: number): Promise<AccessLine[]> {
  const text = await eventually(`${count} more lines in the access log`, () => {
    const bytes = Buffer.from(gateway.accessLogBytes().subarray(start));
    return bytes.filter((byte) => byte === 10).length >= count ? bytes : undefined;
  }, 20000);
  return new TextDecoder("utf-8", { fatal: true }).decode(text).split("\n").slice(0, -1).map((line) => JSON.parse(line) as AccessLine);
}

/** Requests on a connection each, so many at a time: one after the other unless told otherwise. Returns their lines, once there is one for each. */
async function logged(requests: (string | Buffer)[], atOnce = 1): Promise<AccessLine[]> {
  const start = gateway.accessLogBytes().length;
  const left = requests.values();
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (const text of left) await sendBytes(gateway.port, text, 2000).catch(() => "");
  }));
  return linesFrom(start, requests.length);
}

function request(target: Buffer | string, more = ""): Buffer {
  return Buffer.concat([Buffer.from("GET "), Buffer.isBuffer(target) ? target : Buffer.from(target, "latin1"), Buffer.from(` HTTP/1.1\r\nHost: a\r\n${more}Connection: close\r\n\r\n`)]);
}

describe("the access log", () => {
  const bytes = Array.from({ length: 256 }, (_, index) => index);

  it("is JSON in UTF-8 with any byte in the path, written out or in percent", async () => {
    const encoded = bytes.map((byte) => request(`/${byte.toString(16).padStart(2, "0").replace(/^/, "%")}x?key=secret-of-the-query`));
    const raw = bytes.map((byte) => request(Buffer.from([0x2f, byte, 0x78])));
    const inApi = bytes.map((byte) => request(`/v1/${`%${byte.toString(16).padStart(2, "0")}`}`));
    const lines = await logged([...encoded, ...raw, ...inApi], 32);
    expect(lines.length).toBeGreaterThanOrEqual(encoded.length + inApi.length);
    expect(JSON.stringify(lines)).not.toContain("secret-of-the-query");
    const paths = new Set(lines.map(({ path }) => path));
    for (const path of ["/%ffx", "/%80x", "/%c3x", "/%7fx", "/%0ax", "/ax", '/"x', "/\\x", "/v1/%ff"]) expect(paths).toContain(path);
  }, 120000);

  it("is JSON in UTF-8 with bytes that only look like UTF-8, and has good UTF-8 as it was sent", async () => {
    const sequences = ["c0af", "e080af", "eda080", "edbfbf", "f4908080", "f8888080", "c3", "e282", "f09f98", "c328", "fffe", "e4bda0", "c3a9", "f09f9880"];
    const targets = sequences.flatMap((digits) => [`/${digits.replace(/../g, "%$&")}/end`, `/v1/models/${digits.replace(/../g, "%$&")}`]);
    const raw = sequences.map((digits) => Buffer.concat([Buffer.from("/"), Buffer.from(digits, "hex"), Buffer.from("/end")]));
    const lines = await logged([...targets.map((target) => request(target)), ...raw.map((target) => request(target))]);
    for (const target of targets) expect(lines.map(({ path }) => path)).toContain(target);
    for (const line of lines.slice(targets.length)) expect(line.path).toBe("");
  });

  it("says what was asked for, without the query, and as nginx understood it", async () => {
    const targets = ["/v1/chat/completions?key=secret", "/V1/Chat/Completions", "/v1//chat/completions", "/v1/models?x=%ff", "/a%20b?%ff=\u00ff", "http://a/b?secret=1", "/a/../b"];
    const lines = await logged(targets.map((target) => request(target)));
    expect(lines.map(({ path }) => path)).toEqual(["/v1/chat/completions", "/V1/Chat/Completions", "/v1/chat/completions", "/v1/models", "/a b", "/b", "/b"]);
  });

  it("is JSON whatever else is broken about a request", async () => {
    const broken: (string | Buffer)[] = [
      "G\u00ffT / HTTP/1.1\r\n\r\n", "GET\r\n\r\n", "GET /\r\n", "GET / HTTP/1.1\r\nHost: \u00ff\r\n\r\n", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", "\u00ff\u00fe\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", `GET /${"a".repeat(40000)} HTTP/1.1\r\n\r\n`, request("/x", "Referer: \u00ff\r\nUser-Agent: \u00ff\"\\\r\nX-\u00ff: 1\r\n"),
      request("/healthz/"), "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "get / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    const lines = await logged(broken.map((text) => (Buffer.isBuffer(text) ? text : Buffer.from(text, "latin1"))));
    for (const { status } of lines) expect(Number.isInteger(status)).toBe(true);
  }, 60000);

  it("is JSON in UTF-8 over HTTP/2, and of streams that are given up", async () => {
    const start = gateway.accessLogBytes().length;
    const session = connectTls(gateway.httpsUrl, { rejectUnauthorized: false });
    const paths = ["/%ff", "/v1/%c3%28", "/\u00ff", "/plain?secret=1"];
    for (const path of paths) {
      await new Promise<void>((resolve) => {
        const stream = session.request({ ":path": path });
        stream.on("error", () => { resolve(); });
        stream.on("close", () => { resolve(); });
        stream.resume();
        stream.end();
      });
    }
    const given = session.request({ ":path": CHAT, ":method": "POST", authorization: `Bearer ${CLIENT_KEY}` });
    given.on("error", () => undefined);
    given.write("{");
    given.close(constants.NGHTTP2_CANCEL);
    await new Promise((resolve) => given.on("close", resolve));
    session.destroy();
    const lines = await linesFrom(start, paths.length);
    expect(lines.map(({ path }) => path)).toEqual(expect.arrayContaining(["/%ff", "/v1/%c3%28", "/plain"]));
    for (const { status } of lines) expect(Number.isInteger(status)).toBe(true);
  });
});

describe("pauses below a millisecond", () => {
  it("write no warning", async () => {
    for (let count = 0; count < 20; count++) expect((await post(gateway.port, CHAT, { model: "dead", messages: HELLO })).status).toBe(502);
    expect(gateway.errorLog()).not.toContain("ngx.sleep");
  });
});
