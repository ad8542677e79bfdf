import assert from "node:assert/strict";
import { isRouterError, type RouterErrorReason } from "../../../../src/domain/errors.ts";
import { newRecord, type NewSession } from "../../../../src/domain/sessions/new-session.ts";
import { joined, markedReady } from "../../../../src/domain/sessions/session-state.ts";
import type {
  DeviceInfo,
  PartyRole,
  SessionRecord,
} from "../../../../src/domain/sessions/session.ts";

export const startMs = 1_800_000_000_000;

export const device: DeviceInfo = {
  deviceType: "server",
  deviceId: "d-1",
  platform: "linux",
  appVersion: "1.0.0",
};

export interface RecordOptions {
  readonly type?: "keygen" | "sign";
  readonly roles?: readonly PartyRole[];
  readonly userPublicKey?: Uint8Array;
}

/** A 2-of-n session of p0, p1, … that lives for a minute from {@link startMs}. */
export function aRecord(options: RecordOptions = {}): SessionRecord {
  const { type = "keygen", roles = ["persistent", "persistent", "persistent"] } = options;
  const session: NewSession = {
    sessionId: "session-1",
    shape: {
      type,
      thresholdN: roles.length,
      thresholdT: 2,
      messageHash: new Uint8Array(type === "sign" ? 32 : 0),
      keygenSessionId: "",
    },
    seats: roles.map((role, index) => ({ partyId: `p${index}`, partyIndex: index, role })),
    keygen: undefined,
    ...(options.userPublicKey === undefined ? {} : { userPublicKey: options.userPublicKey }),
    expiresAt: startMs + 60_000,
    keyId: "0123456789abcdef",
    tokens: "derived",
    createdBy: "backend",
    requestHash: "a".repeat(64),
  };
  return newRecord(session, startMs);
}

/** The same after everybody joined and said that it is ready. */
export function aRunningRecord(options: RecordOptions = {}): SessionRecord {
  return aRecord(options).parties.reduce((record, { partyId }) => {
    const inside = joined(record, { partyId, deviceInfo: device }, startMs + 1);
    return markedReady(inside, partyId, startMs + 2);
  }, aRecord(options));
}

export function typesOf(record: SessionRecord): readonly string[] {
  return record.transitions.map((transition) => transition.type);
}

/** For `assert.throws` and `assert.rejects`. */
export function refusal(reason: RouterErrorReason): (error: unknown) => true {
  return (error) => {
    assert.ok(isRouterError(error), `not a refusal: ${String(error)}`);
    assert.equal(error.reason, reason);
    return true;
  };
}
