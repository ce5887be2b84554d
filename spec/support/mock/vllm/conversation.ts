/** Conversations as a simulated vLLM server sees them: as one text; and what it says. */

import { TOKEN_CHARACTERS } from "./prefix_cache.ts";

interface Message {
  role: string;
  content: string;
}

const WORDS = ["the", "sun", "was", "low", "and", "red", "when", "our", "boat", "came", "near", "old", "town", "with", "few", "men"];

/**
 * A conversation as the model reads it. What the model then says continues it: the next turn's text begins with this one's, followed by
 * the answer.
 */
function renderConversation(messages: Message[]): string {
  return `${messages.map(({ role, content }) => `<|${role}|>${content}<|end|>`).join("")}<|assistant|>`;
}

/** An answer of so many tokens, the same for the same conversation. */
function answerTokens(prompt: string, count: number): string[] {
  let state = prompt.length + 1;
  for (let at = Math.max(0, prompt.length - 200); at < prompt.length; at++) state = (Math.imul(state, 31) + prompt.charCodeAt(at)) >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (WORDS[state >>> 28] ?? "").slice(0, TOKEN_CHARACTERS - 1).padEnd(TOKEN_CHARACTERS, " ");
  });
}

export { answerTokens, renderConversation };
export type { Message };
