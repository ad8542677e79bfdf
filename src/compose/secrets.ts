import { UnknownKeyError, type Keyring } from "../domain/secrets/keyring.ts";
import { renewSeals, type Seals } from "../domain/secrets/resealing.ts";
import type { SessionStore } from "../domain/sessions/session-ports.ts";
import type { ResealableSecrets } from "../domain/secrets/secret-ports.ts";
import type { Nats } from "../nats/connection.ts";
import { KeyFileNeededError, openSealKeys, type SealKeys } from "../nats/secrets/dev-seal-key.ts";
import { openSecretStore } from "../nats/secrets/secret-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import { StartError } from "./start-error.ts";

export interface SecretOptions {
  readonly nats: Nats;
  /** Those of the seal key file, the first is current; none without a file. */
  readonly sealKeys: readonly Uint8Array[];
  readonly sessions: SessionStore;
  readonly logger: Logger;
}

export interface Secrets {
  readonly secrets: ResealableSecrets;
  readonly keyring: Keyring;
  /** What the operator should know of the keys, one line each. */
  readonly warnings: readonly string[];
}

/** Opens the secret store with everything in it sealed under the current key. */
export async function openSecrets(options: SecretOptions): Promise<Secrets> {
  const { nats, sealKeys, sessions, logger } = options;
  const secrets = openSecretStore(nats);
  const keys = await openKeys(nats, sealKeys);
  const { keyring } = keys;
  const seals = await renewSeals({ secrets, keyring, sessions });
  if (keys.isDevelopment) refuseWithoutFile(seals);
  if (seals.resealed > 0) logger.info({ resealed: seals.resealed }, "sealed secrets anew");
  const { developmentKeyId: developmentKey } = keys;
  const isLeftOver = developmentKey !== undefined && seals.unusedKeyIds.includes(developmentKey);
  if (isLeftOver && !keys.isDevelopment) await keys.eraseDevelopmentKey();
  return { secrets, keyring, warnings: warningsOf(keys, seals) };
}

async function openKeys(nats: Nats, fileKeys: readonly Uint8Array[]): Promise<SealKeys> {
  try {
    return await openSealKeys(nats, fileKeys);
  } catch (error) {
    if (error instanceof KeyFileNeededError || error instanceof UnknownKeyError) {
      throw new StartError(`--seal-key-file: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** Every secret there is would be lost on this router, and parties with good tokens turned away. */
function refuseWithoutFile({ unknownKeyIds }: Seals): void {
  if (unknownKeyIds.length === 0) return;
  throw new StartError(
    `--seal-key-file is not given, and this message store needs its key ${unknownKeyIds.join(", ")}`,
  );
}

function warningsOf(keys: SealKeys, seals: Seals): readonly string[] {
  const unused = seals.unusedKeyIds.filter((keyId) => keyId !== keys.developmentKeyId);
  return [
    ...(keys.isDevelopment
      ? ["no --seal-key-file: the key of stored secrets lies beside them (development only)"]
      : []),
    ...seals.unknownKeyIds.map(
      (keyId) => `what is under key ${keyId} cannot be opened: the seal key file has no such key`,
    ),
    ...unused.map((keyId) => `nothing uses key ${keyId} of the seal key file any more`),
  ];
}
