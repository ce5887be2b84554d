import * as ffi from "ffi";
import { Tag, read_der } from "../auth/der";

/**
 * Signs for `sluice token mint`: RSA (PKCS #1 v1.5 and PSS), ECDSA and EdDSA with a private key in PEM, through libcrypto.
 * The gateway itself never signs anything.
 */

const byte = string.byte;

/** What RFC 7518 and RFC 8037 ask of an algorithm's key and signature. */
interface AsymmetricAlgorithm {
  /** OpenSSL's number for the kind of key. */
  kind: number;
  key_text: string;
  /** `undefined`: the algorithm hashes by itself. */
  digest: string | undefined;
  /** For RSA: with RSASSA-PSS. */
  is_pss?: boolean;
  /** For ECDSA: the length of r and of s, in bytes, and the curve's, in bits. */
  half_bytes?: number;
  bits?: number;
}

const RSA = 6;
const EC = 408;
const ED25519 = 1087;

const ASYMMETRIC = new LuaTable<string, AsymmetricAlgorithm | undefined>();
for (const size of ["256", "384", "512"]) {
  ASYMMETRIC.set(`RS${size}`, { kind: RSA, key_text: "an RSA key", digest: `sha${size}` });
  ASYMMETRIC.set(`PS${size}`, { kind: RSA, key_text: "an RSA key", digest: `sha${size}`, is_pss: true });
}
ASYMMETRIC.set("ES256", { kind: EC, key_text: "an EC key on P-256", digest: "sha256", half_bytes: 32, bits: 256 });
ASYMMETRIC.set("ES384", { kind: EC, key_text: "an EC key on P-384", digest: "sha384", half_bytes: 48, bits: 384 });
ASYMMETRIC.set("ES512", { kind: EC, key_text: "an EC key on P-521", digest: "sha512", half_bytes: 66, bits: 521 });
ASYMMETRIC.set("EdDSA", { kind: ED25519, key_text: "an Ed25519 key", digest: undefined });

ffi.cdef(`
  void *sluice_memory_source(const void *data, int length) __asm__("BIO_new_mem_buf");
  int sluice_free_source(void *source) __asm__("BIO_free");
  void *sluice_read_private_key(void *source, void **key, void *callback, const char *passphrase)
    __asm__("PEM_read_bio_PrivateKey");
  void sluice_free_private_key(void *key) __asm__("EVP_PKEY_free");
  int sluice_key_kind(const void *key) __asm__("EVP_PKEY_get_base_id");
  int sluice_key_kind_old(const void *key) __asm__("EVP_PKEY_base_id");
  int sluice_key_bits(const void *key) __asm__("EVP_PKEY_get_bits");
  int sluice_key_bits_old(const void *key) __asm__("EVP_PKEY_bits");
  const void *sluice_digest_named(const char *name) __asm__("EVP_get_digestbyname");
  void *sluice_new_signing(void) __asm__("EVP_MD_CTX_new");
  void sluice_free_signing(void *signing) __asm__("EVP_MD_CTX_free");
  int sluice_set_signing(void *parameters, const char *name, const char *value) __asm__("EVP_PKEY_CTX_ctrl_str");
  int sluice_begin_signing(void *signing, void **parameters, const void *digest, void *engine, void *key)
    __asm__("EVP_DigestSignInit");
  int sluice_sign(void *signing, uint8_t *signature, size_t *length, const void *message, size_t message_length)
    __asm__("EVP_DigestSign");
`);

/** @noSelf */
interface SigningLibrary {
  sluice_memory_source(data: string, length: number): CData;
  sluice_free_source(source: CData): number;
  sluice_read_private_key(source: CData, key: undefined, callback: undefined, passphrase: string): CData | undefined;
  sluice_free_private_key(key: CData): void;
  sluice_key_kind(key: CData): number;
  sluice_key_kind_old(key: CData): number;
  sluice_key_bits(key: CData): number;
  sluice_key_bits_old(key: CData): number;
  sluice_digest_named(name: string): CData | undefined;
  sluice_new_signing(): CData;
  sluice_free_signing(signing: CData): void;
  sluice_begin_signing(signing: CData, parameters: CData, digest: CData | undefined, engine: undefined, key: CData): number;
  sluice_set_signing(parameters: unknown, name: string, value: string): number;
  sluice_sign(
    signing: CData,
    signature: unknown,
    length: { [index: number]: number },
    message: string,
    message_length: number,
  ): number;
}

function find_library(): SigningLibrary | undefined {
  for (const name of ["libcrypto.so.3", "libcrypto.so.1.1", "crypto"]) {
    const [loaded, library] = pcall(ffi.load, name);
    if (loaded) {
      return library as SigningLibrary;
    }
  }
  return undefined;
}

/** The kind and size of a key, by the names of OpenSSL 3 or of 1.1. */
function kind_and_bits(library: SigningLibrary, key: CData): LuaMultiReturn<[kind: number, bits: number]> {
  const [current] = pcall(() => library.sluice_key_kind);
  if (current) {
    return $multi(library.sluice_key_kind(key), library.sluice_key_bits(key));
  }
  return $multi(library.sluice_key_kind_old(key), library.sluice_key_bits_old(key));
}

/** A number of a DER signature, brought to its length in a JWS (RFC 7518, section 3.4). */
function fixed_length(number: string, length: number): string {
  let digits = number;
  while (digits.length > length && byte(digits) === 0) {
    digits = string.sub(digits, 2);
  }
  return string.rep(string.char(0), length - digits.length) + digits;
}

function from_der(signature: string, half_bytes: number): string | undefined {
  const [sequence] = read_der(signature, 1, Tag.Sequence);
  const [r, after_r] = read_der(sequence ?? "", 1, Tag.Integer);
  const [s] = read_der(sequence ?? "", after_r, Tag.Integer);
  return r === undefined || s === undefined ? undefined : fixed_length(r, half_bytes) + fixed_length(s, half_bytes);
}

function sign_with(library: SigningLibrary, algorithm: AsymmetricAlgorithm, key: CData, message: string): string | undefined {
  const digest = algorithm.digest === undefined ? undefined : library.sluice_digest_named(algorithm.digest);
  const signing = library.sluice_new_signing();
  const signature = ffi.new("uint8_t[2048]");
  const length = ffi.new<{ [index: number]: number }>("size_t[1]", [2048]);
  const parameters = ffi.new<CData & { [index: number]: unknown }>("void *[1]");
  const signed =
    library.sluice_begin_signing(signing, parameters, digest, undefined, key) === 1 &&
    (algorithm.is_pss !== true ||
      (library.sluice_set_signing(parameters[0], "rsa_padding_mode", "pss") === 1 &&
        library.sluice_set_signing(parameters[0], "rsa_pss_saltlen", "digest") === 1)) &&
    library.sluice_sign(signing, signature, length, message, message.length) === 1;
  library.sluice_free_signing(signing);
  if (!signed) {
    return undefined;
  }
  const text = ffi.string(signature, tonumber(length[0]));
  return algorithm.half_bytes === undefined ? text : from_der(text, algorithm.half_bytes);
}

/**
 * The signature over `message` in the form a JWS has it, or `undefined` and a reason. `pem` is a private key
 * without a passphrase.
 */
function sign(
  name: string,
  pem: string,
  message: string,
): LuaMultiReturn<[signature: string | undefined, reason: string | undefined]> {
  const algorithm = ASYMMETRIC.get(name);
  const library = find_library();
  if (algorithm === undefined || library === undefined) {
    return $multi(undefined, library === undefined ? "libcrypto was not found" : `${name} doesn't sign with a private key`);
  }
  const source = library.sluice_memory_source(pem, pem.length);
  const key = library.sluice_read_private_key(source, undefined, undefined, "");
  library.sluice_free_source(source);
  if (key === undefined) {
    return $multi(undefined, "expected a private key in PEM, without a passphrase");
  }
  const [kind, bits] = kind_and_bits(library, key);
  if (kind !== algorithm.kind || (algorithm.bits !== undefined && bits !== algorithm.bits)) {
    library.sluice_free_private_key(key);
    return $multi(undefined, `expected ${algorithm.key_text} for ${name}`);
  }
  const signature = sign_with(library, algorithm, key, message);
  library.sluice_free_private_key(key);
  return $multi(signature, signature === undefined ? "OpenSSL won't sign with that key" : undefined);
}

export { sign };
