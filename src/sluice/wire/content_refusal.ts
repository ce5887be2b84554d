/**
 * Whether an error is about what the request says, and not about who asks: a content policy, a moderation, a safety check.
 * Providers use statuses for it, 403 above all, that are an account's trouble elsewhere; which of both it is stands in the
 * body.
 *
 * The table says for each provider where that is. `words` stand by themselves in a `code`, `type`, `status` or `name`, of the
 * error or beside it. Where a provider's word means other things too, it counts only with the `message` that begins so. A
 * member that only such an error has is enough as well.
 */

import { Kind, NO_SINK, check, walker } from "./json";
import { compile } from "./shape";

const sub = string.sub;
const lower = string.lower;
const gsub = string.gsub;

interface ProviderRefusals {
  provider: string;
  words?: readonly string[];
  /** Beginnings of messages, in lower case, beside one of `ambiguous`, or beside anything if there are none of these. */
  messages?: readonly string[];
  ambiguous?: readonly string[];
}

const REFUSALS: readonly ProviderRefusals[] = [
  // platform.openai.com/docs/guides/error-codes; learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
  {
    provider: "OpenAI, Azure",
    words: [
      "content_filter", "content_policy_violation", "content_policy", "image_content_policy_violation", "moderation_blocked", "safety_violation",
      "ResponsibleAIPolicyViolation",
    ],
  },
  // learn.microsoft.com/azure/api-management/llm-content-safety-policy: a 403 of the gateway itself.
  { provider: "Azure API Management", messages: ["request failed content safety check"] },
  // openrouter.ai/docs/api/reference/errors-and-debugging: 403, and `error.metadata` with `flagged_input`, which is a member below.
  { provider: "OpenRouter", words: ["moderation", "refusal", "content_moderation", "input_flagged"] },
  // docs.x.ai says nothing of it; UKGovernmentBEIS/inspect_ai#2267, theopenco/llmgateway#1785. Blocked keys get the same codes.
  {
    provider: "xAI",
    words: ["safety_check_failed"],
    messages: ["content violates usage guidelines"],
    ambiguous: ["The caller does not have permission to execute the specified operation", "permission-denied", "permission_denied"],
  },
  // platform.stability.ai/docs/api-reference: `name`.
  { provider: "Stability AI", words: ["content_moderation", "content_filtered"] },
  // help.aliyun.com/zh/model-studio/error-code
  { provider: "Alibaba Model Studio", words: ["data_inspection_failed", "DataInspectionFailed"] },
  // volcengine.com/docs/82379/1299023
  {
    provider: "Volcengine Ark",
    words: [
      "SensitiveContentDetected", "InputTextSensitiveContentDetected", "InputImageSensitiveContentDetected", "OutputTextSensitiveContentDetected",
      "OutputImageSensitiveContentDetected", "InputVideoSensitiveContentDetected", "OutputVideoSensitiveContentDetected",
    ],
  },
  // docs.bigmodel.cn/cn/faq/api-code
  { provider: "Zhipu", words: ["1301"] },
  // ai.google.dev/api/generate-content: BlockReason.
  { provider: "Google", words: ["SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "IMAGE_SAFETY"] },
  // docs.litellm.ai/docs/exception_mapping; guardrails of gateways.
  { provider: "LiteLLM", words: ["ContentPolicyViolationError", "content_filter_violation", "guardrail_violation", "guardrail_intervened"] },
];

/**
 * A word as it is compared: letters and digits in lower case, since `content-filter` and `ContentFilter` are the same to
 * everybody.
 */
function plain(word: string): string {
  return gsub(lower(word), "[^%w]", "")[0];
}

const WORDS = new LuaTable<string, boolean>();
/** Beginnings of messages by the ambiguous word beside them; "" for none. */
const MESSAGES = new LuaTable<string, string[]>();

function add_message(word: string, message: string): void {
  const messages = MESSAGES.get(word) ?? [];
  messages.push(message);
  MESSAGES.set(word, messages);
}

for (const { ambiguous, messages, words } of REFUSALS) {
  for (const word of words ?? []) {
    WORDS.set(plain(word), true);
  }
  for (const message of messages ?? []) {
    for (const word of ambiguous ?? [""]) {
      add_message(plain(word), message);
    }
  }
}

/** What an error says of itself, by the names of slots. */
const NAMES = ["code", "type", "status", "name", "error_code", "error_type", "error_status", "inner_code", "metadata_type"] as const;
const TEXTS = ["message", "error", "error_message"] as const;

const SHAPE = compile({
  members: {
    code: { slot: "code" },
    type: { slot: "type" },
    status: { slot: "status" },
    name: { slot: "name" },
    message: { slot: "message" },
    error: {
      slot: "error",
      members: {
        code: { slot: "error_code" },
        type: { slot: "error_type" },
        status: { slot: "error_status" },
        message: { slot: "error_message" },
        innererror: { members: { code: { slot: "inner_code" } } },
        metadata: { members: { flagged_input: { slot: "flagged" }, error_type: { slot: "metadata_type" } } },
      },
    },
  },
});
const walk = walker(SHAPE, NO_SINK, undefined);

/**
 * What stands in that slot of the body just walked: a number, or a string as it is written, without quotes; "" for all else.
 */
function word_at(body: string, name: string): string {
  const { ends, kinds, starts } = walk.state;
  const slot = SHAPE.slot_of.get(name)!;
  const kind = kinds[slot];
  if (kind === Kind.Number) {
    return sub(body, starts[slot]! + 1, ends[slot]);
  }
  return kind === Kind.String || kind === Kind.EscapedString ? sub(body, starts[slot]! + 2, ends[slot]! - 1) : "";
}

/** Whether one of the error's texts begins with one of these. */
function says_one(body: string, beginnings: readonly string[] | undefined): boolean {
  if (beginnings === undefined) {
    return false;
  }
  for (const name of TEXTS) {
    const text = lower(word_at(body, name));
    for (const beginning of beginnings) {
      if (text !== "" && sub(text, 1, beginning.length) === beginning) {
        return true;
      }
    }
  }
  return false;
}

/** Whether an error's body, whole, says that what was asked goes against a content policy. What is no JSON says nothing. */
function is_content_refusal(body: string): boolean {
  if (check(walk, body) !== undefined) {
    return false;
  }
  if (walk.state.kinds[SHAPE.slot_of.get("flagged")!] !== Kind.Absent || says_one(body, MESSAGES.get(""))) {
    return true;
  }
  for (const name of NAMES) {
    const word = plain(word_at(body, name));
    if (word !== "" && (WORDS.has(word) || says_one(body, MESSAGES.get(word)))) {
      return true;
    }
  }
  return false;
}

export { REFUSALS, is_content_refusal };
