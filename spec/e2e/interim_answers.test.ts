import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { configuration } from "../support/configuration.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { errorOf, post } from "../support/http_client.ts";
import { eventually } from "../support/processes.ts";
import { type RawUpstream, startRawUpstream } from "../support/raw_upstream.ts";

const COMPLETION = '{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}';
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${COMPLETION.length}\r\n\r\n${COMPLETION}`;
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";

/** What each upstream says, and leaves its connection open behind it. */
const SAYS = { continues: CONTINUE + ANSWER, hints: HINTS + ANSWER, "hints-and-waits": HINTS };

let upstreams: Record<string, RawUpstream>;
let gateway: Gateway;

beforeAll(async () => {
  upstreams = {};
  for (const [name, bytes] of Object.entries(SAYS)) upstreams[name] = await startRawUpstream(bytes, false);
  const pools = Object.entries(upstreams).map(([name, { url }]) => ({ name, endpoints: [{ url }] }));
  const poolModels = pools.map(({ name }) => ({ name, pool: name }));
  gateway = await startGateway({ config: configuration({ upstream: "http://127.0.0.1:1", pools, poolModels }) });
});

afterAll(async () => {
  await gateway?.stop();
  for (const upstream of Object.values(upstreams ?? {})) await upstream.stop();
});

describe("an endpoint that answers with an interim header first", () => {
  it.each(Object.keys(SAYS))("costs the request a 502, and its connection serves no other: %s", async (name) => {
    for (const _ of [1, 2, 3]) {
      const answer = await post(gateway.port, "/v1/chat/completions", { model: name, messages: [] });
      expect(answer.status).toBe(502);
      expect(errorOf(answer).code).toBe("upstream_failed");
      expect(answer.headers.link).toBeUndefined();
      const line = await gateway.journalLine(String(answer.headers["x-request-id"]));
      expect(line).toMatchObject({ ending: "upstream_lost", attempts: 1, cost_nano_usd: 0 });
    }
    await eventually("the connections are closed", () => upstreams[name]?.open() === 0);
  });
});
