/**
 * The pages of the Responses API below `/v1/responses/{id}`: what is done there, and with which queries
 * (platform.openai.com/docs/api-reference/responses: get, delete, cancel, input-items).
 */

import { is_id } from "./response_ids";
import { refuse } from "./refusal";
import type { Api } from "./api";
import type { Refusal } from "./refusal";

const find = string.find;
const gmatch = string.gmatch;
const gsub = string.gsub;
const match = string.match;

const enum Operation {
  Retrieve = 1,
  Delete = 2,
  Cancel = 3,
  ListInput = 4,
}

/** A page of a response that was made before. */
interface ResponsePage {
  id: string;
  /** What follows the id in the path: "", `/cancel` or `/input_items`. */
  rest: string;
  /** The methods that the page has, as `Allow` names them. */
  allow: string;
}

/** Stands for all of these pages: they have the API's shape, and its upstream path with their own end. */
const STORED: Api = { name: "responses", service: "responses", path: "/v1/responses/{id}", upstream_path: "/v1/responses", operation: "chat", counts: false };

const ALLOWED = new LuaTable<string, string | undefined>();
ALLOWED.set("", "GET, DELETE");
ALLOWED.set("/cancel", "POST");
ALLOWED.set("/input_items", "GET");

/** The members of a query that go on to the upstream: all that the API has. */
const QUERIES = new LuaSet<string>();
for (const name of ["include", "include[]", "stream", "starting_after", "limit", "order", "after", "before", "include_obfuscation"]) {
  QUERIES.add(name);
}
const MOST_VALUE_BYTES = 128;

/** The page at a path; undefined: it is none of these. */
function response_page(path: string): ResponsePage | undefined {
  const [id, rest] = match(path, "^/v1/responses/([^/]*)(.*)$");
  const allow = rest !== undefined ? ALLOWED.get(rest) : undefined;
  return id !== undefined && allow !== undefined && is_id(id) ? { id, rest: rest!, allow } : undefined;
}

/** What is done there with that method; undefined: the method is not allowed. */
function operation_of(page: ResponsePage, method: string): Operation | undefined {
  if (page.rest === "") {
    return method === "GET" ? Operation.Retrieve : method === "DELETE" ? Operation.Delete : undefined;
  }
  if (page.rest === "/cancel") {
    return method === "POST" ? Operation.Cancel : undefined;
  }
  return method === "GET" ? Operation.ListInput : undefined;
}

/**
 * The query for the upstream, with its question mark, or "": what of the client's the API has. Its other members don't go on.
 * Refuses a value that can't be one of the API's.
 */
function response_query(sent: string | undefined): LuaMultiReturn<[query: string, refusal: Refusal | undefined]> {
  let query = "";
  for (const [part] of gmatch(sent ?? "", "[^&]+")) {
    const [written, value] = match(part!, "^([^=]*)=?(.*)$");
    const name = gsub(gsub(written!, "%%5[Bb]", "[")[0], "%%5[Dd]", "]")[0];
    if (QUERIES.has(name)) {
      if (value!.length > MOST_VALUE_BYTES || find(value!, "^[%w_.-]+$")[0] === undefined) {
        return $multi("", refuse(400, "invalid_request_error", "invalid_value", `\`${name}\` in the query is not a value that the API has.`, name));
      }
      query = `${query}${query === "" ? "?" : "&"}${gsub(gsub(name, "%[", "%%5B")[0], "%]", "%%5D")[0]}=${value}`;
    }
  }
  return $multi(query, undefined);
}

export { Operation, STORED, operation_of, response_page, response_query };
export type { ResponsePage };
