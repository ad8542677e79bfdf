import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Interceptor } from "@connectrpc/connect";
import { SignJWT } from "jose";

type Claims = Readonly<Record<string, unknown>>;

/** What issues tokens in a test, and what a router needs to take them. */
export interface TestIssuer extends AsyncDisposable {
  /** Settings of a router with authentication on. */
  readonly flags: readonly string[];
  readonly secret: Buffer;
  /** A directory for what else a test needs. */
  readonly directory: string;
  /** A token with these claims; for ten minutes, where they do not say. */
  token(claims: Claims): Promise<string>;
  party(partyId: string, claims?: Claims): Promise<string>;
  coordinator(claims?: Claims): Promise<string>;
}

export async function startIssuer(): Promise<TestIssuer> {
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-issuer-"));
  // Text, so that none ends in a newline, which the router would drop.
  const secret = Buffer.from(randomBytes(32).toString("base64url"));
  const [secretFile, sealKeyFile] = [join(directory, "secret"), join(directory, "seal-keys")];
  await writeFile(secretFile, secret);
  await writeFile(sealKeyFile, randomBytes(32).toString("base64"));
  const token = (claims: Claims): Promise<string> => {
    const exp = Math.floor(Date.now() / 1_000) + 600;
    return new SignJWT({ exp, ...claims }).setProtectedHeader({ alg: "HS256" }).sign(secret);
  };
  const everyRole = ["persistent", "delegate", "temporary"];
  return {
    flags: [`--auth-jwt-secret-file=${secretFile}`, `--seal-key-file=${sealKeyFile}`],
    secret,
    directory,
    token,
    party: (sub, claims) => token({ sub, role: "party", party_role: everyRole, ...claims }),
    coordinator: (claims) => token({ sub: "backend", role: "coordinator", ...claims }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Shows the token with every call; none where it is undefined. */
export function showing(token: string | undefined): Interceptor[] {
  if (token === undefined) return [];
  return [
    (next) => (request) => {
      request.header.set("Authorization", `Bearer ${token}`);
      return next(request);
    },
  ];
}
