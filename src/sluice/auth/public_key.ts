/**
 * Public keys that sign tokens: what kind each is, so that a token's algorithm can be held against it before
 * any arithmetic is done, and the function that checks a signature in the form of RFC 7518 and RFC 8037.
 *
 * Weak keys are refused here, when they are loaded: RSA below 2048 bits, RSA whose exponent is 1 or even (a
 * signature would be its own message, or none could be checked), RSA of a generator that is broken (roca.ts),
 * points that lie on no curve. RSA above 8192 bits is refused as well, since each check would cost the worker
 * milliseconds.
 */

import { decode_base64url } from "./base64url";
import type { Cryptography, DigestName, SignatureCheck } from "./cryptography";
import { is_of_weak_generator } from "./roca";
import { Tag, der_bit_string, der_integer, der_value, from_hexadecimal, read_der, without_leading_zeros } from "./der";

const byte = string.byte;
const char = string.char;
const sub = string.sub;

type KeyKind = "HMAC" | "RSA" | "EC" | "Edwards";

/** A signature algorithm of RFC 7518, section 3.1, or RFC 8037. */
interface Algorithm {
  name: string;
  kind: KeyKind;
  digest: DigestName;
  /** The curve that an EC algorithm is bound to. */
  curve: string | undefined;
  /** Of RSA: signed with RSASSA-PSS (RFC 7518, section 3.5), not with PKCS #1 v1.5. */
  is_pss: boolean;
}

interface PublicKey {
  kind: KeyKind;
  /** `P-256`, `P-384`, `P-521`, `Ed25519`, `Ed448`, or undefined for RSA. */
  curve: string | undefined;
  /** The only algorithm the key may be used with, if its owner says so. */
  algorithm: string | undefined;
  /** The name that tokens call it by. */
  kid: string | undefined;
  /** For RSA that of PKCS #1 v1.5. */
  check: SignatureCheck;
  /** RSA only: that of RSASSA-PSS. */
  check_pss: SignatureCheck | undefined;
}

interface Curve {
  name: string;
  identifier: string;
  /** The size of a coordinate, and of each half of a signature. */
  bytes: number;
  /** The number of points, n of FIPS 186: both halves of a signature are below it. */
  order: string;
}

const ALGORITHMS: LuaTable<string, Algorithm | undefined> = new LuaTable();
for (const size of ["256", "384", "512"]) {
  const digest = `sha${size}` as DigestName;
  ALGORITHMS.set(`HS${size}`, { name: `HS${size}`, kind: "HMAC", digest, curve: undefined, is_pss: false });
  ALGORITHMS.set(`RS${size}`, { name: `RS${size}`, kind: "RSA", digest, curve: undefined, is_pss: false });
  ALGORITHMS.set(`PS${size}`, { name: `PS${size}`, kind: "RSA", digest, curve: undefined, is_pss: true });
  const curve = size === "512" ? "P-521" : `P-${size}`;
  ALGORITHMS.set(`ES${size}`, { name: `ES${size}`, kind: "EC", digest, curve, is_pss: false });
}
ALGORITHMS.set("EdDSA", { name: "EdDSA", kind: "Edwards", digest: "sha512", curve: undefined, is_pss: false });

/** The object identifiers of RFC 3279, RFC 5480 and RFC 8410, in DER. */
const RSA_IDENTIFIER = from_hexadecimal("06092a864886f70d010101");
const EC_IDENTIFIER = from_hexadecimal("06072a8648ce3d0201");
const ED25519_IDENTIFIER = from_hexadecimal("06032b6570");
const ED448_IDENTIFIER = from_hexadecimal("06032b6571");

const CURVES: Curve[] = [
  {
    name: "P-256",
    identifier: from_hexadecimal("06082a8648ce3d030107"),
    bytes: 32,
    order: from_hexadecimal("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
  },
  {
    name: "P-384",
    identifier: from_hexadecimal("06052b81040022"),
    bytes: 48,
    order: from_hexadecimal(
      "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
  },
  {
    name: "P-521",
    identifier: from_hexadecimal("06052b81040023"),
    bytes: 66,
    order: from_hexadecimal(
      `01${string.rep("f", 64)}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`,
    ),
  },
];

const FEWEST_RSA_BITS = 2048;
const MOST_RSA_BITS = 8192;
/** OpenSSL refuses longer exponents with large moduli. */
const MOST_EXPONENT_BYTES = 8;

type KeyResult = LuaMultiReturn<[key: PublicKey | undefined, reason: string | undefined]>;

function curve_named(name: unknown): Curve | undefined {
  for (const curve of CURVES) {
    if (curve.name === name) {
      return curve;
    }
  }
  return undefined;
}

/** Wraps a key's bytes as SubjectPublicKeyInfo (RFC 5280, section 4.1). `algorithm` is its identifier's content. */
function public_key_info(algorithm: string, key: string): string {
  return der_value(Tag.Sequence, der_value(Tag.Sequence, algorithm) + der_bit_string(key));
}

/** Makes an RSA key of its modulus and exponent, both as big-endian bytes. */
function rsa_key(modulus: string, exponent: string, cryptography: Cryptography): KeyResult {
  const number = without_leading_zeros(modulus);
  const power = without_leading_zeros(exponent);
  if (number.length === 0 || power.length === 0) {
    return $multi(undefined, "expected an RSA modulus and exponent");
  }
  let bits = number.length * 8;
  let top = byte(number, 1);
  while (top < 128 && bits > 0) {
    top = top * 2 + 1;
    bits -= 1;
  }
  if (bits < FEWEST_RSA_BITS || bits > MOST_RSA_BITS) {
    return $multi(undefined, `expected an RSA key of ${FEWEST_RSA_BITS} to ${MOST_RSA_BITS} bits, found ${bits}`);
  }
  const even = byte(power, power.length) % 2 === 0 || byte(number, number.length) % 2 === 0;
  if (even || power === char(1) || power.length > MOST_EXPONENT_BYTES) {
    return $multi(undefined, "expected an RSA exponent that is odd, at least 3 and below 2^64, and an odd modulus");
  }
  if (is_of_weak_generator(number)) {
    return $multi(undefined, "expected an RSA key of a sound generator, found one that is broken (CVE-2017-15361): make a new key");
  }
  const numbers = der_value(Tag.Sequence, der_integer(number) + der_integer(power));
  const info = public_key_info(RSA_IDENTIFIER + der_value(Tag.Null, ""), numbers);
  const [check, reason] = cryptography.signature_check(info);
  const [check_pss] = cryptography.pss_check(info);
  if (check === undefined || check_pss === undefined) {
    return $multi(undefined, `expected an RSA key: ${reason}`);
  }
  return $multi({ kind: "RSA", curve: undefined, algorithm: undefined, kid: undefined, check, check_pss }, undefined);
}

/**
 * Turns an ECDSA signature of RFC 7518, section 3.4 (two numbers of fixed size) into the DER that OpenSSL
 * takes. Undefined if it has another size, or a number is 0 or not below the curve's order.
 */
function der_signature(signature: string, curve: Curve): string | undefined {
  if (signature.length !== 2 * curve.bytes) {
    return undefined;
  }
  const zero = string.rep(char(0), curve.bytes);
  const first = sub(signature, 1, curve.bytes);
  const second = sub(signature, curve.bytes + 1);
  if (first === zero || second === zero || first >= curve.order || second >= curve.order) {
    return undefined;
  }
  return der_value(Tag.Sequence, der_integer(first) + der_integer(second));
}

/** Makes an EC key of an uncompressed point: 4, then both coordinates (SEC 1, section 2.3.3). */
function point_key(curve: Curve, point: string, cryptography: Cryptography): KeyResult {
  if (point.length !== 1 + 2 * curve.bytes || byte(point, 1) !== 4) {
    return $multi(undefined, `expected an uncompressed point of ${curve.name}`);
  }
  const [check, reason] = cryptography.signature_check(public_key_info(EC_IDENTIFIER + curve.identifier, point));
  if (check === undefined) {
    return $multi(undefined, `expected a point of ${curve.name}: ${reason}`);
  }
  const check_raw: SignatureCheck = (digest, message, signature) => {
    const der = der_signature(signature, curve);
    return der !== undefined && check(digest, message, der);
  };
  return $multi({ kind: "EC", curve: curve.name, algorithm: undefined, kid: undefined, check: check_raw, check_pss: undefined }, undefined);
}

/** Makes an EC key of its coordinates, each as long as the curve's. The curve must be known. */
function ec_key(curve_name: string, x: string, y: string, cryptography: Cryptography): KeyResult {
  const curve = curve_named(curve_name);
  if (curve === undefined || x.length !== curve.bytes || y.length !== curve.bytes) {
    return $multi(undefined, "expected both coordinates in the curve's full length");
  }
  return point_key(curve, char(4) + x + y, cryptography);
}

/** Makes an Ed25519 or Ed448 key of its raw bytes. */
function edwards_key(curve: "Ed25519" | "Ed448", raw: string, cryptography: Cryptography): KeyResult {
  const key_bytes = curve === "Ed25519" ? 32 : 57;
  if (raw.length !== key_bytes) {
    return $multi(undefined, `expected ${key_bytes} bytes for ${curve}`);
  }
  const [check, reason] = cryptography.edwards_check(curve, raw);
  if (check === undefined) {
    return $multi(undefined, `expected a key of ${curve}: ${reason}`);
  }
  const signature_bytes = curve === "Ed25519" ? 64 : 114;
  const check_sized: SignatureCheck = (digest, message, signature) =>
    signature.length === signature_bytes && check(digest, message, signature);
  return $multi({ kind: "Edwards", curve, algorithm: undefined, kid: undefined, check: check_sized, check_pss: undefined }, undefined);
}

/** Reads SubjectPublicKeyInfo. */
function read_key_info(der: string, cryptography: Cryptography): KeyResult {
  const [info, after_info] = read_der(der, 1, Tag.Sequence);
  const [algorithm, after_algorithm] = read_der(info ?? "", 1, Tag.Sequence);
  const [bits] = read_der(info ?? "", after_algorithm, Tag.BitString);
  if (algorithm === undefined || bits === undefined || byte(bits, 1) !== 0 || after_info !== der.length + 1) {
    return $multi(undefined, "expected a public key");
  }
  const key = sub(bits, 2);
  if (sub(algorithm, 1, RSA_IDENTIFIER.length) === RSA_IDENTIFIER) {
    const [numbers] = read_der(key, 1, Tag.Sequence);
    const [modulus, after_modulus] = read_der(numbers ?? "", 1, Tag.Integer);
    const [exponent] = read_der(numbers ?? "", after_modulus, Tag.Integer);
    return rsa_key(modulus ?? "", exponent ?? "", cryptography);
  }
  for (const curve of CURVES) {
    if (algorithm === EC_IDENTIFIER + curve.identifier) {
      return point_key(curve, key, cryptography);
    }
  }
  if (algorithm === ED25519_IDENTIFIER) {
    return edwards_key("Ed25519", key, cryptography);
  }
  if (algorithm === ED448_IDENTIFIER) {
    return edwards_key("Ed448", key, cryptography);
  }
  return $multi(undefined, "expected a key of RSA, P-256, P-384, P-521, Ed25519 or Ed448");
}

/** Reads a public key from PEM text (RFC 7468, section 13), which must hold nothing else. */
function read_public_key(pem: string, cryptography: Cryptography): KeyResult {
  const [content] = string.match(
    pem,
    "^%s*%-%-%-%-%-BEGIN PUBLIC KEY%-%-%-%-%-([%w+/=%s]*)%-%-%-%-%-END PUBLIC KEY%-%-%-%-%-%s*$",
  );
  if (content === undefined) {
    return $multi(undefined, "expected one PEM block that begins with -----BEGIN PUBLIC KEY-----");
  }
  let [base64] = string.gsub(content, "[%s=]+", "");
  [base64] = string.gsub(base64, "%+", "-");
  [base64] = string.gsub(base64, "/", "_");
  const der = decode_base64url(base64);
  if (der === undefined) {
    return $multi(undefined, "expected base64 between the PEM markers");
  }
  return read_key_info(der, cryptography);
}

/** Checks a signature of an algorithm that the key fits (see `key_fits`). */
function check_with(key: PublicKey, algorithm: Algorithm, message: string, signature: string): boolean {
  const check = algorithm.is_pss ? key.check_pss : key.check;
  return check !== undefined && check(algorithm.digest, message, signature);
}

/** Whether a key may check signatures of an algorithm: its kind, its curve and its owner's wish. */
function key_fits(key: PublicKey, algorithm: Algorithm): boolean {
  if (key.kind !== algorithm.kind || (algorithm.curve !== undefined && key.curve !== algorithm.curve)) {
    return false;
  }
  const wish = key.algorithm;
  return wish === undefined || wish === algorithm.name || (algorithm.kind === "Edwards" && wish === key.curve);
}

export { ALGORITHMS, check_with, curve_named, ec_key, edwards_key, key_fits, read_public_key, rsa_key };
export type { Algorithm, KeyKind, PublicKey };
