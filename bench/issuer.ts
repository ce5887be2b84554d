/** An issuer of tokens for one run. */
import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { working_directory } from "./processes.ts";

interface TokenIssuer {
  public_key_file: string;
  tokens: Tokens;
}

/** Tokens that are valid for an hour, of the tenant without a guard and of the one with it. */
interface Tokens {
  plain: string;
  guarded: string;
}

function sign_token(key: KeyObject, tenant: string): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: "https://id.bench.test",
    aud: "sluice",
    sub: "somebody",
    tenant,
    iat: now,
    nbf: now,
    exp: now + 3600,
  };
  const signed = `${encode({ alg: "RS256", typ: "JWT", kid: "bench" })}.${encode(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), key).toString("base64url")}`;
}

/** An RSA key of this run, its public half in a file, and tokens signed with it. */
function make_issuer(): TokenIssuer {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const public_key_file = join(working_directory(), "issuer.pem");
  writeFileSync(public_key_file, publicKey.export({ type: "spki", format: "pem" }));
  const tokens = { plain: sign_token(privateKey, "bench"), guarded: sign_token(privateKey, "guarded") };
  return { public_key_file, tokens };
}

export { make_issuer, type TokenIssuer, type Tokens };
