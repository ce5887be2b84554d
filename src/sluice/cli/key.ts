import { encode_base64url } from "./base64url";
import { Status } from "./terminal";
import type { Terminal } from "./terminal";

/**
 * `sluice key new`: makes an API key. Only its SHA-256 goes into a file; the key itself is printed
 * once, on a line of its own, and kept nowhere.
 */

const byte = string.byte;
const format = string.format;

interface KeyTools {
  /** So many random bytes, fit for a secret. */
  random_bytes: (this: void, count: number) => string;
  sha256_hex: (this: void, text: string) => string;
}

const PREFIX = "sk-sluice-";
const SECRET_BYTES = 32;

/** An API key: `sk-sluice-` and 43 characters of base64url, for 32 random bytes. */
function new_key(tools: KeyTools): string {
  return `${PREFIX}${encode_base64url(tools.random_bytes(SECRET_BYTES))}`;
}

/** A name for a key whose owner gave it none. */
function new_id(tools: KeyTools): string {
  const [a, b, c, d] = byte(tools.random_bytes(4), 1, 4);
  return format("key-%02x%02x%02x%02x", a, b, c, d);
}

/** Prints a new key for `tenant`, and what to write down where. */
function print_new_key(tenant: string, id: string | undefined, tools: KeyTools, terminal: Terminal): Status {
  const name = id ?? new_id(tools);
  for (const [what, value] of [
    ["--tenant", tenant],
    ["--id", name],
  ] as [string, string][]) {
    const [plain] = string.find(value, "^[%w._-]+$");
    if (plain === undefined || value.length > 64) {
      terminal.complain(`sluice: ${what} takes 1 to 64 letters, digits, dots, underscores or hyphens`);
      return Status.BadUse;
    }
  }
  const key = new_key(tools);
  const hash = tools.sha256_hex(key);
  terminal.print(key);
  terminal.print("");
  terminal.print("This is the only time the key is shown. Give it to whoever is to use it, and write down its hash,");
  terminal.print(`either under api_keys of the tenant ${tenant}:`);
  terminal.print(`  - {id: "${name}", sha256: "${hash}"}`);
  terminal.print("or as a line of the tenant's api_keys_file:");
  terminal.print(`${name} ${hash}`);
  return Status.Good;
}

export { new_key, print_new_key };
export type { KeyTools };
