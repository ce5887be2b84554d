/** Tells the webhook of the configuration that a tenant has spent a share of its budget: in a timer, and again if it fails. */

import { realtime } from "../edge/clock";
import { request_uri } from "../edge/http";
import { PAUSES, alert_body, due_shares } from "../limit/alert";
import { gateway } from "./gateway";
import type { Scope } from "../limit/scope";

const TIMEOUT_MS = 5000;
const MOST_ANSWER_BYTES = 65536;
const HEADERS = new LuaTable<string, string>();
HEADERS.set("content-type", "application/json");

/** Sends an alert. Returns why it was not taken. */
function deliver(url: string, body: string): string | undefined {
  const [response, reason] = request_uri(url, {
    method: "POST",
    headers: HEADERS,
    body,
    max_body_bytes: MOST_ANSWER_BYTES,
    timeout_ms: TIMEOUT_MS,
  });
  if (response === undefined) {
    return reason ?? "no answer";
  }
  return response.status >= 200 && response.status < 300 ? undefined : `it answered with status ${response.status}`;
}

/** Sends an alert, and plans another try if it fails. `tries`: how often it has been tried before. */
function send(this: void, premature: boolean, url: string, body: string, tries: number): void {
  const reason = premature ? "the worker stops" : deliver(url, body);
  if (reason === undefined) {
    return;
  }
  const pause = premature ? undefined : PAUSES[tries];
  if (pause === undefined || ngx.timer.at(pause, send, url, body, tries + 1)[0] === undefined) {
    ngx.log(ngx.ERR, "sluice: an alert could not be sent: ", reason, ": ", body);
  }
}

/** Gives the alerts of a tenant's budget that are due: a bit for each, as settling returned them. `id`: the request's that brought it about. */
function give_alerts(scope: Scope, due: number, spent: number, id: string): void {
  const { alerts } = gateway().snapshot.configuration;
  const url = alerts?.webhook ?? "";
  for (const share of due_shares(scope, due)) {
    const body = alert_body(`${id}-${string.format("%.6g", share)}`, scope, share, spent, realtime());
    ngx.log(ngx.WARN, "sluice: ", scope.title, " has spent ", string.format("%.6g", share * 100), " % of its budget");
    if (url !== "" && ngx.timer.at(0, send, url, body, 0)[0] === undefined) {
      ngx.log(ngx.ERR, "sluice: an alert could not be sent: there are too many timers: ", body);
    }
  }
}

export { give_alerts };
