/**
 * From a credential to a Principal.
 *
 * A credential is an API key or a JSON Web Token, and comes in one of three headers. What begins like a token
 * (`eyJ`, two dots) is taken for one if tokens are accepted at all; everything else is an API key. A key is
 * hashed and looked up; a token that was verified before is found by its hash. Neither way allocates more
 * than a string.
 *
 * Refusals say what kind of thing was wrong, and never repeat any of what was sent.
 */

import type { Refusal } from "../wire/refusal";
import { find_principal } from "./api_key";
import type { Directory } from "./directory";
import { refresh_keys } from "./jwks";
import { looks_like_token, verify_token } from "./jwt";
import type { VerifiedToken } from "./jwt";
import type { Principal } from "./principal";
import { recall_token, remember_token, token_name } from "./token_cache";

const byte = string.byte;
const sub = string.sub;

const MOST_KEY_BYTES = 512;
const MOST_SUBJECT_BYTES = 124;

/** Challenges of RFC 6750, section 3. */
const CHALLENGE = 'Bearer realm="sluice"';
const CHALLENGE_INVALID = 'Bearer realm="sluice", error="invalid_token"';
const CHALLENGE_EXPIRED = 'Bearer realm="sluice", error="invalid_token", error_description="The token has expired"';

function unauthenticated(code: string, message: string, authenticate: string): Refusal {
  return { status: 401, type: "authentication_error", code, message, retry: false, authenticate };
}

/** The text of a header without its first `skipped` bytes and the blanks around the rest; undefined if empty. */
function header_value(text: string, skipped: number): string | undefined {
  let begin = skipped + 1;
  let end = text.length;
  while (begin <= end && (byte(text, begin) === 32 || byte(text, begin) === 9)) {
    begin += 1;
  }
  while (end >= begin && (byte(text, end) === 32 || byte(text, end) === 9)) {
    end -= 1;
  }
  if (begin > end) {
    return undefined;
  }
  return begin === 1 && end === text.length ? text : sub(text, begin, end);
}

/**
 * The credential in a request's headers: that of `Authorization` with the Bearer scheme, else of `x-api-key`,
 * else of `api-key`. Undefined if there is none. An Authorization of another scheme counts as none.
 */
function credential_of(
  authorization: string | undefined,
  x_api_key: string | undefined,
  api_key: string | undefined,
): string | undefined {
  if (authorization !== undefined) {
    const scheme = sub(authorization, 1, 7);
    if (scheme === "Bearer " || string.lower(scheme) === "bearer ") {
      const credential = header_value(authorization, 7);
      if (credential !== undefined) {
        return credential;
      }
    }
  }
  if (x_api_key !== undefined) {
    const credential = header_value(x_api_key, 0);
    if (credential !== undefined) {
      return credential;
    }
  }
  return api_key === undefined ? undefined : header_value(api_key, 0);
}

/**
 * The name of a token's bearer for the journal: `jwt:` and the subject. A subject that is long, or holds what
 * a log line can't, is named by its hash. Two issuers' subjects of the same name share it.
 */
function token_key(directory: Directory, token: VerifiedToken): string {
  const subject = token.subject ?? "";
  const [printable] = string.find(subject, "^[ -~]*$");
  const [quoted] = string.find(subject, '["\\]');
  const [like_a_hash] = string.find(subject, "^sha256%-");
  const clean = printable !== undefined && quoted === undefined && like_a_hash === undefined;
  if (clean && subject.length <= MOST_SUBJECT_BYTES) {
    return `jwt:${subject}`;
  }
  const digest = directory.reader.cryptography.sha256(subject);
  const parts: string[] = [];
  for (const index of $range(0, 3)) {
    parts.push(word_hexadecimal(digest[index]!));
  }
  return `jwt:sha256-${parts.join("")}`;
}

/** A word's four bytes in hexadecimal, in the order they lie in memory. */
function word_hexadecimal(word: number): string {
  return string.format("%02x%02x%02x%02x", word & 255, (word >>> 8) & 255, (word >>> 16) & 255, (word >>> 24) & 255);
}

/** Who a token belongs to; `name` is what it is remembered under. */
function identify_token(
  directory: Directory,
  token: string,
  name: string,
  now: number,
): LuaMultiReturn<[principal: Principal | undefined, refusal: Refusal | undefined]> {
  const [verified, fault] = verify_token(token, directory.issuers, directory.reader, now);
  if (verified === undefined) {
    if (fault !== undefined && fault.expired) {
      return $multi(undefined, unauthenticated("token_expired", fault.message, CHALLENGE_EXPIRED));
    }
    const message = fault === undefined ? "The token was refused." : fault.message;
    return $multi(undefined, unauthenticated("invalid_token", message, CHALLENGE_INVALID));
  }
  const tenant = directory.tenants.get(verified.tenant);
  const { tenants } = verified.issuer;
  // One answer to both: an issuer must not find out which other tenants there are.
  if (tenant === undefined || (tenants !== undefined && !tenants.has(verified.tenant))) {
    return $multi(undefined, unauthenticated("invalid_token", "The token names no tenant that its issuer may name here.", CHALLENGE_INVALID));
  }
  const principal: Principal = { tenant, key: token_key(directory, verified), scope: undefined };
  remember_token(directory.tokens, name, { principal, valid_until: verified.valid_until, keys: verified.issuer.keys });
  return $multi(principal, undefined);
}

/**
 * Who a credential belongs to, or a 401: `invalid_api_key`, `invalid_token` or `token_expired`. `now` is in
 * seconds since 1970. May wait, at most five seconds, for an issuer's keys to be fetched.
 */
function identify(
  directory: Directory,
  credential: string | undefined,
  now: number,
): LuaMultiReturn<[principal: Principal | undefined, refusal: Refusal | undefined]> {
  if (credential === undefined) {
    return $multi(
      undefined,
      unauthenticated("invalid_api_key", "No API key was sent. Send it as `Authorization: Bearer <key>`.", CHALLENGE),
    );
  }
  if (directory.accepts_tokens && byte(credential, 1) === 101 && looks_like_token(credential)) {
    const name = token_name(directory.reader.cryptography.sha256(credential));
    const remembered = recall_token(directory.tokens, name, now);
    if (remembered === undefined) {
      return identify_token(directory, credential, name, now);
    }
    if (now >= remembered.keys.refresh_at) {
      refresh_keys(remembered.keys, now);
    }
    return $multi(remembered.principal, undefined);
  }
  const principal =
    credential.length <= MOST_KEY_BYTES
      ? find_principal(directory.keys, directory.reader.cryptography.sha256(credential))
      : undefined;
  if (principal === undefined) {
    return $multi(undefined, unauthenticated("invalid_api_key", "The API key is not known.", CHALLENGE_INVALID));
  }
  return $multi(principal, undefined);
}

/** The refusal of a request from an address that the principal's tenant doesn't allow, or undefined. */
function refuse_address(principal: Principal, address: string): Refusal | undefined {
  const allows = principal.tenant.allows_address;
  if (allows === undefined || allows(address)) {
    return undefined;
  }
  return {
    status: 403,
    type: "permission_error",
    code: "address_not_allowed",
    message: "Requests from this address are not allowed.",
    retry: false,
  };
}

/** The refusal of a model that the principal's tenant may not use, or undefined. */
function refuse_model(principal: Principal, model: string): Refusal | undefined {
  if (principal.tenant.allows_model(model)) {
    return undefined;
  }
  return {
    status: 403,
    type: "permission_error",
    code: "model_not_allowed",
    message: "This API key may not use the model.",
    param: "model",
    retry: false,
  };
}

export { credential_of, identify, refuse_address, refuse_model };
