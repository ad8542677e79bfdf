import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { TlsMaterial } from "./tls-port.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string | undefined;
}

/** A file that cannot be used. The message names it, and quotes nothing of it. */
export class TlsFilesError extends Error {
  override readonly name = "TlsFilesError";
  readonly path: string;

  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

/** Reads the files; rejects with a {@link TlsFilesError} unless each can be used and they belong together. */
export async function readTlsFiles(files: TlsFiles): Promise<TlsMaterial> {
  const [cert, key, clientCa] = await Promise.all([
    readPem(files.cert),
    readPem(files.key),
    files.clientCa === undefined ? undefined : readPem(files.clientCa),
  ]);
  const [own] = certificatesIn(cert, files.cert);
  if (own?.checkPrivateKey(privateKeyIn(key, files.key)) !== true) {
    throw new TlsFilesError(files.key, `is not the key of the first certificate in ${files.cert}`);
  }
  if (clientCa !== undefined && files.clientCa !== undefined) {
    checkAuthorities(certificatesIn(clientCa, files.clientCa), files.clientCa);
  }
  const material = { cert, key, ...(clientCa === undefined ? {} : { clientCa }) };
  checkUsable(material, files);
  return material;
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new TlsFilesError(path, `cannot be read (${String(code)})`);
  }
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

function certificatesIn(pem: string, path: string): X509Certificate[] {
  const blocks = pem.match(certificateBlock) ?? [];
  if (blocks.length === 0) throw new TlsFilesError(path, "has no PEM certificate in it");
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    // What OpenSSL says of it is for its developers.
    throw new TlsFilesError(path, "has a certificate in it that cannot be read");
  }
}

function privateKeyIn(pem: string, path: string): KeyObject {
  if (pem.includes("ENCRYPTED")) {
    throw new TlsFilesError(path, "is encrypted: it must be a key without a pass phrase");
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw new TlsFilesError(path, "has no PEM private key in it");
  }
}

function checkAuthorities(certificates: readonly X509Certificate[], path: string): void {
  if (!certificates.every(({ ca }) => ca)) {
    throw new TlsFilesError(path, "has a certificate in it that is no certificate authority's");
  }
}

/** Catches what is read but not used, such as a key that is too short. */
function checkUsable({ cert, key, clientCa }: TlsMaterial, files: TlsFiles): void {
  try {
    createSecureContext({ cert, key, ca: clientCa });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new TlsFilesError(files.cert, `cannot be used for TLS (${String(code)})`);
  }
}
