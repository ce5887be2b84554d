/** @noSelfInFile */
// The part of luaossl that Sluice uses: https://25thandclement.com/~william/projects/luaossl.html

/** A hash that is being computed. */
declare interface OpensslDigest {
  update(this: OpensslDigest, ...parts: string[]): OpensslDigest;
  final(this: OpensslDigest, ...parts: string[]): string;
}

/** A public or private key. */
declare interface OpensslKey {
  /** Whether `signature` (for EC: in DER) is the key's over `digest`. Throws where OpenSSL can't tell. */
  verify(this: OpensslKey, signature: string, digest: OpensslDigest): boolean;
}

/** @noResolution */
declare module "openssl.digest" {
  function _new(this: void, name: string): OpensslDigest;
  export { _new as new };
}

/** @noResolution */
declare module "openssl.hmac" {
  function _new(this: void, secret: string, name: string): OpensslDigest;
  export { _new as new };
}

/** @noResolution */
declare module "openssl.pkey" {
  /** Reads a key. Throws if it isn't one. */
  function _new(this: void, text: string, form: "DER" | "PEM"): OpensslKey;
  export { _new as new };
}
