/**
 * Traffic as of people who talk with a model: so many conversations at a time, which all begin with the same long instructions, grow by a
 * question and an answer each turn, and end after some turns, whereupon another begins in their place. Between an answer and the next
 * question somebody thinks. What they say and how long they think comes from a seed; when they say it follows from how fast they are answered.
 */
import { setMaxListeners } from "node:events";
import { Agent, request as http_request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { random_numbers } from "./random.ts";

interface Shape {
  conversations: number;
  /** Tokens of four characters. */
  shared_tokens: number;
  question_tokens: [least: number, most: number];
  answer_tokens: [least: number, most: number];
  most_turns: number;
  /** In the middle; most think for less, a few for much longer. */
  think_ms: number;
}

/** One request. Times in milliseconds of `performance.now`. */
interface Asked {
  began: number;
  ended: number;
  /** Until the first token; undefined if none came. */
  first_ms: number | undefined;
  prompt_tokens: number;
  cached_tokens: number;
  /** Undefined: it was answered, wholly. */
  failure: string | undefined;
}

interface Traffic {
  asked: Asked[];
  /** Asks nothing more, and waits for the answers under way. */
  stop(): Promise<void>;
}

interface Message {
  role: string;
  content: string;
}

interface Talk {
  session: string;
  messages: Message[];
  turn: number;
}

interface Answer {
  text: string;
  first_ms: number | undefined;
  status: number;
  /** Why no answer came, or not all of it. */
  problem: string;
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
/** An answer that takes longer is none. */
const PATIENCE_MS = 30000;

function between([least, most]: [number, number], random: () => number): number {
  return least + Math.floor(random() * (most - least + 1));
}

/** So many words of three letters and a space, which is one token each. */
function words(count: number, random: () => number): string {
  let text = "";
  for (let left = count * 3; left > 0; left--) {
    text += LETTERS[Math.floor(random() * LETTERS.length)] ?? "";
    if (left % 3 === 1) {
      text += " ";
    }
  }
  return text;
}

/** A conversation as it stands after so many turns. */
function begin_talk(shape: Shape, instructions: string, session: string, turns: number, random: () => number): Talk {
  const messages: Message[] = [{ role: "system", content: instructions }];
  for (let turn = 0; turn < turns; turn++) {
    messages.push({ role: "user", content: words(between(shape.question_tokens, random), random) });
    messages.push({ role: "assistant", content: words(between(shape.answer_tokens, random), random) });
  }
  return { session, messages, turn: turns };
}

/** Sends a chat request and reads its stream. */
function post(base: string, headers: Record<string, string>, body: string, agent: Agent): Promise<Answer> {
  return new Promise((done) => {
    const began = performance.now();
    const answer: Answer = { text: "", first_ms: undefined, status: 0, problem: "" };
    const finish = (error?: Error): void => {
      answer.problem = error === undefined ? "" : `${error.message}${request.reusedSocket ? ", on a connection that was used before" : ""}`;
      done(answer);
    };
    const url = `${base}/v1/chat/completions`;
    const length = String(Buffer.byteLength(body));
    const options = { method: "POST", agent, timeout: PATIENCE_MS, headers: { ...headers, "content-type": "application/json", "content-length": length } };
    const request = http_request(url, options, (response) => {
      answer.status = response.statusCode ?? 0;
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        answer.text += text;
        if (answer.first_ms === undefined && /"content":"[^"]/.test(answer.text)) {
          answer.first_ms = performance.now() - began;
        }
      });
      response.on("end", () => {
        finish();
      });
      response.on("error", finish);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", finish);
    request.end(body);
  });
}

interface Chunk {
  choices?: { delta?: { content?: string } }[];
  usage?: { prompt_tokens: number; prompt_tokens_details?: { cached_tokens?: number } } | null;
  error?: { message?: string };
}

/** What a stream says: its text, its usage, and what went wrong, if anything. */
function read_stream({ problem, status, text }: Answer): { said: string; prompt: number; cached: number; failure: string | undefined } {
  let said = "";
  let prompt = 0;
  let cached = 0;
  let failure: string | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("data: {")) {
      let chunk: Chunk;
      try {
        chunk = JSON.parse(line.slice(6)) as Chunk;
      } catch {
        // Where the connection broke off.
        continue;
      }
      said += chunk.choices?.[0]?.delta?.content ?? "";
      prompt = chunk.usage?.prompt_tokens ?? prompt;
      cached = chunk.usage?.prompt_tokens_details?.cached_tokens ?? cached;
      failure ??= chunk.error && (chunk.error.message ?? "an error event");
    }
  }
  if (status !== 200) {
    failure = status === 0 ? `no answer: ${problem}` : `status ${status}: ${text.slice(0, 200)}`;
  } else if (!text.includes("data: [DONE]")) {
    failure ??= `the stream broke off: ${problem}`;
  }
  return { said, prompt, cached, failure };
}

/** Begins to talk to a server. `seed` is not 0. Each conversation sends its own name as x-session. */
function begin_traffic(base: string, credential: string, seed: number, shape: Shape): Traffic {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  const asked: Asked[] = [];
  let talking = true;
  const stopped = new AbortController();
  setMaxListeners(0, stopped.signal);
  const instructions = words(shape.shared_tokens, random_numbers(seed));

  async function think(random: () => number): Promise<void> {
    const milliseconds = shape.think_ms * (0.3 - Math.log(1 - random()));
    await sleep(milliseconds, undefined, { signal: stopped.signal }).catch(() => undefined);
  }

  async function one_turn(talk: Talk, random: () => number): Promise<void> {
    const question = { role: "user", content: words(between(shape.question_tokens, random), random) };
    const most = between(shape.answer_tokens, random);
    const more = { model: "simulated", stream: true, max_tokens: most, stream_options: { include_usage: true } };
    // Who gets no answer asks the same again.
    while (talking) {
      const began = performance.now();
      const body = JSON.stringify({ ...more, messages: [...talk.messages, question] });
      const answer = await post(base, { authorization: `Bearer ${credential}`, "x-session": talk.session }, body, agent);
      const { said, prompt, cached, failure } = read_stream(answer);
      asked.push({ began, ended: performance.now(), first_ms: answer.first_ms, prompt_tokens: prompt, cached_tokens: cached, failure });
      if (failure === undefined) {
        talk.messages.push(question, { role: "assistant", content: said });
        talk.turn += 1;
        return;
      }
      await think(random);
    }
  }

  async function talk_on(number: number): Promise<void> {
    const random = random_numbers(seed * 1000 + number + 1);
    let turns = Math.floor(random() * shape.most_turns);
    // Not all at once: the first question of each comes after a thought.
    await think(random);
    for (let round = 0; talking; round++) {
      const talk = begin_talk(shape, instructions, `${seed}-${number}-${round}`, turns, random);
      while (talking && talk.turn < shape.most_turns) {
        await one_turn(talk, random);
        await think(random);
      }
      turns = 0;
    }
  }

  const all = Array.from({ length: shape.conversations }, (_, number) => talk_on(number));
  return {
    asked,
    async stop() {
      talking = false;
      stopped.abort();
      await Promise.all(all);
      agent.destroy();
    },
  };
}

export { begin_traffic, type Asked, type Shape, type Traffic };
