/**
 * Windows that slide: what was used in the last so many seconds, from two numbers. One counts since a multiple of the window's
 * length, the other is what the one before came to; of that the share counts that the window still covers, as if it had
 * been spread evenly. Exact for even traffic; of traffic that came in a burst it remembers a little too much or too little for as
 * long as one window lasts.
 */

interface Window {
  /** A `Measure`, and the length in seconds. */
  measure: number;
  seconds: number;
  /** When the current count began, in seconds since 1970: a multiple of the length. */
  start: number;
  current: number;
  previous: number;
}

/** Sums of products of doubles may be off by this much. */
const TOLERANCE = 0.000001;

/** Brings a window to the time. */
function roll(window: Window, now: number): void {
  const { seconds, start } = window;
  const begins = math.floor(now / seconds) * seconds;
  if (begins === start) {
    return;
  }
  if (begins === start + seconds) {
    window.previous = window.current;
    window.current = 0;
  } else if (begins > start) {
    window.previous = 0;
    window.current = 0;
  }
  // A clock that was set back: what was counted stays counted.
  window.start = begins;
}

/** How much of what was counted before still counts: 1 at the current count's beginning, 0 at its end. */
function share(window: Window, now: number): number {
  return math.min(1, math.max(0, 1 - (now - window.start) / window.seconds));
}

/** What was used in the window that ends now. The window must have been rolled. */
function used(window: Window, now: number): number {
  return window.current + window.previous * share(window, now);
}

/** Whether so much more fits under the limit. */
function fits(window: Window, now: number, amount: number, limit: number): boolean {
  return used(window, now) + amount <= limit + TOLERANCE;
}

/** In how many seconds so much will fit, if nothing else comes; −1: never. */
function seconds_until(window: Window, now: number, amount: number, limit: number): number {
  const { current, previous, seconds, start } = window;
  const room = limit - amount;
  if (room < 0) {
    return -1;
  }
  if (used(window, now) <= room + TOLERANCE) {
    return 0;
  }
  if (current <= room) {
    return start + (1 - (room - current) / previous) * seconds - now;
  }
  return start + seconds + (1 - room / current) * seconds - now;
}

/** In how many seconds nothing of what was used counts any more. */
function seconds_until_empty(window: Window, now: number): number {
  if (window.current > 0) {
    return window.start + 2 * window.seconds - now;
  }
  return window.previous > 0 ? window.start + window.seconds - now : 0;
}

/** Corrects what a request was counted with at a time before. */
function correct(window: Window, at: number, difference: number): void {
  if (at >= window.start) {
    window.current = math.max(0, window.current + difference);
  } else if (at >= window.start - window.seconds) {
    window.previous = math.max(0, window.previous + difference);
  }
}

export { correct, fits, roll, seconds_until, seconds_until_empty, used };
export type { Window };
