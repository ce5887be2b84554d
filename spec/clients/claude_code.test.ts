/** Claude Code, the program itself, through a gateway: what it was told at last is what stands in its transcript. */

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AgentUpstream, startAgentUpstream } from "../support/agent_upstream.ts";
import { AGENTS_KEY, CLAUDE_MODEL, type NoWayOut, PACKAGES, type Turn, installed, runTurn, startAgentGateway, startNoWayOut, transcript } from "../support/clients.ts";
import type { Gateway } from "../support/gateway.ts";
import { removeDirectory, temporaryDirectory } from "../support/processes.ts";

interface Line {
  type: string;
  message?: { role: string; content: { type: string; text?: string }[] };
}

let upstream: AgentUpstream;
let gateway: Gateway;
let out: NoWayOut;
let program: string;
const homes: string[] = [];

beforeAll(async () => {
  program = installed(PACKAGES, /^@anthropic-ai$/, /^claude-code-linux-(x64|arm64)$/, /^claude$/);
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
  const home = temporaryDirectory("sluice-claude");
  homes.push(home);
  return home;
}

async function ask(home: string, prompt: string, options: string[] = [], credential = "ANTHROPIC_API_KEY"): Promise<Turn> {
  return runTurn(program, ["-p", prompt, "--output-format", "json", "--dangerously-skip-permissions", ...options], home, {
    ...out.env,
    CLAUDE_CONFIG_DIR: join(home, "claude"),
    ANTHROPIC_BASE_URL: gateway.url,
    [credential]: AGENTS_KEY,
    ANTHROPIC_MODEL: CLAUDE_MODEL,
    ANTHROPIC_SMALL_FAST_MODEL: CLAUDE_MODEL,
    DISABLE_TELEMETRY: "1",
    DISABLE_ERROR_REPORTING: "1",
    DISABLE_AUTOUPDATER: "1",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    // It lets root run commands without asking only where it is told that nothing can be harmed.
    IS_SANDBOX: "1",
  });
}

/** The text of the last message in the transcript. */
function lastMessage(home: string): string | undefined {
  const last = transcript<Line>(join(home, "claude/projects")).findLast((line) => line.type === "assistant");
  return last?.message?.content.findLast((part) => part.type === "text")?.text;
}

/** What the program printed as the result of a turn that went well. */
function resultOf(turn: Turn): unknown {
  expect(turn.status, turn.output).toBe(0);
  const result = turn.events.at(-1);
  expect(result, turn.output).toMatchObject({ type: "result", is_error: false });
  return result?.result;
}

describe("Claude Code", () => {
  it("gets an answer, and a second one that follows it", async () => {
    const home = newHome();
    expect(resultOf(await ask(home, "say the first words"))).toBe("the first words");
    expect(lastMessage(home)).toBe("the first words");
    expect(resultOf(await ask(home, "say the second words", ["--continue"]))).toBe("the second words");
    expect(lastMessage(home)).toBe("the second words");
    // The first turn came along.
    expect(JSON.stringify(upstream.requests.at(-1)?.body.messages)).toContain("the first words");
  });

  it("may have the key as a token", async () => {
    const home = newHome();
    expect(resultOf(await ask(home, "say it to the bearer", [], "ANTHROPIC_AUTH_TOKEN"))).toBe("it to the bearer");
    expect(lastMessage(home)).toBe("it to the bearer");
  });

  it("runs a command, and hands in what it printed", async () => {
    const home = newHome();
    expect(resultOf(await ask(home, "run echo $((17 * 3))"))).toMatch(/^it printed: 51\b/);
    expect(lastMessage(home)).toMatch(/^it printed: 51\b/);
  });

  it("knows a stream that is cut in the middle for one, and asks again", async () => {
    const home = newHome();
    const before = upstream.requests.length;
    expect(resultOf(await ask(home, "cut both halves of this text"))).toBe("both halves of this text");
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
      expect(request.headers["x-api-key"]).toBe("sk-account-of-the-agents");
      expect(JSON.stringify(request.headers)).not.toContain(AGENTS_KEY);
    }
  });
});
