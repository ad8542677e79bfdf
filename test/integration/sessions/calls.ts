import type { Caller } from "../../../src/domain/caller.ts";
import type { CreateRequest } from "../../../src/domain/sessions/create-request.ts";
import type { CreatedSession } from "../../../src/domain/sessions/control-plane.ts";
import { device } from "../../unit/domain/sessions/session-records.ts";
import { openPair, type Instance, type Pair } from "./instances.ts";

export const anybody: Caller = { kind: "open" };
export const none: Uint8Array = new Uint8Array();
export const key: Uint8Array = new Uint8Array([2, 7, 7]);

export function request(changes: Partial<CreateRequest> = {}): CreateRequest {
  return {
    requestId: "",
    sessionType: "keygen",
    thresholdN: 3,
    thresholdT: 2,
    selectedParties: ["p0", "p1", "p2"],
    roleCounts: [],
    messageHash: none,
    expiresInMs: 0,
    keygenSessionId: "",
    userPublicKey: none,
    ...changes,
  };
}

/** Three registered parties. */
export async function openTrio(...settings: Parameters<typeof openPair>): Promise<Pair> {
  const pair = await openPair(...settings);
  for (const partyId of ["p0", "p1", "p2"]) await pair.register(partyId);
  return pair;
}

/** Instances take turns, so that two calls in a row never land on the same one. */
export function alternating({ a, b }: Pair): () => Instance {
  let turn = 0;
  return () => (turn++ % 2 === 0 ? a : b);
}

export function joinOn(
  instance: Pick<Instance, "coordinator">,
  created: CreatedSession,
  partyId: string,
): Promise<unknown> {
  return instance.coordinator.join(anybody, {
    sessionId: created.record.sessionId,
    partyId,
    joinToken: created.joinTokens.get(partyId) ?? "",
    deviceInfo: device,
  });
}

export async function startOn(
  next: () => Pick<Instance, "coordinator">,
  created: CreatedSession,
): Promise<void> {
  const { sessionId, parties } = created.record;
  for (const { partyId } of parties) {
    await joinOn(next(), created, partyId);
    await next().coordinator.markReady(anybody, { sessionId, partyId });
  }
}

export function reportOn(
  instance: Pick<Instance, "coordinator">,
  sessionId: string,
  partyId: string,
): ReturnType<Instance["coordinator"]["reportCompletion"]> {
  const report = { sessionId, partyId, publicKey: key, signature: none };
  return instance.coordinator.reportCompletion(anybody, report);
}
