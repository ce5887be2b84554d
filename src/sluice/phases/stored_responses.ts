/**
 * Requests that refer to what was made before: the pages of a response, and bodies that go on from one. Each goes to the
 * endpoint that made it, with the account that it was made with; to nobody else, whatever becomes of those. Ids that are not
 * known as the caller's own are refused as such, before anybody is asked.
 */

import { refuse_model } from "../auth/identify";
import { begin_slices, body_range, method, open_body, query, read_nothing, rest_if_due } from "../edge/request";
import { decode_record, same_place } from "../responses/record";
import { own_path } from "../wire/public_path";
import { no_body } from "../wire/no_body";
import { refuse } from "../wire/refusal";
import { MOST_REFERENCES, is_id, references_of_input } from "../wire/response_ids";
import { STORED, operation_of, response_page, response_query } from "../wire/response_paths";
import { set_model } from "./fallback";
import { recall } from "./response_memory";
import { refuse_unknown_path } from "./unknown_names";
import type { RequestBody } from "../edge/request";
import type { Pool } from "../pool/pools";
import type { ResponseRecord } from "../responses/record";
import type { Model } from "../route/table";
import type { Refusal } from "../wire/refusal";
import type { Operation } from "../wire/response_paths";
import type { RequestState } from "./state";

/** Places in a pool. */
interface Pin {
  endpoint: number;
  account: number;
}

/** A response that was made before. */
interface Recall {
  operation: Operation;
  id: string;
  record: ResponseRecord;
  /** The upstream has said that it is not being made any more. */
  is_ended: boolean;
}

/** The refusal for an id that the caller has not: unknown, another's, malformed or gone, which nobody can tell apart. */
function refuse_id(what: string, param: string | undefined): Refusal {
  return refuse(404, "invalid_request_error", "not_found", `There is no ${what} of that id here.`, param);
}

/** What made it is not in the configuration any more. */
function refuse_unreachable(): Refusal {
  const refusal = refuse(503, "overloaded_error", "no_healthy_endpoint", "The endpoint or account that made the response is not here any more.");
  refusal.retry = false;
  return refusal;
}

/**
 * What is known of the caller's ids, for each a record. Refuses those that are not the caller's, `param` being where they
 * stand.
 */
function find_records(
  state: RequestState,
  ids: string[],
  what: string,
  param: string | undefined,
): LuaMultiReturn<[records: ResponseRecord[], refusal: Refusal | undefined]> {
  const records: ResponseRecord[] = [];
  for (const id of ids) {
    if (!is_id(id)) {
      return $multi(records, refuse_id(what, param));
    }
  }
  const { key, tenant } = state.principal!;
  const [texts, lost] = recall(tenant.id, ids);
  if (lost) {
    return $multi(records, refuse(503, "overloaded_error", "store_unavailable", "The gateway can't look that id up now."));
  }
  const is_by_key = state.snapshot.configuration.responses?.scope === "key";
  for (const text of texts) {
    const record = decode_record(text);
    if (record === undefined || record.state === "gone" || (is_by_key && record.key !== key)) {
      return $multi(records, refuse_id(what, param));
    }
    records.push(record);
  }
  return $multi(records, undefined);
}

/** Has the request go where a record says. `pool`: the one of that name. */
function pin_to(state: RequestState, pool: Pool, record: ResponseRecord): Refusal | undefined {
  for (const { account_end, first_account, index: endpoint, name } of pool.endpoints) {
    if (name === record.endpoint) {
      for (const account of $range(first_account, account_end - 1)) {
        if (pool.accounts[account]!.id === record.account) {
          state.pin = { endpoint, account };
          state.fallbacks = undefined;
          return undefined;
        }
      }
    }
  }
  return refuse_unreachable();
}

/**
 * The path is none of an API's: takes it for the page of a response, if it is one. Returns a refusal for a method that it does
 * not have.
 */
function take_page(state: RequestState, path: string): Refusal | undefined {
  const [own] = own_path(path);
  const page = response_page(own);
  if (page === undefined) {
    return refuse_unknown_path(path);
  }
  state.api = STORED;
  const operation = operation_of(page, method());
  if (operation === undefined) {
    const refusal = refuse(405, "invalid_request_error", "method_not_allowed", `Only ${page.allow} is allowed here.`);
    refusal.allow = page.allow;
    return refusal;
  }
  state.suffix = `/${page.id}${page.rest}`;
  state.recall = { operation, id: page.id, record: undefined as unknown as ResponseRecord, is_ended: false };
  return undefined;
}

/** A page of a response: finds who made it, for a caller who is known by now. */
function find_page(state: RequestState): Refusal | undefined {
  const { recall: asked, snapshot } = state;
  const [allowed, bad] = response_query(query());
  if (bad !== undefined) {
    return bad;
  }
  const [records, unknown] = find_records(state, [asked!.id], "response", undefined);
  if (unknown !== undefined) {
    return unknown;
  }
  const record = records[0]!;
  asked!.record = record;
  state.suffix = state.suffix! + allowed;
  state.reading = no_body("responses", record.asked);
  const model = snapshot.routes.by_name.get(record.model) as Model | undefined;
  if (model === undefined || model.pool.name !== record.pool) {
    return refuse_unreachable();
  }
  set_model(state, model);
  read_nothing();
  return refuse_model(state.principal!, record.asked) ?? pin_to(state, model.pool, record);
}

/**
 * Whether a model's requests may go to the pool of a record: the model that was chosen, one that takes its place, or that of
 * the record.
 */
function model_in_pool(state: RequestState, record: ResponseRecord): Model | undefined {
  const chosen = state.model!;
  if (chosen.pool.name === record.pool) {
    return chosen;
  }
  for (const each of chosen.fallbacks ?? []) {
    if (each.pool.name === record.pool) {
      return each;
    }
  }
  const before = state.snapshot.routes.by_name.get(record.model) as Model | undefined;
  return before !== undefined && before.pool.name === record.pool && state.reading!.model === record.asked ? before : undefined;
}

/** What a body names, as records. */
function find_references(state: RequestState, body: RequestBody): LuaMultiReturn<[records: ResponseRecord[], refusal: Refusal | undefined]> {
  const { conversation, input_end, input_start, previous } = state.reading!.references!;
  const records: ResponseRecord[] = [];
  const groups: [ids: string[], what: string, param: string][] = [];
  if (previous !== undefined) {
    groups.push([[previous], "response", "previous_response_id"]);
  }
  if (conversation !== undefined) {
    groups.push([[conversation], "conversation", "conversation"]);
  }
  if (input_end > 0) {
    if (body.file === undefined && open_body(body) !== undefined) {
      return $multi(records, refuse(500, "api_error", "internal_error", "The gateway could not read the request body."));
    }
    const slices = begin_slices();
    const ids = references_of_input(body_range(body, input_start, input_end), (bytes) => rest_if_due(slices, bytes));
    if (ids.length > MOST_REFERENCES) {
      return $multi(records, refuse(400, "invalid_request_error", "too_many_references", `The input refers to more than ${MOST_REFERENCES} items.`, "input"));
    }
    if (ids.length > 0) {
      groups.push([ids, "item", "input"]);
    }
  }
  for (const [ids, what, param] of groups) {
    const [found, refusal] = find_records(state, ids, what, param);
    if (refusal !== undefined) {
      return $multi(records, refusal);
    }
    for (const record of found) {
      records.push(record);
    }
  }
  return $multi(records, undefined);
}

/** A body that names what was made before: has it go there. The model is known by now. May wait. */
function pin_references(state: RequestState, body: RequestBody): Refusal | undefined {
  if (state.reading!.references === undefined) {
    return undefined;
  }
  const [records, refusal] = find_references(state, body);
  const first = records[0];
  if (refusal !== undefined || first === undefined) {
    return refusal;
  }
  for (const record of records) {
    if (!same_place(first, record)) {
      return refuse(400, "invalid_request_error", "references_apart", "What the request refers to was made by different model servers.", "input");
    }
  }
  if (state.snapshot.pools.get(first.pool) === undefined) {
    return refuse_unreachable();
  }
  const model = model_in_pool(state, first);
  if (model === undefined) {
    return refuse(400, "invalid_request_error", "references_apart", "What the request refers to was made by another model's server.", "model");
  }
  if (model !== state.model) {
    set_model(state, model);
  }
  return pin_to(state, model.pool, first);
}

export { find_page, pin_references, take_page };
export type { Pin, Recall };
