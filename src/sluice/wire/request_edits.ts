/** The edits that turn a client's body into the one that the upstream gets. */

import { encode_string } from "./json";
import { output_bound } from "./output_cap";
import { no_edits, replace } from "./splice";
import type { Edits } from "./splice";
import type { RequestReading } from "./request";

/** Cuts the client's caps on the output down. */
function cap_output(edits: Edits, reading: RequestReading, most: number): void {
  const text = string.format("%d", most);
  for (const cap of reading.caps) {
    if (cap.tokens > most || cap.tokens === 0) {
      replace(edits, cap.start, cap.end, text);
    }
  }
}

/**
 * Whether a cap of the body allows more output than the model may have: it is larger, or 0, which some servers take for none.
 */
function needs_cap(reading: RequestReading, most: number): boolean {
  for (const cap of reading.caps) {
    if (cap.tokens > most || cap.tokens === 0) {
      return true;
    }
  }
  return false;
}

/**
 * The edits that turn the client's body into the upstream's; `undefined` if it can go as it is. `never_options`: the usage of a
 * stream must not be asked for.
 */
function edits_for(reading: RequestReading, upstream_model: string, most_output: number | undefined, never_options?: boolean): Edits | undefined {
  // Where nothing is left before the name that is put in, there is nothing to part it from.
  const model_lead = never_options === true && reading.options_alone ? "" : reading.model_lead;
  const same_model = upstream_model === reading.model && model_lead === undefined;
  const usage_start = never_options === true ? undefined : reading.usage_start;
  const bound = most_output !== undefined ? output_bound(reading, most_output) : 0;
  const capped = most_output !== undefined && needs_cap(reading, bound);
  if (same_model && usage_start === undefined && !capped) {
    return undefined;
  }
  const edits = no_edits();
  if (capped) {
    cap_output(edits, reading, bound);
  }
  if (!same_model) {
    const name = encode_string(upstream_model);
    replace(edits, reading.model_start, reading.model_end, model_lead === undefined ? name : `${model_lead}"model":${name}`);
  }
  if (usage_start !== undefined) {
    replace(edits, usage_start, reading.usage_end, reading.usage_text);
  }
  return edits;
}

export { edits_for };
