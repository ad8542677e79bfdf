import type { SecretKind, SecretStore } from "./secret-ports.ts";
import type { Keyring } from "./keyring.ts";

/** The secret store as those see it who have something to hide: what goes in is sealed, what comes out is opened. */
export interface Vault {
  /** Durable when it resolves; a value that was there before is erased. */
  put(kind: SecretKind, id: string, plain: Uint8Array): Promise<void>;
  /** `undefined`: there is none, or the key it was sealed with is in the key file no more. */
  get(kind: SecretKind, id: string): Promise<Uint8Array | undefined>;
  /** Erases the value from the disk too. Idempotent. */
  erase(kind: SecretKind, id: string): Promise<void>;
}

export function createVault(secrets: SecretStore, keyring: Keyring): Vault {
  return {
    put: (kind, id, plain) => secrets.put(kind, id, keyring.seal(sealContext(kind, id), plain)),
    async get(kind, id) {
      const sealed = await secrets.get(kind, id);
      if (sealed === undefined || !keyring.keyIds.includes(keyring.keyIdOf(sealed))) {
        return undefined;
      }
      return Uint8Array.from(keyring.open(sealContext(kind, id), sealed));
    },
    erase: (kind, id) => secrets.erase(kind, id),
  };
}

/** Binds a sealed value to its place, so that nobody can swap values in the store. */
export function sealContext(kind: SecretKind, id: string): string {
  return `${kind}/${id}`;
}
