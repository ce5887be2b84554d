/**
 * The strings that the APIs name for members which take one of a few: OpenAI's reference (chat, embeddings, responses) and
 * Anthropic's (messages). A guard reads what is none of them. Several members share a list where it does no harm: a word is either
 * the API's own or it isn't.
 */

import { MEDIA_PART_TYPES } from "./media";

/** Of messages. */
const ROLES = ["user", "assistant", "system", "developer", "tool", "function"];

/** Of content parts, input items, sources, tools and formats. */
const TYPES = [
  // Content parts, and what a source is.
  "text", "refusal", "input_text", "output_text", "summary_text", "reasoning_text", "tool_use", "tool_result", "server_tool_use", "thinking",
  "search_result", "web_search_result", "web_search_tool_result", "content", "ephemeral",
  // Input items.
  "message", "reasoning", "item_reference", "compaction", "function_call", "function_call_output", "custom_tool_call",
  "custom_tool_call_output", "computer_call", "computer_call_output", "local_shell_call",
  "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output", "code_interpreter_call",
  "file_search_call", "web_search_call", "mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response",
  // Tools, and what is chosen of them.
  "function", "custom", "mcp", "web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "local_shell",
  "shell", "apply_patch", "computer", "computer_use_preview", "allowed_tools",
  // Formats.
  "json_object", "json_schema", "grammar",
];

for (const type of MEDIA_PART_TYPES) {
  TYPES.push(type);
}

/** How something is chosen. */
const CHOICES = ["none", "auto", "required", "any", "tool", "disabled", "enabled", "adaptive", "concise", "detailed"];

/** How much a model thinks or writes. */
const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/** How closely an image is looked at. */
const DETAILS = ["auto", "low", "high", "original"];

/** What has become of an item. */
const STATUSES = ["in_progress", "completed", "incomplete", "failed", "searching", "interpreting", "generating", "calling"];

const SERVICE_TIERS = ["auto", "default", "flex", "scale", "priority", "standard", "standard_only", "batch"];

/** Of sound, and of embeddings. */
const FORMATS = ["wav", "mp3", "flac", "opus", "pcm16", "aac", "float", "base64"];

const MODALITIES = ["text", "audio", "image"];

const MEDIA_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain"];

/** Why an answer has ended, in the words of the APIs and of those who pass them on. */
const REASONS = [
  "stop", "length", "content_filter", "tool_calls", "function_call", "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn",
  "refusal", "abort", "error", "completed", "STOP", "MAX_TOKENS", "SAFETY",
];

/** What a response is to have besides. */
const INCLUDES = [
  "code_interpreter_call.outputs", "computer_call_output.output.image_url", "file_search_call.results", "message.input_image.image_url",
  "message.output_text.logprobs", "reasoning.encrypted_content", "web_search_call.action.sources", "web_search_call.results",
];

/** Of the events of a stream. */
const EVENT_NAMES = new LuaSet<string>();
for (const name of [
  // Anything, and what servers send besides the APIs' own.
  "message", "error", "ping", "done",
  // Messages.
  "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
  // Responses.
  "response.created", "response.queued", "response.in_progress", "response.completed", "response.incomplete", "response.failed",
  "response.output_text.annotation.added", "response.image_generation_call.generating", "response.image_generation_call.partial_image",
  "response.code_interpreter_call.interpreting",
]) {
  EVENT_NAMES.add(name);
}
for (const part of ["output_item", "content_part", "reasoning_part", "reasoning_summary_part"]) {
  EVENT_NAMES.add(`response.${part}.added`);
  EVENT_NAMES.add(`response.${part}.done`);
}
for (const text of [
  "output_text", "refusal", "reasoning_text", "reasoning_summary_text", "function_call_arguments", "mcp_call_arguments",
  "custom_tool_call_input", "code_interpreter_call_code", "audio", "audio.transcript",
]) {
  EVENT_NAMES.add(`response.${text}.delta`);
  EVENT_NAMES.add(`response.${text}.done`);
}
for (const call of ["file_search_call", "web_search_call", "image_generation_call", "mcp_call", "mcp_list_tools", "code_interpreter_call"]) {
  for (const state of ["in_progress", "searching", "completed", "failed"]) {
    EVENT_NAMES.add(`response.${call}.${state}`);
  }
}

export { CHOICES, DETAILS, EFFORTS, EVENT_NAMES, FORMATS, INCLUDES, MEDIA_TYPES, MODALITIES, REASONS, ROLES, SERVICE_TIERS, STATUSES, TYPES };
