import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { SessionEventSchema } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { invitationOf, partyEventOf, type Invitation } from "../../../src/party/party-event.ts";

function invitation(joinToken: string, messageHash: Uint8Array = new Uint8Array()): Invitation {
  const wire = create(SessionEventSchema, {
    eventId: "event",
    eventType: "session_created",
    sessionId: "session",
    thresholdN: 3,
    thresholdT: 2,
    selectedParties: ["alice", "bob"],
    joinTokens: { alice: joinToken, bob: "not hers" },
    messageHash,
    createdAt: 1n,
    expiresAt: 2n,
    delegateUserShare: { delegatePartyId: "alice", encryptedShare: messageHash, partyIndex: 2 },
  });
  return invitationOf(partyEventOf(wire, "alice"));
}

describe("an invitation", () => {
  it("has the party's own token, and the share that it is lent", () => {
    const hash = new Uint8Array(32).fill(1);
    const found = invitation("mpcj_secret", hash);
    assert.equal(found.joinToken, "mpcj_secret");
    assert.deepEqual(found.lentShare, { encryptedShare: hash, partyIndex: 2 });
    assert.equal(found.expiresAt, 2);
  });

  it("is to sign where there is a hash, and to make a key where there is none", () => {
    assert.equal(invitation("mpcj_secret", new Uint8Array(32)).type, "sign");
    assert.equal(invitation("mpcj_secret").type, "keygen");
  });

  it("brings the delegate the user's key in the second part of the token", () => {
    const key = Uint8Array.from({ length: 32 }, (_, index) => index * 8);
    const token = `mpcj_secret.${Buffer.from(key).toString("base64url")}`;
    assert.deepEqual(invitation(token).userPublicKey, key);
    for (const other of ["mpcj_secret", "a.b.c", "mpcj_.!", "mpcj_a.A", ""]) {
      assert.equal(invitation(other).userPublicKey, undefined, other);
    }
  });

  it("has no token of a party that is called like a property of every object", () => {
    const wire = create(SessionEventSchema, { eventType: "session_created" });
    assert.equal(partyEventOf(wire, "constructor").joinToken, undefined);
    assert.equal(partyEventOf(wire, "__proto__").joinToken, undefined);
  });
});
