/**
 * The metrics registry: what is measured, and this worker's share of it.
 *
 * How the data lies, and why. A request must be able to count itself for a few nanoseconds, so counting never
 * builds a string, never hashes a set of labels and never touches memory shared with other workers. A metric hands
 * out a *series* for each set of label values; whoever counts often keeps that handle, and adding to it is one
 * addition in a plain table. What has been added since the last flush waits in the series; `aggregate` carries it
 * into a shared dictionary every second and when the worker ends, so a killed worker loses a second at most.
 *
 * A gauge is different: its value is a level, not an amount, so it stays in the series and is published as it is.
 *
 * The number of series of each metric is bounded, since memory and the scrape grow with it. A series beyond the bound is
 * still a valid handle; what is added to it is only counted as dropped. Label values are expected to be UTF-8, which
 * is what the text format asks for; they come from the configuration, never from a client.
 *
 * `counter`, `gauge`, `histogram`, `inc`, `set` and `observe` take what nginx-lua-prometheus takes, in the same order.
 */

const concat = table.concat;
const gsub = string.gsub;

/** The most bounds a histogram can have. */
const MOST_BOUNDS = 16;

type Kind = "counter" | "gauge" | "histogram";

/** How the levels of several workers become one: an amount in flight is a sum, a verdict is the worst of all. */
type Merge = "sum" | "min" | "max";

interface Series {
  metric: Metric;
  /** The series as the text format writes it: `name{label="value"}`. */
  key: string;
  /** Counter: the amount since the last flush. Gauge: the level. Histogram: the sum since the last flush. */
  value: number;
  /** Updates since the last flush; for a gauge, since the worker began. */
  updates: number;
  /** Whether the shared index knows this series. */
  enrolled: boolean;
  /** Whether the metric had no room for it. */
  refused: boolean;
}

interface Distribution extends Series {
  /** Upper bounds, ascending. */
  bounds: number[];
  size: number;
  /** The bounds, filled up with infinities to sixteen. */
  search: number[];
  /** Observations of each bucket since the last flush, not cumulative; one more than there are bounds. */
  counts: number[];
}

interface Metric {
  registry: Registry;
  name: string;
  help: string;
  kind: Kind;
  labels: string[];
  bounds: number[];
  merge: Merge;
  /** Series of this metric by their label values. */
  members: LuaTable<string, Series>;
  count: number;
  /** What every series beyond the bound shares. */
  overflow: Series | undefined;
  /** The series for these label values, in the order of the labels. Keep it: finding it builds a string. */
  with(this: Metric, values: string[]): Series;
}

interface Counter extends Metric {
  inc(this: Counter, by?: number, values?: string[]): void;
}

interface Gauge extends Metric {
  set(this: Gauge, value: number, values?: string[]): void;
  inc(this: Gauge, by?: number, values?: string[]): void;
}

interface Histogram extends Metric {
  with(this: Histogram, values: string[]): Distribution;
  observe(this: Histogram, value: number, values?: string[]): void;
}

interface Registry {
  metrics: Metric[];
  by_name: LuaTable<string, Metric>;
  /** Every series of this worker, in the order of creation. */
  series: Series[];
  /** How many series one metric may have, in a worker and in the shared dictionary. */
  most_series: number;
  /** Declares a counter: an amount that only grows. */
  counter(this: Registry, name: string, help: string, labels?: string[]): Counter;
  /** Declares a gauge: a level. `merge` says how the levels of several workers become one; the sum if not given. */
  gauge(this: Registry, name: string, help: string, labels?: string[], merge?: Merge): Gauge;
  /** Declares a histogram. `bounds` are the upper bounds of its buckets, ascending, without +Inf. */
  histogram(this: Registry, name: string, help: string, labels: string[] | undefined, bounds: number[]): Histogram;
}

/** A label value as the text format wants it between its quotation marks. */
function escape_label(value: string): string {
  const [slashes] = gsub(value, "\\", "\\\\");
  const [quotes] = gsub(slashes, '"', '\\"');
  const [lines] = gsub(quotes, "\n", "\\n");
  return lines;
}

function series_key(name: string, labels: string[], values: string[]): string {
  if (labels.length === 0) return name;
  const pairs: string[] = [];
  for (const index of $range(0, labels.length - 1)) {
    pairs.push(`${labels[index]!}="${escape_label(values[index] ?? "")}"`);
  }
  return `${name}{${concat(pairs, ",")}}`;
}

function make_series(metric: Metric, key: string): Series {
  const series: Series = { metric, key, value: 0, updates: 0, enrolled: false, refused: false };
  if (metric.kind === "histogram") {
    const distribution = series as Distribution;
    distribution.bounds = metric.bounds;
    distribution.size = metric.bounds.length;
    distribution.counts = [];
    distribution.search = [];
    for (const place of $range(0, MOST_BOUNDS - 1)) distribution.search.push(metric.bounds[place] ?? math.huge);
    for (const _ of $range(0, distribution.size)) distribution.counts.push(0);
  }
  metric.registry.series.push(series);
  return series;
}

function find_series(this: Metric, values: string[]): Series {
  const name = concat(values, "\0");
  const known = this.members.get(name);
  if (known !== undefined) return known;
  if (this.count >= this.registry.most_series) {
    if (this.overflow === undefined) {
      this.overflow = make_series(this, "");
      this.overflow.refused = true;
    }
    return this.overflow;
  }
  const series = make_series(this, series_key(this.name, this.labels, values));
  this.members.set(name, series);
  this.count += 1;
  return series;
}

/** Adds to a counter. What is negative or not a number is left out: a counter only grows. */
function add(series: Series, by: number): void {
  if (by >= 0) {
    series.value += by;
    series.updates += 1;
  }
}

/** Sets the level of a gauge. */
function set(series: Series, value: number): void {
  series.value = value;
  series.updates += 1;
}

/** Raises the level of a gauge, or lowers it by a negative number. */
function change(series: Series, by: number): void {
  series.value += by;
  series.updates += 1;
}

/**
 * Adds one observation to a histogram. The bucket is found by halving sixteen places four times, without a loop: a loop
 * here would keep the callers from being compiled as one trace.
 */
function observe(series: Distribution, value: number): void {
  if (value !== value) return;
  const bounds = series.search;
  let bucket = value > bounds[7]! ? 8 : 0;
  if (value > bounds[bucket + 3]!) bucket += 4;
  if (value > bounds[bucket + 1]!) bucket += 2;
  if (value > bounds[bucket]!) bucket += 1;
  if (value > bounds[15]!) bucket = 16;
  const counts = series.counts;
  counts[bucket] = counts[bucket]! + 1;
  series.value += value;
  series.updates += 1;
}

function counter_inc(this: Counter, by?: number, values?: string[]): void {
  add(this.with(values ?? []), by ?? 1);
}

function gauge_set(this: Gauge, value: number, values?: string[]): void {
  set(this.with(values ?? []), value);
}

function gauge_inc(this: Gauge, by?: number, values?: string[]): void {
  change(this.with(values ?? []), by ?? 1);
}

function histogram_observe(this: Histogram, value: number, values?: string[]): void {
  observe(this.with(values ?? []), value);
}

function declare_metric(registry: Registry, kind: Kind, name: string, help: string, labels: string[], bounds: number[], merge: Merge): Metric {
  const metric: Metric = {
    registry, name, help, kind, labels, bounds, merge,
    members: new LuaTable(), count: 0, overflow: undefined, with: find_series,
  };
  registry.metrics.push(metric);
  registry.by_name.set(name, metric);
  return metric;
}

function declare_counter(this: Registry, name: string, help: string, labels?: string[]): Counter {
  const metric = declare_metric(this, "counter", name, help, labels ?? [], [], "sum") as Counter;
  metric.inc = counter_inc;
  // A counter without labels exists from the start: a rate needs the zero before the first event.
  if (metric.labels.length === 0) add(metric.with([]), 0);
  return metric;
}

function declare_gauge(this: Registry, name: string, help: string, labels?: string[], merge?: Merge): Gauge {
  const metric = declare_metric(this, "gauge", name, help, labels ?? [], [], merge ?? "sum") as Gauge;
  metric.set = gauge_set;
  metric.inc = gauge_inc;
  return metric;
}

function declare_histogram(this: Registry, name: string, help: string, labels: string[] | undefined, bounds: number[]): Histogram {
  if (bounds.length > MOST_BOUNDS) error(`${name}: at most ${MOST_BOUNDS} bounds`);
  const metric = declare_metric(this, "histogram", name, help, labels ?? [], bounds, "sum") as Histogram;
  metric.observe = histogram_observe;
  return metric;
}

/** Makes an empty registry. `most_series` bounds the series of each metric (10,000 if not given). */
function create(most_series?: number): Registry {
  return {
    metrics: [],
    by_name: new LuaTable(),
    series: [],
    most_series: most_series ?? 10000,
    counter: declare_counter,
    gauge: declare_gauge,
    histogram: declare_histogram,
  };
}

export { add, change, create, observe, set };
export type { Counter, Distribution, Gauge, Histogram, Kind, Merge, Metric, Registry, Series };
