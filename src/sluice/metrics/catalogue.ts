/**
 * Every metric of Sluice, declared in one place: names, labels, help and buckets are what dashboards and alerts are
 * built on. Durations are in seconds, as Prometheus asks.
 *
 * A label value of "" means that it is not known: the tenant of a caller that was not identified, the model of a body that
 * names none that exists. Text that a client sent is never a label value.
 */

import { create } from "./registry";
import type { Counter, Gauge, Histogram, Registry } from "./registry";

interface Catalogue {
  registry: Registry;
  requests: Counter;
  request_duration: Histogram;
  time_to_first_token: Histogram;
  overhead: Histogram;
  tokens: Counter;
  cost: Counter;
  refusals: Counter;
  upstream_requests: Counter;
  streams_truncated: Counter;
  guard_hits: Counter;
  guard_held: Histogram;
  config_last_reload_success: Gauge;
  journal_lost: Counter;
  settlements_dropped: Counter;
  journal_passed_over: Counter;
  store_up: Gauge;
  store_duration: Histogram;
  metrics_dropped: Counter;
  client_token_usage: Histogram;
  server_time_to_first_token: Histogram;
}

/** From a refusal to the longest answers. */
const REQUEST_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 600];

/** From a warm small model to a long prompt in a queue. */
const FIRST_TOKEN_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What the gateway itself takes: microseconds, unless a large body has to be read. */
const OVERHEAD_SECONDS = [0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1];

/** From a Redis beside the gateway to the longest that is waited for one. */
const STORE_SECONDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2];

/** From the time between two tokens of a fast model to one that has stopped to think. */
const HELD_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];

/** The bounds that OpenTelemetry's conventions give `gen_ai.client.token.usage`. */
const TOKEN_USAGE = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];

/** The bounds that OpenTelemetry's conventions give `gen_ai.server.time_to_first_token`. */
const SERVER_FIRST_TOKEN = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** Declares every metric. `most_series` bounds the series of each (10,000 if not given). */
function declare_all(most_series?: number): Catalogue {
  const registry = create(most_series);
  return {
    registry,
    requests: registry.counter("sluice_requests_total", "Requests answered, by the status that the client got.", ["tenant", "model", "code"]),
    request_duration: registry.histogram(
      "sluice_request_duration_seconds", "From the request's first byte to the answer's last.", ["model"], REQUEST_SECONDS),
    time_to_first_token: registry.histogram(
      "sluice_time_to_first_token_seconds", "From the request to the first text of its answer; streams only.", ["model"], FIRST_TOKEN_SECONDS),
    overhead: registry.histogram(
      "sluice_overhead_seconds", "Time that the gateway itself took, by nginx phase.", ["phase"], OVERHEAD_SECONDS),
    tokens: registry.counter(
      "sluice_tokens_total", "Tokens, by type: input (cached ones included), cached_input, output.", ["tenant", "model", "type"]),
    cost: registry.counter("sluice_cost_usd_total", "What the tokens cost, in US dollars, by the prices of the configuration.", ["tenant", "model"]),
    refusals: registry.counter("sluice_refusals_total", "Requests that the gateway refused, by the refusal's code.", ["tenant", "code"]),
    upstream_requests: registry.counter(
      "sluice_upstream_requests_total", "Attempts at an endpoint, by its status; 0 if none came.", ["pool", "endpoint", "code"]),
    streams_truncated: registry.counter(
      "sluice_streams_truncated_total", "Answers that ended before their end: without their terminal marker, or given up by the engine.", ["pool", "cause"]),
    guard_hits: registry.counter(
      "sluice_guard_hits_total", "What guards found, by what was done about it and where: prompt, completion.", ["guard", "action", "where"]),
    guard_held: registry.histogram(
      "sluice_guard_held_seconds", "The longest that a guard held any of a stream back, by stream.", [], HELD_SECONDS),
    config_last_reload_success: registry.gauge(
      "sluice_config_last_reload_success", "1 if every worker took the last configuration it saw, 0 if one rejected it.", [], "min"),
    journal_lost: registry.counter("sluice_journal_lost_total", "Lines that could not be written to the usage journal."),
    settlements_dropped: registry.counter(
      "sluice_settlements_dropped_total",
      "Settlements that found no room in memory while Redis was lost, which are read from the usage journal; and those that Redis can never take, which are only there."),
    journal_passed_over: registry.counter(
      "sluice_journal_passed_over_total", "Compressed files of the usage journal that were passed over, and may have requests that are not settled in Redis."),
    store_up: registry.gauge("sluice_store_up", "1 if every worker reaches what limits are counted in, 0 if one does not.", [], "min"),
    store_duration: registry.histogram(
      "sluice_store_duration_seconds", "Exchanges with the Redis that limits are counted in, failed ones included.", [], STORE_SECONDS),
    metrics_dropped: registry.counter(
      "sluice_metrics_dropped_total", "Updates that found no room: the metrics dictionary or a metric's bound of series was full."),
    client_token_usage: registry.histogram(
      "gen_ai_client_token_usage", "Tokens of a request, by type: input, output.",
      ["gen_ai_operation_name", "gen_ai_request_model", "gen_ai_token_type"], TOKEN_USAGE),
    server_time_to_first_token: registry.histogram(
      "gen_ai_server_time_to_first_token", "Seconds from the request to the first token of its answer.",
      ["gen_ai_operation_name", "gen_ai_request_model"], SERVER_FIRST_TOKEN),
  };
}

export { declare_all };
export type { Catalogue };
