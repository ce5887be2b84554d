/**
 * Where the requests of each API keep what Sluice wants to know (`request_places`).
 *
 * There are two shapes of each. The plain one takes for text what a model reads in any case, which is counted. In the guarded
 * one settings and ids are text too, unless they have a value that the API names.
 */

import { compile } from "./shape";
import { TextKind } from "./text_kind";
import { REQUEST_PLACES } from "./request_places";
import type { Shape } from "./shape";
import type { ApiName } from "./api";

function shapes(last_kind: TextKind): Record<ApiName, Shape> {
  return {
    chat: compile(REQUEST_PLACES.chat, last_kind),
    completions: compile(REQUEST_PLACES.completions, last_kind),
    embeddings: compile(REQUEST_PLACES.embeddings, last_kind),
    responses: compile(REQUEST_PLACES.responses, last_kind),
    messages: compile(REQUEST_PLACES.messages, last_kind),
  };
}

const PLAIN = shapes(TextKind.Name);
const GUARDED = shapes(TextKind.Other);

/** The shape of that API's requests. `guarded`: what they hold is to be scanned. */
function shape_of(api: ApiName, guarded: boolean): Shape {
  return guarded ? GUARDED[api] : PLAIN[api];
}

export { shape_of };
