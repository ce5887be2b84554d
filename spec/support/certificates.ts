/** Certificates for a test, made with the `openssl` program. */

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

interface Certificate {
  certificate: string;
  key: string;
}

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { stdio: "pipe" });
}

/** Makes a certificate authority of that name in a directory. */
function makeAuthority(directory: string, name: string): Certificate {
  const certificate = join(directory, `${name}.pem`);
  const key = join(directory, `${name}.key`);
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", `/CN=${name}`, "-keyout", key, "-out", certificate);
  return { certificate, key };
}

/** Makes a server's certificate for these names (`DNS:…`, `IP:…`), signed by an authority. */
function makeCertificate(directory: string, file: string, names: string[], authority: Certificate): Certificate {
  const certificate = join(directory, `${file}.pem`);
  const key = join(directory, `${file}.key`);
  const request = join(directory, `${file}.csr`);
  const extensions = join(directory, `${file}.ext`);
  openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
    "-subj", `/CN=${file}`, "-keyout", key, "-out", request);
  writeFileSync(extensions, `subjectAltName=${names.join(",")}\n`);
  openssl("x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial",
    "-days", "2", "-extfile", extensions, "-out", certificate);
  return { certificate, key };
}

export { makeAuthority, makeCertificate };
export type { Certificate };
