import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReceivedMessage } from "../../../../src/party/index.ts";
import { BroadcastEcho, echoType } from "../../../../src/party/sealed/broadcast-echo.ts";
import { createIdentity } from "../../../../src/party/sealed/identity.ts";
import { Opener } from "../../../../src/party/sealed/opener.ts";
import { isSealError, type SealReason } from "../../../../src/party/sealed/seal-error.ts";
import { newNonce, type SealedHeader } from "../../../../src/party/sealed/sealed-header.ts";
import { seal } from "../../../../src/party/sealed/sealing.ts";

const parties = ["alice", "bob", "carol"].map((partyId, partyIndex) => ({ partyId, partyIndex }));
const body = new Uint8Array([1, 2, 3]);

/** Bob's end of a session with Alice and Carol. */
function setup() {
  const [alice, bob, carol] = [1, 2, 3].map(createIdentity);
  assert.ok(alice && bob && carol);
  const identities = { alice, bob, carol };
  const peers = new Map([
    ["alice", alice.public],
    ["carol", carol.public],
  ]);
  const echo = new BroadcastEcho(parties, "bob");
  const place = { sessionId: "session", partyId: "bob", parties };
  const opener = new Opener(place, { identity: bob, peers, echo });
  const sealed = async (changes: Partial<SealedHeader> = {}): Promise<ReceivedMessage> => {
    const header: SealedHeader = {
      sessionId: "session",
      from: "alice",
      to: ["bob"],
      isBroadcast: false,
      round: 1,
      type: "share",
      nonce: newNonce(),
      ...changes,
    };
    const recipients = header.to.map((partyId) =>
      partyId in identities ? identities[partyId as keyof typeof identities].public : alice.public,
    );
    const sender = header.from === "carol" ? carol : alice;
    return messageOf(header, await seal(header, body, { identity: sender, recipients }));
  };
  return { opener, sealed, echo };
}

function messageOf(header: SealedHeader, payload: Uint8Array): ReceivedMessage {
  return {
    messageId: `m-${Buffer.from(header.nonce).toString("hex")}`,
    sessionId: "session",
    from: header.from,
    isBroadcast: header.isBroadcast,
    round: header.round,
    type: header.type,
    payload,
    createdAt: 0,
    acknowledge: async () => undefined,
    refuse: async () => undefined,
  };
}

async function refused(reason: SealReason, opening: Promise<unknown>): Promise<void> {
  await assert.rejects(opening, (error) => isSealError(error, reason));
}

describe("opening what came through the router", () => {
  it("gives what was sealed for this place", async () => {
    const { opener, sealed } = setup();
    assert.deepEqual(await opener.open(await sealed()), body);
    const broadcast = await sealed({ isBroadcast: true, to: ["bob", "carol"] });
    assert.deepEqual(await opener.open(broadcast), body);
  });

  it("refuses what the router shows elsewhere than it was sealed for", async () => {
    const { opener, sealed } = setup();
    for (const claim of [
      { from: "carol" },
      { isBroadcast: true },
      { round: 2 },
      { type: "another" },
    ]) {
      await refused("MISDIRECTED", opener.open({ ...(await sealed()), ...claim }));
    }
  });

  it("refuses what was sealed for another session, another recipient, or for some and not all", async () => {
    const { opener, sealed } = setup();
    await refused("MISDIRECTED", opener.open(await sealed({ sessionId: "another" })));
    await refused("MISDIRECTED", opener.open(await sealed({ to: ["carol"] })));
    const toSome = await sealed({ isBroadcast: true, to: ["bob"] });
    await refused("MISDIRECTED", opener.open(toSome));
    const toOthers = await sealed({ isBroadcast: true, to: ["bob", "dave"] });
    await refused("MISDIRECTED", opener.open(toOthers));
  });

  it("refuses the same bytes under another message id, and opens them again under the same", async () => {
    const { opener, sealed } = setup();
    const message = await sealed({ isBroadcast: true, to: ["bob", "carol"] });
    assert.deepEqual(await opener.open(message), body);
    assert.deepEqual(await opener.open(message), body);
    await refused("REPLAYED", opener.open({ ...message, messageId: "another" }));
  });

  it("says which message it was, and who is said to have sent it", async () => {
    const { opener, sealed } = setup();
    const message = await sealed();
    const changed = message.payload.slice();
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    await assert.rejects(opener.open({ ...message, payload: changed }), (error) => {
      assert.ok(isSealError(error, "TAMPERED"));
      assert.equal(error.messageId, message.messageId);
      assert.equal(error.partyId, "alice");
      return true;
    });
  });

  it("keeps the channel's own messages to itself", async () => {
    const { opener, sealed } = setup();
    const message = await sealed({ type: echoType, isBroadcast: true, to: ["bob", "carol"] });
    // Three bytes are no echo: it was taken for one.
    await refused("MALFORMED", opener.open(message));
  });

  it("notes broadcasts once, and those of a confirmed round not at all", async () => {
    const { opener, sealed, echo } = setup();
    const first = await sealed({ isBroadcast: true, to: ["bob", "carol"] });
    await opener.open(first);
    const before = await echo.confirm(1);
    await opener.open(first);
    assert.deepEqual(await echo.confirm(1), before);
    const late = await sealed({ isBroadcast: true, to: ["bob", "carol"] });
    await refused("LATE", opener.open(late));
  });
});
