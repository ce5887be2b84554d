/** What remains of many samples: the middle, and how far they lay apart. */

interface Spread {
  median: number;
  least: number;
  most: number;
}

/** At least one value. */
function spread_of(values: number[]): Spread {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? NaN;
  const lower = sorted[Math.ceil(middle) - 1] ?? NaN;
  return { median: (upper + lower) / 2, least: sorted[0] ?? NaN, most: sorted.at(-1) ?? NaN };
}

/** The same without the lowest and the highest quarter: one hiccup of the machine would set both ends. */
function middle_half_of(values: number[]): Spread {
  const sorted = values.toSorted((left, right) => left - right);
  const quarter = Math.floor(sorted.length / 4);
  return spread_of(sorted.slice(quarter, sorted.length - quarter));
}

function median_of(values: number[]): number {
  return spread_of(values).median;
}

/** `0.71 (0.69 … 0.74)` */
function show(spread: Spread, digits: number): string {
  return `${spread.median.toFixed(digits)} (${spread.least.toFixed(digits)} … ${spread.most.toFixed(digits)})`;
}

export { median_of, middle_half_of, show, spread_of, type Spread };
