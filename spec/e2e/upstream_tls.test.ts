import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeAuthority, makeCertificate } from "../support/certificates.ts";
import { configuration } from "../support/configuration.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, post } from "../support/http_client.ts";
import { headersOf, type Mock, startMock } from "../support/mock.ts";
import { removeDirectory, temporaryDirectory } from "../support/processes.ts";

const HELLO = [{ role: "user", content: "hello" }];

let directory: string;
let good: Mock;
let misnamed: Mock;
let untrusted: Mock;
let gateway: Gateway;

beforeAll(async () => {
  directory = temporaryDirectory("sluice-certificates");
  const trusted = makeAuthority(directory, "trusted");
  const stranger = makeAuthority(directory, "stranger");
  [good, misnamed, untrusted] = await Promise.all([
    startMock({ tls: makeCertificate(directory, "localhost", ["DNS:localhost"], trusted) }),
    startMock({ tls: makeCertificate(directory, "elsewhere", ["DNS:elsewhere.example"], trusted) }),
    startMock({ tls: makeCertificate(directory, "impostor", ["DNS:localhost"], stranger) }),
  ]);
  gateway = await startGateway({
    config: configuration({
      upstream: good.tlsUrl,
      pools: [
        { name: "misnamed", endpoints: [{ url: misnamed.tlsUrl }] },
        { name: "untrusted", endpoints: [{ url: untrusted.tlsUrl }] },
      ],
      poolModels: [
        { name: "misnamed", pool: "misnamed" },
        { name: "untrusted", pool: "untrusted" },
      ],
    }),
    env: { CA_FILE: join(directory, "trusted.pem") },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await Promise.all([good?.stop(), misnamed?.stop(), untrusted?.stop()]);
  removeDirectory(directory);
});

function chat(document: object): Promise<Answer> {
  return post(gateway.port, "/v1/chat/completions", { model: "chat", messages: HELLO, ...document });
}

describe("an https upstream", () => {
  it("is reached by its name, over TLS 1.2 or 1.3", async () => {
    const answer = await chat({ stream: true });
    expect(answer.status).toBe(200);
    expect(answer.text).toMatch(/data: \[DONE\]\n\n$/);
    const request = await good.lastRequest();
    expect(request.server_name).toBe("localhost");
    expect(request.tls).toMatch(/^TLSv1\.[23]$/);
    expect(headersOf(request, "host")[0]).toMatch(/^localhost(:\d+)?$/);
  });

  it.each([
    ["another name", "misnamed", () => misnamed],
    ["a signature that is not trusted", "untrusted", () => untrusted],
  ])("is not trusted with %s in its certificate", async (_, model, server) => {
    for (let round = 0; round < 3; round++) {
      const answer = await chat({ model });
      expect(answer.status).toBe(502);
      expect(errorOf(answer)).toMatchObject({ type: "upstream_error", code: "upstream_failed" });
    }
    expect((await server().counts()).started).toBe(0);
    // A good connection that is kept open does not serve another name.
    expect((await chat({})).status).toBe(200);
  });
});
