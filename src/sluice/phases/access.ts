/**
 * The access phase: who asks, for what, and where it goes. Every way out with a refusal is here.
 */

import { client_address } from "../auth/address_list";
import { credential_of, identify, refuse_address, refuse_model } from "../auth/identify";
import { monotonic, realtime } from "../edge/clock";
import {
  announce_request_id, body_bytes, body_range, close_body, each_slice, header, method, new_request_id, path, peer_address,
  read_body,
} from "../edge/request";
import { list_header } from "../edge/request_lines";
import { passing_request_id } from "../edge/upstream";
import { judge_prompt, watch_prompt } from "../guard/prompt";
import { choose } from "../route/choose";
import { find_model, serves } from "../route/table";
import { BY_PATH } from "../wire/api";
import { note_conversation } from "../wire/conversation";
import { own_path } from "../wire/public_path";
import { refuse } from "../wire/refusal";
import { begin_strictly, conclude, is_undecided, read, release, take } from "../wire/request";
import { find_holder } from "./affinity";
import { go_on, start_attempt } from "./attempts";
import { edit_request } from "./body_edits";
import { answer_preflight } from "./cross_origin";
import { set_model } from "./fallback";
import { gateway } from "./gateway";
import { reserve } from "./limits";
import { answer_probe } from "./pages";
import { refuse_large_body, send_refusal } from "./refusals";
import { find_page, pin_references, take_page } from "./stored_responses";
import { keep_state, take_state } from "./state";
import { refuse_unknown_model } from "./unknown_names";
import type { RequestBody } from "../edge/request";
import type { Guard } from "../guard/guards";
import type { Api } from "../wire/api";
import type { Model } from "../route/table";
import type { Refusal } from "../wire/refusal";
import type { RequestReader } from "../wire/request";
import type { RequestState } from "./state";

/** Who asks, and whether they may from there. */
function identify_caller(state: RequestState): Refusal | undefined {
  const { directory, trusted_proxies } = state.snapshot;
  const [principal, refusal] = identify(
    directory,
    credential_of(header("authorization"), undefined, undefined) ?? credential_of(undefined, header("x_api_key"), header("api_key")),
    state.arrived,
  );
  if (principal === undefined) {
    return refusal;
  }
  state.principal = principal;
  if (principal.tenant.allows_address === undefined) {
    return undefined;
  }
  const forwarded = trusted_proxies !== undefined ? header("x_forwarded_for") : undefined;
  return refuse_address(principal, client_address(peer_address(), forwarded, trusted_proxies));
}

/** Walks the body; what it holds is scanned if there is a guard. Returns why it can't be read. */
function walk_body(reader: RequestReader, body: RequestBody, guard: Guard | undefined): string | undefined {
  if (guard === undefined) {
    return each_slice(body, read, reader);
  }
  watch_prompt(reader.text, guard);
  const unreadable = each_slice(body, read, reader);
  if (unreadable !== undefined || !is_undecided(reader)) {
    return unreadable;
  }
  // Something was taken for media that is none by what came behind it: now it is read.
  judge_prompt(reader.text, guard);
  begin_strictly(reader);
  watch_prompt(reader.text, guard);
  return each_slice(body, read, reader);
}

/** What is asked for, read from the body, in one walk as a rule. */
function read_request(state: RequestState, body: RequestBody): Refusal | undefined {
  const { guard } = state.principal!.tenant;
  const guarded = guard !== undefined && guard.on_prompt;
  const reader = take(state.api!.name, guarded);
  const unreadable = walk_body(reader, body, guarded ? guard : undefined);
  if (unreadable !== undefined) {
    if (guarded) {
      judge_prompt(reader.text, guard);
    }
    release(reader);
    ngx.log(ngx.ERR, "the request body on disk can't be read: ", unreadable);
    return refuse(500, "api_error", "internal_error", "The gateway could not read the request body.");
  }
  const [reading, refusal] = conclude(reader, body_range, body, state.named_model);
  if (guarded) {
    state.prompt_verdict = judge_prompt(reader.text, guard);
  }
  note_conversation(reader, state.places);
  release(reader);
  state.reading = reading;
  return refusal;
}

/** The model that the rules of that name choose; undefined: there are none. */
function chosen_model(state: RequestState, name: string): Model | undefined {
  const choices = state.snapshot.routes.choices.get(name);
  return choices !== undefined ? choose(choices, state.reading!, state.principal!.tenant.id, state.arrived, list_header) : undefined;
}

/** Which model, and whether the caller may use it. */
function route_request(state: RequestState): Refusal | undefined {
  const name = state.reading!.model;
  const { routes } = state.snapshot;
  const model = find_model(routes, name) ?? chosen_model(state, name);
  if (model === undefined) {
    return refuse_unknown_model(routes, name, state.principal!.tenant.allows_model);
  }
  const forbidden = refuse_model(state.principal!, name);
  if (forbidden !== undefined) {
    return forbidden;
  }
  set_model(state, model);
  return serves(model, state.api!.service) ? undefined : refuse(404, "invalid_request_error", "unknown_url", "This model is not served at this URL.");
}

/** Refuses a prompt in which the tenant's guard found something that blocks. The list is named, the word is not. */
function judge(state: RequestState): Refusal | undefined {
  const verdict = state.prompt_verdict;
  if (verdict === undefined || verdict.tally.blocked_by === undefined) {
    return undefined;
  }
  const refusal = refuse(403, "permission_error", "content_filter", `The prompt has been refused because of the list ${verdict.tally.blocked_by}.`);
  refusal.retry = false;
  return refusal;
}

/** A page of a response that was made before. It counts as a request, and is free of tokens. */
function admit_page(state: RequestState): Refusal | undefined {
  const refusal = find_page(state) ?? reserve(state);
  state.output_allowance = math.huge;
  state.window_allowance = math.huge;
  return refusal ?? start_attempt(state);
}

/**
 * Clients of the Responses API may try a WebSocket first, and go on without one if there is none here (RFC 9110 15.5.22 is what
 * they take for that); another refusal they take for a fault that passes.
 */
function refuse_method(state: RequestState): Refusal {
  if (state.api!.name === "responses" && string.lower(header("upgrade") ?? "") === "websocket") {
    return refuse(426, "invalid_request_error", "upgrade_not_supported", "There is no WebSocket here: use POST.");
  }
  return refuse(405, "invalid_request_error", "method_not_allowed", "Only POST is allowed here.");
}

/** Everything between the request's headers and the proxy. */
function admit(state: RequestState): Refusal | undefined {
  if (state.api === undefined) {
    return take_page(state, path()) ?? identify_caller(state) ?? admit_page(state);
  }
  if (method() !== "POST") {
    return refuse_method(state);
  }
  const refused = identify_caller(state);
  if (refused !== undefined) {
    return refused;
  }
  const encoding = list_header("content_encoding");
  if (encoding !== undefined && encoding !== "" && encoding !== "identity") {
    return refuse(415, "invalid_request_error", "unsupported_encoding", "Request bodies must not be compressed.");
  }
  const most_bytes = state.snapshot.most_body_bytes;
  if (most_bytes !== undefined && body_bytes() > most_bytes) {
    return refuse_large_body(most_bytes);
  }
  const waiting = monotonic();
  const body = read_body();
  state.overhead -= monotonic() - waiting;
  if (most_bytes !== undefined && body_bytes() > most_bytes) {
    // It came in chunks, without a length.
    return refuse_large_body(most_bytes);
  }
  const refusal = read_request(state, body) ?? route_request(state) ?? judge(state) ?? pin_references(state, body) ?? reserve(state);
  if (refusal === undefined) {
    state.suffix = state.api.suffix;
    find_holder(state, body);
    edit_request(state, body);
  }
  close_body(body);
  return refusal ?? start_attempt(state);
}

/** The API of a path of another form, and the model that it names. Undefined: it is none. */
function find_api(asked: string): LuaMultiReturn<[api: Api | undefined, named_model: string | undefined]> {
  const [own, named_model] = own_path(asked);
  return $multi(BY_PATH.get(own), named_model);
}

/**
 * Whether a client only asks whether there is anybody: coding agents do so before their first request. It needs no credential.
 */
function is_probe(asked: string): boolean {
  return asked === "/" && method() === "HEAD";
}

/** access_by_lua */
function access(this: void): void {
  const began = monotonic();
  if (passing_request_id() !== "") {
    // An error page of somebody else's configuration has led here: the request has been through this already.
    send_refusal(undefined, refuse(500, "api_error", "internal_error", "The gateway failed to handle the request."));
    return;
  }
  const { snapshot } = gateway();
  if (snapshot.cors !== undefined && answer_preflight(snapshot.cors)) {
    return;
  }
  const id = new_request_id();
  announce_request_id(id);
  // To the millisecond, as the journal has it: a request must not be of another day there.
  const arrived = math.floor(realtime() * 1000) / 1000;
  const asked = path();
  let api = BY_PATH.get(asked) as Api | undefined;
  let named_model: string | undefined;
  if (api === undefined) {
    if (is_probe(asked)) {
      answer_probe();
      return;
    }
    [api, named_model] = find_api(asked);
  }
  const state = take_state(id, api, snapshot, began, arrived);
  state.named_model = named_model;
  ngx.ctx = state;
  // Should nginx take it elsewhere, for another attempt or because of an error of its own.
  keep_state(state);
  const refusal = admit(state);
  state.overhead += monotonic() - began;
  if (refusal !== undefined) {
    send_refusal(state, refusal);
    return;
  }
  go_on(state);
}

export { access };
