import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** A certificate and its private key, both PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  readonly dnsNames?: readonly string[];
  readonly uris?: readonly string[];
  /** What it may be used for; by default both. */
  readonly usage?: "server" | "client";
  /** By default it began a day ago and ends in a day. */
  readonly notAfter?: Date;
}

const dayMs = 86_400_000;

/** An authority that issues certificates for tests (X.509 written by hand: Node reads them, but makes none). */
export class TestAuthority {
  readonly #key: KeyObject;
  readonly #name: string;
  /** PEM. */
  readonly cert: string;

  constructor(name = "Test CA") {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#key = privateKey;
    this.#name = name;
    this.cert = this.#certificate(name, publicKey, {
      notAfter: new Date(Date.now() + dayMs),
      extensions: [extension(oids.basicConstraints, sequence(der(0x01, Buffer.from([0xff]))))],
    });
  }

  /** For localhost and 127.0.0.1, where nothing else is said. */
  issue(options: CertificateOptions = {}): Pair {
    const { dnsNames = ["localhost"], uris = [], usage } = options;
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const names = sequence(
      ...dnsNames.map((name) => der(0x82, Buffer.from(name))),
      ...uris.map((uri) => der(0x86, Buffer.from(uri, "latin1"))),
      ...(dnsNames.includes("localhost") ? [der(0x87, Buffer.from([127, 0, 0, 1]))] : []),
    );
    const usages = [
      ...(usage === "client" ? [] : [oid(oids.serverAuth)]),
      ...(usage === "server" ? [] : [oid(oids.clientAuth)]),
    ];
    const cert = this.#certificate("test", publicKey, {
      notAfter: options.notAfter ?? new Date(Date.now() + dayMs),
      extensions: [
        extension(oids.subjectAltName, names),
        extension(oids.extendedKeyUsage, sequence(...usages)),
      ],
    });
    return { cert, key: privateKey.export({ type: "pkcs8", format: "pem" }) as string };
  }

  #certificate(
    subject: string,
    publicKey: KeyObject,
    { notAfter, extensions }: { notAfter: Date; extensions: readonly Buffer[] },
  ): string {
    const body = sequence(
      der(0xa0, integer(Buffer.from([2]))),
      integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      ecdsaWithSha256,
      distinguishedName(this.#name),
      sequence(time(new Date(Date.now() - dayMs * 2)), time(notAfter)),
      distinguishedName(subject),
      publicKey.export({ type: "spki", format: "der" }),
      der(0xa3, sequence(...extensions)),
    );
    const signature = sign("sha256", body, this.#key);
    const whole = sequence(body, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature));
    const lines = whole.toString("base64").replaceAll(/.{64}(?=.)/g, "$&\n");
    return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
  }
}

/** Object identifiers, as their content is encoded. */
const oids = {
  ecdsaWithSha256: "2a8648ce3d040302",
  commonName: "550403",
  subjectAltName: "551d11",
  basicConstraints: "551d13",
  extendedKeyUsage: "551d25",
  serverAuth: "2b06010505070301",
  clientAuth: "2b06010505070302",
} as const;

/** A value of ASN.1: its tag, its length, what is in it. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, ...parts);
}

function integer(bytes: Uint8Array): Buffer {
  return der(0x02, bytes);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return der(0x18, Buffer.from(digits));
}

function distinguishedName(commonName: string): Buffer {
  const attribute = sequence(oid(oids.commonName), der(0x0c, Buffer.from(commonName)));
  return sequence(der(0x31, attribute));
}

function extension(id: string, value: Uint8Array): Buffer {
  return sequence(oid(id), der(0x04, value));
}

const ecdsaWithSha256: Buffer = sequence(oid(oids.ecdsaWithSha256));
