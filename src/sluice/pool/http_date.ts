/** Dates of HTTP headers, in the three forms that a recipient must understand. RFC 9110 section 5.6.7. */

const match = string.match;
const floor = math.floor;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const DAY_SECONDS = 86400;
/** Seconds of a year on average. */
const YEAR_SECONDS = 31556952;
/** A year of two digits that would be further ahead means the century before. */
const MOST_YEARS_AHEAD = 50;

/** Days since 1970-01-01 of a day of the Gregorian calendar. The year begins with March here, so that a leap day ends it. */
function days_since_1970(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const months = month > 2 ? month - 3 : month + 9;
  const days_before = floor((153 * months + 2) / 5);
  return 365 * shifted + floor(shifted / 4) - floor(shifted / 100) + floor(shifted / 400) + days_before + day - 1 - 719468;
}

function is_leap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** A month's number by its name; 0: there is none. */
function month_of(name: string): number {
  for (const index of $range(0, 11)) {
    if (MONTHS[index] === name) {
      return index + 1;
    }
  }
  return 0;
}

/** Seconds since 1970; undefined if there is no such time. A leap second is the next minute's beginning. */
function seconds_of(year: number, month: number, day: number, hour: number, minute: number, second: number): number | undefined {
  const last_day = month === 2 && is_leap(year) ? 29 : (DAYS[month - 1] ?? 0);
  if (day < 1 || day > last_day || hour > 23 || minute > 59 || second > 60) {
    return undefined;
  }
  return days_since_1970(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
}

/**
 * Seconds since 1970 of an HTTP date; undefined if it is none. `now`, likewise, decides the century of a year of two digits. The
 * weekday is not compared with the date.
 */
function read_http_date(text: string, now: number): number | undefined {
  let [day, month, year, hour, minute, second] = match(text, "^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$");
  if (day === undefined) {
    [day, month, year, hour, minute, second] = match(text, "^%a+day, (%d%d)%-(%a%a%a)%-(%d%d) (%d%d):(%d%d):(%d%d) GMT$");
  }
  if (day === undefined) {
    [month, day, hour, minute, second, year] = match(text, "^%a%a%a (%a%a%a) ([ %d]%d) (%d%d):(%d%d):(%d%d) (%d%d%d%d)$");
  }
  if (day === undefined) {
    return undefined;
  }
  let full_year = tonumber(year)!;
  if (year!.length === 2) {
    const this_year = 1970 + floor(now / YEAR_SECONDS);
    full_year += this_year - (this_year % 100);
    if (full_year > this_year + MOST_YEARS_AHEAD) {
      full_year -= 100;
    }
  }
  return seconds_of(full_year, month_of(month!), tonumber(day)!, tonumber(hour)!, tonumber(minute)!, tonumber(second)!);
}

export { read_http_date };
