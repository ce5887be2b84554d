/** Where a pool follows conversations or sessions: finds out, from the request as the client sent it, who has met this one before. */

import { body_range } from "../edge/request";
import { list_header } from "../edge/request_lines";
import { Match, look_up, look_up_session, new_conversation } from "../pool/conversation";
import { BLOCK_BYTES, add_blocks, add_rest, begin_blocks, end_blocks, is_full, new_blocks } from "../pool/prefix_blocks";
import { PARTS } from "../wire/conversation";
import { gateway } from "./gateway";
import type { RequestBody } from "../edge/request";
import type { RequestState } from "./state";

/** A longer session's name is none. */
const MOST_SESSION_BYTES = 256;
/** A body on disk is read in pieces of this size, a multiple of a block's. */
const PIECE_BYTES = 4096 * BLOCK_BYTES;

/** Of one request at a time: nothing waits between its beginning and its end. */
const blocks = new_blocks();

/** Hashes what lies from `start` up to `end` of the body. `grows`: the next turn goes on behind it. */
function hash_part(body: RequestBody, start: number, end: number, grows: boolean): void {
  const whole = body.text;
  let from = start;
  while (from < end && !is_full(blocks)) {
    const to = whole !== undefined ? end : math.min(end, from + PIECE_BYTES);
    const text = whole ?? body_range(body, from, to);
    const base = whole !== undefined ? 0 : from;
    if (text.length < to - base) {
      return;
    }
    const rest = add_blocks(blocks, text, from - base, to - base);
    if (to === end && grows) {
      end_blocks(blocks, text, rest, to - base);
    } else if (to === end) {
      add_rest(blocks, text, rest, to - base);
    }
    from = to;
  }
}

/** Finds out who has met the request's conversation, or session, if its pool wants to know. */
function find_holder(state: RequestState, body: RequestBody): void {
  const { pool, upstream_model } = state.model!;
  const { prefixes } = gateway();
  if ((pool.balance !== "prefix" && pool.session_header === undefined) || prefixes === undefined) {
    return;
  }
  const conversation = state.conversation ?? new_conversation();
  state.conversation = conversation;
  conversation.match = Match.Unknown;
  conversation.marks = 0;
  const session = pool.session_header !== undefined ? list_header(pool.session_header) : undefined;
  if (session !== undefined && session !== "" && session.length <= MOST_SESSION_BYTES) {
    look_up_session(conversation, prefixes, pool.name, pool.seed, upstream_model, state.principal!.tenant.id, session);
    return;
  }
  if (pool.balance !== "prefix") {
    return;
  }
  const { places } = state;
  begin_blocks(blocks, pool.name, upstream_model);
  for (const part of $range(0, PARTS - 1)) {
    hash_part(body, places[part * 2]!, places[part * 2 + 1]!, part === PARTS - 1);
  }
  look_up(conversation, blocks, prefixes, pool.seed);
}

export { find_holder };
