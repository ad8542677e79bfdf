import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createClient } from "@connectrpc/connect";
import { SessionCoordinator } from "../../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { isPartyError, type Party } from "../../../src/party/index.ts";
import { startFleet } from "../../support/fleet.ts";
import { connectParties, partyTransport } from "../../support/parties.ts";

const userPublicKey: Uint8Array = new Uint8Array(32).fill(5);
const encryptedShare: Uint8Array = new Uint8Array(80).fill(6);
const lentShare: Uint8Array = new Uint8Array(90).fill(7);
const messageHash: Uint8Array = new Uint8Array(32).fill(8);
const publicKey: Uint8Array = new Uint8Array(32).fill(9);

/** Makes a key; only the delegate is told the user's key, and hands over the user's share. */
async function makeKey(party: Party, isDelegate: boolean): Promise<void> {
  const invitation = await party.nextSession();
  assert.deepEqual(invitation.userPublicKey, isDelegate ? userPublicKey : undefined);
  await using session = await party.join(invitation);
  await session.ready();
  if (isDelegate) {
    await assert.rejects(session.complete({ publicKey }), (error) => {
      assert.ok(isPartyError(error, "DELEGATE_SHARE_MISSING"));
      return !error.isFinal;
    });
    await session.submitDelegateShare({ encryptedShare, publicKey });
  }
  await session.complete({ publicKey });
  assert.deepEqual(await session.ended, { status: "completed" });
}

/** Signs; only the delegate is lent the user's share. */
async function sign(party: Party, isDelegate: boolean): Promise<void> {
  const invitation = await party.nextSession();
  assert.equal(invitation.type, "sign");
  assert.deepEqual(invitation.messageHash, messageHash);
  const lent = isDelegate ? { encryptedShare: lentShare, partyIndex: 1 } : undefined;
  assert.deepEqual(invitation.lentShare, lent);
  await using session = await party.join(invitation);
  assert.deepEqual(session.messageHash, messageHash);
  await session.ready();
  await session.complete({ signature: new Uint8Array(64).fill(1) });
  assert.deepEqual(await session.ended, { status: "completed" });
}

describe("a delegate", () => {
  it("is told the user's key, hands over the share it made, and is lent it for a signature", async () => {
    await using fleet = await startFleet("Connect JSON");
    const [url = ""] = fleet.urls;
    const [persistent, delegate] = await connectParties([{ url }, { url, role: "delegate" }]);
    assert.ok(persistent && delegate);
    await using first = persistent;
    await using second = delegate;
    const coordinator = createClient(SessionCoordinator, partyTransport("Connect", url));
    const selectedParties = [first.partyId, second.partyId];
    const order = { thresholdN: 2, thresholdT: 2, selectedParties };

    const made = Promise.all([makeKey(first, false), makeKey(second, true)]);
    const keygen = await coordinator.createSession({
      ...order,
      sessionType: "keygen",
      userPublicKey,
    });
    await made;
    const keygenSessionId = keygen.session?.sessionId ?? "";
    const taken = await coordinator.takeDelegateShare({ sessionId: keygenSessionId, takeId: "1" });
    assert.deepEqual(Uint8Array.from(taken.encryptedShare), encryptedShare);

    const signed = Promise.all([sign(first, false), sign(second, true)]);
    await coordinator.createSession({
      ...order,
      sessionType: "sign",
      messageHash,
      keygenSessionId,
      delegateUserShare: {
        delegatePartyId: second.partyId,
        encryptedShare: lentShare,
        partyIndex: 1,
      },
    });
    await signed;
  });
});
