/**
 * What an account, or what the request says, is refused for: the body of a last 403, which is read and never goes on, since it
 * may name the account.
 *
 * Limits, confessed. nginx has sent the status before it has the body. So a last 403 that is JSON is the client's 403 in any
 * case; what the body says decides the error's code and text. A page is no provider's error: that is a 502, as for 401 and 402.
 */

import { monotonic } from "../edge/clock";
import { replace_answer_headers } from "../edge/response";
import { upstream_ended } from "../edge/upstream";
import { is_content_refusal } from "../wire/content_refusal";
import { AnswerKind, kind_of_type } from "../wire/content_type";
import { refusal_body } from "../wire/ending";
import { refuse } from "../wire/refusal";
import { end_answer } from "./answer_end";
import { is_over_time } from "./deadline";
import { Mode } from "./state";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

const FORBIDDEN = 403;
/** No provider's error is longer. */
const MOST_BYTES = 16384;

/** The refusal for an account that the upstream does not accept; its status is 403 if that has gone out. */
function refuse_account(status: number): Refusal {
  const refusal = refuse(status, "upstream_error", "upstream_credentials_exhausted", "The model server refused the gateway's account.");
  refusal.retry = false;
  return refusal;
}

/** The refusal for a request that goes against a provider's content policy. */
function refuse_content(): Refusal {
  return refuse(FORBIDDEN, "permission_error", "content_filter", "The model's provider refuses what the request says, by its content policy.");
}

/** Whether an upstream's answer is a 403 whose body may tell why. */
function has_words(status: number): boolean {
  if (status !== FORBIDDEN || ngx.header.get("content_length") === "0") {
    return false;
  }
  const kind = kind_of_type((ngx.header.get("content_type") as string | undefined) ?? "");
  return kind === AnswerKind.Json || kind === AnswerKind.Unknown;
}

/** In the header filter: the client gets a 403, whose body follows when the upstream's has been read. */
function await_words(state: RequestState): void {
  state.mode = Mode.Words;
  state.refusal = refuse_account(FORBIDDEN);
  state.broken = "upstream_lost";
  replace_answer_headers(state.refusal, undefined);
}

/** In the body filter, until all of it is there, or more than an error needs, or it breaks off. */
function filter_words(state: RequestState): void {
  const chunk = ngx.arg[1] ?? "";
  const last = ngx.arg[2];
  state.kept += chunk;
  const is_lost = chunk === "" && !last && upstream_ended();
  if (!last && !is_lost && state.kept.length <= MOST_BYTES && !is_over_time(state, monotonic(), 0)) {
    ngx.arg[1] = "";
    return;
  }
  if (state.kept.length <= MOST_BYTES && is_content_refusal(state.kept)) {
    state.refusal = refuse_content();
    state.broken = undefined;
  }
  state.kept = "";
  state.ended = true;
  end_answer(state, last || is_lost);
  ngx.arg[1] = refusal_body(state.refusal!, state.api!.name);
  ngx.arg[2] = true;
}

export { await_words, filter_words, has_words, refuse_account };
