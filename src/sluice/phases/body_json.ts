/** The body filter's part for answers that are one JSON body. */

import { monotonic } from "../edge/clock";
import { upstream_ended } from "../edge/upstream";
import { end_guarded_body, read_guarded_body } from "../guard/body";
import { counted_output, end_body, read_body } from "../wire/answer";
import { refusal_body } from "../wire/ending";
import { refuse } from "../wire/refusal";
import { end_answer } from "./answer_end";
import { take_passed } from "./limits";
import { is_over_time, note_arrival, note_over_time, note_silence } from "./deadline";
import type { GuardedBody } from "../guard/body";
import type { AnswerReader } from "../wire/answer";
import type { RequestState } from "./state";

/** A JSON body is whole: what passes its share of the windows is taken of them before the client has the last byte. */
function take_written(state: RequestState): void {
  if (state.window_allowance !== math.huge) {
    const answer = state.answer!;
    take_passed(state, answer.usage.output >= 0 ? answer.usage.output : counted_output(answer));
  }
}

/** A JSON body under a guard has come as far as it does: what becomes of it. `chunk` are the bytes that nginx passes on by itself. */
function finish_guarded_json(state: RequestState, body: GuardedBody, chunk: string): void {
  const content = end_guarded_body(body);
  take_written(state);
  state.ended = true;
  ngx.arg[2] = true;
  if (content === undefined) {
    const refusal = refuse(502, "upstream_error", "upstream_failed", "The model server's answer can't be read.");
    state.broken = state.broken ?? "upstream_lost";
    ngx.arg[1] = refusal_body(refusal, state.api!.name, state.id);
  } else {
    state.broken = body.blocked ? "blocked" : undefined;
    if (content !== chunk) {
      ngx.arg[1] = content;
    }
  }
}

/** A JSON body under a guard: nothing goes on before all of it has been read. */
function filter_guarded_json(state: RequestState, body: GuardedBody, chunk: string, last: boolean): void {
  let whole = last;
  if (chunk !== "") {
    // With its last byte, not when the upstream has closed: then it shares a packet with its headers.
    whole = read_guarded_body(body, chunk) || last;
    note_arrival(state, monotonic());
    if (state.first_text === undefined) {
      state.first_text = state.last_bytes;
    }
  } else if (!last && upstream_ended()) {
    state.truncated = note_silence(state) ?? "connection_lost";
    end_answer(state, true);
    whole = true;
  }
  if (!whole && is_over_time(state, state.last_bytes, 0)) {
    note_over_time(state);
    state.truncated = "total_timeout";
    whole = true;
  }
  if (whole) {
    finish_guarded_json(state, body, chunk);
  } else {
    ngx.arg[1] = "";
  }
}

function filter_json(state: RequestState, answer: AnswerReader, chunk: string, last: boolean): void {
  if (chunk !== "") {
    read_body(answer, chunk);
    note_arrival(state, monotonic());
    if (state.first_text === undefined) {
      state.first_text = state.last_bytes;
    }
  } else if (!last && upstream_ended()) {
    note_silence(state);
    end_answer(state, true);
    // What it has reported counts, and its text may have come as a whole.
    end_body(answer);
  }
  if (last) {
    end_body(answer);
    take_written(state);
  } else if (chunk !== "" && is_over_time(state, state.last_bytes, 0)) {
    // Its length has been announced: all that is left is to close the connection.
    note_over_time(state);
    ngx.exit(ngx.ERROR);
  }
}

export { filter_guarded_json, filter_json };
