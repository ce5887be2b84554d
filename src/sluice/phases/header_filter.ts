/**
 * The header filter: what the client learns of the answer, and how its body will be read.
 *
 * An error page of nginx's own (no endpoint could be reached, a malformed request) and an upstream's answer that is
 * not for clients (it may name our account) are replaced here by a refusal in the API's shape.
 */

import { monotonic } from "../edge/clock";
import { announce_request_id, new_request_id } from "../edge/request";
import { replace_answer_headers } from "../edge/response";
import { remove_headers, remove_own_headers } from "../edge/own_headers";
import { system_error } from "../edge/own_trouble";
import { restore_http_version } from "../edge/http_version";
import { passing_request_id, upstream_answered } from "../edge/upstream";
import { AnswerKind, kind_of_type, utf8_type, utf8_vague_type } from "../wire/content_type";
import { refusal_body } from "../wire/ending";
import { refuse } from "../wire/refusal";
import { expect_answer } from "./answer_end";
import { completion_guard, read_as, refuse_kind } from "./answer_kind";
import { begin_answer_of } from "./attempts";
import { share_answer } from "./cross_origin";
import { which_timeout } from "./deadline";
import { gateway } from "./gateway";
import { begin_learning } from "./learning";
import { write_standings } from "./limits";
import { own_failure, refuse_own } from "./own_failure";
import { await_words, has_words, refuse_account } from "./refused_words";
import { refuse_nginx_error, refusing_api } from "./refusals";
import { Mode, OWN_PAGE, Own, current_state, kept_state } from "./state";
import { cannot_count, replace_by_estimate } from "./token_count";
import type { Guard } from "../guard/guards";
import type { Refusal } from "../wire/refusal";
import type { RequestState } from "./state";

const find = string.find;
const sub = string.sub;

/** The refusal in place of an upstream's answer that must not reach the client. */
function refuse_upstream_status(status: number): Refusal | undefined {
  if (status === 401 || status === 402 || status === 403) {
    return refuse_account(502);
  }
  if (status < 200 || (status >= 300 && status < 400)) {
    return refuse(502, "upstream_error", "upstream_failed", "The model server gave an answer that can't be passed on.");
  }
  return undefined;
}

/**
 * The refusal in place of an answer that can't be read: one that is compressed though none was asked for, or what
 * nginx takes for HTTP/0.9 because it is no HTTP at all.
 */
function refuse_unreadable(): Refusal | undefined {
  const headers = ngx.header;
  const encoding = headers.get("content_encoding");
  const is_no_http = headers.get("content_type") === undefined && ngx.req.http_version() === 0.9;
  return is_no_http || (encoding !== undefined && encoding !== "identity")
    ? refuse(502, "upstream_error", "upstream_failed", "The model server gave an answer that can't be read.")
    : undefined;
}

/** Whether a header, by its name, tells of the account that was used: its rate limits, its organisation. */
function is_of_account(this: void, name: string): boolean {
  return find(name, "ratelimit", 1, true)[0] !== undefined || sub(name, 1, 7) === "openai-" || sub(name, 1, 10) === "anthropic-"
    || sub(name, 1, 5) === "x-ms-" || sub(name, 1, 5) === "apim-" || sub(name, 1, 8) === "azureml-";
}

/** Removes what the upstream says of the account that was used. */
function hide_account(state: RequestState): void {
  const { account, endpoint } = state;
  if (account !== undefined && endpoint !== undefined && (account.id !== "" || endpoint.scheme !== "http")) {
    remove_headers(is_of_account);
  }
}

/** Puts a refusal in the place of the answer. Returns what its body will be. */
function replace_answer(refusal: Refusal, state: RequestState | undefined): string {
  const body = refusal_body(refusal, refusing_api(state), passing_request_id());
  replace_answer_headers(refusal, body.length);
  return body;
}

/**
 * Whether a type contradicts the request: JSON where events were asked for. Some servers send these under that type, others
 * JSON all the same.
 */
function is_doubtful(state: RequestState, kind: AnswerKind, status: number): boolean {
  return kind === AnswerKind.Json && status === 200 && state.reading!.stream;
}

/** Asks whatever stands between us and the client, such as another nginx, to pass events on as they come. */
function pass_at_once(): void {
  ngx.header.set("x-accel-buffering", "no");
}

/**
 * The answer's type says nothing of what it is, or may be wrong. Only events may have to become fewer, and only where some were
 * asked for.
 */
function await_kind(state: RequestState, type: string, guard: Guard | undefined): void {
  state.mode = Mode.Unknown;
  if (state.reading!.stream) {
    pass_at_once();
  }
  if (guard !== undefined || state.reading!.stream) {
    ngx.header.set("content_length", undefined);
  }
  const readable = guard !== undefined ? utf8_vague_type(type) : undefined;
  if (readable !== undefined) {
    ngx.header.set("content_type", readable);
  }
}

/** Decides how the body of an answer is read: of a good one, and of any that has to be guarded. Returns a refusal for one that can't be guarded though it must be. */
function begin_answer(state: RequestState, status: number): Refusal | undefined {
  const type = (ngx.header.get("content_type") as string | undefined) ?? "";
  const guard = completion_guard(state);
  if (status !== 200 && guard === undefined) {
    return undefined;
  }
  const kind = kind_of_type(type);
  if (kind === AnswerKind.Other) {
    return guard !== undefined ? refuse_kind() : undefined;
  }
  if (kind === AnswerKind.Unknown || is_doubtful(state, kind, status)) {
    state.says_json = kind === AnswerKind.Json;
    await_kind(state, type, guard);
    return undefined;
  }
  const streams = kind === AnswerKind.Events;
  if (streams) {
    pass_at_once();
  }
  read_as(state, streams, guard, guard !== undefined && !streams ? (tonumber(ngx.header.get("content_length")) ?? -1) : -1);
  if (streams || guard !== undefined) {
    ngx.header.set("content_length", undefined);
  }
  if (guard !== undefined) {
    const readable = utf8_type(type, streams ? "text/event-stream" : "application/json");
    if (readable !== undefined) {
      ngx.header.set("content_type", readable);
    }
  }
  return undefined;
}

/** The refusal in place of an error page of nginx's own: the last attempt has failed without an answer, or nginx gives up. */
function refuse_unanswered(state: RequestState, status: number, is_astray: boolean): Refusal {
  if (!is_astray && state.under_way) {
    // Nothing that has run since the attempt failed calls the system.
    state.own = own_failure(state, status, system_error());
  }
  return refuse_own(state.own) ?? refuse_nginx_error(status);
}

/** The answer begins, or something else is sent in its place. */
function begin_or_replace(state: RequestState, status: number, is_astray: boolean): void {
  const refusal =
    is_astray || (status >= 400 && !upstream_answered())
      ? refuse_unanswered(state, status, is_astray)
      : (refuse_upstream_status(status) ?? (status < 300 || completion_guard(state) !== undefined ? refuse_unreadable() : undefined) ?? begin_answer(state, status));
  if (refusal !== undefined) {
    if (ngx.req.http_version() === 0.9) {
      restore_http_version();
    }
    state.refusal = refusal;
    state.mode = Mode.Replace;
    state.replacement = replace_answer(refusal, state);
    if (state.own !== Own.Header && (refusal.status === 502 || refusal.status === 504)) {
      state.broken = refusal.status === 504 ? "timed_out" : "upstream_lost";
      state.timeout = refusal.status === 504 ? which_timeout(state, monotonic()) : undefined;
    }
  } else {
    begin_answer_of(state, status);
    if (state.api!.service === "responses") {
      begin_learning(state, status);
    }
  }
}

/** The request's id by the name that Anthropic has for it, where its API was asked for. */
function tell_request_id(state: RequestState | undefined): void {
  if (refusing_api(state) === "messages") {
    ngx.header.set("request-id", passing_request_id());
  }
}

/** header_filter_by_lua */
function filter_header(this: void): void {
  const began = monotonic();
  const status = ngx.status;
  let state = current_state();
  let is_astray = false;
  if (state === undefined) {
    // Of what others do on the way, such as asking who the client is.
    if (ngx.is_subrequest) {
      return;
    }
    state = status >= 400 && ngx.ctx !== OWN_PAGE ? kept_state(passing_request_id()) : undefined;
    is_astray = state !== undefined;
    if (is_astray) {
      // nginx has taken it elsewhere, and gives up.
      ngx.ctx = state;
    }
  }
  if (state === undefined) {
    const is_page = ngx.ctx === OWN_PAGE;
    const { cors } = gateway().snapshot;
    if (cors !== undefined && (status >= 400 || is_page)) {
      share_answer(cors);
    }
    if (status >= 400 && !is_page) {
      if (passing_request_id() === "") {
        announce_request_id(new_request_id());
      }
      tell_request_id(undefined);
      const ctx = ngx.ctx as { replacement?: string };
      ctx.replacement = replace_answer(refuse_nginx_error(status), undefined);
    }
    return;
  }
  const headers = ngx.header;
  if (status === 101) {
    // nginx would join client and upstream for good, though nobody asked the upstream to change protocols.
    state.refusal = refuse(502, "upstream_error", "upstream_failed", "The model server gave an answer that can't be passed on.");
    state.broken = "upstream_lost";
    ngx.exit(ngx.ERROR);
    return;
  }
  remove_own_headers();
  hide_account(state);
  tell_request_id(state);
  const { cors } = state.snapshot;
  if (cors !== undefined) {
    share_answer(cors);
  }
  if (state.reservation !== undefined) {
    write_standings(state, state.reservation);
  }
  if (state.model !== undefined) {
    headers.set("x-sluice-model", state.model.name);
    headers.set("x-sluice-pool", state.model.pool.name);
    headers.set("x-sluice-attempts", state.attempts);
  }
  if (state.refusal === undefined && state.api!.counts && !is_astray && cannot_count(status) && upstream_answered()) {
    state.mode = Mode.Replace;
    state.replacement = replace_by_estimate(state);
  } else if (state.refusal === undefined) {
    expect_answer(state, status);
    if (!is_astray && has_words(status) && upstream_answered()) {
      await_words(state);
    } else {
      begin_or_replace(state, status, is_astray);
    }
  }
  state.overhead += monotonic() - began;
  headers.set("x-sluice-overhead-ms", math.floor(state.overhead * 1e6 + 0.5) / 1000);
}

export { filter_header };
