/** The pages Sluice answers itself: the model list, health, readiness, metrics, status. */

import { credential_of, identify, refuse_address } from "../auth/identify";
import { client_address } from "../auth/address_list";
import { realtime } from "../edge/clock";
import { announce_request_id, header, new_request_id, path, peer_address, rest } from "../edge/request";
import { passing_request_id } from "../edge/upstream";
import { send, send_body, write_refusal_headers } from "../edge/response";
import { CONTENT_TYPE, expose } from "../metrics/exposition";
import { flush } from "../metrics/aggregate";
import { refusal_body } from "../wire/ending";
import { encode_string } from "../wire/json";
import { own_path } from "../wire/public_path";
import { refuse } from "../wire/refusal";
import { answer_preflight } from "./cross_origin";
import { gateway } from "./gateway";
import { pool_metrics, pool_object } from "./pool_pages";
import { budget_metrics, limits_status, store_status } from "./limits";
import { OWN_PAGE } from "./state";
import { refuse_unknown_model } from "./unknown_names";
import type { Principal } from "../auth/principal";
import { is_known } from "../route/table";
import type { Refusal } from "../wire/refusal";

const JSON_TYPE = "application/json";

/** Marks the answer as the gateway's own, so that the header filter leaves it alone, and gives the request its id. */
function begin_page(): void {
  ngx.ctx = OWN_PAGE;
  announce_request_id(new_request_id());
}

/** Whether the client speaks Anthropic's API, which all of its requests say. */
function speaks_messages(): boolean {
  return header("anthropic_version") !== undefined;
}

function send_refusal(refusal: Refusal): void {
  const body = refusal_body(refusal, speaks_messages() ? "messages" : undefined, passing_request_id());
  write_refusal_headers(refusal, body.length, "GET");
  send_body(body);
}

function identify_caller(): LuaMultiReturn<[principal: Principal | undefined, refusal: Refusal | undefined]> {
  const { directory, trusted_proxies } = gateway().snapshot;
  const [principal, refusal] = identify(
    directory,
    credential_of(header("authorization"), header("x_api_key"), header("api_key")),
    realtime(),
  );
  if (principal === undefined) {
    return $multi(undefined, refusal);
  }
  const address = client_address(peer_address(), header("x_forwarded_for"), trusted_proxies);
  const elsewhere = refuse_address(principal, address);
  if (elsewhere !== undefined) {
    return $multi(undefined, elsewhere);
  }
  return $multi(principal, undefined);
}

function model_object(name: string): string {
  if (speaks_messages()) {
    const text = encode_string(name);
    return `{"type":"model","id":${text},"display_name":${text},"created_at":"1970-01-01T00:00:00Z"}`;
  }
  return `{"id":${encode_string(name)},"object":"model","created":0,"owned_by":"sluice"}`;
}

/** The list of all models that the caller may use, on one page. `names`: theirs, `objects`: what is told of each. */
function send_list(names: string[], objects: string[]): void {
  if (!speaks_messages()) {
    return send(200, JSON_TYPE, ['{"object":"list","data":[', objects.join(","), "]}"]);
  }
  const count = names.length;
  const ends = count === 0 ? '"first_id":null,"last_id":null' : `"first_id":${encode_string(names[0]!)},"last_id":${encode_string(names[count - 1]!)}`;
  return send(200, JSON_TYPE, ['{"data":[', objects.join(","), `],"has_more":false,${ends}}`]);
}

/**
 * GET /v1/models and /v1/models/{id}: the models that the caller may use, as OpenAI's API reference has it ("Models"), or
 * Anthropic's ("List Models") for its clients. Nobody here knows when a model was made: that is 1970.
 */
function models(this: void): void {
  const { cors, routes } = gateway().snapshot;
  if (cors !== undefined && answer_preflight(cors)) {
    return;
  }
  begin_page();
  if (speaks_messages()) {
    ngx.header.set("request-id", passing_request_id());
  }
  const method = ngx.req.get_method();
  if (method !== "GET" && method !== "HEAD") {
    const refusal = refuse(405, "invalid_request_error", "method_not_allowed", "Only GET is allowed here.");
    return send_refusal(refusal);
  }
  const [principal, refusal] = identify_caller();
  if (principal === undefined) {
    return send_refusal(refusal!);
  }
  const [asked] = own_path(path());
  const [name] = string.match(asked, "^/v1/models/(.+)$");
  if (name !== undefined) {
    if (!is_known(routes, name) || !principal.tenant.allows_model(name)) {
      return send_refusal(refuse_unknown_model(routes, name, principal.tenant.allows_model));
    }
    return send(200, JSON_TYPE, [model_object(name)]);
  }
  const names: string[] = [];
  const objects: string[] = [];
  for (const each of routes.names) {
    if (principal.tenant.allows_model(each)) {
      names.push(each);
      objects.push(model_object(each));
    }
  }
  return send_list(names, objects);
}

/** HEAD /: there is a gateway here, with nothing to say. */
function answer_probe(): void {
  ngx.ctx = OWN_PAGE;
  send(200, JSON_TYPE, []);
}

/** GET /healthz: the worker answers. */
function health(this: void): void {
  begin_page();
  send(200, JSON_TYPE, ['{"status":"ok"}']);
}

/** GET /readyz: 503 while this node is being drained (the file `drain` lies in the run directory). */
function ready(this: void): void {
  const [drain] = io.open(`${gateway().run_directory}/drain`, "r");
  if (drain !== undefined) {
    drain.close();
    return send(503, JSON_TYPE, ['{"status":"draining"}']);
  }
  return send(200, JSON_TYPE, ['{"status":"ready"}']);
}

/** GET /metrics, for Prometheus. What other workers counted in the last second may be missing. */
function metrics(this: void): void {
  const { aggregate } = gateway();
  if (aggregate === undefined) {
    return send(503, "text/plain", ["no metrics dictionary\n"]);
  }
  flush(aggregate);
  const pieces = expose(aggregate, rest);
  pieces.push(budget_metrics(rest));
  pieces.push(pool_metrics());
  return send(200, CONTENT_TYPE, pieces);
}

function list(items: string[]): string {
  return `[${items.join(",")}]`;
}

/** GET /status: what this worker knows, for people and scripts. Keys are named by their ids. */
function status(this: void): void {
  const { configuration_path, snapshot } = gateway();
  const pools: string[] = [];
  // In the configuration's order, not in the table's, which is another one after each start.
  for (const { name } of snapshot.configuration.pools) {
    pools.push(pool_object(snapshot.pools.get(name)));
  }
  const names: string[] = [];
  for (const model of snapshot.routes.in_order) {
    const { name, pool, upstream_model } = model;
    names.push(`{"name":${encode_string(name)},"pool":${encode_string(pool.name)},"upstream_model":${encode_string(upstream_model)}}`);
  }
  send(200, JSON_TYPE, [
    `{"configuration":{"path":${encode_string(configuration_path)},"version":"${snapshot.version}"},`,
    `"store":${store_status()},"worker":{"pid":${ngx.worker.pid()},"count":${ngx.worker.count()}},`,
    `"models":${list(names)},"pools":${list(pools)},"limits":${limits_status(rest)}}`,
  ]);
}

export { answer_probe, health, metrics, models, ready, status };
