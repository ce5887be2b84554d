/**
 * JSON Web Key Sets (RFC 7517): read from a file once, or fetched from an issuer's address and kept.
 *
 * What fetching promises. A worker has at most one fetch under way for an address; requests that need its
 * result wait for it, up to `WAIT_SECONDS`. The fetch runs apart from any request, so that a client who leaves
 * doesn't end it. A token that names an unknown key causes a fetch, but not within 30 seconds of the last one:
 * whoever makes up key names costs the issuer two fetches a minute. Keys in use are fetched again every ten
 * minutes in the background, which is also how a withdrawn key is noticed. When a fetch fails, or brings
 * nothing usable, the keys at hand go on serving, however old, and the operator is told.
 *
 * What a key says about itself is respected: `use`, `key_ops`, `alg`. Kinds and curves that aren't known are
 * skipped, as the RFC asks; so are symmetric keys, which have no business in a published set. Private members
 * are not looked at. Several keys may share a name; the token's algorithm tells them apart.
 *
 * Limits: each worker fetches for itself. A set whose keys have no names is only renewed every ten minutes.
 */

import { decode_base64url } from "./base64url";
import type { Cryptography, Decode, StrictCheck } from "./cryptography";
import { curve_named, ec_key, edwards_key, key_fits, rsa_key } from "./public_key";
import type { Algorithm, PublicKey } from "./public_key";

/**
 * What lets requests wait for something.
 * @noSelf
 */
interface Gate {
  /** Returns when the gate has been opened, or that many seconds have passed. */
  wait(seconds: number): void;
  /** Lets everyone through, from now on. */
  open(): void;
}

/**
 * The world outside, as fetching keys needs it. The edge has it, and hands it in.
 * @noSelf
 */
interface KeyFetching {
  /** The body of a 200 response; undefined and a reason otherwise. Bounded in time and size. */
  fetch(url: string): LuaMultiReturn<[body: string | undefined, reason: string | undefined]>;
  /** Seconds since 1970. */
  now(): number;
  /** Runs an action soon, apart from the request. Says whether it will. */
  later(action: (this: void) => void): boolean;
  new_gate(): Gate;
  /** Tells the operator. */
  report(message: string): void;
}

/** Reads key sets. */
interface KeyReader {
  cryptography: Cryptography;
  strict_check: StrictCheck;
  decode: Decode;
}

/** Where an issuer's keys come from. */
interface KeySource {
  keys: PublicKey[];
  /** When the keys should be fetched again, in seconds since 1970; never, for those from a file. */
  refresh_at: number;
  remote: RemoteKeys | undefined;
}

interface RemoteKeys {
  url: string;
  reader: KeyReader;
  fetching: KeyFetching;
  /** The last set that was taken, to know whether the next one is new. */
  text: string | undefined;
  attempted_at: number;
  /** The fetch under way. */
  gate: Gate | undefined;
  /** Called when the keys have changed. */
  changed: (this: void) => void;
}

const WAIT_SECONDS = 5;
/** Between two fetches that unknown key names cause. */
const UNKNOWN_KEY_SECONDS = 30;
/** Between two fetches while there has never been a key: an issuer that starts later than the gateway. */
const FIRST_KEY_SECONDS = 5;
const REFRESH_SECONDS = 600;
/** A fetch that has not come back by then never will: whoever ran it is gone. */
const LOST_SECONDS = 30;
const MOST_KEYS = 256;

type Members = LuaTable<string, unknown>;

/** A member that holds base64url, decoded; undefined if it is absent or anything else. */
function bytes_member(members: Members, name: string): string | undefined {
  const value = members.get(name);
  return typeof value === "string" ? decode_base64url(value) : undefined;
}

/** Whether the key's owner lets it check signatures (RFC 7517, sections 4.2 and 4.3). */
function may_verify(members: Members): boolean {
  const use = members.get("use");
  if (use !== undefined && use !== "sig") {
    return false;
  }
  const operations = members.get("key_ops");
  if (operations === undefined) {
    return true;
  }
  if (typeof operations !== "object") {
    return false;
  }
  for (const operation of operations as unknown[]) {
    if (operation === "verify") {
      return true;
    }
  }
  return false;
}

/** Reads one key of a set. Returns neither key nor reason if it is to be skipped. */
function read_key(
  members: Members,
  cryptography: Cryptography,
): LuaMultiReturn<[key: PublicKey | undefined, reason: string | undefined]> {
  const kind = members.get("kty");
  const curve = members.get("crv");
  if (typeof kind !== "string") {
    return $multi(undefined, "expected a kty");
  }
  if (!may_verify(members)) {
    return $multi(undefined, undefined);
  }
  const kid = members.get("kid");
  if (kid !== undefined && typeof kid !== "string") {
    return $multi(undefined, "expected kid to be a string");
  }
  const algorithm = members.get("alg");
  if (algorithm !== undefined && typeof algorithm !== "string") {
    return $multi(undefined, "expected alg to be a string");
  }

  let key: PublicKey | undefined;
  let reason: string | undefined;
  if (kind === "RSA") {
    const modulus = bytes_member(members, "n");
    const exponent = bytes_member(members, "e");
    [key, reason] = rsa_key(modulus ?? "", exponent ?? "", cryptography);
  } else if (kind === "EC" && curve_named(curve) !== undefined) {
    const x = bytes_member(members, "x");
    const y = bytes_member(members, "y");
    [key, reason] = ec_key(curve as string, x ?? "", y ?? "", cryptography);
  } else if (kind === "OKP" && (curve === "Ed25519" || curve === "Ed448")) {
    [key, reason] = edwards_key(curve, bytes_member(members, "x") ?? "", cryptography);
  }
  if (key !== undefined) {
    key.kid = kid;
    key.algorithm = algorithm;
  }
  return $multi(key, reason);
}

/**
 * Reads a key set. Returns its usable keys, and what is wrong with those that should have been usable
 * (`keys[2]: …`); undefined and the reason if the text is no key set at all.
 */
function read_key_set(
  text: string,
  reader: KeyReader,
): LuaMultiReturn<[keys: PublicKey[] | undefined, problems: string[]]> {
  const problem = reader.strict_check(text);
  if (problem !== undefined) {
    return $multi(undefined, [`expected a JSON Web Key Set: it ${problem}`]);
  }
  const [document] = reader.decode(text);
  const list = typeof document === "object" ? (document as Members).get("keys") : undefined;
  if (typeof list !== "object") {
    return $multi(undefined, ["expected a JSON Web Key Set: an object with a list of keys"]);
  }
  const entries = list as unknown[];
  if (entries.length > MOST_KEYS) {
    return $multi(undefined, [`expected at most ${MOST_KEYS} keys`]);
  }
  const keys: PublicKey[] = [];
  const problems: string[] = [];
  for (const index of $range(0, entries.length - 1)) {
    const entry = entries[index];
    if (typeof entry !== "object") {
      problems.push(`keys[${index}]: expected an object`);
    } else {
      const [key, reason] = read_key(entry as Members, reader.cryptography);
      if (key !== undefined) {
        keys.push(key);
      } else if (reason !== undefined) {
        problems.push(`keys[${index}]: ${reason}`);
      }
    }
  }
  return $multi(keys, problems);
}

/** A source of keys that never change. */
function fixed_keys(keys: PublicKey[]): KeySource {
  return { keys, refresh_at: math.huge, remote: undefined };
}

/** A source that fetches its keys when they are first needed. `changed` is called whenever they change. */
function fetched_keys(url: string, reader: KeyReader, fetching: KeyFetching, changed: (this: void) => void): KeySource {
  return {
    keys: [],
    refresh_at: 0,
    remote: { url, reader, fetching, text: undefined, attempted_at: -math.huge, gate: undefined, changed },
  };
}

/** Fetches once, and takes the keys if they are good. */
function fetch_keys(source: KeySource, remote: RemoteKeys): void {
  const [text, reason] = remote.fetching.fetch(remote.url);
  let failure = reason ?? "no answer";
  if (text !== undefined) {
    if (text === remote.text) {
      source.refresh_at = remote.fetching.now() + REFRESH_SECONDS;
      return;
    }
    const [keys, problems] = read_key_set(text, remote.reader);
    failure = problems[0] ?? "it holds no usable key";
    if (keys !== undefined && keys.length > 0) {
      source.keys = keys;
      source.refresh_at = remote.fetching.now() + REFRESH_SECONDS;
      remote.text = text;
      remote.changed();
      for (const problem of problems) {
        remote.fetching.report(`key set ${remote.url}: skipped ${problem}`);
      }
      return;
    }
  }
  const outcome = source.keys.length > 0 ? "the keys at hand stay in use" : "there are no keys yet";
  remote.fetching.report(`key set ${remote.url} could not be taken, ${outcome}: ${failure}`);
}

/** Starts a fetch. If the request has to do it itself, it is over on return. */
function start_fetch(source: KeySource, remote: RemoteKeys, now: number): void {
  const gate = remote.fetching.new_gate();
  remote.gate = gate;
  remote.attempted_at = now;
  source.refresh_at = now + UNKNOWN_KEY_SECONDS;
  const run = (): void => {
    fetch_keys(source, remote);
    if (remote.gate === gate) {
      remote.gate = undefined;
    }
    gate.open();
  };
  if (!remote.fetching.later(run)) {
    run();
  }
}

/** Whether a fetch is under way that can still come back. */
function under_way(remote: RemoteKeys, now: number): boolean {
  return remote.gate !== undefined && now - remote.attempted_at < LOST_SECONDS;
}

/** Starts a fetch in the background if one is due. For sources whose `refresh_at` has passed. */
function refresh_keys(source: KeySource, now: number): void {
  const remote = source.remote;
  if (remote !== undefined && now >= source.refresh_at && !under_way(remote, now)) {
    start_fetch(source, remote, now);
  }
}

/** The keys that may have signed: those of that name, else the nameless ones; any, if the token names none. */
function candidates(keys: PublicKey[], kid: string | undefined, algorithm: Algorithm): PublicKey[] {
  const named: PublicKey[] = [];
  const nameless: PublicKey[] = [];
  for (const key of keys) {
    if (key_fits(key, algorithm)) {
      if (kid === undefined || key.kid === kid) {
        named.push(key);
      } else if (key.kid === undefined) {
        nameless.push(key);
      }
    }
  }
  return named.length > 0 ? named : nameless;
}

/**
 * The keys that may have signed a token with that algorithm and key name. May wait for a fetch; `now` is in
 * seconds since 1970.
 */
function find_keys(source: KeySource, kid: string | undefined, algorithm: Algorithm, now: number): PublicKey[] {
  const found = candidates(source.keys, kid, algorithm);
  const remote = source.remote;
  if (remote === undefined) {
    return found;
  }
  if (found.length > 0) {
    refresh_keys(source, now);
    return found;
  }
  if (!under_way(remote, now)) {
    const pause = remote.text === undefined ? FIRST_KEY_SECONDS : UNKNOWN_KEY_SECONDS;
    if (now - remote.attempted_at < pause) {
      return found;
    }
    start_fetch(source, remote, now);
  }
  const gate = remote.gate;
  if (gate !== undefined) {
    gate.wait(WAIT_SECONDS);
  }
  return candidates(source.keys, kid, algorithm);
}

export { fetched_keys, find_keys, fixed_keys, read_key_set, refresh_keys };
export type { Gate, KeyFetching, KeyReader, KeySource, RemoteKeys };
