/** For how long an upstream says to wait. */

import { read_http_date } from "./http_date";

const match = string.match;

/** Nobody means longer than a year. */
const MOST_MILLISECONDS = 365 * 86400 * 1000;

const NOT_SAID = -1;

/** A number without a sign, with or without decimals; undefined if the text is none. */
function read_number(text: string | undefined): number | undefined {
  const [number] = match(text ?? "", "^%s*(%d+%.?%d*)%s*$");
  return number === undefined ? undefined : tonumber(number);
}

/**
 * Milliseconds to wait, from the headers `Retry-After` (RFC 9110 section 10.2.3: seconds, of which some upstreams send fractions, or a
 * date) and `retry-after-ms`, which is more precise and goes first. `now`: seconds since 1970. 0 for a date that has passed; −1: the
 * headers are absent, or say nothing that can be understood.
 */
function read_retry_after(retry_after: string | undefined, retry_after_ms: string | undefined, now: number): number {
  const milliseconds = read_number(retry_after_ms);
  if (milliseconds !== undefined) {
    return math.min(milliseconds, MOST_MILLISECONDS);
  }
  const seconds = read_number(retry_after);
  if (seconds !== undefined) {
    return math.min(seconds * 1000, MOST_MILLISECONDS);
  }
  const [date] = match(retry_after ?? "", "^%s*(.-)%s*$");
  const until = read_http_date(date!, now);
  if (until === undefined) {
    return NOT_SAID;
  }
  return math.min(math.max(0, (until - now) * 1000), MOST_MILLISECONDS);
}

export { read_retry_after };
