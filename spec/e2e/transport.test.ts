import { connect as connectHttp2, constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { connect as connectTls, type SecureVersion, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_KEY, configuration } from "../support/configuration.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually } from "../support/processes.ts";

const MODELS = { slow: "mock;tokens=1000;interval=20", short: "mock;tokens=3" };
const STREAMED = JSON.stringify({ model: "short", stream: true, messages: [{ role: "user", content: "hello" }] });

let mock: Mock;
let gateway: Gateway;

beforeAll(async () => {
  mock = await startMock();
  gateway = await startGateway({ config: configuration({ upstream: mock.url, models: MODELS }) });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

function handshake(version: SecureVersion, ciphers?: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // The certificate is one that the gateway made for itself.
    const socket = connectTls({
      host: "127.0.0.1", port: gateway.httpsPort, servername: "localhost", rejectUnauthorized: false,
      minVersion: version, maxVersion: version, ALPNProtocols: ["http/1.1"], ...(ciphers && { ciphers }),
    });
    socket.once("secureConnect", () => {
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

function session(): ClientHttp2Session {
  return connectHttp2(`https://127.0.0.1:${gateway.httpsPort}`, { rejectUnauthorized: false });
}

function ask(connection: ClientHttp2Session, body: string): ClientHttp2Stream {
  const stream = connection.request({
    ":method": "POST",
    ":path": "/v1/chat/completions",
    authorization: `Bearer ${CLIENT_KEY}`,
    "content-type": "application/json",
  });
  stream.end(body);
  return stream;
}

function whole(stream: ClientHttp2Stream): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let text = "";
    stream.on("response", (headers) => (status = Number(headers[":status"])));
    stream.on("data", (data: Buffer) => (text += data.toString()));
    stream.on("end", () => {
      resolve({ status, text });
    });
    stream.on("error", reject);
  });
}

describe("the HTTPS port", () => {
  it("refuses TLS 1.1", async () => {
    await expect(handshake("TLSv1.1", "DEFAULT@SECLEVEL=0")).rejects.toThrow();
  });

  it.each(["TLSv1.2", "TLSv1.3"] as const)("streams over %s", async (version) => {
    const socket = await handshake(version);
    expect(socket.getProtocol()).toBe(version);
    let text = "";
    socket.on("data", (data: Buffer) => (text += data.toString()));
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${CLIENT_KEY}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${STREAMED.length}\r\nConnection: close\r\n\r\n${STREAMED}`,
    );
    await new Promise((resolve) => socket.once("close", resolve));
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toContain("data: [DONE]");
  });

  it("speaks HTTP/2: many streams on one connection, each whole", async () => {
    const connection = session();
    const answers = await Promise.all(Array.from({ length: 20 }, () => whole(ask(connection, STREAMED))));
    expect(connection.alpnProtocol).toBe("h2");
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(answer.text).toMatch(/"content":"Hello"[^]*data: \[DONE\]\n\n$/);
    }
    connection.close();
  });

  it("refuses over HTTP/2 in the error shape", async () => {
    const connection = session();
    const answer = await whole(ask(connection, '{"model":"nothing","messages":[]}'));
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code: "model_not_found" } });
    connection.close();
  });

  it("closes the upstream when an HTTP/2 stream is reset", async () => {
    const before = await mock.counts();
    const connection = session();
    const stream = ask(connection, STREAMED.replace("short", "slow"));
    await new Promise((resolve) => stream.once("data", resolve));
    stream.on("error", () => undefined);
    stream.close(constants.NGHTTP2_CANCEL);
    await eventually("the upstream's abort", async () => (await mock.counts()).aborted === before.aborted + 1);
    const line = await eventually("a line in the journal", () => gateway.journal().find(({ model }) => model === "slow"));
    expect(line).toMatchObject({ ending: "client_gone" });
    const after = await whole(ask(connection, STREAMED));
    expect(after.status).toBe(200);
    connection.close();
  });
});
