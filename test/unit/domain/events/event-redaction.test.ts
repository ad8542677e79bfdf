import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRedaction } from "../../../../src/domain/events/event-redaction.ts";
import type { PartyEvent, SessionEvent } from "../../../../src/domain/events/session-event.ts";
import type { SessionRecord } from "../../../../src/domain/sessions/session.ts";

interface Situation {
  readonly record?: Partial<SessionRecord>;
  readonly isUnknown?: boolean;
  readonly eventType?: string;
  readonly nowMs?: number;
  readonly token?: string | undefined;
  readonly share?: Uint8Array | undefined;
}

const share = new Uint8Array([1, 2, 3]);

function copyFor(partyId: string, situation: Situation = {}): Promise<PartyEvent> {
  const record = {
    sessionId: "session-1",
    status: "created",
    expiresAt: 2_000,
    parties: ["party-1", "delegate"].map((id, partyIndex) => ({ partyId: id, partyIndex })),
    lentShareTo: { partyId: "delegate", partyIndex: 1 },
    ...situation.record,
  } as unknown as SessionRecord;
  const redact = createRedaction(
    {
      find: async () => (situation.isUnknown === true ? undefined : record),
      joinTokenFor: async (_record, id) => ("token" in situation ? situation.token : `token-${id}`),
      lentShareFor: async () => ("share" in situation ? situation.share : share),
    },
    { nowMs: () => situation.nowMs ?? 1_000 },
  );
  const event: SessionEvent = {
    eventId: "event-1",
    eventType: situation.eventType ?? "session_created",
    sessionId: "session-1",
    thresholdN: 2,
    thresholdT: 2,
    selectedParties: ["party-1", "delegate"],
    messageHash: new Uint8Array(),
    createdAt: 0,
    expiresAt: 2_000,
  };
  return redact(event, partyId);
}

describe("event redaction", () => {
  it("gives a party its own token and the delegate the share", async () => {
    const copy = await copyFor("party-1");
    assert.equal(copy.joinToken, "token-party-1");
    assert.equal(copy.lentShare, undefined);
    const lent = await copyFor("delegate");
    assert.equal(lent.joinToken, "token-delegate");
    assert.deepEqual(lent.lentShare, {
      delegatePartyId: "delegate",
      encryptedShare: share,
      partyIndex: 1,
    });
  });

  it("gives nothing of a session that ended, whose time is over, or that is not known", async () => {
    const situations: Situation[] = [
      { record: { status: "completed" } },
      { record: { status: "failed" } },
      { record: { status: "expired" } },
      { nowMs: 2_000 },
      { isUnknown: true },
    ];
    for (const situation of situations) {
      const copy = await copyFor("delegate", situation);
      assert.ok(!("joinToken" in copy) && !("lentShare" in copy));
    }
  });

  it("gives nothing with other events, or to who is not of the session", async () => {
    const types = ["session_started", "party_joined", "session_completed", "custom"];
    for (const eventType of types) {
      const copy = await copyFor("delegate", { eventType });
      assert.ok(!("joinToken" in copy) && !("lentShare" in copy));
    }
    const copy = await copyFor("stranger");
    assert.ok(!("joinToken" in copy) && !("lentShare" in copy));
  });

  it("leaves out what has been erased meanwhile", async () => {
    const copy = await copyFor("delegate", { token: undefined, share: undefined });
    assert.ok(!("joinToken" in copy) && !("lentShare" in copy));
  });
});
