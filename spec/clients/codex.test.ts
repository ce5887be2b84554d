/** Codex, the program itself, through a gateway: what it was told at last is what stands in its transcript. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AgentUpstream, startAgentUpstream } from "../support/agent_upstream.ts";
import { AGENTS_KEY, GPT_MODEL, type NoWayOut, PACKAGES, type Turn, installed, runTurn, startAgentGateway, startNoWayOut, transcript } from "../support/clients.ts";
import type { Gateway } from "../support/gateway.ts";
import { removeDirectory, temporaryDirectory } from "../support/processes.ts";

interface Line {
  type: string;
  payload?: { type?: string; role?: string; content?: { type: string; text?: string }[] };
}

let upstream: AgentUpstream;
let gateway: Gateway;
let out: NoWayOut;
let program: string;
const homes: string[] = [];

beforeAll(async () => {
  program = installed(PACKAGES, /^@openai$/, /^codex-linux-(x64|arm64)$/, /^vendor$/, /linux/, /^bin$/, /^codex$/);
  upstream = await startAgentUpstream();
  gateway = await startAgentGateway(upstream);
  out = await startNoWayOut();
});

afterAll(async () => {
  await out?.stop();
  await gateway?.stop();
  await upstream?.stop();
  homes.forEach(removeDirectory);
});

function newHome(): string {
  const home = temporaryDirectory("sluice-codex");
  homes.push(home);
  mkdirSync(join(home, "codex"));
  writeFileSync(join(home, "codex/config.toml"), [
    `model = "${GPT_MODEL}"`,
    'model_provider = "sluice"',
    "check_for_update_on_startup = false",
    "[model_providers.sluice]",
    'name = "Sluice"',
    `base_url = "${gateway.url}/v1"`,
    'env_key = "SLUICE_KEY"',
    'wire_api = "responses"',
    // Both are looked for elsewhere.
    "[features]",
    "plugins = false",
    "apps = false",
    "[analytics]",
    "enabled = false",
    "[otel]",
    'exporter = "none"',
    'metrics_exporter = "none"',
  ].join("\n"));
  return home;
}

async function ask(home: string, prompt: string, command: string[] = []): Promise<Turn> {
  const args = ["exec", ...command, "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt];
  return runTurn(program, args, home, { ...out.env, CODEX_HOME: join(home, "codex"), SLUICE_KEY: AGENTS_KEY });
}

/** The text of the last message in the transcript. */
function lastMessage(home: string): string | undefined {
  const last = transcript<Line>(join(home, "codex/sessions")).findLast(({ payload, type }) => type === "response_item" && payload?.role === "assistant");
  return last?.payload?.content?.at(-1)?.text;
}

/** What the program printed as the last words of a turn that went well. */
function resultOf(turn: Turn): unknown {
  expect(turn.status, turn.output).toBe(0);
  expect(turn.events.at(-1), turn.output).toMatchObject({ type: "turn.completed" });
  const items = turn.events.map((event) => event.item as { type: string; text?: string } | undefined);
  return items.findLast((item) => item?.type === "agent_message")?.text;
}

describe("Codex", () => {
  it("gets an answer, and a second one that follows it", async () => {
    const home = newHome();
    expect(resultOf(await ask(home, "say the first words"))).toBe("the first words");
    expect(lastMessage(home)).toBe("the first words");
    expect(resultOf(await ask(home, "say the second words", ["resume", "--last"]))).toBe("the second words");
    expect(lastMessage(home)).toBe("the second words");
    // The first turn came along.
    expect(JSON.stringify(upstream.requests.at(-1)?.body.input)).toContain("the first words");
  });

  it("runs a command, and hands in what it printed", async () => {
    const home = newHome();
    expect(resultOf(await ask(home, "run echo $((17 * 3))"))).toMatch(/^it printed: [^]*\b51\b/);
    expect(lastMessage(home)).toMatch(/^it printed: [^]*\b51\b/);
  });

  it("knows a stream that is cut in the middle for one, and asks again", async () => {
    const home = newHome();
    const before = upstream.requests.length;
    const turn = await ask(home, "cut both halves of this text");
    expect(resultOf(turn)).toBe("both halves of this text");
    expect(lastMessage(home)).toBe("both halves of this text");
    expect(upstream.requests.length - before).toBe(2);
    expect(gateway.journal().filter((line) => line.ending === "upstream_lost")).toHaveLength(1);
  });

  it("waits as long as a 429 asks it to, and goes on", async () => {
    const home = newHome();
    expect(resultOf(await ask(home, "wait for these words"))).toBe("for these words");
    expect(lastMessage(home)).toBe("for these words");
    expect(gateway.journal().filter((line) => line.status === 429).length).toBeGreaterThan(0);
  });

  it("asks nobody but the gateway, and the gateway with nothing of its own", () => {
    expect(out.attempts).toEqual([]);
    for (const request of upstream.requests) {
      expect(request.headers.authorization).toBe("Bearer sk-account-of-the-agents");
      expect(JSON.stringify(request.headers)).not.toContain(AGENTS_KEY);
    }
  });
});
