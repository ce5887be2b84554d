/** What a client is told when a limit stands in its way, and how far it is from one otherwise. */

import { refuse } from "../wire/refusal";
import { Reason } from "./counters";
import type { Refusal } from "../wire/refusal";
import type { Verdict } from "./counters";
import type { Scope } from "./scope";

const floor = math.floor;
const format = string.format;

function span(seconds: number): string {
  if (seconds === 60) {
    return "minute";
  }
  return seconds === 3600 ? "hour" : "24 hours";
}

/** What a client is told whose request needs more tokens than it may have. `never`: more than the whole limit. */
function tokens_message(scope: Scope, { limit, seconds }: Verdict, tokens: number, prompt_tokens: number, never: boolean): string {
  const limited = `${format("%d", limit)} tokens in any ${span(seconds)}`;
  if (!never) {
    return `The limit of ${scope.title}, ${limited}, is reached: this request may need ${format("%d", tokens)}.`;
  }
  const advice = prompt_tokens < limit ? "lower max_tokens" : "its prompt alone is too long";
  return `This request may need ${format("%d", tokens)} tokens, more than the whole limit of ${scope.title}, ${limited}: ${advice}.`;
}

/**
 * The refusal for a verdict. `scope` is the one that refuses; `tokens` is what the request asked for, `prompt_tokens` those of
 * its prompt.
 */
function refuse_limit(scope: Scope, verdict: Verdict, tokens: number, prompt_tokens: number): Refusal {
  const { limit, reason, seconds, wait } = verdict;
  let refusal: Refusal;
  if (reason === Reason.Budget) {
    refusal = refuse(429, "insufficient_quota", "budget_exceeded", `The budget of ${scope.title} is used up.`);
    refusal.retry = false;
    return refusal;
  }
  if (reason === Reason.Requests) {
    refusal = refuse(429, "rate_limit_error", "rate_limit_exceeded", `The limit of ${scope.title}, ${format("%d", limit)} requests in any ${span(seconds)}, is reached.`);
  } else if (reason === Reason.Tokens) {
    refusal = refuse(429, "rate_limit_error", "tokens_exceeded", tokens_message(scope, verdict, tokens, prompt_tokens, wait < 0));
  } else if (reason === Reason.Concurrency) {
    refusal = refuse(429, "rate_limit_error", "concurrency_exceeded", `${format("%d", limit)} requests of ${scope.title} are under way, which is its limit.`);
  } else {
    refusal = refuse(503, "overloaded_error", "store_unavailable", "The gateway can't count this request now.");
  }
  if (wait < 0) {
    // More than the whole limit: waiting does not help.
    refusal.retry = false;
  } else {
    // After a burst the window counts for longer than it lasts what came at its end: nobody has to wait for more than what is looked back on.
    const is_window = reason === Reason.Requests || reason === Reason.Tokens;
    refusal.retry_after_ms = math.ceil((is_window ? math.min(wait, seconds) : wait) * 1000);
  }
  return refusal;
}

/** A duration as OpenAI writes it: `250ms`, `1s`, `6m0s`, `1h0m0s`. */
function duration(seconds: number): string {
  if (seconds <= 0.999) {
    return `${math.ceil(seconds * 1000)}ms`;
  }
  const whole = math.ceil(seconds);
  if (whole < 60) {
    return `${whole}s`;
  }
  if (whole < 3600) {
    return `${floor(whole / 60)}m${whole % 60}s`;
  }
  return `${floor(whole / 3600)}h${floor((whole % 3600) / 60)}m${whole % 60}s`;
}

/** A time as Anthropic writes it (RFC 3339), to the second, rounded up. `time`: in seconds since 1970. */
function date_of(time: number): string {
  return os.date("!%Y-%m-%dT%H:%M:%SZ", math.ceil(time));
}

export { date_of, duration, refuse_limit };
