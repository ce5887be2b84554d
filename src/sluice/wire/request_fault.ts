/** What a client is told whose body can't be taken: 400. */

import { Kind } from "./json";
import { refuse } from "./refusal";
import type { Refusal } from "./refusal";

const MOST_MODEL_BYTES = 256;

function bad_body(code: string, message: string, param?: string): Refusal {
  return refuse(400, "invalid_request_error", code, message, param);
}

/** What is wrong with the body's `model`; undefined: it is a name. */
function refuse_model_member(kind: Kind, bytes: number): Refusal | undefined {
  if (kind === Kind.Absent || (kind === Kind.String && bytes === 2)) {
    return bad_body("missing_model", "The request body must name a model.", "model");
  }
  if ((kind !== Kind.String && kind !== Kind.EscapedString) || bytes > MOST_MODEL_BYTES) {
    return bad_body("invalid_type", "`model` must be a string of at most 254 bytes.", "model");
  }
  return undefined;
}

export { bad_body, refuse_model_member };
