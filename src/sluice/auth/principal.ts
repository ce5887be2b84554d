/**
 * Who a request comes from. A tenant is made once for each configuration; a principal names the tenant and
 * the credential that was used, and is shared by all requests with that credential.
 */

import type { Guard } from "../guard/guards";
import type { Scope } from "../limit/scope";

interface Tenant {
  id: string;
  /** Whether this tenant may use the model of that name. */
  allows_model: (this: void, name: string) => boolean;
  /** Whether a request may come from that address; `undefined`: from anywhere. */
  allows_address: ((this: void, address: string) => boolean) | undefined;
  /** What reads its prompts and answers; `undefined`: nothing does. */
  guard: Guard | undefined;
  /** What it may use; `undefined`: anything. */
  scope: Scope | undefined;
  /** Whether its requests reserve what is usual of the windows of tokens, and not the most that they may need. */
  reserves_usual: boolean;
  /** What it has free of models that cost something, by the model's name; `undefined`: of none. */
  allowances: LuaTable<string, Scope | undefined> | undefined;
}

interface Principal {
  tenant: Tenant;
  /** The id of the API key, or `jwt:` and the token's subject. Never the secret. At most 128 bytes of printable ASCII without `"` and `\`. */
  key: string;
  /** What this key may use besides; `undefined`: anything. */
  scope: Scope | undefined;
}

export type { Principal, Tenant };
