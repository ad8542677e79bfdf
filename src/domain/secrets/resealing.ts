import type { ResealableSecrets, SecretKind } from "../sessions/session-ports.ts";
import type { SessionRecord } from "../sessions/session.ts";
import type { Keyring } from "./keyring.ts";
import { sealContext } from "./vault.ts";

const kinds: readonly SecretKind[] = ["contact", "share", "tokens", "lent"];
/** Values worked on at once. */
const parallel = 16;

export interface Resealing {
  /** Values that are now sealed under the current key, and were not before. */
  readonly resealed: number;
  /** Keys of values that no key of the ring can open. */
  readonly unknownKeyIds: readonly string[];
}

/** Seals everything under the current key. Others may write meanwhile: what they wrote stays, being newer. */
export async function resealAll(secrets: ResealableSecrets, keyring: Keyring): Promise<Resealing> {
  const unknown = new Set<string>();
  let resealed = 0;
  const reseal = async (kind: SecretKind, id: string): Promise<void> => {
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
      await Promise.all(ids.slice(done, done + parallel).map((id) => reseal(kind, id)));
    }
  }
  return { resealed, unknownKeyIds: [...unknown] };
}

/**
 * Keys of the ring that nothing needs any more, once everything is sealed under the current one: no session that
 * answers was made with them.
 */
export function unusedKeyIds(
  keyring: Keyring,
  records: Iterable<SessionRecord>,
): readonly string[] {
  const used = new Set([keyring.currentKeyId]);
  for (const { keyId } of records) used.add(keyId);
  return keyring.keyIds.filter((keyId) => !used.has(keyId));
}
