/**
 * Asks Redis. Whatever is asked ends within its milliseconds: connecting, TLS, the password and the answer together.
 */

import { monotonic } from "./clock";
import { abandon, failure, keep, open } from "./redis_connection";
import { limit_time, read_reply, write } from "./redis_wire";
import type { RedisClient } from "./redis_connection";
import type { Wire } from "./redis_wire";

const format = string.format;
const match = string.match;

/** What Redis answered to a script: a text, or an error. */
interface ScriptAnswer {
  text: string | undefined;
  error: string | undefined;
}

type Keys = [string, string, string, string, string, string, string];

/** Key names come first in the parts of every script: so many. */
const KEYS = 7;

/** EVALSHA, the script's digest, how many keys there are, the keys, and how long the argument is. */
const COMMAND = `*11\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n${KEYS}\r\n${string.rep("$%d\r\n%s\r\n", KEYS)}$%d\r\n`;

/** So many scripts are sent at once, which is some ten kilobytes. */
const SENT_AT_ONCE = 16;

function hexadecimal(this: void, character: string): string {
  return string.format("%02x", string.byte(character));
}

/** What Redis knows a script by. */
function digest_of(client: RedisClient, text: string): string {
  let digest = client.digests.get(text) as string | undefined;
  if (digest === undefined) {
    [digest] = string.gsub(ngx.sha1_bin(text), ".", hexadecimal);
    client.digests.set(text, digest);
  }
  return digest;
}

/** Whether a kept connection turned out to be dead, and the same may be asked on a new one. */
function was_dead(used: boolean, reason: string): boolean {
  return used && reason !== "timeout";
}

function is_unknown_script(reply: RedisReply, reason: string | undefined): boolean {
  return reply === false && match(reason ?? "", "^NOSCRIPT")[0] !== undefined;
}

/**
 * Adds EVALSHA of a script with its seven keys and its other parts as one argument, as it goes over the wire: three strings in place
 * of the sixty that one for each length and part would be. The argument stays a text of its own: what stands before it is the
 * same for many requests, and is made once.
 */
function add_command(pieces: string[], digest: string, parts: string[]): void {
  const [first, second, third, fourth, fifth, sixth, seventh] = parts as unknown as Keys;
  const rest = table.concat(parts, "|", KEYS + 1);
  pieces.push(
    format(
      COMMAND,
      digest, first.length, first, second.length, second, third.length, third, fourth.length, fourth, fifth.length, fifth, sixth.length, sixth,
      seventh.length, seventh, rest.length,
    ),
  );
  pieces.push(rest);
  pieces.push("\r\n");
}

/** Tells Redis a script. The reply is its digest. */
function load_script(wire: Wire, text: string): LuaMultiReturn<[reply: RedisReply, reason: string | undefined]> {
  if (!limit_time(wire)) {
    return $multi(undefined, "timeout");
  }
  return wire.connection.script("LOAD", text);
}

/** Runs a script that Redis knows. */
function evaluate(wire: Wire, digest: string, parts: string[]): LuaMultiReturn<[reply: RedisReply, reason: string | undefined]> {
  const pieces: string[] = [];
  add_command(pieces, digest, parts);
  const unsent = write(wire, pieces);
  if (unsent !== undefined) {
    return $multi(undefined, unsent);
  }
  return read_reply(wire);
}

/**
 * Runs a script with its keys and arguments, within so many milliseconds. Returns its answer, a text; or the reason why there is
 * none. `asked`: Redis may have run the script or may run it yet. The script may be run twice; it has to see to that.
 */
function run_script(
  client: RedisClient,
  text: string,
  parts: string[],
  timeout_ms: number,
): LuaMultiReturn<[answer: string | undefined, reason: string | undefined, asked: boolean]> {
  const deadline = monotonic() + timeout_ms / 1000;
  const digest = digest_of(client, text);
  let asked = false;
  for (const attempt of $range(1, 2)) {
    const [at, closed] = open(client, deadline, attempt === 2);
    if (at === undefined) {
      return $multi(undefined, closed, asked);
    }
    const { wire, used, fresh } = at;
    let [reply, reason] = evaluate(wire, digest, parts);
    if (is_unknown_script(reply, reason)) {
      [reply, reason] = load_script(wire, text);
      if (typeof reply === "string") {
        [reply, reason] = evaluate(wire, digest, parts);
      }
    }
    if (typeof reply === "string") {
      keep(wire, fresh);
      return $multi(reply, undefined, true);
    }
    abandon(client, wire);
    if (reply === false) {
      // An error: the script has not changed anything.
      return $multi(undefined, reason ?? "an error", asked);
    }
    asked = true;
    if (!was_dead(used, reason ?? "")) {
      return $multi(undefined, reason ?? "an answer of another kind", true);
    }
  }
  return $multi(undefined, "closed", asked);
}

/** Sends a script with each list from the `first` on. Returns why it can't. */
function send_all(wire: Wire, digest: string, lists: string[][], first: number): string | undefined {
  for (const begin of $range(first, lists.length - 1, SENT_AT_ONCE)) {
    const pieces: string[] = [];
    for (const index of $range(begin, math.min(begin + SENT_AT_ONCE, lists.length) - 1)) {
      add_command(pieces, digest, lists[index]!);
    }
    const unsent = write(wire, pieces);
    if (unsent !== undefined) {
      return unsent;
    }
  }
  return undefined;
}

/**
 * Runs a script for each list that has no answer yet, all at once, and adds the answers. Returns why some are missing. `NOSCRIPT`: from
 * there on Redis did not know the script, or not always; nothing else is left to be read.
 */
function evaluate_all(wire: Wire, digest: string, lists: string[][], answers: ScriptAnswer[]): string | undefined {
  const first = answers.length;
  const unsent = send_all(wire, digest, lists, first);
  if (unsent !== undefined) {
    return unsent;
  }
  let unknown: string | undefined;
  for (const _ of $range(first, lists.length - 1)) {
    const [reply, reason] = read_reply(wire);
    if (typeof reply !== "string" && reply !== false) {
      return reason ?? "an answer of another kind";
    }
    if (unknown === undefined && is_unknown_script(reply, reason)) {
      unknown = reason;
    }
    if (unknown === undefined) {
      answers.push(reply !== false ? { text: reply, error: undefined } : { text: undefined, error: reason ?? "an error" });
    }
  }
  return unknown;
}

/** Whether none of the answers is an error. */
function are_texts(answers: ScriptAnswer[]): boolean {
  for (const { error: complaint } of answers) {
    if (complaint !== undefined) {
      return false;
    }
  }
  return true;
}

/**
 * Runs a script for each list of keys and arguments, in order, within so many milliseconds. Returns the answers that came, which are
 * those of the first lists; and the reason, if there are more lists than answers: those may have been run or not.
 */
function run_scripts(
  client: RedisClient,
  text: string,
  lists: string[][],
  timeout_ms: number,
): LuaMultiReturn<[answers: ScriptAnswer[], reason: string | undefined]> {
  const deadline = monotonic() + timeout_ms / 1000;
  const digest = digest_of(client, text);
  const answers: ScriptAnswer[] = [];
  const [at, closed] = open(client, deadline, false);
  if (at === undefined) {
    return $multi(answers, closed ?? "no connection");
  }
  const { wire } = at;
  let reason = evaluate_all(wire, digest, lists, answers);
  if (is_unknown_script(false, reason)) {
    const [loaded, complaint] = load_script(wire, text);
    reason = failure(loaded, complaint) ?? evaluate_all(wire, digest, lists, answers);
  }
  if (reason === undefined && are_texts(answers)) {
    keep(wire, false);
  } else {
    abandon(client, wire);
  }
  return $multi(answers, reason);
}

/** Whether Redis takes a change now, on a new connection and within so many milliseconds. Returns why not. */
function probe(client: RedisClient, timeout_ms: number): string | undefined {
  const deadline = monotonic() + timeout_ms / 1000;
  const [at, closed] = open(client, deadline, true);
  if (at === undefined) {
    return closed ?? "no connection";
  }
  const { wire } = at;
  if (!limit_time(wire)) {
    wire.connection.close();
    return "timeout";
  }
  const [reply, reason] = wire.connection.set("sluice:probe", "1", "EX", "60");
  const failed = failure(reply, reason);
  if (failed !== undefined) {
    abandon(client, wire);
    return failed;
  }
  wire.connection.close();
  return undefined;
}

export { probe, run_script, run_scripts };
export type { ScriptAnswer };
