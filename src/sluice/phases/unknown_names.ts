/** Refusals of what there isn't, a model or a path, that say what may have been meant. */

import { nearest } from "../config/near";
import { is_known } from "../route/table";
import { APIS } from "../wire/api";
import { refuse } from "../wire/refusal";
import type { RouteTable } from "../route/table";
import type { Refusal } from "../wire/refusal";

const find = string.find;
const match = string.match;
const sub = string.sub;

/** Longer names are not repeated, nor are those that could not be a model's. */
const MOST_NAME_BYTES = 128;
/** No more models than these are compared with a name, so that a mistake costs milliseconds at most. */
const MOST_COMPARED = 1000;

/** The paths that a client may have meant. */
const PATHS: string[] = ["/v1/models"];
for (const { path } of APIS) {
  PATHS.push(path);
}

/** The models that a caller may use, so many of them as are compared. */
function usable_names(table: RouteTable, allows: (this: void, name: string) => boolean): string[] {
  const names: string[] = [];
  for (const name of table.names) {
    if (names.length < MOST_COMPARED && allows(name)) {
      names.push(name);
    }
  }
  return names;
}

/** The model that was meant by a name: one that is spelled nearly so, also behind a provider's name and a slash. */
function meant_model(table: RouteTable, name: string, allows: (this: void, name: string) => boolean): string | undefined {
  const names = usable_names(table, allows);
  const [behind] = match(name, "/([^/]+)$");
  if (behind !== undefined && is_known(table, behind) && allows(behind)) {
    return behind;
  }
  return nearest(name, names);
}

/**
 * The refusal `model_not_found` (404) of a name that no model has. `allows`: whether the caller may use a model; no other is ever
 * named.
 */
function refuse_unknown_model(table: RouteTable, name: string, allows: (this: void, name: string) => boolean): Refusal {
  const is_printable = name.length <= MOST_NAME_BYTES && find(name, "^[!-~]+$")[0] !== undefined;
  const meant = meant_model(table, name, allows);
  const said = is_printable ? `There is no model ${name} here.` : "There is no model of that name here.";
  const hint = meant !== undefined ? `Did you mean ${meant}?` : "GET /v1/models lists those that you may use.";
  return refuse(404, "invalid_request_error", "model_not_found", `${said} ${hint}`, "model");
}

/** Of a path, without a slash at its end, the one that was meant: one that ends as it does behind /v1, or is spelled nearly so. */
function meant_path(asked: string): string | undefined {
  let meant: string | undefined;
  let most = 0;
  for (const path of PATHS) {
    const behind_version = sub(path, 4);
    if (behind_version.length > most && sub(asked, -behind_version.length) === behind_version) {
      meant = path;
      most = behind_version.length;
    }
  }
  return meant ?? nearest(asked, PATHS);
}

/** The refusal `unknown_url` (404) of a path at which there is nothing. */
function refuse_unknown_path(path: string): Refusal {
  const [asked] = match(path, "^(.-)/*$");
  const meant = meant_path(asked ?? path);
  const hint = meant !== undefined ? ` Did you mean ${meant}?` : "";
  return refuse(404, "invalid_request_error", "unknown_url", `There is nothing at this URL.${hint} What is served here begins with /v1, once.`);
}

export { refuse_unknown_model, refuse_unknown_path };
