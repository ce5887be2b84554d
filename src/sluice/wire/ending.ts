/** How an answer ends when it can't end well, in each API's own words, and how a refusal is written. */

import { encode_string } from "./json";
import type { Refusal } from "./refusal";
import type { ApiName } from "./api";

/** The type that Anthropic's API gives an error (docs.claude.com, "Errors"), by HTTP status. */
const MESSAGES_TYPES = new LuaTable<number, string>();
MESSAGES_TYPES.set(400, "invalid_request_error");
MESSAGES_TYPES.set(401, "authentication_error");
MESSAGES_TYPES.set(402, "billing_error");
MESSAGES_TYPES.set(403, "permission_error");
MESSAGES_TYPES.set(404, "not_found_error");
MESSAGES_TYPES.set(413, "request_too_large");
MESSAGES_TYPES.set(429, "rate_limit_error");
MESSAGES_TYPES.set(503, "overloaded_error");
MESSAGES_TYPES.set(504, "timeout_error");
MESSAGES_TYPES.set(529, "overloaded_error");

function error_object(type: string, code: string, message: string, param: string | undefined): string {
  const name = param === undefined ? "null" : encode_string(param);
  return `{"error":{"message":${encode_string(message)},"type":"${type}","param":${name},"code":"${code}"}}`;
}

function messages_error(type: string, message: string, id: string | undefined): string {
  const request = id === undefined ? "" : `,"request_id":"${id}"`;
  return `{"type":"error","error":{"type":"${type}","message":${encode_string(message)}}${request}}`;
}

/**
 * A refusal's body. `api` undefined: none was asked for, so OpenAI's shape. `id`: the request's, which Anthropic's shape has.
 */
function refusal_body(refusal: Refusal, api: ApiName | undefined, id?: string): string {
  if (api === "messages") {
    const type = MESSAGES_TYPES.get(refusal.status) ?? (refusal.status < 500 ? "invalid_request_error" : "api_error");
    return messages_error(type, refusal.message, id);
  }
  return error_object(refusal.type, refusal.code, refusal.message, refusal.param);
}

/**
 * The events that end a stream after its first byte went out: an error, and no terminal marker of success.
 * `sequence` is the last sequence number and `response_id` the id seen (Responses API only).
 */
function error_events(
  api: ApiName,
  code: string,
  message: string,
  sequence: number,
  response_id: string | undefined,
): string {
  if (api === "messages") {
    return `event: error\ndata: ${messages_error("api_error", message, undefined)}\n\n`;
  }
  if (api === "responses") {
    const text = encode_string(message);
    const id = encode_string(response_id ?? "");
    return (
      `event: error\ndata: {"type":"error","code":"${code}","message":${text},"param":null,"sequence_number":${sequence + 1}}\n\n` +
      `event: response.failed\ndata: {"type":"response.failed","sequence_number":${sequence + 2},"response":{"id":${id},` +
      `"object":"response","status":"failed","error":{"code":"server_error","message":${text}},"output":[]}}\n\n`
    );
  }
  return `data: ${error_object("upstream_error", code, message, undefined)}\n\n`;
}

export { error_events, refusal_body };
