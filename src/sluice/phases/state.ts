/**
 * What a request carries from phase to phase: the only thing in `ngx.ctx`. Each phase fills its part.
 */

import * as ffi from "ffi";
import { PARTS } from "../wire/conversation";
import type { Principal } from "../auth/principal";
import { clear_used, new_used } from "../pool/accounts";
import { Match } from "../pool/conversation";
import { ABSENT, lasting } from "../wire/lasting_record";
import type { UsedAccounts } from "../pool/accounts";
import type { Conversation } from "../pool/conversation";
import type { Account, Endpoint } from "../pool/pools";
import type { Pin, Recall } from "./stored_responses";
import type { Waiter } from "../pool/queue";
import type { Reservation } from "../limit/reservation";
import type { Snapshot } from "../config/snapshot";
import type { Timeout } from "../ledger/journal";
import type { EditedBody } from "./body_edits";
import type { GuardedBody } from "../guard/body";
import type { PromptVerdict } from "../guard/prompt";
import type { GuardedStream } from "../guard/stream";
import type { Tally } from "../guard/tally";
import type { Model } from "../route/table";
import type { Api } from "../wire/api";
import type { AnswerReader } from "../wire/answer";
import type { Refusal } from "../wire/refusal";
import type { RequestReading } from "../wire/request";

/** How the answer's body is treated. */
const enum Mode {
  /** Goes on unread. */
  Pass = 0,
  /** A stream of events. */
  Stream = 1,
  /** One JSON body. */
  Body = 2,
  /** Something else is sent in its place. */
  Replace = 3,
  /** Of a type that does not tell what it is: its first bytes will. */
  Unknown = 4,
  /** A refusal whose words tell the client's mistake from the account's. It is read, and never goes on. */
  Words = 5,
}

/** What of the gateway's own an attempt has failed of. */
const enum Own {
  /** Nothing: it is the endpoint's failure, or none. */
  No = 0,
  /** There was no connection, file descriptor or memory left. */
  Connections = 1,
  /** There was no local port left towards the endpoint's address. */
  Ports = 2,
  /** The answer's header did not fit into the buffer for it. */
  Header = 3,
  /** The request's own time was over. */
  Time = 4,
}

type Cause = "upstream_lost" | "timed_out" | "blocked" | "budget_cut";

interface RequestState {
  id: string;
  api: Api | undefined;
  /** The model that the path has named; undefined: it is for the body to name one. */
  named_model: string | undefined;
  snapshot: Snapshot;
  /** Seconds on the clock that only goes forward. */
  began: number;
  /** Seconds since 1970. */
  arrived: number;
  /** Seconds the gateway itself took until now, waiting left out. */
  overhead: number;

  principal: Principal | undefined;
  model: Model | undefined;
  reading: RequestReading | undefined;
  /** Where the conversation lies in the body (see wire/conversation.ts), and who has met it, if its pool wants to know. */
  places: Int32Buffer;
  conversation: Conversation | undefined;
  /** Why the request was refused, or its answer replaced. */
  refusal: Refusal | undefined;
  /** What would have been the refusal, had there been no other model to try. */
  failure: Refusal | undefined;

  endpoint: Endpoint | undefined;
  account: Account | undefined;
  address: string;
  /** How many attempts there were, and whether the last of them has been sent on; when, in seconds on the clock that only goes forward. */
  attempts: number;
  under_way: boolean;
  attempt_began: number;
  /** What of the gateway's own the last attempt has failed of. */
  own: Own;
  /** Whether the endpoint is taken, and whether it counts the request. */
  taken: boolean;
  /** How many of them were made with models before the present one; and the place of the next one in `fallbacks`. */
  attempts_before: number;
  fallbacks: Model[] | undefined;
  next_fallback: number;
  /** How the body was edited, if it may have to be edited for another model. */
  edited: EditedBody | undefined;
  /** When the request must have ended, in seconds on the clock that only goes forward. */
  deadline: number;
  /** Whether the endpoint counts it. */
  counted: boolean;
  /** Whether it has waited since its client was last seen to be there. */
  waited: boolean;
  /** The request's place among those that wait for one in the pool. */
  waiter: Waiter<unknown> | undefined;
  /** From the breaker of the endpoint, if this request tries it, and from the rest of the account, if this is its trial; else 0. */
  ticket: number;
  /** Whether the breaker has counted the attempt as served when its answer began. */
  counted_as_served: boolean;
  account_index: number;
  account_ticket: number;
  /** The account of the present pool that has answered 403, −1 for none, and its trial's ticket (see forbidden.ts). */
  forbidden_account: number;
  forbidden_ticket: number;
  /** Whether the next attempt is the same account's. */
  keeps_account: boolean;
  /** The places of the endpoints that were tried, so many of them; and the accounts. */
  tried: number[];
  tried_count: number;
  used_accounts: UsedAccounts;
  /** The keys of the endpoints that have failed the request, with whatever model, so many of them: it counts once at each. */
  failed_at: string[];
  failed_count: number;

  /** What follows the upstream's path; undefined: nothing. */
  suffix: string | undefined;
  /** Where the request must go, for there is what it refers to; undefined: anywhere. */
  pin: Pin | undefined;
  /** The response, made before, whose page was asked for. */
  recall: Recall | undefined;
  /** Whether the answer's ids are to be remembered; and the pieces of its body that have come, of so many bytes. */
  learns: boolean;
  learning: string[];
  learning_bytes: number;
  /** The ids of it that are remembered; the response's own is the first. */
  learnt: string[];

  /** What was reserved of the limits; undefined: none apply. */
  reservation: Reservation | undefined;
  /** How many tokens of output the budget is enough for. */
  output_allowance: number;
  /** How many tokens of output were reserved of the windows, and taken since; `math.huge`: the most that there may be. */
  window_allowance: number;

  /** What the tenant's guard found in the prompt. */
  prompt_verdict: PromptVerdict | undefined;

  /** It holds something that is given back with the answer's last byte (see answer_end.ts); and how many bytes of that are to come. */
  holding: boolean;
  to_come: number;
  mode: Mode;
  answer: AnswerReader | undefined;
  /** The answer, if it is guarded, by its mode; and what was found in it. */
  guarded_stream: GuardedStream | undefined;
  guarded_body: GuardedBody | undefined;
  /** What has been kept of an answer until it is known what that is. */
  kept: string;
  /** Of an answer whose type does not tell: it is JSON, if it is nothing else. */
  says_json: boolean;
  tally: Tally | undefined;
  /** What replaces the body, until it is sent. */
  replacement: string | undefined;
  /** The body has been ended by the gateway: nothing more goes out. */
  ended: boolean;
  /** When the first text, and the last bytes, came from upstream. */
  first_text: number | undefined;
  last_bytes: number;
  /** From when on nginx counts the upstream's silence, by its own time. */
  silent_since: number;
  /** The stream is complete, and the upstream has yet to end its response; then: the request, as nginx has it. */
  awaited: boolean;
  request_address: number;
  /** Why the answer broke off, if it did. */
  broken: Cause | undefined;
  /** Which time ran out, if one did. */
  timeout: Timeout | undefined;
  /** For the metric of truncated answers. */
  truncated: string | undefined;
}

function new_state(): RequestState {
  return lasting({
    id: "",
    api: ABSENT,
    named_model: ABSENT,
    snapshot: ABSENT as unknown as Snapshot,
    began: 0,
    arrived: 0,
    overhead: 0,
    principal: ABSENT,
    model: ABSENT,
    reading: ABSENT,
    places: ffi.new<Int32Buffer>("int32_t[?]", PARTS * 2),
    conversation: ABSENT,
    refusal: ABSENT,
    failure: ABSENT,
    endpoint: ABSENT,
    account: ABSENT,
    address: "",
    attempts: 0,
    under_way: false,
    attempt_began: 0,
    own: Own.No,
    taken: false,
    attempts_before: 0,
    fallbacks: ABSENT,
    next_fallback: 0,
    edited: ABSENT,
    deadline: math.huge,
    counted: false,
    waited: false,
    waiter: ABSENT,
    ticket: 0,
    counted_as_served: false,
    account_index: 0,
    account_ticket: 0,
    forbidden_account: -1,
    forbidden_ticket: 0,
    keeps_account: false,
    tried: [],
    tried_count: 0,
    used_accounts: new_used(),
    failed_at: [],
    failed_count: 0,
    suffix: ABSENT,
    pin: ABSENT,
    recall: ABSENT,
    learns: false,
    learning: [],
    learning_bytes: 0,
    learnt: [],
    reservation: ABSENT,
    output_allowance: math.huge,
    window_allowance: math.huge,
    prompt_verdict: ABSENT,
    holding: false,
    to_come: math.huge,
    mode: Mode.Pass,
    answer: ABSENT,
    guarded_stream: ABSENT,
    guarded_body: ABSENT,
    kept: "",
    says_json: false,
    tally: ABSENT,
    replacement: ABSENT,
    ended: false,
    first_text: ABSENT,
    last_bytes: 0,
    silent_since: 0,
    awaited: false,
    request_address: 0,
    broken: ABSENT,
    timeout: ABSENT,
    truncated: ABSENT,
  });
}

/** States that are not in use. Taking one from here spares the garbage collector more than a kilobyte a request. */
const idle: RequestState[] = [];
const MOST_IDLE = 256;

/** A state for a request that begins. Give it back with `release_state` when the request has been logged. */
function take_state(id: string, api: Api | undefined, snapshot: Snapshot, began: number, arrived: number): RequestState {
  const state = idle.pop() ?? new_state();
  state.id = id;
  state.api = api;
  state.snapshot = snapshot;
  state.began = began;
  state.arrived = arrived;
  state.overhead = 0;
  state.address = "";
  state.attempts = 0;
  state.under_way = false;
  state.own = Own.No;
  state.taken = false;
  state.waited = false;
  state.ticket = 0;
  state.counted_as_served = false;
  state.account_ticket = 0;
  state.forbidden_account = -1;
  state.forbidden_ticket = 0;
  state.keeps_account = false;
  state.attempts_before = 0;
  state.next_fallback = 0;
  state.deadline = math.huge;
  state.tried_count = 0;
  state.failed_count = 0;
  clear_used(state.used_accounts);
  if (state.conversation !== undefined) {
    state.conversation.match = Match.Unknown;
    state.conversation.marks = 0;
  }
  state.output_allowance = math.huge;
  state.window_allowance = math.huge;
  state.suffix = undefined;
  state.learns = false;
  state.holding = false;
  state.to_come = math.huge;
  state.mode = Mode.Pass;
  state.kept = "";
  state.ended = false;
  state.last_bytes = began;
  return state;
}

/** Gives a state back. Nothing of the request stays in it. */
function release_state(state: RequestState): void {
  kept.delete(state.id);
  state.snapshot = undefined as unknown as Snapshot;
  state.named_model = undefined;
  state.principal = undefined;
  state.model = undefined;
  state.reading = undefined;
  state.refusal = undefined;
  state.failure = undefined;
  state.endpoint = undefined;
  state.account = undefined;
  state.reservation = undefined;
  if (state.learnt.length > 0 || state.learning_bytes > 0) {
    state.learning = [];
    state.learning_bytes = 0;
    state.learnt = [];
  }
  state.pin = undefined;
  state.recall = undefined;
  state.prompt_verdict = undefined;
  state.answer = undefined;
  state.guarded_stream = undefined;
  state.guarded_body = undefined;
  state.tally = undefined;
  state.replacement = undefined;
  state.first_text = undefined;
  state.broken = undefined;
  state.timeout = undefined;
  state.fallbacks = undefined;
  state.edited = undefined;
  state.truncated = undefined;
  if (idle.length < MOST_IDLE) {
    idle.push(state);
  }
}

/** Requests that may be tried again, by their ids: nginx's context is lost on the way from one location to another. */
const kept = new LuaTable<string, RequestState | undefined>();

/** Keeps a request's state for further attempts, until it is released. */
function keep_state(state: RequestState): void {
  kept.set(state.id, state);
}

/** The state of a request that comes to another location; undefined if it was not kept. */
function kept_state(id: string): RequestState | undefined {
  return kept.get(id);
}

/** What `ngx.ctx` holds for a page that the gateway itself answers. */
const OWN_PAGE = { own: true };

/** The state of the request at hand; undefined where access did not run. */
function current_state(): RequestState | undefined {
  const state = ngx.ctx as RequestState;
  return (state.id as string | undefined) !== undefined ? state : undefined;
}

export { Mode, OWN_PAGE, Own, current_state, keep_state, kept_state, release_state, take_state };
export type { Cause, RequestState };
