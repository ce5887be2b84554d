/**
 * Asks Redis. Whatever is asked ends within its milliseconds: connecting, TLS, the password and the answer together.
 */

import { monotonic } from "./clock";
import { abandon, failure, keep, limit_time, open } from "./redis_connection";
import type { RedisClient } from "./redis_connection";

const byte = string.byte;
const find = string.find;
const format = string.format;
const match = string.match;
const sub = string.sub;

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

/** What answers begin with: `$` and `-`. */
const BULK = 36;
const ERROR = 45;

/** Redis can't take a command now, or not from us, whatever it is: another Redis, or the same one later, may. */
const LOST = [
  "READONLY", "OOM", "LOADING", "MASTERDOWN", "MISCONF", "BUSY", "NOAUTH", "NOPERM", "WRONGPASS", "NOREPLICAS", "NOSCRIPT", "CLUSTERDOWN", "UNKILLABLE",
];

/** Whether an error is that of a script which has run, and would be the same at the next try. Anything else passes. */
function is_final(error: string): boolean {
  for (const word of LOST) {
    if (find(error, word, 1, true)[0] === 1) {
      return false;
    }
  }
  return find(error, "script", 1, true)[0] !== undefined;
}

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

function is_unknown_script(reply: string | false | undefined, reason: string | undefined): boolean {
  return reply === false && match(reason ?? "", "^NOSCRIPT")[0] !== undefined;
}

/**
 * Adds EVALSHA of a script with its seven keys and its other parts as one argument, as it goes over the wire
 * (https://redis.io/docs/reference/protocol-spec/). Written here because the library makes some sixty strings of it. The
 * argument stays a text of its own: what stands before it is the same for many requests, and is made once.
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

/** Reads the answer of a script, which is a text; or false and the error; or nil and the reason. */
function read_answer(socket: TcpSocket): LuaMultiReturn<[reply: string | false | undefined, reason: string | undefined]> {
  const [line, reason] = socket.receive("*l");
  if (line === undefined) {
    return $multi(undefined, reason);
  }
  const kind = byte(line);
  if (kind === BULK) {
    const length = tonumber(sub(line, 2)) ?? -1;
    if (length >= 0) {
      const [data, complaint] = socket.receive(length + 2);
      if (data === undefined) {
        return $multi(undefined, complaint);
      }
      return $multi(sub(data, 1, length), undefined);
    }
  }
  if (kind === ERROR) {
    return $multi(false, sub(line, 2));
  }
  return $multi(undefined, "an answer of another kind");
}

/** Runs a script that Redis knows. */
function evaluate(connection: RedisConnection, digest: string, parts: string[]): LuaMultiReturn<[reply: string | false | undefined, reason: string | undefined]> {
  const socket = connection._sock;
  const pieces: string[] = [];
  add_command(pieces, digest, parts);
  const [sent, reason] = socket.send(pieces);
  if (sent === undefined) {
    return $multi(undefined, reason);
  }
  return read_answer(socket);
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
    const { connection, used, fresh } = at;
    if (!limit_time(connection, deadline)) {
      connection.close();
      return $multi(undefined, "timeout", asked);
    }
    let [reply, reason] = evaluate(connection, digest, parts);
    if (is_unknown_script(reply, reason) && limit_time(connection, deadline)) {
      const [loaded] = connection.script("LOAD", text);
      if (typeof loaded === "string" && limit_time(connection, deadline)) {
        [reply, reason] = evaluate(connection, digest, parts);
      }
    }
    if (typeof reply === "string") {
      keep(connection, fresh);
      return $multi(reply, undefined, true);
    }
    abandon(client, connection);
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

/** Runs a script for each list, all at once. Returns an answer for each; or nil and the reason, unless all have come. */
function evaluate_all(connection: RedisConnection, digest: string, lists: string[][]): LuaMultiReturn<[answers: ScriptAnswer[] | undefined, reason: string | undefined]> {
  const socket = connection._sock;
  const pieces: string[] = [];
  for (const parts of lists) {
    add_command(pieces, digest, parts);
  }
  const [sent, reason] = socket.send(pieces);
  if (sent === undefined) {
    return $multi(undefined, reason);
  }
  const answers: ScriptAnswer[] = [];
  for (const _ of $range(1, lists.length)) {
    const [text, complaint] = read_answer(socket);
    if (text === undefined) {
      return $multi(undefined, complaint);
    }
    answers.push(text !== false ? { text, error: undefined } : { text: undefined, error: complaint ?? "an error" });
  }
  return $multi(answers, undefined);
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

/** Whether Redis did not know the script for one of them; those for which it did may be asked again. */
function is_unknown(answers: ScriptAnswer[]): boolean {
  for (const { error: complaint } of answers) {
    if (complaint !== undefined && is_unknown_script(false, complaint)) {
      return true;
    }
  }
  return false;
}

/**
 * Runs a script for each list of keys and arguments, in order, within so many milliseconds. Returns the answers; or
 * undefined and the reason, in which case some may have been run.
 */
function run_scripts(
  client: RedisClient,
  text: string,
  lists: string[][],
  timeout_ms: number,
): LuaMultiReturn<[answers: ScriptAnswer[] | undefined, reason: string | undefined]> {
  const deadline = monotonic() + timeout_ms / 1000;
  const digest = digest_of(client, text);
  const [at, closed] = open(client, deadline, false);
  if (at === undefined) {
    return $multi(undefined, closed);
  }
  const { connection } = at;
  if (!limit_time(connection, deadline)) {
    connection.close();
    return $multi(undefined, "timeout");
  }
  let [answers, reason] = evaluate_all(connection, digest, lists);
  if (answers !== undefined && is_unknown(answers) && limit_time(connection, deadline)) {
    const [loaded] = connection.script("LOAD", text);
    if (typeof loaded === "string" && limit_time(connection, deadline)) {
      [answers, reason] = evaluate_all(connection, digest, lists);
    }
  }
  if (answers !== undefined && are_texts(answers)) {
    keep(connection, false);
  } else {
    abandon(client, connection);
  }
  return $multi(answers, reason);
}

/** Whether Redis takes a change now. Returns why not. */
function probe(client: RedisClient, timeout_ms: number): string | undefined {
  const deadline = monotonic() + timeout_ms / 1000;
  const [at, closed] = open(client, deadline, true);
  if (at === undefined) {
    return closed ?? "no connection";
  }
  const { connection } = at;
  if (!limit_time(connection, deadline)) {
    connection.close();
    return "timeout";
  }
  const [reply, reason] = connection.set("sluice:probe", "1", "EX", "60");
  const failed = failure(reply, reason);
  if (failed !== undefined) {
    abandon(client, connection);
    return failed;
  }
  connection.close();
  return undefined;
}

export { is_final, probe, run_script, run_scripts };
export type { ScriptAnswer };
