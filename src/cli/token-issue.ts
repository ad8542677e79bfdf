import { readFile } from "node:fs/promises";
import { importJWK, SignJWT, type CryptoKey, type JWK, type JWTPayload } from "jose";
import { readFlags } from "../config/flags.ts";
import { duration } from "../config/kinds.ts";
import { requireNone, UsageError } from "./usage-error.ts";

const known = {
  settings: ["--key", "--party", "--party-role", "--ttl", "--issuer", "--audience"],
  booleans: [],
  switches: ["--coordinator"],
};
const roles: readonly string[] = ["persistent", "delegate", "temporary"];
const partyForm = /^[A-Za-z0-9_-]{1,128}$/;
const ttl = duration("1s", "365d");
const minSecretBytes = 32;

/** What is asked for, by flag. */
interface Order {
  readonly keyPath: string;
  /** Undefined for the coordinator. */
  readonly party: string | undefined;
  readonly partyRoles: readonly string[] | undefined;
  readonly ttlMs: number;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
}

/** Resolves with the token that is asked for, on a line. */
export async function issueToken(args: readonly string[]): Promise<string> {
  const order = orderOf(args);
  const { key, header } = await readKey(order.keyPath);
  return `${await new SignJWT(claimsOf(order)).setProtectedHeader(header).sign(key)}\n`;
}

function orderOf(args: readonly string[]): Order {
  const { texts, switches, problems } = readFlags(args, known);
  const [keyPath, party] = [texts.get("--key") ?? "", texts.get("--party")];
  const isCoordinator = switches.has("--coordinator");
  const partyRoles = texts.get("--party-role")?.split(",");
  const parsed = ttl.parse(texts.get("--ttl") ?? "1h");
  requireNone([
    ...problems,
    ...when(keyPath === "", "--key is needed: a file that mpc-router token key made"),
    ...when((party !== undefined) === isCoordinator, "either --party or --coordinator is needed"),
    ...when(
      party !== undefined && !partyForm.test(party),
      "--party must be 1 to 128 characters of A-Z a-z 0-9 _ -",
    ),
    ...when(
      partyRoles?.every((role) => roles.includes(role)) === false,
      `--party-role must be of ${roles.join(", ")}`,
    ),
    ...when(isCoordinator && partyRoles !== undefined, "--party-role is for parties"),
    ...(parsed.ok ? [] : [`--ttl ${parsed.problem}`]),
  ]);
  return {
    keyPath,
    party,
    partyRoles,
    ttlMs: parsed.ok ? parsed.value : 0,
    issuer: texts.get("--issuer"),
    audience: texts.get("--audience"),
  };
}

function when(isWrong: boolean, problem: string): readonly string[] {
  return isWrong ? [problem] : [];
}

/** The claims that the router looks at, and when the token was issued. */
function claimsOf({ party, partyRoles, ttlMs, issuer, audience }: Order): JWTPayload {
  const iat = Math.floor(Date.now() / 1_000);
  return {
    ...(party === undefined
      ? { sub: "coordinator", role: "coordinator" }
      : { sub: party, role: "party" }),
    ...(partyRoles === undefined ? {} : { party_role: partyRoles }),
    ...(issuer === undefined ? {} : { iss: issuer }),
    ...(audience === undefined ? {} : { aud: audience }),
    iat,
    exp: iat + Math.ceil(ttlMs / 1_000),
  };
}

interface IssuingKey {
  readonly key: CryptoKey | Uint8Array;
  readonly header: { readonly alg: string; readonly kid?: string };
}

/** A private JWK, or else a secret as the router takes it. */
async function readKey(path: string): Promise<IssuingKey> {
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`--key: ${path} cannot be read (${code})`);
  }
  if (/^\s*\{/.test(content.toString("latin1"))) return privateKey(content.toString("utf8"), path);
  const secret = Buffer.from(content.toString("latin1").replace(/\r?\n$/, ""), "latin1");
  if (secret.length < minSecretBytes) {
    throw new UsageError(`--key: ${path} is neither a private JWK nor a secret of 32 bytes`);
  }
  return { key: secret, header: { alg: "HS256" } };
}

async function privateKey(text: string, path: string): Promise<IssuingKey> {
  try {
    const jwk = JSON.parse(text) as JWK;
    const alg = algorithmOf(jwk);
    if (alg !== undefined && jwk.d !== undefined) {
      const key = await importJWK(jwk, alg);
      const { kid } = jwk;
      return { key, header: kid === undefined ? { alg } : { alg, kid } };
    }
  } catch {
    // What was read must not be told.
  }
  throw new UsageError(`--key: ${path} is no private JWK of EdDSA, ES256 or RS256`);
}

function algorithmOf({ kty, crv }: JWK): string | undefined {
  if (kty === "OKP" && crv === "Ed25519") return "EdDSA";
  if (kty === "EC" && crv === "P-256") return "ES256";
  return kty === "RSA" ? "RS256" : undefined;
}
