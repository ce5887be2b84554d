/**
 * The edits of a request's body: those for the model that was asked for, and those that turn it into another model's when that one takes
 * over. nginx has only the edited body then, so what is needed of the client's own is kept.
 */

import { begin_slices, body_range, close_body, edit_body, open_body, read_body, rest_if_due } from "../edge/request";
import { mask_prompt } from "../guard/prompt";
import { edits_for } from "../wire/request";
import { add_all, edits_between } from "../wire/resplice";
import { no_edits } from "../wire/splice";
import type { RequestBody } from "../edge/request";
import type { Model } from "../route/table";
import type { Edits } from "../wire/splice";
import type { RequestState } from "./state";

interface EditedBody {
  /** What was done to the client's body. */
  edits: Edits;
  /** What of that are masks, which every model gets. */
  masks: Edits | undefined;
  /** The client's own bytes of what only some models get otherwise, by the offset of the first. */
  originals: LuaTable<number, string | undefined>;
}

/** All edits that turn the client's body into that of a model; undefined: it can go as it is. */
function edits_of(state: RequestState, model: Model, masks: Edits | undefined): Edits | undefined {
  const edits = edits_for(state.reading!, model.upstream_model, model.max_output_tokens);
  if (edits === undefined || masks === undefined) {
    return edits ?? masks;
  }
  add_all(edits, masks);
  return edits;
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
  const edits = edits_of(state, model, masks);
  if (model.fallbacks !== undefined) {
    state.edited = { edits: edits ?? no_edits(), masks, originals: originals_of(state, body) };
  }
  if (edits !== undefined) {
    edit_body(body, edits);
  }
}

/** Makes the body that went to one model that of another. Returns why it could not. */
function edit_again(state: RequestState, model: Model): string | undefined {
  const edited = state.edited!;
  const edits = edits_of(state, model, edited.masks) ?? no_edits();
  const changes = edits_between(edited.edits, edits, edited.originals);
  edited.edits = edits;
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

export { edit_again, edit_request };
export type { EditedBody };
