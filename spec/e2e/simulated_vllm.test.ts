import { afterEach, describe, expect, it } from "vitest";
import { post, send } from "../support/http_client.ts";
import { answerTokens, renderConversation } from "../support/mock/vllm/conversation.ts";
import { advance, cacheUsage, cancel, type Engine, type EngineOptions, newEngine, nextTime, running, type Said, submit } from "../support/mock/vllm/engine.ts";
import { acquire, foundBlocks, keysOf, type Lease, newPrefixCache, release, usedBlocks } from "../support/mock/vllm/prefix_cache.ts";
import { type SimulatedServer, startSimulatedServer } from "../support/mock/vllm/server.ts";
import { eventually } from "../support/processes.ts";

const OPTIONS: EngineOptions = { mostRunning: 2, blockTokens: 4, cacheBlocks: 100, prefillMs: 1, stepMs: 10, sequenceMs: 5 };

/** A text of so many tokens that has nothing in common with another letter's. */
function text(letter: string, tokens: number): string {
  return letter.repeat(tokens * 4);
}

function words(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `w${String(index).padStart(2, "0")} `);
}

/** What is said until nothing happens any more, each with its time. */
function runOut(engine: Engine): { at: number; said: Said }[] {
  const all: { at: number; said: Said }[] = [];
  for (let at = nextTime(engine); at !== undefined; at = nextTime(engine)) {
    for (const said of advance(engine, at)) all.push({ at, said });
  }
  return all;
}

function timesOf(all: { at: number; said: Said }[], id: number): number[] {
  return all.filter(({ said }) => said.id === id).map(({ at }) => at);
}

function randomNumbers(): () => number {
  const seed = Math.floor(Math.random() * 2 ** 31) + 1;
  console.log(`seed ${seed}`);
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

describe("the engine of a simulated vLLM server", () => {
  it("reads one prompt at a time, for as long as it has tokens, and says the first token at its end", () => {
    const engine = newEngine(OPTIONS, 0);
    submit(engine, { id: 1, prompt: text("a", 100), output: words(1) }, 0);
    submit(engine, { id: 2, prompt: text("b", 50), output: words(1) }, 3);
    expect([running(engine), engine.waiting.length]).toEqual([1, 1]);
    const all = runOut(engine);
    expect(timesOf(all, 1)).toEqual([100]);
    expect(timesOf(all, 2)).toEqual([150]);
    expect(engine.totals).toMatchObject({ requests: 2, promptTokens: 150, cachedTokens: 0, prefillMs: 150, loadMs: 100 + 147, mostWaiting: 1 });
  });

  it("says one token of each sequence in a step, and takes longer for a step the more there are", () => {
    const engine = newEngine(OPTIONS, 0);
    submit(engine, { id: 1, prompt: text("a", 10), output: words(5) }, 0);
    submit(engine, { id: 2, prompt: text("b", 20), output: words(3) }, 0);
    const all = runOut(engine);
    // Alone a step takes 15, both together 20; the second joins at the end of the step under way.
    expect(timesOf(all, 1)).toEqual([10, 25, 40, 60, 80]);
    expect(timesOf(all, 2)).toEqual([30, 60, 80]);
    expect(all.filter(({ said }) => said.id === 1).map(({ said }) => said.token)).toEqual(words(5));
    expect(all.filter(({ said }) => said.last).map(({ said }) => [said.id, said.outputTokens])).toEqual([[1, 5], [2, 3]]);
  });

  it("lets requests wait in their order while as many run as may", () => {
    const engine = newEngine(OPTIONS, 0);
    for (const [id, letter] of ["a", "b", "c", "d"].entries()) submit(engine, { id, prompt: text(letter, 8), output: words(4) }, 0);
    advance(engine, 20);
    expect([running(engine), engine.waiting.length]).toEqual([2, 2]);
    const firsts = runOut(engine).filter(({ said }) => said.outputTokens === 1);
    expect(firsts.map(({ said }) => said.id)).toEqual([2, 3]);
    // The third is read once the first has ended.
    expect(engine.totals).toMatchObject({ mostRunning: 2, mostWaiting: 3 });
  });

  it("does not read again what it has read or said, but for the last token", () => {
    const engine = newEngine(OPTIONS, 0);
    const first = text("a", 40);
    submit(engine, { id: 1, prompt: first, output: words(9) }, 0);
    runOut(engine);
    const then = engine.now;
    submit(engine, { id: 2, prompt: first + words(9).join("") + text("b", 11), output: words(1) }, then);
    let [said] = runOut(engine);
    // 49 tokens, of which 12 blocks are whole.
    expect(said?.said).toMatchObject({ promptTokens: 60, cachedTokens: 48 });
    expect((said?.at ?? 0) - then).toBe(12);
    submit(engine, { id: 3, prompt: first, output: words(1) }, engine.now);
    [said] = runOut(engine);
    expect(said?.said).toMatchObject({ promptTokens: 40, cachedTokens: 36 });
  });

  it("lets a request wait for room in the cache, and refuses one for which there never is any", () => {
    const engine = newEngine({ ...OPTIONS, cacheBlocks: 10, mostRunning: 9 }, 0);
    expect(submit(engine, { id: 1, prompt: text("a", 40), output: words(1) }, 0)).toBe(false);
    expect(submit(engine, { id: 1, prompt: text("a", 20), output: words(4) }, 0)).toBe(true);
    expect(cacheUsage(engine)).toBe(0.6);
    expect(submit(engine, { id: 2, prompt: text("b", 20), output: words(4) }, 0)).toBe(true);
    advance(engine, 30);
    expect([running(engine), engine.waiting.length]).toEqual([1, 1]);
    const all = runOut(engine);
    expect(timesOf(all, 2)[0]).toBe((timesOf(all, 1).at(-1) ?? 0) + 20);
    expect(cacheUsage(engine)).toBe(0);
  });

  it("keeps nothing of a prompt that it has not read to its end, and what was read of a stream that was left", () => {
    const engine = newEngine(OPTIONS, 0);
    const prompt = text("a", 40);
    submit(engine, { id: 1, prompt, output: words(9) }, 0);
    submit(engine, { id: 2, prompt: text("b", 4), output: words(1) }, 0);
    cancel(engine, 1, 30);
    expect(runOut(engine)).toMatchObject([{ at: 34, said: { id: 2 } }]);
    submit(engine, { id: 3, prompt, output: words(9) }, 50);
    advance(engine, 100);
    cancel(engine, 3, 100);
    expect(running(engine)).toBe(0);
    submit(engine, { id: 4, prompt: `${prompt}more`, output: words(1) }, 100);
    expect(runOut(engine)).toMatchObject([{ at: 101, said: { id: 4, cachedTokens: 40 } }]);
    expect(engine.totals).toMatchObject({ requests: 4, cachedTokens: 40 });
  });

  it("answers every request once and whole, whatever comes and goes", () => {
    const random = randomNumbers();
    for (let round = 0; round < 60; round++) {
      const options = {
        ...OPTIONS, mostRunning: 1 + Math.floor(random() * 4), cacheBlocks: 20 + Math.floor(random() * 60), prefillMs: random(),
      };
      const engine = newEngine(options, 0);
      const wanted = new Map<number, string>();
      const heard = new Map<number, string>();
      const ended = new Set<number>();
      const hear = (all: Said[]): void => {
        for (const { id, last, token } of all) {
          expect(ended.has(id)).toBe(false);
          heard.set(id, (heard.get(id) ?? "") + token);
          if (last) ended.add(id);
        }
      };
      let now = 0;
      for (let id = 0; id < 40; id++) {
        now += random() * 60;
        hear(advance(engine, now));
        if (random() < 0.2) {
          const gone = Math.floor(random() * id);
          cancel(engine, gone, now);
          if (!ended.has(gone)) wanted.delete(gone);
        }
        const output = words(1 + Math.floor(random() * 6));
        const prompt = text("system"[Math.floor(random() * 2)] ?? "", 12) + text("abcdef"[Math.floor(random() * 6)] ?? "", Math.floor(random() * 40));
        if (submit(engine, { id, prompt, output }, now)) wanted.set(id, output.join(""));
        expect(running(engine)).toBeLessThanOrEqual(options.mostRunning);
        expect(engine.cache.users.size + engine.cache.reserved).toBeLessThanOrEqual(options.cacheBlocks);
      }
      hear(runOut(engine).map(({ said }) => said));
      for (const [id, output] of wanted) expect(heard.get(id)).toBe(output);
      expect([running(engine), engine.waiting.length, usedBlocks(engine.cache)]).toEqual([0, 0, 0]);
      expect(engine.cache.idle.size).toBe(engine.cache.users.size);
    }
  });
});

describe("the prefix cache of a simulated vLLM server", () => {
  it("knows a block by its text and all before it", () => {
    const cache = newPrefixCache(100, 4);
    const keys = keysOf(cache, text("a", 12) + "bc");
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(3);
    expect(keysOf(cache, text("a", 8) + text("b", 4)).slice(0, 2)).toEqual(keys.slice(0, 2));
    expect(keysOf(cache, text("b", 4) + text("a", 8)).some((key) => keys.includes(key))).toBe(false);
    const many = new Set(Array.from({ length: 20000 }, (_, index) => keysOf(cache, String(index).padStart(16, "."))[0]));
    expect(many.size).toBe(20000);
  });

  it("drops the end of what was not used for longest, and nothing that is in use", () => {
    const cache = newPrefixCache(6, 4);
    const [a, b, c] = ["a", "b", "c"].map((letter) => keysOf(cache, text(letter, 8))) as [number[], number[], number[]];
    const lease = acquire(cache, a, 0)!;
    for (const keys of [b, c]) release(cache, acquire(cache, keys, 0)!, keys);
    release(cache, acquire(cache, b, 0)!, b);
    const more = keysOf(cache, text("d", 4));
    release(cache, acquire(cache, more, 0)!, more);
    expect([a, b, c, more].map((keys) => foundBlocks(cache, keys))).toEqual([2, 2, 1, 1]);
    expect(acquire(cache, keysOf(cache, text("e", 20)), 0)).toBeUndefined();
    expect(acquire(cache, keysOf(cache, text("e", 12)), 1)).toBeDefined();
    release(cache, lease, a);
    expect([a, b, c, more].map((keys) => foundBlocks(cache, keys))).toEqual([2, 0, 0, 0]);
  });

  it("does as a plain list does", () => {
    const random = randomNumbers();
    for (let round = 0; round < 40; round++) {
      const capacity = 4 + Math.floor(random() * 12);
      const cache = newPrefixCache(capacity, 1);
      // The blocks that nobody uses, the next to go first; those in use, once for each use; what is reserved.
      let idle: number[] = [];
      let used: number[] = [];
      let reserved = 0;
      const open: { keys: number[]; lease: Lease }[] = [];
      for (let step = 0; step < 120; step++) {
        if (open.length > 0 && random() < 0.5) {
          const [left] = open.splice(Math.floor(random() * open.length), 1);
          const { keys, lease } = left!;
          release(cache, lease, keys);
          reserved -= lease.reserved;
          for (const key of [...keys].reverse()) {
            used.splice(used.indexOf(key), 1);
            if (!used.includes(key)) idle.push(key);
          }
        } else {
          const length = 1 + Math.floor(random() * 6);
          const keys = keysOf(cache, Array.from({ length }, () => (random() < 0.7 ? "aaaa" : "bbbb")).join(""));
          const extra = Math.floor(random() * 3);
          const inCache = (key: number): boolean => used.includes(key) || idle.includes(key);
          const fits = new Set([...used, ...keys]).size + reserved + extra <= capacity;
          const found = keys.findIndex((key) => !inCache(key));
          const lease = acquire(cache, keys, extra);
          expect(lease !== undefined).toBe(fits);
          if (lease === undefined) continue;
          expect(lease.found).toBe(found < 0 ? keys.length : found);
          idle = idle.filter((key) => !keys.includes(key));
          used = [...used, ...keys];
          reserved += extra;
          idle.splice(0, Math.max(0, idle.length + new Set(used).size + reserved - capacity));
          open.push({ keys, lease });
        }
        expect([...cache.idle]).toEqual(idle);
        expect(usedBlocks(cache)).toBe(new Set(used).size + reserved);
      }
    }
  });
});

describe("a simulated vLLM server", () => {
  let server: SimulatedServer;
  const FAST: EngineOptions = { ...OPTIONS, blockTokens: 16, cacheBlocks: 200, prefillMs: 0.01, stepMs: 2, sequenceMs: 0 };
  const messages = [{ role: "system", content: "Be kind. ".repeat(30) }, { role: "user", content: "Hello" }];

  afterEach(async () => {
    await server.kill();
  });

  it("streams as OpenAI does, with what was cached, and answers in one piece", async () => {
    server = await startSimulatedServer(FAST);
    const prompt = renderConversation(messages);
    const said = answerTokens(prompt, 20).join("");
    const request = { model: "m", messages, max_tokens: 20 };
    const tokens = Math.ceil(prompt.length / 4);
    const whole = await post(server.port, "/v1/chat/completions", request);
    expect(JSON.parse(whole.text)).toMatchObject({
      object: "chat.completion",
      choices: [{ message: { role: "assistant", content: said }, finish_reason: "stop" }],
      usage: { prompt_tokens: tokens, completion_tokens: 20, total_tokens: tokens + 20, prompt_tokens_details: { cached_tokens: 0 } },
    });
    const more = [...messages, { role: "assistant", content: said }, { role: "user", content: "And then?" }];
    const streamed = await post(server.port, "/v1/chat/completions", {
      ...request, messages: more, stream: true, stream_options: { include_usage: true },
    });
    expect(streamed.headers["content-type"]).toContain("text/event-stream");
    const events = streamed.text.split("\n\n").filter(Boolean).map((line) => line.replace("data: ", ""));
    expect(events.pop()).toBe("[DONE]");
    const parsed = events.map((line) => JSON.parse(line) as { choices: { delta: { content?: string } }[]; usage?: object });
    expect(parsed.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe(answerTokens(renderConversation(more), 20).join(""));
    const cached = Math.floor((prompt.length + said.length) / 64) * 16;
    expect(cached).toBeGreaterThan(0);
    expect(parsed.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 20, prompt_tokens_details: { cached_tokens: cached } } });
    expect(server.totals()).toMatchObject({ requests: 2, cachedTokens: cached });
  });

  it("says how busy it is, frees what a client leaves behind, and is gone when it is killed", async () => {
    server = await startSimulatedServer({ ...FAST, prefillMs: 100 });
    const metrics = async (): Promise<string> => (await send(server.port, { method: "GET", path: "/metrics" })).text;
    expect((await send(server.port, { method: "GET", path: "/health" })).status).toBe(200);
    const leaving = new AbortController();
    const asked = [1, 2, 3].map(() =>
      post(server.port, "/v1/chat/completions", { messages, stream: true }, { signal: leaving.signal }).catch(() => undefined));
    const busy = await eventually("two wait", async () => {
      const text = await metrics();
      return text.includes('vllm:num_requests_waiting{engine="0",model_name="simulated"} 2') ? text : undefined;
    });
    expect(busy).toContain('vllm:num_requests_running{engine="0",model_name="simulated"} 1\n');
    expect(busy).toMatch(/vllm:kv_cache_usage_perc\{.*\} 0\.0[1-9]/);
    leaving.abort();
    await Promise.all(asked);
    await eventually("nobody is left", async () => /running\{.*\} 0\n[^]*waiting\{.*\} 0\n[^]*usage_perc\{.*\} 0\n/.test(await metrics()));
    const last = post(server.port, "/v1/chat/completions", { messages, stream: true });
    await eventually("it runs", async () => /running\{.*\} 1\n/.test(await metrics()));
    await server.kill();
    expect((await last).complete).toBe(false);
    await expect(send(server.port, { method: "GET", path: "/health" })).rejects.toThrow(/ECONNREFUSED/);
  });
});
