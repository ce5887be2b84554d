/**
 * JSON Web Tokens (RFC 7519, signed in the compact form of RFC 7515), read the way RFC 8725 asks.
 *
 * The order matters. A token is taken apart and its two JSON texts are checked strictly; `iss` selects the
 * issuer; the algorithm must be one that the issuer's configuration lists, and the key must be of that
 * algorithm's kind and curve, before any cryptography is done; then the signature; only then are the other
 * claims believed. So `none` is an algorithm that nobody lists, and a public key can't be used as an HMAC
 * secret, since an issuer has either a secret or public keys.
 *
 * Keys that a token brings along (`jwk`, `jku`, `x5c`, `x5u`) are never looked at. A token with `crit` is
 * refused, as no extension is understood here; so is one with an unencoded payload (RFC 7797).
 *
 * `typ` is held against the issuer's list, if it has one: so an ID token can't pass for an access token (RFC 8725, section
 * 3.11; RFC 9068, section 4). Nested tokens are not looked at.
 *
 * What is said about a refused token never repeats any of it.
 */

import { decode_base64url } from "./base64url";
import type { Cryptography } from "./cryptography";
import { find_keys } from "./jwks";
import type { KeyReader, KeySource } from "./jwks";
import { ALGORITHMS, check_with } from "./public_key";
import type { Algorithm } from "./public_key";

const find = string.find;
const sub = string.sub;

/** Someone whose tokens are accepted. */
interface Issuer {
  /** The `iss` claim, letter for letter. */
  name: string;
  audiences: LuaTable<string, boolean>;
  /** The algorithms that are accepted, by name. */
  algorithms: LuaTable<string, Algorithm | undefined>;
  /** What HMACs are made with; an issuer with a secret has no keys. */
  secret: string | undefined;
  keys: KeySource;
  tenant_claim: string;
  /** The tenants that its tokens may name; undefined: any. */
  tenants: LuaTable<string, boolean> | undefined;
  /** What the `typ` of its tokens may be, as `media_type` has it; undefined: anything. */
  types: LuaTable<string, boolean> | undefined;
  /** How far its clock may be off, in seconds. */
  leeway: number;
}

interface VerifiedToken {
  issuer: Issuer;
  /** The tenant claim. */
  tenant: string;
  subject: string | undefined;
  /** The end of its life, leeway included, in seconds since 1970. */
  valid_until: number;
}

/** Why a token was refused. */
interface TokenFault {
  expired: boolean;
  message: string;
}

type Members = LuaTable<string, unknown>;

const MOST_BYTES = 16384;

function fault(message: string): TokenFault {
  return { expired: false, message };
}

const MALFORMED = fault("The token is not a well-formed JSON Web Token.");
const UNKNOWN_ISSUER = fault("The token's issuer is not accepted here.");
const UNSUPPORTED = fault("The token uses an extension that is not supported.");
const WRONG_ALGORITHM = fault("The token's algorithm is not accepted from its issuer.");
const WRONG_TYPE = fault("The token is of a type that is not accepted from its issuer.");
const NO_KEY = fault("No key of the token's issuer fits the token.");
const WRONG_SIGNATURE = fault("The token's signature is wrong.");
const WRONG_CLAIMS = fault("A claim of the token is missing or of the wrong type.");
const WRONG_AUDIENCE = fault("The token is meant for another audience.");
const NOT_YET = fault("The token is not valid yet.");
const EXPIRED: TokenFault = { expired: true, message: "The token has expired." };

/** A number that is neither infinite nor NaN, or undefined. */
function finite(value: unknown): number | undefined {
  return typeof value === "number" && value - value === 0 ? value : undefined;
}

/** Decodes one part of a token: a JSON object in base64url. */
function read_part(part: string, reader: KeyReader): Members | undefined {
  const text = decode_base64url(part);
  if (text === undefined || reader.strict_check(text) !== undefined) {
    return undefined;
  }
  const [opening] = find(text, "^[ \t\r\n]*{");
  if (opening === undefined) {
    return undefined;
  }
  const [value] = reader.decode(text);
  return typeof value === "object" ? (value as Members) : undefined;
}

/**
 * What a `typ` means, so that two can be compared: a media type in small letters, `application/` put before one
 * without a slash (RFC 7515, section 4.1.9). No `typ` means `JWT`, which a token need not say of itself (RFC 7519, section 5.1).
 */
function media_type(typ: string | undefined): string {
  const name = string.lower(typ ?? "JWT");
  const [slash] = find(name, "/", 1, true);
  return slash === undefined ? `application/${name}` : name;
}

/** Whether a token's `typ` is one that its issuer's tokens may have. */
function type_fits(typ: unknown, types: LuaTable<string, boolean> | undefined): boolean {
  return types === undefined || ((typ === undefined || typeof typ === "string") && types.has(media_type(typ)));
}

/** Whether `aud` (RFC 7519, section 4.1.3) names one of the issuer's audiences; undefined: of a wrong type. */
function audience_fits(audience: unknown, accepted: LuaTable<string, boolean>): boolean | undefined {
  if (typeof audience === "string") {
    return accepted.has(audience);
  }
  if (typeof audience !== "object") {
    return undefined;
  }
  let fits = false;
  for (const one of audience as unknown[]) {
    if (typeof one !== "string") {
      return undefined;
    }
    fits = fits || accepted.has(one);
  }
  return fits;
}

/** Checks the signature over `signed`. May wait for keys to be fetched. */
function check_signature(
  issuer: Issuer,
  algorithm: Algorithm,
  kid: string | undefined,
  signed: string,
  signature: string,
  cryptography: Cryptography,
  now: number,
): TokenFault | undefined {
  if (algorithm.kind === "HMAC") {
    if (issuer.secret === undefined) {
      return NO_KEY;
    }
    const expected = cryptography.hmac(algorithm.digest, issuer.secret, signed);
    return cryptography.equal(expected, signature) ? undefined : WRONG_SIGNATURE;
  }
  const keys = find_keys(issuer.keys, kid, algorithm, now);
  for (const key of keys) {
    if (check_with(key, algorithm, signed, signature)) {
      return undefined;
    }
  }
  return keys.length > 0 ? WRONG_SIGNATURE : NO_KEY;
}

/** Checks the claims of a token whose signature is right. */
function check_claims(
  payload: Members,
  issuer: Issuer,
  now: number,
): LuaMultiReturn<[token: VerifiedToken | undefined, fault: TokenFault | undefined]> {
  const expires_at = finite(payload.get("exp"));
  const not_before = payload.get("nbf");
  const issued_at = payload.get("iat");
  const subject = payload.get("sub");
  const tenant = payload.get(issuer.tenant_claim);
  const fits = audience_fits(payload.get("aud"), issuer.audiences);
  if (
    expires_at === undefined ||
    (not_before !== undefined && finite(not_before) === undefined) ||
    (issued_at !== undefined && finite(issued_at) === undefined) ||
    (subject !== undefined && typeof subject !== "string") ||
    typeof tenant !== "string" ||
    fits === undefined
  ) {
    return $multi(undefined, WRONG_CLAIMS);
  }
  if (!fits) {
    return $multi(undefined, WRONG_AUDIENCE);
  }
  const latest = now + issuer.leeway;
  if ((finite(not_before) ?? now) > latest || (finite(issued_at) ?? now) > latest) {
    return $multi(undefined, NOT_YET);
  }
  const valid_until = expires_at + issuer.leeway;
  if (now >= valid_until) {
    return $multi(undefined, EXPIRED);
  }
  return $multi({ issuer, tenant, subject, valid_until }, undefined);
}

/** Whether a credential has the look of a signed token: `eyJ` (an object's beginning in base64) and two dots. */
function looks_like_token(credential: string): boolean {
  if (sub(credential, 1, 3) !== "eyJ") {
    return false;
  }
  const [first] = find(credential, ".", 1, true);
  const [second] = find(credential, ".", (first ?? 0) + 1, true);
  return first !== undefined && second !== undefined;
}

/**
 * Verifies a token. `issuers` are by name, `now` is in seconds since 1970. Returns the token's claims that
 * matter, or why it is refused. May wait for an issuer's keys to be fetched.
 */
function verify_token(
  token: string,
  issuers: LuaTable<string, Issuer | undefined>,
  reader: KeyReader,
  now: number,
): LuaMultiReturn<[token: VerifiedToken | undefined, fault: TokenFault | undefined]> {
  const [first] = find(token, ".", 1, true);
  const [second] = find(token, ".", (first ?? 0) + 1, true);
  if (token.length > MOST_BYTES || first === undefined || second === undefined) {
    return $multi(undefined, MALFORMED);
  }
  const header = read_part(sub(token, 1, first - 1), reader);
  const payload = read_part(sub(token, first + 1, second - 1), reader);
  const signature = decode_base64url(sub(token, second + 1));
  if (header === undefined || payload === undefined || signature === undefined) {
    return $multi(undefined, MALFORMED);
  }

  const unencoded = header.get("b64");
  if (header.has("crit") || (unencoded !== undefined && unencoded !== true)) {
    return $multi(undefined, UNSUPPORTED);
  }
  const kid = header.get("kid");
  const algorithm_name = header.get("alg");
  if (typeof algorithm_name !== "string" || (kid !== undefined && typeof kid !== "string")) {
    return $multi(undefined, MALFORMED);
  }
  const issuer_name = payload.get("iss");
  const issuer = typeof issuer_name === "string" ? issuers.get(issuer_name) : undefined;
  if (issuer === undefined) {
    return $multi(undefined, UNKNOWN_ISSUER);
  }
  const algorithm = issuer.algorithms.get(algorithm_name);
  if (algorithm === undefined) {
    return $multi(undefined, WRONG_ALGORITHM);
  }
  if (!type_fits(header.get("typ"), issuer.types)) {
    return $multi(undefined, WRONG_TYPE);
  }

  const signed = sub(token, 1, second - 1);
  const wrong = check_signature(issuer, algorithm, kid, signed, signature, reader.cryptography, now);
  if (wrong !== undefined) {
    return $multi(undefined, wrong);
  }
  return check_claims(payload, issuer, now);
}

/** The fewest bytes of an HMAC secret: as many as its hash has (RFC 7518, section 3.2). */
function fewest_secret_bytes(algorithm: Algorithm): number {
  return (tonumber(sub(algorithm.digest, 4)) ?? 512) / 8;
}

export { ALGORITHMS, fewest_secret_bytes, looks_like_token, media_type, verify_token };
export type { Issuer, TokenFault, VerifiedToken };
