/** What a large text costs others: they are served while it is scanned. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { guardedConfiguration, keyOf, LISTS } from "../support/guarded.ts";
import { type Answer, send } from "../support/http_client.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/scripted_upstream.ts";

const CHAT = "/v1/chat/completions";
const NUMBERS = { cn_mobile: "mask", cn_id_card: "mask", payment_card: "mask", us_ssn: "mask" };
const GUARDS = [
  { name: "figures", on: ["prompt", "completion"], lexicons: [{ file: "masked.txt", action: "mask" }], patterns: { ...NUMBERS, email: "mask" } },
  { name: "idle", on: ["prompt"], lexicons: [{ file: "masked.txt", action: "mask" }] },
];
const MEBIBYTE = 1048576;
const PIECE = 32768;
/** More requests of others must be answered in the time: a scan that does not rest lets one through. How many there are is the client's speed too. */
const OTHERS = 5;

let upstream: ScriptedUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({ config: guardedConfiguration(upstream.url, GUARDS), files: LISTS, workers: 1 });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

function saying(text: string): string {
  return `{"model":"chat","messages":[{"role":"user","content":"${text}"}]}`;
}

function ask(text: string, tenant: string): Promise<Answer> {
  return send(gateway.port, { path: CHAT, body: saying(text), key: keyOf(tenant) });
}

/** Sends the text, and small requests of another tenant until it is answered. Returns its answer and how many of those were. */
async function beside(text: string): Promise<{ answer: Answer; others: number }> {
  let under_way = true;
  const large = ask(text, "figures").finally(() => {
    under_way = false;
  });
  let others = 0;
  while (under_way) {
    const answer = await ask("hello", "idle");
    expect(answer.status).toBe(200);
    others += under_way ? 1 : 0;
  }
  return { answer: await large, others };
}

describe("while a large prompt is scanned", () => {
  it.each([
    ["digits with blanks between them", "4 9 2 8 "],
    ["rows of figures", "12,3456;789.5,2024-01-01T00:00:00Z;"],
    ["groups of a card's form", "4111-1111-1111-1112 "],
  ])("others are served: %s", async (_, part) => {
    const { answer, others } = await beside(part.repeat(Math.ceil((8 * MEBIBYTE) / part.length)));
    expect(answer.status, answer.text).toBe(200);
    expect(others).toBeGreaterThan(OTHERS);
  });

  it("numbers are found wherever its pieces end", async () => {
    // One behind the other, so that each end of a piece lies in one, at all places.
    const numbers = Math.ceil((40 * PIECE) / 12);
    const { answer, others } = await beside("13812345678,".repeat(20000));
    expect(answer.status, answer.text).toBe(200);
    expect(others).toBeGreaterThan(0);
    expect(upstream.exchanges.filter(({ body }) => body.length > PIECE).at(-1)?.body.toString()).toContain(`"${"███████████,".repeat(20000)}"`);
    // More finds than are kept: nothing of it goes on.
    expect((await ask("13812345678,".repeat(numbers), "figures")).status).toBe(403);
  });
});
