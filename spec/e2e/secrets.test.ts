import { createHash, createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, readLines, startGateway } from "../support/gateway.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type Mock, startMock } from "../support/mock.ts";
import { eventually, freePorts } from "../support/processes.ts";

const PATH = "/v1/chat/completions";
/** What must not be found anywhere afterwards, each with where it was planted. */
const CANARIES = {
  "the client's key": "sk-canary-client-key-0123456789abcdef",
  "a client's wrong key": "sk-canary-wrong-key-0123456789abcdef",
  "a key in the query": "sk-canary-query-key-0123456789abcdef",
  "the account's key": "sk-canary-account-key-0123456789abcdef",
  "the issuer's secret": "canary-issuer-secret-of-at-least-32-bytes",
  "a secret from the environment": "sk-canary-environment-0123456789abcdef",
  "the prompt's text": "canary-prompt-text",
  "a broken body's text": "canary-broken-body-text",
  "a member's name": "canary-member-name",
  "the answer's text": "canary-answer-text",
  "an upstream error's text": "canary-upstream-error-text",
  "an upstream 401's text": "canary-upstream-refusal-text",
  "a cookie": "canary-cookie-of-the-client",
  "an upstream's cookie": "cookie-of-the-upstream",
  "an upstream's organisation": "org-of-the-account",
  "a claim of a token": "canary-claim-of-a-token",
};

let mock: Mock;
let gateway: Gateway;
let tokens: Record<"good" | "expired" | "forged", string>;

function token(claims: object, secret: string): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

beforeAll(async () => {
  mock = await startMock();
  const [nobody = 0] = await freePorts(1);
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: "https://id.example.com", aud: "sluice", tenant: "acme", sub: "someone", exp: now + 600, note: CANARIES["a claim of a token"] };
  tokens = {
    good: token(claims, CANARIES["the issuer's secret"]),
    expired: token({ ...claims, exp: now - 600 }, CANARIES["the issuer's secret"]),
    forged: token(claims, "another secret of at least 32 bytes, forged"),
  };
  const pool = { keys: [{ id: "account", secret: CANARIES["the account's key"] }], timeouts: { read: "300ms" } };
  const document = {
    auth: {
      jwt: [{ issuer: "https://id.example.com", audience: "sluice", algorithms: ["HS256"], secret: CANARIES["the issuer's secret"] }],
    },
    tenants: [
      {
        id: "acme",
        api_keys: [
          { id: "web", sha256: createHash("sha256").update(CANARIES["the client's key"]).digest("hex") },
          { id: "other", secret: "${OTHER_KEY}" },
        ],
      },
    ],
    models: [
      { name: "chat", pool: "mock", upstream_model: "mock" },
      { name: "refused", pool: "refused" },
    ],
    pools: [
      { name: "mock", endpoints: [{ url: mock.url }], ...pool },
      { name: "refused", endpoints: [{ url: `http://127.0.0.1:${nobody}` }], ...pool },
    ],
  };
  gateway = await startGateway({
    config: JSON.stringify(document, undefined, 2),
    env: { OTHER_KEY: CANARIES["a secret from the environment"] },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await mock?.stop();
});

/** Sends a request that holds many canaries, and whatever else a case needs. */
function sow(more: object, headers: Record<string, string> = {}, path = PATH): Promise<Answer> {
  const messages = [{ role: "user", content: CANARIES["the prompt's text"] }];
  return send(gateway.port, {
    path,
    key: CANARIES["the client's key"],
    headers: { cookie: `session=${CANARIES["a cookie"]}`, ...headers },
    body: JSON.stringify({ model: "chat", messages, [CANARIES["a member's name"]]: CANARIES["the prompt's text"], ...more }),
  });
}

function bearer(value: string): Record<string, string> {
  return { authorization: `Bearer ${value}` };
}

/** Makes requests that end in every way; returns the refusals that the gateway itself wrote. */
async function sowAll(): Promise<Answer[]> {
  const refusals: Answer[] = [];
  const text = `text=${CANARIES["the answer's text"]}`;
  await sow({ mock: text });
  await sow({ mock: text, stream: true });
  await sow({ mock: `${text};done=no`, stream: true });
  await sow({ mock: `${text};reset=2`, stream: true });
  await sow({ mock: `${text};stall=2`, stream: true });
  await sow({ mock: text }, bearer(CANARIES["a secret from the environment"]));
  await sow({ mock: text }, bearer(tokens.good));
  await sow({ mock: text }, {}, `${PATH}?api_key=${CANARIES["a key in the query"]}`);
  await sow({ mock: `status=400;message=${CANARIES["an upstream error's text"]}` });
  await sow({ mock: `status=500;message=${CANARIES["an upstream error's text"]}` });
  refusals.push(await sow({ mock: "status=401" }));
  refusals.push(await sow({ mock: `status=403;message=${CANARIES["an upstream 401's text"]}` }));
  refusals.push(await sow({ mock: "stall=header" }), await sow({ mock: "reset=header" }), await sow({ model: "refused" }));
  await sow({ mock: "garbage=header" }).catch(() => undefined);
  refusals.push(await sow({}, bearer(CANARIES["a client's wrong key"])));
  refusals.push(await sow({}, bearer(tokens.expired)), await sow({}, bearer(tokens.forged)), await sow({}, bearer(`${tokens.good}x`)));
  refusals.push(await sow({ model: "nothing" }), await sow({ model: [CANARIES["the prompt's text"]] }));
  const broken = [
    `{"model":"chat","${CANARIES["a member's name"]}":"${CANARIES["a broken body's text"]}`,
    `{"model":"chat","a":1,"a":"${CANARIES["a broken body's text"]}"}`,
    `{"model":"chat","${CANARIES["a member's name"]}":1,"${CANARIES["a member's name"]}":2}`,
    `${CANARIES["a broken body's text"]}\n[error] forged line`,
  ];
  for (const body of broken) refusals.push(await send(gateway.port, { key: CANARIES["the client's key"], body }));
  refusals.push(await send(gateway.port, { method: "GET", path: `/v1/nothing?key=${CANARIES["a key in the query"]}` }));
  return refusals;
}

describe("a secret", () => {
  let refusals: Answer[];
  let written: string;
  let pages: string;

  beforeAll(async () => {
    refusals = await sowAll();
    // A live swap and a reload that fail, with the secrets in the file.
    const good = JSON.parse(await configurationText()) as Record<string, unknown>;
    gateway.writeConfig(JSON.stringify({ ...good, surprise: CANARIES["the account's key"] }, undefined, 2));
    await eventually("the rejection", async () => (await gateway.metrics()).get("sluice_config_last_reload_success") === 0);
    gateway.reload();
    await eventually("the journal", () => gateway.journal().length >= 15);
    const answers = await Promise.all(
      ["/metrics", "/status", "/healthz", "/readyz"].map(async (path) => (await fetch(gateway.adminUrl + path)).text()),
    );
    pages = answers.join("\n");
    written = gateway.everythingWritten();
  });

  async function configurationText(): Promise<string> {
    const { readFile } = await import("node:fs/promises");
    return readFile(gateway.configFile, "utf8");
  }

  it("was really planted: logs, journal and pages have something in them", () => {
    expect(gateway.accessLog().split("\n").length).toBeGreaterThan(20);
    expect(gateway.journal().length).toBeGreaterThanOrEqual(15);
    expect(pages).toContain("sluice_requests_total");
    expect(refusals.map((answer) => answer.status)).toEqual(expect.arrayContaining([400, 401, 404, 502, 504]));
    expect(written).toContain("usage.jsonl");
  });

  it.each(Object.entries(CANARIES))("is in no log, no journal, no metric and no page: %s", (_, canary) => {
    expect(written.includes(canary)).toBe(false);
    expect(pages.includes(canary)).toBe(false);
  });

  it.each(Object.entries(CANARIES))("is in no refusal of the gateway: %s", (_, canary) => {
    for (const answer of refusals) {
      expect(answer.text).not.toContain(canary);
      expect(JSON.stringify(answer.headers)).not.toContain(canary);
    }
  });

  it("is not there as a token, in parts or whole", () => {
    for (const value of Object.values(tokens)) {
      for (const part of [value, ...value.split(".").slice(1)]) {
        expect(written.includes(part)).toBe(false);
        expect(pages.includes(part)).toBe(false);
        for (const answer of refusals) expect(answer.text).not.toContain(part);
      }
    }
  });

  it("can't be made to forge a line of a log", () => {
    expect(written).not.toMatch(/^\[error\] forged line/m);
    expect(() => readLines(gateway.accessLog())).not.toThrow();
  });
});
