/**
 * What a worker holds for as long as it lives: the configuration in force, the meters, the journal. Made in init and
 * init_worker, read by every phase.
 */

import type { AppendFile } from "../edge/append_file";
import type { Aggregate } from "../metrics/aggregate";
import type { Catalogue } from "../metrics/catalogue";
import type { Meters } from "../metrics/meter";
import type { LexiconStore } from "../guard/store";
import type { SharedStore } from "../metrics/aggregate";
import type { Flights } from "../pool/flights";
import type { Resolve } from "../pool/names";
import type { ResponseStore } from "../responses/record";
import type { PrefixMemory } from "../pool/prefix_memory";
import type { Slots } from "../pool/slots";
import type { MemoryStore } from "../limit/memory_store";
import type { LimitStore } from "../limit/store";
import type { KnownNames } from "./known_names";
import type { Shared } from "./shared_store";
import type { Environment } from "../config/environment";
import type { Watch } from "../config/watch";
import type { Snapshot } from "../config/snapshot";

interface Gateway {
  /** Where the configuration is, and the directory for everything that is written. */
  configuration_path: string;
  run_directory: string;
  /** The environment as it was at start. */
  environment: Environment;
  snapshot: Snapshot;
  catalogue: Catalogue;
  meters: Meters;
  aggregate: Aggregate | undefined;
  journal: AppendFile | undefined;
  /** Undefined: nginx.conf has no dictionary for it, and nothing is limited. */
  store: LimitStore | undefined;
  /** How often nginx has read its configuration since it was started. */
  generation: number;
  /** This node's own counters: the store itself, or what takes its place while it is lost. */
  memory: MemoryStore | undefined;
  /** The store that several nodes share, if there is one. */
  shared: Shared | undefined;
  /** What all workers know of the pools; and what each has under way. Undefined: nginx.conf has no dictionary for it. */
  pools: SharedStore | undefined;
  flights: Flights | undefined;
  /** The addresses of the endpoints' names. Undefined, as flights. */
  pool_names: KnownNames | undefined;
  /** Who met which conversation, for all workers. */
  prefixes: PrefixMemory | undefined;
  /** Who made which response, for all workers. Undefined: nginx.conf has no dictionary for it, and no response is known. */
  responses: ResponseStore | undefined;
  resolve: Resolve;
  slots: Slots;
  watch: Watch;
  lexicons: LexiconStore;
}

/** Set once, in init, before anything else runs. */
const holder: { gateway: Gateway } = { gateway: undefined as unknown as Gateway };

function gateway(): Gateway {
  return holder.gateway;
}

function set_gateway(made: Gateway): void {
  holder.gateway = made;
}

export { gateway, set_gateway };
export type { Gateway };
