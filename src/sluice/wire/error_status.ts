/**
 * The HTTP status that an error inside an answer stands for, told by its members `code`, `status` and `type`. Engines that have already
 * answered with 200 say it there: vLLM, SGLang and llama.cpp as a number in `code`, others by the words that their API has for each status.
 *
 * The words are those of Anthropic's errors, of OpenAI's (and of its Responses API, in `code`), and of vLLM's and llama.cpp's servers.
 */

const STATUS_OF = new LuaTable<string, number>();

function name_status(status: number, names: string[]): void {
  for (const name of names) {
    STATUS_OF.set(name, status);
  }
}

name_status(400, ["invalid_request_error", "invalid_request", "BadRequestError", "BAD_REQUEST", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "bad_request",
  "context_length_exceeded", "exceed_context_size_error", "invalid_prompt", "content_filter", "content_policy_violation", "invalid_value",
  "unsupported_value", "unsupported_parameter", "invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url",
  "image_too_large", "image_too_small", "image_parse_error", "image_content_policy_violation", "invalid_image_mode", "image_file_too_large",
  "unsupported_image_media_type", "empty_image_file", "failed_to_download_image", "image_file_not_found"]);
name_status(401, ["authentication_error", "AuthenticationError", "invalid_api_key", "UNAUTHENTICATED"]);
name_status(402, ["billing_error"]);
name_status(403, ["permission_error", "PermissionDeniedError", "PERMISSION_DENIED"]);
name_status(404, ["not_found_error", "NotFoundError", "model_not_found", "NOT_FOUND"]);
name_status(409, ["conflict_error", "ConflictError"]);
name_status(413, ["request_too_large"]);
name_status(422, ["UnprocessableEntityError"]);
name_status(429, ["rate_limit_error", "RateLimitError", "rate_limit_exceeded", "insufficient_quota", "RESOURCE_EXHAUSTED"]);
name_status(500, ["api_error", "server_error", "internal_server_error", "InternalServerError", "INTERNAL"]);
name_status(501, ["not_supported_error", "NotImplementedError"]);
name_status(503, ["unavailable_error", "ServiceUnavailableError", "UNAVAILABLE"]);
name_status(504, ["timeout_error", "DEADLINE_EXCEEDED"]);
name_status(529, ["overloaded_error"]);

/** The status that a word or number stands for; 0: none. */
function status_named(word: string): number {
  const number = tonumber(word) ?? 0;
  if (number >= 400 && number < 600) {
    return number;
  }
  return (STATUS_OF.get(word) as number | undefined) ?? 0;
}

/**
 * The HTTP status of an error whose members have these values, as text without quotes; "" for one that is missing or is neither a string nor a
 * number. 0: it is not known.
 */
function status_of_error(code: string, status: string, type: string): number {
  const by_code = status_named(code);
  if (by_code !== 0) {
    return by_code;
  }
  const by_status = status_named(status);
  return by_status !== 0 ? by_status : status_named(type);
}

export { status_of_error };
