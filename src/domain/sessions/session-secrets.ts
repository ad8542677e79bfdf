import type { Vault } from "../secrets/vault.ts";
import type { SecretKind } from "../secrets/secret-ports.ts";
import { endedAt, retentionMs, type SessionRecord } from "./session.ts";

/** Kinds of secrets that belong to a session. */
export type SessionSecretKind = Exclude<SecretKind, "contact">;
export const sessionSecretKinds: readonly SessionSecretKind[] = ["tokens", "lent", "share"];

/** Digits of a content hash in a secret's id. */
const hashDigits = 32;

/**
 * A secret is stored before the record that names it is written, so several that were offered may lie beside each
 * other for a moment. The content's hash in its id says which one the record means.
 */
export function secretId(sessionId: string, contentHash: string): string {
  return `${sessionId}-${contentHash.slice(0, hashDigits)}`;
}

export function sessionOfSecret(id: string): string {
  return id.slice(0, -hashDigits - 1);
}

/**
 * Whether a stored secret is still needed: `orphan` is one that no record names, which may be because its record is
 * about to be written.
 */
export function secretFate(
  secret: { readonly kind: SessionSecretKind; readonly id: string },
  record: SessionRecord | undefined,
  nowMs: number,
): "needed" | "orphan" | "due" {
  if (record === undefined) return "orphan";
  const end = endedAt(record, nowMs);
  const isNamed = secret.id === namedSecret(record, secret.kind);
  if (end === 0) return isNamed ? "needed" : "orphan";
  const isWaiting = secret.kind === "share" && isShareWaiting(record) && nowMs < end + retentionMs;
  return isNamed && isWaiting ? "needed" : "due";
}

/** Erases what the record says is over; to be called when it ended or its share was confirmed. */
export async function eraseDue(vault: Vault, record: SessionRecord, nowMs: number): Promise<void> {
  for (const kind of sessionSecretKinds) {
    const id = namedSecret(record, kind);
    if (id !== undefined && secretFate({ kind, id }, record, nowMs) === "due") {
      await vault.erase(kind, id);
    }
  }
}

/** Erases every secret of a session that is forgotten. */
export async function eraseAll(vault: Vault, record: SessionRecord): Promise<void> {
  for (const kind of sessionSecretKinds) {
    const id = namedSecret(record, kind);
    if (id !== undefined) await vault.erase(kind, id);
  }
}

function namedSecret(record: SessionRecord, kind: SessionSecretKind): string | undefined {
  const { sessionId, tokens, lentShareTo, delegateShare } = record;
  if (kind === "share") {
    const { contentHash } = delegateShare;
    return contentHash === undefined ? undefined : secretId(sessionId, contentHash);
  }
  const hasIt = kind === "tokens" ? tokens === "sealed" : lentShareTo !== undefined;
  return hasIt ? requestSecretId(record) : undefined;
}

/** Where the secrets that came with the request to create the session are. */
export function requestSecretId(record: SessionRecord): string {
  return secretId(record.sessionId, record.requestHash);
}

function isShareWaiting({ status, delegateShare }: SessionRecord): boolean {
  return (
    status === "completed" && (delegateShare.state === "stored" || delegateShare.state === "taken")
  );
}
