/**
 * init_by_lua: runs once in nginx's master process, before the workers, at a start and at each SIGHUP. It loads every
 * module and the configuration, so that a mistake in either refuses the start or the reload, and the workers share the
 * memory of what was loaded.
 */

import "resty.core";
import { start as start_options } from "jit.opt";
import { capture } from "../config/environment";
import { problem_text } from "../config/problem";
import { start as start_watch } from "../config/watch";
import { load_authorities } from "../edge/authorities";
import { resolution, resolve_name } from "../edge/dns";
import { stamp } from "../edge/file";
import { find_library } from "../edge/redis_connection";
import { share_memory } from "../edge/shared_memory";
import { open_dictionary } from "../edge/shared_dictionary";
import { declare_all } from "../metrics/catalogue";
import { create_meters } from "../metrics/meter";
import { MEMORY_BYTES, memory_at, own_memory } from "../pool/prefix_memory";
import { new_slots } from "../pool/slots";
import { key_fetching } from "../edge/fetching";
import { GUARDED_TEXT } from "../guard/text_sink";
import { warm_up_guards } from "../guard/warm_up";
import { use_text_sink } from "../wire/text";
import { warm_up } from "../wire/warm_up";
import { access } from "./access";
import { again, last } from "./attempts";
import { balance } from "./balancer";
import { filter_body } from "./body_filter";
import { set_gateway } from "./gateway";
import { filter_header } from "./header_filter";
import { lexicon_store, load_snapshot, log_notices, log_problems } from "./load";
import { log } from "./log";
import { journal_end, mend, restore_limits } from "./limit_state";
import { restore_settlements } from "./settled_place";
import { health, metrics, models, ready, status } from "./pages";
import { exit_worker, init_worker } from "./worker";
import type { PrefixMemory } from "../pool/prefix_memory";
import type { Problem } from "../config/problem";

const DEFAULT_CONFIGURATION = "/etc/sluice/sluice.yaml";
/** Where Debian has the certificates of the authorities that everybody trusts. */
const DEFAULT_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";
const DEFAULT_INTERMEDIATES = 4;

/** What nginx.conf calls, by phase. */
const PHASES = {
  init_worker, exit_worker, access, again, last, balance, filter_header, filter_body, log, models, health, ready, metrics, status,
};

function describe(path: string, problems: Problem[]): string {
  const lines: string[] = [`sluice: ${path} is not a valid configuration:`];
  for (const problem of problems) {
    lines.push(`  ${problem_text(path, problem)}`);
  }
  return lines.join("\n");
}

/** Where the workers will remember who met which conversation. It takes up no memory before it is used. */
function open_prefixes(): PrefixMemory {
  const words = share_memory(MEMORY_BYTES);
  if (words === undefined) {
    ngx.log(ngx.WARN, "sluice: no memory to share: each worker remembers conversations by itself");
    return own_memory(MEMORY_BYTES);
  }
  return memory_at(words, MEMORY_BYTES);
}

/**
 * Loads the configuration that SLUICE_CONFIG names. What Sluice writes goes below SLUICE_RUN_DIR (else nginx's prefix).
 * Servers that the gateway itself asks over TLS are verified with the certificates in `trusted_file` (PEM, an absolute path), in chains with at most
 * `most_intermediates` certificates between. Returns the functions for nginx.conf; throws, which refuses the start or reload, if
 * anything is wrong.
 */
function start(this: void, trusted_file = DEFAULT_AUTHORITIES, most_intermediates = DEFAULT_INTERMEDIATES): typeof PHASES {
  const unreadable = string.sub(trusted_file, 1, 1) === "/" ? load_authorities(trusted_file, most_intermediates) : `${trusted_file}: expected an absolute path`;
  if (unreadable !== undefined) {
    error(`sluice: trusted certificates: ${unreadable}`, 0);
  }
  use_text_sink(GUARDED_TEXT);
  const environment = capture();
  const path = os.getenv("SLUICE_CONFIG") ?? DEFAULT_CONFIGURATION;
  const watch = start_watch([path], stamp);
  const slots = new_slots();
  const run_directory = os.getenv("SLUICE_RUN_DIR") ?? string.gsub(ngx.config.prefix(), "/$", "")[0];
  const lexicons = lexicon_store(run_directory);
  const [snapshot, problems] = load_snapshot({
    path,
    environment,
    slots,
    watch,
    pause: () => {},
    fetching: key_fetching(),
    previous: undefined,
    lexicons,
    wait: undefined,
  });
  if (snapshot === undefined) {
    log_problems(path, problems);
    error(describe(path, problems), 0);
  }
  log_notices(snapshot.notices);
  lexicons.tidy(snapshot.lexicon_keys);
  const catalogue = declare_all();
  resolution();
  set_gateway({
    configuration_path: path,
    run_directory,
    environment,
    snapshot,
    catalogue,
    meters: create_meters(catalogue),
    aggregate: undefined,
    journal: undefined,
    store: undefined,
    generation: 0,
    memory: undefined,
    shared: undefined,
    pools: undefined,
    flights: undefined,
    pool_names: undefined,
    prefixes: open_prefixes(),
    responses: undefined,
    resolve: resolve_name,
    slots,
    watch,
    lexicons,
  });
  const [limits] = open_dictionary("sluice_limits");
  if (snapshot.store !== undefined) {
    const [settlements, missing] = open_dictionary("sluice_settlements");
    const [library, unusable] = find_library();
    const reason = library === undefined ? unusable : restore_settlements(settlements, missing);
    if (reason !== undefined) {
      error(`sluice: ${path}: store.kind is redis: ${reason}`, 0);
    }
  } else if (limits !== undefined) {
    restore_limits({ dictionary: limits, process: 0, is_alive: () => false, mend, journal_end });
  }
  // One request's path through a phase is longer than what LuaJIT records by default, and has more short loops in it; it would be
  // compiled in shreds, or not at all. The loop over a text has more ways through it than the 100 that it may have by default: those that
  // are met last would be interpreted until the worker ends.
  start_options("maxrecord=16000", "maxirconst=4000", "maxsnap=2000", "maxtrace=8000", "maxmcode=40960", "loopunroll=60", "maxside=1000");
  warm_up();
  warm_up_guards();
  // What reading the configuration left behind goes before the workers are forked: they would copy it page by page.
  collectgarbage("collect");
  collectgarbage("collect");
  return PHASES;
}

export { start };
