/**
 * Cryptography, as the rooms see it: hashes, signatures and random bytes.
 *
 * Two ways lead to the same libcrypto. What runs for every request (SHA-256 of a credential) and what
 * luaossl has no call for (EdDSA, RFC 8032, and RSASSA-PSS, RFC 8017) goes through FFI, with buffers made
 * once; HMAC, RSA with PKCS #1 v1.5 and ECDSA go through luaossl, since a token is verified once and then remembered.
 *
 * In nginx the library is already in the process and its names are found there; under plain LuaJIT (the
 * command line, the unit specs) it is loaded. Functions are declared under names of our own that stand for
 * the library's (`__asm__`), so that another module's declaration of the same function, with other types,
 * can't get in the way. Nothing here touches nginx.
 *
 * Limits: the digest of `sha256` lies in one buffer that the next call overwrites. OpenSSL's low-level
 * SHA-256 is deprecated since 3.0 but there; it is three times faster on short texts than the new calls.
 */

import * as ffi from "ffi";
import * as digests from "openssl.digest";
import * as hmacs from "openssl.hmac";
import * as keys from "openssl.pkey";
import type { DigestName, SignatureCheck } from "../auth/cryptography";

ffi.cdef(`
  int sluice_sha256_begin(void *context) __asm__("SHA256_Init");
  int sluice_sha256_add(void *context, const void *data, size_t length) __asm__("SHA256_Update");
  int sluice_sha256_end(void *digest, void *context) __asm__("SHA256_Final");
  int sluice_compare(const void *left, const void *right, size_t length) __asm__("CRYPTO_memcmp");
  void *sluice_raw_key(int kind, void *engine, const void *raw, size_t length) __asm__("EVP_PKEY_new_raw_public_key");
  void sluice_free_key(void *key) __asm__("EVP_PKEY_free");
  void *sluice_new_verification(void) __asm__("EVP_MD_CTX_new");
  void sluice_free_verification(void *verification) __asm__("EVP_MD_CTX_free");
  int sluice_begin_verification(void *verification, void **parameters, const void *hash, void *engine, void *key)
    __asm__("EVP_DigestVerifyInit");
  const void *sluice_hash_named(const char *name) __asm__("EVP_get_digestbyname");
  void *sluice_read_public_key(void **key, const uint8_t **der, long length) __asm__("d2i_PUBKEY");
  int sluice_set_parameter(void *parameters, const char *name, const char *value) __asm__("EVP_PKEY_CTX_ctrl_str");
  int sluice_verify(void *verification, const void *signature, size_t signature_length, const void *message,
    size_t message_length) __asm__("EVP_DigestVerify");
  void sluice_clear_errors(void) __asm__("ERR_clear_error");
  ssize_t sluice_getrandom(void *target, size_t length, unsigned int flags) __asm__("getrandom");
`);

/** @noSelf */
interface Library {
  sluice_sha256_begin(context: unknown): number;
  sluice_sha256_add(context: unknown, data: string, length: number): number;
  sluice_sha256_end(digest: unknown, context: unknown): number;
  sluice_compare(left: string, right: string, length: number): number;
  sluice_raw_key(kind: number, engine: undefined, raw: string, length: number): CData | undefined;
  sluice_free_key(key: CData): void;
  sluice_new_verification(): CData | undefined;
  sluice_free_verification(verification: CData): void;
  sluice_begin_verification(
    verification: CData,
    parameters: CData | undefined,
    hash: CData | undefined,
    engine: undefined,
    key: CData,
  ): number;
  sluice_verify(
    verification: CData,
    signature: string,
    signature_length: number,
    message: string,
    message_length: number,
  ): number;
  sluice_hash_named(name: string): CData | undefined;
  sluice_read_public_key(key: undefined, der: CData, length: number): CData | undefined;
  sluice_set_parameter(parameters: unknown, name: string, value: string): number;
  sluice_clear_errors(): void;
}

/** Finds libcrypto: in the process itself, else by the names it goes by. */
function find_library(): Library {
  const [present] = pcall(() => (ffi.C as Library).sluice_sha256_begin);
  if (present) {
    return ffi.C as Library;
  }
  for (const name of ["libcrypto.so.3", "libcrypto.so.1.1", "crypto"]) {
    const [loaded, library] = pcall(ffi.load, name);
    if (loaded) {
      return library as Library;
    }
  }
  error("sluice: libcrypto (OpenSSL 1.1.1 or later) was not found", 0);
}

const library = find_library();

/** SHA256_CTX is 112 bytes; 256 leave room for other builds. */
const sha256_context = ffi.new("uint64_t[32]");
const sha256_words = ffi.new<Int32Buffer>("int32_t[8]");

/**
 * The SHA-256 (FIPS 180-4) of a text: its 32 bytes as eight words in the order they lie in memory. Allocates
 * nothing; the buffer is the module's own and is good until the next call.
 */
function sha256(text: string): Int32Buffer {
  library.sluice_sha256_begin(sha256_context);
  library.sluice_sha256_add(sha256_context, text, text.length);
  library.sluice_sha256_end(sha256_words, sha256_context);
  return sha256_words;
}

/** The SHA-256 of a text as 64 lower-case hexadecimal digits. */
function sha256_hex(text: string): string {
  const [hexadecimal] = string.gsub(ffi.string(sha256(text), 32), ".", (character: string) =>
    string.format("%02x", string.byte(character)),
  );
  return hexadecimal;
}

/** Whether two strings are the same, in a time that depends on their length only. */
function equal(left: string, right: string): boolean {
  return left.length === right.length && library.sluice_compare(left, right, left.length) === 0;
}

/** The HMAC (RFC 2104) of a message, as raw bytes. */
function hmac(digest: DigestName, secret: string, message: string): string {
  return hmacs.new(secret, digest).final(message);
}

/**
 * Reads an RSA or EC public key (SubjectPublicKeyInfo, RFC 5280, in DER) and gives the function that checks
 * signatures with it: PKCS #1 v1.5 for RSA, DER-encoded ECDSA for EC. `undefined` and a reason if OpenSSL
 * won't have the key (a point that is not on its curve, say).
 */
function signature_check(der: string): LuaMultiReturn<[check: SignatureCheck | undefined, reason: string | undefined]> {
  const [readable, key] = pcall(keys.new, der, "DER");
  if (!readable) {
    library.sluice_clear_errors();
    return $multi(undefined, "OpenSSL can't read it");
  }
  const verify = (digest: DigestName, message: string, signature: string): boolean => {
    const hash = digests.new(digest).update(message);
    const [told, right] = pcall((key as OpensslKey).verify, key as OpensslKey, signature, hash);
    if (told && right === true) {
      return true;
    }
    // nginx would find what OpenSSL noted down, and log it with the next TLS connection.
    library.sluice_clear_errors();
    return false;
  };
  return $multi(verify, undefined);
}

/** One verification. `configure` may set what OpenSSL calls the key's parameters. */
function verify_once(
  key: CData,
  hash: CData | undefined,
  configure: ((this: void, parameters: unknown) => boolean) | undefined,
  message: string,
  signature: string,
): boolean {
  const verification = library.sluice_new_verification();
  if (verification === undefined) {
    return false;
  }
  const parameters = configure !== undefined ? ffi.new<CData & { [index: number]: unknown }>("void *[1]") : undefined;
  const right =
    library.sluice_begin_verification(verification, parameters, hash, undefined, key) === 1 &&
    (configure === undefined || configure(parameters![0])) &&
    library.sluice_verify(verification, signature, signature.length, message, message.length) === 1;
  library.sluice_free_verification(verification);
  if (!right) {
    library.sluice_clear_errors();
  }
  return right;
}

/** RSASSA-PSS as RFC 7518 has it. MGF1 takes the signature's digest unless told otherwise. */
function use_pss(this: void, parameters: unknown): boolean {
  return (
    library.sluice_set_parameter(parameters, "rsa_padding_mode", "pss") === 1 &&
    library.sluice_set_parameter(parameters, "rsa_pss_saltlen", "digest") === 1
  );
}

/** The check of an RSA public key (as in `signature_check`) for RSASSA-PSS: MGF1 of the same digest, and a salt of its length, no other. */
function pss_check(der: string): LuaMultiReturn<[check: SignatureCheck | undefined, reason: string | undefined]> {
  const made = library.sluice_read_public_key(undefined, ffi.new<CData>("const uint8_t *[1]", [der]), der.length);
  if (made === undefined) {
    library.sluice_clear_errors();
    return $multi(undefined, "OpenSSL can't read it");
  }
  const key = ffi.gc(made, library.sluice_free_key);
  const verify = (digest: DigestName, message: string, signature: string): boolean => {
    const hash = library.sluice_hash_named(digest);
    return hash !== undefined && verify_once(key, hash, use_pss, message, signature);
  };
  return $multi(verify, undefined);
}

const ED25519 = 1087;
const ED448 = 1088;

/**
 * The same for an Edwards curve's public key, given as the raw 32 bytes (Ed25519) or 57 bytes (Ed448) of
 * RFC 8037. The check takes any digest's name and ignores it: EdDSA hashes by itself.
 */
function edwards_check(
  curve: "Ed25519" | "Ed448",
  raw: string,
): LuaMultiReturn<[check: SignatureCheck | undefined, reason: string | undefined]> {
  const made = library.sluice_raw_key(curve === "Ed25519" ? ED25519 : ED448, undefined, raw, raw.length);
  if (made === undefined) {
    library.sluice_clear_errors();
    return $multi(undefined, "OpenSSL can't read it");
  }
  const key = ffi.gc(made, library.sluice_free_key);
  const verify = (_: DigestName, message: string, signature: string): boolean => verify_once(key, undefined, undefined, message, signature);
  return $multi(verify, undefined);
}

/** @noSelf */
interface RandomSource {
  sluice_getrandom(target: unknown, length: number, flags: number): unknown;
}

/** What one call of getrandom gives without being cut short (getrandom(2)). */
const RANDOM_AT_ONCE = 256;
const random_buffer = ffi.new<Bytes>("uint8_t[?]", RANDOM_AT_ONCE);

/** Random bytes from the kernel, fit for keys and identifiers. At most 256 at a time. */
function random_bytes(count: number): string {
  if (count < 1 || count > RANDOM_AT_ONCE) {
    error("random_bytes: 1 to 256 at a time", 2);
  }
  for (;;) {
    const got = tonumber((ffi.C as RandomSource).sluice_getrandom(random_buffer, count, 0));
    if (got === count) {
      return ffi.string(random_buffer, count);
    }
  }
}

export { edwards_check, equal, hmac, pss_check, random_bytes, sha256, sha256_hex, signature_check };
