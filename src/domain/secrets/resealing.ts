import type { SessionStore } from "../sessions/session-ports.ts";
import type { ResealableSecrets, SecretKind } from "./secret-ports.ts";
import type { Keyring } from "./keyring.ts";
import { sealContext } from "./vault.ts";

const kinds: readonly SecretKind[] = ["contact", "share", "tokens", "lent"];
/** Values worked on at once. */
const parallel = 16;

export interface SealsOptions {
  readonly secrets: ResealableSecrets;
  readonly keyring: Keyring;
  readonly sessions: Pick<SessionStore, "all">;
}

export interface Seals {
  /** Values that are now sealed under the current key, and were not before. */
  readonly resealed: number;
  /** Keys that values and sessions need, and that are not in the ring. */
  readonly unknownKeyIds: readonly string[];
  /** Keys of the ring that nothing needs any more: no value, and no session that answers. */
  readonly unusedKeyIds: readonly string[];
}

/**
 * Seals everything under the current key, and says which keys are left over. To be called at the start, once the
 * sessions are known. Others may write meanwhile: what they wrote stays, being newer.
 */
export async function renewSeals({ secrets, keyring, sessions }: SealsOptions): Promise<Seals> {
  const unknown = new Set<string>();
  let resealed = 0;
  const renew = async (kind: SecretKind, id: string): Promise<void> => {
    const known = await secrets.get(kind, id);
    if (known === undefined) return;
    const keyId = keyring.keyIdOf(known);
    if (keyId === keyring.currentKeyId) return;
    if (!keyring.keyIds.includes(keyId)) return void unknown.add(keyId);
    const context = sealContext(kind, id);
    const sealed = keyring.seal(context, keyring.open(context, known));
    if (await secrets.exchange(kind, id, { known, sealed })) resealed += 1;
  };
  for (const kind of kinds) {
    const ids = await secrets.ids(kind);
    for (let done = 0; done < ids.length; done += parallel) {
      await Promise.all(ids.slice(done, done + parallel).map((id) => renew(kind, id)));
    }
  }
  const used = new Set([keyring.currentKeyId]);
  for (const { record } of sessions.all()) {
    if (keyring.keyIds.includes(record.keyId)) used.add(record.keyId);
    else unknown.add(record.keyId);
  }
  const unusedKeyIds = keyring.keyIds.filter((keyId) => !used.has(keyId));
  return { resealed, unknownKeyIds: [...unknown], unusedKeyIds };
}
