import type { SessionDirectory } from "../events/session-directory.ts";
import { createVault } from "../secrets/vault.ts";
import { createControlPlane, type ControlPlane } from "./control-plane.ts";
import type { CoordinatorOptions } from "./coordinator-options.ts";
import { createHousekeeping, type Housekeeping } from "./housekeeping.ts";
import { createJoinTokens } from "./join-tokens.ts";
import { movedFromOutside } from "./outside-transition.ts";
import { isForgotten } from "./session-access.ts";
import { createSessionCreation } from "./session-creation.ts";
import { createSessionOperations, type SessionOperations } from "./session-operations.ts";
import { createSessionQuota } from "./session-quota.ts";
import { requestSecretId } from "./session-secrets.ts";
import { createSessionSettling } from "./session-settling.ts";
import { createSessionWriter } from "./session-writer.ts";

/** The embedded coordinator: it has no state of its own, so any number of instances make one. */
export interface Coordinator extends ControlPlane, SessionOperations, SessionDirectory, Disposable {
  /** What has to run beside the calls, until the signal. */
  readonly housekeeping: Housekeeping;
}

export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const { sessions, secrets, keyring, clock } = options;
  const vault = createVault(secrets, keyring);
  const tokens = createJoinTokens(keyring, vault);
  const settling = createSessionSettling(options);
  const writer = createSessionWriter({ ...options, settling, vault });
  const quota = createSessionQuota(options);
  const creation = createSessionCreation({ ...options, vault, quota });
  const parts = { ...options, vault, tokens, settling, writer, creation };
  const housekeeping = createHousekeeping(parts);
  return {
    ...createControlPlane(parts),
    ...createSessionOperations(parts),
    async find(sessionId) {
      const nowMs = clock.nowMs();
      const known = sessions.cached(sessionId)?.record;
      if (known !== undefined && !isForgotten(known, nowMs)) return known;
      const record = (await sessions.read(sessionId))?.record;
      return record === undefined || isForgotten(record, nowMs) ? undefined : record;
    },
    joinTokenFor: (record, partyId) => tokens.tokenOf(record, partyId),
    lentShareFor: (record) => vault.get("lent", requestSecretId(record)),
    async createFromEvent(outside) {
      await writer.settleNew(await creation.fromEvent(outside));
    },
    async applyLifecycleEvent(sessionId, change) {
      await writer.change(sessionId, (record, nowMs) => movedFromOutside(record, change, nowMs));
    },
    housekeeping,
    [Symbol.dispose]: () => {
      housekeeping[Symbol.dispose]();
      quota[Symbol.dispose]();
    },
  };
}
