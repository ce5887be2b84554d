/** Points in time as the ledger keeps them: UTC, RFC 3339 with milliseconds. As texts they sort as the times do. */

const match = string.match;

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Years that both databases have a date for, and no others. */
const FIRST_YEAR = 1970;
const LAST_YEAR = 9999;

function days_in(year: number, month: number): number {
  const is_leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && is_leap ? 29 : (DAYS[month - 1] ?? 0);
}

/** Whether there is such a day, from 1970 on. */
function is_day(year: number, month: number, day: number): boolean {
  return year >= FIRST_YEAR && year <= LAST_YEAR && month >= 1 && month <= 12 && day >= 1 && day <= days_in(year, month);
}

/** `2026-11-21T10:00:00.123Z`, or undefined if the text is no time in UTC of RFC 3339. Any number of decimals; those past the third are cut off. */
function read_instant(text: string): string | undefined {
  const [date, hour, minute, second, rest] = match(text, "^(%d%d%d%d%-%d%d%-%d%d)T(%d%d):(%d%d):(%d%d)(%.?%d*)Z$");
  if (date === undefined || rest === ".") return undefined;
  const [year, month, day] = match(date, "^(%d+)-(%d+)-(%d+)$");
  if (!is_day(tonumber(year)!, tonumber(month)!, tonumber(day)!)) return undefined;
  if (tonumber(hour)! > 23 || tonumber(minute)! > 59 || tonumber(second)! > 59) return undefined;
  if (rest !== "" && string.sub(rest!, 1, 1) !== ".") return undefined;
  return `${date}T${hour}:${minute}:${second}.${string.sub(`${string.sub(rest!, 2)}000`, 1, 3)}Z`;
}

/** What a user writes for a time: a date, which is its beginning, or a time in UTC, with or without seconds and `Z`. */
function read_moment(text: string): string | undefined {
  if (match(text, "^%d%d%d%d%-%d%d%-%d%d$")[0] !== undefined) return read_instant(`${text}T00:00:00Z`);
  const [date, time, rest] = match(text, "^(%d%d%d%d%-%d%d%-%d%d)[T ](%d%d:%d%d)(.*)$");
  if (date === undefined) return undefined;
  const [seconds] = match(rest!, "^(.-)Z?$");
  return read_instant(`${date}T${time}${seconds === "" ? ":00" : seconds}Z`);
}

export { read_instant, read_moment };
