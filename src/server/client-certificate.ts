import type { TLSSocket } from "node:tls";

/** A client's certificate, whose chain and validity were verified in the handshake; rpc/ has the same shape. */
export interface ClientCertificate {
  /** Its subject alternative names, as Node's `X509Certificate.subjectAltName` writes them. */
  readonly subjectAltName: string | undefined;
  /** Unix milliseconds of the end of its validity; it is not looked at again while the connection lasts. */
  readonly validToMs: number;
}

/** A certificate, `undefined` where there is none, or in one word why it is not accepted. */
export type CertificateFinding = ClientCertificate | undefined | { readonly rejected: string };

/** Looks at the certificate that a client gave in its handshake. */
export function inspectCertificate(socket: TLSSocket): CertificateFinding {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  // The type says Error, but it is the word that OpenSSL has for it.
  if (!socket.authorized) return { rejected: String(socket.authorizationError) };
  return {
    subjectAltName: certificate.subjectAltName,
    validToMs: Date.parse(certificate.validTo),
  };
}
