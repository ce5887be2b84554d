/**
 * A simulated vLLM engine, without a clock and without a network: times come in, in milliseconds, and what happened until then goes out.
 *
 * Requests wait in a queue, in the order in which they came. The first one leaves it when the engine reads no other prompt, fewer than
 * `mostRunning` run, and the KV cache has room for it. Then its prompt is read: that takes as long as it has tokens that are not in the
 * prefix cache, one prompt at a time. After that it runs in the batch: in each step every sequence says one token, and a step takes
 * longer the more there are. The first token comes at the end of the reading.
 *
 * What a real engine does besides, this one doesn't: a prompt that is being read doesn't slow the steps down, and nothing that runs is ever
 * sent back to the queue.
 */

import { acquire, keysOf, newPrefixCache, release, tokensOf, usedBlocks } from "./prefix_cache.ts";
import type { Lease, PrefixCache } from "./prefix_cache.ts";

interface EngineOptions {
  mostRunning: number;
  blockTokens: number;
  /** How many blocks the KV cache holds. */
  cacheBlocks: number;
  /** For each token that is not cached. */
  prefillMs: number;
  /** What a step takes, and what each sequence adds to it. */
  stepMs: number;
  sequenceMs: number;
}

interface Job {
  id: number;
  /** The whole rendered conversation. */
  prompt: string;
  /** What it will say, by token; at least one. */
  output: string[];
}

interface Sequence {
  job: Job;
  keys: number[];
  lease: Lease | undefined;
  promptTokens: number;
  cachedTokens: number;
  said: number;
  /** When its prompt had been read. */
  joined: number;
}

/** Something that happened to a request. The last token comes with `last`. */
interface Said {
  id: number;
  token: string;
  last: boolean;
  promptTokens: number;
  cachedTokens: number;
  /** This one included. */
  outputTokens: number;
}

/** Sums since the engine was made; times in milliseconds. */
interface Totals {
  requests: number;
  promptTokens: number;
  cachedTokens: number;
  /** While a prompt was being read. */
  prefillMs: number;
  /** The requests under way, waiting ones included, times how long. */
  loadMs: number;
  mostRunning: number;
  mostWaiting: number;
}

interface Engine {
  options: EngineOptions;
  cache: PrefixCache;
  waiting: Sequence[];
  prefilling: Sequence | undefined;
  prefillEnd: number;
  batch: Sequence[];
  /** When the step under way began, and when it ends; no step is while the batch is empty. */
  stepBegan: number;
  stepEnd: number;
  now: number;
  totals: Totals;
}

function newEngine(options: EngineOptions, now: number): Engine {
  return {
    options,
    cache: newPrefixCache(options.cacheBlocks, options.blockTokens),
    waiting: [],
    prefilling: undefined,
    prefillEnd: 0,
    batch: [],
    stepBegan: 0,
    stepEnd: 0,
    now,
    totals: { requests: 0, promptTokens: 0, cachedTokens: 0, prefillMs: 0, loadMs: 0, mostRunning: 0, mostWaiting: 0 },
  };
}

function running(engine: Engine): number {
  return engine.batch.length + (engine.prefilling === undefined ? 0 : 1);
}

/** How much of the KV cache running sequences use, 0 to 1. */
function cacheUsage(engine: Engine): number {
  return usedBlocks(engine.cache) / engine.cache.capacity;
}

/** Blocks that a sequence needs besides those that its prompt fills. */
function extraBlocks(engine: Engine, sequence: Sequence): number {
  const all = Math.ceil((sequence.promptTokens + sequence.job.output.length) / engine.options.blockTokens);
  return all - sequence.keys.length;
}

function moveTo(engine: Engine, time: number): void {
  const passed = time - engine.now;
  if (passed <= 0) return;
  engine.totals.loadMs += passed * (running(engine) + engine.waiting.length);
  if (engine.prefilling !== undefined) engine.totals.prefillMs += passed;
  engine.now = time;
}

/** Begins to read the next prompt, if that can be. */
function admit(engine: Engine): void {
  const { blockTokens, mostRunning, prefillMs } = engine.options;
  const next = engine.waiting[0];
  if (next === undefined || engine.prefilling !== undefined || engine.batch.length >= mostRunning) return;
  next.lease = acquire(engine.cache, next.keys, extraBlocks(engine, next));
  if (next.lease === undefined) return;
  engine.waiting.shift();
  // The last token is always read anew: what comes first follows from it.
  const most = Math.floor((next.promptTokens - 1) / blockTokens);
  next.cachedTokens = Math.min(next.lease.found, most) * blockTokens;
  engine.prefilling = next;
  engine.prefillEnd = engine.now + (next.promptTokens - next.cachedTokens) * prefillMs;
  engine.totals.requests += 1;
  engine.totals.promptTokens += next.promptTokens;
  engine.totals.cachedTokens += next.cachedTokens;
  engine.totals.mostRunning = Math.max(engine.totals.mostRunning, running(engine));
}

/** A request comes. Returns false if it needs more room than there ever is. */
function submit(engine: Engine, job: Job, now: number): boolean {
  moveTo(engine, now);
  const promptTokens = tokensOf(job.prompt);
  const keys = keysOf(engine.cache, job.prompt);
  const sequence: Sequence = { job, keys, lease: undefined, promptTokens, cachedTokens: 0, said: 0, joined: 0 };
  if (keys.length + extraBlocks(engine, sequence) > engine.cache.capacity) return false;
  engine.waiting.push(sequence);
  admit(engine);
  engine.totals.mostWaiting = Math.max(engine.totals.mostWaiting, engine.waiting.length);
  return true;
}

function beginStep(engine: Engine): void {
  engine.stepBegan = engine.now;
  engine.stepEnd = engine.now + engine.options.stepMs + engine.options.sequenceMs * engine.batch.length;
}

/** A sequence leaves; what it has read and said stays in the cache. */
function leave(engine: Engine, sequence: Sequence): void {
  const text = sequence.job.prompt + sequence.job.output.slice(0, sequence.said).join("");
  if (sequence.lease !== undefined) release(engine.cache, sequence.lease, keysOf(engine.cache, text));
}

function say(sequence: Sequence): Said {
  const { job, promptTokens, cachedTokens } = sequence;
  const token = job.output[sequence.said] ?? "";
  sequence.said += 1;
  return { id: job.id, token, last: sequence.said >= job.output.length, promptTokens, cachedTokens, outputTokens: sequence.said };
}

function endPrefill(engine: Engine, sequence: Sequence): Said {
  engine.prefilling = undefined;
  const said = say(sequence);
  if (said.last) {
    leave(engine, sequence);
  } else {
    sequence.joined = engine.now;
    engine.batch.push(sequence);
    if (engine.batch.length === 1) beginStep(engine);
  }
  admit(engine);
  return said;
}

function endStep(engine: Engine): Said[] {
  // Who came while it was under way takes part in the next one.
  const all = engine.batch.filter(({ joined }) => joined <= engine.stepBegan).map(say);
  const ended = engine.batch.filter(({ job, said }) => said >= job.output.length);
  engine.batch = engine.batch.filter((sequence) => !ended.includes(sequence));
  for (const sequence of ended) leave(engine, sequence);
  if (engine.batch.length > 0) beginStep(engine);
  admit(engine);
  return all;
}

/** When something happens next; undefined: never, unless a request comes. */
function nextTime(engine: Engine): number | undefined {
  const prefill = engine.prefilling === undefined ? Infinity : engine.prefillEnd;
  const step = engine.batch.length === 0 ? Infinity : engine.stepEnd;
  const next = Math.min(prefill, step);
  return next === Infinity ? undefined : next;
}

/** Lets the time pass until `now`. Returns what was said, in order. */
function advance(engine: Engine, now: number): Said[] {
  const said: Said[] = [];
  for (let next = nextTime(engine); next !== undefined && next <= now; next = nextTime(engine)) {
    moveTo(engine, next);
    if (engine.prefilling !== undefined && engine.prefillEnd <= next) said.push(endPrefill(engine, engine.prefilling));
    else said.push(...endStep(engine));
  }
  moveTo(engine, now);
  return said;
}

/** A request's client has gone. Does nothing if the request has ended. */
function cancel(engine: Engine, id: number, now: number): void {
  moveTo(engine, now);
  engine.waiting = engine.waiting.filter(({ job }) => job.id !== id);
  const read = engine.prefilling;
  if (read?.job.id === id) {
    engine.prefilling = undefined;
    // Of its prompt nothing new has been computed, so only what was there before is kept.
    if (read.lease !== undefined) release(engine.cache, read.lease, read.keys.slice(0, read.lease.found));
  }
  const left = engine.batch.find(({ job }) => job.id === id);
  if (left !== undefined) {
    engine.batch = engine.batch.filter((sequence) => sequence !== left);
    leave(engine, left);
  }
  admit(engine);
}

export { advance, cacheUsage, cancel, newEngine, nextTime, running, submit };
export type { Engine, EngineOptions, Job, Said, Totals };
