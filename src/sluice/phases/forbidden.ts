/**
 * What becomes of an account that has answered 403. Such a status may be about the account, or about what one request says (xAI
 * and OpenRouter flag prompts with it), and only the body tells. So the account rests only if another account then served what
 * it refused. Until that is known the account takes part as before.
 */

import { monotonic } from "../edge/clock";
import { drop_trial, note_refused } from "../pool/account_states";
import type { Ending } from "../ledger/journal";
import type { RequestState } from "./state";

/** No account of the present pool has answered 403. */
const NOT_FORBIDDEN = -1;

/** The account under way has answered 403. Keeps what is needed to judge it later. Returns whether one had already. */
function note_forbidden(state: RequestState): boolean {
  if (state.forbidden_account !== NOT_FORBIDDEN) {
    return true;
  }
  state.forbidden_account = state.account_index;
  state.forbidden_ticket = state.account_ticket;
  state.account_ticket = 0;
  return false;
}

/** The same account is asked once more: if this was its trial, it goes on. */
function resume_trial(state: RequestState): void {
  state.account_ticket = state.forbidden_ticket;
  state.forbidden_ticket = 0;
}

/** It is known, or never will be, whether another account of the present pool served what one refused. */
function settle_forbidden(state: RequestState, served: boolean): void {
  const { account_index, forbidden_account, forbidden_ticket, model } = state;
  const { live } = model!.pool;
  if (forbidden_account === NOT_FORBIDDEN || live === undefined) {
    return;
  }
  state.forbidden_account = NOT_FORBIDDEN;
  state.forbidden_ticket = 0;
  if (!served || account_index === forbidden_account) {
    drop_trial(live.accounts, forbidden_account, forbidden_ticket);
  } else if (note_refused(live.accounts, forbidden_account, monotonic(), forbidden_ticket)) {
    const { id } = model!.pool.accounts[forbidden_account]!;
    ngx.log(ngx.ERR, "pool ", model!.pool.name, ": account ", id, " refuses (403) what another one serves, and rests");
  }
}

/** Whether an answer of that status, and a request that ended so, says that the account serves. */
function is_served(status: number, ending: Ending): boolean {
  return status >= 200 && status < 300 && (ending === "finished" || ending === "blocked" || ending === "budget_cut");
}

export { NOT_FORBIDDEN, is_served, note_forbidden, resume_trial, settle_forbidden };
