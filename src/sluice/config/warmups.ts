import type { StrictCheck } from "../auth/cryptography";
import type { PoolConfiguration } from "../pool/config";
import type { LoadTools } from "./load";
import type { Problem } from "./problem";

/** Reads the bodies that pools warm their endpoints up with: files beside the configuration. */

/** A longer body would be sent to all endpoints again and again, in bytes. */
const MOST_BODY_BYTES = 1048576;

/** Why a file can't be a body, or undefined. */
function wrong_body(text: string | undefined, reason: string | undefined, strict_check: StrictCheck): string | undefined {
  if (text === undefined) {
    return `can't be read: ${reason}`;
  }
  if (text.length > MOST_BODY_BYTES) {
    return `expected at most ${MOST_BODY_BYTES} bytes, found ${text.length}`;
  }
  return strict_check(text) === undefined ? undefined : "expected a file with a JSON document";
}

/** Fills in the bodies, and adds each one's SHA-256 to `digests`. Returns what is wrong with the files. */
function read_warmups(pools: readonly PoolConfiguration[], tools: LoadTools, strict_check: StrictCheck, digests: string[]): Problem[] {
  const problems: Problem[] = [];
  let index = 0;
  for (const { warmup } of pools) {
    if (warmup !== undefined) {
      const [text, reason] = tools.read_file(warmup.body_file);
      const wrong = wrong_body(text, reason, strict_check);
      if (wrong !== undefined) {
        problems.push({ path: `pools[${index}].warmup.body_file`, message: `${warmup.body_file}: ${wrong}` });
      } else {
        warmup.body = text;
        digests.push(tools.sha256_hex(text!));
      }
    }
    index += 1;
  }
  return problems;
}

export { read_warmups };
