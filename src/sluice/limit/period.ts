/** Calendar periods in UTC, which budgets are counted by. Times are in seconds since 1970. */

type Period = "day" | "week" | "month";

const DAY = 86400;
const WEEK = 7 * DAY;
/** The first Monday of 1970 was its fifth day. */
const FIRST_MONDAY = 4 * DAY;

function month_start(time: number): number {
  const day = tonumber(os.date("!%d", math.floor(time)))!;
  return math.floor(time / DAY) * DAY - (day - 1) * DAY;
}

/** The month that was asked for last: the calendar need not be asked again while it lasts. */
const month = { start: 0, end: 0 };

/** When the period began that a time lies in. Weeks begin on Mondays (ISO 8601). */
function period_start(period: Period, time: number): number {
  if (period === "day") {
    return math.floor(time / DAY) * DAY;
  }
  if (period === "week") {
    return math.floor((time - FIRST_MONDAY) / WEEK) * WEEK + FIRST_MONDAY;
  }
  if (time < month.start || time >= month.end) {
    month.start = month_start(time);
    month.end = month_start(month.start + 32 * DAY);
  }
  return month.start;
}

/** When the period ends that a time lies in: the first second of the next one. */
function period_end(period: Period, time: number): number {
  const start = period_start(period, time);
  if (period === "day") {
    return start + DAY;
  }
  return period === "week" ? start + WEEK : month_start(start + 32 * DAY);
}

export { period_end, period_start };
export type { Period };
