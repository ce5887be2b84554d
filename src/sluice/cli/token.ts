import { encode } from "cjson.safe";
import { FORMATS } from "../config/format";
import { encode_base64url } from "./base64url";
import { sign } from "./signature";
import { Status } from "./terminal";
import type { Terminal } from "./terminal";

/**
 * `sluice token mint`: makes a JSON Web Token, to try an issuer's configuration out before the issuer
 * is there. Secrets come from the environment or a file, not from the command line, which every
 * user of the machine can read.
 */

interface TokenRequest {
  issuer: string;
  audience: string;
  tenant: string;
  tenant_claim: string;
  subject: string | undefined;
  /** A duration. */
  expires: string;
  algorithm: string;
  typ: string;
  key_id: string | undefined;
  key_file: string | undefined;
  secret_env: string | undefined;
}

interface TokenTools {
  /** Seconds since 1970. */
  now: number;
  environment: (this: void, name: string) => string | undefined;
  read_file: (this: void, path: string) => LuaMultiReturn<[text: string | undefined, reason: string | undefined]>;
  hmac: (this: void, digest: "sha256" | "sha384" | "sha512", secret: string, message: string) => string;
}

const HMAC_DIGESTS = new LuaTable<string, "sha256" | "sha384" | "sha512" | undefined>();
HMAC_DIGESTS.set("HS256", "sha256");
HMAC_DIGESTS.set("HS384", "sha384");
HMAC_DIGESTS.set("HS512", "sha512");

/** The algorithms that tokens can be made with. */
const ALGORITHM_NAMES = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

function json_part(members: LuaTable<string, unknown>): string {
  const [text] = encode(members);
  return encode_base64url(text ?? "");
}

/** The signature over `message`, or `undefined` and a reason. */
function signature_of(
  request: TokenRequest,
  message: string,
  tools: TokenTools,
): LuaMultiReturn<[signature: string | undefined, reason: string | undefined]> {
  const digest = HMAC_DIGESTS.get(request.algorithm);
  if (digest !== undefined) {
    if (request.secret_env === undefined) {
      return $multi(undefined, `${request.algorithm} needs --secret-env`);
    }
    const secret = tools.environment(request.secret_env);
    if (secret === undefined || secret === "") {
      return $multi(undefined, `the environment variable ${request.secret_env} is not set`);
    }
    return $multi(tools.hmac(digest, secret, message), undefined);
  }
  if (request.key_file === undefined) {
    return $multi(undefined, `${request.algorithm} needs --key-file`);
  }
  const [pem, reason] = tools.read_file(request.key_file);
  if (pem === undefined) {
    return $multi(undefined, `${request.key_file}: ${reason}`);
  }
  const [signature, refusal] = sign(request.algorithm, pem, message);
  return $multi(signature, signature === undefined ? `${request.key_file}: ${refusal}` : undefined);
}

/** Makes the token, or `undefined` and a reason. */
function mint(
  request: TokenRequest,
  tools: TokenTools,
): LuaMultiReturn<[token: string | undefined, reason: string | undefined]> {
  const [life] = FORMATS.duration.read(request.expires, "");
  if (typeof life !== "number") {
    return $multi(undefined, `--expires takes ${FORMATS.duration.expected}`);
  }
  const header = new LuaTable<string, unknown>();
  header.set("alg", request.algorithm);
  header.set("typ", request.typ);
  header.set("kid", request.key_id);
  const now = math.floor(tools.now);
  const claims = new LuaTable<string, unknown>();
  claims.set("iss", request.issuer);
  claims.set("aud", request.audience);
  claims.set("sub", request.subject);
  claims.set("iat", now);
  claims.set("exp", now + math.floor(life / 1000));
  claims.set(request.tenant_claim, request.tenant);
  const message = `${json_part(header)}.${json_part(claims)}`;
  const [signature, reason] = signature_of(request, message, tools);
  return $multi(signature === undefined ? undefined : `${message}.${encode_base64url(signature)}`, reason);
}

/** Prints a token and nothing else. */
function print_token(request: TokenRequest, tools: TokenTools, terminal: Terminal): Status {
  const [token, reason] = mint(request, tools);
  if (token === undefined) {
    terminal.complain(`sluice: ${reason}`);
    return Status.BadUse;
  }
  terminal.print(token);
  return Status.Good;
}

export { ALGORITHM_NAMES, mint, print_token };
export type { TokenRequest, TokenTools };
