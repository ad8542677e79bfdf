export type SecretKind =
  /** Join tokens of an outside coordinator, of a session. */
  | "tokens"
  /** The user's share made at keygen, of a session. */
  | "share"
  /** The user's share lent for one signing, of a session. */
  | "lent"
  /** A party's notification channels. */
  | "contact";

/** Sealed values that can be erased from the disk. It stores what it is given: sealing is the caller's (secrets/). */
export interface SecretStore {
  /** Durable when it resolves; a value that was there before is erased. */
  put(kind: SecretKind, id: string, sealed: Uint8Array): Promise<void>;
  get(kind: SecretKind, id: string): Promise<Uint8Array | undefined>;
  /** Erases the value from the block files too. Idempotent. */
  erase(kind: SecretKind, id: string): Promise<void>;
  /** Every id of a kind that has a value. */
  ids(kind: SecretKind): Promise<readonly string[]>;
}

/** A secret store whose values can be sealed anew while others use it. */
export interface ResealableSecrets extends SecretStore {
  /** As `put`, but only where this very value is the one that is there; false when it is not. */
  exchange(
    kind: SecretKind,
    id: string,
    values: { readonly known: Uint8Array; readonly sealed: Uint8Array },
  ): Promise<boolean>;
}
