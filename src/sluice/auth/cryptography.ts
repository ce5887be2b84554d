/**
 * What identity needs of cryptography, as an interface: the edge has it, and hands it in.
 */

/** The hashes that RFC 7518's algorithms use. */
type DigestName = "sha256" | "sha384" | "sha512";

/** Says whether a signature is the key's own over the message. */
type SignatureCheck = (this: void, digest: DigestName, message: string, signature: string) => boolean;

/** @noSelf */
interface Cryptography {
  /** SHA-256: 32 bytes as eight words in the order they lie in memory, good until the next call. */
  sha256(text: string): Int32Buffer;
  /** Whether two strings are the same, in a time that depends on their length only. */
  equal(left: string, right: string): boolean;
  /** HMAC (RFC 2104) as raw bytes. */
  hmac(digest: DigestName, secret: string, message: string): string;
  /** The check of an RSA or EC public key in DER (RFC 5280); EC signatures are in DER. */
  signature_check(der: string): LuaMultiReturn<[check: SignatureCheck | undefined, reason: string | undefined]>;
  /** That of an RSA public key in DER, for RSASSA-PSS with MGF1 of the same digest and a salt of its length (RFC 7518, section 3.5). */
  pss_check(der: string): LuaMultiReturn<[check: SignatureCheck | undefined, reason: string | undefined]>;
  /** The check of an Edwards curve's raw public key (RFC 8037). */
  edwards_check(
    curve: "Ed25519" | "Ed448",
    raw: string,
  ): LuaMultiReturn<[check: SignatureCheck | undefined, reason: string | undefined]>;
}

/** Checks JSON strictly (RFC 8259, no key twice, valid UTF-8). Returns what is wrong, or undefined. */
type StrictCheck = (this: void, text: string) => string | undefined;

/** Decodes JSON that has passed the strict check. */
type Decode = (this: void, text: string) => LuaMultiReturn<[value: unknown, reason: string | undefined]>;

export type { Cryptography, Decode, DigestName, SignatureCheck, StrictCheck };
