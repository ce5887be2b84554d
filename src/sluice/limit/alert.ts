/** What somebody is told when a tenant has spent a share of its budget. */

import { encode_string } from "../wire/json";
import { period_end } from "./period";
import type { Schema } from "../config/schema";
import type { Scope } from "./scope";

interface AlertsConfiguration {
  /** Where alerts are sent to; none are, if it is left out or empty. */
  webhook?: string;
}

/** The `alerts` section. */
const ALERTS_SCHEMA: Schema = {
  description: "Who is told when budgets are nearly used up.",
  type: "object",
  properties: {
    webhook: {
      description: "An https or http address that gets a POST with JSON for each alert; nobody is told if it is empty.",
      type: "string",
      maxLength: 2048,
      writeOnly: true,
      examples: ["${ALERT_URL:-}"],
    },
  },
};

/** Pauses before further tries, in seconds: an alert is given up after some nine minutes. */
const PAUSES = [1, 5, 25, 120, 400];

/** Dollars with all their nano-dollars, as text: an integer of nano-dollars may be more than a reader's numbers hold. */
function dollars(nano_usd: number): string {
  return string.format("%d.%09d", math.floor(nano_usd / 1e9), nano_usd % 1e9);
}

function instant(time: number): string {
  return encode_string(os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(time)));
}

/** The shares whose bits are set in what `spend` returned. */
function due_shares(scope: Scope, due: number): number[] {
  const shares: number[] = [];
  let rest = due;
  for (const share of scope.budget!.alert_at) {
    if (rest % 2 === 1) {
      shares.push(share);
    }
    rest = math.floor(rest / 2);
  }
  return shares;
}

/** The alert's JSON. `spent` is in nano-dollars, `now` in seconds since 1970. `id` names the alert: it is the same when it is sent again. */
function alert_body(id: string, scope: Scope, share: number, spent: number, now: number): string {
  const budget = scope.budget!;
  return (
    `{"event":"budget_alert","id":${encode_string(id)},"tenant":${encode_string(scope.owner)},"share":${string.format("%.6g", share)},` +
    `"spent_usd":"${dollars(spent)}","budget_usd":"${dollars(budget.amount)}","period":"${budget.period}",` +
    `"period_ends":${instant(period_end(budget.period, now))},"time":${instant(now)}}`
  );
}

export { ALERTS_SCHEMA, PAUSES, alert_body, due_shares };
export type { AlertsConfiguration };
