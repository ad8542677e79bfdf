import { createSecretKey, type KeyObject } from "node:crypto";
import { createLocalJWKSet, type JSONWebKeySet, type LocalJWKSet } from "jose";
import { KeyProblem } from "./key-sources.ts";

/** RFC 7518, section 3.2: as long as the hash. */
const minSecretBytes = 32;

/** The secret of HS256 as its file holds it: the bytes themselves, but for one newline at their end. */
export function parseSecret(content: Buffer): KeyObject {
  const newline = /\r?\n$/.exec(content.subarray(-2).toString("latin1"))?.[0] ?? "";
  const secret = content.subarray(0, content.length - newline.length);
  if (secret.length < minSecretBytes) {
    throw new KeyProblem(`is shorter than ${minSecretBytes} bytes`);
  }
  return createSecretKey(secret);
}

/** A set of public keys (RFC 7517). One that holds anything secret is refused: it is in the wrong place. */
export function parseKeySet(content: Buffer): LocalJWKSet {
  let set: JSONWebKeySet;
  let resolver: LocalJWKSet;
  try {
    set = JSON.parse(content.toString("utf8")) as JSONWebKeySet;
    resolver = createLocalJWKSet(set);
  } catch {
    // The cause would quote what was read.
    throw new KeyProblem("is no JSON web key set");
  }
  if (set.keys.some((key) => "d" in key || "k" in key)) {
    throw new KeyProblem("holds a private or secret key; give the public set");
  }
  return resolver;
}
