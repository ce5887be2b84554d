/**
 * What the gateway knows of responses: in the memory that this node's workers share, and in the Redis that several nodes share,
 * if there is one.
 *
 * An id is in this node's memory before the bytes that name it go out. The filters that see it can't wait for Redis, so it is
 * written there by a timer at once: other nodes know it some milliseconds later. While Redis is lost, what was to be written
 * waits, and this node answers from its own memory; what that does not know can't be told from another tenant's, whatever
 * `on_loss` says, and is refused for the time being.
 */

import { is_gone, place_of } from "../responses/record";
import { RECALL, REMEMBER, response_keys } from "../responses/redis_scripts";
import { gateway } from "./gateway";
import { ask } from "./shared_store";

/** What Redis has not been told yet. */
interface Unshared {
  tenant: string;
  ids: string[];
  text: string;
}

/** So much waits in a worker while Redis is lost; what came first is given up. */
const MOST_UNSHARED = 10000;

const sharing: { waiting: Unshared[]; first: number; is_due: boolean } = { waiting: [], first: 0, is_due: false };

/** Tells Redis what waits, in order, until that fails. */
function share_waiting(): void {
  const { shared } = gateway();
  if (shared === undefined) {
    return;
  }
  while (sharing.first < sharing.waiting.length) {
    const { ids, tenant, text } = sharing.waiting[sharing.first]!;
    const parts = response_keys(tenant);
    parts.push(text);
    for (const id of ids) {
      parts.push(id);
    }
    const [answer] = ask(shared, REMEMBER, parts);
    if (answer === undefined) {
      return;
    }
    sharing.first += 1;
  }
  sharing.waiting = [];
  sharing.first = 0;
}

function share_now(this: void): void {
  sharing.is_due = false;
  share_waiting();
}

/** Every second: what Redis could not be told before. */
function tend_responses(): void {
  if (sharing.first < sharing.waiting.length && !sharing.is_due) {
    sharing.is_due = true;
    share_now();
  }
}

/** Keeps a record, as text, under these ids of a tenant's. Does not wait. */
function remember(tenant: string, ids: string[], text: string): void {
  const { responses, shared } = gateway();
  if (responses === undefined || ids.length === 0) {
    return;
  }
  for (const id of ids) {
    const place = place_of(tenant, id);
    const before = responses.get(place);
    if (before === undefined || !is_gone(before)) {
      responses.set(place, text);
    }
  }
  if (shared === undefined) {
    return;
  }
  if (sharing.waiting.length - sharing.first >= MOST_UNSHARED) {
    sharing.first += 1;
  }
  sharing.waiting.push({ tenant, ids, text });
  if (!sharing.is_due) {
    sharing.is_due = true;
    if (!ngx.timer.at(0, share_now)) {
      sharing.is_due = false;
    }
  }
}

/** What Redis has under the ids: a text for each, "" for none; undefined: it is lost. */
function recall_shared(tenant: string, ids: string[]): string[] | undefined {
  const parts = response_keys(tenant);
  for (const id of ids) {
    parts.push(id);
  }
  const [answer] = ask(gateway().shared!, RECALL, parts);
  if (answer === undefined) {
    return undefined;
  }
  const texts: string[] = [];
  for (const [text] of string.gmatch(answer, "([^|]*)|")) {
    texts.push(text!);
  }
  return texts;
}

/** What this node knows of an id, without asking anybody. */
function recall_here(tenant: string, id: string): string | undefined {
  const { responses } = gateway();
  return responses !== undefined ? responses.get(place_of(tenant, id)) : undefined;
}

/** What is known of the ids: a text for each, "" for nothing. May wait. `lost`: of some it can't be known now. */
function recall(tenant: string, ids: string[]): LuaMultiReturn<[texts: string[], lost: boolean]> {
  const { responses, shared } = gateway();
  const found = shared !== undefined ? recall_shared(tenant, ids) : undefined;
  const texts: string[] = [];
  let lost = false;
  for (const id of ids) {
    const own = responses !== undefined ? (responses.get(place_of(tenant, id)) ?? "") : "";
    const other = found !== undefined ? (found[texts.length] ?? "") : "";
    lost = lost || (own === "" && shared !== undefined && found === undefined);
    // Another node may have heard the last of it since; or this one, and Redis has not been told yet.
    texts.push(own !== "" && (other === "" || is_gone(own)) ? own : other);
  }
  return $multi(texts, lost);
}

/**
 * Notes that a server has given an id to a key of a tenant's. Returns the tenant that has it from there, if that is another one; with
 * `is_by_key` also if it is another key of the same. Undefined: nobody else has it.
 */
function claim(tenant: string, key: string, is_by_key: boolean, server: string, id: string): string | undefined {
  const { responses } = gateway();
  const place = `${server} ${id} owner`;
  const own = `${tenant} ${key}`;
  if (responses === undefined || responses.add(place, own)) {
    return undefined;
  }
  const owner = responses.get(place);
  const [owning] = string.match(owner ?? own, "^[^ ]*");
  return owner !== undefined && (is_by_key ? owner !== own : owning !== tenant) ? owning : undefined;
}

/** Where it is noted that a response has been charged. */
function charge_place(tenant: string, id: string): string {
  return `${place_of(tenant, id)} charged`;
}

/** Takes the right to charge a response, which one request has. */
function take_charge(tenant: string, id: string): boolean {
  const { responses } = gateway();
  return responses !== undefined && responses.add(charge_place(tenant, id), "1");
}

/** Whether a request of this node's has taken it. */
function is_charge_taken(tenant: string, id: string): boolean {
  const { responses } = gateway();
  return responses !== undefined && responses.get(charge_place(tenant, id)) !== undefined;
}

export { claim, is_charge_taken, recall, recall_here, remember, take_charge, tend_responses };
