/**
 * The edits of a request's body: those for the model that was asked for, and those that turn it into another model's when that one takes
 * over. nginx has only the edited body then, so what is needed of the client's own is kept.
 */

import { begin_slices, body_range, close_body, edit_body, open_body, read_body, rest_if_due } from "../edge/request";
import { mask_prompt } from "../guard/prompt";
import { member_range } from "../wire/member";
import { edits_for } from "../wire/request";
import { add_all, edits_between } from "../wire/resplice";
import { refuse } from "../wire/refusal";
import { apply, fold, no_edits } from "../wire/splice";
import type { RequestBody } from "../edge/request";
import type { Model } from "../route/table";
import type { Refusal } from "../wire/refusal";
import type { Edits } from "../wire/splice";
import type { RequestState } from "./state";

interface EditedBody {
  /** What was done to the client's body. */
  edits: Edits;
  /** The model's name in it. */
  name: string;
  /** What of that are masks, which every model gets. */
  masks: Edits | undefined;
  /** The client's own bytes of what only some models get otherwise, by the offset of the first. */
  originals: LuaTable<number, string | undefined>;
  /** The client's `stream_options`, if some models must not get them. */
  options: MemberText | undefined;
}

/** A member of the client's body, with its name and a comma. */
interface MemberText {
  start: number;
  end: number;
  /** Its bytes; "" if no model gets them. */
  text: string;
}

/**
 * Whether a model's pool, or only that of one which may take its place, must not get `stream_options`; and whether all must
 * not.
 */
function never_options_of(model: Model): LuaMultiReturn<[any: boolean, all: boolean]> {
  let any = model.pool.never_options;
  let all = any;
  for (const { pool } of model.fallbacks ?? []) {
    any = any || pool.never_options;
    all = all && pool.never_options;
  }
  return $multi(any, all);
}

/** The client's `stream_options`, if it sent any and a pool must not get them. */
function options_of(state: RequestState, body: RequestBody): MemberText | undefined {
  const { bytes, options_end, options_start } = state.reading!;
  if (options_end === 0) {
    return undefined;
  }
  const [any, all] = never_options_of(state.model!);
  if (!any) {
    return undefined;
  }
  const [start, end] = member_range(body_range, body, options_start, options_end, bytes);
  return { start, end, text: all ? "" : body_range(body, start, end) };
}

/** All edits that turn the client's body into that of a model which is called `name`; undefined: it can go as it is. */
function edits_of(state: RequestState, model: Model, name: string, masks: Edits | undefined, options: MemberText | undefined): Edits | undefined {
  const { never_options } = model.pool;
  const edits = edits_for(state.reading!, name, model.max_output_tokens, never_options) ?? (options !== undefined && masks === undefined ? no_edits() : undefined);
  if (edits !== undefined && masks !== undefined) {
    add_all(edits, masks);
  }
  const all = edits ?? masks;
  if (options === undefined || all === undefined) {
    return all;
  }
  // One edit of the whole member for every model, so that each can be made of any other.
  return fold(all, options.start, options.end, never_options ? "" : apply(all, options.text, options.start));
}

/** What has to be masked; undefined: nothing. */
function masks_of(state: RequestState, body: RequestBody): Edits | undefined {
  const verdict = state.prompt_verdict;
  if (verdict === undefined || verdict.masks.length === 0) {
    return undefined;
  }
  const masks = no_edits();
  // There may be tens of thousands.
  const slices = begin_slices();
  mask_prompt(verdict, state.principal!.tenant.guard!, masks, body_range, body, () => rest_if_due(slices, 0));
  return masks;
}

/** The client's own name of the model and caps of the output. */
function originals_of(state: RequestState, body: RequestBody): EditedBody["originals"] {
  const originals = new LuaTable<number, string | undefined>();
  const { caps, model_end, model_start } = state.reading!;
  originals.set(model_start, body_range(body, model_start, model_end));
  for (const { end, start } of caps) {
    originals.set(start, body_range(body, start, end));
  }
  return originals;
}

/** Puts what has to be changed into the body: the model's name, the usage to be asked for, what has to be masked. */
function edit_request(state: RequestState, body: RequestBody): void {
  const model = state.model!;
  const masks = masks_of(state, body);
  const options = options_of(state, body);
  const edits = edits_of(state, model, model.upstream_model, masks, options);
  if (model.fallbacks !== undefined || model.pool.own_names) {
    state.edited = { edits: edits ?? no_edits(), name: model.upstream_model, masks, originals: originals_of(state, body), options };
  }
  if (edits !== undefined) {
    edit_body(body, edits);
  }
}

/** Makes the body that went to one model that of another, or of the same by another name. Returns why it could not. */
function edit_again(state: RequestState, model: Model, name: string): string | undefined {
  const edited = state.edited!;
  const edits = edits_of(state, model, name, edited.masks, edited.options) ?? no_edits();
  const changes = edits_between(edited.edits, edits, edited.originals);
  edited.edits = edits;
  edited.name = name;
  if (changes.count === 0) {
    return undefined;
  }
  const body = read_body();
  const reason = open_body(body);
  if (reason === undefined) {
    edit_body(body, changes);
  }
  close_body(body);
  return reason;
}

/**
 * Has the model in the body called as the chosen endpoint calls it. Returns a refusal if it could not. May wait, for a large
 * body.
 */
function edit_for_endpoint(state: RequestState): Refusal | undefined {
  const model = state.model!;
  const name = state.endpoint!.upstream_model ?? model.upstream_model;
  const reason = name !== state.edited!.name ? edit_again(state, model, name) : undefined;
  if (reason === undefined) {
    return undefined;
  }
  ngx.log(ngx.ERR, "the request body on disk can't be read: ", reason);
  return refuse(500, "api_error", "internal_error", "The gateway could not read the request body.");
}

export { edit_again, edit_for_endpoint, edit_request };
export type { EditedBody };
