/**
 * What is to be settled elsewhere: how a request is written down until the store has confirmed it, and how it is told to Redis.
 */

import { alert_marks, free_place, milliseconds_of, redis_keys, specification } from "./redis_keys";
import { read_line, scopes_of } from "./replay";
import { first_scope } from "./reservation";
import type { Reservation } from "./reservation";
import type { Scope } from "./scope";

const format = string.format;
const match = string.match;

/** Whether the store is known to have admitted the request; it may not know it at all; the request never began. */
type Known = "admitted" | "unknown" | "cancelled";

interface Settlement {
  id: string;
  known: Known;
  owner: string;
  /** The names of its scopes; `-` for none. */
  tenant: string;
  key: string;
  allowance: string;
  /** When the request arrived, in milliseconds since 1970. */
  arrived: number;
  /**
   * As the script wants them, with | between them: when the request was admitted, in seconds; tokens that were reserved, and that
   * were used; what it cost, in nano-dollars; how much it used of what is free.
   */
  amounts: string;
  /** The journal's inode, and where the request's line ends; 0 if it has none. */
  file: number;
  offset: number;
}

const NONE = "-";
/** In a line of the journal; no text in it has a bare quotation mark. */
const REFUSED = ',"ending":"refused",';

function known_of(reservation: Reservation): Known {
  if (reservation.cancelled) {
    return "cancelled";
  }
  return reservation.admitted_elsewhere ? "admitted" : "unknown";
}

/** A settlement as a text, without spaces but between its parts. The id stands at the end: LuaJIT tells long texts apart by that. */
function settlement_text(reservation: Reservation, file: number, offset: number): string {
  const { id, admitted, allowance, arrived, cost_nano_usd, free_used, key, more_tokens, tenant, tokens, used_tokens } = reservation;
  return format(
    "%s %s %s %s %s %.0f %.0f %.0f %.6f|%.0f|%.0f|%.0f|%.0f %s",
    known_of(reservation), first_scope(reservation).owner, tenant !== undefined ? tenant.name : NONE, key !== undefined ? key.name : NONE,
    allowance !== undefined ? allowance.name : NONE, milliseconds_of(arrived), file, offset, admitted, tokens + more_tokens, used_tokens, cost_nano_usd,
    free_used, id,
  );
}

/** Reads a settlement; undefined if the text is none. */
function read_settlement(text: string): Settlement | undefined {
  const [known, owner, tenant, key, allowance, arrived, file, offset, amounts, id] = match(
    text, "^(%l+) (%S+) (%S+) (%S+) (%S+) (%d+) (%d+) (%d+) ([%d.]+|%d+|%d+|%d+|%d+) (%S+)$");
  if (id === undefined) {
    return undefined;
  }
  return {
    id, known: known as Known, owner: owner!, tenant: tenant!, key: key!, allowance: allowance!, arrived: tonumber(arrived)!, amounts: amounts!,
    file: tonumber(file)!, offset: tonumber(offset)!,
  };
}

/**
 * The settlement of a request of which there is only the journal's line; undefined if nothing was reserved for it. Requests that
 * ended before `since`, in seconds since 1970, are passed over. One that was refused never began, but Redis may have admitted it.
 */
function settlement_of_line(text: string, since: number, file: number, offset: number): Settlement | undefined {
  const line = read_line(text);
  if (line === undefined) {
    return undefined;
  }
  const [id] = match(text, '^{"id":"(%x+)"');
  const [duration] = match(text, ',"duration_ms":(%d+%.?%d*)');
  if (line.time + (tonumber(duration) ?? 0) / 1000 < since) {
    return undefined;
  }
  const [tenant, key, allowance] = scopes_of(line);
  const [refused] = string.find(text, REFUSED, 1, true);
  return {
    id: id!, known: refused !== undefined ? "cancelled" : "unknown", owner: line.tenant, tenant, key, allowance,
    arrived: milliseconds_of(line.time),
    amounts: format("%.6f|%.0f|%.0f|%.0f|%.0f", line.time, line.reserved, line.tokens, line.nano_usd, line.free),
    file, offset,
  };
}

/** What Redis is told: the script's keys and arguments. `scopes`: those of the configuration, by name. */
function settle_parts(settlement: Settlement, scopes: LuaTable<string, Scope>): string[] {
  const { id, known, owner, arrived, amounts } = settlement;
  const tenant = scopes.get(settlement.tenant) as Scope | undefined;
  const key = scopes.get(settlement.key) as Scope | undefined;
  const allowance = scopes.get(settlement.allowance) as Scope | undefined;
  const parts = redis_keys(owner, tenant, key, arrived, arrived);
  parts.push(known);
  parts.push(amounts);
  parts.push(specification(tenant));
  parts.push(specification(key));
  parts.push(alert_marks(tenant));
  parts.push(free_place(allowance, arrived));
  parts.push(id);
  return parts;
}

/** What Redis answered: a bit for each alert that is due, and what was spent and is reserved; undefined if the answer is none. */
function read_settled(answer: string): LuaMultiReturn<[due: number | undefined, spent: number, reserved: number]> {
  const [due, spent, reserved] = match(answer, "^(%d+) (%d+) (%d+)$");
  return $multi(tonumber(due), tonumber(spent) ?? 0, tonumber(reserved) ?? 0);
}

export { read_settled, read_settlement, settle_parts, settlement_of_line, settlement_text };
export type { Settlement };
