/**
 * Writes the metrics as Prometheus reads them: text format 0.0.4, over all workers.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * A scrape reads one number after another while workers go on counting, so numbers of different series may be a moment
 * apart. Within a histogram the buckets are added up here from what was read, so they never contradict its count. Ten
 * thousand series are some hundred thousand reads at worst: they are made in slices, with a pause between, and the text is
 * handed over in pieces, so neither other requests nor memory feel them.
 */

import { bucket_key, level_key, live_workers, read_index, sum_key } from "./aggregate";
import type { Aggregate, SharedStore } from "./aggregate";
import type { Merge, Metric } from "./registry";

const concat = table.concat;
const floor = math.floor;
const format = string.format;
const gsub = string.gsub;
const sub = string.sub;

/** What the text is served as. */
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Lines between two pauses. */
const SLICE = 250;

/** Integers up to here are exact in a double. */
const EXACT = 9007199254740992;

/** A number in the shortest form that reads back as the same double. */
function write_number(value: number): string {
  if (value !== value) return "NaN";
  if (value === math.huge) return "+Inf";
  if (value === -math.huge) return "-Inf";
  if (floor(value) === value && value < EXACT && value > -EXACT) return format("%.0f", value);
  const short = format("%.15g", value);
  return tonumber(short) === value ? short : format("%.17g", value);
}

function merge_levels(merge: Merge, total: number | undefined, level: number): number {
  if (total === undefined) return level;
  if (merge === "min") return level < total ? level : total;
  if (merge === "max") return level > total ? level : total;
  return total + level;
}

function write_gauge(lines: string[], store: SharedStore, workers: string[], metric: Metric, key: string): void {
  let total: number | undefined;
  for (const process of workers) {
    const level = store.get(level_key(key, process));
    if (level !== undefined) total = merge_levels(metric.merge, total, level as number);
  }
  if (total !== undefined) lines.push(`${key} ${write_number(total)}`);
}

function write_histogram(lines: string[], store: SharedStore, metric: Metric, key: string): void {
  const { bounds, name } = metric;
  const labels = sub(key, name.length + 2, -2);
  const start = labels === "" ? `${name}_bucket{le="` : `${name}_bucket{${labels},le="`;
  const end = labels === "" ? "" : `{${labels}}`;
  let total = 0;
  for (const index of $range(0, bounds.length)) {
    const bound = bounds[index];
    total += (store.get(bucket_key(key, bound)) ?? 0) as number;
    lines.push(`${start}${bound === undefined ? "+Inf" : write_number(bound)}"} ${write_number(total)}`);
  }
  const sum = (store.get(sum_key(key)) ?? 0) as number;
  lines.push(`${name}_sum${end} ${write_number(sum)}`);
  lines.push(`${name}_count${end} ${write_number(total)}`);
}

function write_series(lines: string[], aggregate: Aggregate, workers: string[], metric: Metric, key: string): void {
  const { store } = aggregate;
  if (metric.kind === "histogram") write_histogram(lines, store, metric, key);
  else if (metric.kind === "gauge") write_gauge(lines, store, workers, metric, key);
  else {
    const value = store.get(key);
    if (value !== undefined) lines.push(`${key} ${write_number(value as number)}`);
  }
}

function write_head(lines: string[], metric: Metric): void {
  const [slashes] = gsub(metric.help, "\\", "\\\\");
  const [help] = gsub(slashes, "\n", "\\n");
  lines.push(`# HELP ${metric.name} ${help}`);
  lines.push(`# TYPE ${metric.name} ${metric.kind}`);
}

/**
 * Writes all metrics that have a series, in the order of their declaration. Returns the text in pieces to be sent one
 * behind the other. `pause` is called between slices and may let other work run.
 */
function expose(aggregate: Aggregate, pause?: (this: void) => void): string[] {
  read_index(aggregate, pause);
  const workers = live_workers(aggregate.store);
  const pieces: string[] = [];
  let lines: string[] = [];
  for (const metric of aggregate.registry.metrics) {
    const members = aggregate.members.get(metric);
    if (members !== undefined) {
      write_head(lines, metric);
      for (const index of $range(0, members.length - 1)) {
        write_series(lines, aggregate, workers, metric, members[index]!);
        if (lines.length >= SLICE) {
          pieces.push(`${concat(lines, "\n")}\n`);
          lines = [];
          if (pause !== undefined) pause();
        }
      }
    }
  }
  if (lines.length > 0) pieces.push(`${concat(lines, "\n")}\n`);
  return pieces;
}

export { CONTENT_TYPE, expose, write_number };
