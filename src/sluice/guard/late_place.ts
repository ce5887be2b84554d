/**
 * Which text a string of a stream belongs to when the event numbers its choice or tool call only behind it. Such an event is
 * read once more, and before that its numbers are looked up here.
 */

import * as bits from "bit";
import { Kind, MOST_REGIONS, NO_SINK, check, walker } from "../wire/json";
import { compile } from "../wire/shape";
import { TextKind } from "../wire/text_kind";
import { NESTED_DELTAS, NONE, as_number, number_since } from "./text_place";
import type { AnswerSlots } from "../wire/answer_shape";
import type { WalkState } from "../wire/json";
import type { Shape } from "../wire/shape";
import type { ApiName } from "../wire/api";
import type { TextPlace } from "./text_place";

const tobit = bits.tobit;
const rep = string.rep;
const sub = string.sub;

/** What a whole event says of its strings. */
interface LatePlace {
  /** Responses and messages: the numbers, and the mark of the event's type (Responses). */
  outer: number;
  inner: number;
  type: number;
  /** Chat and completions: the numbers of its choices and tool calls, by where they begin. */
  choices: LuaTable<number, number>;
  calls: LuaTable<number, number>;
}

function new_late(): LatePlace {
  return { outer: NONE, inner: NONE, type: 0, choices: new LuaTable(), calls: new LuaTable() };
}

const CHOICES = walker(compile({ members: { choices: { items: { region: true } } } }), NO_SINK, undefined);
const NUMBERED = compile({
  members: { index: { slot: "index" }, delta: { members: { tool_calls: { items: { region: true } } } } },
});
const CHOICE = walker(NUMBERED, NO_SINK, undefined);
const CALL = walker(NUMBERED, NO_SINK, undefined);

function number_of(state: WalkState, shape: Shape, otherwise: number): number {
  const slot = shape.slot_of.get("index");
  return state.kinds[slot] === Kind.Number ? as_number(state.numbers[slot]!) : otherwise;
}

/** Notes the numbers of a choice's tool calls. `start`: where the choice begins in the event. Returns false if there are too many. */
function note_calls(late: LatePlace, choice: string, start: number): boolean {
  const { state } = CHOICE;
  for (const index of $range(0, math.min(state.region_count, MOST_REGIONS) - 1)) {
    const from = state.region_starts[index]!;
    check(CALL, sub(choice, from + 1, state.region_ends[index]));
    late.calls.set(start + from, number_of(CALL.state, NUMBERED, NONE));
  }
  return state.region_count <= MOST_REGIONS;
}

/** Notes the numbers of an event's choices, whose data begins at `start`. Returns false if there are too many. */
function note_choices(late: LatePlace, data: string, start: number): boolean {
  const { state } = CHOICES;
  let fits = check(CHOICES, data) === undefined && state.region_count <= MOST_REGIONS;
  late.choices = new LuaTable();
  late.calls = new LuaTable();
  for (const index of $range(0, math.min(state.region_count, MOST_REGIONS) - 1)) {
    const from = state.region_starts[index]!;
    const choice = sub(data, from + 1, state.region_ends[index]);
    check(CHOICE, choice);
    late.choices.set(start + from, number_of(CHOICE.state, NUMBERED, 0));
    fits = note_calls(late, choice, start + from) && fits;
  }
  return fits;
}

/** The data of an event in the bytes `raw`, as one piece: what stands between its lines becomes blanks, so that offsets stay. */
function joined(raw: string, starts: Int32Buffer, ends: Int32Buffer, count: number): string {
  const parts: string[] = [];
  let from = starts[0]!;
  for (const index of $range(0, count - 1)) {
    parts.push(rep(" ", starts[index]! - from));
    parts.push(sub(raw, starts[index]! + 1, ends[index]));
    from = ends[index]!;
  }
  return parts.join("");
}

/**
 * Notes what an event that has just been walked says of its strings. Its data is the lines from `starts` to `ends` of `raw`.
 * Returns false if that is more than can be noted.
 */
function note_late(
  late: LatePlace, api: ApiName, state: WalkState, slots: AnswerSlots, raw: string, starts: Int32Buffer, ends: Int32Buffer, count: number,
): boolean {
  if (api === "chat" || api === "completions") {
    return note_choices(late, joined(raw, starts, ends, count), starts[0]!);
  }
  late.type = state.levels_first[1]!;
  late.inner = NONE;
  if (api === "responses") {
    late.outer = number_since(state, slots.output_index, 0) ?? NONE;
    late.inner = number_since(state, slots.content_index, 0) ?? number_since(state, slots.summary_index, 0) ?? NONE;
  } else {
    late.outer = number_since(state, slots.index, 0) ?? NONE;
  }
  return true;
}

/** As `locate` does, while an event is walked once more. */
function locate_late(found: TextPlace, late: LatePlace, api: ApiName, state: WalkState, slots: AnswerSlots): void {
  if (api === "chat" || api === "completions") {
    const in_call = found.kind === TextKind.Arguments || found.kind === TextKind.Input;
    found.outer = late.choices.get(state.starts[slots.choice]!) ?? 0;
    found.inner = in_call ? (late.calls.get(state.starts[slots.tool_call]!) ?? NONE) : NONE;
    return;
  }
  found.outer = late.outer;
  found.inner = late.inner;
  if (api === "responses" && found.kind === TextKind.Content) {
    found.place = tobit(found.place + late.type);
    found.kind = NESTED_DELTAS.has(late.type) ? TextKind.Arguments : found.kind;
  }
}

export { locate_late, new_late, note_late };
export type { LatePlace };
