import { randomBytes } from "node:crypto";
import { open, unlink } from "node:fs/promises";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from "jose";
import { readFlags } from "../config/flags.ts";
import { requireNone, UsageError } from "./usage-error.ts";

const algorithms: readonly string[] = ["EdDSA", "ES256", "RS256", "HS256"];
/** Of which every byte is text, so that the secret can be handed on by any means. */
const secretBytes = 48;

interface NewFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

/** Makes a key and writes it; resolves with what to tell the user. */
export async function makeKey(args: readonly string[]): Promise<string> {
  const known = { settings: ["--alg", "--out"], booleans: [], switches: [] };
  const { texts, problems } = readFlags(args, known);
  const alg = texts.get("--alg") ?? "EdDSA";
  const out = texts.get("--out") ?? "";
  requireNone([
    ...problems,
    ...(algorithms.includes(alg) ? [] : [`--alg is not one of ${algorithms.join(", ")}`]),
    ...(out === "" && !problems.some((line) => line.startsWith("--out"))
      ? ["--out is needed"]
      : []),
  ]);
  if (alg === "HS256") {
    const content = `${randomBytes(secretBytes).toString("base64url")}\n`;
    await writeNew([{ path: out, content, mode: 0o600 }]);
    return `secret: ${out}, for issuing and for the router (--auth-jwt-secret-file=${out})\n`;
  }
  const { privateJwk, publicJwk } = await newPair(alg);
  const set = `${out}.jwks`;
  await writeNew([
    { path: out, content: json(privateJwk), mode: 0o600 },
    { path: set, content: json({ keys: [publicJwk] }), mode: 0o644 },
  ]);
  return [
    `private key: ${out}, for issuing`,
    `public key set: ${set}, for the router (--auth-jwks=${set})`,
    "",
  ].join("\n");
}

async function newPair(
  alg: string,
): Promise<{ readonly privateJwk: JWK; readonly publicJwk: JWK }> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const publicPart = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(publicPart);
  const marks = { kid, alg, use: "sig" };
  return {
    privateJwk: { ...(await exportJWK(privateKey)), ...marks },
    publicJwk: { ...publicPart, ...marks },
  };
}

/** All of them or none; a file that is there already is left alone. */
async function writeNew(files: readonly NewFile[]): Promise<void> {
  const written: string[] = [];
  try {
    for (const { path, content, mode } of files) {
      await using file = await open(path, "wx", mode);
      written.push(path);
      await file.writeFile(content);
    }
  } catch (error) {
    for (const path of written) await unlink(path);
    const failed = files[written.length]?.path ?? files.at(-1)?.path;
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === "EEXIST" ? "is there already, and is not overwritten" : `cannot be made (${code})`;
    throw new UsageError(`--out: ${failed} ${why}`);
  }
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
