/** Attempts in an nginx whose configuration has rules of its own around them. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Answer, errorOf, send } from "../support/http_client.ts";
import { editNginx } from "../support/nginx_configuration.ts";
import { eventually, freePorts } from "../support/processes.ts";

const KEY = "sk-sluice-client-key-of-acme-0123456789";
const ANSWER = JSON.stringify({ id: "1", object: "chat.completion", choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }] });

const stopping: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const each of stopping.splice(0).reverse()) await each.stop();
});

/** An upstream that answers as it is told; `asked` counts. */
async function upstream(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<{ url: string; asked: () => number }> {
  let asked = 0;
  const server: Server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      asked += 1;
      answer(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stopping.push({
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => asked };
}

const good = (_: IncomingMessage, response: ServerResponse): void => {
  response.setHeader("content-type", "application/json");
  response.end(ANSWER);
};

const refusing = (status: number) => (_: IncomingMessage, response: ServerResponse): void => {
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  response.setHeader("www-authenticate", 'Bearer realm="our account of 2024"');
  response.end('{"error":{"message":"no"}}');
};

async function begin(urls: string[], pool: Record<string, unknown> = {}): Promise<Gateway> {
  const gateway = await startGateway({
    config: JSON.stringify({
      tenants: [{ id: "acme", api_keys: [{ id: "web", secret: KEY }] }],
      models: [{ name: "chat", pool: "gpu" }],
      pools: [{ name: "gpu", endpoints: urls.map((url) => ({ url })), timeouts: { connect: "500ms" }, retries: { backoff: "10ms" }, ...pool }],
    }),
    workers: 1,
  });
  stopping.push(gateway);
  return gateway;
}

function ask(gateway: Gateway, headers: Record<string, string> = {}): Promise<Answer> {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }] });
  return send(gateway.port, { path: "/v1/chat/completions", body, key: KEY, headers });
}

const IN_SERVER = /\nadd_header X-Request-Id/;

describe("the challenge of an upstream that refuses our accounts", () => {
  it.each([1, 2, 3])("does not reach the client, with %i accounts refused", async (count) => {
    const { url } = await upstream(refusing(401));
    const gateway = await begin([url], { keys: Array.from({ length: count }, (_, index) => ({ id: `key-${index}`, secret: `upstream-secret-of-${index}` })) });
    const answer = await ask(gateway);
    expect([answer.status, errorOf(answer).code]).toEqual([502, "upstream_credentials_exhausted"]);
    expect(answer.headers["www-authenticate"]).toBeUndefined();
    expect(JSON.stringify(answer.headers)).not.toContain("2024");
    expect(answer.headers["x-sluice-attempts"]).toBe(String(count));
  });

  it("does not reach the client whose request another account serves, or an error of another status", async () => {
    let attempts = 0;
    const { url } = await upstream((request, response) => {
      attempts += 1;
      if (attempts % 3 !== 0) refusing(401)(request, response);
      else if (attempts === 3) good(request, response);
      else refusing(503)(request, response);
    });
    const keys = ["a", "b", "c", "d", "e", "f"].map((id) => ({ id, secret: `upstream-secret-of-${id}` }));
    const gateway = await begin([url], { keys });
    for (const status of [200, 503]) {
      const answer = await ask(gateway);
      expect(answer.status).toBe(status);
      expect(answer.headers["www-authenticate"]).toBeUndefined();
    }
  });
});

describe("a server of nginx with rules of its own", () => {
  it("that denies a client refuses it, and asks nobody", async () => {
    const { asked, url } = await upstream(good);
    const gateway = await begin([url]);
    await editNginx(gateway, "server.conf", IN_SERVER, "\ndeny 127.0.0.1;$&");
    const answer = await ask(gateway);
    expect([answer.status, errorOf(answer).code]).toEqual([403, "forbidden"]);
    expect(answer.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
    expect(asked()).toBe(0);
  });

  it("that wants a password says so, and lets those in who have it, also for another attempt", async () => {
    let attempts = 0;
    const { asked, url } = await upstream((request, response) => {
      attempts += 1;
      (attempts === 1 ? refusing(503) : good)(request, response);
    });
    const gateway = await begin([url, `${url}/other`]);
    await editNginx(gateway, "server.conf", IN_SERVER, `\nauth_basic "ops"; auth_basic_user_file ${gateway.runDir}/users;$&`);
    const refused = await ask(gateway);
    expect(refused.status).toBe(401);
    expect(refused.headers["www-authenticate"]).toBe('Basic realm="ops"');
    expect(asked()).toBe(0);
  });

  it("that limits requests refuses them with its own status, once", async () => {
    const { asked, url } = await upstream(good);
    const gateway = await begin([url]);
    await editNginx(gateway, "http.conf", /\nlua_shared_dict sluice_metrics/, "\nlimit_req_zone $$binary_remote_addr zone=all:1m rate=1r/m;$&");
    await editNginx(gateway, "server.conf", IN_SERVER, "\nlimit_req zone=all; limit_req_status 429;$&");
    const answers = [await ask(gateway), await ask(gateway), await ask(gateway)];
    expect(answers.map(({ status }) => status)).toEqual([200, 429, 429]);
    expect(asked()).toBe(1);
  });

  it("that is content with any of its rules still has every request looked at", async () => {
    const { asked, url } = await upstream(good);
    const gateway = await begin([url]);
    await editNginx(gateway, "server.conf", IN_SERVER, "\nsatisfy any; allow 127.0.0.1; deny all;$&");
    expect((await ask(gateway)).status).toBe(200);
    const { status } = await send(gateway.port, { path: "/v1/chat/completions", body: "{}", key: "sk-sluice-nobody-0123456789abcdef" });
    expect(status).toBe(401);
    expect(asked()).toBe(1);
  });

  it("that asks somebody else who the client is loses no request's place, whatever the answer", async () => {
    let asked = 0;
    const failing = await upstream(refusing(503));
    const gateway = await begin([failing.url, `${failing.url}/other`], { breaker: { failures: 0 } });
    const asker = await upstream((_, response) => {
      asked += 1;
      // Every request is let in, and kept from its other attempt.
      response.statusCode = asked % 2 === 1 ? 204 : 403;
      response.end();
    });
    await editNginx(gateway, "server.conf", IN_SERVER, `\nauth_request /who;\nlocation = /who { internal; auth_request off; proxy_pass ${asker.url}; proxy_pass_request_body off; proxy_set_header Content-Length ""; }$&`);
    let begun = 0;
    for (let round = 0; round < 4; round++) {
      const answer = await ask(gateway);
      begun += answer.headers["x-sluice-attempts"] !== undefined ? 1 : 0;
      expect(answer.status).toBeGreaterThanOrEqual(403);
      expect(errorOf(answer).code).toBeTruthy();
    }
    await eventually("nothing is under way", async () => [...(await gateway.metrics())].every(([name, value]) => !name.startsWith("sluice_upstream_inflight") || value === 0));
    // Those that were refused at the door have none.
    expect(begun).toBeGreaterThan(0);
    await eventually("each has its line", () => gateway.journal().length === begun);
  });

  it("with pages for errors still has clients told in their API's words", async () => {
    const [port = 0] = await freePorts(1);
    const gateway = await begin([`http://127.0.0.1:${port}`, `http://127.0.0.1:${port}/other`], { retries: { attempts: 2, backoff: "10ms" } });
    await editNginx(gateway, "http.conf", /\nlua_shared_dict sluice_metrics/, "\nerror_page 500 502 503 504 /50x.html;\nerror_page 404 403 /40x.html;$&");
    const answer = await ask(gateway);
    expect([answer.status, errorOf(answer).code, answer.headers["x-sluice-attempts"]]).toEqual([502, "upstream_failed", "2"]);
    const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
    expect([line.attempts, line.status, line.ending]).toEqual([2, 502, "upstream_lost"]);
    expect(gateway.journal()).toHaveLength(1);
  });
});
