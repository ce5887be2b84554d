import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ACCOUNT_KEY, CLIENT_KEY, configuration } from "../support/configuration.ts";
import { type Gateway, startGateway, sumOf } from "../support/gateway.ts";
import { type Answer, errorOf, post, send, sendBytes } from "../support/http_client.ts";
import { bodyOf, headersOf, type Mock, startMock } from "../support/mock.ts";
import { eventually, freePorts } from "../support/processes.ts";

const HELLO = [{ role: "user", content: "hello" }];

let mock: Mock;
let gateway: Gateway;

beforeAll(async () => {
  mock = await startMock();
  const [nobody = 0] = await freePorts(1);
  gateway = await startGateway({
    config: configuration({
      upstream: mock.url,
      pools: [
        { name: "refused", endpoints: [{ url: `http://127.0.0.1:${nobody}` }] },
        { name: "impatient", endpoints: [{ url: mock.url }], timeouts: { read: "300ms" } },
        { name: "based", endpoints: [{ url: `${mock.url}/base/path` }] },
        { name: "claude", api: "anthropic", endpoints: [{ url: mock.url }], keys: [{ id: "account", secret: ACCOUNT_KEY }] },
      ],
      poolModels: [
        { name: "refused", pool: "refused" },
        { name: "impatient", pool: "impatient", upstream_model: "mock" },
        { name: "based", pool: "based", upstream_model: "mock" },
        { name: "garbled", pool: "mock", upstream_model: "mock" },
        { name: "claude", pool: "claude", upstream_model: "mock" },
      ],
    }),
  });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

function chat(document: object, options: Parameters<typeof post>[3] = {}): Promise<Answer> {
  return post(gateway.port, "/v1/chat/completions", { model: "chat", messages: HELLO, ...document }, options);
}

/** What was put into `before` to make `after`; undefined if anything else changed. */
function insertion(before: string, after: string): string | undefined {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  const rest = before.length - start;
  const end = after.length - rest;
  return end >= start && after.slice(end) === before.slice(start) ? after.slice(start, end) : undefined;
}

async function expectNothingUpstream(act: () => Promise<unknown>): Promise<void> {
  const before = (await mock.counts()).started;
  await act();
  expect((await mock.counts()).started).toBe(before);
}

describe("a body that is not strict JSON", () => {
  it.each([
    ["the same member twice", '{"model":"chat","model":"chat"}', "duplicate_key"],
    ["the same member twice, once with escapes", '{"model":"chat","\\u006dodel":"chat"}', "duplicate_key"],
    ["a member twice, deep inside", '{"model":"chat","a":[{"b":{"c":1,"c":1}}]}', "duplicate_key"],
    ["nothing", "", "invalid_json"],
    ["one byte", "{", "invalid_json"],
    ["text after it", '{"model":"chat"} x', "invalid_json"],
    ["a trailing comma", '{"model":"chat",}', "invalid_json"],
    ["a leading zero", '{"model":"chat","n":01}', "invalid_json"],
    ["NaN", '{"model":"chat","n":NaN}', "invalid_json"],
    ["a lone surrogate", '{"model":"chat","a":"\\ud800"}', "invalid_json"],
    ["a control character", '{"model":"chat","a":"\n"}', "invalid_json"],
    ["a byte order mark", '\ufeff{"model":"chat"}', "invalid_json"],
    ["129 levels", `{"model":"chat","a":${"[".repeat(129)}${"]".repeat(129)}}`, "invalid_json"],
  ])("is refused: %s", async (_, body, code) => {
    await expectNothingUpstream(async () => {
      const answer = await send(gateway.port, { body });
      expect(answer.status).toBe(400);
      expect(answer.headers["content-type"]).toMatch(/^application\/json/);
      expect(answer.headers["x-request-id"]).toBeTruthy();
      expect(answer.headers["x-should-retry"]).toBe("false");
      expect(errorOf(answer)).toMatchObject({ type: "invalid_request_error", code });
    });
  });

  it("is refused: bytes that are not UTF-8", async () => {
    const answer = await send(gateway.port, { body: Buffer.from('{"model":"chat","a":"\xc0\xaf"}', "latin1") });
    expect(errorOf(answer).code).toBe("invalid_json");
  });

  it.each(["[]", "1", '"chat"', "null", "{}", '{"model":7}', '{"model":null}', '{"messages":[]}'])(
    "is refused: %s names no model",
    async (body) => {
      const answer = await send(gateway.port, { body });
      expect(answer.status).toBe(400);
      expect(errorOf(answer).type).toBe("invalid_request_error");
    },
  );
});

describe("what reaches the upstream", () => {
  const ODD =
    '{ "z":9223372036854775807 ,"empty":[],"none":{}, "big":1e400,"third":0.30000000000000004,\t"exact":1.0,"minus":-0,\r\n' +
    '"model" : "chat" , "escaped":"\\u4f60\\/\\ud83d\\ude00", "messages":[{"role":"user","content":"a\\u0000b"}],"a":null}';

  it("is the body byte for byte, but for the model's name", async () => {
    const answer = await send(gateway.port, { body: ODD });
    expect(answer.status).toBe(200);
    const request = await mock.lastRequest();
    expect(bodyOf(request).toString()).toBe(ODD.replace('"chat"', '"mock"'));
    expect(headersOf(request, "content-length")).toEqual([String(bodyOf(request).length)]);
  });

  it("is the same in a stream, but for the usage that is asked for", async () => {
    const body = ODD.replace('"a":null', '"stream":true,"a":null');
    await send(gateway.port, { body });
    const received = bodyOf(await mock.lastRequest()).toString();
    const inserted = insertion(body.replace('"chat"', '"mock"'), received);
    expect(inserted).toMatch(/"stream_options"\s*:\s*\{\s*"include_usage"\s*:\s*true\s*\}/);
    expect(() => JSON.parse(received) as unknown).not.toThrow();
  });

  it("keeps the client's other stream options", async () => {
    for (const asked of [{ include_obfuscation: false }, { include_usage: false, include_obfuscation: false }, {}]) {
      await chat({ stream: true, stream_options: asked });
      const received = JSON.parse(bodyOf(await mock.lastRequest()).toString()) as { stream_options: object };
      expect(received.stream_options).toEqual({ ...asked, include_usage: true });
    }
    const body = '{"model":"chat","stream":true,"stream_options":{"include_usage":true,"x":[]},"messages":[]}';
    await send(gateway.port, { body });
    expect(bodyOf(await mock.lastRequest()).toString()).toBe(body.replace('"chat"', '"mock"'));
    await send(gateway.port, { body: body.replace('{"include_usage":true,"x":[]}', "null") });
    expect(bodyOf(await mock.lastRequest()).toString()).toContain('"include_usage":true');
  });

  it("asks for usage only where the API knows of it", async () => {
    await post(gateway.port, "/v1/responses", { model: "chat", input: "a", stream: true });
    expect(bodyOf(await mock.lastRequest()).toString()).toBe('{"model":"mock","input":"a","stream":true}');
    await post(gateway.port, "/v1/embeddings", { model: "chat", input: "a" });
    expect(bodyOf(await mock.lastRequest()).toString()).toBe('{"model":"mock","input":"a"}');
  });

  it("carries the account's key, and nothing of who the client is", async () => {
    const secrets = ["cookie-of-the-client", "org-of-the-client", "project-of-the-client", "forged-identity", CLIENT_KEY];
    await chat({}, {
      headers: {
        Cookie: "session=cookie-of-the-client",
        "OpenAI-Organization": "org-of-the-client",
        "OpenAI-Project": "project-of-the-client",
        "X-Sluice-Tenant": "forged-identity",
        "x-sluice-model": "forged-identity",
        "Proxy-Authorization": "Basic forged-identity",
        "api-key": "forged-identity",
        "Accept-Encoding": "gzip, br",
      },
    });
    const request = await mock.lastRequest();
    const headers = JSON.stringify(request.headers);
    for (const secret of secrets) expect(headers).not.toContain(secret);
    expect(headersOf(request, "authorization")).toEqual([`Bearer ${ACCOUNT_KEY}`]);
    for (const name of ["x-api-key", "api-key", "cookie", "x-sluice-tenant", "accept-encoding", "openai-organization"]) {
      expect(headersOf(request, name), name).toEqual([]);
    }
    expect(headersOf(request, "content-type")).toEqual(["application/json"]);
  });

  it.each(["x-api-key", "api-key"])("takes the client's key from %s, and does not pass it on", async (name) => {
    const answer = await chat({}, { key: null, headers: { [name]: CLIENT_KEY } });
    expect(answer.status).toBe(200);
    expect(JSON.stringify((await mock.lastRequest()).headers)).not.toContain(CLIENT_KEY);
  });

  it("carries no credential where the pool has none, and the base path where it has one", async () => {
    const answer = await chat({ model: "based" });
    expect(answer.status).toBe(200);
    const request = await mock.lastRequest();
    expect(request.uri).toBe("/base/path/v1/chat/completions");
    expect(headersOf(request, "authorization")).toEqual([]);
    expect(JSON.stringify(request.headers)).not.toContain(CLIENT_KEY);
  });

  it("goes to a fixed path, whatever the client wrote", async () => {
    for (const path of ["/v1/chat/completions?key=secret#x", "//v1//chat/completions", "/v1/./chat/completions", "/v1/chat%2Fcompletions"]) {
      const answer = await send(gateway.port, { path, body: '{"model":"chat","messages":[]}' });
      expect(answer.status, path).toBe(200);
      expect((await mock.lastRequest()).uri, path).toBe("/v1/chat/completions");
    }
    for (const path of ["/v1/completions", "/v1/embeddings", "/v1/responses"]) {
      await post(gateway.port, `${path}?x=1`, { model: "chat", input: "a", prompt: "a" });
      expect((await mock.lastRequest()).uri).toBe(path);
    }
  });

  it("speaks Anthropic's API to a pool that does", async () => {
    const document = { model: "claude", max_tokens: 9, messages: HELLO };
    const answer = await post(gateway.port, "/v1/messages", document, {
      key: null,
      headers: { "x-api-key": CLIENT_KEY, "anthropic-version": "2023-06-01" },
    });
    expect(answer.status).toBe(200);
    const request = await mock.lastRequest();
    expect(request.uri).toBe("/v1/messages");
    expect(headersOf(request, "x-api-key")).toEqual([ACCOUNT_KEY]);
    expect(headersOf(request, "authorization")).toEqual([]);
    expect(headersOf(request, "anthropic-version")).toEqual(["2023-06-01"]);
    const id = String(answer.headers["x-request-id"]);
    expect(await gateway.journalLine(id)).toMatchObject({ input_tokens: 11, output_tokens: 8, usage_from: "upstream" });
  });

  it("keeps the connections to the upstream", async () => {
    const connections = new Set<number>();
    for (let round = 0; round < 5; round++) {
      await chat({});
      connections.add((await mock.lastRequest()).connection);
    }
    expect(connections.size).toBe(1);
  });

  it("takes a trace on", async () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    await chat({}, { headers: { traceparent } });
    expect(headersOf(await mock.lastRequest(), "traceparent")[0]).toContain("4bf92f3577b34da6a3ce929d0e0e4736");
  });
});

describe("bodies of every size", () => {
  function sized(bytes: number): string {
    const frame = '{"model":"chat","messages":[{"role":"user","content":""}]}';
    return frame.replace('""', `"${"漢x".repeat(Math.floor((bytes - frame.length) / 4))}"`);
  }

  it.each([["5 MB", 5_000_000], ["31 MB", 31_000_000]])("pass whole: %s", async (_, bytes) => {
    const body = sized(bytes);
    const answer = await send(gateway.port, { body });
    expect(answer.status).toBe(200);
    const request = await mock.lastRequest();
    const expected = body.replace('"chat"', '"mock"');
    expect(request.body_length).toBe(Buffer.byteLength(expected));
    expect(request.body_sha1).toBe(createHash("sha1").update(expected).digest("hex"));
  });

  it.each([["5 KB", 5000, 100], ["5 MB", 5_000_000, 65536]])("pass whole in chunked coding: %s", async (_, bytes, size) => {
    const body = sized(bytes);
    const answer = await send(gateway.port, { body, chunked: { size } });
    expect(answer.status).toBe(200);
    const expected = body.replace('"chat"', '"mock"');
    expect((await mock.lastRequest()).body_sha1).toBe(createHash("sha1").update(expected).digest("hex"));
  });

  it("pass when they come slowly", async () => {
    const answer = await send(gateway.port, { body: sized(400), chunked: { size: 20, interval: 20 } });
    expect(answer.status).toBe(200);
  });

  it("do not pass when the client leaves in the middle", async () => {
    await expectNothingUpstream(async () => {
      await sendBytes(
        gateway.port,
        `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${CLIENT_KEY}\r\nContent-Length: 100\r\n\r\n{"model":"chat"`,
        300,
      );
    });
    expect((await chat({})).status).toBe(200);
  });

  it("are refused above 32 MB, announced or not", async () => {
    await expectNothingUpstream(async () => {
      const announced = await sendBytes(
        gateway.port,
        `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${CLIENT_KEY}\r\nContent-Length: 33554433\r\nConnection: close\r\n\r\n{`,
        2000,
      );
      expect(announced).toMatch(/^HTTP\/1\.1 413 /);
      expect(announced).toMatch(/content-type: application\/json/i);
      expect(announced).toMatch(/x-request-id: \S+/i);
      expect(announced).toContain('"code":"body_too_large"');
      const chunked = await send(gateway.port, { body: sized(34_500_000), chunked: { size: 262144 } });
      expect(chunked.status).toBe(413);
      expect(errorOf(chunked)).toMatchObject({ type: "invalid_request_error", code: "body_too_large" });
    });
  });

  it("are refused when they are compressed", async () => {
    await expectNothingUpstream(async () => {
      for (const encoding of ["gzip", "br", "deflate, gzip"]) {
        const answer = await send(gateway.port, {
          body: gzipSync('{"model":"chat","messages":[]}'),
          headers: { "content-encoding": encoding },
        });
        expect(answer.status).toBe(415);
        expect(errorOf(answer)).toMatchObject({ type: "invalid_request_error", code: "unsupported_encoding" });
      }
    });
  });

  it("can't be smuggled with two lengths", async () => {
    await expectNothingUpstream(async () => {
      const answer = await sendBytes(
        gateway.port,
        `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${CLIENT_KEY}\r\n` +
          'Content-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST /v1/chat/completions HTTP/1.1\r\n\r\n',
        1000,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    });
  });
});

describe("who may not pass", () => {
  it.each([
    ["no credential", {}],
    ["an empty one", { authorization: "Bearer " }],
    ["another scheme", { authorization: `Basic ${CLIENT_KEY}` }],
    ["a wrong key", { authorization: "Bearer sk-wrong" }],
    ["a key with more behind it", { authorization: `Bearer ${CLIENT_KEY}x` }],
  ])("gets a 401: %s", async (_, headers) => {
    await expectNothingUpstream(async () => {
      const answer = await chat({}, { key: null, headers });
      expect(answer.status).toBe(401);
      expect(answer.headers["www-authenticate"]).toMatch(/^Bearer realm=/);
      expect(errorOf(answer)).toMatchObject({ type: "authentication_error", code: "invalid_api_key" });
    });
  });

  it("gets a 404 or a 405 in the error shape", async () => {
    for (const path of ["/", "/v1", "/v1/", "/v1/chat", "/v1/files", "/metrics", "/status", "/v1/chat/completions/x"]) {
      const answer = await send(gateway.port, { method: "GET", path });
      expect(answer.status, path).toBe(404);
      expect(errorOf(answer)).toMatchObject({ type: "invalid_request_error", code: "unknown_url" });
      expect(answer.headers["x-request-id"]).toBeTruthy();
    }
    for (const [method, path] of [["GET", "/v1/chat/completions"], ["DELETE", "/v1/embeddings"], ["POST", "/v1/models"]]) {
      const answer = await send(gateway.port, { method, path, body: method === "POST" ? "{}" : "" });
      expect(answer.status, path).toBe(405);
      expect(errorOf(answer)).toMatchObject({ type: "invalid_request_error", code: "method_not_allowed" });
    }
  });
});

describe("what comes back", () => {
  it("is not the upstream's own business", async () => {
    const answer = await chat({});
    for (const name of Object.keys(answer.headers)) expect(name).not.toMatch(/^(set-cookie|openai-.*|x-ratelimit-.*)$/);
    expect(answer.headers["x-request-id"]).not.toBe("req_of_the_upstream");
    expect(answer.headers["x-sluice-model"]).toBe("chat");
    expect(answer.headers["x-sluice-pool"]).toBe("mock");
    expect(answer.headers["x-sluice-attempts"]).toBe("1");
    expect(Number(answer.headers["x-sluice-overhead-ms"])).toBeGreaterThanOrEqual(0);
  });

  it("is byte for byte what the upstream said", async () => {
    const direct = await post(mock.port, "/v1/chat/completions", { model: "mock", messages: HELLO, mock: "text=%01%2F%C3%A9" });
    const through = await chat({ mock: "text=%01%2F%C3%A9" });
    expect(through.body.equals(direct.body)).toBe(true);
  });

  it("has a request id of its own each time", async () => {
    const ids = new Set<string>();
    for (let round = 0; round < 5; round++) ids.add(String((await chat({})).headers["x-request-id"]));
    expect(ids.size).toBe(5);
  });

  it.each([401, 402, 403])("is not an upstream's %i, which may name the account", async (status) => {
    const answer = await chat({ mock: `status=${status};message=invoice-4711%20${ACCOUNT_KEY}` });
    // What a 403 is about is only known when its status has gone out.
    expect(answer.status).toBe(status === 403 ? 403 : 502);
    expect(answer.headers["x-should-retry"]).toBe("false");
    expect(errorOf(answer)).toMatchObject({ type: "upstream_error", code: "upstream_credentials_exhausted" });
    expect(answer.text).not.toContain("invoice-4711");
    expect(answer.text).not.toContain(ACCOUNT_KEY);
    expect(JSON.stringify(answer.headers)).not.toContain(ACCOUNT_KEY);
  });

  it.each([400, 404, 413, 422, 429, 500, 502, 503, 529])("is the upstream's own error: %i", async (status) => {
    const answer = await chat({ mock: `status=${status};message=in%20its%20own%20words;retry_after_ms=3` });
    expect(answer.status).toBe(status);
    expect(errorOf(answer).message).toBe("in its own words");
    expect(answer.headers["x-request-id"]).toBeTruthy();
    const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
    // Others could help with those: here nobody else is left.
    expect(line).toMatchObject({ status, attempts: status === 429 || status >= 500 ? 3 : 1 });
  });

  it("is a 502 when the upstream refuses, closes or resets", async () => {
    const refused = await chat({ model: "refused" });
    expect(refused.status).toBe(502);
    expect(errorOf(refused)).toMatchObject({ type: "upstream_error", code: "upstream_failed" });
    for (const how of ["close=header", "reset=header"]) {
      const answer = await chat({ mock: how });
      expect(answer.status, how).toBe(502);
      expect(errorOf(answer).code, how).toBe("upstream_failed");
      const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
      expect(line, how).toMatchObject({ status: 502, ending: "upstream_lost", output_tokens: 0 });
    }
  });

  it.each(["close=40", "reset=40"])("is not whole when the upstream died in the middle of it: %s", async (how) => {
    const answer = await chat({ mock: how });
    expect(answer.complete).toBe(false);
    const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
    expect(line).toMatchObject({ ending: "upstream_lost" });
  });

  it.each([false, true])("is refused or charged when it is compressed, though nobody asked for that (stream: %s)", async (stream) => {
    const answer = await chat({ mock: "gzip;prompt=50", stream });
    const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
    expect(line.status === 502 || line.input_tokens > 0).toBe(true);
  });

  it("is never taken for an answer when the upstream doesn't speak HTTP", async () => {
    const answer = await chat({ model: "garbled", mock: "garbage=header" }).catch(() => undefined);
    expect(answer?.status).not.toBe(200);
    // Lines of other requests may be on their way still; this model is asked for here only.
    const line = await eventually("its line in the journal", () => gateway.journal().find(({ model }) => model === "garbled"));
    expect(line).toMatchObject({ ending: "upstream_lost", output_tokens: 0 });
  });

  it("is a 504 when the upstream is silent for too long", async () => {
    const answer = await chat({ model: "impatient", mock: "stall=header" });
    expect(answer.status).toBe(504);
    expect(errorOf(answer)).toMatchObject({ type: "upstream_error", code: "upstream_timeout" });
    const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
    expect(line).toMatchObject({ status: 504, ending: "timed_out" });
  });

  it("speaks the API's own protocol in a refusal", async () => {
    const answer = await post(gateway.port, "/v1/messages", { model: "nothing", max_tokens: 1, messages: HELLO });
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text)).toMatchObject({ type: "error", error: { type: "not_found_error" } });
  });

  it("is counted", async () => {
    const before = await gateway.metrics();
    await chat({ mock: "prompt=100;completion=10;cached=40" });
    await chat({}, { key: "sk-wrong" });
    const labels = { tenant: "acme", model: "chat" };
    const grown = (after: Map<string, number>, name: string, wanted: Record<string, string>): number =>
      sumOf(after, name, wanted) - sumOf(before, name, wanted);
    await eventually("the metrics", async () => {
      const after = await gateway.metrics();
      return (
        grown(after, "sluice_requests_total", { ...labels, code: "200" }) === 1 &&
        grown(after, "sluice_tokens_total", { ...labels, type: "output" }) === 10 &&
        grown(after, "sluice_tokens_total", { ...labels, type: "input" }) >= 60 &&
        grown(after, "sluice_tokens_total", { ...labels, type: "cached_input" }) === 40 &&
        grown(after, "sluice_upstream_requests_total", { pool: "mock", code: "200" }) === 1 &&
        grown(after, "sluice_refusals_total", { code: "invalid_api_key" }) === 1
      );
    });
  });
});
