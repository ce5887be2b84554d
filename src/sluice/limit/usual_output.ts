/**
 * How much models usually write for a tenant: what `reserve: typical` reserves in place of the cap.
 *
 * For each tenant and model there is one histogram of the outputs of its requests, in tokens an answer, in a dictionary that
 * nginx's workers share. Its buckets are logarithmic, four to a doubling, so what is told is too high by a fifth at most, and
 * never too low. Each output counts half as much as one that comes an hour later: a tenant that goes over to longer answers is
 * soon known for them.
 *
 * Names come from the configuration, so no client can make another histogram. One that is not used for a week goes. There is
 * none for tenants that reserve the cap, and none is kept over a restart: nothing is known then.
 */

import * as ffi from "ffi";
import { lock, unlock } from "./lock";
import type { MemoryStore } from "./memory_store";
import type { SharedStore } from "../metrics/aggregate";

const BUCKETS_A_DOUBLING = 4;
/** Up to four million tokens; the last bucket has whatever is more. */
const BUCKETS = 88;
const HALF_LIFE_SECONDS = 3600;
const KEPT_SECONDS = 604800;
/** So much of what was seen lies at or below what is reserved. */
const SHARE = 0.95;
/** Less than this is nothing: it is what a single output comes to after a day. */
const LEAST_WEIGHT = 0.00000005;

// LuaJIT tells long strings apart by a few of their bytes, some of which lie at the beginning and at the end: so does the time.
ffi.cdef(`typedef struct { double time; float weights[${BUCKETS}]; double again; } sluice_outputs;`);

interface Outputs {
  /** When the last output was added, in seconds since 1970, twice. */
  time: number;
  /** How many outputs there were of each size, the older ones counted for less. */
  weights: { [index: number]: number };
  again: number;
}

const BYTES = ffi.sizeof("sluice_outputs");
const outputs = ffi.new<Outputs>("sluice_outputs");

function name_of(tenant: string, model: string): string {
  return `outputs:${tenant}/${model}`;
}

/** Reads a histogram from the dictionary's string. Returns false if there is none. */
function read_outputs(text: string | number | undefined): boolean {
  if (typeof text !== "string" || text.length !== BYTES) {
    return false;
  }
  ffi.copy(outputs, text, BYTES);
  return true;
}

function bucket_of(tokens: number): number {
  const bucket = math.floor((math.log(tokens) / math.log(2)) * BUCKETS_A_DOUBLING);
  return math.min(BUCKETS - 1, math.max(0, bucket));
}

/** Makes older outputs count for less than they did when the last one was added. */
function decay(now: number): void {
  const factor = 2 ** (-math.max(0, now - outputs.time) / HALF_LIFE_SECONDS);
  for (const index of $range(0, BUCKETS - 1)) {
    const weight = outputs.weights[index]! * factor;
    outputs.weights[index] = weight < LEAST_WEIGHT ? 0 : weight;
  }
}

/**
 * Adds an output of so many tokens, at least one. `now` is in seconds since 1970. What finds no room in the dictionary is
 * forgotten.
 */
function note_output(store: MemoryStore, tenant: string, model: string, tokens: number, now: number): void {
  if (!lock(store, tenant)) {
    return;
  }
  const { dictionary } = store;
  const name = name_of(tenant, model);
  if (read_outputs(dictionary.get(name))) {
    decay(now);
  } else {
    ffi.fill(outputs, BYTES);
  }
  const bucket = bucket_of(tokens);
  outputs.weights[bucket] = outputs.weights[bucket]! + 1;
  // A clock that was set back must not make the next output decay for longer.
  outputs.time = now;
  outputs.again = now;
  dictionary.set(name, ffi.string(outputs, BYTES), KEPT_SECONDS);
  unlock(store, tenant);
}

/**
 * The tokens that 95 of 100 outputs of that model for that tenant do not pass, by what was seen; `math.huge`: nothing is known.
 */
function usual_output(dictionary: SharedStore, tenant: string, model: string): number {
  if (!read_outputs(dictionary.get(name_of(tenant, model)))) {
    return math.huge;
  }
  let sum = 0;
  for (const index of $range(0, BUCKETS - 1)) {
    sum += outputs.weights[index]!;
  }
  let above = sum;
  for (const index of $range(0, BUCKETS - 1)) {
    above -= outputs.weights[index]!;
    if (above <= sum * (1 - SHARE)) {
      return math.ceil(2 ** ((index + 1) / BUCKETS_A_DOUBLING));
    }
  }
  return math.huge;
}

export { note_output, usual_output };
